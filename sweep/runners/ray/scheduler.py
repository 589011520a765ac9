"""`GoldilocksScheduler`: alpha decides which trials of a user's own Tuner are probed.

It drives the same `Study` as our own runner, with a log in memory. A result with `alpha` becomes an
observation `measured`, a result with `accuracy` becomes an observation `probed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.result import SHOULD_CHECKPOINT
from ray.tune.schedulers import TrialScheduler
from ray.tune.trainable import FunctionTrainable, Trainable

import sweep.runners.ray.cluster  # noqa: F401  # sets Ray's environment before Ray is imported
from sweep import rules
from sweep.config.models import RuleConfig
from sweep.core.errors import ConfigError
from sweep.core.failures import Failure
from sweep.core.history import State
from sweep.core.outcome import outcome
from sweep.core.records import Action, Measure, Observation, Outcome, Verdict, Zone
from sweep.log.log import MemoryLog
from sweep.rules import Rule
from sweep.study import Study

ENDED = Failure(error="it ended without an accuracy", cause="ended")
RAISED = Failure(error="it raised an error", cause="exception")
REMOVED = Failure(error="it was removed", cause="ended")


class GoldilocksScheduler(TrialScheduler):
    """A Tune scheduler that probes only models whose alpha lies in the zone.

    A trainable reports `alpha` once it has pretrained, before it spends anything on a
    probe, and `accuracy` after the probe. Between the two the scheduler says whether the
    probe is worth it: the trial goes on, is stopped, or waits, paused on its checkpoint.
    A trial that has no checkpoint to pause on is probed instead. Results with neither
    number pass. Held trials are decided when nothing else runs. Equivalent to the same rule in
    a study.

    Args:
        alpha: name of the criterion in the results.
        accuracy: name of the accuracy; higher is better.
        rule: the name of a rule, of `sweep.rules.RULES` or `"package.module:name"`, or the rule
            itself.
        keys: of the rule that is named.

    Raises:
        ConfigError: no such rule, a key that it does not take, or keys beside a rule itself.

    Example:
        >>> tuner = tune.Tuner(
        ...     train,  # reports {"alpha": ...} with a checkpoint, then {"accuracy": ...}
        ...     param_space={"d": tune.grid_search([64, 256, 1024])},
        ...     tune_config=tune.TuneConfig(scheduler=GoldilocksScheduler(round=4)),
        ... )  # doctest: +SKIP

    `GoldilocksScheduler(rule="paper", round=4)` is the rule of the alpha-ReQ authors.
    """

    supports_buffered_results = False

    def __init__(
        self,
        *,
        alpha: str = "alpha",
        accuracy: str = "accuracy",
        rule: str | Rule = "goldilocks",
        **keys: Any,
    ) -> None:
        TrialScheduler.__init__(self)
        self._alpha, self._accuracy = alpha, accuracy
        self._study = Study(rule=_rule(rule, keys), log=MemoryLog())
        self._results: dict[str, int] = {}

    @property
    def zone(self) -> Zone:
        """The interval of alpha in which the best model is looked for."""
        return self._study.history.zone

    def outcome(self) -> Outcome:
        """Return the winner so far, by Tune's trial id, and the probes paid and saved."""
        return outcome(self._study.history, "asked")

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._study.add(trial.trial_id, _numbers(trial.config), {})

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        match self._ingest(trial, result):
            case "stop":
                return TrialScheduler.STOP
            case "hold" if _can_pause(trial, result):
                return TrialScheduler.PAUSE
            case "hold":
                self._study.overrule(
                    Verdict(
                        trial_id=trial.trial_id,
                        action="continue",
                        reason="it has no checkpoint to wait on, so it is probed at once",
                    )
                )
        return TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """A trial ended. For a result with done=True, this is Tune's only call."""
        self._ingest(trial, result)
        if not self._study.history.state_of(trial.trial_id).final:
            self._study.fail(trial.trial_id, ENDED)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        if not self._study.history.state_of(trial.trial_id).final:
            self._study.fail(trial.trial_id, RAISED)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """A trial was removed: a paused one is decided already, a pending one never began."""
        if not self._study.history.state_of(trial.trial_id).final:
            self._study.fail(trial.trial_id, REMOVED)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        trials = tune_controller.get_live_trials()
        paused = [trial for trial in trials if trial.status == Trial.PAUSED]
        pending = next((trial for trial in trials if trial.status == Trial.PENDING), None)
        if paused and pending is None and not any(t.status == Trial.RUNNING for t in trials):
            self._study.next()  # nothing else runs, so the rule decides on the held trials
        for trial in paused:
            match self._study.action(trial.trial_id):
                case "continue":
                    return trial  # type: ignore[no-any-return]  # the controller is untyped
                case "stop":
                    tune_controller.stop_trial(trial)
        return pending

    def debug_string(self) -> str:
        history = self._study.history
        held, probed = history.count(State.HELD), history.count(State.PROBED)
        return f"GoldilocksScheduler: zone {self.zone}, {probed} probed, {held} held"

    def _ingest(self, trial: Trial, result: Mapping[str, Any]) -> Action:
        """Give a result to the study and return what the trial does next.

        Tune sends some results twice, and in two ways; each counts once.
        """
        study, name = self._study, trial.trial_id
        if name not in study.history:
            self.on_trial_add(None, trial)
        if name not in study.working and not study.history.state_of(name).final:
            study.start(name)  # for the first time, or again after a pause
        step = int(result.get("training_iteration", 0))
        if self._alpha in result and study.history.state_of(name) == State.TRAINING:
            study.observe(name, _observation("measured", step, "alpha", result[self._alpha]))
        if self._accuracy in result and study.history.state_of(name) == State.PROBING:
            study.observe(name, _observation("probed", step, "accuracy", result[self._accuracy]))
            return "continue"  # it ends by itself
        state = study.history.state_of(name)
        return "continue" if state == State.PROBED else study.action(name)


def _rule(rule: str | Rule, keys: Mapping[str, Any]) -> Rule:
    """Return the rule that is named, with its keys, or the rule itself."""
    if isinstance(rule, str):
        return rules.bind(RuleConfig(name=rule, **keys)).make()
    if keys:
        raise ConfigError(
            f"{', '.join(keys)}: keys belong to a rule that is named; give them to the rule itself."
        )
    return rule


def _observation(stage: Any, step: int, name: str, value: Any) -> Observation:
    number = float(value)
    if number - number == 0.0:
        measure = Measure(name=name, value=number)
    else:
        measure = Measure(
            name=name, value=None, status="nonfinite", detail={"reason": f"reported as {number}"}
        )
    return Observation(stage=stage, step=step, measures=(measure,))


def _can_pause(trial: Trial, result: Mapping[str, Any]) -> bool:
    """Return whether a paused trial can go on: without a checkpoint it would start again."""
    if result.get(SHOULD_CHECKPOINT) or trial.has_checkpoint():
        return True
    trainable = trial.get_trainable_cls()
    if trainable is None or issubclass(trainable, FunctionTrainable):
        return False
    return trainable.save_checkpoint is not Trainable.save_checkpoint


def _numbers(config: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: value
        for name, value in config.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
