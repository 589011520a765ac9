"""A trial at work in this process, its folder held and its output in its log file.

Both runners use it: `sweep.runners.local` in the driver's process, `sweep.runners.ray` in an actor.
A worker holds its trial's folder: one whose driver or node is given up for lost may be
alive yet, and must not write beside the one that took its place.
"""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from sweep.config.models import TrialConfig
from sweep.core.codec import decode_observation, encode
from sweep.core.errors import unknown_name
from sweep.core.plugins import importable, resolve
from sweep.core.records import Observation, Stage
from sweep.pretraining.context import Context, TrialFn
from sweep.runners.trial_log import LOG, TrialLog
from sweep.storage.location import Location
from sweep.storage.symlinks import refuse_links


def _pretrain(config: TrialConfig, context: Context) -> Iterator[Observation]:
    """Run our own trial, imported with torch when it is asked for: others may need neither."""
    from sweep.pretraining.trial import run_trial

    return run_trial(config, context)


TRIALS: Mapping[str, TrialFn] = {"pretrain": _pretrain}
STAGES: tuple[str, ...] = get_args(Stage)
OURS = logging.getLogger("sweep")
HOLD = "worker.lock"
PATIENCE_SECONDS = 120.0
"""For the one before to go: a raylet that lost its cluster gives up after 60 s."""


class Worker:
    """Runs a trial, one observation at a time.

    Args:
        config: the candidate; its `trial` names the function.
        context: folder and device.
        path: a folder put on the import path, for plug-ins beside the config.
    """

    def __init__(self, config: TrialConfig, context: Context, *, path: str | None = None) -> None:
        importable(path)
        context.location.make_folder()
        refuse_links(context.location, itself=True)
        self._hold = _hold(context.location)
        self._log = TrialLog(context.location / LOG)
        with self._logged():
            function = resolve("The trial", config.trial, TRIALS)
            self._observations: Iterator[Observation] = iter(function(config, context))

    def next(self) -> Observation | None:
        """Return the next observation, None at the end; an error is in the log when raised."""
        with self._logged():
            seen = next(self._observations, None)
            if seen is not None:
                _check(seen)
            return seen

    def close(self) -> None:
        """Stop asking: the trial's `finally` clauses run now, and its folder is let go."""
        try:
            if (close := getattr(self._observations, "close", None)) is not None:
                with self._logged():
                    close()
        finally:
            self._log.close()
            self._hold.close()

    @contextlib.contextmanager
    def _logged(self) -> Iterator[None]:
        """Send what is printed, what we log, and a traceback to the file; errors let go, too."""
        with (
            self._log.open() as file,
            contextlib.redirect_stdout(file),
            contextlib.redirect_stderr(file),
        ):
            handler = logging.StreamHandler(file)
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            OURS.setLevel(logging.INFO)
            OURS.addHandler(handler)
            try:
                yield
            except (Exception, SystemExit):
                stamp = time.strftime("%Y-%m-%d %H:%M:%S")
                file.write(f"{stamp} the attempt failed\n{traceback.format_exc()}")
                self._hold.close()
                raise
            finally:
                OURS.removeHandler(handler)


def _check(seen: Any) -> None:
    """Raise unless it is what a trial may yield; the log takes nothing else."""
    if not isinstance(seen, Observation):
        raise TypeError(f"A trial yields Observation, but this one yielded {type(seen).__name__}.")
    if seen.stage not in STAGES:
        raise ValueError(unknown_name("The stage", str(seen.stage), STAGES))
    decode_observation(encode(seen))


def _hold(folder: Location) -> contextlib.ExitStack:
    """Take a trial's folder, once whoever has it is gone; the kernel takes it from the dead.

    An object store has no such locks; there the log's one driver is what keeps workers apart.
    """
    held = contextlib.ExitStack()
    try:
        held.enter_context((folder / HOLD).lock(seconds=PATIENCE_SECONDS))
    except TimeoutError:
        raise TimeoutError(
            f"Another worker holds {folder} and has not let go for {PATIENCE_SECONDS:g} s."
        ) from None
    except OSError:
        pass  # a file system without locks
    return held
