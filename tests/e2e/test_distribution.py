"""Plugins from a real registry, over https, by upload; signatures; grants and limits. No engine is needed."""

import functools
import http.server
import json
import shutil
import sqlite3
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import registry as registries
from host import BINARY, Host, free_port, wait_for
from registry import PASSWORD, USER, Registry, digest, key_pair, signature_of
from versions import version

GUESTS = Path(__file__).resolve().parents[2] / "target" / "guests" / "wasm32-unknown-unknown" / "guest"
PLUGIN = GUESTS / "aggressive.wasm"
HOSTILE = GUESTS / "guest_hostile.wasm"

needs_registry = pytest.mark.skipif(not registries.BINARY, reason="Debian's docker-registry is not to be had on this machine")
needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the keys and signatures of this test")


@pytest.fixture
def registry(tmp_path):
    running = Registry(tmp_path / "registry")
    yield running
    running.stop()


def refusal(tmp_path, *flags, environment=None):
    """The error of a host that does not start."""
    command = [BINARY, "--listen", f"127.0.0.1:{free_port()}", "--data-dir", str(tmp_path / "refused"), "--no-discovery", "--no-engine", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 1, done.stderr
    return done.stderr


def in_service(host):
    return host.api("/api/strategies")["in_service"]


@needs_registry
def test_a_host_runs_a_strategy_from_a_registry_and_again_while_the_registry_is_away(start, registry, tmp_path):
    manifest = registry.push("strategies/fast", "1.0", PLUGIN.read_bytes())
    tag, pinned = (registry.reference("strategies/fast", which) for which in ("1.0", manifest))
    library = ["--library-dir", str(tmp_path / "library")]
    host = start("--plugin", tag, *library, model=None)
    strategy = in_service(host)
    assert (strategy["name"], strategy["source"], strategy["digest"]) == ("aggressive", tag, digest(PLUGIN.read_bytes())[7:])
    assert strategy["provenance"] == {
        "kind": "oci", "pinned": pinned, "digest": digest(PLUGIN.read_bytes()), "signature": {"state": "not-checked"}}
    assert f"name it {pinned}" in host.log_text()
    registry.stop()
    for name in (tag, pinned):
        assert in_service(start("--plugin", name, *library, model=None))["name"] == "aggressive"
    assert "cannot be fetched" in refusal(tmp_path, "--plugin", tag, "--library-dir", str(tmp_path / "empty"))
    registry.start()
    assert "strategies/fast:2.0 does not exist" in refusal(tmp_path, "--plugin", registry.reference("strategies/fast", "2.0"), *library)


@needs_registry
def test_a_private_registry_is_opened_by_dockers_credentials_and_by_the_configuration(tmp_path):
    private = Registry(tmp_path / "private", is_private=True)
    try:
        private.push("strategies/fast", "1.0", PLUGIN.read_bytes())
        name = private.reference("strategies/fast", "1.0")

        def pull(library, docker):
            command = [BINARY, "plugin", "pull", name, "--library-dir", str(tmp_path / library), "--output", "json"]
            environment = {"HOME": str(tmp_path / "home"), "DOCKER_CONFIG": str(docker), "PASSWORD": PASSWORD,
                           "PERFHOST_CONFIG": str(tmp_path / "perfhost.toml")}
            return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)

        config = tmp_path / "perfhost.toml"
        config.write_text("")
        denied = pull("none", tmp_path)
        assert denied.returncode == 1 and "[[registry]]" in denied.stderr and private.host in denied.stderr
        auth = json.dumps({"auths": {private.host: {"auth": "cmVhZGVyOnNlY3JldA=="}}})
        (tmp_path / "docker").mkdir()
        (tmp_path / "docker" / "config.json").write_text(auth)
        assert json.loads(pull("docker", tmp_path / "docker").stdout)["provenance"]["digest"] == digest(PLUGIN.read_bytes())
        config.write_text(f"[[registry]]\nhost = '{private.host}'\nusername = '{USER}'\npassword_env = 'PASSWORD'\n")
        assert pull("configured", tmp_path).returncode == 0
    finally:
        private.stop()


@needs_registry
@needs_openssl
def test_where_signatures_are_required_only_signed_artifacts_run(start, registry, tmp_path):
    private, _ = key_pair(tmp_path)
    stranger, _ = key_pair(tmp_path, "stranger")
    manifest = registry.push("strategies/fast", "1.0", PLUGIN.read_bytes())
    name = registry.reference("strategies/fast", "1.0")
    config = tmp_path / "perfhost.toml"
    config.write_text("[trust]\npublic_keys = ['cosign.pub']\nrequire_signature = ['oci']\n")
    flags = ["--config", str(config), "--plugin", name, "--library-dir", str(tmp_path / "library")]
    unsigned = refusal(tmp_path, *flags)
    assert "is not signed" in unsigned and manifest.replace(":", "-") + ".sig" in unsigned
    registry.sign("strategies/fast", manifest, stranger)
    assert "signed with another key" in refusal(tmp_path, *flags)
    registry.sign("strategies/fast", manifest, private)
    assert in_service(start(*flags, model=None))["provenance"]["signature"] == {"state": "verified", "key": "cosign.pub"}


