"""The bench of a long study: what it prints; not how long anything takes."""

from __future__ import annotations

import json

import pytest

from sweep.cli import app


def test_a_small_one_times_its_ends_and_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "scale", "--trials", "40", "--repeats", "1", "--json"]
    assert app.run_command(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["trials"], found["part"]) == (40, 20)
    assert (found["runner"], found["rule"]) == ("local", "goldilocks")
    assert found["ratio"] == found["last_seconds_per_trial"] / found["first_seconds_per_trial"]
    assert 0 < found["driver_peak_bytes_before"] <= found["driver_peak_bytes"]
    assert found["log_bytes"] > 40 * 4 * 100
    for name in ("ls", "show", "resume", "floor"):
        assert found[f"{name}_seconds"] > 0
        assert found[f"{name}_cpu_seconds"] > 0


def test_an_option_that_a_bench_does_not_take_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert app.run_command(["bench", "scale", "--device", "cpu"]) == 2
    assert "`sweep bench scale` takes no --device." in capsys.readouterr().err
