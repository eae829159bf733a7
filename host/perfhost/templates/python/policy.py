"""What this strategy decides, in plain Python: no bindings here, so that `python3 -m unittest` can call it as it is.

Tuning: an engine gets more slots while requests wait inside it, until a raise was rolled back.
Planning: the least loaded candidate first.
"""

import json
import math
from dataclasses import dataclass

# What a user may set: `perfhost --param waiting_min=2`. Name, unit, default, meaning.
PARAMETERS = [
    ("waiting_min", "count", 1.0, "requests waiting in an engine, on average, that call for more slots"),
    ("settle_s", "s", 20.0, "time after a change before the next one"),
]


@dataclass
class Change:
    """A knob change to ask for, as the contract's `proposal`; the value is a whole number."""

    name: str
    scope: str
    value: int
    reason: str
    metric: str  # the effect expected: this metric ...
    ratio: float  # ... becomes so many times what it is
    confidence: float


class Policy:
    def __init__(self):
        self.parameters = {name: default for name, _, default, _ in PARAMETERS}
        self.slot_limits = {}  # scope to the largest number of slots on offer
        self.ceilings = {}  # scope to the number of slots that was rolled back there: not asked for again
        self.changed_ms = 0

    def configure(self, given, slot_limits):
        """Takes the user's parameters, as text, and how many slots each engine may get. A ValueError says what is wrong."""
        parameters = {name: default for name, _, default, _ in PARAMETERS}
        for name, text in given:
            if name not in parameters:
                raise ValueError(f"`{name}` is unknown; there are {', '.join(parameters)}")
            try:
                parameters[name] = float(text)
            except ValueError:
                parameters[name] = math.nan
            if not 0 <= parameters[name] < math.inf:
                raise ValueError(f"`{name}` is {text}; it takes a number from 0")
        self.parameters, self.slot_limits = parameters, slot_limits

    def propose(self, seen):
        """At most one change: more slots for the first engine in which requests wait. `seen` is the observation."""
        if seen.now_ms - self.changed_ms < self.parameters["settle_s"] * 1000:
            return []
        for scope, limit in self.slot_limits.items():
            slots = setting(seen, "engine_slots", scope)
            waiting = level(seen, "engine_requests_deferred", scope)
            if slots is None or waiting is None or waiting < self.parameters["waiting_min"]:
                continue
            wanted = min(slots + max(1, slots // 2), limit, self.ceilings.get(scope, limit + 1) - 1)
            if wanted > slots:
                self.changed_ms = seen.now_ms
                reason = f"{waiting:.1f} requests wait for one of {slots} slots: try {wanted}"
                return [Change("engine_slots", scope, wanted, reason, "tokens_per_second", 1.1, 0.5)]
        return []

    def learn(self, name, scope, value, is_rolled_back):
        """Remembers what the host took back."""
        if name == "engine_slots" and is_rolled_back:
            self.ceilings[scope] = value

    def save(self):
        """What must outlive this instance."""
        return json.dumps({"version": 1, "ceilings": self.ceilings}).encode() if self.ceilings else b""

    def restore(self, state):
        """Takes what `save` gave, perhaps in an earlier version of this file. A ValueError says that it cannot."""
        known = json.loads(state.decode()) if state else {"version": 1, "ceilings": {}}
        if known["version"] != 1:
            raise ValueError(f"state of version {known['version']}; this strategy reads version 1")
        self.ceilings = known["ceilings"]

    def order(self, candidates):
        """The order in which to try the candidates of one request. Called for every request: keep it short."""
        is_any_on = any(one.weight > 0 for one in candidates)
        used = [at for at, one in enumerate(candidates) if one.weight > 0 or not is_any_on]
        return sorted(used, key=lambda at: load(candidates[at]))


def load(candidate):
    return (candidate.in_flight + candidate.queued + 1) / max(candidate.weight, 0.01)


def level(seen, name, scope):
    """The mean of a metric over the shortest window in which it was measured, or None."""
    found = [one for one in seen.metrics if one.name == name and one.scope == scope and one.summary.count > 0]
    return min(found, key=lambda one: one.window_ms).summary.mean if found else None


def setting(seen, name, scope):
    """The present value of a knob, or None."""
    return next((one.value.value for one in seen.settings if one.name == name and one.scope == scope), None)
