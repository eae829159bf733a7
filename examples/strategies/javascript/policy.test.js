// Prices, places and budgets, without bindings and without WebAssembly: `npm test`, or `node --test`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Policy } from './policy.js';

const LOCAL = 0;
const CHEAP = 1;
const DEAR = 2;
const MINUTE = 60_000;

function policy(parameters = []) {
  const made = new Policy();
  made.configure([['prices', 'cheap=0.6, dear=10'], ...parameters]);
  made.fleet(['local', 'cheap', 'dear'].map((provider) => ({ provider, model: 'm', kind: 'openai-compatible' })));
  return made;
}

function order(made, changes = {}) {
  const candidates = [LOCAL, CHEAP, DEAR].map((target) => ({
    target, inFlight: 0, queued: 0, errorRate: 0, cost: 0, weight: 1, ...changes[target],
  }));
  return made.plan({ deterministic: false, priority: 0 }, candidates).order;
}

/** A minute in which so many requests ended at `local`, and such a share of them failed. */
function observation(minute, count, mean) {
  const metric = { name: 'error_rate', scope: 'local', windowMs: MINUTE, summary: { count, mean } };
  return { nowMs: minute * MINUTE, providers: [{ name: 'local' }, { name: 'cheap' }], metrics: count > 0 ? [metric] : [] };
}

test('the cheapest comes first, the dearest last', () => {
  assert.deepEqual(order(policy()), [LOCAL, CHEAP, DEAR]);
  assert.deepEqual(order(policy(), { [DEAR]: { cost: 0.1 }, [LOCAL]: { cost: 5 } }), [DEAR, CHEAP, LOCAL], 'what the host knows counts first');
});

test('a provider without room comes after dearer ones that have some', () => {
  assert.deepEqual(order(policy(), { [LOCAL]: { inFlight: 5, queued: 3 } }), [CHEAP, DEAR, LOCAL]);
  assert.deepEqual(order(policy([['full_at', '9']]), { [LOCAL]: { inFlight: 8 } }), [LOCAL, CHEAP, DEAR]);
});

test('a provider that spent its error budget comes last, until the hour has passed', () => {
  const made = policy();
  made.propose(observation(1_000, 100, 0.02));
  assert.deepEqual(order(made), [LOCAL, CHEAP, DEAR], 'two failures are no reason yet');
  made.propose(observation(1_001, 100, 0.05));
  assert.deepEqual(order(made), [CHEAP, DEAR, LOCAL]);
  made.propose(observation(1_030, 5_000, 0));
  assert.deepEqual(order(made), [LOCAL, CHEAP, DEAR], 'many good answers earn it back');

  const slow = policy();
  slow.propose(observation(1_000, 100, 0.05));
  slow.propose(observation(1_059, 0, 0));
  assert.deepEqual(order(slow), [CHEAP, DEAR, LOCAL]);
  slow.propose(observation(1_060, 0, 0));
  assert.deepEqual(order(slow), [LOCAL, CHEAP, DEAR]);
});

test('what fails now need not wait for the account', () => {
  assert.deepEqual(order(policy(), { [LOCAL]: { errorRate: 0.8 } }), [CHEAP, DEAR, LOCAL]);
});

test('a minute is entered once, and planning instances learn by save and restore', () => {
  const [control, planning] = [policy(), policy()];
  control.propose(observation(1_000, 100, 0.03));
  control.propose(observation(1_000, 100, 0.03));
  assert.deepEqual(order(control), [LOCAL, CHEAP, DEAR]);
  control.propose(observation(1_001, 100, 0.03));
  planning.restore(control.save());
  assert.deepEqual(order(planning), [CHEAP, DEAR, LOCAL]);
  planning.restore('');
  assert.deepEqual(order(planning), [LOCAL, CHEAP, DEAR]);
  assert.throws(() => planning.restore('{"version":2}'), /version 2/);
});

test('parameters are checked', () => {
  assert.throws(() => policy([['prices', 'cheap']]), /provider=price/);
  assert.throws(() => policy([['prices', 'cheap=free']]), /prices cheap.*number/);
  assert.throws(() => policy([['error_budget', '2']]), /from 0 to 1/);
  assert.throws(() => policy([['budget', '1']]), /prices, error_budget, full_at/);
});
