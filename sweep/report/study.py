"""All that a report shows of one study, read from its log and its tables."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from sweep.core.events import BudgetChanged, Event, Observed, StudyBegan, StudyFinished, TrialFailed
from sweep.core.outcome import wilson
from sweep.core.records import MEASURES_OF_PROBE, Outcome, Zone
from sweep.log.log import salvage
from sweep.log.study_folder import log_of
from sweep.report import samples
from sweep.report.fields import Field, Row, field_of, finite
from sweep.report.timeline import Timeline, timeline
from sweep.tables.parameters import between
from sweep.tables.results import Results
from sweep.tables.savings import Pretraining, pretraining
from sweep.tables.why import why

SECONDS = {
    "pretraining": "pretrain_device_seconds",
    "measures": "measure_device_seconds",
    "probes": "probe_device_seconds",
    "test": "test_device_seconds",
}
"""Stages of a study, and the columns of their device-seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyData:
    """A study as a report shows it.

    Args:
        name: of the study.
        place: its folder or address, for commands.
        about: the study's row of the table `studies`, `config` and `versions` as dicts.
        rows: one for each candidate.
        metric: column that the study maximises.
        varied: the columns in which the candidates differ.
        measures: columns of numbers that were measured.
        outcome: of the finished study, or what is known so far.
        finished: True if the study has ended.
        chance: accuracy of a guess, 1 / classes; None if not known.
        seconds: stage -> device-seconds.
        saved: see `sweep.tables.savings`.
        timeline: what the workers did.
        curves, spectra: points for pictures; see `sweep.report.samples`.
        window: first and last rank of the fits of alpha.
        failures: cause -> number of attempts and the error of the last one.
        story: trial -> rows of `sweep.tables.why.why`.
    """

    name: str
    place: str
    about: Row
    rows: list[Row]
    metric: str
    varied: list[str]
    measures: list[str]
    outcome: Outcome | None
    finished: bool
    chance: float | None
    seconds: dict[str, float]
    saved: Pretraining | None
    timeline: Timeline
    curves: list[Row]
    spectra: list[Row]
    window: tuple[int, int] | None
    failures: dict[str, tuple[int, str]]
    story: dict[str, list[Row]]

    @property
    def winner(self) -> Row | None:
        """The row of the best model so far."""
        return next((row for row in self.rows if row["winner"]), None)


def read(results: Results) -> StudyData:
    """Return what a report shows of a study.

    Raises:
        StudyError: the study cannot be read.
    """
    events = [event for event, _ in salvage(log_of(results.location))]
    trials = results.trials
    names = trials.schema.names
    rows = [{k: finite(v) for k, v in row.items()} for row in trials.to_pylist()]
    varied = [
        n
        for n in [*between(names), "seed", "method", "encoder", "dataset", "epochs"]
        if len(trials[n].unique()) > 1
    ]
    measures = [
        "accuracy",
        *MEASURES_OF_PROBE,
        "test_accuracy",
        *names[names.index("alpha") : names.index("accuracy")],
    ]
    measures = [n for n in [*measures, "loss"] if _measured(n, rows)]
    outcome = next((e.outcome for e in reversed(events) if isinstance(e, StudyFinished)), None)
    _complete(rows, results.name, results.metric, outcome, events)
    return StudyData(
        name=results.name,
        place=str(results.location),
        about=_about(results, events),
        rows=rows,
        metric=results.metric,
        varied=varied,
        measures=measures,
        outcome=outcome,
        finished=bool(events) and isinstance(events[-1], StudyFinished),
        chance=_chance(events),
        seconds={stage: sum(row[name] or 0.0 for row in rows) for stage, name in SECONDS.items()},
        saved=pretraining(results),
        timeline=timeline(events),
        curves=samples.curves(events),
        spectra=samples.spectra(results.spectra, rows),
        window=_window(rows),
        failures=_failures(events),
        story=_story(events),
    )


