"""`perfhost plugin new` as typed: what it refuses, and what it says."""

import json
import subprocess

from shell import BINARY


def new(folder, *words):
    return subprocess.run([BINARY, "plugin", "new", *words], cwd=folder, capture_output=True, text=True, timeout=60)


def test_it_says_what_it_made_and_what_to_do_next(tmp_path):
    made = json.loads(new(tmp_path, "--lang", "c", "night-shift", "--path", "elsewhere/here", "--output", "json").stdout)
    assert made["folder"] == "elsewhere/here" and "make" in made["commands"]
    assert sorted(made["files"]) == sorted(
        str(path.relative_to(tmp_path / "elsewhere" / "here")) for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()
    )


def test_a_wrong_name_or_language_is_wrong_usage_and_writes_nothing(tmp_path):
    for words in (["--lang", "rust", "NightShift"], ["--lang", "rust", "balanced"], ["--lang", "cobol", "night-shift"]):
        refused = new(tmp_path, *words)
        assert refused.returncode == 2, refused.stderr
    assert "night-shift" in new(tmp_path, "--lang", "rust", "NightShift").stderr, "it offers a name that works"
    assert list(tmp_path.iterdir()) == []


def test_work_is_never_overwritten(tmp_path):
    assert new(tmp_path, "--lang", "python", "night-shift").returncode == 0
    policy = tmp_path / "night-shift" / "policy.py"
    policy.write_text("my work")
    again = new(tmp_path, "--lang", "python", "night-shift")
    assert again.returncode == 1 and "exists already" in again.stderr
    assert policy.read_text() == "my work"
