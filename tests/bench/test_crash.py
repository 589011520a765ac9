"""Promises: kept by studies that are killed, and seen to be broken where they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.bench.crash import run
from sweep.bench.promises import (
    Sight,
    rows_doubled,
    rows_lost,
    sight,
    stages_repeated,
    verdicts_contradicted,
)
from sweep.launch import launch
from sweep.runners.ray.guardian import PROC
from sweep.runners.trial_log import LOG
from tests.small import small_study

NOTHING = Sight(lines=(), done=frozenset(), begun={})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that nobody hit."""
    results = tmp_path_factory.mktemp("promises")
    study = small_study("train.epochs=1", "criteria.at=[0.5]", "probe.at=[0.5]")
    launch.run(study, results=results, warn=lambda sentence: None)
    return results / "small"


def test_a_study_that_nobody_hit_keeps_its_promises(folder: Path) -> None:
    now = sight(folder)
    stages = {stage for _, stage, _ in now.done}
    assert stages >= {"trained", "measured", "probed"}
    begun = {stage for _, stage, _ in now.begun}
    assert begun == {"trained", "measured", "probed"}
    assert set(now.begun.values()) == {1}
    assert rows_lost([NOTHING, now], now) == 0
    assert rows_doubled(folder, now) == 0
    assert stages_repeated([NOTHING, now], now) == 0
    assert verdicts_contradicted(folder, now) == 0


def test_an_event_that_is_gone_or_changed_is_lost(folder: Path) -> None:
    now = sight(folder)
    assert rows_lost([now], replace(now, lines=now.lines[:-2])) == 2
    changed = [*now.lines[:-1], now.lines[-1].replace(b"finish", b"final")]
    assert rows_lost([now, now], replace(now, lines=changed)) == 1


def test_an_observation_that_stands_twice_is_doubled(folder: Path) -> None:
    now = sight(folder)
    probed = next(line for line in now.lines if b'"stage":"probed"' in line)
    assert rows_doubled(folder, replace(now, lines=[*now.lines, probed])) == 1


def test_a_stage_begun_again_is_repeated_only_if_it_was_done(folder: Path) -> None:
    before = sight(folder)
    trial_id, _, step = next(stage for stage in before.done if stage[1] == "measured")
    log = folder / "trials" / trial_id / LOG
    whole = log.read_text(encoding="utf-8")
    log.write_text(f"{whole}2026-01-01 00:00:00 measure at step {step}\n", encoding="utf-8")
    try:
        assert stages_repeated([NOTHING, before, before], sight(folder)) == 1
        undone = replace(before, done=frozenset())
        assert stages_repeated([undone], sight(folder)) == 0
    finally:
        log.write_text(whole, encoding="utf-8")


def test_a_verdict_that_undoes_another_is_contradicted(folder: Path) -> None:
    now = sight(folder)
    line = next(line for line in now.lines if b'"action":"continue"' in line)
    event = json.loads(line)
    event["action"] = "stop"
    changed = replace(now, lines=[*now.lines, json.dumps(event).encode() + b"\n"])
    assert verdicts_contradicted(folder, changed) == 1


@pytest.mark.slow
@pytest.mark.skipif(not (PROC / "self/environ").exists(), reason="it needs /proc")
def test_a_driver_a_worker_and_a_node_are_killed_and_every_promise_is_kept() -> None:
    crashes = run(kills=3)
    assert crashes.kills == {"driver": 1, "worker": 1, "node": 1}
    assert crashes.studies >= 1
    assert crashes.rows_lost == crashes.rows_doubled == crashes.stages_repeated == 0
    assert crashes.verdicts_contradicted == crashes.stray_processes == 0
    assert json.loads(crashes.to_json())["kills"] == 3
