"""The contract of every encoder in `ENCODERS`."""

from __future__ import annotations

import pytest
import torch

from sweep.config.models import EncoderConfig
from sweep.core.errors import ConfigError
from sweep.encoders import ENCODERS, build, dim_of

WIDTHS = {"resnet18": 8, "resnet50": 8, "small_conv": 32}

pytestmark = pytest.mark.parametrize("name", ENCODERS)


def config(name: str) -> EncoderConfig:
    return EncoderConfig(name=name).with_parameters({"width": WIDTHS[name]})


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16), (3, 32, 32), (3, 20, 28)])
def test_images_of_any_small_shape_give_dim_features(
    name: str, shape: tuple[int, int, int]
) -> None:
    encoder = build(config(name), shape)
    h_BD = encoder(torch.rand(2, *shape))
    assert h_BD.shape == (2, dim_of(config(name), shape))
    assert h_BD.isfinite().all()


def test_the_number_of_features_is_known_without_weights_or_random_numbers(name: str) -> None:
    state = torch.get_rng_state()
    assert dim_of(EncoderConfig(name=name), (3, 32, 32)) >= 256
    assert torch.equal(torch.get_rng_state(), state)


def test_every_weight_gets_a_gradient(name: str) -> None:
    encoder = build(config(name), (3, 16, 16))
    torch.autograd.backward(encoder(torch.rand(4, 3, 16, 16)).square().sum())
    for weight in encoder.parameters():
        assert weight.grad is not None
        assert weight.grad.isfinite().all()


def test_the_forward_pass_uses_no_random_numbers(name: str) -> None:
    encoder = build(config(name), (3, 16, 16))
    x_BCHW, state = torch.rand(4, 3, 16, 16), torch.get_rng_state()
    assert torch.equal(encoder(x_BCHW), encoder(x_BCHW))
    assert torch.equal(torch.get_rng_state(), state)


def test_keys_that_it_does_not_have_are_refused(name: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"encoder\.depth is no key of {name}\..* Keys of {name}: "
    ):
        build(EncoderConfig(name=name).with_parameters({"depth": 3}), (3, 16, 16))
