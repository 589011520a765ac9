"""A trial at work in this process, its output in the trial's log file.

Both runners use it: `sweep.local` in the driver's process, `sweep.ray_tune` in an actor.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Iterator, Mapping

from sweep import files
from sweep.config import TrialConfig
from sweep.plugins import importable, resolve
from sweep.records import Observation
from sweep.trial import Context, TrialFn, run_trial

TRIALS: Mapping[str, TrialFn] = {"pretrain": run_trial}
LOG = "log.txt"


class Worker:
    """Runs a trial, one observation at a time.

    Args:
        config: the candidate; its `trial` names the function.
        context: folder and device.
        path: a folder put on the import path, for plug-ins beside the config.
    """

    def __init__(self, config: TrialConfig, context: Context, *, path: str | None = None) -> None:
        importable(path)
        files.make(context.folder)
        self._log = context.folder / LOG
        with self._logged():
            function = resolve("The trial", config.trial, TRIALS)
            self._observations: Iterator[Observation] = iter(function(config, context))

    def next(self) -> Observation | None:
        """Return the next observation, None at the end; an error is in the log when raised."""
        with self._logged():
            return next(self._observations, None)

    def close(self) -> None:
        """Stop asking; the trial's `finally` clauses run now."""
        if (close := getattr(self._observations, "close", None)) is not None:
            with self._logged():
                close()

    @contextlib.contextmanager
    def _logged(self) -> Iterator[None]:
        """Send standard output, standard error and a traceback to the log file."""
        with (
            self._log.open("a", encoding="utf-8") as file,
            contextlib.redirect_stdout(file),
            contextlib.redirect_stderr(file),
        ):
            try:
                yield
            except Exception:
                stamp = time.strftime("%Y-%m-%d %H:%M:%S")
                file.write(f"{stamp} the attempt failed\n{traceback.format_exc()}")
                raise
