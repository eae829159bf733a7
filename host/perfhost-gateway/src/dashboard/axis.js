// Where a chart's lines of the grid lie: round numbers for values, round times for moments.

/** The top where everything is 0. */
const EMPTY = { ratio: 0.05, ms: 100, bytes: 2 ** 20 };

const STEPS = [1, 2, 2.5, 5, 10];
const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const TIMES = [10_000, 30_000, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR,
  6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 10 * DAY];

/** The top of an axis that begins at 0 and holds `most`, and its ticks. Bytes are divided in powers of two, long times in minutes. */
export function valueAxis(most, unit, count = 4) {
  if (!(most > 0)) return { top: EMPTY[unit] ?? 1, ticks: [0, EMPTY[unit] ?? 1] };
  const base = unit === "bytes" ? 2 ** (10 * Math.floor(Math.log2(Math.max(most, 1)) / 10)) : unit === "ms" && most >= MINUTE ? MINUTE : 1;
  const raw = most / base / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  let step = STEPS.find((factor) => factor * power >= raw * 0.999) * power;
  if (unit === "count") step = Math.max(1, Math.ceil(step));
  const ticks = [];
  for (let at = 0; at * step < most / base + step * 0.999; at += 1) ticks.push(at * step * base);
  return { top: ticks.at(-1), ticks };
}

/** Round moments between two, at most `count`, on whole steps of local time. */
export function timeTicks(from, to, count) {
  const step = TIMES.find((length) => (to - from) / length <= count) ?? 10 * DAY;
  const shift = new Date(from).getTimezoneOffset() * MINUTE;
  const ticks = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) ticks.push(at);
  return ticks;
}
