// Tables of what serves: providers with their models and the managed engine, processes and what they use, the strategy in
// service, knobs; why requests failed and what the cache saved over the shown range.

import { element, pill, table } from "./element.js";
import { bytes, fullMoment, knob, length, measure, number } from "./format.js";

const HEALTH = { up: "good", degraded: "warn", down: "bad" };
const PHASE = { ready: "good", starting: "warn", replacing: "warn", draining: "warn", stopped: "", failed: "bad" };

export function providers(status) {
  const engine = status.engine;
  const some = (value, unit) => value ? measure(value, unit) : "–";
  return [table("Providers", [
    { name: "Name", head: true, cell: (one) => one.name },
    { name: "State", cell: (one) => pill(one.health, HEALTH[one.health]) },
    { name: "Kind", cell: (one) => one.is_managed ? `${one.kind}, run by perfhost` : one.kind },
    { name: "Under way", right: true, cell: (one) => number(one.in_flight) },
    { name: "Waiting", right: true, cell: (one) => number(one.queued) },
    { name: "Response p50", right: true, cell: (one) => some(one.latency_p50_ms, "ms") },
    { name: "First token p50", right: true, cell: (one) => some(one.ttft_p50_ms, "ms") },
    { name: "Speed", right: true, cell: (one) => some(one.tokens_per_second, "tokens/s") },
    { name: "Errors", right: true, cell: (one) => measure(one.error_rate, "ratio") },
    { name: "Models", wide: true, cell: (one) => element("ul", { class: "models" }, one.models.slice(0, 12).map((model) => element("li", {}, pill(model))), one.models.length > 12 ? element("li", { class: "quiet" }, `and ${one.models.length - 12} more`) : null) },
  ], status.providers ?? [], "No provider yet: run perfhost setup, or name one with --upstream URL."),
  engine ? table("Managed engine", [
    { name: "Provider", head: true, cell: (one) => one.provider },
    { name: "State", cell: (one) => pill(one.phase, PHASE[one.phase]) },
    { name: "Model", cell: (one) => one.model },
    { name: "Slots busy", right: true, cell: (one) => one.metrics ? `${one.metrics.slots_busy} of ${one.settings.slots}` : `– of ${one.settings.slots}` },
    { name: "Deferred", right: true, cell: (one) => one.metrics ? number(one.metrics.requests_deferred) : "–" },
    { name: "Context of a slot", right: true, cell: (one) => `${number(one.settings.context_tokens)} tokens` },
    { name: "KV cache", cell: (one) => one.settings.kv_type },
    { name: "Started in", right: true, cell: (one) => measure(one.startup_ms, "ms") },
    { name: "Restarts", right: true, cell: (one) => number(one.restarts) },
    { name: "Last error", cell: (one) => one.last_error ?? "none" },
  ], [engine], "") : null];
}

export function processes(resources) {
  if (!resources?.process) return null;
  const rows = [{ name: "perfhost", ...resources.process }, ...resources.engines.map((engine) => ({ name: `engine of ${engine.provider}`, ...engine }))];
  const isOnGpu = rows.some((one) => typeof one.gpu_memory_bytes === "number");
  return table("Processes", [
    { name: "Process", head: true, cell: (one) => one.name },
    { name: "Processor", right: true, cell: (one) => measure(one.cpu_share, "ratio") },
    { name: "Memory", right: true, cell: (one) => bytes(one.memory_bytes) },
    ...isOnGpu ? [{ name: "GPU memory", right: true, cell: (one) => measure(one.gpu_memory_bytes, "bytes") }] : [],
    { name: "Growth", right: true, cell: (one) => one.memory_growth_mb_per_hour === null ? "–" : `${number(one.memory_growth_mb_per_hour)} MB/h` },
    { name: "Threads", right: true, cell: (one) => one.threads === null ? "–" : number(one.threads) },
    { name: "Open files", right: true, cell: (one) => one.open_files === null ? "–" : number(one.open_files) },
    { name: "Disk read", right: true, cell: (one) => `${bytes(one.disk_read_bytes_per_second)}/s` },
    { name: "Disk written", right: true, cell: (one) => `${bytes(one.disk_written_bytes_per_second)}/s` },
  ], rows, "");
}

/** Graphics processors with a gauge each, where the host tells of any. */
export function graphics(resources) {
  const all = resources?.gpus ?? [];
  if (!all.length) return null;
  const gauge = (label, value, most, text) => value === null || !most ? "–"
    : element("span", { class: "gauge" }, element("meter", { min: 0, max: most, value, "aria-label": label }), text);
  return table("Graphics processors", [
    { name: "Name", head: true, cell: (one) => `${one.name} (${one.vendor} ${one.index})` },
    { name: "Busy", cell: (one) => gauge("busy", one.usage, 1, measure(one.usage, "ratio")) },
    { name: "Memory", cell: (one) => gauge("memory in use", one.memory_used_bytes, one.memory_total_bytes, `${measure(one.memory_used_bytes, "bytes")} of ${measure(one.memory_total_bytes, "bytes")}`) },
    { name: "Temperature", right: true, cell: (one) => measure(one.temperature_celsius, "°C") },
    { name: "Power", right: true, cell: (one) => measure(one.power_watts, "W") },
  ], all, "");
}

