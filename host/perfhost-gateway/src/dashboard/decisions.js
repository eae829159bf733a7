// Decisions: what strategies asked for, as marks for the charts, as a table, and as each knob's value over time.

import { Chart } from "./chart.js";
import { element, pill, table } from "./element.js";
import { fullMoment, knob, measure, unitOf } from "./format.js";

const VERDICTS = { applied: "good", clamped: "warn", refused: "", "rolled-back": "bad" };

/** Shown in the table; the charts show all that were asked for. */
const MOST_ROWS = 25;

/** Knobs that get a chart. */
const MOST_CHARTS = 6;

const place = (decision) => decision.proposal.scope ? `${decision.proposal.name} @ ${decision.proposal.scope}` : decision.proposal.name;

/** Knows units from the list of knobs. */
export class Units {
  constructor(knobs = []) { this.units = new Map(knobs.map((one) => [one.name, one.unit])); }
  of(decision, value) { return knob(value, this.units.get(decision.proposal.name)); }
}

export const change = (decision, units) => decision.applied === null ? `${place(decision)}: ${units.of(decision, decision.before)} kept`
  : `${place(decision)}: ${units.of(decision, decision.before)} → ${units.of(decision, decision.applied)}`;

function expected({ proposal: { expected } }) {
  if (!expected) return "–";
  const percent = Math.round((expected.ratio - 1) * 100);
  return `${expected.metric} ${percent > 0 ? "+" : ""}${percent} %`;
}

function measured({ measured }) {
  if (!measured) return "–";
  const percent = measured.before ? ` (${measured.after >= measured.before ? "+" : ""}${Math.round((measured.after / measured.before - 1) * 100)} %)` : "";
  const unit = unitOf(measured.metric);
  return `${measured.metric} ${measure(measured.before, unit)} → ${measure(measured.after, unit)}${percent}`;
}

/** Only what changed something is marked: a refusal moves no line. */
export const marks = (decisions, units) => decisions.filter((decision) => decision.applied !== null).map((decision) => ({
  at: decision.at_ms, verdict: decision.verdict, change: change(decision, units), reason: decision.proposal.reason,
  effect: decision.measured ? `measured: ${measured(decision)}` : decision.proposal.expected ? `expected: ${expected(decision)}` : "",
}));

export function list(decisions, units) {
  return table("What strategies asked for, newest first", [
    { name: "When", head: true, cell: (one) => fullMoment(one.at_ms) },
    { name: "Strategy", cell: (one) => one.strategy },
    { name: "Change", cell: (one) => change(one, units) },
    { name: "Verdict", cell: (one) => pill(one.verdict, VERDICTS[one.verdict]) },
    { name: "Why", wide: true, cell: (one) => [one.proposal.reason, one.detail && one.detail !== one.proposal.reason ? element("div", { class: "quiet" }, `guard: ${one.detail}`) : null] },
    { name: "Expected", cell: expected },
    { name: "Measured", cell: (one) => measured(one) },
  ], decisions.slice(0, MOST_ROWS), "No strategy has asked for a change yet.");
}

/** A chart for each knob that was turned within the range, those turned most first. */
export function knobCharts(decisions, knobs, { from, to }, onzoom) {
  const turned = new Map();
  for (const decision of decisions) {
    if (decision.applied === null || typeof decision.applied !== "number") continue;
    const name = place(decision);
    turned.set(name, [...(turned.get(name) ?? []), decision]);
  }
  const inRange = [...turned].filter(([, all]) => all.some((decision) => decision.at_ms >= from && decision.at_ms <= to));
  return inRange.sort((a, b) => b[1].length - a[1].length).slice(0, MOST_CHARTS).map(([name, all]) => {
    const unit = knobs.find((one) => one.name === all[0].proposal.name)?.unit ?? "";
    const chart = new Chart({ id: `knob-${name.replace(/[^a-z_]+/gi, "-")}`, title: name, unit: unit === "ratio" ? "weight" : unit, series: ["value"], isStep: true, onzoom });
    return { chart, all: all.sort((a, b) => a.at_ms - b.at_ms) };
  });
}

/** A knob's value over time: what was set, and what was taken back. `knobs` have the present values. */
export function steps(all, { from, to }, knobs) {
  const line = [];
  for (const decision of all) {
    if (!line.length) line.push([Math.min(from, decision.at_ms), decision.before]);
    line.push([decision.at_ms, decision.applied]);
    // When it was taken back is not recorded; the next change says what it was by then, after the last the present does.
    const next = all[all.indexOf(decision) + 1];
    if (decision.verdict === "rolled-back" && next) line.push([next.at_ms - 1, decision.applied], [next.at_ms - 1, next.before]);
  }
  const last = all.at(-1);
  if (last?.verdict === "rolled-back") line.push([Math.max(last.at_ms, to), present(last, knobs)]);
  const before = line.findLast(([at]) => at <= from);
  return [...(before ? [[from, before[1]]] : []), ...line.filter(([at]) => at > from && at <= to)];
}

/** What the decision's knob is set to now; a provider that is gone has none. */
function present({ before, proposal: { name, scope } }, knobs) {
  return knobs.find((one) => one.name === name && one.scope === scope)?.value ?? before;
}
