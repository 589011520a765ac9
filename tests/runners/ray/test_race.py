"""The rule race in a user's own Tuner, on a real Ray: told who begins, or asked for it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from sweep import GoldilocksScheduler, RuleSearcher
from sweep.core.errors import ConfigError, StudyWarning
from sweep.core.events import Decided, Event, Observed, Suggested, TrialFailed, TrialStarted
from sweep.core.history import State
from sweep.core.records import Measure, Observation
from sweep.log.log import MemoryLog
from sweep.replay.landscape import Landscape
from sweep.replay.landscape_files import of_events
from sweep.replay.simulate import simulate
from sweep.rules.baselines import ProbeAll
from sweep.rules.race import Race
from sweep.study import Study
from tests.runners.ray import trainables
from tests.runners.ray.trainables import LOOKS, accuracy_of

pytestmark = pytest.mark.usefixtures("ray_cluster")

COUNT = 12


def fit(
    trainable: Any,
    scheduler: GoldilocksScheduler,
    path: Path,
    *,
    searcher: RuleSearcher | None = None,
    failures: int = 0,
    most: int | None = None,
    **config: Any,
) -> tune.ResultGrid:
    space = {} if searcher else {"x": tune.grid_search(list(range(COUNT)))}
    return tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={**space, **config},
        tune_config=tune.TuneConfig(
            scheduler=scheduler,
            search_alg=searcher,
            num_samples=-1 if searcher else 1,
            max_concurrent_trials=most,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=str(path),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=failures),
        ),
    ).fit()


def metrics(results: tune.ResultGrid) -> dict[int, dict[str, Any]]:
    """Return the last metrics of each trial that reported any, by its x."""
    last = [results[number].metrics or {} for number in range(len(results))]
    return {found["config"]["x"]: found for found in last if "accuracy" in found}


def winner(scheduler: GoldilocksScheduler, results: tune.ResultGrid) -> int | None:
    name = scheduler.outcome().winner
    return next((x for x, found in metrics(results).items() if found["trial_id"] == name), None)


def states(scheduler: GoldilocksScheduler) -> list[State]:
    return [State(int(state)) for state in scheduler.study.history.state]


@pytest.fixture(scope="module")
def told(
    ray_cluster: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[GoldilocksScheduler, tune.ResultGrid]:
    scheduler = GoldilocksScheduler(rule="race")
    return scheduler, fit(trainables.Curve, scheduler, tmp_path_factory.mktemp("told"))


def test_a_race_is_told_who_begins_and_finds_the_best_without_training_all(
    told: tuple[GoldilocksScheduler, tune.ResultGrid],
) -> None:
    scheduler, results = told
    assert results.num_errors == 0
    assert len(results) == COUNT, "Tune forgot a trial of a Tuner that is not ours"
    assert winner(scheduler, results) == 5
    assert all(state.final for state in states(scheduler))
    assert states(scheduler).count(State.PROBED) < COUNT
    events = list(scheduler.study.events())
    assert not [event for event in events if isinstance(event, Suggested)]
    begun = {event.trial_id for event in events if isinstance(event, TrialStarted)}
    seen = {event.trial_id for event in events if isinstance(event, Observed)}
    assert begun >= seen


@pytest.mark.parametrize(
    ("trainable", "pauses"),
    [(trainables.uncheckpointed, False), (trainables.with_alpha, True)],
    ids=["no checkpoint", "alpha first"],
)
def test_trials_that_pause_or_cannot_pause_come_to_an_end(
    trainable: Any, pauses: bool, tmp_path: Path
) -> None:
    scheduler = GoldilocksScheduler(rule="race", workers=2)
    results = fit(trainable, scheduler, tmp_path)
    assert results.num_errors == 0
    assert winner(scheduler, results) == 5
    assert all(state.final for state in states(scheduler))
    reasons = [e.reason for e in scheduler.study.events() if isinstance(e, Decided)]
    assert pauses != any("no checkpoint to wait on, so it goes on" in why for why in reasons)


@pytest.mark.parametrize("rule", ["asha", "halving"])
def test_other_rules_that_probe_during_training_work_as_well(rule: str, tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(rule=rule)
    results = fit(trainables.Curve, scheduler, tmp_path)
    assert results.num_errors == 0
    assert all(state.final for state in states(scheduler))
    assert winner(scheduler, results) is not None
    events = list(scheduler.study.events())
    resumed = {e.trial_id for e in events if isinstance(e, Decided) and e.action == "continue"}
    assert (rule == "halving") == bool(resumed)
    for found in metrics(results).values():  # a paused trial goes on from its checkpoint
        looks = [
            event.observation.fraction
            for event in events
            if isinstance(event, Observed) and event.trial_id == found["trial_id"]
        ]
        assert looks == list(LOOKS[: len(looks)])
        assert found["training_iteration"] == len(looks)


@pytest.mark.parametrize("leads", [False, True], ids=["told", "leads"])
def test_a_limit_of_tune_on_trials_at_once_does_not_hang(leads: bool, tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(rule="race")
    searcher = RuleSearcher(scheduler, {"x": list(range(COUNT))}, workers=2) if leads else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = fit(trainables.Curve, scheduler, tmp_path, searcher=searcher, most=2)
    sentences = [str(w.message) for w in caught if issubclass(w.category, StudyWarning)]
    assert leads == any("max_concurrent_trials counts" in sentence for sentence in sentences)
    assert results.num_errors == 0
    assert winner(scheduler, results) is not None
    assert all(state.final for state in states(scheduler))


def test_a_result_without_a_fraction_is_final(tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(rule="race")
    results = fit(trainables.final_only, scheduler, tmp_path)
    assert set(states(scheduler)) <= {State.PROBED, State.STOPPED}
    assert winner(scheduler, results) == 5


def test_a_fraction_that_goes_back_is_not_a_new_look(tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(rule="race")
    results = fit(trainables.curve_going_back, scheduler, tmp_path)
    assert winner(scheduler, results) == 5
    for event in scheduler.study.events():
        if isinstance(event, Observed):
            assert event.observation.fraction in (0.5, 1.0)


@pytest.mark.parametrize(
    ("act", "state", "sentence"),
    [
        ("percent", {State.STOPPED}, "reports accuracy = 68"),
        ("nan", {State.PROBED, State.STOPPED}, None),
        ("infinite", {State.PROBED, State.STOPPED}, None),
        ("text", {State.FAILED}, "accuracy is 'high', and must be a number"),
        ("chance", {State.STOPPED, State.PROBED}, None),
        ("nothing done", {State.FAILED}, r"fraction is 0\.0\. It must be above 0 and at most 1"),
        ("beyond", {State.FAILED}, r"fraction is 1\.5\. It must be"),
        ("half", {State.FAILED}, r"fraction is 'half'\. It must be"),
        ("no fraction", {State.FAILED}, r"fraction is nan\. It must be"),
    ],
)
def test_a_trial_that_reports_what_cannot_be_harms_no_other(
    act: str, state: set[State], sentence: str | None, tmp_path: Path
) -> None:
    scheduler = GoldilocksScheduler(rule="race")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = fit(trainables.Curve, scheduler, tmp_path, act=act)
    assert results.num_errors == 0
    assert winner(scheduler, results) == 5
    odd = metrics(results)[3]["trial_id"]
    assert scheduler.study.history.state_of(odd) in state
    assert all(state.final for state in states(scheduler))
    sentences = [str(w.message) for w in caught if issubclass(w.category, StudyWarning)]
    if sentence is None:
        assert sentences == []
    else:
        with pytest.raises(AssertionError, match=sentence):
            raise AssertionError(sentences[0])


@pytest.mark.parametrize("leads", [False, True], ids=["told", "leads"])
@pytest.mark.parametrize(
    ("act", "failures", "failed"),
    [("raise", 0, [True]), ("raise", 1, [False, True]), ("raise once", 1, [False])],
)
def test_a_trial_that_fails_amid_the_race_is_tried_again_as_tune_says(
    act: str, failures: int, failed: list[bool], leads: bool, tmp_path: Path
) -> None:
    scheduler = GoldilocksScheduler(rule="race")
    points = {"x": [3, 0, 5, 11, 8]}  # the first in the middle, and so the first that begins
    searcher = RuleSearcher(scheduler, points, workers=2) if leads else None
    marker = str(tmp_path / "marker")
    results = fit(
        trainables.Curve,
        scheduler,
        tmp_path,
        searcher=searcher,
        failures=failures,
        act=act,
        marker=marker,
    )
    assert winner(scheduler, results) == 5
    events = [e for e in scheduler.study.events() if isinstance(e, TrialFailed)]
    assert [event.final for event in events] == failed
    history = scheduler.study.history
    assert (history.state_of(events[0].trial_id) == State.FAILED) == failed[-1]
    assert all(state.final for state in states(scheduler))


# With the searcher ---------------------------------------------------------------------


def led(path: Path, workers: int, **keys: Any) -> tuple[GoldilocksScheduler, tune.ResultGrid]:
    scheduler = GoldilocksScheduler(rule="race", **keys)
    searcher = RuleSearcher(scheduler, {"x": list(range(COUNT))}, workers=workers)
    return scheduler, fit(trainables.Curve, scheduler, path, searcher=searcher)


def decisions(events: list[Event]) -> list[tuple[str | None, str]]:
    """Return the beginnings, the looks and the verdicts of a log, in order."""
    said: list[tuple[str | None, str]] = []
    for event in events:
        match event:
            case Suggested() if event.begin:
                said.append((event.begin, "begin"))
            case Decided():
                said.append((event.trial_id, event.action))
            case Observed():
                said.append((event.trial_id, f"look {event.observation.fraction}"))
    return said


def complete() -> list[Event]:
    """Return the log of a study in which every candidate is trained to its end, in process."""
    study = Study(rule=ProbeAll(), log=MemoryLog(), clock=lambda: 0.0)
    for x in range(COUNT):
        study.add(f"point-{x:02}", {"x": x}, {})
        study.start(f"point-{x:02}")
        for step, fraction in enumerate(LOOKS, start=1):
            accuracy = Measure(name="accuracy", value=accuracy_of(x, fraction))
            look = Observation(stage="probed", step=step, fraction=fraction, measures=(accuracy,))
            study.observe(f"point-{x:02}", look)
    return list(study.events())


def with_costs_of(table: Landscape, live: list[Event]) -> Landscape:
    """Return a table with the costs of a live run, where that has any."""
    costs = {
        (e.trial_id, e.observation.stage, e.observation.fraction): e.observation.cost
        for e in live
        if isinstance(e, Observed)
    }
    return replace(
        table,
        candidates=tuple(
            replace(
                c,
                seen=tuple(
                    replace(s, cost=costs.get((c.trial_id, s.stage, s.fraction), s.cost))
                    for s in c.seen
                ),
            )
            for c in table.candidates
        ),
    )


def test_with_the_searcher_a_tuner_decides_as_a_replay(tmp_path: Path) -> None:
    scheduler, results = led(tmp_path, 1)
    live = list(scheduler.study.events())
    assert results.num_errors == 0
    assert winner(scheduler, results) == 5
    table = with_costs_of(of_events("complete", complete()), live)
    replayed, _ = simulate(table, Race(), range(COUNT), parallel=1, online=True)
    assert decisions(live) == decisions(list(replayed.events()))


@pytest.mark.parametrize("keys", [{}, {"save": "time"}], ids=["idles", "never idles"])
def test_with_the_searcher_no_more_than_the_workers_work_and_most_candidates_never_begin(
    keys: dict[str, Any], tmp_path: Path
) -> None:
    scheduler, results = led(tmp_path, 2, **keys)
    assert results.num_errors == 0
    assert winner(scheduler, results) == 5
    assert all(state.final for state in states(scheduler))
    assert len(results) < COUNT
    working: set[str] = set()
    for event in scheduler.study.events():
        match event:
            case TrialStarted():
                working.add(event.trial_id)
            case Decided(action="hold" | "stop"):
                working.discard(event.trial_id)
            case Observed() if event.observation.final:
                working.discard(event.trial_id)
        assert len(working) <= 2


def test_points_may_be_a_list_and_any_rule_may_lead(tmp_path: Path) -> None:
    scheduler = GoldilocksScheduler(rule="all")
    points = [{"x": x, "table": {"y": "deep"}} for x in (4, 5, 6)]
    searcher = RuleSearcher(scheduler, points, workers=2)
    results = fit(trainables.Curve, scheduler, tmp_path, searcher=searcher)
    assert winner(scheduler, results) == 5
    assert states(scheduler) == [State.PROBED] * 3


@pytest.mark.parametrize(
    ("points", "workers", "sentence"),
    [
        ([], 1, "at least one point"),
        ({"x": []}, 1, "at least one point"),
        ([{"x": 1}], 0, "workers is 0"),
    ],
)
def test_a_searcher_that_cannot_be_is_a_sentence(points: Any, workers: int, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        RuleSearcher(GoldilocksScheduler(rule="race"), points, workers=workers)


def test_a_scheduler_serves_one_searcher() -> None:
    scheduler = GoldilocksScheduler(rule="race")
    RuleSearcher(scheduler, [{"x": 1}], workers=1)
    with pytest.raises(ConfigError, match="new scheduler"):
        RuleSearcher(scheduler, [{"x": 1}], workers=1)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"workers": 0}, "workers is 0; at least 1 trial must work"),
        ({"prior": ["results/last-month"]}, "A prior is read by a study"),
        ({"focus": 2.0}, r"rule\.focus is 2"),
    ],
)
def test_a_scheduler_that_cannot_be_is_a_sentence(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        GoldilocksScheduler(rule="race", **keys)
