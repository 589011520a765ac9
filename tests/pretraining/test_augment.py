from __future__ import annotations

import math

import pytest
import torch
from torch import Generator, Tensor
from torchvision.transforms import functional

from sweep.config.models import AugmentConfig
from sweep.pretraining.augment import (
    adjust,
    augment,
    blur,
    crop,
    crop_boxes,
    grey,
    rotate,
    turn_hue,
)
from tests.small import small_trial

NOTHING = AugmentConfig(crop_min=1, crop_max=1, flip=0, jitter=0, grey=0)
MEAN, STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def images(batch: int = 64, channels: int = 3, height: int = 12, width: int = 12) -> Tensor:
    shape = (batch, channels, height, width)
    return torch.randint(0, 256, shape, generator=seeded(9), dtype=torch.uint8)


def view(x_BCHW: Tensor, config: AugmentConfig, seed: int = 0) -> Tensor:
    """Return a view in 0..1, not normalised."""
    channels = x_BCHW.shape[1]
    return augment(
        x_BCHW, config, seeded(seed), mean=torch.zeros(channels), std=torch.ones(channels)
    )


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize(
    "box", [(0, 0, 13, 17), (2, 3, 5, 9), (4, 0, 9, 3), (12, 16, 1, 1), (0, 5, 13, 2)]
)
def test_crop_is_torchvisions_for_the_same_box(
    box: tuple[int, int, int, int], flipped: bool
) -> None:
    x_BCHW = torch.rand(1, 3, 13, 17, generator=seeded())
    expected = functional.resized_crop(x_BCHW, *box, [13, 17], antialias=True)
    expected = functional.hflip(expected) if flipped else expected
    boxes_4B = torch.tensor(box, dtype=torch.float32).view(4, 1)
    torch.testing.assert_close(
        crop(x_BCHW, boxes_4B, torch.tensor([flipped])), expected, atol=1e-5, rtol=0
    )


def test_each_image_is_cropped_by_its_own_box() -> None:
    x_BCHW = torch.rand(2, 1, 8, 8, generator=seeded())
    boxes_4B = torch.tensor([[0.0, 4.0], [0.0, 2.0], [8.0, 4.0], [8.0, 4.0]])
    out_BCHW = crop(x_BCHW, boxes_4B, torch.tensor([False, False]))
    assert torch.equal(out_BCHW[0], x_BCHW[0])
    part = functional.resized_crop(x_BCHW[1:], 4, 2, 4, 4, [8, 8], antialias=True)
    torch.testing.assert_close(out_BCHW[1:], part)


def test_boxes_lie_inside_and_follow_the_configs_area_and_ratio() -> None:
    config = AugmentConfig(crop_min=0.2, crop_max=0.6)
    top, left, h, w = crop_boxes(20_000, 100, 100, config, seeded())
    assert ((top >= 0) & (top + h <= 100) & (left >= 0) & (left + w <= 100)).all()
    share, ratio = h * w / 1e4, (w / h).log()
    assert share.min() > 0.19
    assert share.max() < 0.61
    assert share.mean().item() == pytest.approx(0.4, abs=0.005)
    assert share.var().item() == pytest.approx(0.4**2 / 12, rel=0.05)
    limit = math.log(4 / 3)
    assert ratio.abs().max() < limit + 0.03
    assert ratio.mean().item() == pytest.approx(0, abs=0.005)
    assert ratio.var().item() == pytest.approx(limit**2 / 3, rel=0.05)
    assert (top / (100 - h)).mean().item() == pytest.approx(0.5, abs=0.01)


def test_where_no_box_fits_the_whole_image_is_taken() -> None:
    config = AugmentConfig(crop_min=1, crop_max=1)
    boxes_4B = crop_boxes(500, 10, 100, config, seeded())
    assert torch.equal(boxes_4B, torch.tensor([0.0, 0.0, 10.0, 100.0]).view(4, 1).expand(4, 500))


@pytest.mark.parametrize("factors", [(1.3, 0.7, 1.4), (0.6, 1.4, 0.0), (1.0, 1.0, 1.0)])
def test_colours_change_as_torchvision_changes_them(factors: tuple[float, float, float]) -> None:
    x_BCHW = torch.rand(1, 3, 9, 9, generator=seeded())
    brightness, contrast, saturation = factors
    expected = functional.adjust_brightness(x_BCHW, brightness)
    expected = functional.adjust_contrast(expected, contrast)
    expected = functional.adjust_saturation(expected, saturation)
    found = adjust(x_BCHW, *(torch.tensor([factor]) for factor in factors))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.0, 0.25])
def test_hue_turns_as_torchvision_turns_it(turn: float) -> None:
    x_BCHW = torch.rand(1, 3, 9, 9, generator=seeded())
    x_BCHW[..., 0] = 0.5  # greys have no hue
    expected = functional.adjust_hue(x_BCHW, turn)
    torch.testing.assert_close(turn_hue(x_BCHW, torch.tensor([turn])), expected, atol=1e-5, rtol=0)


def test_grey_is_torchvisions() -> None:
    x_BCHW = torch.rand(2, 3, 4, 4, generator=seeded())
    torch.testing.assert_close(grey(x_BCHW), functional.rgb_to_grayscale(x_BCHW))


def test_blur_is_torchvisions_away_from_the_border() -> None:
    x_BCHW = torch.rand(2, 3, 40, 40, generator=seeded())
    blurred = blur(x_BCHW, torch.tensor([0.8, 1.7]))
    for i, sigma in enumerate((0.8, 1.7)):
        expected = functional.gaussian_blur(x_BCHW[i], [25, 25], [sigma, sigma])
        inside = (slice(None), slice(12, -12), slice(12, -12))
        torch.testing.assert_close(blurred[i][inside], expected[inside], atol=1e-5, rtol=0)


