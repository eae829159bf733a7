"""The plan of the day: how many requests at once are usual at which time, and how many slots that calls for.

Plain Python: history comes in as a function, so that the tests need neither bindings nor a host.
"""

import math
from dataclasses import dataclass

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
STEP_MS = 15 * MINUTE_MS  # the plan's grain: 96 times a day
STEPS = DAY_MS // STEP_MS

# What a user may set: name, unit, default, least, most, meaning.
PARAMETERS = [
    ("days", "count", 7.0, 1, 10, "days of history to learn from"),
    ("lead_min", "min", 30.0, 0, 720, "how long before a rise slots are raised"),
    ("slots_max", "count", 16.0, 1, 64, "slots at most, whatever was usual"),
    ("retry_s", "s", 60.0, 1, 3600, "time after a change, or a refused one, before the next"),
]


@dataclass
class Change:
    """A change of engine_slots to ask for."""

    scope: str
    slots: int
    reason: str
    ratio: float  # tokens_per_second is expected to become so many times what it is
    confidence: float


class Policy:
    def __init__(self):
        self.parameters = {name: default for name, _, default, *_ in PARAMETERS}
        self.bounds = {}  # engine to the lowest and highest number of slots on offer
        self.usual = {}  # engine to what was usual at each step of the day: a list of STEPS numbers, None for unknown
        self.learnt_step = None  # the step, counted from 1970, in which that was last learnt
        self.asked_ms = 0

    def configure(self, given, bounds):
        """Takes the user's parameters, as text, and the slots that each engine may get. A ValueError says what is wrong."""
        parameters = {name: default for name, _, default, *_ in PARAMETERS}
        ranges = {name: (least, most) for name, _, _, least, most, _ in PARAMETERS}
        for name, text in given:
            if name not in parameters:
                raise ValueError(f"`{name}` is unknown; there are {', '.join(parameters)}")
            try:
                parameters[name] = float(text)
            except ValueError:
                parameters[name] = math.nan
            least, most = ranges[name]
            if not least <= parameters[name] <= most:
                raise ValueError(f"`{name}` is {text}; it takes a number from {least} to {most}")
        self.parameters, self.bounds, self.learnt_step = parameters, bounds, None

    def propose(self, seen, history):
        """At most one change. `seen` is the observation; `history(metric, scope, from_ms, to_ms, step_ms)` gives points."""
        if seen.now_ms // STEP_MS != self.learnt_step:
            self.learn_days(seen.now_ms, history)
        if seen.now_ms - self.asked_ms < self.parameters["retry_s"] * 1000:
            return []
        for scope in self.bounds:
            change = self.change(seen, scope)
            if change is not None:
                self.asked_ms = seen.now_ms
                return [change]
        return []

    def learn_days(self, now_ms, history):
        """What was usual at each step of the day: the mean over the days of that step's 95th percentile."""
        self.learnt_step = now_ms // STEP_MS
        today_ms = now_ms // STEP_MS * STEP_MS
        for scope in self.bounds:
            found = [[] for _ in range(STEPS)]
            from_ms = max(0, today_ms - int(self.parameters["days"]) * DAY_MS)
            points = history("in_flight", scope, from_ms, today_ms, STEP_MS)
            for point in points:
                found[point.at_ms % DAY_MS // STEP_MS].append(point.p95)
            self.usual[scope] = [sum(step) / len(step) if step else None for step in found]

    def expected(self, scope, now_ms):
        """Requests at once that are usual from now to `lead_min` ahead, and the time of day of the most; None for unknown."""
        first, ahead = now_ms // STEP_MS, math.ceil(self.parameters["lead_min"] * MINUTE_MS / STEP_MS)
        steps = [(self.usual[scope][step % STEPS], step) for step in range(first, first + ahead + 1)]
        known = [(usual, -step) for usual, step in steps if usual is not None]
        if not known:
            return None
        usual, step = max(known)
        minutes = -step % STEPS * STEP_MS // MINUTE_MS
        return usual, f"{minutes // 60:02}:{minutes % 60:02}"

    def change(self, seen, scope):
        slots, expected = setting(seen, "engine_slots", scope), self.expected(scope, seen.now_ms)
        if slots is None or expected is None:
            return None
        usual, clock = expected
        lowest, highest = self.bounds[scope]
        highest = min(highest, int(self.parameters["slots_max"]))
        # One change may at most double or halve the slots.
        wanted = max(lowest, min(math.ceil(usual), highest, slots * 2), math.ceil(slots / 2))
        if wanted > slots:
            reason = f"{usual:.1f} requests at once are usual by {clock} UTC: {slots} slots to {wanted} before they come"
        elif wanted <= slots / 2 and busy(seen, scope) <= wanted:
            # A replaced engine costs its prompt cache: fewer slots only where the difference is worth it.
            reason = f"no more than {usual:.1f} requests at once are usual until {clock} UTC: {slots} slots to {wanted}"
        else:
            return None
        return Change(scope, wanted, reason, (wanted / slots) ** 0.3, 0.6 if wanted > slots else 0.4)


def busy(seen, scope):
    """Requests at the engine now."""
    return next((one.in_flight + one.queued for one in seen.providers if one.name == scope), 0)


def setting(seen, name, scope):
    """The present value of a knob, or None."""
    return next((one.value.value for one in seen.settings if one.name == name and one.scope == scope), None)
