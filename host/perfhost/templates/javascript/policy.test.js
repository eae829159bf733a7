// Tests of the policy, without bindings and without WebAssembly: `npm test`, or `node --test`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Policy } from './policy.js';

const KNOB = { name: 'engine_slots', scope: 'local', bounds: { tag: 'integer-range', val: [1, 8] } };

/** What the host shows of one engine with 4 slots in which so many requests wait. */
function observation(nowMs, waiting) {
  return {
    nowMs,
    settings: [{ name: 'engine_slots', scope: 'local', value: { tag: 'integer', val: 4 } }],
    metrics: [
      { name: 'engine_requests_deferred', scope: 'local', windowMs: 10000, summary: { count: 10, mean: waiting } },
      { name: 'engine_requests_deferred', scope: 'local', windowMs: 60000, summary: { count: 60, mean: 0 } },
    ],
  };
}

function policy() {
  const made = new Policy();
  made.configure([], [KNOB]);
  return made;
}

test('waiting requests bring half as many slots again, once the last change has settled', () => {
  const busy = policy();
  const [change] = busy.propose(observation(100_000, 3));
  assert.deepEqual(change.value, { tag: 'integer', val: 6 });
  assert.equal(change.scope, 'local');
  assert.match(change.reason, /3\.0 requests wait/);
  assert.deepEqual(busy.propose(observation(110_000, 3)), []);
  assert.equal(busy.propose(observation(120_000, 3)).length, 1);
});

test('nothing is asked for while nothing waits', () => {
  assert.deepEqual(policy().propose(observation(100_000, 0.5)), []);
  assert.deepEqual(new Policy().propose(observation(100_000, 3)), [], 'the knob is not on offer');
});

test('what was rolled back is not asked for again, by the next instance neither', () => {
  const first = policy();
  first.learn([{ name: 'engine_slots', scope: 'local', proposed: { tag: 'integer', val: 5 }, verdict: 'rolled-back' }]);
  const second = policy();
  second.restore(first.save());
  assert.deepEqual(second.propose(observation(100_000, 3)), []);
  assert.throws(() => second.restore('{"version":2}'), /version 2/);
});

test('parameters are checked', () => {
  const made = policy();
  made.configure([['waiting_min', '5']], [KNOB]);
  assert.deepEqual(made.propose(observation(100_000, 3)), []);
  assert.throws(() => made.configure([['waiting_min', 'many']], []), /many.*number/);
  assert.throws(() => made.configure([['slots', '1']], []), /waiting_min, settle_s/);
});

test('the least loaded candidate comes first', () => {
  const asked = { deterministic: true, priority: 0 };
  const candidate = (inFlight, queued, weight) => ({ inFlight, queued, weight });
  const plan = policy().plan(asked, [candidate(5, 0, 1), candidate(0, 0, 0), candidate(1, 0, 1), candidate(2, 2, 4)]);
  assert.deepEqual(plan.order, [3, 2, 0], 'by load for its weight; weight 0 is left out');
  assert.deepEqual(policy().plan(asked, [candidate(1, 0, 0)]).order, [0], 'unless there is nothing else');
  assert.ok(plan.cacheRead && plan.cacheWrite);
});
