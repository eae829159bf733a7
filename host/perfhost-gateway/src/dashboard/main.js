// The dashboard: fetches what the chosen range needs, follows the live feed, and keeps both on the page.

import { NeedsToken, events, get, keepToken } from "./api.js";
import { alerts } from "./alerts.js";
import { Cards, hasGpu } from "./cards.js";
import { Chart } from "./chart.js";
import { Units, knobCharts, list, marks, steps } from "./decisions.js";
import { byId, element, pill } from "./element.js";
import { experiments } from "./experiments.js";
import * as fleet from "./fleet.js";
import { length } from "./format.js";
import { Histogram } from "./histogram.js";

const MINUTE = 60_000;
const RANGES = { "15m": 15 * MINUTE, "1h": 60 * MINUTE, "6h": 360 * MINUTE, "24h": 1440 * MINUTE, "7d": 7 * 1440 * MINUTE, "30d": 30 * 1440 * MINUTE };

/** Time until the feed is tried again. */
const RETRY_MS = 2_000;

/** No event for so long means that the connection is gone, whatever it says. */
const SILENCE_MS = 8_000;

/** Decisions that are looked at. */
const MOST_DECISIONS = 500;

const HEALTH = { healthy: "good", degraded: "warn", unhealthy: "bad" };

const PERCENTILES = [["p50", "p50"], ["p95", "p95"], ["p99", "p99"]];

/** Lines are [metric, figure, label, scope]; the scope is the chosen one where none is named. */
const quantiles = (metric) => PERCENTILES.map(([figure, label]) => [metric, figure, label]);
const CHARTS = [
  { host: "latency-charts", id: "response-time", title: "Response time", unit: "ms", kpi: "response_time", lines: quantiles("response_time_ms") },
  { host: "latency-charts", id: "first-token", title: "Time to first token", unit: "ms", lines: quantiles("time_to_first_token_ms"), empty: "no streamed requests yet" },
  { host: "latency-charts", id: "token-time", title: "Time per output token", unit: "ms", lines: quantiles("time_per_output_token_ms"), empty: "no streamed requests yet" },
  { host: "traffic-charts", id: "tokens", title: "Generated tokens", unit: "tokens/s", lines: [["tokens_per_second", "mean", "mean"]] },
  { host: "traffic-charts", id: "requests", title: "Requests", unit: "requests/s", lines: [["requests_per_second", "mean", "mean"]] },
  { host: "traffic-charts", id: "queue", title: "Queue and concurrency", unit: "count", lines: [["in_flight", "mean", "under way"], ["queue_length", "mean", "waiting"], ["queue_length", "max", "waiting at most"]] },
  { host: "traffic-charts", id: "queue-wait", title: "Wait for admission", unit: "ms", lines: quantiles("queue_wait_ms") },
  { host: "traffic-charts", id: "errors", title: "Failed and turned away", unit: "ratio", lines: [["error_rate", "mean", "failed"], ["rejected_rate", "mean", "turned away"]] },
  { host: "traffic-charts", id: "cache", title: "Cache hits", unit: "ratio", lines: [["cache_hit_rate", "mean", "hits"]], empty: "no cacheable requests yet" },
  { host: "machine-charts", id: "cpu", title: "Processor", unit: "ratio", isWhole: true, lines: [["cpu_usage", "mean", "machine", ""], ["process_cpu", "mean", "engine", "ENGINE"], ["process_cpu", "mean", "perfhost", ""]], empty: "no sample yet" },
  { host: "machine-charts", id: "memory", title: "Memory", unit: "bytes", isWhole: true, lines: [["memory_used_bytes", "mean", "machine", ""], ["process_memory_bytes", "mean", "engine", "ENGINE"], ["process_memory_bytes", "mean", "perfhost", ""]], empty: "no sample yet" },
  { host: "machine-charts", id: "gpu", title: "Graphics processors", unit: "ratio", isWhole: true, isOfGpu: true, lines: [["gpu_usage", "mean", "busiest", ""], ["gpu_memory_usage", "mean", "memory of the fullest", ""]], empty: "no sample yet" },
  { host: "machine-charts", id: "engine", title: "Engine slots", unit: "count", isWhole: true, lines: [["engine_slots_busy", "mean", "busy", "ENGINE"], ["engine_requests_deferred", "mean", "deferred", "ENGINE"]], empty: "no managed engine" },
];

const state = { range: "15m", zoomed: null, health: null, scope: "", engine: "", hasGpu: false, knobs: [], decisions: [], newest: undefined, load: 0, cache: null, status: null };
const onzoom = (zoomed) => { state.zoomed = zoomed; byId("unzoom").hidden = !zoomed; refresh(); };

const cards = new Cards(byId("cards"));
const charts = CHARTS.map((spec) => {
  const chart = new Chart({ ...spec, series: spec.lines.map(([, , label]) => label), onzoom });
  chart.node.hidden = Boolean(spec.isOfGpu);
  byId(spec.host).append(chart.node);
  return { ...spec, chart };
});
const histogram = new Histogram({ id: "histogram", title: "Response times", note: "requests by time, whole range" });
byId("latency-charts").append(histogram.node);
const figures = element("div"), causes = element("div");
byId("traffic-figures").append(causes, figures);
let turned = [];

