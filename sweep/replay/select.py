"""Choose which of your existing models to probe next. Nothing is trained, and Ray is not used.

selector = Selector({"a": 0.9, "b": 1.3, ...})
for suggestion in selector.ask(4):
    selector.tell(suggestion.id, accuracy=probe(suggestion.id))
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from sweep.core.errors import DataError, unknown_name
from sweep.core.events import Decided, SessionBegan
from sweep.core.history import History, State
from sweep.core.outcome import outcome
from sweep.core.records import (
    Decision,
    Measure,
    Observation,
    Outcome,
    Verdict,
    Zone,
    from_labels,
)
from sweep.log.log import MemoryLog
from sweep.replay.landscape import Landscape
from sweep.replay.rule_specs import RuleSpec
from sweep.rules import Rule
from sweep.study import Study


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """A model to probe next: its id, its alpha, and the reason why it was chosen."""

    id: str
    alpha: float
    reason: str


class Selector:
    """Chooses the models to probe next, from label-free numbers and the accuracies so far.

    Args:
        alphas: id -> alpha of each model. All alphas must come from the same window and the same
            kind of model.
        criteria: name -> {id: value} of whatever else is known without labels: `rankme`, `loss`,
            hyperparameters as numbers, and names as texts or truth values. The rule `goldilocks`
            uses what predicts the probed models; the rest gets almost no weight. It does not use
            a value that fewer than half of the models have.
        images: number of images that an accuracy is measured on; it gives the accuracy's noise.
        rule: a rule, or its name with keys: `"goldilocks:tolerance=0.002"`.

    Raises:
        DataError: fewer than two models, no alpha that is a number, an id in `criteria` that is
            not in `alphas`, or criteria of a name that is taken.

    Example:
        >>> selector = Selector({"a": 0.7, "b": 1.1, "c": 1.6, "d": 2.2})
        >>> first = selector.ask(2)
        >>> for suggestion in first:
        ...     selector.tell(suggestion.id, accuracy=0.5)
    """

    def __init__(
        self,
        alphas: Mapping[str, float],
        *,
        criteria: Mapping[str, Mapping[str, float | str | bool]] | None = None,
        images: int | None = None,
        rule: str | Rule = "goldilocks",
    ) -> None:
        if len(alphas) < 2:
            raise DataError(
                f"There is nothing to choose among {len(alphas)} models. Give at least two."
            )
        self._images = images
        self._rule = RuleSpec.parse(rule).make_rule() if isinstance(rule, str) else rule
        self._study = Study(rule=_silent, log=MemoryLog())
        extra = criteria or {}
        if taken := extra.keys() & {"alpha", "accuracy", "test_accuracy"}:
            raise DataError(
                f"criteria holds {min(taken)!r}, a name that is taken. Give alphas as the first "
                "argument, and accuracies by `tell`."
            )
        for name, values in extra.items():
            if unknown := values.keys() - alphas.keys():
                raise DataError(unknown_name(f"{name}: the model", min(unknown), list(alphas)))
        for trial_id, alpha in alphas.items():
            known = {name: values[trial_id] for name, values in extra.items() if trial_id in values}
            point = {k: v for k, v in known.items() if k not in _MEASURES and _usable(v)}
            self._study.add(trial_id, point, {})
            self._study.start(trial_id)
            measures = [_measure("alpha", alpha, fatal=True)]
            measures += [_measure(k, float(v)) for k, v in known.items() if k in _MEASURES]
            self._study.observe(
                trial_id, Observation(stage="measured", step=1, measures=tuple(measures))
            )
        if not self.history.waiting:
            raise DataError(
                "No model has an alpha that is a number. Give the alpha of at least one model."
            )
        self._asked: set[str] = set()

    @classmethod
    def of(cls, landscape: Landscape, *, rule: str | Rule = "goldilocks") -> Selector:
        """Return a selector of a table's models that knows the accuracies in the table.

        All columns that are known without labels are its criteria, names too.
        """
        alphas: dict[str, float] = {}
        criteria: dict[str, dict[str, float | str | bool]] = {}
        images = None
        for candidate in landscape.candidates:
            alphas[candidate.trial_id] = float("nan")
            for name, value in {**candidate.names, **candidate.point}.items():
                criteria.setdefault(name, {})[candidate.trial_id] = value
            for observation in candidate.seen:
                if not observation.final:
                    continue
                for measure in observation.measures:
                    images = measure.detail.get("images", images)
                    if measure.value is None or from_labels(measure.name):
                        continue
                    if measure.name == "alpha":
                        alphas[candidate.trial_id] = measure.value
                    else:
                        criteria.setdefault(measure.name, {})[candidate.trial_id] = measure.value
        selector = cls(alphas, criteria=criteria, images=images, rule=rule)
        for candidate in landscape.candidates:
            if (
                candidate.accuracy is not None
                and alphas[candidate.trial_id] == alphas[candidate.trial_id]
            ):
                selector.tell(candidate.trial_id, candidate.accuracy)
        return selector

    @property
    def history(self) -> History:
        """The models, their numbers and the accuracies so far."""
        return self._study.history

    @property
    def zone(self) -> Zone:
        """The interval of alpha that likely holds the best model."""
        return self.history.zone

    def ask(self, n: int = 1) -> list[Suggestion]:
        """Return up to `n` models to probe next; none if another probe is not worth its cost.

        A model that was returned once is not returned again. Until `tell` gives its accuracy, its
        probe counts as running.

        Raises:
            ValueError: `n` is below 1.
        """
        if n < 1:
            raise ValueError(f"n is {n}, but must be >= 1.")
        working = self.history.count(State.PROBING)
        batched = getattr(self._rule, "batched", None)
        self._study.rule = batched(n + working) if batched else self._rule
        self._study.record(SessionBegan())
        self._study.rule = _silent
        chosen = [
            trial_id
            for trial_id in self.history.trial_ids
            if self.history.state_of(trial_id) == State.PROBING and trial_id not in self._asked
        ][:n]
        self._asked.update(chosen)
        return [
            Suggestion(
                id=trial_id,
                alpha=float(self.history.column("alpha")[self.history.row(trial_id)]),
                reason=self._reason(trial_id),
            )
            for trial_id in chosen
        ]

    def tell(self, id: str, accuracy: float) -> None:  # `id` is the name that users know
        """Record the accuracy of a model, whether `ask` returned it or not.

        Args:
            id: of the model.
            accuracy: validation accuracy, as a part of 1.

        Raises:
            DataError: there is no such model, its accuracy is known already, or it has no alpha
                that is a number.
            ValueError: the accuracy is not between 0 and 1.
        """
        if id not in self.history:
            raise DataError(unknown_name("The model", id, self.history.trial_ids))
        if not 0 <= accuracy <= 1:
            raise ValueError(f"accuracy is {accuracy}, but must be between 0 and 1.")
        state = self.history.state_of(id)
        if state not in (State.WAITING, State.HELD, State.PROBING):
            raise DataError(f"The model {id!r} is {state.name.lower()} already.")
        if state != State.PROBING:
            self._study.overrule(Verdict(trial_id=id, action="continue", reason="told"))
        detail = {"images": self._images} if self._images else {}
        measure = Measure(name="accuracy", value=accuracy, detail=detail)
        self._study.observe(id, Observation(stage="probed", step=1, measures=(measure,)))

    def outcome(self) -> Outcome:
        """Return the best model so far, and the models whose accuracy does not differ at 95 %."""
        return outcome(self.history, "asked")

    def summary(self) -> list[str]:
        """Return lines to print: numbers of models, the best so far, the zone, its note."""
        history = self.history
        models, probed = len(history), history.count(State.PROBED)
        lines = [f"models  {models}, {probed} probed"]
        if probed:
            best = self.outcome()
            lines.append(f"best    {best.winner}: {best.accuracy:.2%}")
        if history.zone.through:
            lines.append(f"zone    alpha in {history.zone}")
        if history.zone.note:
            lines.append(f"note    {history.zone.note}")
        if not history.count(State.PROBING):
            lines.append("next    none: another probe is not expected to gain enough")
        return lines

    def _reason(self, trial_id: str) -> str:
        reasons = [
            event.reason
            for event in self._study.events()
            if isinstance(event, Decided) and event.trial_id == trial_id
        ]
        return reasons[-1]


def suggested(suggestions: Sequence[Suggestion]) -> pa.Table:
    """Return suggestions as a table: id, alpha, reason."""
    fields = {"id": pa.string(), "alpha": pa.float64(), "reason": pa.string()}
    return pa.Table.from_pylist(
        [asdict(suggestion) for suggestion in suggestions], schema=pa.schema(fields)
    )


_MEASURES = ("rankme", "loss", "alpha_r2")


def _silent(history: History) -> Decision:
    """Hold every model. This rule is active except during `ask`."""
    return Decision(
        zone=history.zone,
        verdicts=tuple(
            Verdict(trial_id=history.trial_ids[row], action="hold", reason="not asked")
            for row in history.unanswered
        ),
    )


def _usable(value: float | str | bool) -> bool:
    """Return whether a value is a name or a finite number."""
    return isinstance(value, str) or math.isfinite(value)


def _measure(name: str, value: float, *, fatal: bool = False) -> Measure:
    if value - value == 0.0:
        return Measure(name=name, value=float(value), fatal=fatal)
    reason = {"reason": "no number"}
    return Measure(name=name, value=None, status="degenerate", fatal=fatal, detail=reason)
