"""The two recipes of views: `augment` and `augment.second`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from sweep.config.models import AugmentConfig
from sweep.config.space import candidates
from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError
from sweep.pretraining.augment import augment
from sweep.pretraining.members import bind_trial
from sweep.pretraining.train import Views
from tests.runs import IMAGES, same, trained, trial

NOTHING: dict[str, Any] = {
    "crop_min": 1.0,
    "crop_max": 1.0,
    "flip": 0.0,
    "jitter": 0.0,
    "grey": 0.0,
}
MEAN, STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])


def views(recipes: AugmentConfig, seed: int = 0) -> Views:
    return Views(
        images=IMAGES,
        recipes=recipes,
        draws=Generator().manual_seed(seed),
        mean=MEAN,
        std=STD,
        layout=torch.contiguous_format,
    )


def drawn(recipe: AugmentConfig, seed: int = 0) -> Tensor:
    return augment(IMAGES, recipe, Generator().manual_seed(seed), mean=MEAN, std=STD)


def test_the_second_view_follows_its_own_recipe() -> None:
    recipes = AugmentConfig(**NOTHING, second={"solarize": 1.0, "blur": 1.0})
    plain = AugmentConfig(**NOTHING)
    assert torch.equal(views(recipes)(), drawn(plain))
    own = AugmentConfig(**{**NOTHING, "solarize": 1.0, "blur": 1.0})
    assert torch.equal(views(recipes)(second=True), drawn(own))


def test_keys_that_the_second_recipe_leaves_out_are_those_of_the_first() -> None:
    recipes = AugmentConfig(flip=0.1, hue=0.05, second={"blur": 0.1})
    second = recipes.recipe(second=True)
    assert second == AugmentConfig(flip=0.1, hue=0.05, blur=0.1)
    assert recipes.recipe(second=False) == recipes


def test_without_a_second_recipe_both_views_follow_the_first() -> None:
    recipes = AugmentConfig()
    assert torch.equal(views(recipes)(second=True), views(recipes)())
    drawing = views(recipes)
    assert not torch.equal(drawing(), drawing())


def test_a_view_is_computed_in_float32_under_autocast() -> None:
    drawing = views(AugmentConfig())
    with torch.autocast("cpu", torch.bfloat16):
        view = drawing()
    assert torch.equal(view, drawn(AugmentConfig()))


def test_the_second_recipe_reaches_the_training() -> None:
    precision = {"precision": "float32"}
    symmetric, _ = trained(trial(train=precision))
    asymmetric, _ = trained(trial(train=precision, augment={"second": {"solarize": 0.5}}))
    assert not same(symmetric, asymmetric)


def study(**augment: Any) -> StudyConfig:
    axes = augment.pop("axes", {"seed": [0, 1]})
    tree = {"data": {"name": "digits"}, "augment": augment, "space": {"axes": axes}}
    return StudyConfig.parse(tree)


def recipes_of(config: StudyConfig) -> list[tuple[float, float]]:
    """Return the probability of a flip in the first and in the second view of each candidate."""
    recipes = [c.config.augment for c in candidates(config, "digits", bind_trial)]
    return sorted((r.recipe(second=False).flip, r.recipe(second=True).flip) for r in recipes)


def test_an_axis_over_a_key_of_the_first_recipe_changes_both_views() -> None:
    config = study(axes={"augment.flip": [0.2, 0.4]}, second={"blur": 0.1})
    assert recipes_of(config) == [(0.2, 0.2), (0.4, 0.4)]


def test_a_key_of_the_second_recipe_is_not_changed_by_an_axis_over_the_first() -> None:
    config = study(axes={"augment.flip": [0.2, 0.4]}, second={"flip": 0.0})
    assert recipes_of(config) == [(0.2, 0.0), (0.4, 0.0)]


def test_an_axis_may_be_a_key_of_the_second_recipe() -> None:
    config = study(axes={"augment.second.flip": [0.2, 0.4]}, flip=0.5)
    assert recipes_of(config) == [(0.5, 0.2), (0.5, 0.4)]


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (
            {"blurr": 0.1},
            r"second\.blurr is not a field\. Did you mean 'blur'\? Fields",
        ),
        ({"second": {}}, r"augment\.second\.second"),
        ({"flip": 1.5}, r"flip.*less than or equal to 1"),
        ({"crop_min": 0.5, "crop_max": 0.4}, r"crop_min 0\.5 exceeds crop_max 0\.4"),
        ({"crop_max": 0.05}, r"crop_min 0\.08 exceeds crop_max 0\.05"),
        ({"flip": "often"}, r"augment\.second\.flip"),
    ],
    ids=str,
)
def test_a_wrong_key_or_value_of_the_second_recipe_is_a_sentence(
    second: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        study(second=second)


def test_a_wrong_axis_of_the_second_recipe_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"second\.blurr is not a field\. Did you mean 'blur'"):
        candidates(study(axes={"augment.second.blurr": [0.1, 0.2]}), "digits", bind_trial)
