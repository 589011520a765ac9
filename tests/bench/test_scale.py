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
    assert found["events"] > 40 * 4
    assert found["log_bytes"] > found["events"] * 100
    assert found["tables_bytes"] > 0
    for name in ("ls", "show", "resume", "floor"):
        assert found[f"{name}_seconds"] > 0
        assert found[f"{name}_cpu_seconds"] > 0


def test_trials_at_once_on_ray_take_a_part_of_a_core(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "scale", "--runner", "ray", "--rule", "all", "--trials", "8", "--json"]
    words += ["--parallel", "4", "--cpu", "0.1", "--seconds", "0.1", "--repeats", "1"]
    assert app.run_command(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["runner"], found["probed"]) == ("ray", 8)
    assert 0 < found["first_result_seconds"] < found["study_seconds"]
    assert found["most_processes"] > 4
    assert found["all_peak_bytes"] > 0


def test_cores_that_ray_cannot_count_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run_command(["bench", "scale", "--runner", "ray", "--cpu", "1.5"]) == 2
    assert "1.5 cores: use a whole number, or a part of one core" in capsys.readouterr().err


def test_an_option_that_a_bench_does_not_take_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert app.run_command(["bench", "scale", "--device", "cpu"]) == 2
    assert "`sweep bench scale` takes no --device." in capsys.readouterr().err
