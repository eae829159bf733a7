"""Finds a Chromium for the tests: one that is installed, or the one that the npm package @sparticuz/chromium carries."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "tools" / "chromium"
PACKAGE = "@sparticuz/chromium@153.0.0"
# Unpacks the program, the libraries that a bare machine lacks, and fonts, into TMPDIR.
UNPACK = 'import chromium from "@sparticuz/chromium"; console.log(await chromium.executablePath());'
INSTALLED = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A test runs as root in containers, where Chromium's own sandbox cannot start.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"]


def launch_options():
    """What Playwright needs to start a browser; None when this machine can have none."""
    for name in INSTALLED:
        if program := shutil.which(name):
            return {"executable_path": program, "args": ARGUMENTS}
    return carried()


def carried():
    """The browser of the npm package, fetched once."""
    unpacked = FOLDER / "unpacked"
    program = unpacked / "chromium"
    if not program.exists():
        npm, node = shutil.which("npm"), shutil.which("node")
        if not npm or not node:
            return None
        unpacked.mkdir(parents=True, exist_ok=True)
        # The name of a Lambda runtime makes the package unpack its libraries as well.
        environment = {**os.environ, "TMPDIR": str(unpacked), "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs20.x"}
        for command in ([npm, "install", "--silent", "--no-save", "--prefix", str(FOLDER), PACKAGE],
                        [node, "--input-type=module", "--eval", UNPACK]):
            done = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True)
            if done.returncode != 0:
                print(f"no browser: {' '.join(command[:2])}: {done.stderr[-500:]}")
                return None
    # The package's own list of font folders names those of the service that it was made for.
    fonts = FOLDER / "fonts.conf"
    folders = "".join(f"<dir>{folder}</dir>" for folder in (unpacked / "fonts", "/usr/share/fonts"))
    fonts.write_text(f"<?xml version='1.0'?><fontconfig>{folders}<cachedir>{FOLDER / 'fonts-cache'}</cachedir></fontconfig>")
    libraries = os.pathsep.join(filter(None, [str(unpacked / "al2023" / "lib"), os.environ.get("LD_LIBRARY_PATH")]))
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries, "FONTCONFIG_FILE": str(fonts)}
    return {"executable_path": str(program), "args": [*ARGUMENTS, "--headless=shell"], "env": environment}