const range = () => {
  if (state.zoomed) return state.zoomed;
  const to = Date.now();
  return { from: to - RANGES[state.range], to };
};

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "")).toString();

/** Fetches the whole range anew. What comes late, after another range was chosen, is left out. */
async function refresh() {
  const load = state.load += 1, { from, to } = range(), found = new Map();
  const points = (metric, scope) => {
    const key = `${metric} ${scope}`;
    if (!found.has(key)) found.set(key, get(`/api/metrics/historical?${query({ metric, scope, from, to })}`));
    return found.get(key);
  };
  try {
    const [knobs, decisions, buckets, whole] = await Promise.all([get("/api/knobs"), get(`/api/decisions?limit=${MOST_DECISIONS}`),
      get(`/api/metrics/histogram?${query({ scope: state.scope, from, to })}`), get(`/api/metrics/aggregated?${query({ scope: state.scope, from, to })}`), optional(),
      ...charts.filter(({ chart }) => !chart.node.hidden).map(async ({ chart, lines, isWhole }) => {
        const all = await Promise.all(lines.map(([metric, , , scope]) => scope === "ENGINE" && !state.engine ? null : points(metric, scope === undefined ? state.scope : scope === "ENGINE" ? state.engine : scope)));
        if (load !== state.load) return;
        chart.latest = { from, to, step: Math.max(0, ...all.map((one) => one?.step_ms ?? 0)), lines: lines.map(([, figure], at) => (all[at]?.points ?? []).map((point) => [point.at_ms, point[figure]])) };
        chart.set({ ...chart.latest, marks: isWhole ? [] : chart.data.marks });
      })]);
    const traces = new Map(await Promise.all(cards.cards.filter(({ node }) => !node.hidden).map(async ({ history: [metric] }) => [metric, (await points(metric, "")).points])));
    if (load !== state.load) return;
    cards.trace((metric) => traces.get(metric));
    histogram.set(buckets.buckets);
    causes.replaceChildren(fleet.causes(whole.outcomes));
    state.cache = whole.cache;
    figures.replaceChildren(fleet.cache(state.cache, state.status));
    Object.assign(state, { knobs: knobs.knobs, decisions: decisions.decisions });
    showDecisions({ from, to });
    trouble("");
  } catch (error) {
    failed(error);
  }
}

/** Marks on every chart, the table, and the knobs over time. */
function showDecisions(shown) {
  const units = new Units(state.knobs), inRange = state.decisions.filter((one) => one.at_ms >= shown.from && one.at_ms <= shown.to);
  const signs = marks(inRange, units);
  for (const { chart, isWhole } of charts) if (chart.latest && !isWhole) chart.set({ ...chart.latest, marks: signs });
  byId("decision-list").replaceChildren(list(inRange, units));
  const wanted = knobCharts(state.decisions, state.knobs, shown, onzoom);
  // Charts that are there already stay, so that an open table and the focus stay too.
  turned = wanted.map(({ chart, all }) => ({ chart: turned.find((one) => one.chart.title === chart.title)?.chart ?? chart, all }));
  byId("knob-charts").replaceChildren(...turned.map(({ chart }) => chart.node));
  for (const { chart, all } of turned) chart.set({ ...shown, step: 1, lines: [steps(all, shown, state.knobs)], marks: marks(all.filter((one) => one.at_ms >= shown.from && one.at_ms <= shown.to), units) });
  const open = byId("knobs").querySelector("details")?.open;
  byId("knobs").replaceChildren(fleet.knobs(state.knobs));
  byId("knobs").querySelector("details").open = open ?? false;
}

/** Sections that only some hosts have. */
async function optional() {
  await Promise.all([section("alerts", alerts), section("experiments", experiments), judge()]);
}

const absent = new Set();

async function section(id, build) {
  if (absent.has(id)) return;
  const nodes = await build(get);
  if (!nodes) absent.add(id);
  byId(id).hidden = !nodes;
  document.querySelector(`nav a[href="#${id}"]`).hidden = !nodes;
  if (nodes) byId(id).querySelector("div").replaceChildren(...nodes);
}

/** The score of health with its reasons, from hosts that judge themselves. */
async function judge() {
  if (absent.has("health")) return;
  const { health, kpis = [] } = (await get("/api/monitoring/dashboard/overview")) ?? {};
  if (!health) return absent.add("health");
  cards.aim(kpis);
  for (const { chart, kpi } of charts) chart.aim(kpis.find((one) => one.name === kpi)?.target);
  state.health = health;
  byId("reasons").hidden = !health.reasons.length;
  byId("reasons").textContent = `Health ${Math.round(health.score)} of 100: ${health.reasons.map((one) => one.reason).join("; ")}.`;
}

