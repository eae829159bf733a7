"""Experiments on a running host: the right winner for the stated objective, none between two copies, and a kill in the
middle that neither ends one nor counts anything twice. The provider is a fake whose figures follow from how many requests
it has at once, so that the better strategy is known beforehand; `make prove-ab` meets the real engine.
"""

import http.server
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from host import Host, wait_for

CLIENTS = 8
TOKENS = 8


class Provider(http.server.ThreadingHTTPServer):
    """Answers in 20 ms, and 10 ms more for each further request it has at the same time: more at once gives more
    tokens per second in all and a longer response time for each."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.under_way = 0
        self.answers = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send({"object": "list", "data": [{"id": "m", "object": "model"}]})

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            self.server.under_way += 1
            together = self.server.under_way
        time.sleep(0.02 + 0.01 * (together - 1))
        with self.server.lock:
            self.server.under_way -= 1
            self.server.answers += 1
        message = {"role": "assistant", "content": "hi"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 5, "completion_tokens": TOKENS, "total_tokens": 5 + TOKENS}
        self.send({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage})

    def send(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Clients:
    """Ask over and over, each with one request at a time; failures are counted, unless the host is known to be gone."""

    def __init__(self, host, count=CLIENTS):
        self.host, self.failures, self.answers, self.is_over = host, [], 0, False
        self.threads = [threading.Thread(target=self.ask, args=(number,), daemon=True) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def ask(self, client):
        number = 0
        while not self.is_over:
            number += 1
            content = f"{client} {number} {time.monotonic_ns()}"
            body = json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode()
            try:
                self.host.api("/v1/chat/completions", "POST", body)
                self.answers += 1
            except (urllib.error.URLError, OSError) as error:
                self.failures.append(str(error))
                time.sleep(0.05)

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join(30)


@pytest.fixture
def provider():
    provider = Provider()
    yield provider
    provider.shutdown()


def start(host, **terms):
    """Blocks of 5 s, so that a test takes a minute and not an hour."""
    request = {"ramp": [], "settling_ms": 1000, "holdout": 0.5, "seed": 7, **terms}
    return host.api("/api/experiments", "POST", json.dumps(request).encode())


def until_over(host, number, seconds=240):
    def over():
        status = host.api(f"/api/experiments/{number}")
        return status if status["phase"] == "ended" else None

    return wait_for("the experiment is over", over, seconds, every=0.5)


NARROW = {"set": {"concurrency_limit": 1}}
WIDE = {"set": {"concurrency_limit": 8}}
#  8 at once take 20 to 90 ms each; one by one they take 20 ms each, and wait for each other.
AT_PROVIDER = {"objective": "cost", "guardrails": []}


def limit(host):
    return next(knob["value"] for knob in host.api("/api/knobs")["knobs"] if knob["name"] == "concurrency_limit")


class Meeting:
    """One experiment from its start to its end, on a host of its own in front of a provider of its own."""

    def __init__(self, folder, terms):
        provider = Provider()
        # Where knobs are set, nobody shall turn them between the end of the experiment and the look at them.
        flags = [] if terms["arms"][0] == "balanced" else ["--interval-ms", "3600000"]
        self.host = Host(folder, ["--upstream", provider.url, *flags], model=None).wait_until_ready()
        clients = Clients(self.host)
        try:
            self.started = start(self.host, **terms)
            self.status = until_over(self.host, self.started["id"])
            self.limit = limit(self.host)
        finally:
            clients.stop()
            self.host.stop()
            provider.shutdown()
        self.failures = clients.failures


MEETINGS = {
    "throughput": {"arms": [NARROW, WIDE], "objective": "tokens-per-second:1"},
    # The reverse: what a request costs at the provider is less when it has it for itself.
    "cost": {"arms": [WIDE, NARROW], "confirm_ms": 0, **AT_PROVIDER},
    "copies": {"arms": ["balanced", "balanced"], "max_duration_ms": 30_000, "error_bound": 0.01},
}


@pytest.fixture(scope="module")
def meetings(tmp_path_factory):
    """All at the same time: nearly all of their time is waiting for blocks to end."""
    with ThreadPoolExecutor() as pool:
        yield {name: pool.submit(Meeting, tmp_path_factory.mktemp(name), terms) for name, terms in MEETINGS.items()}


def test_the_strategy_with_more_throughput_is_promoted_and_confirmed(meetings):
    meeting = meetings["throughput"].result()
    assert "concurrency_limit" in meeting.started["choice"]["reason"]
    assert "switchback" in meeting.started["choice"]["regime"]
    assert meeting.status["ending"] == "promoted-confirmed", json.dumps(meeting.status, indent=1)
    assert (meeting.limit, meeting.failures) == (8, [])


def test_the_reverse_objective_picks_the_other(meetings):
    meeting = meetings["cost"].result()
    assert meeting.status["ending"] == "promoted", json.dumps(meeting.status, indent=1)
    assert (meeting.limit, meeting.failures) == (1, [])


def test_two_copies_of_one_strategy_have_no_winner(meetings):
    meeting = meetings["copies"].result()
    assert [arm["name"] for arm in meeting.started["arms"]] == ["balanced", "balanced (2)"]
    assert meeting.status["ending"] in ("no-difference", "inconclusive"), json.dumps(meeting.status, indent=1)
    assert meeting.failures == []


def test_a_kill_in_the_middle_counts_nothing_twice(tmp_path, provider):
    flags = ["--upstream", provider.url]
    terms = {"arms": [{"set": {"retries": 1}}, {"set": {"retries": 2}}], "objective": "goodput:0.001"}
    first = Host(tmp_path / "data", flags, model=None).wait_until_ready()
    number = start(first, **terms)["id"]
    clients = Clients(first)
    counted = lambda host: sum(arm["samples"] for arm in host.api(f"/api/experiments/{number}")["arms"])
    wait_for("a hundred are counted", lambda: counted(first) >= 100)
    before = first.api(f"/api/experiments/{number}")
    # A quiet moment, so that nothing is under way when it dies, and the last batch is on disk.
    clients.stop()
    time.sleep(1.5)
    quiet = counted(first)
    assert quiet <= clients.answers
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()

    second = Host(tmp_path / "data", flags, model=None).wait_until_ready()
    try:
        after = second.api(f"/api/experiments/{number}")
        assert (after["phase"], after["started_ms"]) == ("running", before["started_ms"])
        assert counted(second) == quiet, "each request that was counted is counted once"
        assert any("started again" in note["what"] for note in after["notes"])
        clients = Clients(second)
        wait_for("it goes on", lambda: counted(second) >= quiet + 50)
        clients.stop()
        assert clients.failures == []
        stopped = second.command("ab", "stop", "--why", "seen enough")
        assert stopped["verdict"] == {"kind": "stopped", "why": "seen enough"}
        assert "seen enough" in second.command("ab", "report")["forecast"]["next"]
    finally:
        second.stop()
        first.log.close()


def test_strategies_meet_from_the_start(tmp_path, provider):
    flags = ["--upstream", provider.url, "--ab", "conservative.wasm,aggressive.wasm"]
    host = Host(tmp_path / "data", flags, model=None).wait_until_ready()
    try:
        status = host.command("ab", "status")
        assert [arm["name"] for arm in status["arms"]] == ["conservative", "aggressive"]
        assert status["phase"] == "running"
        assert host.api("/api/strategies")["in_service"]["name"] == "conservative"
    finally:
        host.stop()


def test_challengers_meet_the_champion_one_after_another(tmp_path, provider):
    config = tmp_path / "perfhost.toml"
    config.write_text("[auto]\nat_most_ms = 3000\npause_ms = 500\n")
    flags = ["--upstream", provider.url, "--auto", "--auto-budget", "0.05", "--config", str(config)]
    host = Host(tmp_path / "data", flags, model=None).wait_until_ready()
    try:
        many = lambda: len(host.command("ab", "list")["experiments"]) >= 3
        wait_for("three experiments", many, 90)
        experiments = host.command("ab", "list")["experiments"]
        assert all(one["is_automatic"] and one["arms"][0].startswith("balanced") for one in experiments)
        assert len({tuple(one["arms"]) for one in experiments}) == len(experiments)
        assert host.api("/api/strategies")["in_service"]["name"] == "balanced"
    finally:
        host.stop()
