"""The dashboard in a real headless Chromium. Screenshots go to target/screenshots; look at them after changing the page."""

import json
import re
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import browser
import graphics
import pytest
from host import Host, wait_for
from load import Load
from slow_provider import MODEL as SLOW_MODEL
from slow_provider import SlowProvider

playwright = pytest.importorskip("playwright.sync_api")

SCREENSHOTS = browser.FOLDER.parents[1] / "screenshots"
# Name: width, height, pixels for a CSS pixel, colours.
LOOKS = {
    "phone-light": (390, 844, 2, "light"), "phone-dark": (390, 844, 2, "dark"),
    "desktop-light": (1440, 900, 1, "light"), "desktop-dark": (1440, 900, 1, "dark"),
    "4k-dark": (3840, 2160, 1, "dark"),
}
# Sections that a host may lack; the browser logs their 404 by itself.
OPTIONAL = ("/api/alerts/", "/api/experiments", "/api/monitoring/")


def wait_until_drawn(page, chart):
    """Attached, not visible: a level line has no height, which the browser's driver takes for hidden."""
    page.wait_for_selector(f"{chart} .line", state="attached", timeout=60_000)


@pytest.fixture(scope="module")
def chromium():
    options = browser.launch_options()
    if options is None:
        pytest.skip("no Chromium can be had on this machine")
    with playwright.sync_playwright() as running:
        try:
            started = running.chromium.launch(**options)
        except playwright.Error as error:
            pytest.skip(f"Chromium does not start on this machine: {str(error).splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A host that has just served some requests and turned a knob or two."""
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "perfhost.toml").write_text("[targets]\nresponse_time_ms = [1234, 3000, 5000]\n")
    host = Host(folder / "data", ["--plugin", "aggressive", "--interval-ms", "2000", "--config", str(folder / "perfhost.toml")])
    host.wait_until_ready()
    with Load(host, clients=4, max_tokens=8):
        wait_for("some answers", lambda: host.api("/api/metrics/histogram")["buckets"] and host.metric("response_time_ms", window="60s"), 120)
        time.sleep(15)
    yield host
    host.stop()


@pytest.fixture
def open_page(chromium):
    """Opens the dashboard of a host; at the end no page may have complained."""
    contexts, complaints = [], []

    def open_dashboard(host, look="desktop-light"):
        width, height, scale, colours = LOOKS[look]
        context = chromium.new_context(viewport={"width": width, "height": height}, device_scale_factor=scale, color_scheme=colours)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: message.type in ("error", "warning") and not any(path in message.location.get("url", "") for path in OPTIONAL)
                and complaints.append(f"{message.text} {message.location.get('url')}"))
        page.goto(host.url + "/dashboard")
        page.wait_for_selector("#live[data-state=on]")
        return page

    open_dashboard.complaints = complaints
    yield open_dashboard
    for context in contexts:
        context.close()
    assert not complaints


class Feed:
    """Reads the live feed beside the page."""

    def __init__(self, host):
        self.events, self.stream = {}, urllib.request.urlopen(host.url + "/api/metrics/stream", timeout=60)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.stream:
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                self.events[event.get("sequence")] = event


def test_present_figures_are_those_of_the_live_feed(busy, open_page):
    feed, page = Feed(busy), open_page(busy)
    read = """() => [document.documentElement.dataset.sequence, Object.fromEntries([...document.querySelectorAll(".card")].map((card) => [card.id, card.querySelector(".value").dataset.value]))]"""
    sequence, cards = wait_for("an event that both have seen", lambda: (lambda found: found[0] and int(found[0]) in feed.events and found)(page.evaluate(read)))
    event = feed.events[int(sequence)]
    metrics = {metric["name"]: metric["summary"] for metric in event["metrics"] if metric["scope"] == ""}
    for card, name, figure in (("response", "response_time_ms", "p95"), ("first-token", "time_to_first_token_ms", "p95"), ("tokens", "tokens_per_second", "mean"),
                               ("requests", "requests_per_second", "mean"), ("errors", "error_rate", "mean")):
        assert float(cards[f"card-{card}"]) == metrics[name][figure], card
    assert int(cards["card-queue"]) == event["status"]["requests"]["queued"]
    assert float(cards["card-cpu"]) == event["resources"]["host"]["cpu_share"]


