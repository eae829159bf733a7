"""A strategy that plans too slowly for its budget tunes on without planning, and everybody can see it. No engine needed."""

import http.client
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from host import BINARY, wait_for

# More than each of any number of workers on a test machine needs to judge by its last hundred calls.
REQUESTS = 150


class Provider(BaseHTTPRequestHandler):
    """Answers every chat with one word, and lists one model."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer({"object": "list", "data": [{"id": "m", "object": "model"}]})

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": "yes"}
        self.answer({"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    def log_message(self, *_):
        pass


@pytest.fixture
def provider():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def ask(host, requests):
    """All over one connection, so that one worker gets them."""
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=60)
    for _ in range(requests):
        connection.request("POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": [{"role": "user", "content": "?"}]}))
        answer = connection.getresponse()
        assert answer.status == 200 and b"yes" in answer.read()
    connection.close()


def planning(host):
    return host.api("/api/strategies")["in_service"]["planning"]


def printed(host, *command):
    return subprocess.run([BINARY, *command, "--host", host.url], capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_strategy_over_its_budget_tunes_on_without_planning_and_says_so(start, provider, tmp_path):
    config = tmp_path / "perfhost.toml"
    config.write_text("[knobs]\nplan_budget_us = 1\n")
    host = start("--config", str(config), "--plugin", "balanced", "--upstream", provider, model=None)
    wait_for("the provider's model", lambda: any(model["id"] == "m" for model in host.api("/v1/models")["data"]))
    assert not planning(host)["is_demoted"]

    ask(host, REQUESTS)
    assert planning(host)["demotion"] == {"cause": "too-slow", "budget_us": 1}
    assert "in service, tuning only" in printed(host, "plugin", "list")
    reason = "plan_budget_us = 1; it is asked again when that is raised"
    assert reason in printed(host, "plugin", "list") and reason in printed(host, "status")
    assert host.log_text().count("demoted to tuning only") == 1
    assert "perfhost_plan_demoted 1" in metrics(host)

    config.write_text("[knobs]\nplan_budget_us = 100000\n")
    wait_for("the configuration", lambda: "configuration reloaded" in host.log_text())
    ask(host, 1)
    assert planning(host)["demotion"] is None and "asked for plans again" in host.log_text()
    assert "tuning only" not in printed(host, "plugin", "list")


def metrics(host):
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=60)
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()
