"""One order of a table in Syne Tune's simulator: its tuner, backend and table, our bookkeeping.

Used with Syne Tune 0.16 and 0.14. Seconds are multiplied by `SCALE`, because the simulator adds
the real seconds of a decision to its clock, and because it polls. A trial's config holds the row
of its candidate, so that a trial reads its own row whatever its other values are rounded to.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from ledger import Ledger
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend.simulator_backend.simulator_backend import SimulatorConfig
from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
from syne_tune.backend.trial_status import Trial
from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular
from syne_tune.blackbox_repository.simulated_tabular_backend import UserBlackboxBackend
from syne_tune.config_space import randint, uniform
from syne_tune.constants import ST_TUNER_TIME
from tables import Floats, Table

METRIC, RESOURCE, ELAPSED, ROW = "accuracy", "resource", "elapsed", "row"
SCALE = 1000.0
POLLS = 100  # in the time of a mean trial
DELAY = 1e-3  # scaled seconds


class Record(SimulatorCallback):
    """Puts every result into the ledger; the results of the waiting row are left out."""

    def __init__(self, ledger: Ledger, resources: Sequence[int], looks: Sequence[int]) -> None:
        super().__init__()
        self._ledger = ledger
        self._look = dict(zip(resources, looks, strict=True))

    def on_trial_result(
        self, trial: Trial, status: str, result: dict[str, Any], decision: str
    ) -> None:
        row = int(trial.config[ROW])
        if row < len(self._ledger.part):
            look = self._look[int(result[RESOURCE])]
            self._ledger.add(row, look, result[ST_TUNER_TIME] / SCALE)

    def on_tuning_end(self) -> None:
        """Leave out the file of results that the parent writes."""


def quiet() -> None:
    """Hide the warnings and the log lines of Syne Tune, one or more for each decision."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def space(part: Table, **others: Any) -> dict[str, Any]:
    """Return the unit cube of the varied fields as a space of Syne Tune."""
    return {axis: uniform(0.0, 1.0) for axis in part.axes} | others


def reads(row: int) -> dict[str, int]:
    """Return the part of a config that says which row of the table a trial reads."""
    return {ROW: row, "version": 0}


def coordinates(part: Table, unit_CA: Floats | None = None) -> list[dict[str, float]]:
    """Return the candidates, or other points of the unit cube, as configs."""
    points = part.unit() if unit_CA is None else unit_CA
    return [dict(zip(part.axes, point.tolist(), strict=True)) for point in points]


def simulate(
    part: Table,
    scheduler: Any,
    *,
    looks: Sequence[int],
    resources: Sequence[int],
    workers: int,
) -> Ledger:
    """Play one order.

    Args:
        part: the candidates, C of them.
        scheduler: of Syne Tune; its suggestions hold a `row`. Row C is not a candidate: a trial
            of it takes a single poll and lets a worker wait.
        looks: the looks that the scheduler sees.
        resources: the looks as the scheduler counts them.
        workers: M.
    """
    ledger = Ledger(part)
    index = list(looks)
    train_CL = part.pretrain_CL[:, index]
    elapsed_CL = SCALE * (train_CL + np.cumsum(part.probe_CL[:, index], axis=1))
    sleep = float(elapsed_CL[:, -1].mean()) / POLLS
    waiting = np.array([[[0.0, sleep * (1 + i)] for i in range(len(index))]])
    values = np.stack([part.accuracy_CL[:, index], elapsed_CL], axis=-1)
    table = BlackboxTabular(
        # with a single column, the lookup of a row fails
        hyperparameters=pd.DataFrame({ROW: range(len(part) + 1), "version": 0}),
        configuration_space={ROW: randint(0, len(part)), "version": randint(0, 1)},
        fidelity_space={RESOURCE: randint(1, max(resources))},
        objectives_evaluations=np.concatenate([values, waiting])[:, None],
        fidelity_values=np.array(resources),
        objectives_names=[METRIC, ELAPSED],
    )
    backend = UserBlackboxBackend(
        blackbox=table,
        elapsed_time_attr=ELAPSED,
        tuner_sleep_time=sleep,
        simulator_config=SimulatorConfig(DELAY, DELAY, DELAY, DELAY, DELAY),
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.environ["SYNETUNE_FOLDER"] = folder
        tuner = Tuner(
            trial_backend=backend,
            scheduler=scheduler,
            stop_criterion=StoppingCriterion(max_num_trials_started=1_000_000),
            n_workers=workers,
            sleep_time=0,
            callbacks=[Record(ledger, resources, looks)],
            save_tuner=False,
        )
        tuner.run()
    return ledger
