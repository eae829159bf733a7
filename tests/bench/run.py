#!/usr/bin/env python3
"""Measures perfhost beside other proxies in one run, and prints one table. `make bench` calls this.

    python3 tests/bench/run.py [--seconds 4] [--rounds 3] [--only perfhost,nginx] [--swap-seconds 20] [--calls 1000000] [--json FILE]
    python3 tests/bench/run.py --only experiments [--experiment-runs 1000]
    python3 tests/bench/run.py --only watching [--watching-seconds 150]

Every round measures every target in turn, so that a machine whose speed drifts drifts for all; the median of the rounds
counts. nginx and vllm-router are measured where they are installed (PATH, or VLLM_ROUTER for the second).
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import strategies
import swaps
import watching
from target import BENCH, PERFHOST, ROOT, TARGET, Target, free_port, memory_mib, start

NGINX = """
worker_processes {workers}; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream provider {{ server 127.0.0.1:{upstream}; keepalive 128; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 1000000000;
    location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""


def targets(folder, only):
    upstream_port = free_port()
    upstream = start([BENCH, "upstream", "--port", str(upstream_port)], folder, "upstream")
    yield Target("direct", upstream_port, None).wait(), upstream
    wanted = lambda name: not only or name in only
    if wanted("nginx") and shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
        port = free_port()
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(workers=os.cpu_count(), folder=folder, port=port, upstream=upstream_port))
        program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        process = start([program, "-c", str(config), "-p", folder], folder, "nginx")
        yield Target("nginx", port, process).wait(), process
    if wanted("perfhost"):
        port = free_port()
        process = start(
            [PERFHOST, "--listen", f"127.0.0.1:{port}", "--data-dir", f"{folder}/data", "--no-discovery", "--no-engine",
             "--plugin", "balanced", "--upstream", f"http://127.0.0.1:{upstream_port}"], folder, "perfhost")
        yield Target("perfhost", port, process).wait(), process
    router = os.environ.get("VLLM_ROUTER") or shutil.which("vllm-router")
    if wanted("vllm-router") and router:
        port = free_port()
        process = start(
            [router, "--host", "127.0.0.1", "--port", str(port), "--worker-urls", f"http://127.0.0.1:{upstream_port}",
             "--policy", "round_robin", "--prometheus-port", str(free_port())], folder, "vllm-router")
        yield Target("vllm-router", port, process).wait("/health"), process


def swap(folder, processes, seconds):
    """Swaps under load, on a host of its own: every request that it ever planned counts."""
    plugin = next((ROOT / "target" / "guests").glob("**/guest/balanced.wasm"), None)
    if not seconds or plugin is None:
        return None
    upstream_port, port = free_port(), free_port()
    processes.append(start([BENCH, "upstream", "--port", str(upstream_port)], folder, "swap-upstream"))
    processes.append(start(
        [PERFHOST, "--listen", f"127.0.0.1:{port}", "--data-dir", f"{folder}/swap-data", "--no-discovery", "--no-engine",
         "--plugin", "balanced", "--upstream", f"http://127.0.0.1:{upstream_port}", "--interval-ms", "3600000"], folder, "swap-perfhost"))
    Target("perfhost", port, processes[-1]).wait()
    return swaps.measure(BENCH, port, plugin, seconds)


def measure(all_targets, rounds, seconds):
    for target in all_targets:
        if target.process:
            target.idle_mib = memory_mib(target.process.pid)
    for _ in range(rounds):
        for target in all_targets:
            target.load("one", seconds, "--connections", "1")
        for target in all_targets:
            target.load("many", seconds, "--connections", "32")
        for target in all_targets:
            target.load("stream", seconds / 2, "--connections", "1", "--stream")
        for target in all_targets:
            if target.name == "perfhost":
                target.load("hit", seconds / 2, "--connections", "1", "--deterministic")
    for target in all_targets:
        if target.process:
            target.loaded_mib = memory_mib(target.process.pid)


def show(all_targets):
    direct = all_targets[0]
    header = ["target", "p50 us", "added p50", "p99 us", "added p99", "req/s at 32", "CPU us/req", "stream first byte added us", "MiB idle", "MiB loaded"]
    rows = [header]
    cell = lambda value, places=0: "-" if value is None else f"{value:.{places}f}"
    for target in all_targets:
        added = lambda kind, figure: (
            None if target is direct or target.median(kind, figure) is None else target.median(kind, figure) - direct.median(kind, figure))
        rows.append([
            target.name, cell(target.median("one", "p50_us")), cell(added("one", "p50_us")), cell(target.median("one", "p99_us")),
            cell(added("one", "p99_us")), cell(target.median("many", "requests_per_second")), cell(target.median("many", "cpu_us_per_request"), 1),
            cell(added("stream", "first_byte_p50_us")), cell(target.idle_mib, 1), cell(target.loaded_mib, 1)])
    widths = [max(len(row[at]) for row in rows) for at in range(len(header))]
    for row in rows:
        print("  ".join(text.ljust(width) if at == 0 else text.rjust(width) for at, (text, width) in enumerate(zip(row, widths))))
    for target in all_targets:
        if target.median("hit", "p50_us") is not None:
            print(f"\n{target.name}: a cache hit takes {target.median('hit', 'p50_us'):.0f} us (p50), {target.median('hit', 'p99_us'):.0f} us (p99)")


def end(processes):
    for process in processes:
        os.killpg(process.pid, signal.SIGTERM)
    for process in processes:
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def watch(rounds, seconds, memory_seconds):
    """What recording requests costs, on hosts of its own."""
    processes = []
    with tempfile.TemporaryDirectory(prefix="perfhost-bench-") as folder:
        try:
            return watching.measure(folder, processes, rounds, seconds, memory_seconds)
        finally:
            end(processes)


def history_queries():
    """What a question to thirty days of history costs, from telemetry's own measurement."""
    program = TARGET / "examples" / "history_queries"
    done = subprocess.run([program], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def experiments(runs):
    """False winners, power and requests of simulated experiments. The same on every machine; only its speed differs."""
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--package", "perfhost-strategy", "--example", "experiment_simulation"],
        cwd=ROOT, check=True)
    print("\nexperiments (simulated, see docs/experiments-statistics.md):\n", flush=True)
    program = TARGET / "examples" / "experiment_simulation"
    subprocess.run([program, str(runs), str(max(1, runs * 2 // 5))], check=True)


def figures(value, path=""):
    """The numbers in a nested result, each with its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from figures(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            name = f"{inner['candidates']} candidates" if isinstance(inner, dict) and "candidates" in inner else str(at)
            yield from figures(inner, f"{path} {name}")
    elif isinstance(value, (int, float)):
        yield path, f"{value:,.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--swap-seconds", type=float, default=20, help="0 for no swaps")
    parser.add_argument("--watching-seconds", type=float, default=150, help="of requests to 2,000 series; windows hold 120")
    parser.add_argument("--experiment-runs", type=int, default=1000, help="runs with equal arms, of each kind; 0 for none")
    parser.add_argument("--calls", type=int, default=1_000_000, help="plans one after another, in each language")
    options = parser.parse_args()
    if options.only == ["experiments"]:
        experiments(options.experiment_runs)
        return
    build = ["cargo", "build", "--release", "--locked", "--package", "perfhost", "--package", "perfhost-bench"]
    subprocess.run(build, cwd=ROOT, check=True)
    if options.only == ["watching"]:
        watched = watch(options.rounds, options.seconds, options.watching_seconds)
        watching.show(watched)
        if options.json:
            options.json.write_text(json.dumps({"watching": watched}, indent=1))
        return
    for package, example in [("perfhost-wasm", "strategy_calls"), ("perfhost-telemetry", "history_queries")]:
        subprocess.run(["cargo", "build", "--release", "--locked", "--package", package, "--example", example], cwd=ROOT, check=True)
    processes = []
    with tempfile.TemporaryDirectory(prefix="perfhost-bench-") as folder:
        try:
            found = []
            for target, process in targets(folder, options.only):
                found.append(target)
                processes.append(process)
            time.sleep(2)
            measure(found, options.rounds, options.seconds)
            swapped = swap(folder, processes, options.swap_seconds)
        finally:
            end(processes)
    show(found)
    if swapped:
        swaps.show(swapped)
    watched = None if options.only else watch(options.rounds, options.seconds, options.watching_seconds)
    if watched:
        watching.show(watched)
    built_in = next((ROOT / "target" / "guests").glob("**/guest/balanced.wasm"), None)
    calls = strategies.measure(TARGET / "examples" / "strategy_calls", options.calls, built_in)
    strategies.show(calls)
    queries = history_queries()
    if queries:
        print("\nquestions to history (one metric of one scope, the store holding thirty days):")
        for name, figure in figures(queries):
            print(f"  {name:44} {figure}")
    if options.experiment_runs and (not options.only or "experiments" in options.only):
        experiments(options.experiment_runs)
    if options.json:
        options.json.write_text(json.dumps({"targets": {one.name: one.results for one in found}, "swaps": swapped, "watching": watched, "strategy_calls": calls, "history_queries": queries}, indent=1))


if __name__ == "__main__":
    main()
