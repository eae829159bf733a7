"""Receivers of alerts on loopback: an HTTP server, an SMTP server, an MQTT broker, each a real one of its kind."""

import email
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from host import free_port


class Web:
    """Use as a context: keeps the JSON that is posted to `url`, after having refused the first `refusals` with 503."""

    def __init__(self, refusals=0):
        self.refusals, self.posts = refusals, []

    def __enter__(self):
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                is_refused = web.refusals > 0
                web.refusals -= 1
                if not is_refused:
                    web.posts.append((self.path, dict(self.headers.items()), body))
                self.send_response(503 if is_refused else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                """The tests say what happened."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Mail:
    """Use as a context: keeps the mail that arrives at `port`, from whoever logs in as ann with `password`."""

    def __init__(self, password):
        self.password, self.messages, self.port = password, [], free_port()

    async def handle_DATA(self, _server, _session, envelope):
        self.messages.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=policy.default)))
        return "250 taken"

    def __enter__(self):
        def log_in(_server, _session, _envelope, _mechanism, data):
            return AuthResult(success=(data.login, data.password) == (b"ann", self.password.encode()))

        self.controller = Controller(
            self, hostname="127.0.0.1", port=self.port, authenticator=log_in, auth_required=True, auth_require_tls=False)
        self.controller.start()
        return self

    def __exit__(self, *_):
        self.controller.stop()


class Broker:
    """Use as a context: an MQTT broker at `port`. Mosquitto where it is installed, else amqtt, which is plain Python."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()

    def __enter__(self):
        mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        if mosquitto:
            config = self.folder / "mosquitto.conf"
            config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
            command = [mosquitto, "-c", str(config)]
        else:
            config = self.folder / "amqtt.yaml"
            config.write_text(
                f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{self.port}\n"
                "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n")
            command = [sys.executable, "-m", "amqtt.scripts.broker_script", "-c", str(config)]
        self.log = open(self.folder / "broker.log", "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "broker.log").read_text())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
