"""The commands that people type, against a running host and without one."""

import json
import subprocess
import urllib.request

from host import BINARY, wait_for


def test_status_metrics_resources_and_plugin_list_answer_in_json_and_as_tables(shared):
    shared.client().completions.create(model=shared.model, prompt="Commands", max_tokens=4)
    wait_for("the request to be counted", lambda: shared.metric("response_time_ms", window="60s"))
    assert shared.command("status")["strategy"]["name"] == "balanced"
    assert {metric["scope"] for metric in shared.command("metrics", "local")["metrics"]} >= {"local"}
    assert shared.command("resources")
    assert shared.command("plugin", "list")["in_service"]["name"] == "balanced"
    for words in (["status"], ["metrics"], ["resources"], ["decisions"], ["plugin", "list"]):
        done = subprocess.run([BINARY, *words, "--host", shared.url], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and done.stdout.strip(), (words, done.stderr)


def test_inspect_says_what_a_built_in_strategy_is():
    done = subprocess.run([BINARY, "plugin", "inspect", "aggressive", "--output", "json"], capture_output=True, text=True, timeout=60)
    inspection = json.loads(done.stdout)
    assert done.returncode == 0 and inspection["description"]["name"] == "aggressive" and inspection["world"] == "strategy"


def test_inspect_says_why_a_file_is_not_a_strategy(tmp_path):
    broken = tmp_path / "broken.wasm"
    broken.write_bytes(b"\0asm\x01\0\0\0 and then nothing that makes sense")
    done = subprocess.run([BINARY, "plugin", "inspect", str(broken)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "broken.wasm" in done.stdout + done.stderr


def test_wrong_usage_and_absent_hosts_have_their_own_exit_codes():
    assert subprocess.run([BINARY, "--no-such-flag"], capture_output=True, timeout=30).returncode == 2
    done = subprocess.run([BINARY, "status", "--host", "http://127.0.0.1:9"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "no perfhost is running" in done.stderr


def test_the_adviser_names_a_variant_of_the_model_that_is_here():
    done = subprocess.run([BINARY, "model", "advise", "--context", "1024", "--output", "json"], capture_output=True, text=True, timeout=60)
    advice = json.loads(done.stdout)["advice"]
    assert advice and advice[0]["variant_name"] and advice[0]["reason"]


def test_prometheus_reads_the_request_just_made(shared):
    shared.client().completions.create(model=shared.model, prompt="Prometheus", max_tokens=2)

    def text():
        with urllib.request.urlopen(shared.url + "/metrics", timeout=10) as answer:
            return answer.read().decode()

    wait_for("the counter", lambda: "gen_ai_server_request_duration_seconds_count" in text())
    assert 'perfhost_requests_total{' in text()
