"""A real Prometheus, where one is installed: scrapes, and answers questions."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from host import free_port, wait_for

PROGRAM, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")


class Prometheus:
    """A running server with this configuration."""

    def __init__(self, folder, configuration):
        folder.mkdir()
        file = folder / "prometheus.yml"
        file.write_text(configuration)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            [PROGRAM, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={self.url[7:]}"],
            stdout=self.log, stderr=subprocess.STDOUT)
        try:
            wait_for("Prometheus to be ready", self.is_ready)
        except AssertionError as error:
            self.stop()
            raise AssertionError((folder / "log").read_text()) from error

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def ask(self, expression):
        """The samples of an instant vector: labels and value."""
        question = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query?{question}", timeout=30) as answer:
                result = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from error
        return [(sample["metric"], float(sample["value"][1])) for sample in result]

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def scraping(configuration, port):
    """A configuration of one target, pointed at this port and in a hurry."""
    configuration, targets = re.subn(r"127\.0\.0\.1:8900", f"127.0.0.1:{port}", configuration)
    configuration, intervals = re.subn(r"scrape_interval: 10s", "scrape_interval: 1s", configuration)
    assert (targets, intervals) == (1, 1), configuration
    return configuration
