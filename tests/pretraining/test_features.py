from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sweep.config.models import EncoderConfig
from sweep.encoders import build
from sweep.pretraining.features import encode, encode_all

MEAN, STD = np.array([0.5, 0.4, 0.3], np.float32), np.array([0.2, 0.3, 0.4], np.float32)


def images(count: int = 10) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 8, 8), generator=generator, dtype=torch.uint8)


@pytest.fixture
def encoder() -> torch.nn.Module:
    module = build(EncoderConfig(name="small_conv"), (3, 8, 8))
    module(torch.rand(16, 3, 8, 8))  # running statistics that are not the initial ones
    return module


def test_features_are_the_encoders_in_evaluation_mode(encoder: torch.nn.Module) -> None:
    x_NCHW = (images().float() / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(
        3, 1, 1
    )
    found = encode_all(encoder, images(), mean=MEAN, std=STD, device="cpu")
    with torch.no_grad():
        expected = encoder.eval()(x_NCHW)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not found.requires_grad


@pytest.mark.parametrize("batch", [1, 4, 10, 64])
def test_batches_come_in_order_and_do_not_change_the_features(
    encoder: torch.nn.Module, batch: int
) -> None:
    parts = list(encode(encoder, images(), mean=MEAN, std=STD, device="cpu", batch=batch))
    assert [len(part) for part in parts[:-1]] == [batch] * (len(parts) - 1)
    whole = encode_all(encoder, images(), mean=MEAN, std=STD, device="cpu")
    torch.testing.assert_close(torch.cat(parts), whole, atol=1e-5, rtol=1e-5)


def test_the_same_call_gives_the_same_bits(encoder: torch.nn.Module) -> None:
    first, second = (
        encode_all(encoder, images(), mean=MEAN, std=STD, device="cpu") for _ in range(2)
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize("training", [True, False])
def test_the_encoder_is_left_as_it_was(encoder: torch.nn.Module, training: bool) -> None:
    encoder.train(training)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    for _ in encode(encoder, images(), mean=MEAN, std=STD, device="cpu", batch=4):
        assert encoder.training is training
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.filterwarnings("error")
def test_a_read_only_memory_map_is_read(encoder: torch.nn.Module, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", images().numpy())
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    found = encode_all(encoder, mapped, mean=MEAN, std=STD, device="cpu")
    assert torch.equal(found, encode_all(encoder, images(), mean=MEAN, std=STD, device="cpu"))


def test_features_are_float32_in_any_precision(encoder: torch.nn.Module) -> None:
    exact, rounded = (
        encode_all(encoder, images(), mean=MEAN, std=STD, device="cpu", precision=precision)
        for precision in ("float32", "bfloat16")
    )
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(rounded, exact, atol=0.05, rtol=0.1)
