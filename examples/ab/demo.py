#!/usr/bin/env python3
"""Two strategies meet on the live traffic of eight clients; the better one is found, put in service and confirmed.

    python3 examples/ab/demo.py target/release/perfhost
    python3 examples/ab/demo.py target/release/perfhost --objective goodput --slo-token 55ms --slo-ttft 1m
    python3 examples/ab/demo.py target/release/perfhost --b conservative --max-duration 12m

The first asks for tokens per second of all clients together; the second for answers whose tokens follow each other within
55 ms, which fewer at once do better; the third for a difference where there is none. What follows the program is given to
`perfhost ab start`, each flag with its value. Needs what `perfhost setup` fetches. Standard library only. Takes some minutes:
arms that turn an engine's knobs take turns, and each turn is one observation. Ctrl-C stops everything. `prove.py` beside it
runs all three and says whether they ended as they should.
"""

import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

PORT = 8917
HOST = f"http://127.0.0.1:{PORT}"
CLIENTS = 8
TOKENS = 16
INCUMBENT, CHALLENGER = "conservative", "aggressive"
SERVING = ["--plugin", INCUMBENT, "--model", "gemma-3-270m", "--listen", f"127.0.0.1:{PORT}", "--interval-ms", "1000",
           "--no-discovery", "--log", "warn"]
# With its usual two seconds for a first token it would add slots too, if fewer than its challenger.
CONFIGURATION = "[parameters.conservative]\ntarget_ttft_p95_ms = 8000\n"
# Equal shares and half the traffic as holdout: for a demonstration all traffic may be at risk.
TERMS = {"--a": INCUMBENT, "--b": CHALLENGER, "--objective": "tokens-per-second", "--settling": "3s", "--pace": "3",
         "--holdout": "0.5", "--confirm": "15m", "--max-duration": "30m", "--guardrail": "error-rate:0.05"}


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(HOST + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.read()


def wait_until_a_model_answers(host):
    while host.poll() is None:
        try:
            models = json.loads(ask("/v1/models"))["data"]
            if models and json.loads(ask("/api/system/status"))["status"] == "up":
                return models[0]["id"]
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)
    sys.exit("perfhost ended before a model answered; run `perfhost setup` first")


def client(model, number, counts, is_over):
    for turn in itertools.count():
        if is_over.is_set():
            return
        body = {"model": model, "max_tokens": TOKENS, "stream": True,
                "messages": [{"role": "user", "content": f"Tell story {turn} of storyteller {number}."}]}
        try:
            ask("/v1/chat/completions", body)
            counts["answered"] += 1
        except (urllib.error.URLError, OSError) as error:
            if not is_over.is_set():
                counts["failed"] += 1
                print(f"a request failed: {error}", file=sys.stderr)


def run(program, given):
    """One whole experiment, on the terms `given` in place of the usual ones. How it ended, and the clients' counts."""
    terms = TERMS | given
    with tempfile.TemporaryDirectory() as folder:
        (configuration := pathlib.Path(folder) / "perfhost.toml").write_text(CONFIGURATION)
        host = subprocess.Popen([program, *SERVING, "--config", configuration, "--data-dir", pathlib.Path(folder) / "data"])
        counts, is_over = {"answered": 0, "failed": 0}, threading.Event()
        try:
            model = wait_until_a_model_answers(host)
            for number in range(CLIENTS):
                threading.Thread(target=client, args=(model, number, counts, is_over), daemon=True).start()
            time.sleep(20)  # So that there is a pace to measure.
            at_host = ["--host", HOST]
            subprocess.run([program, "ab", "start", "--no-ramp", *itertools.chain(*terms.items()), *at_host], check=True)
            if sys.stdout.isatty():
                subprocess.run([program, "ab", "status", *at_host], check=True)
            while (ended := json.loads(ask("/api/experiments/1")))["phase"] != "ended":
                time.sleep(1)
            is_over.set()
            subprocess.run([program, "ab", "report", *at_host], check=True)
            page = pathlib.Path(tempfile.gettempdir()) / "perfhost-ab-report.html"
            page.write_bytes(ask("/api/experiments/1/report?format=html"))
            serving = json.loads(ask("/api/strategies"))["in_service"]["name"]
            print(f"\nin service: {serving}; {counts['answered']} requests answered, {counts['failed']} failed; {page}")
            return {"ending": ended["ending"], "in_service": serving, **counts}
        finally:
            is_over.set()
            host.terminate()
            host.wait()


def main():
    program, *given = sys.argv[1:] or sys.exit(__doc__)
    if len(given) % 2:
        sys.exit(f"{given[-1]} has no value; what follows the program is pairs of a flag of `perfhost ab start` and its value")
    try:
        found = run(program, dict(zip(given[::2], given[1::2])))
    except KeyboardInterrupt:
        return
    sys.exit(1 if found["failed"] else 0)


if __name__ == "__main__":
    main()
