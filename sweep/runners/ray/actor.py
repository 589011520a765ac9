"""The process in which trials run, one after another: a `Worker` in a Ray actor."""

from __future__ import annotations

import json
from typing import Any

import ray
from ray import tune

from sweep.config.models import TrialConfig
from sweep.core.codec import encode
from sweep.core.failures import Failure, TrialError
from sweep.pretraining.context import Context
from sweep.runners.worker import Worker


class Actor(tune.Trainable):
    """Runs the trial that its config names; each step is one observation."""

    def setup(self, config: dict[str, Any]) -> None:
        self._job = json.loads(config["job"])
        self._worker: Worker | None = None
        self._failure: Failure | None = None

    def where(self) -> str:
        """Return the node that it runs on."""
        return str(ray.get_runtime_context().get_node_id())

    def open(self) -> bool:
        """Import what the trial needs and take its folder; return whether that went well.

        If it did not, the first step says why.
        """
        try:
            self._worker = Worker(
                TrialConfig(**self._job["config"]),
                Context.from_json(self._job["context"]),
                path=self._job["path"],
            )
        except (Exception, SystemExit) as error:
            self._failure = Failure.of(error, cause="start")
        return self._failure is None

    def step(self) -> dict[str, Any]:
        if self._worker is not None:
            try:
                seen = self._worker.next()
                return {"observation": encode(seen).decode() if seen else ""}
            except (Exception, SystemExit) as error:
                self._failure = Failure.of(error)
        raise TrialError.of(self._failure or Failure(error="it was not opened", cause="start"))

    def leave(self) -> None:
        """Let the trial and its folder go; the actor may wait long for its next trial."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        self.leave()
