"""The API against its own OpenAPI document, by a fuzzer: what is allowed is answered as described, what is not is refused."""

import http.client
import json

import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance, negative_data_rejection, response_schema_conformance, status_code_conformance, unsupported_method)

from host import Host

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    negative_data_rejection, unsupported_method]

# Requests of the document's own paths: enough that each parameter is bent in many ways, few enough for every change.
EXAMPLES = 40


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    host = Host(tmp_path_factory.mktemp("openapi") / "data", model=None).wait_until_ready()
    yield host
    host.stop()


def test_every_path_behaves_as_the_document_says(host):
    schema = schemathesis.openapi.from_url(f"{host.url}/api/openapi.json").include(path_regex="^/(api|health|metrics)")
    sent = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        sent[operation.method.upper(), operation.path] = fuzz(operation)
    assert len(sent) >= 30
    assert all(sent.values()), sent
    # Most operations have a parameter, and all with one were bent.
    assert sum(sent.values()) > 10 * len(sent), sent
    assert host.process.poll() is None, host.log_text()


def fuzz(operation):
    """Sends allowed and bent requests of one operation; returns how many."""
    from hypothesis import HealthCheck, Phase, given, settings

    quiet = settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck))
    count = 0
    for mode in schemathesis.GenerationMode:
        strategy = operation.as_strategy(generation_mode=mode)

        @quiet
        @given(case=strategy)
        def check(case):
            nonlocal count
            count += 1
            case.call_and_validate(checks=CHECKS, timeout=30)

        try:
            check()
        except Exception as error:
            # What cannot be bent has no wrong form.
            if type(error).__name__ not in ("Unsatisfiable", "SkipTest"):
                raise
    return count


def test_the_document_names_what_is_served_and_nothing_else(host):
    document = host.api("/api/openapi.json")
    assert document["openapi"].startswith("3.1")
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=30)
    served = set()
    for path, methods in document["paths"].items():
        for method in ("get", "post", "put", "patch", "delete"):
            real = path.replace("{aspect}", "cpu").replace("{what}", "cache").replace("{id}", "some-model")
            connection.request(method.upper(), real, headers={"content-type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            body = json.loads(text) if "json" in answer.headers["content-type"] else None
            if method in methods:
                served.add(path)
                assert answer.status != 405, (method, path)
                # Not there is a model or strategy, never the path.
                assert answer.status != 404 or "is not served" not in body["error"]["message"], (method, path)
            else:
                assert answer.status == 405, (method, path, answer.status)
                assert answer.headers["allow"] or path.startswith("/v1")
    assert served == set(document["paths"])
