"""A study as a study of Optuna, in SQLite or in a journal file, for optuna-dashboard.

Each trial that began is one trial of Optuna, with the times of its attempts: `COMPLETE` with
`probe.metric` (the accuracy) if it was probed at the end, `PRUNED` if it was stopped, collapsed or
left, `FAIL` if it failed, else `RUNNING`. Early probes are its intermediate values, by step. Alpha,
RankMe, other criteria, the zone and the reason of the last verdict are its attributes.
Optuna's own interface: https://optuna.readthedocs.io/en/stable/reference/study.html
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    check_distribution_compatibility,
)
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from sweep.core.errors import UserError
from sweep.core.records import measures_of_probe
from sweep.exporters.base import Sent
from sweep.tables.parameters import between
from sweep.tables.results import Results

SQLITE = "sqlite:///"
MARK = "sweep"
"""The attribute of Optuna's study that says from which study it was made."""
FIXED = ("seed", "method", "encoder", "epochs")
"""Columns of `trials` that may vary, beside those of the space."""
ENDED = ("stopped", "degenerate", "nonfinite")
"""States of a trial that gets no accuracy at the end."""
LEFT = ("held", "measured")
"""States of a trial that gets none either, once its study has ended."""
LOG_RATIO = 100.0
"""A parameter whose values span such a ratio has a logarithmic axis."""


def send(results: Results, target: str | None = None) -> Sent:
    """Bring a study of Optuna up to a study.

    Args:
        results: of the study.
        target: `sqlite:///FILE`, or the path of a journal file; it is made if need be. By default
            `sqlite:///exports/STUDY/optuna.db`.

    Raises:
        UserError: the target cannot be written, is no storage of Optuna, or holds another study of
            that name.
    """
    place = target or f"{SQLITE}exports/{results.name}/optuna.db"
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it tells of each study that it makes
    try:
        storage = _storage(place)
        study = optuna.create_study(
            storage=storage, study_name=results.name, direction="maximize", load_if_exists=True
        )
        _claim(study, results)
        _update(study, storage, results)
        count = len(study.get_trials(deepcopy=False))
    except UserError:
        raise
    except Exception as error:  # of Optuna, its database, or the disk: the study is not touched
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{place} cannot be written as a storage of Optuna: {first} Give another one with -o, "
            "for example -o sqlite:///study.db or -o study.journal."
        ) from error
    finally:
        optuna.logging.set_verbosity(verbosity)
    return Sent(target=place, trials=count, open_with=f"optuna-dashboard {place}")