@needs_openssl
def test_https_with_a_digest_and_a_signature(start, tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    (served / "fast.wasm").write_bytes(PLUGIN.read_bytes())
    private, _ = key_pair(tmp_path)
    (served / "fast.wasm.sig").write_text(signature_of(PLUGIN.read_bytes(), private))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE",
                    "-keyout", str(tmp_path / "tls.key"), "-out", str(tmp_path / "tls.pem")], capture_output=True, check=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem", tmp_path / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://localhost:{server.server_port}/fast.wasm#sha256={digest(PLUGIN.read_bytes())[7:]}"
    config = tmp_path / "perfhost.toml"
    config.write_text("[trust]\npublic_keys = ['cosign.pub']\nrequire_signature = true\n")
    flags = ["--config", str(config), "--plugin", url, "--library-dir", str(tmp_path / "library")]
    trusting = {"SSL_CERT_FILE": str(tmp_path / "tls.pem")}
    assert "cannot be fetched" in refusal(tmp_path, *flags), "a certificate of nobody's is not trusted"
    host = start(*flags, model=None, environment=trusting)
    assert in_service(host)["provenance"] == {
        "kind": "url", "pinned": url, "digest": digest(PLUGIN.read_bytes()), "signature": {"state": "verified", "key": "cosign.pub"}}
    server.shutdown()
    server.server_close()
    assert in_service(start(*flags, model=None, environment=trusting))["name"] == "aggressive", "from the library folder"


@needs_registry
@needs_openssl
def test_the_way_back_leads_to_what_came_from_a_registry_that_is_gone_while_it_is_still_trusted(tmp_path, registry):
    key_pair(tmp_path)
    registry.push("strategies/versioned", "1.0", version(1))
    name = registry.reference("strategies/versioned", "1.0")

    def run(plugin, trust=""):
        """A host on the test's one data folder, with an empty library folder each time."""
        config = tmp_path / "perfhost.toml"
        config.write_text(f"library_dir = '{tmp_path / plugin[:4]}'\n{trust}")
        return Host(tmp_path / "data", ["--config", str(config), "--plugin", plugin], model=None).wait_until_ready()

    host = run(name)
    came = in_service(host)
    host.stop()
    registry.stop()
    host = run("conservative")
    try:
        back = host.command("plugin", "rollback")["in_service"]
        assert [back[key] for key in ("name", "source", "digest", "provenance")] == [
            came[key] for key in ("name", "source", "digest", "provenance")]
        host.swap("balanced")
        assert host.swap("versioned@1.0.0")["in_service"]["digest"] == came["digest"]
    finally:
        host.stop()
    host = run("conservative", "[trust]\npublic_keys = ['cosign.pub']\nrequire_signature = ['oci']\n")
    try:
        for refused in (["rollback"], ["swap", "versioned@1.0.0"]):
            done = subprocess.run([BINARY, "plugin", *refused, "--host", host.url], capture_output=True, text=True, timeout=60)
            assert done.returncode == 1 and "load it again from where it came from" in done.stderr, done.stderr
        assert in_service(host)["name"] == "conservative"
    finally:
        host.stop()
        registry.start()


@needs_openssl
def test_a_watched_file_is_taken_when_it_is_signed(start, tmp_path):
    private, _ = key_pair(tmp_path)
    plugin, signature = tmp_path / "plugin.wasm", tmp_path / "plugin.wasm.sig"
    plugin.write_bytes(version(1))
    signature.write_text(signature_of(version(1), private))
    config = tmp_path / "perfhost.toml"
    config.write_text("[trust]\npublic_keys = ['cosign.pub']\nrequire_signature = true\n")
    host = start("--config", str(config), "--plugin", str(plugin), "--watch", model=None)
    plugin.write_bytes(version(2))
    wait_for("the refusal", lambda: host.api("/api/strategies")["last_refused"])
    assert host.api("/api/strategies")["last_refused"]["code"] == "bad-signature"
    assert in_service(host)["version"] == "1.0.0"
    signature.write_text(signature_of(version(2), private))
    wait_for("version 2", lambda: in_service(host)["version"] == "2.0.0")
    assert in_service(host)["provenance"]["signature"] == {"state": "verified", "key": "cosign.pub"}
    assert host.api("/api/strategies")["last_refused"] is None


