"""`GoldilocksScheduler`: a rule decides which trials of a user's own Tuner go on.

It drives the same `Study` as our own runner, with a log in memory. `sweep.runners.ray.reports` says
what each result means. Without `sweep.RuleSearcher`, Tune decides which trial begins and when, and
the rule is told.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.result import SHOULD_CHECKPOINT
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import ConcurrencyLimiter
from ray.tune.trainable import FunctionTrainable, Trainable

from sweep import rules
from sweep.config.models import RuleConfig
from sweep.core.errors import ConfigError, StudyWarning
from sweep.core.events import SessionBegan
from sweep.core.failures import Failure
from sweep.core.history import State
from sweep.core.outcome import outcome
from sweep.core.records import Action, Outcome, Verdict, Zone
from sweep.log.log import MemoryLog
from sweep.rules import Rule
from sweep.runners.ray.reports import BadReport, Keys, Reports, number_of, point_of
from sweep.study import Study

ENDED = Failure(error="it ended without an accuracy", cause="no accuracy")
RAISED = Failure(error="it raised an error", cause="exception")
REMOVED = Failure(error="it was removed", cause="ended")

PATIENCE = 50
"""Rounds of Tune's loop, of a tenth of a second or less, in which no trial works and none begins.
Then the paused trials are stopped, because Tune would wait for them for ever."""

AT_WORK = (State.PENDING, State.TRAINING, State.PROBING)
"""States in which a trial that Tune runs is at work."""


class GoldilocksScheduler(TrialScheduler):
    """A Tune scheduler that lets a rule decide which trials go on, wait, and stop.

    With the default rule `goldilocks`, a trainable reports `alpha` once it has pretrained, before
    it spends anything on a probe, and `accuracy` after the probe. Between the two the scheduler
    says whether the probe is worth it. With a rule that decides by probes during training, such as
    `race`, a trainable reports `accuracy` and `fraction`, the share of training that is done, at
    some fractions; a result without `fraction` is final.

    A trial goes on, is stopped, or waits, paused on its checkpoint. A trial that has no checkpoint
    to pause on goes on. Results with neither number pass. Held trials are decided when nothing else
    runs. Equivalent to the same rule in a study, except that Tune decides which trial begins and
    when; with `sweep.RuleSearcher` as `search_alg`, the rule decides that too.

    Tune may want the accuracy in every result (`TuneConfig(metric="accuracy")`). Beside a trial's
    first alpha it is a placeholder, because nothing is probed yet: it is ignored with a warning, as
    is an accuracy that is no finite number. After `Tuner.restore` the scheduler takes up what each
    trial last reported, so that no probe is paid twice; repeat alpha beside the accuracy for that.

    Args:
        alpha: name of the criterion in the results.
        accuracy: name of the accuracy, 0 to 1; higher is better.
        fraction: name of the share of training done, above 0, at most 1.
        rule: the name of a rule, of `sweep.rules.RULES` or `"package.module:name"`, or the rule
            itself.
        workers: how many trials the rule lets work at once; by default as many as Tune ran at once
            so far.
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
    `GoldilocksScheduler(rule="race")` stops early by probes during training.
    """

    supports_buffered_results = False

    def __init__(
        self,
        *,
        alpha: str = "alpha",
        accuracy: str = "accuracy",
        fraction: str = "fraction",
        rule: str | Rule = "goldilocks",
        workers: int | None = None,
        **keys: Any,
    ) -> None:
        TrialScheduler.__init__(self)
        if workers is not None and workers < 1:
            raise ConfigError(f"workers is {workers}; at least 1 trial must work.")
        self._keys = Keys(alpha=alpha, accuracy=accuracy, fraction=fraction)
        self._workers = workers
        self._study = Study(
            rule=_rule(rule, keys), log=MemoryLog(), workers=workers or 1, suggests=False
        )
        self._leads = False
        self._reports: dict[str, Reports] = {}
        self._names: dict[str, str] = {}  # Tune's id of a trial -> the study's, where they differ
        self._warned: set[str] = set()
        self._stalled = 0
        self._controller: int | None = None  # id of the Tuner's controller that uses this scheduler
        self._points: dict[str, Mapping[str, Any]] = {}

    @property
    def zone(self) -> Zone:
        """The interval of alpha in which the best model is looked for."""
        return self._study.history.zone

    @property
    def study(self) -> Study:
        """The study that the scheduler drives; its log is in memory."""
        return self._study

    def outcome(self) -> Outcome:
        """Return the winner so far, by Tune's trial id, and the probes paid and saved."""
        tunes = {name: tune_id for tune_id, name in self._names.items()}
        result = outcome(self._study.history, "asked")
        winner = None if result.winner is None else tunes.get(result.winner, result.winner)
        ties = tuple(tunes.get(name, name) for name in result.ties)
        return replace(result, winner=winner, ties=ties)

    # What the searcher calls -----------------------------------------------------------

    def lead(self, points: Mapping[str, Mapping[str, Any]], *, workers: int) -> None:
        """Let the rule decide which candidate begins: forget what Tune would have begun.

        Args:
            points: name of each candidate -> its config, in order.
            workers: M, trials at work at once.
        """
        if len(self._study.history):
            raise ConfigError("The scheduler has trials already. Give each Tuner a new scheduler.")
        self._leads, self._workers = True, workers
        self._study = Study(rule=self._study.rule, log=MemoryLog(), workers=workers)
        self._study.record(SessionBegan(runner="ray", workers=workers))
        for name, config in points.items():
            self._study.add(name, point_of(config), {})

    def begin(self, tune_id: str) -> str | None:
        """Start the candidate that the rule begins now, as a trial of Tune; return its name.

        Returns:
            None if no candidate begins now; see `ended`.
        """
        study = self._study
        if len(study.working) >= study.history.workers:
            return None
        name = study.next()
        if name is None or name in self._names.values():
            return None  # a trial of Tune goes on: `choose_trial_to_run` starts it
        self._names[tune_id] = name
        study.start(name)
        return name

    @property
    def ended(self) -> bool:
        """True if nothing works and nothing more may begin."""
        return not self._study.working and self._study.next() is None

    # What Tune calls -------------------------------------------------------------------

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._claim(tune_controller)
        self._points[trial.trial_id] = point_of(trial.config)
        self._study.add(self._name(trial), self._points[trial.trial_id], {})
        self._recall(trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        match self._ingest(trial, result):
            case "stop":
                return TrialScheduler.STOP
            case "hold" if _can_pause(trial, result):
                return TrialScheduler.PAUSE
            case "hold":
                self._go_on(trial)
        return TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """A trial ended. For a result with done=True, this is Tune's only call."""
        self._ingest(trial, result)
        self._fail(trial, ENDED)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """An attempt raised an error. Tune tries a trial that ran again, as `max_failures` says."""
        again = trial.status != Trial.PENDING and trial.should_recover()
        self._fail(trial, RAISED, final=not again)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """A trial was removed: a paused one is decided already, a pending one never began."""
        self._fail(trial, REMOVED)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        live = {self._name(trial): trial for trial in tune_controller.get_live_trials()}
        order = self._study.history.row
        live = {name: live[name] for name in sorted(live, key=order)}
        if self._leads:
            self._doubt_limit(tune_controller)
        self._note_what_runs(live)
        chosen = self._led(live) if self._leads else self._free(live)
        for name, trial in live.items():
            waits = trial.status in (Trial.PAUSED, Trial.PENDING)
            if waits and self._study.action(name) == "stop":
                tune_controller.stop_trial(trial)
        stalls = chosen is None and self._nothing_works(live)
        self._stalled = self._stalled + 1 if stalls else 0
        if self._stalled > PATIENCE:
            for trial in list(_with(live, Trial.PAUSED)):
                tune_controller.stop_trial(trial)
        return chosen

    def debug_string(self) -> str:
        history = self._study.history
        held, probed = history.count(State.HELD, State.PAUSED), history.count(State.PROBED)
        return f"GoldilocksScheduler: zone {self.zone}, {probed} probed, {held} held"

    # The step --------------------------------------------------------------------------

    def _name(self, trial: Trial) -> str:
        return self._names.get(trial.trial_id, trial.trial_id)

    def _note_what_runs(self, live: Mapping[str, Trial]) -> None:
        """Record the trials that Tune began; Tune tells a scheduler of results only."""
        running = [name for name, trial in live.items() if trial.status == Trial.RUNNING]
        if self._workers is None:
            self._study.history.workers = max(self._study.history.workers, len(running))
        for name in running:
            self._note_start(name)

    def _note_start(self, name: str) -> None:
        at_work = self._study.history.state_of(name) in AT_WORK
        if at_work and name not in self._study.working:
            self._study.start(name)

    def _free(self, live: Mapping[str, Trial]) -> Trial | None:
        """Return the trial that goes on, or else the first that Tune may begin."""
        pending = next(_with(live, Trial.PENDING), None)
        paused = list(_with(live, Trial.PAUSED))
        if paused and self._nothing_works(live):
            self._study.working.clear()
            self._study.next()  # nothing else runs, so the rule decides on the held trials
        for trial in paused:
            if self._study.action(self._name(trial)) == "continue":
                self._note_start(self._name(trial))
                return trial
        return pending

    def _led(self, live: Mapping[str, Trial]) -> Trial | None:
        """Return the trial of Tune that the rule lets go on; the searcher begins the others."""
        study = self._study
        if len(study.working) < study.history.workers:
            name = study.next()
            trial = live.get(name) if name is not None else None
            if name is not None and trial is not None and trial.status != Trial.RUNNING:
                self._note_start(name)
                return trial  # one that Tune is still pausing is chosen in a later round
        return next(_with(live, Trial.PENDING), None)

    def _nothing_works(self, live: Mapping[str, Trial]) -> bool:
        busy = any(trial.status in (Trial.RUNNING, Trial.PENDING) for trial in live.values())
        return not busy and not (self._leads and self._study.working)

    def _ingest(self, trial: Trial, result: Mapping[str, Any]) -> Action:
        """Give a result to the study and return what the trial does next.

        Tune sends some results twice, and in two ways; each counts once.
        """
        study, name = self._study, self._name(trial)
        if name not in study.history:
            study.add(name, point_of(trial.config), {})
        self._check_config(trial)
        self._note_start(name)
        if not study.history.state_of(name).final:
            try:
                self._observe(name, trial, result)
            except BadReport as error:
                self._warn(name, f"Trial {trial.trial_id} is stopped: {error}")
                self._fail(trial, Failure(error=str(error), cause="exception"))
        # A probed trial ends by itself.
        state = study.history.state_of(name)
        return "continue" if state == State.PROBED else study.action(name)

    def _claim(self, tune_controller: Any) -> None:
        """Raise `ConfigError` where another Tuner uses this scheduler already."""
        controller = id(getattr(tune_controller, "_tune_controller", tune_controller))
        if self._controller not in (None, controller):
            raise ConfigError(
                "This scheduler belongs to another Tuner: it knows that Tuner's trials. Make a new "
                "GoldilocksScheduler for each Tuner."
            )
        self._controller = controller

    def _check_config(self, trial: Trial) -> None:
        """Raise `ConfigError` where a trial's config was changed since it was added."""
        before = self._points.get(trial.trial_id)
        if before is not None and before != (now := point_of(trial.config)):
            changed = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
            raise ConfigError(
                f"The config of trial {trial.trial_id} was changed while it ran: "
                f"{', '.join(changed)}. The scheduler compares models by their configs, so leave "
                "`config` as it is, and change a copy."
            )

    def _recall(self, trial: Trial) -> None:
        """Take up what a trial of a restored Tuner had reported before."""
        result, name = trial.last_result or {}, self._name(trial)
        ended = trial.status in (Trial.TERMINATED, Trial.ERROR)
        known = self._keys.alpha in result or self._keys.accuracy in result
        if not (known or ended):
            return
        self._note_start(name)
        try:
            if known:
                self._recall_result(name, trial, result)
        except BadReport as error:
            self._warn(name, f"Trial {trial.trial_id} is stopped: {error}")
            self._fail(trial, Failure(error=str(error), cause="exception"))
        if ended and not self._study.history.state_of(name).final:
            self._fail(trial, RAISED if trial.status == Trial.ERROR else ENDED)
        self._study.working.discard(name)

    def _recall_result(self, name: str, trial: Trial, result: Mapping[str, Any]) -> None:
        """Observe the last result of a trial; an accuracy in its only result is a placeholder."""
        study, keys = self._study, self._keys
        reports = self._reports.setdefault(name, Reports(keys=keys))
        if reports.fraction(result) < 1:
            self._observe(name, trial, result)
            return
        probed = math.isfinite(number_of(result.get(keys.accuracy))) and (
            keys.alpha not in result or int(result.get("training_iteration", 1)) > 1
        )
        if keys.alpha in result:
            study.observe(name, reports.final("measured", "alpha", keys.alpha, result, trial))
        if not probed or study.history.state_of(name).final:
            return
        if study.history.state_of(name) in (State.WAITING, State.HELD):
            reason = "it was probed before the Tuner was restored"
            study.overrule(Verdict(trial_id=name, action="continue", reason=reason))
        study.observe(name, reports.final("probed", "accuracy", keys.accuracy, result, trial))

    def _observe(self, name: str, trial: Trial, result: Mapping[str, Any]) -> None:
        study, keys = self._study, self._keys
        reports = self._reports.setdefault(name, Reports(keys=keys))
        self._doubt(name, trial, result)
        if reports.fraction(result) < 1:
            training = study.history.state_of(name) == State.TRAINING
            if training and (look := reports.look(result, trial)) is not None:
                study.observe(name, look)
            return
        unneeded = "alpha" not in getattr(study.rule, "needs", ())
        expected = (State.TRAINING, State.PROBING) if unneeded else (State.PROBING,)
        first = keys.alpha in result and study.history.state_of(name) == State.TRAINING
        if first:
            study.observe(name, reports.final("measured", "alpha", keys.alpha, result, trial))
        if keys.accuracy not in result:
            return
        accuracy = result[keys.accuracy]
        looks = reports.looked or keys.fraction in result or getattr(study.rule, "begins", False)
        if first and not looks:
            self._ignore(trial, "stands beside its first alpha, before a probe")
        elif study.history.state_of(name) not in expected:
            pass  # it is probed already, or was not told to go on
        elif looks or isinstance(accuracy, str) or math.isfinite(number_of(accuracy)):
            study.observe(name, reports.final("probed", "accuracy", keys.accuracy, result, trial))
        else:
            self._ignore(trial, f"is {accuracy}")

    def _ignore(self, trial: Trial, why: str) -> None:
        """Warn once that an accuracy is a placeholder."""
        self._warn(
            "placeholder",
            f"Trial {trial.trial_id}: its {self._keys.accuracy} {why}, so it is a placeholder and "
            "is ignored. The same holds for other trials.",
        )

    def _doubt(self, name: str, trial: Trial, result: Mapping[str, Any]) -> None:
        """Warn of an accuracy in percent, if the rule compares accuracies with points."""
        value = result.get(self._keys.accuracy)
        percent = isinstance(value, int | float) and (-math.inf < value < 0 or 1 < value < math.inf)
        if percent and getattr(self._study.rule, "begins", False):
            self._warn(
                "percent",
                f"Trial {trial.trial_id} reports {self._keys.accuracy} = {value:g}. The rule needs "
                "a share of right answers, 0 to 1; divide a percentage by 100. A trial with such "
                "an accuracy during training is stopped.",
            )

    def _doubt_limit(self, tune_controller: Any) -> None:
        """Warn of Tune's own limit on trials at once, which keeps candidates from beginning."""
        searcher = getattr(tune_controller.search_alg, "searcher", None)
        if isinstance(searcher, ConcurrencyLimiter):
            self._warn(
                "limit",
                "max_concurrent_trials counts paused trials too, so candidates that the rule names "
                "may never begin. Leave it out: `workers` of RuleSearcher is the limit.",
            )

    def _go_on(self, trial: Trial) -> None:
        """Overrule a hold: a trial without a checkpoint would begin again after a pause."""
        name = self._name(trial)
        at_end = self._study.history.state_of(name) == State.HELD
        then = "is probed at once" if at_end else "goes on"
        self._study.overrule(
            Verdict(
                trial_id=name,
                action="continue",
                reason=f"it has no checkpoint to wait on, so it {then}",
            )
        )

    def _fail(self, trial: Trial, failure: Failure, *, final: bool = True) -> None:
        name = self._name(trial)
        if not self._study.history.state_of(name).final:
            self._study.fail(name, failure, final=final)

    def _warn(self, topic: str, sentence: str) -> None:
        if topic not in self._warned:
            self._warned.add(topic)
            warnings.warn(sentence, StudyWarning, stacklevel=2)


def _with(live: Mapping[str, Trial], status: str) -> Iterator[Trial]:
    return (trial for trial in live.values() if trial.status == status)


def _rule(rule: str | Rule, keys: Mapping[str, Any]) -> Rule:
    """Return the rule that is named, with its keys, or the rule itself."""
    if isinstance(rule, str):
        if keys.get("prior", "none") not in ("none", "shipped"):
            raise ConfigError(
                "A prior is read by a study (`sweep run`), not by a scheduler. Leave `prior` out."
            )
        return rules.bind(RuleConfig(name=rule, **keys)).make()
    if keys:
        raise ConfigError(
            f"{', '.join(keys)}: keys belong to a rule that is named; give them to the rule itself."
        )
    return rule


def _can_pause(trial: Trial, result: Mapping[str, Any]) -> bool:
    """Return whether a paused trial can go on: without a checkpoint it would start again."""
    if result.get(SHOULD_CHECKPOINT) or trial.has_checkpoint():
        return True
    trainable = trial.get_trainable_cls()
    if trainable is None or issubclass(trainable, FunctionTrainable):
        return False
    return trainable.save_checkpoint is not Trainable.save_checkpoint
