"""History through kill -9: a real host, killed at random moments, again and again."""

import random
import sqlite3
import time

from host import Host

KILLS = 6


def seconds_recorded(host):
    """Seconds of which history has a sample, as the host tells it."""
    answer = host.api("/api/metrics/historical?metric=in_flight&from=-1h&step=10s")
    return sum(point["count"] for point in answer["points"])


def test_a_host_killed_at_random_moments_keeps_what_it_had_and_opens_whole(tmp_path):
    moments = random.Random(7)
    seen = 0
    for _ in range(KILLS):
        host = Host(tmp_path / "data", model=None).wait_until_ready()
        try:
            assert seconds_recorded(host) >= seen, "what was in history before the kill is there after it"
            # Not a wait for something: the moment of the kill is what is varied.
            time.sleep(moments.uniform(0.1, 2.5))
            seen = seconds_recorded(host)
        finally:
            host.process.kill()
            host.process.wait()
            host.stop()
        assert "damaged" not in host.log_text()
    assert seen > 0
    with sqlite3.connect(tmp_path / "data" / "perfhost.db") as store:
        assert store.execute("pragma integrity_check").fetchone() == ("ok",)
    assert not list((tmp_path / "data").glob("*.corrupt-*"))


def test_a_damaged_store_is_set_aside_and_the_host_serves(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "perfhost.db").write_bytes(b"\xaa" * 50_000)
    host = Host(folder, model=None).wait_until_ready()
    try:
        assert host.api("/api/decisions")["decisions"] == []
        assert "the database is damaged and set aside" in host.log_text()
        assert len(list(folder.glob("perfhost.db.corrupt-*"))) == 1
    finally:
        host.stop()
