"""The `rules` strategy on a real host: rules in a file are followed over real measurements, and mistakes point at the rule."""

import json
import subprocess

import pytest
from host import BINARY, wait_for
from slow_provider import SlowProvider, Traffic

# Short times, so that the test need not wait; what is measured is real.
HASTY = """
plugins = ["rules"]
[tuning]
interval_ms = 500
[tuning.guard]
settle_ms = 500
measure_ms = 2000
measure_at_most_ms = 2000
"""

FOLLOWED = HASTY + """
[[rule]]
name = "slow"
when = "response_time_p50 > 150ms"
for = "1s"
do = ["disable_retries"]
until = "response_time_p50 < 100ms for 1s"
"""


def knob(host, name):
    return next(one["value"] for one in host.api("/api/knobs")["knobs"] if one["name"] == name)


def test_rules_in_a_file_are_followed_and_taken_back(start, tmp_path):
    config = tmp_path / "perfhost.toml"
    config.write_text(FOLLOWED)
    with SlowProvider() as provider:
        host = start("--config", str(config), "--upstream", provider.url, "--set", "retries=1", model=None)
        assert host.api("/api/strategies")["in_service"]["name"] == "rules"
        with Traffic(host):
            wait_for("enough fast answers", lambda: (host.metric("response_time_ms") or {"count": 0})["count"] >= 20)
            assert (knob(host, "retries"), host.api("/api/decisions?limit=50")["decisions"]) == (1, [])
            provider.delay_s = 0.2
            wait_for("the rule to fire", lambda: knob(host, "retries") == 0)
            provider.delay_s = 0.0
            wait_for("the rule to end", lambda: knob(host, "retries") == 1)
        # Newest first: back, after there.
        back, there = (one["proposal"]["reason"] for one in host.api("/api/decisions?limit=50")["decisions"])
        assert there.startswith("response_time_p50 is ") and "retries from 1 to 0 by the rule slow `response_time_p50 > 150ms" in there
        assert back.startswith("response_time_p50 is ") and "retries from 0 back to 1 by the rule slow" in back


WRONG = [
    ("when = 'cpu_usge > 7'\ndo = 'shed_load'", ["rule[1].when", "rule 2 (second)", "cpu_usge", "did you mean `cpu_usage`"]),
    ("when = 'cpu_usage > 8'\ndo = ['shed_load', 'shed_lod']", ["rule[1].do[1]", "rule 2 (second)", "did you mean `shed_load`"]),
    ("when = 'cpu_usage > 8'\ndo = 7", ["line ", "a text or a list of texts"]),
    ("when = 'cpu_usage > 8'\ndo = 'set retries = 99'", ["rule[1].do", "rule 2 (second)", "retries", "0 to 10"]),
    ("when = 'error_rate > 200%'\ndo = 'shed_load'", ["rule[1].when", "rule 2 (second)", "never above 1"]),
    ("when = 'cpu_usage > 8'\nuntil = 'cpu_usage < 9'\ndo = 'shed_load'", ["rule[1]", "rule 2 (second)", "`until`", "allowed is"]),
    ("when = 'cpu_usage > 8'\nfor = '5'\ndo = 'shed_load'", ["rule[1].for", "rule 2 (second)", "30s, 5m or 1h"]),
]


@pytest.mark.parametrize("rule, parts", WRONG, ids=[parts[-1] for _, parts in WRONG])
def test_a_wrong_rule_ends_the_start_with_the_file_the_rule_and_what_is_allowed(rule, parts, tmp_path):
    config = tmp_path / "perfhost.toml"
    config.write_text(f"{FOLLOWED}\n[[rule]]\nname = 'second'\n{rule}\n")
    done = subprocess.run(
        [BINARY, "--config", str(config), "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "data"), "--no-discovery", "--no-engine"],
        capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    for part in [str(config), *parts]:
        assert part in done.stderr, done.stderr


def test_a_wrong_rule_at_a_reload_is_refused_and_the_rules_before_go_on(start, tmp_path):
    config = tmp_path / "perfhost.toml"
    config.write_text(HASTY + "[[rule]]\nname = 'quiet'\nwhen = 'error_rate > 50%'\ndo = 'disable_retries'\n")
    with SlowProvider(delay_s=0.2) as provider:
        host = start("--config", str(config), "--upstream", provider.url, "--set", "retries=1", model=None)
        config.write_text(FOLLOWED.replace("disable_retries", "disable_retrys"))
        host.process.send_signal(1)  # SIGHUP
        wait_for("the refusal", lambda: "refused" in host.log_text())
        for part in (str(config), "rule[0].do: ", "rule 1 (slow)", "did you mean `disable_retries`"):
            assert part in host.log_text()
        # The same as text: only the strategy reads it, and its refusal is the configuration's.
        config.write_text(HASTY + "[parameters.rules]\nrules = 'slow: respnse_time > 1s -> disable_retries'\n")
        host.process.send_signal(1)
        wait_for("the refusal of the text", lambda: "respnse_time" in host.log_text())
        assert "rule 1 (slow), line 1, column 7" in host.log_text() and "did you mean `response_time`" in host.log_text()
        assert knob(host, "retries") == 1
        config.write_text(FOLLOWED)
        host.process.send_signal(1)
        with Traffic(host):
            wait_for("the right one to be followed", lambda: knob(host, "retries") == 0)


def test_rules_are_listed_inspected_and_checked_without_a_host():
    def run(*words):
        return subprocess.run([BINARY, "plugin", *words], capture_output=True, text=True, timeout=120)

    listed = run("list", "--host", "http://127.0.0.1:9", "--output", "json")
    assert "rules" in [one["name"] for one in json.loads(listed.stdout)["built_in"]]
    inspected = run("inspect", "rules")
    assert inspected.returncode == 0 and "default of rules:\n    slots: engine_requests_deferred > 1" in inspected.stdout
    checked = run("check", "rules", "--cases", "5", "--param", "rules=hot: cpu_usage > 7.0 for 5m -> shed_lod")
    # Long lines are broken between words.
    told = " ".join(checked.stdout.split())
    assert checked.returncode == 1 and "rule 1 (hot), line 1, column 32" in told, checked.stdout
    assert "did you mean `shed_load`" in told
