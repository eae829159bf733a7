"""Days with a peak at nine, without bindings and without WebAssembly: `python3 -m unittest`."""

import unittest
from types import SimpleNamespace as Record

from policy import DAY_MS, MINUTE_MS, STEP_MS, Policy

MIDNIGHT_MS = 20_000 * DAY_MS


def at(hours, minutes=0):
    return MIDNIGHT_MS + (hours * 60 + minutes) * MINUTE_MS


def history(metric, scope, from_ms, to_ms, step_ms):
    """Seven days: 12 requests at once from nine to ten, 1 at other times of the day, nothing at night."""
    assert (metric, scope, step_ms) == ("in_flight", "local", STEP_MS) and (to_ms - from_ms) / step_ms <= 1000
    for at_ms in range(from_ms, to_ms, step_ms):
        hour = at_ms % DAY_MS // (60 * MINUTE_MS)
        if hour >= 6:
            yield Record(at_ms=at_ms, count=900, mean=1.0, p95=12.0 if hour == 9 else 1.0)


def policy(*parameters):
    made = Policy()
    made.configure(parameters, {"local": (1, 64)})
    return made


def observation(now_ms, slots, in_flight=0):
    knob = Record(name="engine_slots", scope="local", value=Record(value=slots))
    return Record(now_ms=now_ms, settings=[knob], providers=[Record(name="local", in_flight=in_flight, queued=0)])


class DayPlanner(unittest.TestCase):
    def test_slots_are_raised_before_the_peak_step_by_step(self):
        made, slots, minute = policy(), 1, 0
        changes = []
        while minute < 120:
            for change in made.propose(observation(at(8, minute), slots), history):
                changes.append((minute, change.slots))
                slots = change.slots
            minute += 1
        # 30 minutes ahead, at most doubled, a minute apart.
        self.assertEqual(changes, [(30, 2), (31, 4), (32, 8), (33, 12)])

    def test_the_reason_names_the_time(self):
        (change,) = policy().propose(observation(at(8, 45), 8), history)
        self.assertEqual(change.slots, 12)
        self.assertIn("12.0 requests at once are usual by 09:00 UTC", change.reason)

    def test_slots_are_given_back_when_the_peak_is_over_and_nobody_needs_them(self):
        self.assertEqual(policy().propose(observation(at(11), 12, in_flight=9), history), [])
        (change,) = policy().propose(observation(at(11), 12), history)
        self.assertEqual(change.slots, 6)
        self.assertEqual(policy().propose(observation(at(11), 1), history), [])

    def test_times_without_history_change_nothing(self):
        self.assertEqual(policy().propose(observation(at(2), 4), history), [])
        self.assertEqual(policy().propose(observation(at(9), 4), lambda *_: []), [])

    def test_history_is_asked_for_once_a_quarter_of_an_hour(self):
        made, asked = policy(), []
        for minute in range(30):
            made.propose(observation(at(12, minute), 1), lambda *query: asked.append(query) or history(*query))
        self.assertEqual(len(asked), 2)

    def test_days_before_1970_are_not_asked_for(self):
        asked = []
        policy().propose(observation(0, 4), lambda *query: asked.append(query) or [])
        self.assertEqual(asked[0][2:4], (0, 0))

    def test_bounds_hold(self):
        (change,) = policy(("slots_max", "5")).propose(observation(at(9), 4), history)
        self.assertEqual(change.slots, 5)
        self.assertRaisesRegex(ValueError, "from 1 to 10", policy, ("days", "30"))
        self.assertRaisesRegex(ValueError, "days, lead_min", policy, ("hours", "1"))


if __name__ == "__main__":
    unittest.main()
