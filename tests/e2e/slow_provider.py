"""A provider that answers after a time that the test sets, counts what it was asked, and can fail."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "slow"


class SlowProvider:
    """Use as a context: `url` answers after `delay_s`, with status 500 while `fails`, until it ends."""

    def __init__(self, delay_s=0.0):
        self.delay_s, self.fails, self.asked = delay_s, False, 0

    def __enter__(self):
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.answer(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                provider.asked += 1
                time.sleep(provider.delay_s)
                if provider.fails:
                    self.answer(500, {"error": {"message": "it fails because the test says so", "type": "server_error"}})
                    return
                self.answer(200, {
                    "id": "slow-1", "object": "text_completion", "created": 0, "model": MODEL,
                    "choices": [{"index": 0, "text": "slow text", "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
                })

            def answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                """The tests say what happened."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Traffic:
    """Use as a context: asks a host again and again, each time with another prompt, and forgets the answers."""

    def __init__(self, host, clients=4, pause_s=0.02):
        self.host, self.pause_s, self.stopping = host, pause_s, threading.Event()
        self.threads = [threading.Thread(target=self.ask, args=(number,), daemon=True) for number in range(clients)]

    def ask(self, client):
        number = 0
        while not self.stopping.is_set():
            number += 1
            body = json.dumps({"model": MODEL, "prompt": f"{client} asks {number}", "max_tokens": 2}).encode()
            try:
                self.host.api("/v1/completions", "POST", body)
            except OSError:
                pass  # What fails is the test's business to look for in the host's own figures.
            time.sleep(self.pause_s)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
