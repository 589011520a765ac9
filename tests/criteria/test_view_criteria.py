"""Criteria that see more than moments: exact cases, and one of them in a real trial."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError
from sweep.core.records import Measure
from sweep.criteria.encoded import Encoded
from sweep.launch.preflight import prepare
from sweep.pretraining.context import Context
from sweep.pretraining.trial import run_trial
from tests.criteria.view_criteria import Alignment, Lidar, Uniformity
from tests.small import small_study

LIDAR = "tests.criteria.view_criteria:lidar"


def value(criterion: Lidar | Alignment | Uniformity, encoded: Encoded) -> float:
    result = criterion(encoded).value
    assert result is not None
    return result


def with_views(views_nqD: Tensor) -> Encoded:
    return Encoded.of(views_nqD.mean(1), views_nqD)


def equal_directions(dim: int, rank: int) -> Tensor:
    """Return views whose images differ alike along `rank` axes, and noise without direction."""
    axes = torch.eye(dim, dtype=torch.float64)
    images = torch.cat([axes[:rank], -axes[:rank]])
    noise = 0.1 * torch.cat([axes, -axes])
    return images[:, None] + noise[None]


@pytest.mark.parametrize(("dim", "rank"), [(4, 4), (6, 3), (5, 1)])
def test_lidar_is_the_number_of_axes_along_which_images_differ(dim: int, rank: int) -> None:
    views_nqD = equal_directions(dim, rank)
    lidar = Lidar(images=2 * rank, views=2 * dim)
    assert value(lidar, with_views(views_nqD)) == pytest.approx(rank, rel=1e-4)


def test_lidar_ignores_a_direction_in_which_only_views_of_an_image_differ() -> None:
    views_nqD = equal_directions(4, 4)
    lidar = Lidar(images=8, views=8)
    noisy = views_nqD * torch.tensor([1.0, 1.0, 1.0, 100.0])
    assert value(lidar, with_views(noisy)) == pytest.approx(4, rel=0.01)  # scaled alike
    views_nqD[..., 3] += 10 * torch.tensor([1.0, -1.0]).repeat(4)
    assert value(lidar, with_views(views_nqD)) == pytest.approx(3, rel=0.01)


def test_lidar_equals_the_papers_formula_by_scipys_generalised_eigenvalues() -> None:
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(30, 1, 6, generator=generator)
    h_nqD = (mean + 0.5 * torch.randn(30, 9, 6, generator=generator)).double()
    per_image = h_nqD.mean(1).numpy()
    within = np.mean([np.cov(views.T) for views in h_nqD.numpy()], axis=0) + 1e-4 * np.eye(6)
    values = scipy.linalg.eigh(np.cov(per_image.T), within, eigvals_only=True)
    p = values / values.sum() + 1e-7
    expected = math.exp(-np.sum(p * np.log(p)))
    lidar = Lidar(images=30, views=9)
    assert value(lidar, with_views(h_nqD)) == pytest.approx(expected, rel=1e-9)


def test_alignment_is_0_for_equal_views_2_for_a_right_angle_and_4_for_opposite_ones() -> None:
    f = torch.eye(3)
    for other, expected in ((5 * f, 0.0), (f.roll(1, 0), 2.0), (-f, 4.0)):
        encoded = with_views(torch.stack([f, other], dim=1))
        assert value(Alignment(), encoded) == pytest.approx(expected, abs=1e-6)
    encoded = with_views(torch.stack([f, -f], dim=1))
    assert value(Alignment(power=1.0), encoded) == pytest.approx(2)


def test_uniformity_of_one_point_is_0_and_of_two_opposite_points_minus_8() -> None:
    f = torch.tensor([[1.0, 0.0]])
    assert value(Uniformity(), Encoded.of(torch.cat([f, 3 * f]))) == pytest.approx(0, abs=1e-6)
    assert value(Uniformity(), Encoded.of(torch.cat([f, -f]))) == pytest.approx(-8)
    right_angle = Encoded.of(torch.eye(2))
    assert value(Uniformity(t=3.0), right_angle) == pytest.approx(-6)


def study(names: list[str], **keys: Any) -> StudyConfig:
    """Return a small study with these criteria and these keys of LiDAR, read from TOML."""
    config = tomllib.loads(
        f"""
        [criteria]
        names = {names}
        images = 300
        at = [0.5]

        [criteria."{LIDAR}"]
        """
        + "\n".join(f"{key} = {value}" for key, value in keys.items())
    )
    return small_study("train.epochs=1", rule={"name": "none"}, **config)


def test_lidar_runs_in_a_real_trial_with_its_keys(tmp_path: Path) -> None:
    names = [LIDAR, "tests.criteria.view_criteria:Alignment", "rankme"]
    trial = prepare(study(names, images=40, views=4)).candidates[0].config
    assert trial.criteria.parameters_of(LIDAR)["delta"] == 1e-4
    observations = list(run_trial(trial, Context(folder=tmp_path)))
    for observation in (o for o in observations if o.stage == "measured"):
        lidar, rankme = observation.measure("lidar"), observation.measure("rankme")
        assert lidar is not None
        assert lidar.value is not None
        assert 1 < lidar.value < 40
        assert (lidar.detail["images"], lidar.detail["views"]) == (40, 4)
        assert rankme is not None
        assert rankme.detail["images"] == 300
        assert observation.measure("alignment") is not None
    assert [o.fraction for o in observations if o.stage == "measured"] == [0.5, 1.0]


def test_more_images_than_there_are_is_a_sentence_in_preflight() -> None:
    sentence = rf"The criterion '{LIDAR}': 1000 images are to be used, and there are 300\."
    with pytest.raises(ConfigError, match=sentence):
        prepare(study([LIDAR]))


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"view": 4}, r"view is no key of .*Did you mean 'views'\?"),
        ({"views": 1}, r"views is 1: input should be greater than or equal to 2"),
    ],
    ids=str,
)
def test_a_wrong_key_of_a_criterion_is_a_sentence_in_preflight(
    keys: dict[str, int], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        prepare(study([LIDAR], **keys))


def test_a_criterion_may_not_have_the_name_of_another_measure(tmp_path: Path) -> None:
    name = "tests.criteria.test_view_criteria:accuracy"
    config = small_study("train.epochs=1", criteria={"names": [name]}, rule={"name": "none"})
    trial = prepare(config).candidates[0].config
    sentence = rf"The criterion '{name}' calls its measure 'accuracy', which is the name of another"
    with pytest.raises(ConfigError, match=sentence):
        list(run_trial(trial, Context(folder=tmp_path)))


def accuracy() -> Callable[[Encoded], Measure]:
    return lambda encoded: Measure(name="accuracy", value=1.0)
