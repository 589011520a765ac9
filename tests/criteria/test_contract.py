"""The contract of every label-free criterion in `CRITERIA`."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sweep.config.models import CriteriaConfig
from sweep.core.errors import ConfigError
from sweep.criteria import CRITERIA, Criterion, bind, measure
from sweep.criteria.encoded import Encoded
from sweep.criteria.spectrum import alpha_of, rankme_of, summarise

KEYS: dict[str, dict[str, int]] = {"alpha": {"first": 3, "last": 20}, "rankme": {}}
"""Keys that fit 32 features."""


@pytest.fixture(params=CRITERIA)
def criterion(request: pytest.FixtureRequest) -> Criterion:
    return CRITERIA[request.param](**KEYS[request.param])


@pytest.fixture
def h_ND() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(200, 32, generator=generator)
    return noise * torch.arange(1, 33).pow(-0.5) + 0.1


def test_a_criterion_is_named_as_in_the_table(h_ND: Tensor) -> None:
    for name, make in CRITERIA.items():
        assert make(**KEYS[name])(Encoded.of(h_ND)).name == name


def test_ordinary_features_have_a_value_that_json_can_hold(
    criterion: Criterion, h_ND: Tensor
) -> None:
    result = criterion(Encoded.of(h_ND))
    assert result.status in ("ok", "poor_fit")
    assert result.usable
    assert json.loads(json.dumps(result.detail, allow_nan=False)) == result.detail
    assert result.detail["images"] == 200


def test_a_second_call_returns_the_same_and_the_features_are_unchanged(
    criterion: Criterion, h_ND: Tensor
) -> None:
    encoded, before = Encoded.of(h_ND), h_ND.clone()
    covariance, mean = encoded.moments.covariance_DD.clone(), encoded.moments.mean_D.clone()
    assert criterion(encoded) == criterion(encoded)
    assert torch.equal(encoded.moments.covariance_DD, covariance)
    assert torch.equal(encoded.moments.mean_D, mean)
    assert torch.equal(h_ND, before)


def test_a_bound_criterion_can_be_sent_to_a_worker(h_ND: Tensor) -> None:
    config = CriteriaConfig.model_validate({"alpha": KEYS["alpha"]})
    for bound in bind(config):
        sent = pickle.loads(pickle.dumps(bound))
        assert measure(sent, Encoded.of(h_ND)) == measure(bound, Encoded.of(h_ND))


def test_scale_and_rotation_change_nothing(criterion: Criterion, h_ND: Tensor) -> None:
    value = criterion(Encoded.of(h_ND)).value
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(32, 32, generator=generator, dtype=torch.float64)).Q
    assert criterion(Encoded.of(1000 * h_ND)).value == pytest.approx(value, rel=1e-5)
    assert criterion(Encoded.of(h_ND.double() @ basis)).value == pytest.approx(value, rel=1e-5)


def test_collapsed_features_are_degenerate(criterion: Criterion, h_ND: Tensor) -> None:
    assert criterion(Encoded.of(h_ND[:1].repeat(200, 1))).status == "degenerate"
    assert criterion(Encoded.of(torch.zeros(200, 32))).status == "degenerate"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_features_with_nan_or_infinity_are_nonfinite(
    criterion: Criterion, h_ND: Tensor, bad: float
) -> None:
    h_ND[3, 3] = bad
    assert criterion(Encoded.of(h_ND)).status == "nonfinite"


def test_alpha_uses_the_window_of_its_keys(h_ND: Tensor) -> None:
    alpha = CRITERIA["alpha"](first=2, last=12)(Encoded.of(h_ND))
    assert alpha == alpha_of(summarise(h_ND), first=2, last=12)
    assert (alpha.detail["first"], alpha.detail["last"]) == (2, 12)


def test_alpha_of_an_encoder_narrower_than_the_window_is_degenerate(h_ND: Tensor) -> None:
    alpha = CRITERIA["alpha"]()(Encoded.of(h_ND))
    assert alpha.status == "degenerate"
    assert alpha.detail["reason"] == "rank 32 is below 100"


def test_alpha_condemns_a_collapsed_model_and_rankme_does_not(h_ND: Tensor) -> None:
    collapsed = Encoded.of(h_ND[:1].repeat(200, 1))
    assert CRITERIA["alpha"](first=2, last=8)(collapsed).fatal
    assert not CRITERIA["rankme"]()(collapsed).fatal


def test_alpha_ignores_an_offset_and_rankme_does_not(h_ND: Tensor) -> None:
    centred, moved = Encoded.of(h_ND), Encoded.of(h_ND.double() + 5)
    alpha = CRITERIA["alpha"](first=3, last=20)
    assert alpha(moved).value == pytest.approx(alpha(centred).value, rel=1e-5)
    before, after = rankme_of(centred.moments).value, CRITERIA["rankme"]()(moved).value
    assert before is not None
    assert after is not None
    assert after < before / 2


def test_what_a_criterion_returns_is_checked(h_ND: Tensor) -> None:
    (bound,) = bind(CriteriaConfig(names=("tests.criteria.test_contract:a_number",)))
    sentence = r"'tests.criteria.test_contract:a_number' returned a float, and must return a sweep"
    with pytest.raises(ConfigError, match=sentence):
        measure(bound, Encoded.of(h_ND))


def test_an_error_of_a_plug_in_is_one_sentence_with_its_place(h_ND: Tensor) -> None:
    (bound,) = bind(CriteriaConfig(names=("tests.criteria.test_contract:broken",)))
    sentence = r"'tests.criteria.test_contract:broken' failed: ZeroDivisionError: .*test_contract"
    with pytest.raises(ConfigError, match=sentence):
        measure(bound, Encoded.of(h_ND))


def a_number() -> Callable[[Encoded], float]:
    return lambda encoded: 1.0


def broken() -> Callable[[Encoded], float]:
    return lambda encoded: 1 / (encoded.count - 200)
