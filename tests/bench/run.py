#!/usr/bin/env python3
"""Measures perfhost beside other proxies in one run, and prints one table. `make bench` calls this.

    python3 tests/bench/run.py [--seconds 4] [--rounds 3] [--only perfhost,nginx] [--swap-seconds 20] [--calls 1000000] [--json FILE]
    python3 tests/bench/run.py --only experiments [--experiment-runs 1000]

Every round measures every target in turn, so that a machine whose speed drifts drifts for all; the median of the rounds
counts. nginx and vllm-router are measured where they are installed (PATH, or VLLM_ROUTER for the second).
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import strategies
import swaps

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
BENCH, PERFHOST = TARGET / "perfhost-bench", TARGET / "perfhost"
TICKS = os.sysconf("SC_CLK_TCK")

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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def descendants(pid):
    """A process and all that it started."""
    found = [pid]
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for inner in child.read_text().split():
                found += descendants(int(inner))
        except OSError:
            pass
    return found


def cpu_seconds(pid):
    total = 0
    for one in descendants(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / TICKS


def memory_mib(pid):
    """Proportional set size: shared pages counted once."""
    total = 0
    for one in descendants(pid):
        try:
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total / 1024


class Target:
    """One thing to measure: a port, and the process behind it (None for the provider itself)."""

    def __init__(self, name, port, process):
        self.name, self.port, self.process = name, port, process
        self.results, self.idle_mib, self.loaded_mib = {}, None, None

    def wait(self, path="/v1/models"):
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2).read()
                return self
            except urllib.error.HTTPError:
                return self
            except OSError:
                time.sleep(0.1)
        sys.exit(f"{self.name} does not answer")

    def load(self, kind, seconds, *flags):
        before = cpu_seconds(self.process.pid) if self.process else 0.0
        output = subprocess.run(
            [BENCH, "load", "--port", str(self.port), "--seconds", str(seconds), "--warm-up", "0.5", *flags],
            capture_output=True, text=True)
        if output.returncode != 0:
            print(f"{self.name}: {kind}: {output.stderr.strip()}", file=sys.stderr)
            return
        result = json.loads(output.stdout)
        if self.process:
            result["cpu_us_per_request"] = (cpu_seconds(self.process.pid) - before) * 1e6 / (result["requests"] * (seconds + 0.5) / seconds)
        self.results.setdefault(kind, []).append(result)

    def median(self, kind, figure):
        values = [one[figure] for one in self.results.get(kind, []) if figure in one]
        return statistics.median(values) if values else None


def start(command, folder, name, **options):
    log = open(Path(folder) / f"{name}.log", "wb")
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, **options)


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
    parser.add_argument("--experiment-runs", type=int, default=1000, help="runs with equal arms, of each kind; 0 for none")
    parser.add_argument("--calls", type=int, default=1_000_000, help="plans one after another, in each language")
    options = parser.parse_args()
    if options.only == ["experiments"]:
        experiments(options.experiment_runs)
        return
    build = ["cargo", "build", "--release", "--locked", "--package", "perfhost", "--package", "perfhost-bench"]
    subprocess.run(build, cwd=ROOT, check=True)
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
            for process in processes:
                os.killpg(process.pid, signal.SIGTERM)
            for process in processes:
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
    show(found)
    if swapped:
        swaps.show(swapped)
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
        options.json.write_text(json.dumps({"targets": {one.name: one.results for one in found}, "swaps": swapped, "strategy_calls": calls, "history_queries": queries}, indent=1))


if __name__ == "__main__":
    main()