def test_with_all_probabilities_zero_and_the_whole_area_the_view_is_the_image_normalised() -> None:
    x_BCHW = images()
    found = augment(x_BCHW, NOTHING, seeded(), mean=MEAN, std=STD)
    whole = crop_boxes(64, 12, 12, NOTHING, seeded())[2:].eq(12).all(0)
    assert whole.sum() > 5
    expected = functional.normalize(x_BCHW.float() / 255, MEAN.tolist(), STD.tolist())
    torch.testing.assert_close(found[whole], expected[whole], atol=1e-5, rtol=0)


def test_probability_one_flips_greys_and_solarizes_every_image() -> None:
    x_BCHW = images()
    plain = view(x_BCHW, NOTHING)
    flipped = view(x_BCHW, NOTHING.model_copy(update={"flip": 1.0}))
    torch.testing.assert_close(flipped, plain.flip(3))
    greyed = view(x_BCHW, NOTHING.model_copy(update={"grey": 1.0}))
    torch.testing.assert_close(greyed, grey(plain).expand_as(plain))
    solarized = view(x_BCHW, NOTHING.model_copy(update={"solarize": 1.0}))
    torch.testing.assert_close(solarized, functional.solarize(plain, 0.5))


@pytest.mark.parametrize("name", ["jitter", "grey", "blur", "solarize", "flip"])
def test_a_probability_is_the_share_of_images_changed(name: str) -> None:
    x_BCHW = images(batch=4000, height=4, width=4)
    plain = view(x_BCHW, NOTHING)
    changed = view(x_BCHW, NOTHING.model_copy(update={name: 0.3}))
    share = (plain - changed).abs().amax((1, 2, 3)).gt(1e-3).float().mean().item()
    assert share == pytest.approx(0.3, abs=0.03)


def test_views_follow_from_the_generator_alone() -> None:
    config = AugmentConfig(hue=0.1, blur=0.5, solarize=0.2)
    x_BCHW, state = images(), torch.get_rng_state()
    first, again, other = (view(x_BCHW, config, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)
    generator = seeded(1)
    pair = [augment(x_BCHW, config, generator, mean=MEAN, std=STD) for _ in range(2)]
    assert not torch.equal(*pair)


def test_the_images_are_left_as_they_are() -> None:
    x_BCHW = images()
    before = x_BCHW.clone()
    view(x_BCHW, AugmentConfig(hue=0.1, blur=1, solarize=1))
    assert torch.equal(x_BCHW, before)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_images_without_three_channels_keep_their_channels_apart(channels: int) -> None:
    config = AugmentConfig(hue=0.1, grey=1.0, saturation=0.4)
    found = view(images(channels=channels), config)
    assert found.shape == (64, channels, 12, 12)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    if channels > 1:
        assert not torch.allclose(found[:, 0], found[:, 1])


@pytest.mark.parametrize("degrees", [7.0, -15.0, 90.0, 180.0])
def test_rotation_is_torchvisions_inside_the_image(degrees: float) -> None:
    x_BCHW = torch.rand(1, 3, 21, 17, generator=seeded())
    ours = rotate(x_BCHW, torch.tensor([degrees]))
    expected = functional.rotate(x_BCHW, degrees, functional.InterpolationMode.BILINEAR)
    inner = (..., slice(6, 15), slice(5, 12))
    torch.testing.assert_close(ours[inner], expected[inner], atol=1e-4, rtol=0)
    assert ours.min() >= x_BCHW.min() - 1e-6  # no black corners


def test_each_image_has_an_angle_of_its_own() -> None:
    x_BCHW = torch.rand(2, 1, 9, 9, generator=seeded())
    out_BCHW = rotate(x_BCHW, torch.tensor([0.0, 180.0]))
    torch.testing.assert_close(out_BCHW[0], x_BCHW[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(out_BCHW[1], x_BCHW[1].flip(1, 2), atol=1e-5, rtol=0)


def test_vertical_flips_are_drawn_with_their_probability() -> None:
    x_BCHW = images(batch=400)
    out_BCHW = view(x_BCHW, NOTHING.model_copy(update={"flip_vertical": 0.25}))
    whole = x_BCHW.float() / 255
    flipped = [
        torch.allclose(o, w.flip(1), atol=1e-5) for o, w in zip(out_BCHW, whole, strict=True)
    ]
    kept = [torch.allclose(o, w, atol=1e-5) for o, w in zip(out_BCHW, whole, strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 70 <= sum(flipped) <= 130


def test_a_preset_sets_what_is_not_given_and_survives_a_round_trip() -> None:
    recipe = AugmentConfig.model_validate({"preset": "digits", "crop_min": 0.5})
    assert (recipe.crop_min, recipe.flip, recipe.rotate, recipe.grey) == (0.5, 0.0, 15.0, 0.0)
    assert AugmentConfig.model_validate(recipe.model_dump()) == recipe
    changed = AugmentConfig.model_validate({**recipe.model_dump(), "rotate": 0.0})
    assert changed.rotate == 0.0
    assert AugmentConfig.model_validate({"preset": "natural"}).model_dump(
        exclude={"preset"}
    ) == AugmentConfig().model_dump(exclude={"preset"})


def test_a_preset_names_the_same_model_as_the_keys_that_it_sets() -> None:
    by_preset = small_trial("augment.preset=satellite")
    by_keys = small_trial("augment.flip_vertical=0.5", "augment.rotate=180")
    assert by_preset.trial_id("x") == by_keys.trial_id("x") != small_trial().trial_id("x")
