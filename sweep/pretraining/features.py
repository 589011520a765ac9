"""Features of images in order: evaluation mode, no augmentation, no gradient.

Shapes: N images, B of them at a time, D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sweep.pretraining.precision import autocast, resolve_precision


def encode(
    encoder: nn.Module,
    images: npt.NDArray[np.uint8] | Tensor,
    *,
    mean: Sequence[float] | npt.NDArray[np.float32],
    std: Sequence[float] | npt.NDArray[np.float32],
    device: str,
    batch: int = 512,
    precision: Literal["auto", "float32", "bfloat16"] = "float32",
) -> Iterator[Tensor]:
    """Yield the features of `images`, a batch at a time.

    Args:
        encoder: on `device`; put into evaluation mode for each batch, and left as it was.
        images: uint8 [N, C, H, W], an array, a memory map or a tensor on any device.
        mean, std: per channel, of images in 0..1.
        device: where the encoder lies.
        batch: images at a time; the last batch may be smaller.
        precision: float32 by default, whatever pretraining used: the rounding of bfloat16
            is noise of the size of a spectrum's tail.

    Yields:
        float32 [B, D] on `device`.
    """
    resolved = resolve_precision(precision, device)
    mean_C11, std_C11 = (
        torch.as_tensor(np.asarray(value), dtype=torch.float32, device=device).view(-1, 1, 1)
        for value in (mean, std)
    )
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        # A copy, for torch warns of a read-only memory map.
        x_BCHW = part if isinstance(part, Tensor) else torch.from_numpy(np.array(part))
        x_BCHW = (x_BCHW.to(device).float() / 255 - mean_C11) / std_C11
        training = encoder.training
        encoder.eval()
        try:
            with torch.no_grad(), autocast(resolved, device):
                h_BD = encoder(x_BCHW.contiguous(memory_format=torch.channels_last))
        finally:
            encoder.train(training)
        yield h_BD.float()


def encode_all(
    encoder: nn.Module,
    images: npt.NDArray[np.uint8] | Tensor,
    *,
    mean: Sequence[float] | npt.NDArray[np.float32],
    std: Sequence[float] | npt.NDArray[np.float32],
    device: str,
    batch: int = 512,
    precision: Literal["auto", "float32", "bfloat16"] = "float32",
) -> Tensor:
    """Return `encode`'s features in one float32 [N, D] on `device`."""
    parts = encode(
        encoder, images, mean=mean, std=std, device=device, batch=batch, precision=precision
    )
    return torch.cat(list(parts))
