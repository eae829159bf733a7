"""Starts the perfhost binary for a test, with a data folder of its own and the real engine and model."""

import pytest
from host import Host


@pytest.fixture
def start(tmp_path):
    """A function that starts a host with the given flags; every host is stopped at the end of the test."""
    hosts = []

    def start_host(*flags, **options):
        host = Host(tmp_path / f"data-{len(hosts)}", flags, **options)
        hosts.append(host)
        return host.wait_until_ready()

    yield start_host
    for host in hosts:
        host.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One host with one engine for the tests of a module that do not change it."""
    host = Host(tmp_path_factory.mktemp("shared") / "data", ["--plugin", "balanced", "--set", "engine_slots=4"])
    yield host.wait_until_ready()
    host.stop()
