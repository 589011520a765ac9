"""Successive halving and ASHA: rules that pay for labels instead of alpha.

Both go by the online probe, at the fractions of training at which the study takes it
(`probe.at`, the rungs). They are what people use today, and what a label-free rule has to
beat in device-seconds.

Source: Jamieson and Talwalkar 2016, algorithm 1; Li et al. 2020, algorithm 2 (stopping
variant: a trial goes on if it is among the top 1/eta of those that have reached its rung).
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
    """Successive halving: at each rung all wait, and the best 1/eta go on.

    Args:
        eta: of those at a rung, one in `eta` goes on.
    """

    eta: Annotated[float, Field(gt=1)] = 3.0
    online: ClassVar[bool] = True

    def __call__(self, history: History) -> Decision:
        verdicts = _probe_whoever_finished(history)
        for fraction in _rungs(history):
            accuracy = history.column(f"accuracy@{fraction:g}")
            here = [r for r in _training(history) if _stands_at(history, r, fraction)]
            coming = history.count(State.PENDING) and not history.closed
            coming = coming or any(
                history.column("fraction")[r] < fraction or np.isnan(accuracy[r])
                for r in history.rows(State.TRAINING)
                if r not in here
            )
            if coming:
                verdicts += [_verdict(history, r, "hold", f"rung {fraction:g} fills") for r in here]
                continue
            reached = np.flatnonzero(~np.isnan(accuracy))
            keep = max(1, math.floor(len(reached) / self.eta))
            best = set(reached[np.argsort(-accuracy[reached], kind="stable")][:keep].tolist())
            for row in here:
                reason = f"{accuracy[row]:.4f} at {fraction:g}: the best {keep} of {len(reached)}"
                if row not in best:
                    verdicts.append(_verdict(history, row, "stop", reason))
                elif history.state[row] == State.PAUSED:
                    verdicts.append(_verdict(history, row, "continue", reason))
        return Decision(zone=history.zone, verdicts=tuple(verdicts))


@dataclass(frozen=True, kw_only=True, slots=True)
class Asha:
    """ASHA: nobody waits; at a rung a trial stops unless it is in the top 1/eta so far.

    Args:
        eta: of those that have reached a rung, one in `eta` goes on.
    """

    eta: Annotated[float, Field(gt=1)] = 3.0
    online: ClassVar[bool] = True

    def __call__(self, history: History) -> Decision:
        verdicts = _probe_whoever_finished(history)
        row = history.latest
        if row is None or history.state[row] != State.TRAINING:
            return Decision(zone=history.zone, verdicts=tuple(verdicts))
        for fraction in _rungs(history):
            if not _stands_at(history, row, fraction):
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


def _stands_at(history: History, row: int, fraction: float) -> bool:
    probed = not np.isnan(history.column(f"accuracy@{fraction:g}")[row])
    return probed and bool(history.column("fraction")[row] == fraction)


def _probe_whoever_finished(history: History) -> list[Verdict]:
    reason = "it survived every rung"
    return [_verdict(history, row, "continue", reason) for row in history.waiting]


def _verdict(history: History, row: int, action: Action, reason: str) -> Verdict:
    return Verdict(trial_id=history.trial_ids[row], action=action, reason=reason)
