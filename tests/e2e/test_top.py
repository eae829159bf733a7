"""`perfhost top` in a pseudo-terminal, with real keys, and as one printed frame where there is no terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from host import BINARY, wait_for


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, command, columns=100, rows=30):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self.theirs, self.seen = theirs, ""
        environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True)

    def wait_for(self, text, seconds=30):
        """Reads until `text` is on the way to the screen, past what was read before."""
        deadline, fresh = time.monotonic() + seconds, ""
        while text not in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", fresh):
            assert time.monotonic() < deadline, f"{text!r} did not come: {fresh[-2000:]!r}"
            if select.select([self.ours], [], [], 0.1)[0]:
                fresh += os.read(self.ours, 65536).decode(errors="replace")
        self.seen += fresh

    def press(self, keys):
        os.write(self.ours, keys.encode())

    def end(self):
        while self.process.poll() is None:
            if select.select([self.ours], [], [], 0.1)[0]:
                self.seen += os.read(self.ours, 65536).decode(errors="replace")
        while select.select([self.ours], [], [], 0.1)[0]:
            self.seen += os.read(self.ours, 65536).decode(errors="replace")
        return self.process.returncode


def test_keys_choose_views_and_the_terminal_is_given_back(shared):
    shared.client().completions.create(model=shared.model, prompt="Top", max_tokens=4)
    wait_for("the request to be counted", lambda: shared.metric("response_time_ms", window="60s"))
    top = Terminal([BINARY, "top", "--host", shared.url])
    top.wait_for("[1 Overview]")
    top.wait_for("response time p95")
    top.press("2")
    top.wait_for("[2 Providers]")
    top.press("3")
    top.wait_for("engine_slots")
    top.press("\t")
    top.wait_for("[4 Decisions]")
    top.press("?")
    top.wait_for("Ctrl-C")
    top.press("q")
    assert top.end() == 0
    assert top.seen.count("\x1b[?1049h") == 1 and top.seen.rstrip().endswith("\x1b[?1049l"), "the screen was not given back"
    assert termios.tcgetattr(top.theirs)[3] == top.before[3], "the keys are still raw"


def test_it_goes_on_while_the_host_is_gone(start):
    host = start(model=None)
    top = Terminal([BINARY, "top", "--host", host.url])
    top.wait_for("perfhost")
    host.stop()
    top.wait_for("connection lost, retrying")
    top.press("\x03")
    assert top.end() == 0


def test_without_a_terminal_it_prints_one_frame(shared):
    done = subprocess.run([BINARY, "top", "--host", shared.url], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and "response time p95" in done.stdout and "\x1b" not in done.stdout
    assert set(shared.command("top")) == {"status", "kpis", "metrics", "resources", "knobs", "decisions"}
    done = subprocess.run([BINARY, "top", "--host", "http://127.0.0.1:9"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "no perfhost is running" in done.stderr
