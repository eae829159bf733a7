// The overview: one card a figure, with its target, how it stands to it, its trend over the shown range and a small line.

import { element, svg } from "./element.js";
import { measure } from "./format.js";

/**
 * What is shown. `now(event)` reads the present value from an event of the live feed, `history` names the metric and figure
 * of the trend. A card with `isShown(event)` is hidden where that says no. `target` and `limit` bound good and bad; without
 * them a card has no colour. Where `kpi` names one of the host's key figures, they are that figure's, as the host is configured.
 * `isBetterLow` tells what a trend means.
 */
export const CARDS = [
  { id: "response", name: "Response time p95", unit: "ms", now: metric("response_time_ms", "p95"), history: ["response_time_ms", "p95"], kpi: "response_time", isBetterLow: true },
  { id: "first-token", name: "First token p95", unit: "ms", now: metric("time_to_first_token_ms", "p95"), history: ["time_to_first_token_ms", "p95"], isBetterLow: true },
  { id: "tokens", name: "Generated tokens", unit: "tokens/s", now: metric("tokens_per_second", "mean"), history: ["tokens_per_second", "mean"], isBetterLow: false },
  { id: "requests", name: "Requests", unit: "requests/s", now: metric("requests_per_second", "mean"), history: ["requests_per_second", "mean"] },
  { id: "errors", name: "Errors", unit: "ratio", now: metric("error_rate", "mean"), history: ["error_rate", "mean"], kpi: "error_rate", isBetterLow: true },
  { id: "queue", name: "Waiting now", unit: "count", now: (event) => event.status?.requests?.queued, history: ["queue_length", "mean"], isBetterLow: true },
  { id: "in-flight", name: "Under way now", unit: "count", now: (event) => event.status?.requests?.in_flight, history: ["in_flight", "mean"] },
  { id: "cache", name: "Cache hits", unit: "ratio", now: metric("cache_hit_rate", "mean"), history: ["cache_hit_rate", "mean"], kpi: "cache_hit_rate", isBetterLow: false, isSoft: true },
  { id: "cpu", name: "Processor", unit: "ratio", now: (event) => event.resources?.host?.cpu_share, history: ["cpu_usage", "mean"] },
  { id: "memory", name: "Memory", unit: "ratio", now: (event) => share(event.resources?.host), history: ["memory_usage", "mean"], target: 0.8, limit: 0.95, isBetterLow: true },
  { id: "gpu", name: "Busiest GPU", unit: "ratio", now: most((gpu) => gpu.usage), history: ["gpu_usage", "mean"], isShown: hasGpu },
  { id: "gpu-memory", name: "Fullest GPU's memory", unit: "ratio", now: most(share), history: ["gpu_memory_usage", "mean"], isShown: hasGpu },
];

function metric(name, figure) {
  return (event) => event.metrics.find((one) => one.name === name && one.scope === "")?.summary[figure];
}

/** Of the machine's memory or a graphics processor's, the part in use; nothing where a driver does not tell. */
function share(owner) {
  return owner?.memory_total_bytes && owner.memory_used_bytes !== null ? owner.memory_used_bytes / owner.memory_total_bytes : undefined;
}

/** The largest figure of all graphics processors that tell it. */
function most(figure) {
  return (event) => event.resources.gpus.map(figure).filter((value) => value !== null && value !== undefined).sort((a, b) => b - a)[0];
}

/** Whether the machine has a graphics processor that can be asked. */
export function hasGpu(event) {
  return event.resources?.gpus?.length > 0;
}

/** How a value stands to its target: good, warn, bad, or nothing to say. */
function standing({ target, limit, isBetterLow, isSoft }, value) {
  if (target === undefined || value === undefined) return "";
  const isGood = isBetterLow ? value <= target : value >= target;
  const isBad = isBetterLow ? value > limit : value < limit;
  // Few hits are no fault: traffic that never repeats has none.
  return isGood ? "good" : isBad && !isSoft ? "bad" : isSoft ? "" : "warn";
}

export class Cards {
  constructor(host) {
    this.cards = CARDS.map((card) => {
      const value = element("p", { class: "value" }, "–"), target = element("span"), trend = element("span", { class: "trend" });
      const line = svg("svg", { "aria-hidden": "true", preserveAspectRatio: "none", viewBox: "0 0 100 20" });
      const node = element("article", { class: "card", id: `card-${card.id}`, hidden: Boolean(card.isShown) }, element("h3", {}, card.name), value, element("div", { class: "foot" }, target, trend), line);
      host.append(node);
      return { ...card, node, value, aim: target, trend, line };
    });
    this.aim([]);
  }

  /** The host's key figures, with their targets. */
  aim(kpis) {
    for (const card of this.cards) {
      const kpi = kpis.find((one) => one.name === card.kpi);
      if (kpi) Object.assign(card, { target: kpi.target, limit: kpi.critical });
      card.aim.textContent = card.target === undefined ? "" : `target ${card.isBetterLow ? "≤" : "≥"} ${measure(card.target, card.unit)}`;
    }
  }

  /** The present, from an event. */
  tell(event) {
    for (const card of this.cards) {
      card.node.hidden = card.isShown?.(event) === false;
      if (card.node.hidden) continue;
      const now = card.now(event);
      const [amount, ...unit] = measure(now, card.unit).split(" ");
      card.value.replaceChildren(amount, unit.length ? element("small", {}, ` ${unit.join(" ")}`) : "");
      if (now === undefined) card.value.replaceChildren(element("small", {}, "none in the last minute"));
      card.value.dataset.value = now ?? "";
      card.node.className = `card ${standing(card, now)}`;
    }
  }

  /** The range: `points(metric)` gives the API's points. */
  trace(points) {
    for (const card of this.cards) {
      const [name, figure] = card.history;
      const values = (points(name) ?? []).map((point) => [point.at_ms, point[figure]]);
      const rise = trend(values);
      card.trend.className = "trend";
      card.trend.textContent = "";
      if (rise !== undefined) {
        const percent = Math.round(Math.abs(rise) * 100);
        card.trend.textContent = percent < 3 ? "→ steady" : `${rise > 0 ? "↑" : "↓"} ${percent > 999 ? ">999" : percent} %`;
        card.trend.title = "Second half of the shown range against the first";
        if (percent >= 3 && card.isBetterLow !== undefined) card.trend.classList.add((rise < 0) === card.isBetterLow ? "good" : "bad");
      }
      card.line.replaceChildren(...spark(values));
    }
  }
}

/** Relative change of the mean from the first half of the range to the second. */
function trend(values) {
  if (values.length < 6) return undefined;
  const middle = (values[0][0] + values.at(-1)[0]) / 2;
  const mean = (list) => list.reduce((sum, [, value]) => sum + value, 0) / list.length;
  const [before, after] = [values.filter(([at]) => at < middle), values.filter(([at]) => at >= middle)].map(mean);
  return before > 0 ? (after - before) / before : undefined;
}

function spark(values) {
  if (values.length < 2) return [];
  const most = Math.max(...values.map(([, value]) => value)) || 1, [first, last] = [values[0][0], values.at(-1)[0]];
  const path = values.map(([at, value], index) => `${index ? "L" : "M"}${((at - first) / (last - first) * 100).toFixed(2)} ${(19 - value / most * 17).toFixed(2)}`).join("");
  return [svg("path", { class: "area first", d: `${path}V20H0Z`, fill: "currentColor", opacity: "0.1" }), svg("path", { d: path, fill: "none", stroke: "currentColor", "stroke-width": "1.4", "vector-effect": "non-scaling-stroke", opacity: "0.75" })];
}
