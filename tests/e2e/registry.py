"""Debian's docker-registry on a loopback port, and pushing to it as `oras`, `wkg` and `cosign` do."""

import base64
import hashlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.request

from host import free_port

BINARY = os.environ.get("PERFHOST_REGISTRY")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.wasm.config.v0+json"
LAYER = "application/wasm"
PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
READY_SECONDS = 30
# "secret", as `htpasswd -B` writes it: the only form that the registry takes.
USER, PASSWORD, HASHED = "reader", "secret", "$2b$05$zEr8PkH51s8LNJg8.wbqJerI4vdkFmhlmkxfYQzK8HOUIMiC4AlXW"


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Registry:
    """A running registry. `is_private` asks everybody for USER and PASSWORD."""

    def __init__(self, folder, is_private=False):
        self.folder, self.is_private, self.port = folder, is_private, free_port()
        self.host = f"127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "version": "0.1", "log": {"level": "error"}, "http": {"addr": self.host},
            "storage": {"filesystem": {"rootdirectory": str(folder / "content")}},
        }
        if is_private:
            (folder / "htpasswd").write_text(f"{USER}:{HASHED}\n")
            config["auth"] = {"htpasswd": {"realm": "private", "path": str(folder / "htpasswd")}}
        # JSON is YAML.
        (folder / "config.yml").write_text(json.dumps(config))
        self.start()

    def start(self):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen([BINARY, "serve", str(self.folder / "config.yml")], stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            try:
                self._send("GET", "/v2/")
                return
            except OSError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)
        raise AssertionError("the registry did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def reference(self, repository, tag_or_digest):
        mark = "@" if tag_or_digest.startswith("sha256:") else ":"
        return f"oci://{self.host}/{repository}{mark}{tag_or_digest}"

    def push(self, repository, tag, plugin):
        """Pushes a plugin in the layout of Wasm artifacts; returns the digest of its manifest."""
        config = json.dumps({"architecture": "wasm", "os": "wasip2", "layerDigests": [digest(plugin)]}).encode()
        return self._push_artifact(repository, tag, self._blob(repository, CONFIG, config), [self._blob(repository, LAYER, plugin)])

    def sign(self, repository, manifest_digest, private_key):
        """Leaves a signature where `cosign sign` leaves it, made by openssl."""
        payload = json.dumps({
            "critical": {
                "identity": {"docker-reference": f"{self.host}/{repository}"},
                "image": {"docker-manifest-digest": manifest_digest},
                "type": "cosign container image signature",
            },
            "optional": None,
        }).encode()
        layer = self._blob(repository, PAYLOAD, payload)
        layer["annotations"] = {"dev.cosignproject.cosign/signature": signature_of(payload, private_key)}
        config = self._blob(repository, "application/vnd.oci.image.config.v1+json", b"{}")
        self._push_artifact(repository, manifest_digest.replace(":", "-") + ".sig", config, [layer])

    def _push_artifact(self, repository, tag, config, layers):
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}).encode()
        self._send("PUT", f"/v2/{repository}/manifests/{tag}", manifest, MANIFEST)
        return digest(manifest)

    def _blob(self, repository, media_type, content):
        upload = self._send("POST", f"/v2/{repository}/blobs/uploads/", b"").headers["location"]
        mark = "&" if "?" in upload else "?"
        self._send("PUT", f"{upload}{mark}digest={digest(content)}", content, "application/octet-stream")
        return {"mediaType": media_type, "digest": digest(content), "size": len(content)}

    def _send(self, method, path, body=None, content_type=None):
        url = path if path.startswith("http") else f"http://{self.host}{path}"
        headers = {"content-type": content_type} if content_type else {}
        if self.is_private:
            headers["authorization"] = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=30)


def signature_of(content, private_key):
    """What `cosign sign-blob` prints: the signature in base64."""
    done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(private_key)], input=content, capture_output=True, check=True)
    return base64.b64encode(done.stdout).decode()


def key_pair(folder, name="cosign"):
    """The private and the public half of an ECDSA P-256 key, in PEM files."""
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    subprocess.run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", str(private)], capture_output=True, check=True)
    subprocess.run(["openssl", "ec", "-in", str(private), "-pubout", "-out", str(public)], capture_output=True, check=True)
    return private, public
