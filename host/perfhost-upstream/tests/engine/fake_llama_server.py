"""Stands in for llama-server in tests: the same flags and paths, no model, and faults on demand.

Faults: --fake-load-seconds N (answers 503 until then), --fake-refuse-slots N (ends at once with that many slots),
--fake-never-ready, --fake-ignore-term. A POST to /crash ends it without a word.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
parser.add_argument("--parallel", type=int)
parser.add_argument("--alias")
parser.add_argument("--fake-load-seconds", type=float, default=0)
parser.add_argument("--fake-refuse-slots", type=int)
parser.add_argument("--fake-never-ready", action="store_true")
parser.add_argument("--fake-ignore-term", action="store_true")
asked, _ = parser.parse_known_args()

if asked.fake_refuse_slots == asked.parallel:
    print(f"error: {asked.parallel} slots do not fit", flush=True)
    sys.exit(7)
if asked.fake_ignore_term:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
ready_at = time.monotonic() + asked.fake_load_seconds
tokens = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        body = body.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/health":
            is_ready = time.monotonic() >= ready_at and not asked.fake_never_ready
            self.answer(200 if is_ready else 503, "{}")
        elif self.path == "/metrics":
            self.answer(200, f"llamacpp:tokens_predicted_total {tokens}\nllamacpp:requests_deferred 3\n")
        else:
            self.answer(404, "")

    def do_POST(self):
        global tokens
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/crash":
            os._exit(9)
        seconds = json.loads(body).get("seconds", 0)
        # Headers first and the rest later, as a stream does it.
        answer = json.dumps({"slots": asked.parallel, "model": asked.alias}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        time.sleep(seconds)
        self.wfile.write(answer)
        tokens += 5


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def end_with_parent():
    sys.stdin.buffer.read()
    os._exit(0)


server = Server(("127.0.0.1", asked.port), Handler)
threading.Thread(target=end_with_parent, daemon=True).start()
print(f"listening with {asked.parallel} slots", flush=True)
server.serve_forever()
