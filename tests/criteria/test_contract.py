"""What every label-free criterion keeps to, whoever wrote it."""

from __future__ import annotations

import json
import math
import pickle

import pytest
import torch
from torch import Tensor

from sweep.config.models import CriteriaConfig
from sweep.criteria import CRITERIA, Criterion
from sweep.criteria.spectrum import alpha_of, rankme_of, summarise


@pytest.fixture(params=CRITERIA)
def criterion(request: pytest.FixtureRequest) -> Criterion:
    return CRITERIA[request.param](CriteriaConfig(first=3, last=20))


@pytest.fixture
def h_ND() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(200, 32, generator=generator)
    return noise * torch.arange(1, 33).pow(-0.5) + 0.1


def test_a_criterion_is_named_as_in_the_table(h_ND: Tensor) -> None:
    for name, make in CRITERIA.items():
        assert make(CriteriaConfig(last=20))(summarise(h_ND)).name == name


def test_ordinary_features_have_a_value_that_json_can_hold(
    criterion: Criterion, h_ND: Tensor
) -> None:
    measure = criterion(summarise(h_ND))
    assert measure.status in ("ok", "poor_fit")
    assert measure.usable
    assert json.loads(json.dumps(measure.detail, allow_nan=False)) == measure.detail
    assert measure.detail["images"] == 200


def test_asking_twice_gives_the_same_and_changes_nothing(
    criterion: Criterion, h_ND: Tensor
) -> None:
    features = summarise(h_ND)
    covariance, mean = features.covariance_DD.clone(), features.mean_D.clone()
    assert criterion(features) == criterion(features)
    assert torch.equal(features.covariance_DD, covariance)
    assert torch.equal(features.mean_D, mean)


def test_a_criterion_can_be_sent_to_a_worker(criterion: Criterion, h_ND: Tensor) -> None:
    sent = pickle.loads(pickle.dumps(criterion))
    assert sent(summarise(h_ND)) == criterion(summarise(h_ND))


def test_scale_and_rotation_change_nothing(criterion: Criterion, h_ND: Tensor) -> None:
    value = criterion(summarise(h_ND)).value
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(32, 32, generator=generator, dtype=torch.float64)).Q
    assert criterion(summarise(1000 * h_ND)).value == pytest.approx(value, rel=1e-5)
    assert criterion(summarise(h_ND.double() @ basis)).value == pytest.approx(value, rel=1e-5)


def test_collapsed_features_are_degenerate(criterion: Criterion, h_ND: Tensor) -> None:
    assert criterion(summarise(h_ND[:1].repeat(200, 1))).status == "degenerate"
    assert criterion(summarise(torch.zeros(200, 32))).status == "degenerate"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_bad_numbers_are_nonfinite(criterion: Criterion, h_ND: Tensor, bad: float) -> None:
    h_ND[3, 3] = bad
    assert criterion(summarise(h_ND)).status == "nonfinite"


def test_alpha_uses_the_window_of_the_config(h_ND: Tensor) -> None:
    features = summarise(h_ND)
    found = CRITERIA["alpha"](CriteriaConfig(first=2, last=12))(features)
    assert found == alpha_of(features, first=2, last=12)
    assert (found.detail["first"], found.detail["last"]) == (2, 12)


def test_alpha_condemns_a_collapsed_model_and_rankme_does_not(h_ND: Tensor) -> None:
    features = summarise(h_ND[:1].repeat(200, 1))
    config = CriteriaConfig(first=2, last=8)
    assert CRITERIA["alpha"](config)(features).fatal
    assert not CRITERIA["rankme"](config)(features).fatal


def test_alpha_of_an_encoder_narrower_than_the_window_is_degenerate(h_ND: Tensor) -> None:
    found = CRITERIA["alpha"](CriteriaConfig())(summarise(h_ND))
    assert found.status == "degenerate"
    assert found.detail["reason"] == "rank 32 is below 100"


def test_alpha_ignores_an_offset_and_rankme_does_not(h_ND: Tensor) -> None:
    config = CriteriaConfig(first=3, last=20)
    here, there = summarise(h_ND), summarise(h_ND.double() + 5)
    found = CRITERIA["alpha"](config)
    assert found(there).value == pytest.approx(found(here).value, rel=1e-5)
    before, after = rankme_of(here).value, CRITERIA["rankme"](config)(there).value
    assert before is not None
    assert after is not None
    assert after < before / 2