def fields(study: StudyData) -> list[Field]:
    """Return the fields of a study's trials, in the order of the table."""
    rows = study.rows
    made = [field_of("trial_id", rows, "text"), field_of("status", rows, "text")]
    made += [field_of(name, rows, "varied") for name in study.varied]
    made += [field_of(name, rows, "measure") for name in study.measures]
    if any(row.get("accuracy_se") is not None for row in rows):
        place = next((i for i, f in enumerate(made) if f.name == "accuracy"), len(made) - 1)
        made.insert(place + 1, field_of("accuracy_se", rows, "measure"))
    made += [field_of(name, rows, "cost") for name in ("fraction", "device_seconds", "attempt")]
    made.append(field_of("reason", rows, "text"))
    return made


def _measured(name: str, rows: list[Row]) -> bool:
    if name in ("alpha_status", "alpha_first", "alpha_last"):
        return False
    return any(isinstance(row[name], int | float) for row in rows)


def _complete(
    rows: list[Row], study: str, metric: str, outcome: Outcome | None, events: list[Event]
) -> None:
    """Add what a table of trials does not hold; before the end, the best so far is the winner."""
    ties = set(outcome.ties) if outcome else set()
    best = max((row[metric] for row in rows if row[metric] is not None), default=None)
    first = next((r["trial_id"] for r in rows if r[metric] == best), None)
    winner = outcome.winner if outcome else first if best is not None else None
    for row in rows:
        row["study"] = study
        row["winner"] = row["trial_id"] == winner
        row["tie"] = row["trial_id"] in ties
        row["broken"] = row["status"] in ("degenerate", "nonfinite", "failed")
        row["device_seconds"] = sum(row[name] or 0.0 for name in SECONDS.values())
        if row["accuracy_lo"] is None and None not in (row["accuracy"], row["accuracy_se"]):
            row["accuracy_lo"] = max(0.0, row["accuracy"] - 1.96 * row["accuracy_se"])
            row["accuracy_hi"] = min(1.0, row["accuracy"] + 1.96 * row["accuracy_se"])


def _about(results: Results, events: list[Event]) -> Row:
    studies = results.studies.to_pylist()
    about: Row = studies[0] if studies else {}
    for name in ("config", "versions"):
        about[name] = json.loads(about.get(name) or "{}")
    began = next((event for event in events if isinstance(event, StudyBegan)), None)
    about["chosen"] = dict(began.chosen) if began else {}
    about["changes"] = sum(isinstance(event, BudgetChanged) for event in events)
    return about


def _chance(events: list[Event]) -> float | None:
    for event in reversed(events):
        if isinstance(event, Observed) and event.observation.stage == "probed":
            classes = event.observation.detail.get("classes")
            if isinstance(classes, int) and classes > 1:
                return 1.0 / classes
    return None


def _window(rows: list[Row]) -> tuple[int, int] | None:
    windows = Counter(
        (row["alpha_first"], row["alpha_last"]) for row in rows if row.get("alpha_last")
    )
    return windows.most_common(1)[0][0] if windows else None


def _failures(events: list[Event]) -> dict[str, tuple[int, str]]:
    made: dict[str, tuple[int, str]] = {}
    for event in events:
        if isinstance(event, TrialFailed):
            count = made.get(event.failure.cause, (0, ""))[0]
            made[event.failure.cause] = (count + 1, event.failure.error)
    return dict(sorted(made.items(), key=lambda item: -item[1][0]))


def _story(events: list[Event]) -> dict[str, list[Row]]:
    story: dict[str, list[Row]] = {}
    for trial_id, row in why(events):
        story.setdefault(trial_id, []).append(row)
    return story


def interval(study: StudyData) -> tuple[float, float] | None:
    """Return the 95 % interval of the winner's accuracy; None if the images are not known."""
    if study.outcome and study.outcome.interval:
        return study.outcome.interval
    row = study.winner
    if row is not None and row.get(f"{study.metric}_lo") is not None:
        return row[f"{study.metric}_lo"], row[f"{study.metric}_hi"]
    if row is None or not row.get("accuracy_se"):
        return None
    share = row["accuracy"]
    if not 0 < share < 1:
        return None
    return wilson(share, max(1, round(share * (1 - share) / row["accuracy_se"] ** 2)))


def zone_of(study: StudyData) -> Zone | None:
    """Return the interval of alpha in which the rule last looked; None without bounds."""
    lo, hi = study.about.get("zone_lo"), study.about.get("zone_hi")
    return None if lo is None and hi is None else Zone(lo=lo, hi=hi)
