from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sweep.core.errors import DataError
from sweep.replay.landscape_rows import of_table
from sweep.replay.select import Selector
from tests.landscapes import hump

ALPHAS = {f"m{i}": 0.4 + i / 20 for i in range(40)}


def accuracy(name: str) -> float:
    return 0.6 - 0.15 * (ALPHAS[name] - 1.2) ** 2


def test_it_finds_the_best_model_in_a_few_probes_and_then_asks_for_none() -> None:
    selector = Selector(ALPHAS, images=5000)
    asked = []
    while suggestions := selector.ask(3):
        for suggestion in suggestions:
            asked.append(suggestion.id)
            selector.tell(suggestion.id, accuracy(suggestion.id))
    assert len(asked) == len(set(asked)) < 20
    winner = selector.outcome().winner
    assert winner is not None
    assert abs(ALPHAS[winner] - 1.2) < 0.1
    assert selector.zone.holds(ALPHAS[winner])


def test_a_model_is_asked_for_only_once() -> None:
    selector = Selector(ALPHAS)
    first, second = selector.ask(3), selector.ask(3)
    assert not {s.id for s in first} & {s.id for s in second}
    assert all(s.reason for s in first)


def test_accuracies_in_a_table_are_known() -> None:
    table = pa.table(
        {
            "trial_id": ["a", "b", "c", "d"],
            "alpha": [0.5, 1.0, 1.5, None],
            "rankme": [10.0, 20.0, 15.0, 1.0],
            "accuracy": [0.4, 0.6, None, None],
        }
    )
    selector = Selector.of(of_table("mine", table))
    assert selector.outcome().winner == "b"
    assert {s.id for s in selector.ask(5)} <= {"c"}


def test_a_complete_table_asks_for_no_probe() -> None:
    assert Selector.of(hump(10)).ask(3) == []


def test_wrong_calls_say_what_is_wrong() -> None:
    with pytest.raises(DataError, match="nothing to choose among 1"):
        Selector({"a": 1.0})
    with pytest.raises(DataError, match="No model has an alpha"):
        Selector({"a": float("nan"), "b": float("nan")})
    with pytest.raises(DataError, match="rankme: the model 'z'"):
        Selector(ALPHAS, criteria={"rankme": {"z": 1.0}})
    selector = Selector(ALPHAS)
    with pytest.raises(DataError, match=r"'m99'.*m9"):
        selector.tell("m99", 0.5)
    with pytest.raises(ValueError, match=r"accuracy is 55, but must be between 0 and 1"):
        selector.tell("m1", 55)
    with pytest.raises(ValueError, match="n is 0"):
        selector.ask(0)
    selector.tell("m1", 0.5)
    with pytest.raises(DataError, match="'m1' is probed already"):
        selector.tell("m1", 0.5)


def covariates(count: int = 60) -> tuple[pa.Table, np.ndarray]:
    """A table whose accuracies depend on epochs and method; alpha and RankMe say nothing."""
    rng = np.random.default_rng(0)
    epochs, methods = rng.choice([50, 100, 200, 400, 800], count), rng.choice(["a", "b"], count)
    accuracies = 0.4 + 0.04 * np.log2(epochs / 50) + 0.1 * (methods == "b")
    accuracies += 0.002 * rng.normal(size=count)
    columns = {
        "trial_id": [f"m{i}" for i in range(count)],
        "alpha": rng.uniform(0.5, 2.5, count),
        "rankme": rng.uniform(10, 100, count),
        "epochs": epochs,
        "method": methods,
        "accuracy": [None] * count,
    }
    return pa.table(columns), accuracies


def test_columns_of_numbers_and_names_lead_to_the_best_model() -> None:
    table, accuracies = covariates()
    selector = Selector.of(of_table("mine", table))
    assert selector.history.named == ("method",)
    assert "epochs" in selector.history.varied
    reasons, asked = [], []
    while suggestions := selector.ask(3):
        for suggestion in suggestions:
            asked.append(int(suggestion.id[1:]))
            reasons.append(suggestion.reason)
            selector.tell(suggestion.id, float(accuracies[asked[-1]]))
    assert len(asked) < 25
    assert accuracies[asked].max() > np.sort(accuracies)[-4]
    assert reasons[0] == "among the first 5, which spread over all features"
    assert any("% of the fit by the varied fields" in reason for reason in reasons)


def test_models_that_no_number_explains_are_probed_far_from_each_other_and_that_is_said() -> None:
    table, _ = covariates()
    rng = np.random.default_rng(1)
    selector = Selector.of(of_table("mine", table))
    reasons, notes = [], []
    while suggestions := selector.ask(3):
        for suggestion in suggestions:
            reasons.append(suggestion.reason)
            selector.tell(suggestion.id, 0.5 + 0.02 * float(rng.normal()))
        notes.append(selector.zone.note)
    assert any(reason.startswith("far from the probed models") for reason in reasons)
    assert any("better than the mean; probes are spread" in note for note in notes)


def test_values_that_are_no_numbers_are_left_out_and_taken_names_are_refused() -> None:
    epochs = dict.fromkeys(ALPHAS, 100.0) | {"m0": float("nan")}
    selector = Selector(ALPHAS, criteria={"epochs": epochs, "ema": {"m1": True}})
    assert np.isnan(selector.history.column("epochs")[0])
    assert selector.history.names("ema")[1] == "true"
    with pytest.raises(DataError, match="criteria holds 'accuracy', a name that is taken"):
        Selector(ALPHAS, criteria={"accuracy": {"m1": 0.5}})
