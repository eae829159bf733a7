#!/usr/bin/env python3
"""Runs every check and test, installs the tools they need, and ends with the counts. `make test` calls this.

    python3 tests/run.py            everything
    python3 tests/run.py NAME ...   only these steps (see STEPS)

Tools go to target/tools and target/e2e; the engine and the model to the library folder that perfhost itself uses.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TOOLS = TARGET / "tools"
VENV = TARGET / "e2e" / "venv"
# Versions that are known to work; raise them on purpose.
NEXTEST, DENY = "0.9.143", "0.20.2"


class Counts:
    """What ran, over all steps."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def read(self, output):
        """Adds up the closing lines of the test runners in `output`. Returns whether there were any."""
        found = False
        for run, rest in re.findall(r"Summary \[[^\]]*\] +(\d+)(?:/\d+)? tests? run:(.*)", output):
            found = True
            for amount, word in re.findall(r"(\d+) (passed|failed|skipped|timed out|exec failed)", rest):
                self.add(int(amount), word)
        for passed, failed, ignored in re.findall(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", output):
            found = True
            self.add(int(passed), "passed")
            self.add(int(failed), "failed")
            self.add(int(ignored), "skipped")
        for line in re.findall(r"^=+ (.*\d+ (?:passed|failed|error).*) in .*=+$", output, re.M):
            found = True
            for amount, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)", line):
                self.add(int(amount), word)
        return found

    def add(self, amount, word):
        if word == "passed":
            self.passed += amount
        elif word == "skipped":
            self.skipped += amount
        else:
            self.failed += amount


def run(command, counts=None, env=None):
    """Runs a command, shows what it prints, and fails the step when it fails."""
    print("+ " + " ".join(map(str, command)), flush=True)
    environment = {**os.environ, "PATH": f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}", **(env or {})}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = []
    for line in process.stdout:
        sys.stdout.write(line)
        output.append(line)
    sys.stdout.flush()
    status = process.wait()
    text = re.sub(r"\x1b\[[0-9;]*m", "", "".join(output))
    if counts is not None and not counts.read(text) and status == 0:
        raise StepFailed("no test ran")
    if status != 0:
        raise StepFailed(f"exit status {status}")
    return text


class StepFailed(Exception):
    """A step did not do what it should."""


def tool(name, version):
    """Makes sure that a cargo tool is there. Built without optimisation: building takes longer than running."""
    path = os.pathsep.join([str(TOOLS / "bin"), os.environ["PATH"]])
    if shutil.which(f"cargo-{name}", path=path) is None:
        env = {"CARGO_TARGET_DIR": str(TARGET / "tools" / "build"), "RUSTFLAGS": ""}
        run(["cargo", "install", "--locked", "--debug", "--root", str(TOOLS), f"cargo-{name}@{version}"], env=env)


def formatting(_):
    run(["cargo", "fmt", "--all", "--check"])


def clippy(_):
    run(["cargo", "clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"])


def deny(_):
    tool("deny", DENY)
    run(["cargo", "deny", "check", "bans", "licenses", "sources"])


def advisories(counts):
    """The advisory database lives in a git repository; without a way there the step counts as skipped."""
    tool("deny", DENY)
    fetched = subprocess.run(
        ["cargo", "deny", "fetch", "db"], cwd=ROOT, capture_output=True,
        env={**os.environ, "PATH": f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}"},
    )
    if fetched.returncode != 0:
        print("skipped: the advisory database cannot be reached from this machine")
        counts.add(1, "skipped")
        return
    run(["cargo", "deny", "check", "advisories"])


def rust(counts):
    tool("nextest", NEXTEST)
    run(["cargo", "nextest", "run", "--locked", "--workspace", "--no-fail-fast"], counts)


def documents(counts):
    run(["cargo", "test", "--locked", "--workspace", "--doc"], counts)


