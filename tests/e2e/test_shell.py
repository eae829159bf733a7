"""`perfhost shell`: commands and sentences from its standard input, against a running host."""

import subprocess

from host import BINARY, wait_for


def ask(host, *lines):
    return subprocess.run([BINARY, "shell", "--host", host.url], input="\n".join(lines), capture_output=True, text=True, timeout=60)


def test_commands_and_sentences_are_answered(shared):
    for number in range(6):
        shared.client().completions.create(model=shared.model, prompt=f"Shell {number}", max_tokens=2)
    wait_for("the requests to be counted", lambda: (shared.metric("response_time_ms", window="60s") or {"count": 0})["count"] >= 6)
    done = ask(shared, "/performance status", "why is gemma slow?", "what was decided?", "help", "quit", "never read")
    assert done.returncode == 0, done.stderr
    assert "strategy balanced" in done.stdout and "most of the time of local/gemma-3-270m goes" in done.stdout
    assert "CHANGE" in done.stdout or "(none)" in done.stdout
    assert "bottleneck" in done.stdout


def test_what_is_not_understood_fails_a_script(shared):
    done = ask(shared, "sing a song", "status")
    assert done.returncode == 1 and "not understood" in done.stderr and "strategy balanced" in done.stdout
