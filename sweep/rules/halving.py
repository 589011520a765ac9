"""Successive halving and ASHA: rules that use accuracies during training instead of alpha.

The rungs are the fractions of training at which the study probes online (`probe.at`). These rules
are common practice; a label-free rule has to need fewer device-seconds than they do.

Source: Jamieson and Talwalkar 2016, algorithm 1; Li et al. 2020, algorithm 2 (stopping variant: a
trial continues if it is among the top 1/eta of the trials that have reached its rung).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from sweep.core.history import History, State
from sweep.core.records import Action, Decision, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Halving:
    """Successive halving: trials wait at a rung until all have reached it; the best 1/eta continue.

    Args:
        eta: one in `eta` trials of a rung continues.
    """

    eta: Annotated[float, Field(gt=1)] = 3.0
    online: ClassVar[bool] = True

    def __call__(self, history: History) -> Decision:
        verdicts = _probe_finished(history)
        for fraction in _rungs(history):
            accuracy = history.column(f"accuracy@{fraction:g}")
            at_rung = [row for row in _training(history) if _is_at(history, row, fraction)]
            incomplete = history.count(State.PENDING) and not history.closed
            incomplete = incomplete or any(
                history.column("fraction")[row] < fraction or np.isnan(accuracy[row])
                for row in history.rows(State.TRAINING)
                if row not in at_rung
            )
            if incomplete:
                reason = f"not all trials have reached rung {fraction:g}"
                verdicts += [_verdict(history, row, "hold", reason) for row in at_rung]
                continue
            reached = np.flatnonzero(~np.isnan(accuracy))
            keep = max(1, math.floor(len(reached) / self.eta))
            best = set(reached[np.argsort(-accuracy[reached], kind="stable")][:keep].tolist())
            for row in at_rung:
                reason = f"{accuracy[row]:.4f} at {fraction:g}: the best {keep} of {len(reached)}"
                if row not in best:
                    verdicts.append(_verdict(history, row, "stop", reason))
                elif history.state[row] == State.PAUSED:
                    verdicts.append(_verdict(history, row, "continue", reason))
        return Decision(zone=history.zone, verdicts=tuple(verdicts))


@dataclass(frozen=True, kw_only=True, slots=True)
class Asha:
    """ASHA: no trial waits; a trial stops at a rung unless it is in the top 1/eta so far.

    Args:
        eta: one in `eta` of the trials that have reached a rung continues.
    """

    eta: Annotated[float, Field(gt=1)] = 3.0
    online: ClassVar[bool] = True

    def __call__(self, history: History) -> Decision:
        verdicts = _probe_finished(history)
        row = history.latest
        if row is None or history.state[row] != State.TRAINING:
            return Decision(zone=history.zone, verdicts=tuple(verdicts))
        for fraction in _rungs(history):
            if not _is_at(history, row, fraction):
                continue
            accuracy = history.column(f"accuracy@{fraction:g}")
            reached = np.flatnonzero(~np.isnan(accuracy))
            rank = int((accuracy[reached] > accuracy[row]).sum())
            if rank >= max(1.0, len(reached) / self.eta):
                reason = f"{accuracy[row]:.4f} at {fraction:g}: {rank} of {len(reached)} are better"
                verdicts.append(_verdict(history, row, "stop", reason))
        return Decision(zone=history.zone, verdicts=tuple(verdicts))


def _rungs(history: History) -> list[float]:
    return [f for f in history.fractions if f"accuracy@{f:g}" in history.columns]


def _training(history: History) -> list[int]:
    return [int(row) for row in history.rows(State.TRAINING, State.PAUSED)]


def _is_at(history: History, row: int, fraction: float) -> bool:
    probed = not np.isnan(history.column(f"accuracy@{fraction:g}")[row])
    return probed and bool(history.column("fraction")[row] == fraction)


def _probe_finished(history: History) -> list[Verdict]:
    reason = "it survived every rung"
    return [_verdict(history, row, "continue", reason) for row in history.waiting]


def _verdict(history: History, row: int, action: Action, reason: str) -> Verdict:
    return Verdict(trial_id=history.trial_ids[row], action=action, reason=reason)