export function inService(status) {
  const one = status.strategy;
  if (!one?.name) return null;
  const planning = one.planning ?? {};
  const row = (name, value) => value === undefined || value === null ? [] : [element("dt", {}, name), element("dd", {}, value)];
  return element("div", { class: "panel strategy" },
    element("div", {}, element("h3", {}, `${one.name} ${one.version} `, planning.is_demoted ? pill("tunes knobs only", "warn") : pill("plans every request", "good")),
      element("p", {}, one.summary), element("p", { class: "quiet" }, `Goal: ${one.goal}`), planning.demoted_because ? element("p", { class: "quiet" }, planning.demoted_because) : null),
    element("dl", {}, row("Generation", one.generation), row("Here because", one.why), row("Since", one.since_ms ? fullMoment(one.since_ms) : null),
      row("Plans", `${number(planning.calls ?? 0)}, mean ${measure(planning.mean_us ?? 0, "us")}`), row("Failed, over budget", `${planning.failures ?? 0}, ${planning.overruns ?? 0}`), row("From", one.source)));
}

export function knobs(all) {
  const bounds = (one) => {
    const range = one.bounds?.["integer-range"] ?? one.bounds?.["number-range"];
    if (range) return `${knob(range[0], one.unit)} to ${knob(range[1], one.unit)}`;
    const choices = one.bounds && Object.values(one.bounds)[0];
    return Array.isArray(choices) ? choices.join(", ") : "–";
  };
  return element("details", { class: "panel figures" }, element("summary", {}, `All ${all.length} knobs, ${all.filter(isTurned).length} away from their default`), table("Knobs", [
    { name: "Knob", head: true, cell: (one) => one.scope ? `${one.name} @ ${one.scope}` : one.name },
    { name: "Value", right: true, cell: (one) => element("span", { class: isTurned(one) ? "changed" : undefined }, knob(one.value, one.unit)) },
    { name: "Default", right: true, cell: (one) => knob(one.default, one.unit) },
    { name: "Bounds", cell: bounds },
    { name: "Effect", cell: (one) => one.reload ? "restarts the engine" : "at once" },
    { name: "Meaning", wide: true, cell: (one) => one.meaning },
  ], all, ""));
}

const isTurned = (one) => JSON.stringify(one.value) !== JSON.stringify(one.default);

const CAUSES = { upstream_error: "the provider failed", timeout: "a time limit passed", unavailable: "no provider could take it", rejected: "turned away: queue full or waited too long", client_error: "the request was wrong", cancelled: "the client went away", unknown: "failed before causes were recorded" };

/** Requests of the shown range by what they came to, as the API counts them. */
export function causes(outcomes) {
  const total = outcomes.reduce((sum, one) => sum + one.count, 0);
  const failed = outcomes.filter((one) => one.outcome !== "success" && one.count > 0).sort((a, b) => b.count - a.count);
  return element("figure", { class: "chart", id: "causes", "data-total": total }, element("figcaption", {}, element("h3", {}, "Why requests failed ", element("span", { class: "unit" }, "whole range"))),
    failed.length ? element("ul", { class: "bars" }, failed.map((one) => element("li", { "data-outcome": one.outcome, "data-count": one.count }, element("span", {}, CAUSES[one.outcome] ?? one.outcome.replaceAll("_", " ")),
      element("meter", { min: 0, max: failed[0].count, value: one.count, "aria-label": one.outcome }), element("b", { class: "number" }, `${number(one.count)} (${measure(one.count / total, "ratio")})`))))
      : element("p", { class: "quiet" }, total ? `None of ${number(total)} requests failed.` : "No requests in this range."));
}

/** What the cache did in the shown range, and what it holds now. */
export function cache(one, status) {
  const row = (name, key, text) => [element("dt", {}, name), element("dd", { "data-figure": key, "data-value": one[key] }, text)];
  return element("figure", { class: "chart", id: "cache-figures", "data-lookups": one.lookups }, element("figcaption", {}, element("h3", {}, "Cache ", element("span", { class: "unit" }, "whole range"))),
    one.lookups ? element("dl", { class: "pairs" }, row("Hits", "hits", `${number(one.hits)} of ${number(one.lookups)} (${measure(one.hits / one.lookups, "ratio")})`), row("Shared an answer", "shared", number(one.shared)), row("Misses", "misses", number(one.misses)),
      row("Prompt tokens saved", "prompt_tokens_saved", number(one.prompt_tokens_saved)), row("Output tokens saved", "output_tokens_saved", number(one.output_tokens_saved)), row("Time saved", "time_saved_ms", length(one.time_saved_ms)))
      : element("p", { class: "quiet" }, "No cacheable request in this range."), element("p", { class: "quiet" }, kept(status?.cache)));
}

function kept(now) {
  if (!now) return "";
  return now.capacity_bytes ? `Now ${number(now.entries)} answers, ${bytes(now.bytes)} of ${bytes(now.capacity_bytes)}; since the host started ${number(now.evictions)} made room, ${number(now.expirations)} expired.` : "Now it is off.";
}
