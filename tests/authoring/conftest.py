"""Starts the real binary in front of a canned provider, and keeps the components that were built."""

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from shell import TARGET
from upstream import MODEL, Upstream

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from host import Host, wait_for  # noqa: E402

# Built once here, used by others: <language>.wasm from the template, example-<language>.wasm from examples/strategies.
STRATEGIES = TARGET / "strategies"


@pytest.fixture
def serve(tmp_path):
    """A function that starts a host without an engine, with the given flags, in front of canned providers."""
    hosts = []
    with ExitStack() as stack:

        def start(*flags, providers=("canned",)):
            config = tmp_path / f"perfhost-{len(hosts)}.toml"
            urls = [(name, stack.enter_context(Upstream()).url) for name in providers]
            config.write_text("".join(f'[[upstream]]\nname = "{name}"\nurl = "{url}"\n' for name, url in urls))
            # A budget that a busy machine does not exceed: what is tested is that the strategy plans, not how fast.
            flags = ["--config", str(config), "--interval-ms", "500", "--set", "plan_budget_us=100000", *flags]
            host = Host(tmp_path / f"data-{len(hosts)}", flags, model=None)
            hosts.append(host)
            host.wait_until_ready()
            wait_for("the providers' model", lambda: set(providers) <= set(offering(host)))
            return host

        yield start
        for host in hosts:
            host.stop()


def offering(host):
    """Names of the providers that are up."""
    return [one["name"] for one in host.api("/api/system/status")["providers"] if one["health"] == "up" and one["models"]]


@pytest.fixture(scope="session")
def keep():
    """A function that keeps a built component under a name, for other tests and measurements."""

    def copy(component, name):
        STRATEGIES.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(component, STRATEGIES / f"{name}.wasm.new")
        (STRATEGIES / f"{name}.wasm.new").replace(STRATEGIES / f"{name}.wasm")

    return copy


@pytest.fixture
def answered():
    """A function that sends requests through a host and asserts that `strategy` took part in them and never failed."""

    def ask(host, strategy, requests=3):
        for number in range(requests):
            answer = host.client().completions.with_raw_response.create(model=MODEL, prompt=f"Request {number}", max_tokens=2)
            assert answer.headers["x-perfhost-strategy"].startswith(strategy), answer.headers
            assert answer.parse().choices[0].text == "canned text"
        strategies, planning = host.api("/api/strategies"), host.api("/api/system/status")["planning"]
        assert strategies["in_service"]["name"] == strategy and strategies["retired"] is None, strategies
        if strategies["in_service"]["world"] == "strategy":
            assert planning["calls"] >= requests and planning["failures"] == 0, planning
        assert "the strategy failed" not in host.log_text(), host.log_text()

    return ask
