#!/usr/bin/env python3
"""Starts perfhost with a strategy, asks the model one question through it, shows the answer, and goes on serving.

    python3 examples/first-run/run.py target/release/perfhost [flags for perfhost ...]

Standard library only, so that it runs before anything is installed. Ctrl-C stops the host.
"""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

HOST = "http://127.0.0.1:8900"
PROMPT = "The three largest cities in France are"
STARTUP_SECONDS = 120


def get(path):
    with urllib.request.urlopen(HOST + path, timeout=10) as answer:
        return json.load(answer)


def wait_until_a_model_answers(host):
    """Returns the first model's name, once a provider is up."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        if host.poll() is not None:
            sys.exit(host.returncode or 1)
        try:
            models = [model["id"] for model in get("/v1/models")["data"]]
            if models and get("/api/system/status")["status"] == "up":
                return models[0]
        except (urllib.error.URLError, OSError, KeyError):
            pass
        time.sleep(0.2)
    host.terminate()
    sys.exit(f"no model answered within {STARTUP_SECONDS} s")


def ask(model):
    body = json.dumps({"model": model, "prompt": PROMPT, "max_tokens": 48, "temperature": 0, "stream": True}).encode()
    request = urllib.request.Request(HOST + "/v1/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        print(f"\n{model}, asked through the strategy {answer.headers['x-perfhost-strategy']}:\n\n  {PROMPT}", end="")
        for line in answer:
            if line.startswith(b"data: ") and line.strip() != b"data: [DONE]":
                for choice in json.loads(line[6:]).get("choices", []):
                    print(choice.get("text", ""), end="", flush=True)
    print("\n")


def main():
    program, flags = sys.argv[1], sys.argv[2:] or ["--plugin", "aggressive", "--model", "gemma-3-270m"]
    host = subprocess.Popen([program, *flags])
    signal.signal(signal.SIGTERM, lambda *_: host.terminate())
    try:
        model = wait_until_a_model_answers(host)
        ask(model)
        print(f"perfhost serves at {HOST}/v1: point an OpenAI client there. In another terminal, try:\n")
        print(f"  {program} status\n  {program} metrics\n  {program} decisions\n\nCtrl-C stops it.", flush=True)
        host.wait()
    except KeyboardInterrupt:
        host.wait()
    sys.exit(host.returncode)


if __name__ == "__main__":
    main()