/** What an event of the live feed says. */
function tell(event) {
  const { status, resources } = event;
  const engine = status.engine?.provider ?? "";
  const isOther = engine !== state.engine || hasGpu(event) !== state.hasGpu || (state.newest !== undefined && state.newest !== event.newest_decision);
  Object.assign(state, { engine, status, hasGpu: hasGpu(event), newest: event.newest_decision });
  document.documentElement.dataset.sequence = event.sequence;
  cards.tell(event);
  for (const { chart, isOfGpu } of charts) if (isOfGpu) chart.node.hidden = !state.hasGpu;
  const isUp = status.status === "up", { health } = state;
  byId("health").textContent = isUp && health ? `${health.status} ${Math.round(health.score)}` : status.status;
  byId("health").className = `pill ${isUp ? HEALTH[health?.status] ?? "good" : "bad"}`;
  byId("about").textContent = `${status.listen} · version ${status.version} · up ${length(status.uptime_s * 1000)} · ${status.strategy?.name ?? "no strategy"}`;
  replace("providers", fleet.providers(status));
  replace("processes", [fleet.processes(resources), fleet.graphics(resources)]);
  replace("in-service", [fleet.inService(status)]);
  if (state.cache) figures.replaceChildren(fleet.cache(state.cache, status));
  scopes(status);
  if (isOther) refresh();
}

/** Rebuilds a table only when what it says has changed: a reader may be in the middle of it. */
function replace(id, nodes) {
  const host = byId(id), next = element("div", {}, nodes);
  if (host.textContent !== next.textContent || !host.firstChild) host.replaceChildren(...next.childNodes);
}

function scopes(status) {
  const names = (status.providers ?? []).flatMap((one) => [one.name, ...one.models.slice(0, 50).map((model) => `${one.name}/${model}`)]);
  // The chosen one stays when it is not served any more: the charts show it, and its history is still there.
  if (state.scope && !names.includes(state.scope)) names.push(state.scope);
  const known = [...byId("scope").options].slice(1).map((option) => option.value);
  if (names.join("\n") === known.join("\n")) return;
  byId("scope").replaceChildren(element("option", { value: "" }, "whole host"), ...names.map((name) => element("option", { value: name, selected: name === state.scope }, name)));
}

/** Follows the feed for as long as the page is open. */
async function follow() {
  for (;;) {
    const abort = new AbortController();
    let silence = setTimeout(() => abort.abort(), SILENCE_MS);
    try {
      for await (const event of events(abort.signal)) {
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), SILENCE_MS);
        if (event.event === "metrics") { tell(event); live("on", "live"); }
        if (event.event === "dropped") live("on", `live, ${event.missed} events missed`);
        if (event.event === "end") break;
      }
    } catch (error) {
      if (error instanceof NeedsToken) { await askForToken(); continue; }
    }
    clearTimeout(silence);
    live("off", "connection lost, retrying");
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function live(sign, text) {
  const node = byId("live");
  if (node.dataset.state === "off" && sign === "on") refresh();
  node.dataset.state = sign;
  if (node.textContent !== text) node.textContent = text;
}

function trouble(text) {
  byId("trouble").hidden = !text;
  byId("trouble").textContent = text;
}

function failed(error) {
  if (error instanceof NeedsToken) return;
  // A network error is what the sign of the live feed already says.
  trouble(error instanceof TypeError ? "The host does not answer; the figures below are the last that came." : error.message);
}

let asking = null;
function askForToken() {
  const dialog = byId("token");
  asking ??= new Promise((resolve) => {
    dialog.showModal();
    dialog.addEventListener("close", () => { keepToken(byId("token-value").value); asking = null; resolve(); refresh(); }, { once: true });
  });
  return asking;
}

function chooseRange() {
  for (const name of Object.keys(RANGES)) {
    const input = element("input", { type: "radio", name: "range", value: name, checked: name === state.range });
    input.addEventListener("change", () => { state.range = name; onzoom(null); });
    byId("ranges").append(element("label", {}, input, name));
  }
  byId("unzoom").addEventListener("click", () => onzoom(null));
  byId("scope").addEventListener("change", (event) => { state.scope = event.target.value; refresh(); });
}

function chooseTheme() {
  const wish = matchMedia("(prefers-color-scheme: dark)"), root = document.documentElement, button = byId("theme");
  const show = () => {
    const theme = localStorage.getItem("perfhost-theme") ?? (wish.matches ? "dark" : "light");
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(theme === "dark"));
  };
  wish.addEventListener("change", show);
  button.addEventListener("click", () => { localStorage.setItem("perfhost-theme", root.dataset.theme === "dark" ? "light" : "dark"); show(); });
  show();
}

/** Ranges up to an hour move every ten seconds, which is how fine history is; longer ones once a minute. */
function keepMoving() {
  let ticks = 0;
  setInterval(() => {
    ticks += 1;
    if (document.hidden || state.zoomed) return;
    if (RANGES[state.range] <= 60 * MINUTE || ticks % 6 === 0) refresh();
  }, 10_000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
}

chooseTheme();
chooseRange();
replace("providers", [pill("loading")]);
refresh();
keepMoving();
follow();
