"""A plugin whose file changes: reloaded when it is whole, whichever way it was written, and never when it is not."""

import json
import os
import subprocess
import time

import pytest
from host import BINARY, wait_for
from versions import version


@pytest.fixture
def watched(start, tmp_path):
    """A host that watches version 1, and the file."""
    plugin = tmp_path / "plugin.wasm"
    plugin.write_bytes(version(1))
    return start("--plugin", str(plugin), "--watch", model=None), plugin


def in_service(host):
    return host.api("/api/strategies")["in_service"]["version"]


def wait_for_version(host, wanted):
    wait_for(f"version {wanted}", lambda: in_service(host) == wanted, seconds=20)


def test_a_file_that_is_renamed_into_place_written_over_or_made_anew_is_reloaded(watched, tmp_path):
    host, plugin = watched
    beside = tmp_path / "beside.wasm"
    beside.write_bytes(version(2))
    os.replace(beside, plugin)
    wait_for_version(host, "2.0.0")

    plugin.write_bytes(version(3))
    wait_for_version(host, "3.0.0")

    plugin.unlink()
    time.sleep(1)
    assert in_service(host) == "3.0.0"
    plugin.write_bytes(version(4))
    wait_for_version(host, "4.0.0")

    target = tmp_path / "elsewhere.wasm"
    target.write_bytes(version(5))
    plugin.unlink()
    plugin.symlink_to(target)
    wait_for_version(host, "5.0.0")

    # The same length and the same times: only the content differs.
    times = (target.stat().st_atime_ns, target.stat().st_mtime_ns)
    beside.write_bytes(version(6))
    os.utime(beside, ns=times)
    os.replace(beside, target)
    wait_for_version(host, "6.0.0")
    arrivals = [one["why"] for one in host.api("/api/strategies/history")["generations"]]
    assert arrivals == ["watch"] * 5 + ["start"]


def test_a_half_written_file_is_never_loaded_and_the_reason_is_shown(watched):
    host, plugin = watched
    whole = version(2)
    with open(plugin, "wb", buffering=0) as file:
        for at in range(0, len(whole) // 2, 4096):
            file.write(whole[at:at + 4096])
            time.sleep(0.05)
        written = file.tell()
        refused = wait_for("the refusal", lambda: host.api("/api/strategies")["last_refused"], seconds=20)
        assert refused["source"] == str(plugin) and refused["code"] == "not-wasm" and refused["reason"]
        assert in_service(host) == "1.0.0" and "the changed plugin is refused" in host.log_text()
        table = subprocess.run([BINARY, "plugin", "list", "--host", host.url], capture_output=True, text=True, timeout=30)
        assert "last refused" in table.stdout and f"watching {plugin}" in table.stdout, table.stdout
        file.write(whole[written:])
    wait_for_version(host, "2.0.0")
    assert host.api("/api/strategies")["last_refused"] is None


def test_a_file_that_is_no_strategy_leaves_the_one_before_in_service_until_it_is_mended(watched):
    host, plugin = watched
    plugin.write_bytes(b"this is text")
    wait_for("the refusal", lambda: host.api("/api/strategies")["last_refused"], seconds=20)
    assert in_service(host) == "1.0.0"
    plugin.write_bytes(version(1))
    wait_for("the end of the refusal", lambda: host.api("/api/strategies")["last_refused"] is None, seconds=20)
    assert len(host.api("/api/strategies/history")["generations"]) == 1


def test_after_a_rollback_the_file_waits_for_its_next_change(watched):
    host, plugin = watched
    plugin.write_bytes(version(2))
    wait_for_version(host, "2.0.0")
    assert host.command("plugin", "rollback")["in_service"]["version"] == "1.0.0"
    os.utime(plugin)
    time.sleep(1)
    assert in_service(host) == "1.0.0"
    plugin.write_bytes(version(3))
    wait_for_version(host, "3.0.0")


def test_a_plugin_that_is_at_hand_is_reloaded_without_being_put_in_service(watched):
    host, plugin = watched
    host.swap("conservative")
    plugin.write_bytes(version(2))

    def versions_at_hand():
        return [one["version"] for one in host.api("/api/strategies")["at_hand"] if one["name"] == "versioned"]

    wait_for("version 2 at hand", lambda: "2.0.0" in versions_at_hand(), seconds=20)
    assert host.api("/api/strategies")["in_service"]["name"] == "conservative"
    assert host.command("plugin", "swap", "versioned@2.0.0")["in_service"]["version"] == "2.0.0"


def test_watching_is_switched_on_and_off_by_the_configuration(start, tmp_path):
    plugin, config = tmp_path / "plugin.wasm", tmp_path / "perfhost.toml"
    plugin.write_bytes(version(1))
    config.write_text(f"plugins = [{json.dumps(str(plugin))}]\n")
    host = start("--config", str(config), model=None)
    plugin.write_bytes(version(2))
    time.sleep(1)
    assert in_service(host) == "1.0.0" and host.api("/api/strategies")["watched"] == []
    config.write_text(f"watch = true\nplugins = [{json.dumps(str(plugin))}]\n")
    wait_for_version(host, "2.0.0")
    assert host.api("/api/strategies")["watched"] == [str(plugin)]
