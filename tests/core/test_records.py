"""When an observation condemns its model."""

from __future__ import annotations

import pytest

from sweep.core.records import Measure, Observation, Stage


def alpha(value: float | None, *, fatal: bool = False) -> Measure:
    status = "ok" if value is not None else "degenerate"
    detail = {} if value is not None else {"reason": "rank 1"}
    return Measure(name="alpha", value=value, status=status, fatal=fatal, detail=detail)  # type: ignore[arg-type]  # a Literal, seen as str


RANKME = Measure(name="rankme", value=None, status="degenerate")
USABLE = Measure(name="rankme", value=3.0)


def seen(stage: Stage, *measures: Measure, fraction: float = 1.0) -> Observation:
    return Observation(stage=stage, step=1, fraction=fraction, measures=measures)


@pytest.mark.parametrize("stage", ["trained", "measured"])
def test_a_fatal_measure_without_a_usable_value_condemns_a_model(stage: Stage) -> None:
    observation = seen(stage, USABLE, RANKME, alpha(None, fatal=True))
    assert observation.broken == "alpha is degenerate: rank 1"
    assert seen(stage, USABLE, RANKME, alpha(None)).broken is None
    assert seen(stage, RANKME, alpha(1.0, fatal=True)).broken is None


@pytest.mark.parametrize("stage", ["trained", "measured"])
def test_a_model_of_which_nothing_is_usable_is_condemned(stage: Stage) -> None:
    assert seen(stage, alpha(None)).broken == "alpha is degenerate: rank 1"
    assert seen(stage, RANKME, alpha(None)).broken == "rankme is degenerate: no number"
    assert seen(stage).broken is None


def test_other_stages_and_looks_during_training_condemn_nothing() -> None:
    fatal = alpha(None, fatal=True)
    assert seen("measured", fatal, fraction=0.5).broken is None
    assert seen("pretrain", fatal, fraction=0.5).broken is None
    assert seen("probed", fatal).broken is None
    assert seen("trained", fatal, fraction=0.3).broken is not None  # training broke down


@pytest.mark.parametrize(("value", "status"), [(1.0, "degenerate"), (None, "ok")])
def test_a_status_that_contradicts_the_value_is_refused(value: float | None, status: str) -> None:
    with pytest.raises(ValueError, match=f"measure alpha: value {value} with status {status}"):
        Measure(name="alpha", value=value, status=status)  # type: ignore[arg-type]  # the test's
