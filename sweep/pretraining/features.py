"""Features of images, or of random views of images, in evaluation mode and without gradient.

Shapes: N images, B of them at a time, q views of an image, D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sweep.config.models import AugmentConfig
from sweep.pretraining.augment import augment
from sweep.pretraining.precision import Precision, autocast, resolve_precision
from sweep.pretraining.seeds import generator

Images = npt.NDArray[np.uint8] | Tensor
Stats = Sequence[float] | npt.NDArray[np.float32]


def encode(
    encoder: nn.Module,
    images: Images,
    *,
    mean: Stats,
    std: Stats,
    device: str,
    batch: int = 512,
    precision: Literal["auto", "float32", "bfloat16"] = "float32",
) -> Iterator[Tensor]:
    """Yield the features of `images` in order and without augmentation, a batch at a time.

    Args:
        encoder: on `device`; put into evaluation mode for each batch, and left as it was.
        images: uint8 [N, C, H, W], an array, a memory map or a tensor on any device.
        mean, std: per channel, of images in 0..1.
        device: where the encoder lies.
        batch: images at a time; the last batch may be smaller.
        precision: float32 by default, also where pretraining used bfloat16, whose rounding is
            noise of the size of a spectrum's tail.

    Yields:
        float32 [B, D] on `device`.
    """
    resolved = resolve_precision(precision, device)
    mean_C, std_C = _stats(mean, device), _stats(std, device)
    for start in range(0, len(images), batch):
        x_BCHW = _on_device(images[start : start + batch], device).float() / 255
        x_BCHW = (x_BCHW - mean_C.view(-1, 1, 1)) / std_C.view(-1, 1, 1)
        yield _features(encoder, x_BCHW, resolved, device)


def encode_all(
    encoder: nn.Module,
    images: Images,
    *,
    mean: Stats,
    std: Stats,
    device: str,
    batch: int = 512,
    precision: Literal["auto", "float32", "bfloat16"] = "float32",
) -> Tensor:
    """Return `encode`'s features in one float32 [N, D] on `device`."""
    parts = encode(
        encoder, images, mean=mean, std=std, device=device, batch=batch, precision=precision
    )
    return torch.cat(list(parts))


def encode_views(
    encoder: nn.Module,
    images: Images,
    recipes: AugmentConfig,
    *,
    views: int,
    seed: int,
    mean: Stats,
    std: Stats,
    device: str,
    batch: int = 512,
) -> Tensor:
    """Return the features of random views of each image, float32 [N, q, D] on `device`.

    Args:
        encoder, images, mean, std, device: as for `encode`.
        recipes: how views are drawn: the first, third, ... with the recipe of the first view, the
            others with that of the second.
        views: q.
        seed: of the draws, which follow from it, the number of images and q.
        batch: images at a time.
    """
    mean_C, std_C = _stats(mean, device), _stats(std, device)
    parts = []
    for number, start in enumerate(range(0, len(images), batch)):
        part = _on_device(images[start : start + batch], device)
        draws = generator(device, seed, "views of criteria", number)
        features = []
        for view in range(views):
            recipe = recipes.recipe(second=view % 2 == 1)
            x_BCHW = augment(part, recipe, draws, mean=mean_C, std=std_C)
            features.append(_features(encoder, x_BCHW, "float32", device))
        parts.append(torch.stack(features, dim=1))
    return torch.cat(parts)


def _features(encoder: nn.Module, x_BCHW: Tensor, precision: Precision, device: str) -> Tensor:
    """Return float32 [B, D] of normalised images, in evaluation mode."""
    training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad(), autocast(precision, device):
            h_BD: Tensor = encoder(x_BCHW.contiguous(memory_format=torch.channels_last))
    finally:
        encoder.train(training)
    return h_BD.float()


def _on_device(images: Images, device: str) -> Tensor:
    # A copy, because torch warns of a read-only memory map.
    tensor = images if isinstance(images, Tensor) else torch.from_numpy(np.array(images))
    return tensor.to(device)


def _stats(values: Stats, device: str) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=device)
