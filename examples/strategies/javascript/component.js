// From the contract's exports (the world `strategy`) to the policy and back: the only file that knows the component model.

import { PARAMETERS, Policy } from './policy.js';

const policy = new Policy();

export const control = {
  describe() {
    return {
      name: 'frugal-router',
      version: '0.1.0',
      summary: 'sends each request to the cheapest provider that keeps to its error budget and has room',
      goal: 'the least cost at which no more than `error_budget` of requests fail',
      reads: ['error_rate'],
      turns: [],
      parameters: PARAMETERS,
    };
  },
  configure(parameters, _knobs) {
    faultOf('invalid-parameter', () => policy.configure(parameters));
  },
  propose(seen) {
    return policy.propose(seen);
  },
  learn(_outcomes) {},
  save() {
    return toBytes(policy.save());
  },
  restore(state) {
    faultOf('unsupported', () => policy.restore(fromBytes(state)));
  },
};

export const route = {
  fleet(names) {
    policy.fleet(names.targets);
  },
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