def upload(host, plugin, token=None, checked=None):
    """Sends a file as `perfhost plugin swap --upload` does. Returns the status and the answer."""
    path = f"/api/strategies?name=mine{f'&digest={checked}' if checked else ''}"
    headers = {"content-type": "application/wasm", **({"authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(host.url + path, plugin, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def test_uploads_need_the_grant_and_the_admin_token(start, tmp_path):
    plugin = PLUGIN.read_bytes()
    status, answer = upload(start(model=None), plugin)
    message = answer["error"]["message"]
    assert (status, answer["error"]["code"]) == (403, "not-allowed")
    assert "\"upload\" to trust.api_sources" in message and "access.admin_token" in message

    config = tmp_path / "perfhost.toml"
    config.write_text("[trust]\napi_sources = ['upload']\n")
    host = start("--config", str(config), model=None, environment={"PERFHOST_ADMIN_TOKEN": "token"}, token="token")
    assert upload(host, plugin)[0] == 401
    status, answer = upload(host, plugin, "token", "sha256:" + "0" * 64)
    assert (status, answer["error"]["code"]) == (422, "digest-mismatch") and digest(plugin) in answer["error"]["message"]
    status, answer = upload(host, plugin, "token", digest(plugin))
    assert status == 200 and answer["in_service"]["digest"] == digest(plugin)[7:]
    assert answer["in_service"]["provenance"]["kind"] == "upload"
    done = subprocess.run([BINARY, "plugin", "swap", str(PLUGIN), "--upload", "--host", host.url, "--token", "token"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "in service: aggressive" in done.stdout, done.stderr


def test_a_host_on_this_machine_is_given_the_path_of_a_file_and_its_digest(start, tmp_path):
    host = start(model=None)
    assert host.command("plugin", "swap", str(PLUGIN))["in_service"]["source"] == str(PLUGIN.resolve())
    body = json.dumps({"name": str(PLUGIN), "digest": digest(b"another")}).encode()
    with pytest.raises(urllib.error.HTTPError) as refused:
        host.api("/api/strategies", "POST", body)
    assert refused.value.code == 422 and json.load(refused.value)["error"]["code"] == "digest-mismatch"


def test_a_strategy_is_held_to_its_grants_and_limits(start, tmp_path):
    config = tmp_path / "perfhost.toml"

    def configure(terms):
        config.write_text(f"plugins = ['{HOSTILE}']\n[parameters.hostile]\nmode = 'negative'\n{terms}")

    def verdicts(host):
        decisions = host.api("/api/decisions?limit=50&strategy=hostile")["decisions"]
        return [(one["verdict"], one["detail"]) for one in decisions]

    configure("[strategies.hostile]\ngrants = ['log', 'turn:retries']\nlimits = { memory_bytes = 8388608, plan_budget_us = 20 }\n")
    host = start("--config", str(config), "--interval-ms", "500", model=None)
    strategy = in_service(host)
    assert strategy["grants"] == ["log", "turn:retries"] and strategy["world"] == "tuner"
    assert strategy["limits"]["memory_bytes"] == 8388608 and strategy["limits"]["plan_budget_us"] == 20
    wait_for("a proposal", lambda: verdicts(host))
    assert all(verdict == "refused" and "not offered" in detail for verdict, detail in verdicts(host)), verdicts(host)

    configure("[strategies.hostile]\ngrants = ['turn']\n")
    wait_for("the new grants", lambda: in_service(host)["grants"] == ["turn"])
    wait_for("a proposal that is let through", lambda: {"clamped", "applied"} & {verdict for verdict, _ in verdicts(host)})

    host.swap("conservative")
    configure("[strategies.hostile]\ngrants = ['log']\n")
    wait_for("the new configuration", lambda: host.log_text().count("configuration reloaded") == 2)
    swapped = host.command("plugin", "swap", digest(HOSTILE.read_bytes())[7:19])["in_service"]
    assert swapped["grants"] == ["log"], "what was at hand is not put in service under the terms of before"

    configure("[strategies.hostile]\ngrants = ['network']\n")
    wait_for("the refusal", lambda: "strategies.hostile.grants" in host.log_text())
    assert in_service(host)["grants"] == ["log"], "the configuration before stays in force"


@pytest.mark.parametrize("grants, is_kept", [("['state']", True), ("['log', 'turn', 'plan', 'history']", False)])
def test_state_is_kept_over_a_restart_only_where_it_is_granted(start, tmp_path, grants, is_kept):
    config = tmp_path / "perfhost.toml"
    # In this mode the state grows with every proposal.
    config.write_text(f"plugins = ['{HOSTILE}']\n[parameters.hostile]\nmode = 'remember'\n[strategies.hostile]\ngrants = {grants}\n")
    host = start("--config", str(config), "--interval-ms", "500", model=None)
    wait_for("a cycle", lambda: host.api("/api/system/status")["uptime_s"] >= 2)
    host.stop()
    with sqlite3.connect(next(host.data_dir.glob("*.db"))) as database:
        kept = database.execute("select state from learned where strategy = 'hostile'").fetchall()
    assert bool(kept) == is_kept
