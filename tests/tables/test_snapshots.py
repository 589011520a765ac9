"""The tables say what the log says, however they are come by."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from sweep.config.space import candidates
from sweep.config.study import StudyConfig, digest
from sweep.core.codec import encode
from sweep.core.errors import Resumable, StudyError, StudyWarning, SweepError
from sweep.core.events import (
    BudgetChanged,
    CandidateAdded,
    Decided,
    Event,
    Idled,
    Observed,
    SessionBegan,
    StudyBegan,
    StudyFinished,
    TrialFailed,
    TrialStarted,
    ZoneMoved,
    trial_of,
)
from sweep.core.failures import Failure
from sweep.core.records import Action, Cost, Measure, Observation, Outcome, Stage, Zone
from sweep.log.study_folder import EVENTS, open_log
from sweep.pretraining.members import bind_trial
from sweep.storage.location import Location, locate
from sweep.tables.parameters import column
from sweep.tables.results import Results, load
from sweep.tables.rows import builder
from sweep.tables.schemas import FURTHER, SCHEMAS
from sweep.tables.snapshots import START, TABLES, Snapshots, StudyTables, read

CONFIG = StudyConfig.parse(
    {
        "name": "hand-made",
        "seed": 3,
        "encoder": {"name": "small_conv"},
        "train": {"epochs": 2},
        "space": {"axes": {"d": [64, 128], "lambd": [0.01, 1], "augment.crop_min": [0.1]}},
    }
)
ZONE = Zone(lo=0.5, hi=None, through=4)


def seen(
    stage: Stage, *measures: Measure, step: int = 10, fraction: float = 1.0, **detail: Any
) -> Observation:
    return Observation(
        stage=stage,
        step=step,
        fraction=fraction,
        measures=measures,
        cost=Cost(wall_seconds=2.0, device_seconds=1.0),
        detail=detail,
    )


def alpha(value: float | None, status: Any = "ok") -> Measure:
    return Measure(
        name="alpha", value=value, status=status, detail={"r2": 0.97, "first": 4, "last": 100}
    )


def finish(winner: str) -> Event:
    reason = "every candidate is decided"
    return StudyFinished(
        outcome=Outcome(
            winner=winner, accuracy=0.5, interval=None, ties=(), zone=ZONE, probes_paid=2,
            probes_saved=0, reason=reason,
        )
    )  # fmt: skip


def events() -> Iterator[Event]:
    """Number the events of `story`."""
    for seq, event in enumerate(story()):
        yield replace(event, seq=seq, time=100.0 + seq)


def story() -> Iterator[Event]:
    """A study of four candidates: one wins, one collapses, one is held, one fails."""
    a, b, c, d = (x.trial_id for x in candidates(CONFIG, "data", bind_trial))
    tree = CONFIG.model_dump(mode="json")

    def observed(trial_id: str, observation: Observation) -> Event:
        return Observed(trial_id=trial_id, attempt=1, observation=observation)

    def decided(trial_id: str, action: Action, reason: str, answers_seq: int) -> Event:
        return Decided(
            trial_id=trial_id, action=action, reason=reason, zone=ZONE, answers_seq=answers_seq
        )

    yield StudyBegan(
        name="hand-made", config=tree, config_digest=digest(tree), data_digest="data",
        versions={"torch": "2"}, commit=None, created=99.5,
    )  # fmt: skip
    yield SessionBegan(host="h", pid=1, runner="local", device="cpu", workers=2)
    for index, x in enumerate(candidates(CONFIG, "data", bind_trial)):
        config = x.config.model_dump(mode="json")
        yield CandidateAdded(trial_id=x.trial_id, point=x.point, config=config, index=index)
    yield TrialStarted(trial_id=a, attempt=1, worker="h:1", log="/logs/a\udcff.txt")
    loss = Measure(name="loss", value=7.5)
    yield observed(a, seen("pretrain", loss, step=5, fraction=0.5))
    yield observed(a, seen("measured", alpha(9.0), step=5, fraction=0.5, spectrum=[2.0, 1.0]))
    loss = Measure(name="loss", value=6.5)
    yield observed(a, seen("trained", loss, checkpoint="/a/encoder", device="cpu"))
    rank = Measure(name="my rank", value=3.0)
    yield observed(a, seen("measured", alpha(1.25), rank, spectrum=[4.0, 0.5]))
    yield ZoneMoved(zone=ZONE, answers_seq=10)
    yield decided(a, "continue", "inside", 10)
    yield TrialStarted(trial_id=b, attempt=1)
    nan = Measure(name="loss", value=None, status="nonfinite", detail={"why": "NaN"})
    yield observed(b, seen("trained", nan, step=3, fraction=0.3))
    yield decided(b, "stop", "broken", 14)
    yield TrialStarted(trial_id=c, attempt=1)
    yield observed(c, seen("trained", Measure(name="loss", value=1.0)))
    yield observed(c, seen("measured", alpha(0.25, "poor_fit")))
    yield decided(c, "hold", "below", 18)
    yield TrialStarted(trial_id=d, attempt=1)
    failure = Failure(error="E: no", traceback="...", cause="exception")
    yield TrialFailed(trial_id=d, attempt=1, failure=failure, final=False)
    yield TrialStarted(trial_id=d, attempt=2)
    failure = Failure(error="E: no!", traceback="...", cause="oom")
    yield TrialFailed(trial_id=d, attempt=2, failure=failure, final=True)
    accuracy = Measure(name="accuracy", value=0.75, detail={"standard_error": 0.01})
    yield observed(a, seen("probed", accuracy))
    yield observed(a, seen("tested", Measure(name="test_accuracy", value=0.7)))
    yield Idled(reason="no candidate is left")
    yield finish(a)
    grown = tree | {"budget": tree["budget"] | {"probes": 9}}
    yield SessionBegan(host="h2", pid=2, runner="local", device="cpu", workers=1)
    yield BudgetChanged(config=grown)
    point = {"d": 256, "width": 16, "opt": "x"}
    yield CandidateAdded(trial_id="new", point=point, config={}, index=4)
    yield decided(c, "continue", "released", 30)
    yield observed(c, seen("probed", Measure(name="accuracy", value=0.8)))
    yield finish(c)


EVENTS_OF_STUDY = tuple(events())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "hand-made", EVENTS_OF_STUDY)


def write(folder: Path, story: tuple[Event, ...]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / EVENTS).write_bytes(b"".join(encode(event) for event in story))
    return folder


def snapshot(folder: Path) -> None:
    with open_log(locate(folder)) as log:
        Snapshots(log).write()


def fold(story: tuple[Event, ...]) -> dict[str, pa.Table]:
    built = {name: builder(name) for name in TABLES}
    for table in built.values():
        for event in story:
            table.add(event)
    return {name: table.table() for name, table in built.items()}


def row(table: pa.Table, index: int) -> dict[str, Any]:
    found: dict[str, Any] = table.slice(index, 1).to_pylist()[0]
    return found


# What the tables say -----------------------------------------------------------------


def test_an_empty_study_has_every_column() -> None:
    for name, table in fold(()).items():
        assert table.schema.equals(SCHEMAS[name])
        assert table.num_rows == 0


def test_a_trial_is_one_row_with_all_that_is_known_of_it(folder: Path) -> None:
    first = candidates(CONFIG, "data", bind_trial)[0]
    assert row(read(locate(folder))["trials"], 0) == {
        "study": "hand-made",
        "trial_id": first.trial_id,
        "index": 0,
        "d": first.config.method.parameters["d"],
        "lambd": first.config.method.parameters["lambd"],
        "hidden": None,
        "layers": 2,
        "joint_batch_norm": False,
        "scale": 1.0,
        "unbiased": False,
        "seed": 3,
        "augment_crop_min": 0.1,
        "width": None,
        "opt": None,
        "method": "barlow_twins",
        "encoder": "small_conv",
        "dataset": "cluttered_digits",
        "epochs": 2,
        "status": "probed",
        "reason": "inside",
        "fraction": 1.0,
        "loss": 6.5,
        "alpha": 1.25,
        "alpha_r2": 0.97,
        "alpha_status": "ok",
        "alpha_first": 4,
        "alpha_last": 100,
        "rankme": None,
        "my_rank": 3.0,
        "accuracy": 0.75,
        "accuracy_se": 0.01,
        "accuracy_lo": None,  # the log is from before the probe measured more
        "accuracy_hi": None,
        "chance": None,
        **dict.fromkeys(FURTHER),
        "class_recall": None,
        "test_accuracy": 0.7,
        "pretrain_seconds": 4.0,
        "pretrain_device_seconds": 2.0,
        "measure_seconds": 4.0,
        "measure_device_seconds": 2.0,
        "probe_seconds": 2.0,
        "probe_device_seconds": 1.0,
        "test_seconds": 2.0,
        "test_device_seconds": 1.0,
        "attempt": 1,
        "winner": False,
        "zone_lo": 0.5,
        "zone_hi": None,
        "device": "cpu",
        "worker": "h:1",
        "checkpoint": "/a/encoder",
        "log": "/logs/a?.txt",
        "config_digest": digest(first.config.model_dump(mode="json")),
    }


def test_the_status_follows_the_events() -> None:
    seen_of: dict[int, list[str]] = {}
    for end in range(len(EVENTS_OF_STUDY) + 1):
        for index, status in enumerate(fold(EVENTS_OF_STUDY[:end])["trials"]["status"].to_pylist()):
            known = seen_of.setdefault(index, [])
            if not known or known[-1] != status:
                known.append(status)
    begun = ["pending", "pretraining"]
    assert seen_of == {
        0: [*begun, "measured", "probing", "probed"],
        1: [*begun, "nonfinite"],
        2: [*begun, "measured", "held", "probing", "probed"],
        3: [*begun, "failed"],
        4: ["pending"],
    }


def test_a_collapsed_spectrum_stays_degenerate_and_has_no_alpha() -> None:
    story = EVENTS_OF_STUDY[:7]
    trial_id = trial_of(story[-1])
    nothing = alpha(None, "degenerate")
    more = Observed(seq=7, trial_id=trial_id, observation=seen("measured", nothing))
    end = Decided(seq=8, trial_id=trial_id, action="stop", reason="x", zone=ZONE, answers_seq=7)
    trial = row(fold((*story, more, end))["trials"], 0)
    assert (trial["status"], trial["alpha"], trial["alpha_status"]) == (
        "degenerate", None, "degenerate",
    )  # fmt: skip


def test_failures_leave_their_error_and_the_attempt(folder: Path) -> None:
    trial = row(read(locate(folder))["trials"], 3)
    assert (trial["status"], trial["reason"], trial["attempt"]) == ("failed", "E: no!", 2)


def test_there_is_one_winner_the_last_named(folder: Path) -> None:
    assert read(locate(folder))["trials"]["winner"].to_pylist() == [
        False,
        False,
        True,
        False,
        False,
    ]
    before = fold(EVENTS_OF_STUDY[:-6])["trials"]
    assert before["winner"].to_pylist() == [True, False, False, False]


def test_the_study_is_one_row(folder: Path) -> None:
    study = row(read(locate(folder))["studies"], 0)
    config = json.loads(study.pop("config"))
    assert config["budget"]["probes"] == 9
    tree = CONFIG.model_dump(mode="json")
    assert study == {
        "study": "hand-made",
        "created": datetime.fromtimestamp(99.5, UTC),
        "updated": datetime.fromtimestamp(EVENTS_OF_STUDY[-1].time, UTC),
        "status": "finished",
        "reason": "every candidate is decided",
        "winner": trial_of(EVENTS_OF_STUDY[-2]),
        "zone_lo": 0.5,
        "zone_hi": None,
        "candidates": 5,
        "pretrained": 3,
        "probes": 2,
        "failures": 2,
        "wall_seconds": 20.0,
        "device_seconds": 10.0,
        "seed": 3,
        "sessions": 2,
        "host": "h2",
        "runner": "local",
        "device": "cpu",
        "workers": 1,
        "commit": None,
        "versions": '{"torch":"2"}',
        "config_digest": digest(tree),
        "data_digest": "data",
    }


def test_a_budget_without_a_study_before_it_is_a_row(folder: Path) -> None:
    change = BudgetChanged(seq=0, config={"budget": {"trials": 3}})
    config = row(fold((change,))["studies"], 0)["config"]
    assert json.loads(config) == {"budget": {"trials": 3}}


def test_observations_measures_spectra_and_verdicts_have_a_row_each(folder: Path) -> None:
    tables = read(locate(folder))
    first = tables["trials"]["trial_id"][0].as_py()
    assert tables["observations"].num_rows == 10
    assert row(tables["observations"], 2) == {
        "study": "hand-made", "trial_id": first, "seq": 9, "attempt": 1,
        "time": datetime.fromtimestamp(109.0, UTC),
        "stage": "trained", "step": 10, "fraction": 1.0, "loss": 6.5, "wall_seconds": 2.0,
        "device_seconds": 1.0, "detail": '{"checkpoint":"/a/encoder","device":"cpu"}',
    }  # fmt: skip
    assert row(tables["measures"], 1) == {
        "study": "hand-made", "trial_id": first, "seq": 8, "stage": "measured", "step": 5,
        "fraction": 0.5, "name": "alpha", "value": 9.0, "status": "ok",
        "detail": '{"r2":0.97,"first":4,"last":100}',
    }  # fmt: skip
    assert tables["spectra"].to_pylist() == [
        {"study": "hand-made", "trial_id": first, "step": step, "fraction": fraction,
         "eigenvalues": values}
        for step, fraction, values in ((5, 0.5, [2.0, 1.0]), (10, 1.0, [4.0, 0.5]))
    ]  # fmt: skip
    assert tables["verdicts"].select(["trial_id", "action", "lo", "through"]).to_pylist()[:2] == [
        {"trial_id": None, "action": "zone", "lo": 0.5, "through": 4},
        {"trial_id": first, "action": "continue", "lo": 0.5, "through": 4},
    ]
    assert tables["verdicts"]["seq"].to_pylist() == [11, 12, 15, 19, 31]


@pytest.mark.parametrize(
    ("values", "kind", "told"),
    [
        ([1, 2], pa.int64(), [1, 2]),
        ([1, 0.5], pa.float64(), [1.0, 0.5]),
        ([True, False], pa.bool_(), [True, False]),
        (["é", None], pa.string(), ["é", None]),
        ([1, "x", True, [2]], pa.string(), ["1", "x", "true", "[2]"]),
        ([2**70, {"a": 1}], pa.string(), [str(2**70), '{"a":1}']),
        ([None], pa.null(), [None]),
    ],
)
def test_a_varied_field_of_any_kind_is_a_column(
    tmp_path: Path, values: list[Any], kind: pa.DataType, told: list[Any]
) -> None:
    story = tuple(
        CandidateAdded(seq=i, trial_id=str(i), point={"my.field": value}, config={}, index=i)
        for i, value in enumerate(values)
    )
    for known in range(1, len(story) + 1):
        folder = write(tmp_path / str(known), story[:known])
        snapshot(folder)
        write(folder, story)
        table = read(locate(folder))["trials"]
        assert table.schema.field("my_field").type == kind
        assert table["my_field"].to_pylist() == told


def test_a_field_named_like_a_column_of_ours_does_not_overwrite_it() -> None:
    point = {"status": "x", "alpha": 5, "d": "wide", "lambda": 0.5, "seed": 2**70, "lr": 0.1}
    added = CandidateAdded(seq=0, trial_id="t", point=point, config={}, index=0)
    odd = seen("measured", Measure(name="lr", value=9.0), Measure(name="index", value=8.0))
    trial = row(fold((added, Observed(seq=1, trial_id="t", observation=odd)))["trials"], 0)
    assert (trial["status"], trial["alpha"], trial["d"], trial["lambd"], trial["seed"]) == (
        "measured", None, "wide", 0.5, None,
    )  # fmt: skip
    assert (trial["point_status"], trial["point_alpha"]) == ("x", 5)
    assert (trial["lr"], trial["measure_lr"], trial["measure_index"]) == (0.1, 9.0, 8.0)


def test_each_parameter_of_the_method_is_a_column_varied_or_not() -> None:
    parameters = {"d": 64, "hidden": None, "layers": 2, "loss": 3.0, "lambd": 1.0, "deep": [1]}
    config = {"method": {"name": "mine", **parameters}}
    point = {"d": 64, "lambd": 1, "train.lr": 0.5}
    added = CandidateAdded(seq=0, trial_id="t", point=point, config=config, index=0)
    table = fold((added,))["trials"]
    own = {"d": 64, "lambd": 1.0, "lr": 0.5, "hidden": None, "layers": 2, "method_loss": 3.0}
    assert table.schema.names[3:9] == list(own)
    trial = row(table, 0)
    assert {name: trial[name] for name in own} == own
    assert table.schema.field("lambd").type == pa.float64(), "as the config has it"
    assert (trial["method"], trial["loss"]) == ("mine", None)


def test_a_study_without_candidates_has_the_columns_of_its_method() -> None:
    began, session = EVENTS_OF_STUDY[:2]
    assert isinstance(began, StudyBegan)
    method = {"name": "barlow_twins", "d": 64, "lambd": 0.1}  # a study's log has the defaults, too
    began = replace(began, config={**began.config, "method": method})
    names = fold((began, session))["trials"].schema.names
    assert {"d", "lambd"} <= {*names}


def test_columns_are_short_and_words_of_sql() -> None:
    names = ["train.lr", "method.lambd", "encoder.name", "augment.crop_min", "lambda", "a b", ""]
    assert [column(name) for name in names] == [
        "lr", "lambd", "encoder", "augment_crop_min", "lambd", "a_b", "_",
    ]  # fmt: skip


def test_an_event_about_nobody_is_an_error() -> None:
    lost = TrialStarted(seq=0, trial_id="ghost", attempt=1)
    with pytest.raises(SweepError, match=r"Event 0 \(start\) is about trial 'ghost'"):
        fold((lost,))


# Snapshots ---------------------------------------------------------------------------


def same(one: dict[str, pa.Table], other: dict[str, pa.Table]) -> None:
    for name in TABLES:
        assert one[name].schema.equals(other[name].schema), name
        assert one[name].to_pylist() == other[name].to_pylist(), name


@pytest.mark.parametrize("taken", range(len(EVENTS_OF_STUDY) + 1))
def test_a_snapshot_and_the_tail_are_the_whole_fold_at_every_prefix(
    tmp_path: Path, taken: int
) -> None:
    folder = write(tmp_path / "s", EVENTS_OF_STUDY[:taken])
    snapshot(folder)
    for end in {taken, min(taken + 1, len(EVENTS_OF_STUDY)), len(EVENTS_OF_STUDY)}:
        write(folder, EVENTS_OF_STUDY[:end])
        same(read(locate(folder)), fold(EVENTS_OF_STUDY[:end]))


@pytest.mark.parametrize("taken", [0, 12, len(EVENTS_OF_STUDY)])
def test_a_snapshot_and_the_tail_are_the_whole_fold_on_an_object_store(
    bucket: Location, taken: int
) -> None:
    folder = bucket / "s"
    with open_log(locate(folder)) as log, Snapshots(log) as snapshots:
        for event in EVENTS_OF_STUDY[:taken]:
            log.append(event)
        snapshots.write()
        for event in EVENTS_OF_STUDY[taken:]:
            log.append(event)
        same(read(locate(folder)), fold(EVENTS_OF_STUDY))
    for source in (StudyTables(locate(folder)).source(name) for name in TABLES):
        assert isinstance(source, ds.Dataset)
    same(read(locate(folder)), fold(EVENTS_OF_STUDY))
    for name in TABLES:
        place = folder / "tables" / f"{name}.parquet"
        place.write(place.read()[:-20])
    same(read(locate(folder)), fold(EVENTS_OF_STUDY))


def test_tables_of_different_snapshots_agree(tmp_path: Path) -> None:
    """A crash between two renames leaves some files older than the others."""
    folder = write(tmp_path / "s", EVENTS_OF_STUDY[:20])
    snapshot(folder)
    old = (folder / "tables" / "trials.parquet").read_bytes()
    write(folder, EVENTS_OF_STUDY[:27])
    snapshot(folder)
    (folder / "tables" / "trials.parquet").write_bytes(old)
    same(read(locate(folder)), fold(EVENTS_OF_STUDY[:27]))


@pytest.mark.parametrize(
    "harm", ["removed", "empty", "cut", "flipped", "version", "ahead", "alien"]
)
def test_a_snapshot_that_cannot_be_used_is_made_up_for_from_the_log(
    folder: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read(locate(folder))
    if harm == "version":
        monkeypatch.setattr("sweep.tables.snapshots.VERSION", 0)
        monkeypatch.setattr("sweep.tables.snapshots.START", replace(START, version=0))
    snapshot(folder)
    monkeypatch.undo()
    if harm == "ahead":
        write(folder, EVENTS_OF_STUDY[:12])
        whole = fold(EVENTS_OF_STUDY[:12])
    elif harm == "alien":
        first = EVENTS_OF_STUDY[0]
        assert isinstance(first, StudyBegan)
        born = replace(first, versions={"torch": "2" * 40})
        write(folder, (born, *EVENTS_OF_STUDY[1:]))
        whole = fold((born, *EVENTS_OF_STUDY[1:]))
    for path in (folder / "tables").iterdir():
        data = bytearray(path.read_bytes())
        if harm == "removed":
            path.unlink()
        elif harm in ("empty", "cut"):
            path.write_bytes(data[: len(data) // 2 if harm == "cut" else 0])
        elif harm == "flipped":
            for place in range(8, len(data), 97):
                data[place] ^= 0xFF
            path.write_bytes(data)
    same(read(locate(folder)), whole)


def test_tables_are_of_one_moment_although_the_log_grows(folder: Path) -> None:
    write(folder, EVENTS_OF_STUDY[:15])
    snapshot(folder)
    tables = StudyTables(locate(folder))
    write(folder, EVENTS_OF_STUDY)
    snapshot(folder)
    same({name: tables.table(name) for name in TABLES}, fold(EVENTS_OF_STUDY[:15]))


@pytest.mark.parametrize("taken", [0, 5, 20, 27])
def test_of_a_damaged_log_the_tables_tell_what_stands_before_the_damage(
    tmp_path: Path, taken: int
) -> None:
    folder = write(tmp_path / "s", EVENTS_OF_STUDY[:taken])
    snapshot(folder)
    write(folder, EVENTS_OF_STUDY[:27])
    with (folder / EVENTS).open("ab") as file:
        file.write(b"{}\n" + encode(EVENTS_OF_STUDY[27]))
    with pytest.warns(StudyWarning, match="is damaged at line 28"):
        same(read(locate(folder)), fold(EVENTS_OF_STUDY[:27]))
    with pytest.raises(StudyError, match="is damaged at line 28"):
        open_log(locate(folder))


def test_reading_writes_nothing(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    read(locate(folder))
    assert sorted(folder.rglob("*")) == before


def test_the_driver_writes_when_it_is_time_and_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    now = [0.0]
    tables = folder / "tables"
    with (
        open_log(locate(folder)) as log,
        Snapshots(log, period_seconds=10.0, clock=lambda: now[0]) as snapshots,
    ):
        for event in EVENTS_OF_STUDY[:10]:
            log.append(event)
            snapshots.update(event)
        assert not tables.exists()
        now[0] = 10.0
        log.append(EVENTS_OF_STUDY[10])
        snapshots.update(EVENTS_OF_STUDY[10])
        written = (tables / "observations.parquet").read_bytes()
        for event in EVENTS_OF_STUDY[11:]:
            log.append(event)
            snapshots.update(event)
        assert (tables / "observations.parquet").read_bytes() == written
        same(read(locate(folder)), fold(EVENTS_OF_STUDY))
    assert (tables / "observations.parquet").read_bytes() != written
    assert sorted(path.name for path in tables.iterdir()) == sorted(f"{n}.parquet" for n in TABLES)
    same(read(locate(folder)), fold(EVENTS_OF_STUDY))


def test_nothing_is_made_where_a_study_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    with open_log(locate(folder)) as log:
        snapshots = Snapshots(log)
        for event in EVENTS_OF_STUDY:
            log.append(event)
            snapshots.update(event)
        folder.rename(tmp_path / "elsewhere")
        with pytest.raises(Resumable, match="s/tables cannot be written: No such file"):
            snapshots.write()
        assert not folder.exists()


def test_slow_snapshots_are_taken_seldom(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", EVENTS_OF_STUDY)
    clock = iter([0.0, 10.0, 10.0, 13.0, 72.9, 73.0, 73.0, 73.0])
    with open_log(locate(folder)) as log:
        snapshots = Snapshots(log, period_seconds=10.0, share=20.0, clock=lambda: next(clock))
        snapshots.update(EVENTS_OF_STUDY[-1])  # due at 10; writes from 10 to 13
        snapshots.update(EVENTS_OF_STUDY[-1])  # 72.9: not before 13 + 20 x 3
    assert next(clock) == 73.0


# In Python ---------------------------------------------------------------------------


def test_results_are_loaded_by_path_and_by_name(folder: Path) -> None:
    for results in (load(folder), load(str(folder)), load("hand-made", results=folder.parent)):
        assert results == Results(folder)
        assert results.name == "hand-made"
        assert results.trials.num_rows == 5
        tables = read(locate(folder))
        for name in TABLES:
            assert getattr(results, name).equals(tables[name])


def test_the_config_is_the_one_last_changed(folder: Path) -> None:
    assert load(folder).config == CONFIG.model_copy(
        update={"budget": CONFIG.budget.model_copy(update={"probes": 9})}
    )
    write(folder, ())
    with pytest.raises(StudyError, match="has no config: its log has no first event"):
        _ = load(folder).config


def test_a_missing_study_or_table_is_named(folder: Path) -> None:
    with pytest.raises(StudyError, match="There is no study at"):
        StudyTables(locate(folder / "nowhere"))
    with pytest.raises(StudyError, match=r"The table 'trails' is not known. Did you mean 'trials'"):
        StudyTables(locate(folder)).table("trails")


def test_tables_are_read_without_duckdb_or_torch(folder: Path) -> None:
    script = (
        "import sys, sweep; sweep.load(sys.argv[1]).trials; "
        "print([m for m in ('duckdb', 'torch', 'ray') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
