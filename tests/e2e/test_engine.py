"""The managed engine: killed under load, replaced under load."""

import os
import signal
import time

import openai
from host import wait_for
from load import Load


def test_an_engine_killed_under_load_comes_back_and_nobody_hangs(start):
    host = start("--set", "engine_slots=4")
    first = host.engine()
    with Load(host, clients=6) as load:
        wait_for("answers", lambda: load.answers >= 6)
        os.kill(first["pid"], signal.SIGKILL)
        wait_for("a new engine process", lambda: host.engine()["pid"] not in (None, first["pid"]) and host.engine()["phase"] == "ready")
        before = load.answers
        wait_for("answers again", lambda: load.answers >= before + 12)
        failures = len(load.failures)
        time.sleep(1)
        assert len(load.failures) == failures, "requests still fail after the engine is back"
    assert host.engine()["restarts"] >= 1
    for failure in load.failures:
        # Clear: an error with a message of ours, or a stream that was visibly cut.
        assert isinstance(failure, (openai.APIStatusError, openai.APIConnectionError, openai.APIError)), repr(failure)
        if isinstance(failure, openai.APIStatusError):
            assert failure.status_code in (502, 503, 504) and "local" in str(failure), str(failure)


def test_a_reload_knob_replaces_the_engine_without_a_failed_request(start, tmp_path):
    config = tmp_path / "perfhost.toml"
    config.write_text("[knobs.local]\nengine_slots = 1\n")
    host = start("--config", str(config), "--plugin", "conservative", "--interval-ms", "60000")
    first = host.engine()
    with Load(host, clients=4) as load:
        wait_for("answers", lambda: load.answers >= 4)
        config.write_text("[knobs.local]\nengine_slots = 4\n")
        wait_for("four slots", lambda: host.engine()["settings"]["slots"] == 4 and host.engine()["phase"] == "ready")
        before = load.answers
        wait_for("answers from the new engine", lambda: load.answers >= before + 12)
    assert not load.failures, load.failures
    assert host.engine()["pid"] != first["pid"]
    wait_for("the old process to end", lambda: not is_running(first["pid"]))


def is_running(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def test_stopping_the_host_leaves_no_engine_behind(start):
    host = start()
    engine = host.engine()["pid"]
    host.terminate()
    assert host.process.wait(60) == 0
    wait_for("the engine to end", lambda: not is_running(engine), seconds=10)


def test_an_engine_does_not_outlive_a_killed_host(start):
    host = start()
    engine = host.engine()["pid"]
    host.process.kill()
    host.process.wait()
    wait_for("the engine to end", lambda: not is_running(engine), seconds=15)
