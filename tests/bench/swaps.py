"""Swaps strategies under 10,000 requests a second and shows what clients saw of it, 100 ms by 100 ms. `run.py` calls this.

A swap to a built-in strategy takes it from memory; "new" is a file that has to be compiled first. The rows are
medians over all swaps of a kind: the 99th percentile of the times of the requests that were due in each 100 ms around it.
"""

import json
import statistics
import subprocess
import sys

RATE = 10_000
WINDOW_MS = 100
AROUND = range(-3, 6)


def measure(bench, port, new_plugin, seconds):
    """Runs the load against the host on `port`; None when a request failed or was not planned exactly once."""
    swaps = ["conservative", f"new:{new_plugin}", "aggressive", f"new:{new_plugin}"]
    command = [bench, "swaps", "--port", str(port), "--rate", str(RATE), "--seconds", str(seconds)]
    done = subprocess.run([*command, *(f"--swap={swap}" for swap in swaps)], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"swaps: {done.stderr.strip()}", file=sys.stderr)
        return None
    return json.loads(done.stdout)


def show(result):
    windows = result["windows"]
    quiet = [window["p99_us"] for window in windows if window["swap"] is None]
    busy = [window["p99_us"] for window in windows if window["swap"] is not None]
    print(f"\nswaps under {result['requests_per_second']:,.0f} requests/s (open loop, timed from when each was due): "
          f"{len(result['swaps'])} swaps, {result['requests']:,} requests, none failed, each planned once")
    print(f"  whole run: p50 {result['p50_us']:.0f} us, p99 {result['p99_us']:.0f} us, longest {result['max_us']:.0f} us")
    for name, values in (("without a swap", quiet), ("with a swap", busy)):
        if values:
            deciles = statistics.quantiles(values, n=10) if len(values) > 1 else values * 9
            print(f"  p99 of 100 ms {name:15} median {statistics.median(values):6.0f} us, nine in ten under {deciles[-1]:6.0f} us")
    print("  p99 in us by 100 ms, from the one in which the swap was asked for:")
    print(f"  {'':14}{'took ms':>9}" + "".join(f"{at * WINDOW_MS:>+8}" for at in AROUND))
    for kind in sorted({swap["what"] for swap in result["swaps"]}):
        of_kind = [swap for swap in result["swaps"] if swap["what"] == kind]
        cells = []
        for offset in AROUND:
            places = [swap["at_ms"] // WINDOW_MS + offset for swap in of_kind]
            values = [windows[place]["p99_us"] for place in places if 0 <= place < len(windows)]
            cells.append(f"{statistics.median(values):8.0f}" if values else f"{'-':>8}")
        took = statistics.median(swap["took_ms"] for swap in of_kind)
        print(f"  {kind:14}{took:>9.1f}" + "".join(cells))