def test_graphics_processors_have_cards_a_chart_and_gauges_only_where_there_are_any(start, tmp_path, open_page):
    shown = "() => ['#card-gpu', '#card-gpu-memory', '#gpu'].map((id) => document.querySelector(id).checkVisibility())"
    host = start(model=None)
    page = open_page(host)
    page.wait_for_selector("#processes table")
    has_gpu = bool(host.api("/api/system/resources")["gpus"])
    assert page.evaluate(shown) == [has_gpu] * 3
    assert (page.locator("#processes meter").count() > 0) == has_gpu

    host = start(model=None, environment=graphics.environment(tmp_path))
    page = open_page(host)
    page.wait_for_selector("#processes meter")
    assert page.evaluate(shown) == [True] * 3
    assert page.locator("#card-gpu .value").get_attribute("data-value") == "0.63"
    assert float(page.locator("#card-gpu-memory .value").get_attribute("data-value")) == 21 / 80
    gauges = page.locator("#processes meter").evaluate_all("(all) => all.map((one) => [one.value, one.max])")
    assert gauges[:2] == [[0.63, 1], [21 * 2**30, 80 * 2**30]]
    table = page.locator("#processes").inner_text()
    assert "NVIDIA H100 (nvidia 0)" in table and "58 °C" in table and "313 W" in table
    wait_until_drawn(page, "#gpu")
    page.screenshot(path=SCREENSHOTS / "dashboard-graphics.png", full_page=True)


def test_history_and_histogram_are_those_of_the_api(busy, open_page):
    # Newer points may still change while they are compared; how old the host is depends on the tests before.
    points = lambda: busy.api("/api/metrics/historical?metric=response_time_ms&from=-15m")["points"]
    wait_for("points that change no more", lambda: any(point["at_ms"] < time.time() * 1000 - 45_000 for point in points()), 120)
    with open_page(busy).expect_request(re.compile(r"historical\?metric=response_time_ms")) as asked:
        pass
    page, url = asked.value.frame.page, asked.value.url
    wait_until_drawn(page, "#response-time")
    page.locator("#response-time summary").click()
    page.locator("#histogram summary").click()
    settled = time.time() * 1000 - 30_000
    rows = page.evaluate("""() => [...document.querySelectorAll("#response-time tbody tr")].map((row) => [row.dataset.at, [...row.querySelectorAll("td")].map((cell) => cell.dataset.value)])""")
    shown = {int(at): [float(value) for value in values] for at, values in rows if int(at) < settled}
    told = busy.api(url.removeprefix(busy.url))["points"]
    assert shown == {point["at_ms"]: [point["p50"], point["p95"], point["p99"]] for point in told if point["at_ms"] < settled and point["at_ms"] in shown}
    assert shown, "nothing is old enough to be compared"
    counts = page.evaluate("""() => [...document.querySelectorAll("#histogram tbody td[data-value]")].map((cell) => Number(cell.dataset.value))""")
    assert counts == [bucket["count"] for bucket in busy.api("/api/metrics/histogram?from=-15m")["buckets"]]
    assert sum(counts) > 0


def test_decisions_are_listed_and_marked(busy, open_page):
    decisions = wait_for("a decision", lambda: [one for one in busy.api("/api/decisions")["decisions"] if one["applied"] is not None])
    page = open_page(busy)
    page.wait_for_selector("#response-time .mark")
    assert page.locator("#response-time .mark").count() == len(decisions)
    assert decisions[0]["proposal"]["reason"] in page.locator("#decision-list").inner_text()
    assert page.locator("#knob-charts figure").count() >= 1


def test_the_page_follows_what_happens(busy, open_page):
    page = open_page(busy)
    total = lambda: int(page.locator("#causes").get_attribute("data-total"))
    before = total()
    assert before > 0
    busy.client().completions.create(model=busy.model, prompt="Something new", max_tokens=2)
    wait_for("the page to show it", lambda: total() == before + 1)


