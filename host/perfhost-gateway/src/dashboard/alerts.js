// Alerts, where the host serves any: what fires now, and what fired last.

import { element, pill, table } from "./element.js";
import { fullMoment, length, measure } from "./format.js";

const SEVERITY = { critical: "bad", warning: "warn", info: "" };

/** The nodes of the section; null when the host knows no alerts. */
export async function alerts(get) {
  const active = await get("/api/alerts/active");
  if (!active) return null;
  const past = ((await get("/api/alerts/history?limit=10"))?.alerts ?? []).filter((one) => one.resolved_ms);
  const columns = [
    { name: "Alert", head: true, cell: (one) => one.scope ? `${one.rule} @ ${one.scope}` : one.rule },
    { name: "Severity", cell: (one) => pill(one.severity, SEVERITY[one.severity]) },
    { name: "Since", cell: (one) => fullMoment(one.fired_ms) },
    { name: "What", wide: true, cell: (one) => [one.summary, element("div", { class: "quiet" }, one.condition)] },
    { name: "Worst", right: true, cell: (one) => measure(one.worst ?? one.value, one.unit) },
  ];
  // What has no alert yet is a condition that holds, and not for long enough.
  const firing = active.alerts.map((one) => one.alert).filter(Boolean), pending = active.alerts.length - firing.length;
  return [firing.length ? table("Firing now", [...columns, { name: "Taken on by", cell: (one) => one.acknowledged?.by || "nobody yet" }], firing, "")
    : element("p", { class: "quiet" }, pending ? `Nothing fires; ${pending} may soon.` : "Nothing fires."),
  past.length ? table("Over", [...columns, { name: "Lasted", right: true, cell: (one) => length(one.resolved_ms - one.fired_ms) }], past, "") : null].filter(Boolean);
}
