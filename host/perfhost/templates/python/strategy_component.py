"""From the contract's exports (wit/strategy.wit) to the policy and back: the only file that knows the component model.

`wit_world` is generated while the component is built. What is raised as `Err` is the contract's `fault`.
"""

import wit_world.exports
from componentize_py_types import Err
from wit_world.exports.control import Description, Parameter, Verdict
from wit_world.exports.route import Plan
from wit_world.imports.types import (
    Bounds_IntegerRange, Effect, Fault_InvalidParameter, Fault_Unsupported, Proposal, Value_Integer,
)

from policy import PARAMETERS, Policy

# The interpreter's state is kept with the component: one policy for each instance.
policy = Policy()


class Control(wit_world.exports.Control):
    def describe(self):
        return Description(
            name="{{name}}",
            version="0.1.0",
            summary="raises engine slots while requests wait, and sends each request to the least loaded provider",
            goal="no request waits in an engine for a slot",
            reads=["engine_requests_deferred"],
            turns=["engine_slots"],
            parameters=[Parameter(name, unit, f"{default:g}", meaning) for name, unit, default, meaning in PARAMETERS],
        )

    def configure(self, parameters, knobs):
        slots = [knob for knob in knobs if knob.name == "engine_slots" and isinstance(knob.bounds, Bounds_IntegerRange)]
        try:
            policy.configure(parameters, {knob.scope: knob.bounds.value[1] for knob in slots})
        except ValueError as error:
            raise Err(Fault_InvalidParameter(str(error))) from None

    def propose(self, seen):
        return [
            Proposal(one.name, one.scope, Value_Integer(one.value), one.reason, Effect(one.metric, one.ratio), one.confidence)
            for one in policy.propose(seen)
        ]

    def learn(self, outcomes):
        for one in outcomes:
            policy.learn(one.name, one.scope, one.proposed.value, one.verdict == Verdict.ROLLED_BACK)

    def save(self):
        return policy.save()

    def restore(self, state):
        try:
            policy.restore(state)
        except (ValueError, KeyError, TypeError) as error:
            raise Err(Fault_Unsupported(str(error))) from None


class Route(wit_world.exports.Route):
    def fleet(self, names):
        """The policy ranks by numbers alone, so the names are not kept."""

    def plan_request(self, asked, candidates):
        return Plan(
            order=policy.order(candidates),
            cache_read=asked.deterministic,
            cache_write=asked.deterministic,
            cache_ttl_ms=0,  # zeros: the settings' own values
            first_byte_timeout_ms=0,
            hedge_after_ms=0,
            priority=asked.priority,
        )
