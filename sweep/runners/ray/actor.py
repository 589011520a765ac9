"""The process in which trials run, one after another: a `Worker` in a Ray actor.

This file does not import Ray Tune. Tune takes a process 65 MB and some seconds of a core, and its
`Trainable` does nothing here that the few methods of `Actor` do not do.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import ray

from sweep.config.study import TrialConfig
from sweep.core.codec import encode
from sweep.core.failures import Failure, TrialError
from sweep.pretraining.context import Context
from sweep.runners.worker import Worker


class Actor:
    """Runs one trial after another; one call of `train` returns one observation.

    Tune calls `train`, `reset` and `stop`, as it does with its own `Trainable`. It has no argument,
    so that Ray imports pyarrow neither for that nor for results: see `_hide_arrow`.
    """

    def __init__(self) -> None:
        _hide_arrow()
        self._worker: Worker | None = None
        self._failure: Failure | None = None

    def where(self) -> str:
        """Return the id of the node on which the actor runs."""
        return str(ray.get_runtime_context().get_node_id())

    def open(self, job: str) -> bool:
        """Import what a trial needs and lock its folder; return False if that failed.

        The first call of `train` then raises the reason.

        Args:
            job: the trial's config, context and folder of plug-ins, as JSON.
        """
        _show_arrow()
        try:
            fields: dict[str, Any] = json.loads(job)
            config = TrialConfig(**fields["config"])
            context = Context.from_json(fields["context"])
            self._worker = Worker(config, context, path=fields["path"])
        except (Exception, SystemExit) as error:
            self._failure = Failure.of(error, cause="start")
        return self._failure is None

    def train(self) -> dict[str, str]:
        """Return the trial's next observation as JSON, or an empty text at its end.

        Raises:
            TrialError: the trial failed.
        """
        if self._worker is not None:
            try:
                observation = self._worker.next()
                return {"observation": encode(observation).decode() if observation else ""}
            except (Exception, SystemExit) as error:
                self._failure = Failure.of(error)
        raise TrialError.of(self._failure or Failure(error="it was not opened", cause="start"))

    def leave(self) -> None:
        """End the trial and unlock its folder; the next trial of the actor may come much later."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def reset(self) -> bool:
        """End the trial, because another is opened next."""
        self.leave()
        self._failure = None
        return True

    def get_auto_filled_metrics(self, *, debug_metrics_only: bool) -> dict[str, str]:
        """Return what Tune takes for the last result of a trial that has none yet."""
        return {}

    def stop(self) -> None:
        """End the trial, because the actor ends."""
        self.leave()


def _hide_arrow() -> None:
    """Let Ray find no pyarrow when it prepares to pickle; `_show_arrow` undoes it.

    With pyarrow Ray would also import numpy: 10 MB and a third of a second of each process. Ray
    wants it in order to pickle tables, and a trial of ours returns text.
    """
    sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]  # None: an import fails


def _show_arrow() -> None:
    """Let a trial's own code find pyarrow; Ray has prepared once a call with an argument came."""
    if sys.modules.get("pyarrow", sys) is None:
        del sys.modules["pyarrow"]
