"""Start, reload, drain, and what is left after a kill."""

import json
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest
from host import BINARY, Host, wait_for


def test_a_stop_lets_streams_run_to_their_end(start):
    host = start()
    chunks = []
    stream = host.client().completions.create(
        model=host.model, prompt="Draining", max_tokens=60, stream=True, extra_body={"ignore_eos": True})
    first = threading.Event()

    def read():
        for chunk in stream:
            chunks.append(chunk)
            first.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert first.wait(30)
    host.terminate()
    reader.join(60)
    assert chunks[-1].choices[0].finish_reason == "length" and host.process.wait(60) == 0
    with pytest.raises(urllib.error.URLError):
        host.api("/health")


def test_a_changed_configuration_is_taken_over_and_a_bad_one_refused(start, tmp_path):
    config = tmp_path / "perfhost.toml"
    config.write_text("[knobs]\nretries = 1\n")
    host = start("--config", str(config), model=None)

    def retries():
        return next(knob["value"] for knob in host.api("/api/knobs")["knobs"] if knob["name"] == "retries")

    assert retries() == 1
    config.write_text("[knobs]\nretries = 4\n")
    wait_for("the new value", lambda: retries() == 4)
    config.write_text("[knobs]\nretries = 400\n")
    wait_for("the refusal", lambda: "refused" in host.log_text())
    assert "knobs.retries" in host.log_text() and "0 to 10" in host.log_text() and retries() == 4
    config.write_text("[knobs]\nretries = 2\n")
    host.process.send_signal(1)  # SIGHUP
    wait_for("the value after SIGHUP", lambda: retries() == 2)


def test_a_second_host_cannot_use_the_same_data_folder(start):
    host = start(model=None)
    second = subprocess.run(
        [BINARY, "--listen", "127.0.0.1:0", "--data-dir", str(host.data_dir), "--no-discovery", "--no-engine"],
        capture_output=True, text=True, timeout=30)
    assert second.returncode == 1 and str(host.process.pid) in second.stderr and "--data-dir" in second.stderr


def test_a_killed_host_loses_at_most_the_last_second(start):
    host = start("--set", "engine_slots=2")
    answered = []
    for number in range(6):
        host.client().completions.create(model=host.model, prompt=f"Kept {number}", max_tokens=2)
        answered.append(time.time())
        time.sleep(0.4)
    time.sleep(1.1)
    host.process.kill()
    host.process.wait()
    with sqlite3.connect(f"file:{host.data_dir}/perfhost.db?mode=ro", uri=True) as store:
        assert store.execute("pragma integrity_check").fetchone() == ("ok",)
    again = Host(host.data_dir, ["--set", "engine_slots=2"])
    try:
        again.wait_until_ready()
        history = again.api("/api/metrics/historical?metric=response_time_ms&from=-10m&step=10s")
        assert sum(point["count"] for point in history["points"]) == len(answered)
    finally:
        again.stop()


def test_without_provider_and_engine_the_message_names_the_command_that_helps(tmp_path):
    host = Host(tmp_path / "data", ["--library-dir", str(tmp_path / "empty")], model=None)
    try:
        host.wait_until_ready()
        with pytest.raises(urllib.error.HTTPError) as failure:
            host.api("/v1/completions", "POST", json.dumps({"model": "any", "prompt": "x"}).encode())
        assert failure.value.code == 503
        assert "perfhost setup" in host.log_text()
        assert "perfhost setup" in failure.value.read().decode()
    finally:
        host.stop()


def test_an_engine_that_is_not_there_is_named_with_the_remedy(tmp_path):
    done = subprocess.run(
        [BINARY, "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "data"), "--library-dir", str(tmp_path / "empty"),
         "--no-discovery", "--model", "gemma-3-270m"],
        capture_output=True, text=True, timeout=30, env={"PATH": "/nonexistent", "HOME": str(tmp_path)})
    assert done.returncode == 1 and "perfhost setup" in done.stderr, done.stderr
