#!/usr/bin/env python3
"""Three experiments on a real engine whose ends are known beforehand: do they end so?

    python3 examples/ab/prove.py target/release/perfhost

All answers of eight clients together come faster the more of them the engine computes at once, each single one faster the
fewer: so each of two objectives has its winner, and a strategy beside itself has none. Takes twenty minutes on two cores.
Needs what `perfhost setup` fetches, and a machine that does nothing else: an engine on two cores is slowed down by whatever
runs beside it, in one arm's turn and not in the other's.
"""

import sys
import time

import demo

WITHIN_55_MS = {"--objective": "goodput", "--slo-token": "55ms", "--slo-ttft": "1m"}
ITSELF = {"--b": demo.INCUMBENT, "--max-duration": "5m"}
# What is asked, on which terms, how it may end, and what serves then.
EXPECTED = [
    ("tokens per second of all", {}, ["promoted-confirmed"], demo.CHALLENGER),
    ("tokens within 55 ms", WITHIN_55_MS, ["incumbent-better"], demo.INCUMBENT),
    ("a strategy beside itself", ITSELF, ["no-difference", "inconclusive"], demo.INCUMBENT),
]


def main():
    program, = sys.argv[1:] or sys.exit(__doc__)
    rows, is_good = [], True
    for what, terms, endings, serves in EXPECTED:
        began = time.monotonic()
        found = demo.run(program, terms)
        took = time.monotonic() - began
        as_expected = found["ending"] in endings and found["in_service"] == serves and not found["failed"]
        is_good = is_good and as_expected
        counts = f"{found['answered']} answered, {found['failed']} failed"
        rows.append(f"{'ok  ' if as_expected else 'FAIL'} {what}: {found['ending']}, {found['in_service']} serves; "
                    f"{counts}; {took // 60:.0f} min {took % 60:.0f} s")
    print("\n" + "\n".join(rows))
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