def test_causes_and_cache_are_those_of_the_range_and_outlive_the_host(tmp_path, open_page):
    data = tmp_path / "data"

    def asked(path, body):
        try:
            host.api(path, "POST", body)
        except urllib.error.HTTPError as error:
            # Who leaves before the end of the answer has cancelled.
            error.read()
            return error.code
        return 200

    with SlowProvider() as provider:
        host = Host(data, ["--upstream", provider.url, "--set", "retries=0"], model=None)
        host.wait_until_ready()
        body = lambda prompt: json.dumps({"model": SLOW_MODEL, "prompt": prompt, "temperature": 0}).encode()
        wait_for("the model", lambda: host.api("/v1/models")["data"])
        assert [asked("/v1/completions", body("same")) for _ in range(3)] == [200, 200, 200]
        assert asked("/v1/completions", b"{") == 400
        provider.fails = True
        assert [asked("/v1/completions", body(f"other {at}")) for at in range(2)] == [500, 500]
        wait_for("history to have it all", lambda: sum(one["count"] for one in host.api("/api/metrics/aggregated?from=-15m")["outcomes"]) == 6)
        host.stop()
        # Nothing has happened since this start; the range still knows.
        host = Host(data, ["--upstream", provider.url], model=None)
        host.wait_until_ready()
        try:
            told = host.api("/api/metrics/aggregated?from=-15m")
            assert {one["outcome"]: one["count"] for one in told["outcomes"] if one["count"]} == {"success": 3, "upstream_error": 2, "client_error": 1}
            assert (told["cache"]["hits"], told["cache"]["misses"], told["cache"]["output_tokens_saved"]) == (2, 3, 4)
            page = open_page(host)
            page.wait_for_selector("#causes[data-total='6']")
            shown = page.evaluate("""() => Object.fromEntries([...document.querySelectorAll("#causes li")].map((one) => [one.dataset.outcome, Number(one.dataset.count)]))""")
            assert shown == {one["outcome"]: one["count"] for one in told["outcomes"] if one["count"] and one["outcome"] != "success"}
            saved = page.evaluate("""() => Object.fromEntries([...document.querySelectorAll("#cache-figures dd")].map((one) => [one.dataset.figure, Number(one.dataset.value)]))""")
            assert saved == {name: told["cache"][name] for name in saved} and len(saved) == 6
            page.locator("#ranges input[value='30d']").check(force=True)
            page.wait_for_selector("#causes[data-total='6']")
            page.screenshot(path=SCREENSHOTS / "dashboard-causes.png", full_page=True)
            # The commands go by the range as well.
            assert host.command("cache", "--since", "-15m")["range"]["hits"] == 2
            assert host.command("cache", "--since", "-1s")["cache"]["hits"] == 0
            sections = {one["title"]: one["rows"] for one in host.command("report")["sections"]}
            assert ["upstream error", "2", "33.33 %", "0"] in sections["What requests came to"]
        finally:
            host.stop()


def test_zoom_keys_and_colours(busy, open_page):
    page = open_page(busy)
    wait_until_drawn(page, "#response-time")
    chart = page.locator("#response-time svg")
    chart.focus()
    page.keyboard.press("End")
    assert "p95" in page.locator("#response-time [aria-live]").inner_text()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 60)
    page.mouse.up()
    page.locator("#unzoom").click()
    assert page.locator("#unzoom").is_hidden()
    page.locator("#ranges input[value='24h']").check(force=True)
    page.locator("#scope").select_option("local")
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    # Everything that can be operated or seen has a name.
    nameless = page.evaluate("""() => [...document.querySelectorAll("svg[role=img]:not([aria-label]), button:empty, img:not([alt])")].map((node) => node.outerHTML.slice(0, 80))""")
    assert nameless == []


def test_a_model_that_is_not_served_any_more_stays_chosen(busy, open_page):
    feed = Feed(busy)
    event = wait_for("an event", lambda: next(iter([one for one in feed.events.values() if one.get("event") == "metrics"]), None))
    is_gone = []

    def told(route):
        providers = [{**one, "models": []} for one in event["status"]["providers"]] if is_gone else event["status"]["providers"]
        shown = {**event, "sequence": 10**9 if is_gone else event["sequence"], "status": {**event["status"], "providers": providers}}
        route.fulfill(body=f"data: {json.dumps(shown)}\n\n", content_type="text/event-stream")

    page = open_page(busy)
    page.route("**/api/metrics/stream", told)
    page.reload()
    model = f"local/{busy.model}"
    page.wait_for_selector(f"#scope option[value='{model}']", state="attached")
    page.locator("#scope").select_option(model)
    is_gone.append(True)
    page.wait_for_selector(f"html[data-sequence='{10**9}']")
    assert page.locator("#scope").input_value() == model


STEPS = """(value) => import("/dashboard/decisions.js").then(({ steps }) => {
  const decision = (at_ms, before, applied, verdict) => ({ at_ms, before, applied, verdict, proposal: { name: "engine_slots", scope: "local" } });
  const all = [decision(10, 2, 4, "applied"), decision(20, 4, 8, "rolled-back")];
  return [steps(all, { from: 0, to: 100 }, [{ name: "engine_slots", scope: "local", value }]), steps(all, { from: 0, to: 100 }, []), steps(all, { from: 0, to: 15 }, [])];
})"""


def test_a_value_that_was_taken_back_is_not_the_present_one(busy, open_page):
    told, untold, before = open_page(busy).evaluate(STEPS, 3)
    assert told == [[0, 2], [10, 4], [20, 8], [100, 3]]
    assert untold[-1] == [100, 4], "the value before it, where the knob is gone"
    assert before == [[0, 2], [10, 4]]


def test_targets_are_those_of_the_host(busy, open_page):
    kpis = {one["name"]: one for one in busy.api("/api/monitoring/dashboard/overview")["kpis"]}
    assert kpis["response_time"]["target"] == 1234
    page = open_page(busy)
    page.wait_for_selector("#card-response:has-text('target ≤ 1.23 s')")
    assert "target ≥ 70 %" in page.locator("#card-cache").inner_text()


