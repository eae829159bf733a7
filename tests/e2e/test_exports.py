"""Metrics on their way out: pushed to an OpenTelemetry collector, exported as CSV and Markdown."""

import csv
import gzip
import importlib.util
import io
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from host import BINARY, Host, free_port, wait_for


@pytest.fixture
def collector():
    """Takes pushes as a collector does: each must read as the protocol's own message, without unknown fields."""
    received, broken = [], []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                assert self.path == "/v1/metrics" and self.headers["content-type"] == "application/json"
                assert self.headers["x-tenant"] == "tests"
                received.append(json_format.Parse(body, ExportMetricsServiceRequest()))
            except Exception as error:
                broken.append(error)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", received, broken
    server.shutdown()


def complete_three(host):
    for _ in range(3):
        host.client().completions.create(model=host.model, prompt="Collect", max_tokens=4, temperature=1)


def test_a_collector_gets_the_metrics_under_their_standard_names(tmp_path, collector):
    endpoint, received, broken = collector
    file = tmp_path / "perfhost.toml"
    file.write_text(f"[otlp]\nendpoint = '{endpoint}'\ninterval_ms = 1000\nheaders = {{ x-tenant = 'tests' }}\n")
    host = Host(tmp_path / "data", ["--config", str(file)]).wait_until_ready()
    try:
        complete_three(host)

        def durations():
            for request in reversed(received):
                scope = request.resource_metrics[0].scope_metrics[0]
                found = [metric for metric in scope.metrics if metric.name == "gen_ai.server.request.duration"]
                if found and found[0].histogram.data_points[0].count == 3:
                    return request, found[0]

        request, metric = wait_for("the three requests at the collector", lambda: broken or durations())
        assert not broken
        point = metric.histogram.data_points[0]
        attributes = {attribute.key: attribute.value.string_value for attribute in point.attributes}
        assert attributes["gen_ai.provider.name"] == "local" and attributes["gen_ai.request.model"] == host.model
        assert metric.unit == "s" and metric.histogram.aggregation_temporality == 2
        assert sum(point.bucket_counts) == 3 and len(point.bucket_counts) == len(point.explicit_bounds) + 1
        assert 0 < point.start_time_unix_nano < point.time_unix_nano
        resource = {attribute.key: attribute.value.string_value for attribute in request.resource_metrics[0].resource.attributes}
        assert resource["service.name"] == "perfhost"
    finally:
        host.stop()
    assert not broken


@pytest.fixture
def behind_a_collector(tmp_path):
    """A real OpenTelemetry collector (rotel) and what it passes on, in the protocol's binary form."""
    received = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            received.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    sink = HTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    agent = Path(importlib.util.find_spec("rotel").origin).parent / "rotel-agent"
    port = free_port()
    log = open(tmp_path / "collector.log", "wb")
    collector = subprocess.Popen(
        [agent, "start", "--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}",
         "--otlp-receiver-traces-disabled", "--otlp-receiver-logs-disabled", "--exporter", "otlp", "--otlp-exporter-protocol", "http",
         "--otlp-exporter-endpoint", f"http://127.0.0.1:{sink.server_port}", "--disable-batching"],
        stdout=log, stderr=subprocess.STDOUT)
    yield f"http://127.0.0.1:{port}", received
    collector.terminate()
    collector.wait(60)
    sink.shutdown()
    log.close()


def test_a_real_collector_understands_what_is_pushed_and_passes_it_on_whole(tmp_path, behind_a_collector):
    endpoint, received = behind_a_collector
    file = tmp_path / "perfhost.toml"
    file.write_text(f"[otlp]\nendpoint = '{endpoint}'\ninterval_ms = 1000\n")
    host = Host(tmp_path / "data", ["--config", str(file)]).wait_until_ready()
    try:
        complete_three(host)

        def newest():
            """The metrics of the newest push that has counted all three, by name."""
            for request in reversed(received):
                metrics = {metric.name: metric for metric in request.resource_metrics[0].scope_metrics[0].metrics}
                counted = metrics.get("perfhost.requests")
                if counted and sum(point.as_double for point in counted.sum.data_points) == 3:
                    return request.resource_metrics[0].resource, metrics

        resource, metrics = wait_for("the three requests behind the collector", newest)
    finally:
        host.stop()
    assert "perfhost" in [attribute.value.string_value for attribute in resource.attributes if attribute.key == "service.name"]
    [duration] = metrics["gen_ai.server.request.duration"].histogram.data_points
    assert duration.count == 3 and sum(duration.bucket_counts) == 3 and duration.sum > 0
    assert len(duration.bucket_counts) == len(duration.explicit_bounds) + 1
    assert metrics["perfhost.requests"].sum.is_monotonic
    [generated] = metrics["perfhost.generated_tokens"].sum.data_points
    assert 3 <= generated.as_double <= 12
    assert any(point.as_double > 0 for point in metrics["perfhost.process_memory_bytes"].gauge.data_points)


def test_metrics_are_exported_as_csv_and_markdown(shared):
    shared.client().completions.create(model=shared.model, prompt="Export", max_tokens=4, temperature=1)
    wait_for("the request to be counted", lambda: shared.metric("response_time_ms", window="60s"))

    def export(form):
        command = [BINARY, "metrics", "--export", form, "--host", shared.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    rows = list(csv.DictReader(io.StringIO(export("csv"))))
    times = [row for row in rows if row["metric"] == "response_time_ms" and row["scope"] == ""]
    assert times and int(times[0]["count"]) >= 1 and float(times[0]["p95"]) > 0
    assert export("markdown").splitlines()[0].startswith("| scope | metric | unit |")
