"""What Prometheus and its tools make of a host that has lived: its exposition, and the dashboard over it."""

import json
import re
import subprocess
import urllib.error

import panels
import pytest
from host import Host, wait_for
from prometheus_server import PROGRAM, PROMTOOL, Prometheus, scraping
from promlint import families, problems



def live(host):
    """Requests of every kind, and an experiment: whatever the host can show, it shows afterwards."""
    client = host.client()
    for stream in client.chat.completions.create(
            model=host.model, messages=[{"role": "user", "content": "Count to five"}], max_tokens=8, temperature=1, stream=True):
        assert stream.id
    for _ in range(2):
        client.completions.create(model=host.model, prompt="The same again", max_tokens=4, temperature=0)
    with pytest.raises(urllib.error.HTTPError):
        host.api("/v1/completions", "POST", b"{")
    # Of a knob that leaves the engine alone.
    host.api("/api/experiments", "POST", json.dumps({"arms": [{"set": {"retries": 0}}, {"set": {"retries": 3}}]}).encode())


def sample(text, name, *labels):
    """The sum over the samples of a name with these labels; None where there is none."""
    lines = [line for line in text.splitlines() if re.match(rf"{name}[ {{]", line) and all(label in line for label in labels)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines) if lines else None


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A host that has lived, and its exposition then."""
    host = Host(tmp_path_factory.mktemp("prometheus") / "data", ["--plugin", "balanced", "--set", "engine_slots=2"])
    try:
        host.wait_until_ready()
        live(host)

        def exposition():
            text = host.api_text("/metrics")
            figures = [
                sample(text, "perfhost_requests_total", 'outcome="success"'), sample(text, "perfhost_requests_total", 'outcome="client_error"'),
                sample(text, "perfhost_cache_requests_total", 'status="hit"'), sample(text, "perfhost_engine_phase", 'phase="ready"'),
                sample(text, "perfhost_experiment_share")]
            is_engine_sampled = sample(text, "perfhost_process_cpu", 'gen_ai_provider_name="local"') is not None
            return text if is_engine_sampled and figures == [3, 1, 1, 1, pytest.approx(1)] else None

        yield host, wait_for("a complete exposition", exposition)
    finally:
        host.stop()


@pytest.mark.parametrize("text, problem", [
    ("# TYPE a_total counter\na_total 1\n", "no help text"),
    ("# HELP a A.\n# TYPE a counter\na 1\n", "counters, and only counters, should end in _total"),
    ("# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n", "counters, and only counters, should end in _total"),
    ("# HELP a_milliseconds A.\n# TYPE a_milliseconds gauge\na_milliseconds 1\n", "use base unit seconds instead of milliseconds"),
    ("# HELP a_hours A.\n# TYPE a_hours gauge\na_hours 1\n", "use base unit seconds instead of hours"),
    ("# HELP wait_ms A.\n# TYPE wait_ms gauge\nwait_ms 1\n", "the unit ms should be spelled out"),
    ("# HELP a_bucket A.\n# TYPE a_bucket gauge\na_bucket 1\n", "_bucket and the label le are for histograms"),
    ('# HELP a A.\n# TYPE a gauge\na{le="1"} 1\n', "_bucket and the label le are for histograms"),
    ("# HELP a_count A.\n# TYPE a_count gauge\na_count 1\n", "_count and _sum are for histograms and summaries"),
    ('# HELP a A.\n# TYPE a gauge\na{quantile="0.5"} 1\n', "the label quantile is for summaries"),
    ("# HELP a_gauge A.\n# TYPE a_gauge gauge\na_gauge 1\n", "the name should not include the type gauge"),
    ("# HELP a:b A.\n# TYPE a:b gauge\na:b 1\n", "colons are for recording rules"),
    ("# HELP aB A.\n# TYPE aB gauge\naB 1\n", "aB should be in snake_case"),
    ('# HELP a A.\n# TYPE a gauge\na{oneLabel="x"} 1\n', "oneLabel should be in snake_case"),
])
def test_a_fault_of_each_kind_is_found(text, problem):
    assert [found for _, found in problems(text)] == [problem]


def test_the_exposition_keeps_to_promtools_rules(lived):
    _, text = lived
    assert problems(text) == []
    kinds = {family.kind for family in families(text)}
    assert kinds == {"counter", "gauge", "histogram", "summary"}


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool on PATH")
def test_promtool_finds_nothing(lived):
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=lived[1], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_dashboard_asks_for_what_the_host_exposes(lived):
    _, text = lived
    exposed = {name: labels for family in families(text) for name, labels in family.samples.items()}
    asked = 0
    for title, expression, legend in panels.targets():
        used, kept = panels.names_in(expression)
        unknown = sorted(name for name, _ in used if name not in exposed)
        assert not unknown, f"{title}: not in /metrics: {unknown}"
        for name, label in used:
            assert label is None or label in exposed[name] | panels.OF_SCRAPING, f"{title}: {name} has no label {label}"
        available = kept if kept is not None else set().union(*(exposed[name] for name, _ in used)) | panels.OF_SCRAPING
        missing = set(re.findall(r"{{(\w+)}}", legend)) - available
        assert not missing, f"{title}: the legend names {missing}, which the result of {expression} does not have"
        asked += 1
    assert asked > 30
    for metric, label in panels.variable_queries():
        assert label in exposed[metric] | panels.OF_SCRAPING, (metric, label)


@pytest.mark.skipif(PROGRAM is None, reason="there is no prometheus on PATH")
def test_a_real_prometheus_answers_every_panel(lived, tmp_path):
    host, _ = lived
    server = Prometheus(tmp_path / "prometheus", scraping((panels.FOLDER / "prometheus.yml").read_text(), host.port))
    try:
        # Rates need two scrapes.
        wait_for("two scrapes", lambda: server.ask("count_over_time(perfhost_recording[1m]) >= 2"))
        silent = [(title, expression) for title, expression, _ in panels.targets() if not server.ask(expression)]
        assert not silent
        assert server.ask("up")[0][1] == 1
    finally:
        server.stop()
