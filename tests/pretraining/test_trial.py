"""One trial, whole: its stages, its journal, its checkpoint; real training on the digits."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from sweep.core.errors import ConfigError
from sweep.core.records import Observation
from sweep.pretraining import checkpoint
from sweep.pretraining.context import Context
from sweep.pretraining.journal import JOURNAL
from sweep.pretraining.trial import run_trial, test_trial
from sweep.storage.location import Location
from tests.small import small_trial


def observe(folder: Path, *overrides: str, **fields: Any) -> list[Observation]:
    return list(run_trial(small_trial(*overrides), Context(folder=folder, **fields)))


def numbers(seen: list[Observation]) -> list[tuple[str, float | None]]:
    """Return what a trial measured, without its seconds and its heartbeats."""
    return [(m.name, m.value) for o in seen if o.stage != "pretrain" for m in o.measures]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Observation]]:
    folder = tmp_path_factory.mktemp("trial")
    return folder, observe(folder)


def test_a_trial_goes_through_its_stages(whole: tuple[Path, list[Observation]]) -> None:
    stages = [seen.stage for seen in whole[1] if seen.stage != "pretrain"]
    assert stages == ["trained", "measured", "probed"]
    named = dict(numbers(whole[1]))
    assert set(named) == {"loss", "invariance", "redundancy", "alpha", "rankme", "accuracy"}
    assert named["accuracy"] is not None
    assert named["accuracy"] > 0.5


def test_the_parts_of_the_loss_are_recorded_at_each_look_and_at_the_end(tmp_path: Path) -> None:
    observations = observe(tmp_path, "criteria.at=[0.5]", "probe.at=[0.5, 0.75]")
    looks = [
        (o.stage, o.fraction, "invariance" in {m.name for m in o.measures})
        for o in observations
        if o.stage != "pretrain"
    ]
    assert looks == [
        ("measured", 0.5, True),
        ("probed", 0.5, False),  # the same look
        ("probed", 0.75, True),
        ("trained", 1.0, True),
        ("measured", 1.0, False),
        ("probed", 1.0, False),
    ]
    invariance = [m for o in observations for m in o.measures if m.name == "invariance"]
    assert [m.detail["steps"] for m in invariance] == [5, 8, 10]
    assert all(m.value is not None and 0 < m.value < 2 for m in invariance)


def test_every_observation_has_its_own_name(whole: tuple[Path, list[Observation]]) -> None:
    names = [(seen.stage, seen.step) for seen in whole[1]]
    assert len(set(names)) == len(names)


def test_alpha_says_how_it_was_taken(whole: tuple[Path, list[Observation]]) -> None:
    measured = next(seen for seen in whole[1] if seen.stage == "measured")
    alpha = measured.measure("alpha")
    assert alpha is not None
    detail = {key: alpha.detail[key] for key in ("first", "last", "images", "split")}
    assert detail == {"first": 4, "last": 30, "images": 300, "split": "pretrain"}
    assert len(measured.detail["spectrum"]) == 256


def test_the_same_seed_gives_the_same_numbers(
    whole: tuple[Path, list[Observation]], tmp_path: Path
) -> None:
    torch.manual_seed(999)  # the global state must not matter
    assert numbers(observe(tmp_path)) == numbers(whole[1])


def test_a_finished_trial_entered_again_repeats_nothing(
    whole: tuple[Path, list[Observation]],
) -> None:
    folder, first = whole
    before = (folder / JOURNAL).read_bytes()
    again = observe(folder)
    assert again == [seen for seen in first if seen.stage != "pretrain"]
    assert (folder / JOURNAL).read_bytes() == before


@pytest.mark.parametrize("cut", [3, 6])
def test_a_trial_cut_in_pretraining_goes_on_bit_for_bit(
    whole: tuple[Path, list[Observation]], tmp_path: Path, cut: int
) -> None:
    context = Context(folder=tmp_path, heartbeat_seconds=1e-6, checkpoint_seconds=1e-6)
    trial = run_trial(small_trial(), context)
    for _ in range(cut + 1):  # the checkpoint of a step is written when the next is asked for
        next(trial)
    trial.close()
    assert (tmp_path / checkpoint.STATE).exists()
    rest = observe(tmp_path)
    first = next(seen for seen in rest if seen.stage == "pretrain")
    assert first.step > 1
    assert numbers(rest) == numbers(whole[1])
    assert not (tmp_path / checkpoint.STATE).exists()


def test_a_cut_costs_at_most_the_seconds_between_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    saved = [0]
    save = checkpoint.save_state

    def noted(folder: Location, state: dict[str, Any]) -> None:
        save(folder, state)
        saved.append(next(clock))

    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(checkpoint, "save_state", noted)
    trial = run_trial(
        small_trial("train.epochs=20"),
        Context(folder=tmp_path, heartbeat_seconds=7.0, checkpoint_seconds=20.0),
    )
    seen = next(trial)
    while seen.stage == "pretrain":
        seen = next(trial)
    monkeypatch.undo()
    saved.append(next(clock))
    step = 3  # of this clock: one in a step, two around a heartbeat
    assert len(saved) > 5
    assert max(b - a for a, b in itertools.pairwise(saved)) <= 20 + step


def test_a_trial_cut_before_its_probe_is_only_probed(
    whole: tuple[Path, list[Observation]], tmp_path: Path
) -> None:
    trial = run_trial(small_trial(), Context(folder=tmp_path))
    for seen in trial:
        if seen.stage == "measured":
            break
    trial.close()
    rest = observe(tmp_path)
    assert [seen.stage for seen in rest] == ["trained", "measured", "probed"]
    assert numbers(rest) == numbers(whole[1])


def test_half_a_line_in_the_journal_was_never_told(
    whole: tuple[Path, list[Observation]], tmp_path: Path
) -> None:
    trial = run_trial(small_trial(), Context(folder=tmp_path))
    for seen in trial:
        if seen.stage == "measured":
            break
    trial.close()
    journal = tmp_path / JOURNAL
    text = journal.read_text(encoding="utf-8")
    journal.write_text(text[: len(text) - 20], encoding="utf-8")
    assert numbers(observe(tmp_path)) == numbers(whole[1])
    lines = journal.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["stage"] for line in lines] == ["trained", "measured", "probed"]


def test_a_damaged_line_in_the_journal_is_made_again(
    whole: tuple[Path, list[Observation]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    journal = tmp_path / JOURNAL
    trained, measured, probed = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(trained + b"\0" * (len(measured) - 1) + b"\n" + probed)
    rest = observe(tmp_path)
    assert [seen.stage for seen in rest] == ["trained", "measured", "probed"]
    assert numbers(rest) == numbers(whole[1])
    assert "journal.jsonl is damaged; its first 1 lines are used." in capsys.readouterr().err


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "alien"])
def test_a_torn_checkpoint_begins_the_trial_again_and_says_so(
    whole: tuple[Path, list[Observation]],
    tmp_path: Path,
    harm: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    context = Context(folder=tmp_path, heartbeat_seconds=1e-6, checkpoint_seconds=1e-6)
    trial = run_trial(small_trial(), context)
    for _ in range(4):
        next(trial)
    trial.close()
    state = tmp_path / checkpoint.STATE
    data = state.read_bytes()
    middle = len(data) // 2  # a weight: torch would read it without a word
    flipped = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
    harmed = {"cut": data[:-1000], "flipped": flipped, "empty": b"", "alien": b"PK\x03\x04 none"}
    state.write_bytes(harmed[harm])
    rest = observe(tmp_path, heartbeat_seconds=1e-6)
    assert rest[0].step == 1
    assert numbers(rest) == numbers(whole[1])
    said = capsys.readouterr().err
    assert "state.pt is damaged. Training begins again at step 0." in said


@pytest.mark.parametrize("harm", ["missing", "torn", "without its json"])
def test_a_trial_whose_encoder_is_lost_is_trained_again_and_says_so(
    whole: tuple[Path, list[Observation]],
    tmp_path: Path,
    harm: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trial = run_trial(small_trial(), Context(folder=tmp_path))
    for seen in trial:
        if seen.stage == "measured":
            break
    trial.close()
    encoder = tmp_path / checkpoint.ENCODER
    if harm == "torn":
        encoder.write_bytes(encoder.read_bytes()[:-100])
    else:
        (encoder if harm == "missing" else encoder.with_suffix(".json")).unlink()
    rest = observe(tmp_path)
    assert "The encoder is trained again." in capsys.readouterr().err
    stages = [seen.stage for seen in rest if seen.stage != "pretrain"]
    assert stages == ["trained", "measured", "trained", "probed"]
    assert numbers(rest)[-1] == numbers(whole[1])[-1]
    lines = (tmp_path / JOURNAL).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["stage"] for line in lines] == ["trained", "measured", "probed"]
    assert [seen.stage for seen in observe(tmp_path)] == ["trained", "measured", "probed"]


def test_a_winner_whose_encoder_is_lost_is_trained_again_for_its_test(
    whole: tuple[Path, list[Observation]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / checkpoint.ENCODER).unlink()
    again = test_trial(small_trial(), Context(folder=tmp_path))
    assert again.measures == test_trial(small_trial(), Context(folder=whole[0])).measures
    assert "trained again" in capsys.readouterr().err


def test_criteria_are_measured_on_the_way_where_asked(tmp_path: Path) -> None:
    seen = observe(tmp_path, "criteria.at=[0.25, 0.5]")
    fractions = [o.fraction for o in seen if o.stage == "measured"]
    assert fractions == [0.25, 0.5, 1.0]


def test_the_online_probe_is_taken_where_asked_and_test_accuracy_of_all(tmp_path: Path) -> None:
    seen = observe(tmp_path, "probe.at=[0.5]", "probe.test=all")
    assert [o.fraction for o in seen if o.stage == "probed"] == [0.5, 1.0]
    assert [o.measure("test_accuracy") is not None for o in seen if o.stage == "probed"] == [
        False,
        True,
    ]


def test_a_trial_that_is_left_at_a_mark_goes_on_from_there(
    whole: tuple[Path, list[Observation]], tmp_path: Path
) -> None:
    looks = ("criteria.at=[0.5]", "probe.at=[0.5]")
    trial = run_trial(small_trial(*looks), Context(folder=tmp_path, heartbeat_seconds=1e9))
    left = next(seen for seen in trial if seen.stage == "measured")
    trial.close()
    assert left.fraction == 0.5
    rest = observe(tmp_path, *looks, heartbeat_seconds=1e9)
    stages = [(o.stage, o.fraction) for o in rest]
    assert stages[:2] == [("measured", 0.5), ("probed", 0.5)]  # the journal's, then what was due
    trained_again = [o.step for o in rest if o.stage == "pretrain" and o.fraction < 0.5]
    assert not trained_again
    assert numbers(rest)[-2:] == numbers(whole[1])[-2:]


def test_measuring_on_the_way_leaves_the_weights_alone(
    whole: tuple[Path, list[Observation]], tmp_path: Path
) -> None:
    seen = observe(tmp_path, "criteria.at=[0.5]")
    assert numbers(seen)[-2:] == numbers(whole[1])[-2:]


def test_a_run_that_diverges_ends_early_as_a_row(tmp_path: Path) -> None:
    seen = observe(tmp_path, "train.lr=1e30", heartbeat_seconds=1e-6)
    assert seen[-1].stage == "trained"
    loss = seen[-1].measure("loss")
    assert loss is not None
    assert loss.status == "nonfinite"
    assert loss.value is None
    assert loss.fatal
    assert seen[-1].fraction < 1.0
    assert [o.stage for o in observe(tmp_path, "train.lr=1e30")] == ["trained"]


def test_the_test_split_is_read_by_one_call_alone(
    whole: tuple[Path, list[Observation]],
) -> None:
    folder, _ = whole
    context = Context(folder=folder)
    first = test_trial(small_trial(), context)
    measure = first.measure("test_accuracy")
    assert measure is not None
    assert measure.value is not None
    assert measure.detail["images"] == 359
    assert 0.5 < measure.value <= 1.0
    assert test_trial(small_trial(), context) == first


def test_knn_is_a_probe_too(tmp_path: Path) -> None:
    assert dict(numbers(observe(tmp_path, "probe.name=knn")))["accuracy"] > 0.5  # type: ignore[operator]


def test_a_probe_may_have_data_of_its_own(tmp_path: Path) -> None:
    own = "probe.data={name='digits', seed=7}"
    assert dict(numbers(observe(tmp_path, own)))["accuracy"] > 0.5  # type: ignore[operator]


@pytest.mark.parametrize("name", ["accuracy", "loss", "rankme"])
def test_a_part_of_the_loss_may_not_have_the_name_of_another_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / f"part_{name}.py").write_text(
        "from sweep.methods import Loss, Method\n"
        "class Mean(Method):\n"
        "    def __init__(self, encoder):\n"
        "        super().__init__()\n"
        "        self.encoder = encoder\n"
        "    def forward(self, batch):\n"
        "        value = self.encoder(batch.view()).square().mean()\n"
        f"        return Loss(value=value, parts={{{name!r}: value}})\n"
        "def mean():\n"
        "    return lambda encoder, facts: Mean(encoder)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    method = ["space.axes={seed=[0, 1]}", f"method.name=part_{name}:mean"]
    sentence = (
        rf"'part_{name}:mean' calls a part of its loss '{name}', which is the name of another "
        rf"measure. Call it method_{name}"
    )
    with pytest.raises(ConfigError, match=sentence):
        observe(tmp_path, *method)
