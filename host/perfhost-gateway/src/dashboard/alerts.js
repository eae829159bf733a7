// Alerts, where the host serves any: what fires now, and what fired last.

import { element, pill, table } from "./element.js";
import { fullMoment } from "./format.js";

const SEVERITY = { critical: "bad", warning: "warn" };

/** The nodes of the section; null when the host knows no alerts. */
export async function alerts(get) {
  const active = await get("/api/alerts/active");
  if (!active) return null;
  const firing = active.alerts ?? active.active ?? [];
  return [firing.length ? table("Firing now", [
    { name: "Alert", head: true, cell: (one) => one.name ?? one.rule },
    { name: "Severity", cell: (one) => pill(one.severity, SEVERITY[one.severity]) },
    { name: "Since", cell: (one) => fullMoment(one.since_ms ?? one.at_ms) },
    { name: "What", wide: true, cell: (one) => one.summary ?? one.message ?? one.condition ?? "" },
  ], firing, "") : element("p", { class: "quiet" }, "Nothing fires.")];
}