def _storage(place: str) -> BaseStorage:
    """Return Optuna's storage at a place; the folder of a file is made."""
    if "://" in place and not place.startswith(SQLITE):
        raise UserError(f"{place} is no target for optuna: give {SQLITE}FILE, or a journal file.")
    Path(place.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    if place.startswith(SQLITE):
        return RDBStorage(place)
    return JournalStorage(JournalFileBackend(place))


def _claim(study: optuna.Study, results: Results) -> None:
    """Mark a fresh study of Optuna as made from this study; refuse one that was not."""
    ours = str(results.studies["config_digest"].to_pylist()[0])
    marked = study.user_attrs.get(MARK)
    if marked is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(MARK, ours)
    elif marked != ours:
        raise UserError(
            f"The storage holds another study named {results.name}. Give another one with -o."
        )


def _update(study: optuna.Study, storage: BaseStorage, results: Results) -> None:
    """Add trials that are new, and what is new about those that were running."""
    # An attribute names the trial, because Optuna numbers trials by itself.
    known = {t.user_attrs.get("trial_id"): t for t in study.get_trials(deepcopy=False)}
    study_id = storage.get_study_id_from_name(study.study_name)
    taken = {name: kind for t in known.values() for name, kind in t.distributions.items()}
    for trial in _trials(results, taken):
        before = known.get(trial.user_attrs["trial_id"])
        if before is None:
            study.add_trial(trial)
        elif not before.state.is_finished():
            number = storage.get_trial_id_from_study_id_trial_number(study_id, before.number)
            for name, value in trial.user_attrs.items():
                storage.set_trial_user_attr(number, name, value)
            for step, value in trial.intermediate_values.items():
                storage.set_trial_intermediate_value(number, step, value)
            if trial.state.is_finished():
                storage.set_trial_state_values(number, trial.state, trial.values)


def _trials(results: Results, taken: Mapping[str, BaseDistribution]) -> list[FrozenTrial]:
    """Return the trials that began, as Optuna's, in the order in which they began.

    Args:
        results: of the study.
        taken: the distributions of the parameters that the target holds already.
    """
    over = results.outcome is not None  # before the rows: a study that ends later is not over yet
    metric, table = results.metric, results.trials
    rows = table.to_pylist()
    names = [n for n in (*between(table.column_names), *FIXED) if len({r[n] for r in rows}) > 1]
    for row in rows:
        row.update({name: _plain(row[name]) for name in names})
    distributions = {
        name: _distribution(name, [row[name] for row in rows], taken.get(name)) for name in names
    }
    measured = ["alpha", "rankme", *_criteria(table.column_names)]
    attributes = [*measured, "zone_lo", "zone_hi", "reason", "test_accuracy", "status"]
    times, looks = _times(results.attempts.to_pylist()), _looks(results)
    found = []
    for row in rows:
        name = row["trial_id"]
        if name not in times:
            continue
        began, ended = times[name]
        state = _state(str(row["status"]), over=over)
        value = row[metric] if state == TrialState.COMPLETE else None
        given = {k: row[k] for k in names if row[k] is not None}
        found.append(
            FrozenTrial(
                number=-1,  # Optuna numbers it
                trial_id=-1,
                state=state,
                value=value,
                datetime_start=began,
                datetime_complete=(ended or began) if state.is_finished() else None,
                params=given,
                distributions={k: distributions[k] for k in given},
                user_attrs={"trial_id": name}
                | {k: row[k] for k in attributes if row.get(k) is not None},
                system_attrs={},
                intermediate_values=looks.get(name, {}),
            )
        )
    return sorted(found, key=lambda trial: trial.datetime_start or datetime.min)


def _criteria(names: Sequence[str]) -> list[str]:
    return list(names[names.index("rankme") + 1 : names.index("accuracy")])


def _state(status: str, *, over: bool) -> TrialState:
    if status == "probed":
        return TrialState.COMPLETE
    if status == "failed":
        return TrialState.FAIL
    if status in ENDED or (over and status in LEFT):
        return TrialState.PRUNED
    return TrialState.RUNNING


def _plain(value: Any) -> Any:
    """Return a value that Optuna takes: others, such as lists, as JSON."""
    plain = value is None or isinstance(value, str | bool | int | float)
    return value if plain else json.dumps(value, default=str)


def _distribution(
    name: str, values: Iterable[Any], taken: BaseDistribution | None
) -> BaseDistribution:
    """Return the distribution of a varied field, from the values of all candidates.

    Raises:
        UserError: the target has another one, which Optuna cannot widen to it: the study's space
            was enlarged since.
    """
    known = [value for value in values if value is not None]
    found: BaseDistribution
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in known):
        low, high = float(min(known)), float(max(known))
        log = low > 0 and high / low >= LOG_RATIO
        if isinstance(taken, FloatDistribution):  # Optuna widens a range, and keeps its axis
            log = taken.log and low > 0
        found = FloatDistribution(low, high, log=log)
    else:
        found = CategoricalDistribution(sorted(set(known), key=str))
    try:
        if taken is not None:
            check_distribution_compatibility(taken, found)
    except ValueError:
        raise UserError(
            f"The target holds {name} with other values, because the study's space was enlarged, "
            "and Optuna cannot change them. Give a new target with -o."
        ) from None
    return found


def _times(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[datetime, datetime | None]]:
    """Return when each trial began first and ended last, in local time as Optuna has it."""
    found: dict[str, tuple[datetime, datetime | None]] = {}
    for row in rows:
        began, _ = found.get(row["trial_id"], (_local(row["began"]), None))
        found[row["trial_id"]] = began, _local(row["ended"]) if row["ended"] else None
    return found


def _local(time: datetime) -> datetime:
    return time.astimezone().replace(tzinfo=None)


def _looks(results: Results) -> dict[str, dict[int, float]]:
    """Return trial_id -> {step: value of `probe.metric`} of the probes."""
    found: dict[str, dict[int, float]] = {}
    metric = results.metric
    for row in results.measures.to_pylist():
        value = row["value"]
        if metric != "accuracy":
            value = measures_of_probe(json.loads(row["detail"] or "{}")).get(metric, (None,))[0]
        probed = row["stage"] == "probed" and row["name"] == "accuracy"
        if probed and value is not None and math.isfinite(value):
            found.setdefault(row["trial_id"], {})[int(row["step"])] = value
    return found
