// Experiments, where the host serves any: the arms with their share, and for each challenger how far it is from the
// incumbent, as an interval around no change.

import { element, pill, svg, table } from "./element.js";
import { fullMoment, length, measure, number } from "./format.js";

/** Experiments shown in full. */
const MOST_SHOWN = 3;

const PHASES = { running: "warn", confirming: "warn", ended: "" };

/** The nodes of the section; null when the host knows no experiments. */
export async function experiments(get) {
  const found = await get(`/api/experiments?limit=${MOST_SHOWN}`);
  if (!found) return null;
  if (!found.experiments.length) return [element("p", { class: "quiet" }, "No experiment yet. Start one: perfhost ab start --a balanced --b aggressive")];
  const all = await Promise.all(found.experiments.map((brief) => get(`/api/experiments/${brief.id}`)));
  return all.filter(Boolean).flatMap(shown);
}

function shown(status) {
  const effects = [...status.effects.map((one) => ({ ...one, role: "objective" })), ...status.guardrails.map((one) => ({ ...one, role: "guardrail" }))];
  const forecast = status.forecast?.next && status.phase !== "ended" ? `${status.forecast.next}${status.forecast.expected_ms ? `, in about ${length(status.forecast.expected_ms)}` : ""}` : null;
  return [element("div", { class: "panel" },
    element("h3", {}, `${status.name} `, pill(status.phase, PHASES[status.phase])),
    element("p", { class: "quiet" }, [`since ${fullMoment(status.started_ms)}`, status.ending, forecast].filter(Boolean).join(" · "))),
  table(`${status.name}: arms`, [
    { name: "Arm", head: true, cell: (arm) => arm.name },
    { name: "Share", right: true, cell: (arm) => measure(arm.share, "ratio") },
    { name: "Samples", right: true, cell: (arm) => number(arm.samples) },
    { name: "State", cell: (arm) => arm.out ?? (arm.name === status.in_service ? "in service" : "taking part") },
  ], status.arms, ""),
  table(`${status.name}: change against the incumbent`, [
    { name: "Challenger", head: true, cell: (one) => one.challenger },
    { name: "Metric", cell: (one) => `${one.metric} (${one.role})` },
    { name: "Change", right: true, cell: (one) => signed(one.change) },
    { name: "Not excluded", cell: interval },
    { name: "Samples", right: true, cell: (one) => number(one.samples) },
  ], effects, "Nothing can be compared yet.")];
}

const signed = (value) => value === null || value === undefined ? "–" : `${value > 0 ? "+" : ""}${number(value)}`;

/** The interval as a bar on an axis whose middle is no change, with its ends in words. */
function interval({ lower, upper, change }) {
  if (lower === null || upper === null) return "not bounded yet";
  const most = Math.max(Math.abs(lower), Math.abs(upper)) * 1.1 || 1, x = (value) => 100 + value / most * 95;
  const plot = svg("svg", { class: "interval", viewBox: "0 0 200 20", "aria-hidden": "true" },
    svg("line", { class: "axis", x1: 0, x2: 200, y1: 10, y2: 10 }), svg("line", { class: "zero", x1: 100, x2: 100, y1: 0, y2: 20 }),
    svg("line", { class: "range", x1: x(lower), x2: x(upper), y1: 10, y2: 10 }), change === null ? null : svg("circle", { cx: x(change), cy: 10, r: 4 }));
  return [plot, element("span", { class: "quiet number" }, `${signed(lower)} to ${signed(upper)}`)];
}
