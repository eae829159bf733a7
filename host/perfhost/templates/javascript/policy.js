// What this strategy decides, in plain JavaScript: no bindings here, so that `node --test` can call it as it is.
//
// Tuning: an engine gets more slots while requests wait inside it, until a raise was rolled back.
// Planning: the least loaded candidate first.

/** What a user may set, with its default: `perfhost --param waiting_min=2`. */
export const PARAMETERS = [
  { name: 'waiting_min', unit: 'count', default: 1, meaning: 'requests waiting in an engine, on average, that call for more slots' },
  { name: 'settle_s', unit: 's', default: 20, meaning: 'time after a change before the next one' },
];

export class Policy {
  constructor() {
    this.parameters = Object.fromEntries(PARAMETERS.map((one) => [one.name, one.default]));
    this.knobs = [];
    /** Scope to the number of slots that was rolled back there: not asked for again. */
    this.ceilings = {};
    this.changedMs = 0;
  }

  /** Takes the user's parameters, as text, and the knobs on offer. Throws an Error that says what is allowed. */
  configure(given, knobs) {
    const parameters = Object.fromEntries(PARAMETERS.map((one) => [one.name, one.default]));
    for (const [name, text] of given) {
      if (!(name in parameters)) {
        throw new Error(`\`${name}\` is unknown; there are ${Object.keys(parameters).join(', ')}`);
      }
      const value = Number(text);
      if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
        throw new Error(`\`${name}\` is ${text}; it takes a number from 0`);
      }
      parameters[name] = value;
    }
    this.parameters = parameters;
    this.knobs = knobs;
  }

  /** At most one change: more slots for the first engine in which requests wait. */
  propose(seen) {
    const { nowMs } = seen;
    if (nowMs - this.changedMs < this.parameters.settle_s * 1000) return [];
    for (const knob of this.knobs) {
      if (knob.name !== 'engine_slots' || knob.bounds.tag !== 'integer-range') continue;
      const slots = integer(seen.settings, 'engine_slots', knob.scope);
      const waiting = level(seen.metrics, 'engine_requests_deferred', knob.scope);
      if (slots === null || waiting === null || waiting < this.parameters.waiting_min) continue;
      const most = Math.min(knob.bounds.val[1], (this.ceilings[knob.scope] ?? Infinity) - 1);
      const wanted = Math.min(slots + Math.max(1, Math.floor(slots / 2)), most);
      if (wanted <= slots) continue;
      this.changedMs = nowMs;
      return [{
        name: 'engine_slots',
        scope: knob.scope,
        value: { tag: 'integer', val: wanted },
        reason: `${waiting.toFixed(1)} requests wait for one of ${slots} slots: try ${wanted}`,
        expected: { metric: 'tokens_per_second', ratio: 1.1 },
        confidence: 0.5,
      }];
    }
    return [];
  }

  /** Remembers what the host took back. */
  learn(outcomes) {
    for (const { name, scope, proposed, verdict } of outcomes) {
      if (name === 'engine_slots' && verdict === 'rolled-back') this.ceilings[scope] = proposed.val;
    }
  }

  /** What must outlive this instance, as text. */
  save() {
    return Object.keys(this.ceilings).length === 0 ? '' : JSON.stringify({ version: 1, ceilings: this.ceilings });
  }

  /** Takes what `save` gave, perhaps in an earlier version of this file. Throws an Error when it cannot read it. */
  restore(text) {
    const state = text === '' ? { version: 1, ceilings: {} } : JSON.parse(text);
    if (state.version !== 1) throw new Error(`state of version ${state.version}; this strategy reads version 1`);
    this.ceilings = state.ceilings;
  }

  /** The order in which to try the candidates, and what the cache may do. Called for every request: keep it short. */
  plan(asked, candidates) {
    const isAnyOn = candidates.some((candidate) => candidate.weight > 0);
    const load = ({ inFlight, queued, weight }) => (inFlight + queued + 1) / Math.max(weight, 0.01);
    const order = [...candidates.keys()].filter((index) => !isAnyOn || candidates[index].weight > 0);
    order.sort((one, other) => load(candidates[one]) - load(candidates[other]));
    return {
      order,
      cacheRead: asked.deterministic,
      cacheWrite: asked.deterministic,
      cacheTtlMs: 0, // zeros: the settings' own values
      firstByteTimeoutMs: 0,
      hedgeAfterMs: 0,
      priority: asked.priority,
    };
  }
}

/** The mean of a metric over the shortest window in which it was measured, or null. */
function level(metrics, name, scope) {
  let found = null;
  for (const metric of metrics) {
    if (metric.name !== name || metric.scope !== scope || metric.summary.count === 0) continue;
    if (found === null || metric.windowMs < found.windowMs) found = metric;
  }
  return found === null ? null : found.summary.mean;
}

/** The present value of a knob that takes whole numbers, or null. */
function integer(settings, name, scope) {
  const setting = settings.find((one) => one.name === name && one.scope === scope);
  return setting?.value.tag === 'integer' ? setting.value.val : null;
}
