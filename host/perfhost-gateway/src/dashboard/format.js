// Numbers, times and units as people read them. Nothing here rounds what is kept; only what is shown.

const plain = (value, places) => value.toLocaleString("en-GB", { maximumFractionDigits: places });

/** As many places as it takes to tell numbers of this size apart. */
export function number(value) {
  const size = Math.abs(value);
  if (value === 0 || Number.isInteger(value)) return plain(value, 0);
  return plain(value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at + 1 < units.length) { value /= 1024; at += 1; }
  return `${plain(value, at && value < 100 ? 1 : 0)} ${units[at]}`;
}

export function milliseconds(value) {
  if (value >= 60_000) return `${plain(value / 60_000, 1)} min`;
  if (value >= 1_000) return `${plain(value / 1_000, value >= 10_000 ? 1 : 2)} s`;
  return `${plain(value, value >= 100 ? 0 : value >= 10 ? 1 : value >= 0.1 ? 2 : 3)} ms`;
}

const percent = (value) => `${plain(value * 100, value !== 0 && Math.abs(value) < 0.1 ? 1 : 0)} %`;

/** A value of the API with its unit. */
export function measure(value, unit) {
  if (value === undefined || value === null) return "–";
  switch (unit) {
    case "ms": return milliseconds(value);
    case "us": return `${number(value)} µs`;
    case "bytes": return bytes(value);
    case "ratio": return percent(value);
    case "count": case "": case undefined: return number(value);
    default: return `${number(value)} ${unit}`;
  }
}

/** The unit of a metric, which its name tells. */
export function unitOf(metric) {
  if (/(_rate|_usage|_cpu)$/.test(metric)) return "ratio";
  return metric.endsWith("_ms") ? "ms" : metric.endsWith("_bytes") ? "bytes" : "count";
}

/** A knob's value: a number with its unit, or a word. */
export const knob = (value, unit) => typeof value === "number" ? (unit === "ratio" ? number(value) : measure(value, unit)) : String(value ?? "–");

export function length(ms) {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

const two = (value) => String(value).padStart(2, "0");

/** A moment, as exact as a range of `spanMs` needs it. */
export function moment(atMs, spanMs = 0) {
  const at = new Date(atMs);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const day = at.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  if (spanMs > 4 * 86_400_000) return day;
  if (spanMs > 86_400_000) return `${day} ${time}`;
  return spanMs > 6 * 60_000 ? time : `${time}:${two(at.getSeconds())}`;
}

export const fullMoment = (atMs) => new Date(atMs).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