def registry():
    """Debian's docker-registry, unpacked into target/tools; None where there is no apt or no way to its mirror. Nothing is
    installed, so nobody need be root."""
    folder = TOOLS / "docker-registry"
    binary = folder / "usr" / "bin" / "docker-registry"
    if binary.exists():
        return binary
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    # The machine's own lists of packages may be missing; then they are fetched into a folder of our own.
    own = ["-o", f"Dir::State={folder / 'state'}", "-o", f"Dir::Cache={folder / 'cache'}", "-o", "Dir::State::status=/var/lib/dpkg/status"]
    download = ["download", "docker-registry"]
    attempts = ([["apt-get", *download]], [["apt-get", *own, "update"], ["apt-get", *own, *download]])
    for commands in attempts:
        for part in ("state/lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        done = all(subprocess.run(command, cwd=folder, capture_output=True).returncode == 0 for command in commands)
        packages = sorted(folder.glob("docker-registry_*.deb"))
        if done and packages:
            run(["dpkg-deb", "-x", str(packages[-1]), str(folder)])
            return binary if binary.exists() else None
    return None


def pytest(folder, counts, environment=None):
    """Runs a folder of pytest tests against the binary as cargo builds it for tests."""
    python = VENV / "bin" / "python"
    if not python.exists():
        run([sys.executable, "-m", "venv", str(VENV)])
    run([str(python), "-m", "pip", "install", "--quiet", "--requirement", "tests/e2e/requirements.txt"])
    run([str(python), "-m", "pytest", folder, "-p", "no:cacheprovider", "--durations=15"], counts,
        env={"PERFHOST_BINARY": str(TARGET / "debug" / "perfhost"), "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})})


def binary():
    """Builds the binary as the tests' build does: by itself, with fewer features of its dependencies, it would have most of
    them built once more."""
    run(["cargo", "test", "--locked", "--workspace", "--no-run", "--quiet"])


def authoring(counts):
    """Strategies in every language: templates, guides and examples, built with pinned tools and served."""
    binary()
    run([sys.executable, "tests/authoring/toolchain.py", str(TOOLS)])
    pytest("tests/authoring", counts)


def e2e(counts):
    """The real engine, the real model and real clients against the binary as cargo builds it for tests."""
    binary()
    guests = [f"--package={folder.name}" for folder in sorted((ROOT / "tests" / "guests").iterdir())
              if folder.is_dir() and folder.name != "guest-nosy"]
    run(["cargo", "build", "--locked", "--profile", "guest", "--target", "wasm32-unknown-unknown",
         "--target-dir", str(TARGET / "guests"), *guests])
    run([str(TARGET / "debug" / "perfhost"), "setup"])
    pytest("tests/e2e", counts, {"PERFHOST_REGISTRY": str(registry() or "")})


STEPS = [formatting, clippy, deny, advisories, rust, documents, authoring, e2e]


def main():
    wanted = sys.argv[1:]
    unknown = set(wanted) - {step.__name__ for step in STEPS}
    if unknown:
        sys.exit(f"no step is called {', '.join(unknown)}; there are {', '.join(step.__name__ for step in STEPS)}")
    counts, results = Counts(), []
    for step in STEPS:
        if wanted and step.__name__ not in wanted:
            continue
        print(f"\n=== {step.__name__}", flush=True)
        started = time.monotonic()
        try:
            step(counts)
            verdict = "ok"
        except StepFailed as failure:
            verdict = f"FAILED: {failure}"
        results.append((step.__name__, verdict, time.monotonic() - started))
    print("\n=== summary")
    for name, verdict, seconds in results:
        print(f"{name:12} {seconds:7.1f} s  {verdict}")
    broken = [name for name, verdict, _ in results if verdict != "ok"]
    # A step that failed without a failed test (formatting, a build) must show in the counts as well.
    if broken and counts.failed == 0:
        counts.failed = len(broken)
    print(f"\n{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped")
    sys.exit(1 if broken or counts.failed else 0)


if __name__ == "__main__":
    main()
