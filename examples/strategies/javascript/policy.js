// Which provider a request costs least at, among those that keep to their error budget. Plain JavaScript, no bindings.

/** Minutes over which failures are counted: the window of the error budget. */
const WINDOW_MIN = 60;
/** Failures that an error budget holds at least, so that one bad answer among a few does not spend it. */
const FAILURES_MIN = 3;
/** Providers that are kept account of. */
const PROVIDERS_MAX = 64;

/** What a user may set, as text: name, unit, default, meaning. */
export const PARAMETERS = [
  { name: 'prices', unit: 'USD/Mtoken', default: '', meaning: 'price of each provider: openai=10,groq=0.6; others cost nothing' },
  { name: 'error_budget', unit: 'ratio', default: '0.01', meaning: 'share of requests that may fail within an hour' },
  { name: 'full_at', unit: 'count', default: '8', meaning: 'requests at a provider from which the next dearer one is tried first' },
];

export class Policy {
  constructor() {
    this.set(read([]));
    /** Provider of each target, by the index that candidates carry. */
    this.providers = [];
    /** Provider to its minutes of the last hour: `[minute since 1970, requests, failures]`. */
    this.ledger = {};
    this.minute = 0;
    this.spent = new Set();
  }

  set({ prices, errorBudget, fullAt }) {
    this.prices = prices;
    this.errorBudget = errorBudget;
    this.fullAt = fullAt;
  }

  /** Takes the user's parameters, as text. Throws an Error that says what is allowed. */
  configure(given) {
    this.set(read(given));
  }

  fleet(targets) {
    this.providers = targets.map((target) => target.provider);
  }

  /** Once a minute: enters the minute that passed into each provider's ledger. Asks for no knob. */
  propose(seen) {
    const minute = Math.floor(seen.nowMs / 60_000);
    if (minute === this.minute) return [];
    this.minute = minute;
    for (const { name } of seen.providers) {
      const share = lastMinute(seen.metrics, 'error_rate', name);
      const minutes = (this.ledger[name] ?? []).filter(([at]) => at > minute - WINDOW_MIN);
      if (share !== null) minutes.push([minute, share.count, Math.round(share.count * share.mean)]);
      if (minutes.length === 0) delete this.ledger[name];
      else if (name in this.ledger || Object.keys(this.ledger).length < PROVIDERS_MAX) this.ledger[name] = minutes;
    }
    this.settle();
    return [];
  }

  /** Works out whose budget is spent. */
  settle() {
    this.spent = new Set();
    for (const [name, minutes] of Object.entries(this.ledger)) {
      const requests = minutes.reduce((sum, [, count]) => sum + count, 0);
      const failures = minutes.reduce((sum, [, , count]) => sum + count, 0);
      if (failures > Math.max(FAILURES_MIN, this.errorBudget * requests)) this.spent.add(name);
    }
  }

  /** The ledger, as text: it is what planning instances learn from, too. */
  save() {
    return Object.keys(this.ledger).length === 0 ? '' : JSON.stringify({ version: 1, minute: this.minute, ledger: this.ledger });
  }

  restore(text) {
    const state = text === '' ? { version: 1, minute: 0, ledger: {} } : JSON.parse(text);
    if (state.version !== 1) throw new Error(`state of version ${state.version}; this strategy reads version 1`);
    this.minute = state.minute;
    this.ledger = state.ledger;
    this.settle();
  }

  /** Within budget before spent, free places before full ones, then the cheapest, then the least loaded. */
  plan(asked, candidates) {
    const isAnyOn = candidates.some((candidate) => candidate.weight > 0);
    const ranked = [];
    candidates.forEach((candidate, index) => {
      if (isAnyOn && candidate.weight <= 0) return;
      const provider = this.providers[candidate.target];
      const load = candidate.inFlight + candidate.queued;
      // What fails right now need not wait for the hour's account.
      const isSpent = this.spent.has(provider) || candidate.errorRate > 0.5;
      const price = candidate.cost > 0 ? candidate.cost : (this.prices[provider] ?? 0);
      ranked.push({ index, isSpent, isFull: load >= this.fullAt, price, load: load / Math.max(candidate.weight, 0.01) });
    });
    ranked.sort(
      (one, other) => one.isSpent - other.isSpent || one.isFull - other.isFull || one.price - other.price || one.load - other.load,
    );
    return {
      order: ranked.map((one) => one.index),
      cacheRead: asked.deterministic,
      cacheWrite: asked.deterministic,
      cacheTtlMs: 0, // zeros: the settings' own values
      firstByteTimeoutMs: 0,
      hedgeAfterMs: 0,
      priority: asked.priority,
    };
  }
}

function read(given) {
  const texts = Object.fromEntries(PARAMETERS.map((one) => [one.name, one.default]));
  for (const [name, text] of given) {
    if (!(name in texts)) throw new Error(`\`${name}\` is unknown; there are ${Object.keys(texts).join(', ')}`);
    texts[name] = text;
  }
  const number = (name, text, least, most) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= least && value <= most)) {
      throw new Error(`\`${name}\` is ${text}; it takes a number from ${least} to ${most}`);
    }
    return value;
  };
  const prices = {};
  for (const entry of texts.prices.split(',').filter((entry) => entry.trim() !== '')) {
    const [provider, price] = entry.split('=');
    if (price === undefined) throw new Error(`\`prices\` has ${entry}; it takes provider=price, with commas between`);
    prices[provider.trim()] = number(`prices ${provider.trim()}`, price, 0, 1e6);
  }
  return { prices, errorBudget: number('error_budget', texts.error_budget, 0, 1), fullAt: number('full_at', texts.full_at, 1, 1e6) };
}

/** A metric of one provider over the window of a minute: count and mean, or null. */
function lastMinute(metrics, name, scope) {
  const found = metrics.find((one) => one.name === name && one.scope === scope && one.windowMs === 60_000);
  return found === undefined || found.summary.count === 0 ? null : { count: found.summary.count, mean: found.summary.mean };
}
