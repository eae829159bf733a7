"""What outlives a swap, another version and a restart, killed or not: the way back, what was learned, tuned settings."""

import json
import sqlite3
import stat
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest
from host import BINARY, Host, wait_for
from versions import version

FAKE_ENGINE = Path(__file__).resolve().parents[2] / "host" / "perfhost-upstream" / "tests" / "engine" / "fake_llama_server.py"


@pytest.fixture
def run(tmp_path):
    """A function that starts a host on the test's one data folder; it must have stopped or been killed before the next."""
    hosts = []

    def run_host(*flags, **options):
        host = Host(tmp_path / "data", ["--interval-ms", "500", *flags], **{"model": None, **options})
        hosts.append(host)
        return host.wait_until_ready()

    yield run_host
    for host in hosts:
        host.stop()


def kill(host):
    host.process.kill()
    host.process.wait()


def history(host):
    return host.command("plugin", "history", "--limit", "100")["generations"]


def learned(host):
    """What the guest has learned, by version: form and count."""
    with sqlite3.connect(f"file:{host.data_dir}/perfhost.db?mode=ro", uri=True) as store:
        rows = store.execute("select version, state from learned where strategy = 'versioned'").fetchall()
    return {number: (state.decode().split(":")[0], int(state.decode().split(":")[1])) for number, state in rows}


def setting(host, name, scope=""):
    return next(knob["value"] for knob in host.api("/api/knobs")["knobs"] if (knob["name"], knob["scope"]) == (name, scope))


