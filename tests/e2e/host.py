"""One running perfhost: the process, its API, and clients for it."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import openai

BINARY = os.environ.get("PERFHOST_BINARY", str(Path(__file__).resolve().parents[2] / "target" / "debug" / "perfhost"))
MODEL = "gemma-3-270m"
READY_SECONDS = 90


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Host:
    """A perfhost process. `model=None` runs it without an engine; `token` is the admin token that it asks for."""

    def __init__(self, data_dir, flags=(), model=MODEL, environment=None, token=None):
        self.token = token
        self.data_dir = Path(data_dir)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.model = model
        self.log_path = self.data_dir.with_suffix(f".{self.port}.log")
        engine = ["--model", model] if model else ["--no-engine"]
        command = [BINARY, "--listen", f"127.0.0.1:{self.port}", "--data-dir", str(data_dir), "--no-discovery", *engine, *flags]
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})})

    def wait_until_ready(self):
        """Waits until the API answers and, with an engine, until the model does."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"perfhost ended with {self.process.returncode}:\n{self.log_text()}")
            try:
                status = self.api("/api/system/status")
                if not self.model or status["status"] == "up" and self.api("/v1/models")["data"]:
                    return self
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.1)
        raise AssertionError(f"perfhost was not ready within {READY_SECONDS} s:\n{self.log_text()}")

    def log_text(self):
        return self.log_path.read_text(errors="replace")

    def api(self, path, method="GET", body=None, content_type="application/json"):
        """Calls the API and returns the parsed answer; an error status raises HTTPError."""
        headers = {"content-type": content_type}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def api_text(self, path):
        """The answer to a GET as it comes."""
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return answer.read().decode()

    def client(self, **options):
        """An OpenAI client that does not retry: a failure must show."""
        return openai.OpenAI(base_url=self.url + "/v1", api_key="unused", max_retries=0, timeout=120, **options)

    def command(self, *arguments):
        """Runs a perfhost command against this host and returns its JSON."""
        done = subprocess.run([BINARY, *arguments, "--host", self.url, "--output", "json"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def engine(self):
        return self.api("/api/system/status")["engine"]

    def metric(self, name, scope="", window="10s"):
        """One metric's summary over a recent window, or None when it was not measured."""
        for metric in self.api(f"/api/metrics/current?window={window}")["metrics"]:
            if metric["name"] == name and metric["scope"] == scope:
                return metric["summary"]
        return None

    def swap(self, plugin):
        """Puts a built-in strategy, or a plugin file, in service."""
        return self.api("/api/strategies", "POST", json.dumps({"name": str(plugin)}).encode())

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def wait_for(what, condition, seconds=60, every=0.1):
    """Waits until `condition()` is true and returns its value. The limit is generous: it guards against a hang."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise AssertionError(f"not within {seconds} s: {what}")
