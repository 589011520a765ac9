"""The process in which trials run, one after another: a `Worker` in a Ray actor."""

from __future__ import annotations

import json
from typing import Any

import ray
from ray import tune

from sweep.config.study import TrialConfig
from sweep.core.codec import encode
from sweep.core.failures import Failure, TrialError
from sweep.pretraining.context import Context
from sweep.runners.worker import Worker


class Actor(tune.Trainable):
    """Runs the trial that its config names; one step of Tune returns one observation."""

    def setup(self, config: dict[str, Any]) -> None:
        self._job = json.loads(config["job"])
        self._worker: Worker | None = None
        self._failure: Failure | None = None

    def where(self) -> str:
        """Return the id of the node on which the actor runs."""
        return str(ray.get_runtime_context().get_node_id())

    def open(self) -> bool:
        """Import what the trial needs and lock its folder; return False if that failed.

        The first step then raises the reason.
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

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        self.leave()