CONTRAST = """() => {
  const rgb = (name) => { const node = document.createElement("i"); node.style.color = `var(${name})`; document.body.append(node);
    const found = getComputedStyle(node).color.match(/[\\d.]+/g).slice(0, 3).map(Number); node.remove(); return found; };
  const light = (name) => { const [r, g, b] = rgb(name).map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const contrast = (a, b) => { const [high, low] = [light(a), light(b)].sort((x, y) => y - x); return (high + 0.05) / (low + 0.05); };
  return [["--text", "--panel"], ["--quiet", "--panel"], ["--quiet", "--page"], ["--accent", "--panel"], ["--good", "--good-soft"], ["--warn", "--warn-soft"], ["--bad", "--bad-soft"], ["--bad", "--panel"], ["--good", "--panel"]]
    .map(([a, b]) => [a, b, contrast(a, b)]).filter(([, , ratio]) => ratio < 4.5);
}"""


@pytest.mark.parametrize("look", LOOKS)
def test_it_fits_every_screen(busy, open_page, look):
    page = open_page(busy, look)
    wait_until_drawn(page, "#response-time")
    wait_until_drawn(page, "#engine")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the screen"
    assert page.evaluate(CONTRAST) == []
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"dashboard-{look}.png", full_page=True)


def test_without_requests_it_says_so_and_without_a_host_as_well(start, open_page):
    host = start(model=None)
    page = open_page(host)
    page.wait_for_selector("#causes[data-total='0']")
    assert "No requests in this range" in page.locator("#causes").inner_text()
    page.wait_for_selector("#response-time .empty:text('no requests yet')")
    page.wait_for_selector("#histogram .empty:text('no requests yet')")
    assert "No provider yet" in page.locator("#providers").inner_text()
    host.stop()
    page.wait_for_selector("#live[data-state=off]")
    assert page.locator("#live").inner_text() == "connection lost, retrying"
    # The browser itself complains about the host that is gone.
    open_page.complaints.clear()
    page.context.close()


ALERT = {"id": 1, "rule": "slow_responses", "scope": "local", "condition": "response_time_p95 > 5000 for 3m", "summary": "answers are slow", "severity": "critical",
         "metric": "response_time_ms", "unit": "ms", "threshold": 5000, "value": 6100.0, "worst": 9100.0, "since_ms": 1_790_000_000_000, "fired_ms": 1_790_000_180_000,
         "resolved_ms": None, "acknowledged": {"by": "Ada", "comment": "", "at_ms": 1_790_000_200_000}}
EFFECT = {"challenger": "aggressive", "metric": "goodput", "change": 0.08, "lower": 0.02, "upper": 0.14, "samples": 812}
SECTIONS = {
    "**/api/alerts/active": {"alerts": [{"state": "firing", "rule": "slow_responses", "alert": ALERT}, {"state": "pending", "rule": "high_memory", "alert": None}]},
    "**/api/alerts/history*": {"alerts": [{**ALERT, "resolved_ms": 1_790_000_900_000}]},
    "**/api/experiments?*": {"experiments": [{"id": 7}]},
    "**/api/experiments/7": {"id": 7, "name": "balanced against aggressive", "phase": "running", "ending": "running", "in_service": "balanced", "started_ms": 1_790_000_000_000,
                             "arms": [{"name": "balanced", "share": 0.5, "samples": 800, "out": None}, {"name": "aggressive", "share": 0.5, "samples": 812, "out": None}],
                             "effects": [EFFECT], "guardrails": [{**EFFECT, "metric": "error_rate", "change": -0.01, "lower": None, "upper": None}],
                             "forecast": {"next": "a verdict at the present pace", "expected_ms": 600_000, "at_most_ms": 3_600_000}},
    "**/api/monitoring/dashboard/overview": {"health": {"score": 72.4, "status": "degraded", "reasons": [{"name": "response_time", "points": 27.6, "reason": "answers take 5.1 s"}]}},
}


def test_alerts_experiments_and_health_are_shown_where_a_host_serves_them(busy, chromium):
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    for path, answer in SECTIONS.items():
        page.route(path, lambda route, _request, answer=answer: route.fulfill(json=answer))
    page.goto(busy.url + "/dashboard")
    page.wait_for_selector("#alerts table >> nth=1")
    alerts, experiments = page.locator("#alerts").inner_text(), page.locator("#experiments").inner_text()
    assert "slow_responses @ local" in alerts and "9.1 s" in alerts and "Ada" in alerts and "12 min" in alerts
    assert "+0.02 to +0.14" in experiments and "not bounded yet" in experiments and "50 %" in experiments
    assert page.locator("#experiments .interval").count() == 1
    page.wait_for_selector("#health:text('degraded 72')")
    page.wait_for_selector("#decision-list table")
    assert "answers take 5.1 s" in page.locator("#reasons").inner_text()
    page.screenshot(path=SCREENSHOTS / "dashboard-alerts.png", full_page=True)
    page.close()
