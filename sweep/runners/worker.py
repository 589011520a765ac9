"""Runs a trial in this process, with a lock on its folder and its output in its log file.

Both runners use it: `sweep.runners.local` in the driver's process, `sweep.runners.ray` in an actor.
A worker locks its trial's folder. If its driver or node was given up as lost, the worker may still
be alive, and two workers must not write to the same folder.
"""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from sweep.config.study import TrialConfig
from sweep.core.codec import decode_observation, encode
from sweep.core.errors import unknown_name
from sweep.core.plugins import importable, resolve
from sweep.core.records import Observation, Stage
from sweep.pretraining.context import Context, TrialFn
from sweep.runners.trial_log import LOG, TrialLog
from sweep.storage.location import Location
from sweep.storage.symlinks import refuse_links


def _pretrain(config: TrialConfig, context: Context) -> Iterator[Observation]:
    """Run the trial `pretrain`; it is imported here because other trials may not need torch."""
    from sweep.pretraining.trial import run_trial

    return run_trial(config, context)


TRIALS: Mapping[str, TrialFn] = {"pretrain": _pretrain}
STAGES: tuple[str, ...] = get_args(Stage)
LOGGER = logging.getLogger("sweep")
LOCK = "worker.lock"
LOCK_SECONDS = 120.0
"""How long to wait for an earlier worker's lock: a raylet that lost its cluster ends after 60 s."""


class Worker:
    """Runs a trial, one observation at a time.

    Args:
        config: the candidate; its `trial` names the function.
        context: folder and device.
        path: the config's folder, in which plug-ins may lie.
    """

    def __init__(self, config: TrialConfig, context: Context, *, path: str | None = None) -> None:
        importable(path)
        context.location.make_folder()
        refuse_links(context.location, itself=True)
        self._lock = _locked(context.location)
        self._log = TrialLog(context.location / LOG)
        with self._logged():
            function = resolve("The trial", config.trial, TRIALS)
            self._observations: Iterator[Observation] = iter(function(config, context))

    def next(self) -> Observation | None:
        """Return the next observation, or None at the end; an error is written to the log file."""
        with self._logged():
            observation = next(self._observations, None)
            if observation is not None:
                _check(observation)
            return observation

    def close(self) -> None:
        """End the trial: its `finally` clauses run now, and its folder is unlocked."""
        try:
            if (close := getattr(self._observations, "close", None)) is not None:
                with self._logged():
                    close()
        finally:
            self._log.close()
            self._lock.close()

    @contextlib.contextmanager
    def _logged(self) -> Iterator[None]:
        """Write prints, log messages and a traceback to the file; an error unlocks the folder."""
        with (
            self._log.open() as file,
            contextlib.redirect_stdout(file),
            contextlib.redirect_stderr(file),
        ):
            handler = logging.StreamHandler(file)
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            LOGGER.setLevel(logging.INFO)
            LOGGER.addHandler(handler)
            try:
                yield
            except (Exception, SystemExit):
                stamp = time.strftime("%Y-%m-%d %H:%M:%S")
                file.write(f"{stamp} the attempt failed\n{traceback.format_exc()}")
                self._lock.close()
                raise
            finally:
                LOGGER.removeHandler(handler)


def _check(value: Any) -> None:
    """Raise `TypeError` or `ValueError` for a value that a trial may not yield."""
    if not isinstance(value, Observation):
        raise TypeError(f"A trial must yield sweep.Observation, not {type(value).__name__}.")
    if value.stage not in STAGES:
        raise ValueError(unknown_name("The stage", str(value.stage), STAGES))
    decode_observation(encode(value))


def _locked(folder: Location) -> contextlib.ExitStack:
    """Lock a trial's folder, after an earlier worker unlocked it; return what unlocks it.

    The kernel removes the lock of a dead process. An object store has no such locks; there the
    study's single driver keeps workers apart.
    """
    lock = contextlib.ExitStack()
    try:
        lock.enter_context((folder / LOCK).lock(seconds=LOCK_SECONDS))
    except TimeoutError:
        raise TimeoutError(
            f"Another worker holds the lock of {folder} and kept it for {LOCK_SECONDS:g} s."
        ) from None
    except OSError:
        pass  # a file system without locks
    return lock
