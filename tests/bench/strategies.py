"""What calls into strategies cost, one strategy a language, beside the aims. The sandbox measures itself; see
`host/perfhost-wasm/examples/strategy_calls`.

The four are the fixtures of the released contract: one strategy, written four times, that gives the same answers in each.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "0.1.0"
LANGUAGES = ["rust", "c", "python", "javascript"]

# The highest value that is as it should be, in the order of LANGUAGES.
PLAN_3, PLAN_10 = "plan over 3 candidates, us", "plan over 10 candidates, us"
CACHED, FAILED, GROWN = "load from the cache, ms", "plans that failed", "process grew after the first tenth, MiB"
AIMS = {
    PLAN_3: [0.8, 0.8, 25, 60],
    PLAN_10: [1.4, 1.4, None, None],
    CACHED: [1, 1, 20, 10],
    FAILED: [0, 0, 0, 0],
}


def measure(program, calls, built_in=None):
    """Runs the program over the fixtures, and over a built-in strategy where its file is given: one object for each."""
    if not program.exists():
        return []
    named = [f"{language}={FIXTURES / language}.wasm.lzma" for language in LANGUAGES]
    named += [f"balanced={built_in}"] if built_in else []
    done = subprocess.run([program, "--calls", str(calls), *named], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        print("strategy calls: not all were measured; see above", file=sys.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def figures(measured):
    """The lines of the table, for one strategy. Times are the best of repeated rounds: the rest is the machine's noise."""
    mib = lambda count: count / (1 << 20)
    plan, instance, endured = measured["plan_us"], measured["instance"], measured["endurance"]
    counts = endured["instances"]
    return {
        "plan over 1 candidate, us": plan["1"]["batches"]["min"],
        PLAN_3: plan["3"]["batches"]["min"],
        PLAN_10: plan["10"]["batches"]["min"],
        "plan over 3, median of batches": plan["3"]["batches"]["p50"],
        "plan over 3, p99 of single calls": plan["3"]["single"]["p99"],
        "propose, us": measured["propose_us"]["min"],
        "new instance and its first plan, us": instance["new_with_first_plan_us"]["min"],
        "load, nothing compiled, ms": measured["load_cold_ms"],
        CACHED: measured["load_cached_us"]["min"] / 1e3,
        "load from the cache, median, ms": measured["load_cached_us"]["p50"] / 1e3,
        "memory of an instance, MiB": mib(instance["memory_bytes"]),
        "of that resident when new, MiB": mib(instance["resident_bytes"]),
        "plans one after another": endured["plans"],
        FAILED: endured["failed"],
        "us a plan, replacing instances included": endured["mean_us"],
        "instances replaced": counts["retired"],
        "plans that found none free": counts["missed"],
        "largest instance, MiB": mib(endured["most_instance_bytes"]),
        GROWN: mib(endured["most_resident_bytes"] - endured["most_resident_bytes_in_first_tenth"]),
    }


def show(measured):
    if not measured:
        return
    columns = [one["name"] for one in measured]
    cell = lambda number: f"{number:,}" if isinstance(number, int) else f"{number:,.2f}"
    found = [figures(one) for one in measured]
    rows = [["", *columns, "aims"]]
    over = []
    for name in found[0]:
        aims = AIMS.get(name, [])
        rows.append([name, *(cell(one[name]) for one in found),
                     " / ".join("-" if aim is None else f"{aim:g}" for aim in aims)])
        for language, aim in zip(LANGUAGES, aims):
            value = next((one[name] for column, one in zip(columns, found) if column == language), 0)
            if aim is not None and value > aim:
                over.append(f"{language}: {name} is {value:.2f}, the aim is {aim:g}")
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    print("\nstrategy calls (aims: rust / c / python / javascript):")
    for row in rows:
        print("  " + "  ".join(text.ljust(width) if at == 0 else text.rjust(width) for at, (text, width) in enumerate(zip(row, widths))))
    for one in measured:
        stages = ", ".join(f"{stage} {duration}" for stage, duration in one["load_cached_best_stages_us"].items())
        print(f"  {one['name']}: us of each stage of a load from the cache: {stages}")
    for line in over:
        print(f"  over the aim: {line}")
