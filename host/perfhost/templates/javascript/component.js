// From the contract's exports (wit/strategy.wit) to the policy and back: the only file that knows the component model.
// Integers of 64 bits are plain numbers here, exact up to 2^53, and what is thrown is the contract's `fault`.

import { PARAMETERS, Policy } from './policy.js';

const policy = new Policy();

export const control = {
  describe() {
    return {
      name: '{{name}}',
      version: '0.1.0',
      summary: 'raises engine slots while requests wait, and sends each request to the least loaded provider',
      goal: 'no request waits in an engine for a slot',
      reads: ['engine_requests_deferred'],
      turns: ['engine_slots'],
      parameters: PARAMETERS.map((one) => ({ ...one, default: String(one.default) })),
    };
  },
  configure(parameters, knobs) {
    faultOf('invalid-parameter', () => policy.configure(parameters, knobs));
  },
  propose(seen) {
    return policy.propose(seen);
  },
  learn(outcomes) {
    policy.learn(outcomes);
  },
  save() {
    return toBytes(policy.save());
  },
  restore(state) {
    faultOf('unsupported', () => policy.restore(fromBytes(state)));
  },
};

export const route = {
  // The policy ranks by numbers alone, so the names are not kept.
  fleet(_names) {},
  planRequest(asked, candidates) {
    return policy.plan(asked, candidates);
  },
};

// The engine inside the component has no TextEncoder: state is JSON, and JSON can do with ASCII.
function toBytes(text) {
  const ascii = text.replace(/[^\x20-\x7e]/g, (unit) => '\\u' + unit.charCodeAt(0).toString(16).padStart(4, '0'));
  return Uint8Array.from(ascii, (letter) => letter.charCodeAt(0));
}

function fromBytes(bytes) {
  return Array.from(bytes, (code) => String.fromCharCode(code)).join('');
}

function faultOf(tag, action) {
  try {
    return action();
  } catch (error) {
    throw { tag, val: error.message };
  }
}
