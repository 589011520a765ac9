"""Models that exist already: which of them to probe next, and why. No training, no Ray.

selector = Selector({"a": 0.9, "b": 1.3, ...})
for suggestion in selector.ask(4):
    selector.tell(suggestion.id, accuracy=probe(suggestion.id))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from sweep.core.errors import DataError, unknown_name
from sweep.core.history import History, State
from sweep.core.outcome import Outcome, outcome
from sweep.core.records import Decision, Measure, Observation, Verdict, Zone
from sweep.log.store import MemoryLog
from sweep.replay.landscape import Landscape
from sweep.replay.rule_specs import RuleSpec
from sweep.rules import Rule
from sweep.study import Study


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """A model to probe next: its id, its alpha, and why it."""

    id: str
    alpha: float
    reason: str


class Selector:
    """Says which models to probe next, from what is known without labels and the probes so far.

    Args:
        alphas: id -> alpha of each model. Alphas of one window and one kind of model only.
        criteria: name -> {id: value} of anything else known without labels: `rankme`, `loss`,
            or hyperparameters; what explains nothing gets no say.
        images: that an accuracy is read from, for its noise.
        rule: a rule, or its name with keys: `"goldilocks:tolerance=0.002"`.

    Raises:
        DataError: fewer than two models, no alpha that is a number, or an id that `alphas`
            lacks.

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
        criteria: Mapping[str, Mapping[str, float]] | None = None,
        images: int | None = None,
        rule: str | Rule = "goldilocks",
    ) -> None:
        if len(alphas) < 2:
            raise DataError(f"There is nothing to choose among {len(alphas)} models.")
        self._images = images
        self._rule = RuleSpec.parse(rule).make_rule() if isinstance(rule, str) else rule
        self._study = Study(rule=_silent, log=MemoryLog())
        extra = criteria or {}
        for name, values in extra.items():
            if unknown := values.keys() - alphas.keys():
                raise DataError(unknown_name(f"{name}: the model", min(unknown), list(alphas)))
        for key, alpha in alphas.items():
            point = {name: values[key] for name, values in extra.items() if key in values}
            self._study.add(key, {k: v for k, v in point.items() if k not in _MEASURES}, {})
            self._study.start(key)
            measures = [_measure("alpha", alpha)]
            measures += [_measure(k, v) for k, v in point.items() if k in _MEASURES]
            self._study.observe(
                key, Observation(stage="measured", step=1, measures=tuple(measures))
            )
        if not self.history.waiting:
            raise DataError("No model has an alpha that is a number.")
        self._asked: set[str] = set()

    @classmethod
    def of(cls, landscape: Landscape, *, rule: str | Rule = "goldilocks") -> Selector:
        """Return the selector of a table, the accuracies that it holds told already."""
        alphas: dict[str, float] = {}
        criteria: dict[str, dict[str, float]] = {}
        images = None
        for candidate in landscape.candidates:
            alphas[candidate.trial_id] = float("nan")
            for name, value in candidate.point.items():
                criteria.setdefault(name, {})[candidate.trial_id] = value
            for seen in candidate.seen:
                if not seen.final:
                    continue
                for measure in seen.measures:
                    images = measure.detail.get("images", images)
                    if measure.value is None or "accuracy" in measure.name:
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
        """What is known."""
        return self._study.history

    @property
    def zone(self) -> Zone:
        """The interval of alpha that likely holds the best model."""
        return self.history.zone

    def ask(self, n: int = 1) -> list[Suggestion]:
        """Return up to `n` models to probe next; none where another probe is not worth it.

        Those asked for and not told yet count as under way. Asked for models stay asked for.
        """
        if n < 1:
            raise ValueError(f"n is {n}, but must be >= 1.")
        working = self.history.count(State.PROBING)
        batched = getattr(self._rule, "batched", None)
        self._study.rule = batched(n + working) if batched else self._rule
        self._study.record("session", {})
        self._study.rule = _silent
        found = [
            trial_id
            for trial_id in self.history.trial_ids
            if self.history.state_of(trial_id) == State.PROBING and trial_id not in self._asked
        ][:n]
        self._asked.update(found)
        return [
            Suggestion(
                id=t,
                alpha=float(self.history.column("alpha")[self.history.row(t)]),
                reason=self._why(t),
            )
            for t in found
        ]

    def tell(self, id: str, accuracy: float) -> None:  # the word users have for it
        """Take in the accuracy, 0 to 1, of a model, asked for or not.

        Raises:
            DataError: there is no such model, it was told already, or has no usable alpha.
            ValueError: the accuracy is not between 0 and 1.
        """
        if id not in self.history:
            raise DataError(unknown_name("The model", id, self.history.trial_ids))
        if not 0 <= accuracy <= 1:
            raise ValueError(f"accuracy is {accuracy}, but must lie between 0 and 1.")
        state = self.history.state_of(id)
        if state not in (State.WAITING, State.HELD, State.PROBING):
            raise DataError(f"The model {id!r} is {state.name.lower()} already.")
        if state != State.PROBING:
            self._study.overrule(Verdict(trial_id=id, action="continue", reason="told"))
        detail = {"images": self._images} if self._images else {}
        measure = Measure(name="accuracy", value=accuracy, detail=detail)
        self._study.observe(id, Observation(stage="probed", step=1, measures=(measure,)))

    def outcome(self) -> Outcome:
        """Return the best model so far, and which others cannot be told from it."""
        return outcome(self.history, "asked")

    def summary(self) -> list[str]:
        """Return lines for reading: what is known, the zone, the best so far."""
        history = self.history
        known, told = len(history), history.count(State.PROBED)
        lines = [f"models  {known}, {told} probed"]
        if told:
            best = self.outcome()
            lines.append(f"best    {best.winner}: {best.accuracy:.2%}")
        if history.zone.through:
            lines.append(f"zone    alpha in {history.zone}")
        if history.zone.note:
            lines.append(f"note    {history.zone.note}")
        if not history.count(State.PROBING):
            lines.append("next    nobody: another probe is not expected to gain enough")
        return lines

    def _why(self, trial_id: str) -> str:
        reasons = [
            event.payload["reason"]
            for event in self._study.events()
            if event.kind == "verdict" and event.trial_id == trial_id
        ]
        return str(reasons[-1])


def suggested(suggestions: Sequence[Suggestion]) -> pa.Table:
    """Return suggestions as a table: id, alpha, reason."""
    fields = {"id": pa.string(), "alpha": pa.float64(), "reason": pa.string()}
    return pa.Table.from_pylist([asdict(one) for one in suggestions], schema=pa.schema(fields))


_MEASURES = ("rankme", "loss", "alpha_r2")


def _silent(history: History) -> Decision:
    """Hold everybody: the rule speaks when it is asked."""
    return Decision(
        zone=history.zone,
        verdicts=tuple(
            Verdict(trial_id=history.trial_ids[row], action="hold", reason="not asked")
            for row in history.unanswered
        ),
    )


def _measure(name: str, value: float) -> Measure:
    if value - value == 0.0:
        return Measure(name=name, value=float(value))
    return Measure(name=name, value=None, status="degenerate", detail={"reason": "no number"})
