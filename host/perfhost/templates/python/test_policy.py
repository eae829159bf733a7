"""Tests of the policy, without bindings and without WebAssembly: `python3 -m unittest`."""

import unittest
from types import SimpleNamespace as Record

from policy import Policy


def policy(parameters=()):
    """A policy that may give one engine 8 slots at most."""
    made = Policy()
    made.configure(parameters, {"local": 8})
    return made


def observation(now_ms, waiting):
    """What the host shows of one engine with 4 slots in which so many requests wait."""

    def metric(window_ms, mean):
        summary = Record(count=10, mean=mean)
        return Record(name="engine_requests_deferred", scope="local", window_ms=window_ms, summary=summary)

    slots = Record(name="engine_slots", scope="local", value=Record(value=4))
    return Record(now_ms=now_ms, settings=[slots], metrics=[metric(60_000, 0.0), metric(10_000, waiting)])


class Tuning(unittest.TestCase):
    def test_waiting_requests_bring_half_as_many_slots_again_once_the_last_change_has_settled(self):
        busy = policy()
        (change,) = busy.propose(observation(100_000, 3.0))
        self.assertEqual((change.scope, change.value), ("local", 6))
        self.assertIn("3.0 requests wait", change.reason)
        self.assertEqual(busy.propose(observation(110_000, 3.0)), [])
        self.assertEqual(len(busy.propose(observation(120_000, 3.0))), 1)

    def test_nothing_is_asked_for_while_nothing_waits(self):
        self.assertEqual(policy().propose(observation(100_000, 0.5)), [])
        self.assertEqual(Policy().propose(observation(100_000, 3.0)), [], "the knob is not on offer")

    def test_what_was_rolled_back_is_not_asked_for_again_by_the_next_instance_neither(self):
        first, second = policy(), policy()
        first.learn("engine_slots", "local", 5, is_rolled_back=True)
        second.restore(first.save())
        self.assertEqual(second.propose(observation(100_000, 3.0)), [])
        self.assertRaisesRegex(ValueError, "version 2", second.restore, b'{"version": 2}')

    def test_parameters_are_checked(self):
        self.assertEqual(policy([("waiting_min", "5")]).propose(observation(100_000, 3.0)), [])
        self.assertRaisesRegex(ValueError, "many.*number", policy, [("waiting_min", "many")])
        self.assertRaisesRegex(ValueError, "waiting_min, settle_s", policy, [("slots", "1")])


class Planning(unittest.TestCase):
    def test_the_least_loaded_candidate_comes_first(self):
        loads = [(5, 1.0), (0, 0.0), (1, 1.0), (4, 4.0)]
        candidates = [Record(in_flight=in_flight, queued=0, weight=weight) for in_flight, weight in loads]
        self.assertEqual(policy().order(candidates), [3, 2, 0], "by load for its weight; weight 0 is left out")
        self.assertEqual(policy().order(candidates[1:2]), [0], "unless there is nothing else")


if __name__ == "__main__":
    unittest.main()
