"""Alerts on a real host: a failing provider is told to every channel, answered by people, and remembered."""

import json
import subprocess
import urllib.request

import paho.mqtt.client as mqtt
from host import BINARY, Host, wait_for
from receivers import Broker, Mail, Web
from slow_provider import SlowProvider, Traffic

PASSWORD = "a-secret-that-must-not-show"

CONFIG = """
[alerts]
defaults = false
interval_ms = 500

[alerts.channels.hook]
kind = "webhook"
url = "{web}/hook/{password}"

[alerts.channels.ops]
kind = "slack"
url_env = "OPS_URL"

[alerts.channels.post]
kind = "email"
server = "127.0.0.1"
port = {mail}
security = "none"
user = "ann"
password_file = "{password_file}"
from = "perfhost@host.example"
to = ["ann@home.example", "bob@home.example"]

[alerts.channels.home]
kind = "mqtt"
server = "127.0.0.1"
port = {broker}

[[alert]]
name = "failing"
when = "error_rate > 20% for 1s"
severity = "critical"
keep_firing = "1s"
summary = "requests fail"
do = "disable_retries"
"""


class Listener:
    """A client of the broker that keeps the last message of every topic, and all events."""

    def __init__(self, port):
        self.retained, self.events = {}, []
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self.client.on_message = self.keep
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def keep(self, _client, _data, message):
        text = message.payload.decode()
        if message.topic == "perfhost/alerts":
            self.events.append(json.loads(text))
        else:
            self.retained[message.topic] = text

    def stop(self):
        self.client.loop_stop()


def test_every_channel_hears_of_a_failing_provider_and_of_its_recovery(tmp_path):
    password_file = tmp_path / "password"
    password_file.write_text(PASSWORD + "\n")
    with Web(refusals=2) as web, Mail(PASSWORD) as mail, Broker(tmp_path) as broker, SlowProvider() as provider:
        listener = Listener(broker.port)
        config = tmp_path / "perfhost.toml"
        config.write_text(CONFIG.format(
            web=web.url, mail=mail.port, broker=broker.port, password_file=password_file, password=PASSWORD))
        flags = ["--config", str(config), "--upstream", provider.url, "--interval-ms", "500", "--set", "retries=1", "--plugin", "conservative"]
        host = Host(tmp_path / "data", flags, model=None, environment={"OPS_URL": f"{web.url}/slack/{PASSWORD}"})
        try:
            host.wait_until_ready()
            state = "perfhost/alerts/failing/state"
            wait_for("the entity", lambda: listener.retained.get(state) == "OFF" and listener.retained.get("perfhost/status") == "online")
            entity = json.loads(next(text for topic, text in listener.retained.items() if topic.startswith("homeassistant/binary_sensor/")))
            assert entity["state_topic"] == state and entity["device_class"] == "problem"
            with Traffic(host):
                provider.fails = True
                wait_for("the alert", lambda: host.command("alerts")["alerts"] and host.command("alerts")["alerts"][0]["state"] == "firing")
                alert = host.command("alerts")["alerts"][0]["alert"]
                assert host.api("/api/system/status")["alerts"]["critical"] == 1
                with urllib.request.urlopen(host.url + "/metrics", timeout=10) as answer:
                    assert 'perfhost_alerts_firing{rule="failing",severity="critical"} 1' in answer.read().decode()
                wait_for("every channel", lambda: len(web.posts) >= 2 and mail.messages and listener.events)
                wait_for("the state", lambda: listener.retained.get(state) == "ON")
                wait_for("the action", lambda: any(
                    one["strategy"].startswith("alerts@") and one["proposal"]["name"] == "retries"
                    for one in host.api("/api/decisions?limit=50")["decisions"]))

                answered = host.command("alerts", "acknowledge", str(alert["id"]), "--by", "ann", "--comment", "on it")
                assert answered["alert"]["acknowledged"]["by"] == "ann"
                silence = host.command("alerts", "silence", "failing", "--for", "1h", "--by", "ann")["silence"]
                # What people said is there after a restart, and nothing is told twice.
                host.stop()
                told = len(listener.events)
                host = Host(tmp_path / "data", flags, model=None, environment={"OPS_URL": f"{web.url}/slack/{PASSWORD}"})
                host.wait_until_ready()
                after = host.command("alerts")
                assert after["silences"][0]["id"] == silence["id"]
                assert after["alerts"][0]["alert"]["acknowledged"]["comment"] == "on it" and after["alerts"][0]["alert"]["id"] == alert["id"]
                host.command("alerts", "unsilence", str(silence["id"]))
            provider.fails = False
            with Traffic(host):
                wait_for("the recovery", lambda: not host.command("alerts")["alerts"])
                wait_for("the end everywhere", lambda: len(web.posts) >= 4 and len(mail.messages) >= 2 and len(listener.events) > told)
            assert [one["event"] for one in listener.events] == ["firing", "resolved"]
            assert listener.retained[state] == "OFF"
            history = host.command("alerts", "history")["alerts"]
            assert [one["id"] for one in history] == [alert["id"]] and history[0]["resolved_ms"]
            assert host.command("alerts", "statistics")["rules"][0]["fired"] == 1

            slack = [body for path, _, body in web.posts if path.startswith("/slack/")]
            assert "failing" in slack[0]["text"] and slack[0]["attachments"][0]["color"]
            hook = [body for path, _, body in web.posts if path.startswith("/hook/")]
            assert [one["event"] for one in hook] == ["firing", "resolved"] and hook[0]["alert"]["rule"] == "failing"
            receivers, message = mail.messages[0]
            assert receivers == ["ann@home.example", "bob@home.example"] and message["subject"] == "[critical] failing"
            assert "requests fail" in message.get_content()

            channels = {one["name"]: one["deliveries"] for one in host.command("alerts")["channels"]}
            assert all(one["delivered"] >= 1 and one["failed"] == 0 for one in channels.values()), channels
            shown = json.dumps([host.api("/api/alerts/active"), host.api("/api/alerts/rules"), host.api("/api/alerts/history")])
            assert PASSWORD not in shown + host.log_text()
        finally:
            host.stop()
            listener.stop()


def test_an_unreachable_receiver_holds_nothing_up_and_its_secret_stays_hidden(tmp_path):
    config = tmp_path / "perfhost.toml"
    config.write_text(f'[alerts.channels.gone]\nkind = "webhook"\nurl = "http://127.0.0.1:9/{PASSWORD}"\n')
    host = Host(tmp_path / "data", ["--config", str(config)], model=None)
    try:
        host.wait_until_ready()
        assert host.command("alerts", "test", "gone")["posted_to"] == "gone"

        def gone():
            return next(one for one in host.command("alerts")["channels"] if one["name"] == "gone")["deliveries"]

        wait_for("a second attempt", lambda: gone()["retried"] >= 1)
        assert gone()["last_error"] and PASSWORD not in json.dumps(gone()) + host.log_text()
        unknown = subprocess.run([BINARY, "alerts", "silence", "nothing", "--host", host.url], capture_output=True, text=True, timeout=30)
        assert unknown.returncode == 1 and "provider-down" in unknown.stderr
    finally:
        host.stop()
