"""From the contract's exports (the world `tuner`) to the policy and back: the only file that knows the component model.

`wit_world` is generated while the component is built. What is raised as `Err` is the contract's `fault`.
"""

import wit_world.exports
from componentize_py_types import Err
from wit_world.exports.control import Description, Parameter
from wit_world.imports import history
from wit_world.imports.types import Bounds_IntegerRange, Effect, Fault_InvalidParameter, Proposal, Value_Integer

from policy import PARAMETERS, Policy

policy = Policy()


class Control(wit_world.exports.Control):
    def describe(self):
        return Description(
            name="day-planner",
            version="0.1.0",
            summary="raises engine slots before the time of day at which requests usually come, learnt from recorded history",
            goal="the slots that the usual peak of the day needs are there before it",
            reads=["in_flight"],
            turns=["engine_slots"],
            parameters=[Parameter(name, unit, f"{default:g}", meaning) for name, unit, default, _, _, meaning in PARAMETERS],
        )

    def configure(self, parameters, knobs):
        slots = [knob for knob in knobs if knob.name == "engine_slots" and isinstance(knob.bounds, Bounds_IntegerRange)]
        try:
            policy.configure(parameters, {knob.scope: knob.bounds.value for knob in slots})
        except ValueError as error:
            raise Err(Fault_InvalidParameter(str(error))) from None

    def propose(self, seen):
        return [
            Proposal("engine_slots", one.scope, Value_Integer(one.slots), one.reason,
                     Effect("tokens_per_second", one.ratio), one.confidence)
            for one in policy.propose(seen, history.query)
        ]

    def learn(self, outcomes):
        """What is refused or rolled back is asked for again after `retry_s`: the day's plan stays as it is."""

    # The plan is learnt from the host's history, which outlives every instance: there is nothing to save.

    def save(self):
        return b""

    def restore(self, state):
        """There is nothing to restore."""
