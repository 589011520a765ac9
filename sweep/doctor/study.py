"""A study's health: its log, driver, tables and weights, its failures and leftover files."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.config.study import StudyConfig
from sweep.core.errors import DamagedLog, StudyWarning, SweepError
from sweep.core.events import (
    BudgetChanged,
    Event,
    SessionBegan,
    StudyBegan,
    StudyFinished,
    TrialFailed,
)
from sweep.doctor.finding import Finding
from sweep.launch.past import with_its_reading
from sweep.log.study_folder import log_of, trial_folder
from sweep.pretraining.checkpoint import ENCODER
from sweep.storage import lease
from sweep.storage.location import Location
from sweep.tables.snapshots import TABLES, StudyTables

LOOKED_AT = 1000
"""The most weights that are looked for: a study may have many more, and an object store is slow."""


def config_of(folder: Location) -> tuple[StudyConfig | None, Path | None]:
    """Return a study's config as last changed, and the folder of its plug-ins, from its log."""
    config: Mapping[str, Any] | None = None
    path: str | None = None
    try:
        for event, _ in log_of(folder).scan():
            match event:
                case StudyBegan():
                    config, path = event.config, event.path
                case BudgetChanged():
                    config = event.config
    except SweepError:
        pass  # the events before the damage are used
    try:
        parsed = None if config is None else StudyConfig.model_validate(with_its_reading(config))
    except ValueError:
        parsed = None
    return parsed, Path(path) if path else None


def findings(folder: Location) -> Iterator[Finding]:
    """Yield the findings about a study; its folder is only read."""
    events = list[Event]()
    yield _log(folder, events)
    later = (event for event in reversed(events) if not isinstance(event, SessionBegan))
    yield _driver(folder, over=isinstance(next(later, None), StudyFinished))
    if not events:
        return
    tables = StudyTables(folder)
    yield _snapshots(tables, events[-1].seq)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StudyWarning)  # the damage has a finding already
        rows = tables.table("trials").to_pylist()
    yield from _trials(folder, rows, events)
    yield from _leftovers(folder)


def _log(folder: Location, events: list[Event]) -> Finding:
    """Read the log into `events` as far as it is whole."""
    log, behind = log_of(folder), 0
    try:
        for event, place in log.scan():
            events.append(event)
            behind = place
    except DamagedLog as error:
        cure = f"Restore it from a copy; until then `sweep show {folder}` shows the events before."
        return Finding(check="log", state="wrong", seen=str(error), cure=cure)
    if not events or not isinstance(events[0], StudyBegan):
        cure = f"Nothing was acknowledged: remove {folder}, and `sweep run` again."
        return Finding(check="log", state="wrong", seen="it holds no study", cure=cure)
    torn = log.end() - behind
    seen = f"{len(events)} events, all readable"
    if torn:
        seen += f", and {torn} bytes of an unfinished one, which was never acknowledged"
        cure = f"`sweep resume {folder}` cuts it off."
        return Finding(check="log", state="warning", seen=seen, cure=cure)
    return Finding(check="log", state="ok", seen=seen)


def _driver(folder: Location, *, over: bool) -> Finding:
    holder, silent_seconds = lease.noted(folder)
    if holder is None or silent_seconds is None:
        if over:
            return Finding(check="driver", state="ok", seen="none: the study is over")
        cure = f"`sweep resume {folder}` goes on."
        return Finding(check="driver", state="ok", seen="none", cure=cure)
    beat = f"its heartbeat is {silent_seconds:.0f} s old"
    if lease.holder_of(folder) is None:
        seen, cure = f"{holder} is gone; {beat}", f"`sweep resume {folder}` goes on."
        return Finding(check="driver", state="ok" if over else "warning", seen=seen, cure=cure)
    if silent_seconds > lease.DEAD_SECONDS:
        cure = f"The process or its disk hangs: look at it, or end it by `sweep stop {folder}`."
        return Finding(check="driver", state="warning", seen=f"{holder} holds it, but {beat}",
                       cure=cure)  # fmt: skip
    return Finding(check="driver", state="ok", seen=f"{holder} drives it; {beat}")


def _snapshots(tables: StudyTables, last: int) -> Finding:
    marks = {name: tables.snapshot_seq(name) for name in TABLES}
    lost = [name for name, seq in marks.items() if seq is None]
    known = [seq for seq in marks.values() if seq is not None]
    if lost:
        return Finding(
            check="tables",
            state="warning",
            seen=f"missing, damaged or not of this log: {', '.join(lost)}; queries read the log",
            cure="Nothing is lost; the study's driver writes them again.",
        )
    behind = last - min(known)
    seen = f"{len(TABLES)} tables, in step with the log"
    if behind > 0:
        seen = f"{len(TABLES)} tables, {behind} events behind the log, which queries add"
    if behind < 0:
        seen = "the tables hold events that the log lacks"
        cure = "Restore the log from a copy: its end is lost."
        return Finding(check="tables", state="warning", seen=seen, cure=cure)
    return Finding(check="tables", state="ok", seen=seen)


def _trials(
    folder: Location, rows: list[Mapping[str, Any]], events: list[Event]
) -> Iterator[Finding]:
    counts = Counter(row["status"] for row in rows)
    seen = ", ".join(f"{count} {status}" for status, count in counts.most_common()) or "none"
    yield Finding(check="trials", state="ok", seen=seen)
    causes = Counter(event.failure.cause for event in events if isinstance(event, TrialFailed))
    if causes:
        seen = ", ".join(f"{count} {cause}" for cause, count in causes.most_common())
        cure = f"The tracebacks are in {trial_folder(folder, 'TRIAL') / 'log.txt'}."
        yield Finding(check="failures", state="warning", seen=f"attempts: {seen}", cure=cure)
    named = [row for row in rows if row["checkpoint"]]
    named.sort(key=lambda row: not row["winner"])
    some = named[:LOOKED_AT]
    gone = [row for row in some if not _has_weights(folder, row["trial_id"])]
    seen = f"{len(named)} named by the tables, {len(gone)} of them missing"
    if len(some) < len(named):
        seen += f" (of {len(some)} looked at)"
    if not gone:
        yield Finding(check="weights", state="ok", seen=seen)
    elif gone[0]["winner"]:
        cure = "Restore it from a copy: `sweep export` needs it."
        seen += f"; the winner's is gone: {trial_folder(folder, gone[0]['trial_id']) / ENCODER}"
        yield Finding(check="weights", state="wrong", seen=seen, cure=cure)
    else:
        cure = f"`sweep resume {folder}` trains those again that are still needed."
        yield Finding(check="weights", state="warning", seen=seen, cure=cure)


def _has_weights(folder: Location, trial_id: str) -> bool:
    path = trial_folder(folder, trial_id) / ENCODER
    return path.exists() and path.with_suffix(".json").exists()


def _leftovers(folder: Location) -> Iterator[Finding]:
    """Yield the unfinished files of killed writers on a disk; an object store has none."""
    if left := folder.leftovers():
        size = sum(size for _, size in left)
        seen = f"{len(left)} unfinished files of killed writers, {size / 1e6:.1f} MB: {left[0][0]}"
        cure = f"They do no harm. When no driver runs: find {folder} -name '.*.tmp' -delete"
        yield Finding(check="leftovers", state="warning", seen=seen, cure=cure)
