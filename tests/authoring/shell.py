"""Runs what a document tells its reader to type, as it stands there."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TOOLS = TARGET / "tools"
BINARY = Path(os.environ["PERFHOST_BINARY"])


def blocks(text):
    """The fenced blocks of a document as pairs of language and text."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)


def commands(text):
    """The lines of a document's shell blocks."""
    return [line for language, block in blocks(text) if language == "sh" for line in block.splitlines()]


class Shell:
    """A reader's terminal: remembers its folder from one block to the next."""

    def __init__(self, folder, **environment):
        self.folder = Path(folder)
        self.environment = {
            **os.environ, "PYTHONDONTWRITEBYTECODE": "1", "npm_config_audit": "false", "npm_config_fund": "false",
            "PATH": f"{BINARY.parent}{os.pathsep}{os.environ['PATH']}",
            # Where the C projects' Makefile finds its tools; without it, it would fetch them into the project.
            "TOOLS": str(TOOLS), **environment,
        }
        # A project has a target folder of its own: documents name files in it.
        for name in ("CARGO_TARGET_DIR", "VIRTUAL_ENV"):
            self.environment.pop(name, None)

    def lend_crates(self):
        """Puts a target folder with the dependencies of all Rust projects where this one would make its own."""
        if (self.folder / "Cargo.toml").exists() and not (self.folder / "target").exists():
            (TOOLS / "rust").mkdir(parents=True, exist_ok=True)
            (self.folder / "target").symlink_to(TOOLS / "rust")

    def run(self, block):
        """Runs a block of commands; a failure is an assertion with everything that was printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{block}\necho \"folder: $PWD\""], cwd=self.folder, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=600,
        )
        assert done.returncode == 0, f"{block}\nexit status {done.returncode}:\n{done.stdout}"
        output, _, folder = done.stdout.rpartition("folder: ")
        self.folder = Path(folder.strip())
        return output
