"""What criteria may know of features: in memory or streamed, and in random views."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sweep.config.models import AugmentConfig, EncoderConfig
from sweep.criteria.encoded import Encoded
from sweep.criteria.spectrum import summarise
from sweep.encoders import build
from sweep.pretraining.features import encode, encode_views

MEAN, STD = (0.5,) * 3, (0.25,) * 3


class Counted:
    """Batches of features, and how often they were asked for."""

    def __init__(self, features_ND: Tensor, size: int) -> None:
        self.asked = 0
        self._features_ND, self._size = features_ND, size

    def __call__(self) -> Iterator[Tensor]:
        self.asked += 1
        yield from torch.split(self._features_ND, self._size)


def features(count: int = 100) -> Tensor:
    return torch.randn(count, 12, generator=torch.Generator().manual_seed(0)) + 3


def encoder_and_images() -> tuple[torch.nn.Module, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        encoder = build(EncoderConfig(name="small_conv"), (3, 8, 8))
    generator = torch.Generator().manual_seed(1)
    return encoder, torch.randint(0, 256, (20, 3, 8, 8), generator=generator, dtype=torch.uint8)


def views(recipes: AugmentConfig, *, count: int = 20, q: int = 4, seed: int = 0) -> Tensor:
    encoder, images = encoder_and_images()
    return encode_views(
        encoder,
        images[:count],
        recipes,
        views=q,
        seed=seed,
        mean=MEAN,
        std=STD,
        device="cpu",
        batch=8,
    )


def test_moments_are_computed_once_and_without_all_features_in_memory() -> None:
    batches = Counted(features(), 30)
    encoded = Encoded(100, batches)
    assert encoded.moments is encoded.moments
    assert batches.asked == 1
    assert "features_ND" not in vars(encoded)


def test_features_are_encoded_once_and_moments_are_then_theirs() -> None:
    batches = Counted(features(), 30)
    encoded = Encoded(100, batches)
    assert torch.equal(encoded.features_ND, features())
    assert encoded.features_ND is encoded.features_ND
    assert encoded.moments.count == 100
    assert batches.asked == 1


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_streamed_moments_are_those_of_the_features_in_memory(size: int) -> None:
    streamed = Encoded(100, Counted(features(), size)).moments
    whole = summarise(features())
    assert streamed.count == whole.count == 100
    torch.testing.assert_close(streamed.mean_D, whole.mean_D, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(streamed.covariance_DD, whole.covariance_DD, rtol=1e-9, atol=1e-12)


def test_features_of_images_are_those_of_encode() -> None:
    encoder, images = encoder_and_images()

    def batches() -> Iterator[Tensor]:
        return encode(encoder, images, mean=MEAN, std=STD, device="cpu", batch=8)

    encoded = Encoded(len(images), batches)
    assert torch.equal(encoded.features_ND, torch.cat(list(batches())))


def test_views_are_drawn_once_for_each_number_of_images_and_of_views() -> None:
    asked: list[tuple[int, int]] = []

    def augmented(images: int, views: int) -> Tensor:
        asked.append((images, views))
        return torch.zeros(images, views, 5)

    encoded = Encoded(100, Counted(features(), 30), augmented)
    assert encoded.views_nqD(10, 3) is encoded.views_nqD(10, 3)
    assert encoded.views_nqD(10, 2).shape == (10, 2, 5)
    assert asked == [(10, 3), (10, 2)]


def test_features_without_images_have_no_views() -> None:
    with pytest.raises(ValueError, match="come without images, so they have no views"):
        Encoded.of(features()).views_nqD(10, 2)


@pytest.mark.parametrize(("images", "views"), [(0, 2), (101, 2), (10, 0)])
def test_views_of_images_that_do_not_exist_are_refused(images: int, views: int) -> None:
    encoded = Encoded.of(features(), torch.zeros(100, 2, 12))
    with pytest.raises(ValueError, match=r"but it must be 1 view or more of 1 to 100 images"):
        encoded.views_nqD(images, views)


def test_views_are_those_of_the_encoder_in_evaluation_mode_and_leave_it_as_it_was() -> None:
    encoder, images = encoder_and_images()
    encoder.train()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    state = torch.get_rng_state()
    h_nqD = encode_views(
        encoder, images, AugmentConfig(), views=3, seed=0, mean=MEAN, std=STD, device="cpu"
    )
    assert h_nqD.shape == (20, 3, 256)
    assert not h_nqD.requires_grad
    assert encoder.training
    assert all(torch.equal(before[name], t) for name, t in encoder.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_views_without_augmentation_are_the_features() -> None:
    encoder, images = encoder_and_images()
    images = images[:, :, :1, :1].expand(-1, -1, 8, 8)  # a crop of one colour is that colour
    nothing = AugmentConfig(crop_min=1, flip=0, jitter=0, grey=0)
    h_nqD = encode_views(
        encoder, images, nothing, views=2, seed=0, mean=MEAN, std=STD, device="cpu"
    )
    h_ND = torch.cat(list(encode(encoder, images, mean=MEAN, std=STD, device="cpu")))
    torch.testing.assert_close(h_nqD, h_ND[:, None].expand(-1, 2, -1), rtol=1e-4, atol=1e-5)


def test_views_are_the_same_at_each_call_and_follow_from_the_seed() -> None:
    recipes = AugmentConfig()
    assert torch.equal(views(recipes), views(recipes))
    assert not torch.equal(views(recipes), views(recipes, seed=1))
    first = views(recipes)
    assert not torch.equal(first[:, 0], first[:, 1])


def test_every_second_view_follows_the_second_recipe() -> None:
    nothing: dict[str, Any] = {"crop_min": 1.0, "flip": 0.0, "jitter": 0.0, "grey": 0.0}
    h_nqD = views(AugmentConfig(**nothing, second={"solarize": 1.0}))
    plain = views(AugmentConfig(**nothing))
    assert torch.equal(h_nqD[:, 0], plain[:, 0])
    assert not torch.allclose(h_nqD[:, 1], plain[:, 1], atol=1e-3)


def digest(h_nqD: Tensor) -> str:
    return hashlib.sha256(h_nqD.numpy().tobytes()).hexdigest()


def test_views_are_the_same_in_another_process() -> None:
    code = (
        "import torch; torch.set_num_threads(1); torch.manual_seed(5)\n"
        "from tests.criteria.test_encoded import AugmentConfig, digest, views\n"
        "print(digest(views(AugmentConfig())))"
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        mine = digest(views(AugmentConfig()))
    finally:
        torch.set_num_threads(threads)
    command = [sys.executable, "-c", code]
    other = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert other.stdout.strip() == mine
