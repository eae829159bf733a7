"""A host whose machine has graphics processors, from the driver's library to what people and strategies see."""

import os
import re
import subprocess
import urllib.request

import graphics
import pytest
from host import BINARY, Host, wait_for

GIB = 2**30


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return graphics.environment(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def host(tmp_path_factory, library):
    host = Host(tmp_path_factory.mktemp("graphics") / "data", ["--plugin", "conservative"], model=None, environment=library)
    yield host.wait_until_ready()
    host.stop()


def test_each_is_told_with_what_its_driver_knows(host):
    full, bare = wait_for("a sample", lambda: (host.api("/api/system/resources") or {}).get("gpus"))[:2]
    assert full == {"vendor": "nvidia", "index": 0, "name": "NVIDIA H100", "usage": 0.63, "memory_used_bytes": 21 * GIB, "memory_total_bytes": 80 * GIB,
                    "temperature_celsius": 58.0, "power_watts": 312.5}
    assert bare["name"] == "NVIDIA T400" and bare["usage"] is None and bare["memory_total_bytes"] is None
    table = subprocess.run([BINARY, "resources", "--host", host.url], capture_output=True, text=True, timeout=30).stdout
    assert "gpus.nvidia-0.name" in table and "NVIDIA H100" in table and "80.0 GiB" in table
    top = subprocess.run([BINARY, "top", "--host", host.url], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL).stdout
    assert "busiest gpu" in top and "63.0 %" in top


def test_they_are_measured_over_time_and_scraped(host):
    assert wait_for("a window", lambda: host.metric("gpu_usage"))["mean"] == pytest.approx(0.63)
    assert host.metric("gpu_memory_usage")["max"] == pytest.approx(21 / 80)
    points = wait_for("history", lambda: host.api("/api/metrics/historical?metric=gpu_memory_used_bytes&from=-15m")["points"])
    assert points[-1]["mean"] == pytest.approx(21 * GIB, rel=0.02)
    with urllib.request.urlopen(host.url + "/metrics", timeout=30) as answer:
        scraped = answer.read().decode()
    assert 'perfhost_gpu_device_temperature_celsius{vendor="nvidia",gpu="0",name="NVIDIA H100"} 58' in scraped
    assert "\nperfhost_gpu_usage 0.63\n" in scraped


def test_the_doctor_names_those_that_a_model_fits_on_and_the_advisor_plans_with_their_memory(host, library):
    said = lambda *words: subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=60, env={**os.environ, **library}).stdout
    machine = next(line for line in said("doctor", "--host", host.url).splitlines() if "machine" in line)
    assert "NVIDIA H100 with 80.0 GiB, 59.0 GiB free" in machine and "T400" not in machine
    memory = sum(float(free) for free in re.findall(r"([0-9.]+) GiB free", machine.split(";", 1)[1]))
    budget = float(re.search(r"of (\d+) MiB", said("model", "advise")).group(1)) / 1024
    assert budget == pytest.approx(memory, abs=0.2)