def test_the_history_goes_on_after_a_kill_and_leads_back_to_a_file_that_is_gone(run, tmp_path):
    plugin = tmp_path / "mine.wasm"
    plugin.write_bytes(version(1))
    host = run("--plugin", "balanced")
    assert host.command("plugin", "swap", str(plugin))["in_service"]["version"] == "1.0.0"
    assert host.command("plugin", "swap", "conservative")["in_service"]["generation"] == 3
    assert [(one["number"], one["name"], one["why"]) for one in history(host)] == [
        (3, "conservative", "swap"), (2, "versioned", "swap"), (1, "balanced", "start")]
    digest = history(host)[1]["digest"]
    kill(host)
    plugin.unlink()

    host = run("--plugin", "conservative")
    newest, killed = history(host)[:2]
    assert (newest["number"], newest["why"], newest["to_ms"]) == (4, "start", None)
    assert killed["to_ms"] >= killed["from_ms"]
    back = host.command("plugin", "rollback")["in_service"]
    assert (back["digest"], back["generation"], back["why"], back["source"]) == (digest, 5, "rollback", str(plugin))
    assert history(host)[0]["detail"] == "generation 2"
    assert host.command("plugin", "rollback")["in_service"]["name"] == "balanced"
    with pytest.raises(urllib.error.HTTPError) as nothing:
        host.api("/api/strategies/rollback", "POST", b"{}")
    assert nothing.value.code == 409 and json.load(nothing.value)["error"]["code"] == "nothing_before"
    assert host.command("plugin", "rollback", "--to", "3")["in_service"]["name"] == "conservative"
    done = subprocess.run([BINARY, "plugin", "rollback", "--to", "99", "--host", host.url], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "generation 99 is not in the history" in done.stderr
    table = subprocess.run([BINARY, "plugin", "history", "--host", host.url], capture_output=True, text=True, timeout=30)
    assert "rollback: generation 2" in table.stdout and str(plugin) in table.stdout, table.stdout


def test_a_strategy_is_kept_at_hand_and_put_in_service_by_its_digest_also_after_a_restart(run, tmp_path):
    plugin = tmp_path / "mine.wasm"
    host = run("--plugin", "balanced")
    plugin.write_bytes(version(1))
    loaded = host.command("plugin", "load", str(plugin))["at_hand"]
    plugin.write_bytes(version(2))
    host.command("plugin", "load", str(plugin))
    assert host.api("/api/strategies")["in_service"]["name"] == "balanced"
    assert {one["version"] for one in host.api("/api/strategies")["at_hand"]} == {"1.0.0", "2.0.0"}
    done = subprocess.run([BINARY, "plugin", "swap", "versioned", "--host", host.url], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "versioned@1.0.0" in done.stderr and "versioned@2.0.0" in done.stderr, done.stderr
    assert host.command("plugin", "swap", "versioned@2.0.0")["in_service"]["version"] == "2.0.0"
    host.stop()

    host = run("--plugin", "balanced")
    swapped = host.command("plugin", "swap", loaded["digest"][:10])["in_service"]
    assert (swapped["digest"], swapped["version"]) == (loaded["digest"], "1.0.0")


def test_what_was_learned_passes_to_the_next_version_and_back_and_through_a_kill(run, tmp_path):
    """Version 2 reads the state of version 1 and writes another form, which version 1 does not read."""
    first, second = tmp_path / "first.wasm", tmp_path / "second.wasm"
    first.write_bytes(version(1))
    second.write_bytes(version(2, writes=2, reads=(1, 2)))
    host = run("--plugin", str(first))
    wait_for("five calls", lambda: learned(host).get("1.0.0", ("", 0))[1] >= 5)
    host.command("plugin", "swap", str(second))
    by_first = learned(host)["1.0.0"][1]
    wait_for("the next version's first call", lambda: learned(host).get("2.0.0", ("", 0))[1] > by_first)
    assert learned(host)["2.0.0"][0] == "2"
    wait_for("more calls", lambda: learned(host)["2.0.0"][1] >= by_first + 3)

    host.command("plugin", "rollback")
    assert "what was learned is not accepted" in host.log_text() and "it starts afresh" not in host.log_text()
    wait_for("version 1 to go on from its own", lambda: learned(host)["1.0.0"][1] > by_first)
    assert learned(host)["1.0.0"][1] < learned(host)["2.0.0"][1] + 100
    kill(host)

    before = learned(host)["1.0.0"][1]
    host = run("--plugin", str(first))
    wait_for("a call after the kill", lambda: learned(host)["1.0.0"][1] > before)

    stranger = tmp_path / "stranger.wasm"
    stranger.write_bytes(version(3, writes=3, reads=(3,)))
    host.command("plugin", "swap", str(stranger))
    assert "it starts afresh" in host.log_text()
    wait_for("its first call", lambda: learned(host).get("3.0.0"))
    assert learned(host)["3.0.0"][1] < before
    host.stop()

    host = run("--plugin", str(first), "--fresh")
    wait_for("a call after a fresh start", lambda: learned(host)["1.0.0"][1] < before)


# The guard keeps what it cannot measure for lack of traffic, and that soon.
QUICK_GUARD = "[tuning.guard]\nsettle_ms = 100\nreload_settle_ms = 100\nmeasure_ms = 500\nevidence_count = 0\n"


def test_settings_that_were_kept_are_begun_with_and_the_users_own_win(run, tmp_path):
    plugin, config = tmp_path / "versioned.wasm", tmp_path / "perfhost.toml"
    plugin.write_bytes(version(1))
    config.write_text(QUICK_GUARD)
    base = ["--config", str(config), "--plugin", str(plugin), "--upstream", "http://127.0.0.1:9"]
    host = run(*base, "--param", "ask=concurrency_limit=300")
    wait_for("it to be written down", lambda: b"concurrency_limit" in (tuned(host) or b""))
    kill(host)

    host = run(*base)
    assert setting(host, "concurrency_limit") == 300
    line = next(line for line in host.log_text().splitlines() if "start value" in line)
    assert "an earlier run" in line and "versioned@1.0.0" in line, line
    host.stop()

    config.write_text(QUICK_GUARD + "[limits]\nconcurrency_limit = [1, 280]\n")
    for flags, expected in (([], 280), (["--set", "concurrency_limit=77"], 77), (["--fresh"], 256)):
        host = run(*base, *flags)
        assert setting(host, "concurrency_limit") == expected, flags
        host.stop()


def tuned(host):
    with sqlite3.connect(f"file:{host.data_dir}/perfhost.db?mode=ro", uri=True) as store:
        found = store.execute("select value from state where key = 'tuned-settings'").fetchone()
    return found and bytes(found[0])


def test_settings_of_another_fleet_are_left_alone_and_a_change_that_is_not_measured_is_not_kept(run, tmp_path):
    plugin, config = tmp_path / "versioned.wasm", tmp_path / "perfhost.toml"
    plugin.write_bytes(version(1))
    config.write_text(QUICK_GUARD)
    base = ["--config", str(config), "--plugin", str(plugin)]
    host = run(*base, "--upstream", "http://127.0.0.1:9", "--param", "ask=concurrency_limit=300")
    wait_for("it to be written down", lambda: b"concurrency_limit" in (tuned(host) or b""))
    host.stop()

    host = run(*base, "--upstream", "http://127.0.0.1:10")
    assert setting(host, "concurrency_limit") == 256 and "other circumstances" in host.log_text()
    host.stop()

    config.write_text("[tuning.guard]\nsettle_ms = 60000\n")
    host = run(*base, "--upstream", "http://127.0.0.1:9", "--param", "ask=concurrency_limit=400")
    wait_for("the next change", lambda: setting(host, "concurrency_limit") == 400)
    kill(host)
    host = run(*base, "--upstream", "http://127.0.0.1:9")
    assert setting(host, "concurrency_limit") == 300
    host.stop()


def test_an_engine_that_no_longer_starts_with_what_was_found_runs_with_the_configuration(run, tmp_path):
    plugin, config, model = tmp_path / "versioned.wasm", tmp_path / "perfhost.toml", tmp_path / "tiny.gguf"
    plugin.write_bytes(version(1))
    config.write_text(QUICK_GUARD)
    model.write_bytes(b"no model")
    engine = tmp_path / "llama-server"

    def engine_that(*faults):
        engine.write_text(f"#!/bin/sh\nexec {sys.executable} {FAKE_ENGINE} {' '.join(faults)} \"$@\"\n")
        engine.chmod(engine.stat().st_mode | stat.S_IXUSR)

    engine_that()
    base = ["--config", str(config), "--plugin", str(plugin), "--engine", str(engine)]
    host = run(*base, "--param", "ask=engine_slots@local=2", model=str(model))
    wait_for("two slots", lambda: host.engine()["settings"]["slots"] == 2)
    wait_for("it to be written down", lambda: b"engine_slots" in (tuned(host) or b""))
    host.stop()

    host = run(*base, model=str(model))
    assert host.engine()["settings"]["slots"] == 2 and host.engine()["replacements"] == 0
    host.stop()

    engine_that("--fake-refuse-slots", "2")
    host = run(*base, model=str(model))
    wait_for("one slot", lambda: host.engine()["settings"]["slots"] == 1 and host.engine()["phase"] == "ready")
    wait_for("the setting to follow", lambda: setting(host, "engine_slots", "local") == 1)
    assert "did not start with what an earlier run had found" in host.log_text()
