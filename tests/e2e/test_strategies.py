"""Strategies under load: swapped, broken, and earning their keep, all on the real engine."""

import json
import statistics
import time
import urllib.error
from pathlib import Path

import pytest
from host import wait_for
from load import Load

GUESTS = Path(__file__).resolve().parents[2] / "target" / "guests" / "wasm32-unknown-unknown" / "guest"


def test_swapping_under_load_fails_no_request(start):
    host = start("--plugin", "balanced", "--set", "engine_slots=4", "--interval-ms", "60000")
    with Load(host, clients=6) as load:
        wait_for("answers", lambda: load.answers >= 6)
        for name in ["aggressive", "conservative", "balanced"] * 4:
            assert host.swap(name)["in_service"]["name"] == name
            time.sleep(0.2)
        assert host.api("/api/strategies/rollback", "POST", b"{}")["in_service"]["name"] == "conservative"
        before = load.answers
        wait_for("answers after the swaps", lambda: load.answers >= before + 6)
    assert not load.failures, load.failures


# Ways to misbehave that end with the fallback in service, in `plan` and in `propose`.
HOSTILE_MODES = ["plan-spin", "plan-trap", "plan-memory", "plan-nobody", "spin", "memory", "recurse", "trap", "huge", "nan"]


def test_hostile_strategies_under_load_fail_no_request(start, tmp_path):
    hostile = GUESTS / "guest_hostile.wasm"
    assert hostile.exists(), f"{hostile} is not built"
    config = tmp_path / "perfhost.toml"
    config.write_text("")
    host = start("--config", str(config), "--plugin", "conservative", "--set", "engine_slots=4", "--interval-ms", "500")
    with Load(host, clients=6) as load:
        wait_for("answers", lambda: load.answers >= 6)
        for at, mode in enumerate(HOSTILE_MODES):
            config.write_text(f"[parameters.hostile]\nmode = '{mode}'\n")
            wait_for("the configuration", lambda: host.log_text().count("configuration reloaded") > at)
            assert host.swap(hostile)["in_service"]["name"] == "hostile"
            retired = wait_for(f"the fallback for {mode}", lambda: host.api("/api/strategies")["retired"])
            assert retired["strategy"]["name"] == "hostile" and retired["cause"]
            assert host.api("/api/strategies")["in_service"]["name"] == "balanced"
        for broken in ("guest_endless_describe", "guest_foreign_import", "guest_missing_export", "guest_wrong_type", "guest_wrong_version"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                host.swap(GUESTS / f"{broken}.wasm")
            assert refused.value.code == 422 and broken in json.load(refused.value)["error"]["message"]
        before = load.answers
        wait_for("answers after the hostile strategies", lambda: load.answers >= before + 12)
    assert not load.failures, load.failures


def test_aggressive_raises_throughput_well_above_a_single_slot(start):
    host = start("--plugin", "aggressive", "--interval-ms", "2000")
    with Load(host, clients=8, max_tokens=32) as load:
        wait_for("answers", lambda: load.answers >= 8)
        assert host.engine()["settings"]["slots"] == 1
        single_slot = load.tokens_per_second(6)
        wait_for("the strategy to settle on more slots", lambda: host.engine()["settings"]["slots"] >= 4, seconds=180, every=1)
        tuned = max(load.tokens_per_second(8) for _ in range(3))
    decisions = host.api("/api/decisions?limit=50")["decisions"]
    turned = [one for one in decisions if one["proposal"]["name"] == "engine_slots" and one["verdict"] in ("applied", "clamped")]
    assert turned and all(one["proposal"]["reason"] for one in turned)
    assert not load.failures, load.failures
    assert tuned > 1.3 * single_slot, f"{single_slot:.0f} tokens/s with one slot, {tuned:.0f} tuned"


def test_conservative_holds_the_time_to_first_token_where_asked(start):
    target_ms = 1500
    host = start("--plugin", "conservative", "--param", f"target_ttft_p95_ms={target_ms}", "--param", "settle_s=5",
                 "--param", "slots_per_core=8", "--interval-ms", "2000")
    with Load(host, clients=8, max_tokens=48) as load:
        wait_for("answers", lambda: load.answers >= 8)

        def holds():
            summary = host.metric("time_to_first_token_ms", window="10s")
            return summary and summary["count"] >= 10 and summary["p95"] <= target_ms

        wait_for(f"p95 time to first token at or under {target_ms} ms", holds, seconds=180, every=1)
        settled = time.monotonic()
        time.sleep(20)
        held = [1000 * first for started, first in load.first_token_s if started >= settled]
    assert len(held) >= 20
    p95 = statistics.quantiles(held, n=20)[18]
    assert p95 <= 1.25 * target_ms, f"p95 time to first token was {p95:.0f} ms, asked for {target_ms}"
    refused = [failure for failure in load.failures if getattr(failure, "status_code", None) != 429]
    assert not refused, refused
