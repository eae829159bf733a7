"""What is measured: processes on ports of their own, their processor time and memory, and load against them."""

import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
BENCH, PERFHOST = TARGET / "perfhost-bench", TARGET / "perfhost"
TICKS = os.sysconf("SC_CLK_TCK")


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
