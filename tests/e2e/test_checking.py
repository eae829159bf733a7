"""`perfhost plugin check` beside a running host: the observations that it recorded are shown to a strategy too."""

import json
import subprocess

from host import BINARY, wait_for


def test_a_strategy_is_checked_with_what_a_running_host_recorded(start):
    host = start("--plugin", "balanced", "--interval-ms", "500")
    host.client().completions.create(model=host.model, prompt="Recorded", max_tokens=4)

    def checked():
        words = ["plugin", "check", "balanced", "--recorded", str(host.data_dir), "--cases", "20", "--strict", "--output", "json"]
        done = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout) if done.returncode == 0 else None

    wait_for("recorded observations", lambda: (checked() or {"conformance": {"recorded": 0}})["conformance"]["recorded"] >= 3)
    assert checked()["verdict"] == "clean"
    assert host.api("/api/system/status")["status"] == "up"
