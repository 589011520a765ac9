"""Random views of a batch of images, on the device of the images.

Crop, flips, rotation, colour jitter, grey, blur, solarize and normalize, in this order, each drawn
anew for each image. Crop with flip is two batched matrix products, one for rows and one for
columns, and so is the blur. Plain version: torchvision.transforms on one image at a time.
Shapes: B images, C channels, H x W pixels; S output and T input pixels of one side.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn.functional import affine_grid, grid_sample

from sweep.config.models import AugmentConfig

RATIO = (3 / 4, 4 / 3)
"""Width over height of a crop (Szegedy 2015; torchvision's default)."""

TRIES = 10
GREY = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R 601), as torchvision has them."""

SIGMA = (0.1, 2.0)
"""Standard deviation of the blur in pixels (Chen 2020, SimCLR, appendix A)."""


def augment(
    images_BCHW: Tensor,
    config: AugmentConfig,
    generator: Generator,
    *,
    mean: Tensor,
    std: Tensor,
    rank: int = 0,
    processes: int = 1,
) -> Tensor:
    """Return one random view of each image.

    Saturation, hue and grey apply to images of 3 channels only; brightness and contrast to all.
    The order of the jitter is fixed, as in alpha-ReQ's code; torchvision draws it.
    If several processes share a batch, each process draws for the whole batch and uses its part
    of the draws. So the views do not depend on the number of processes.

    Args:
        images_BCHW: uint8, not changed; of this process.
        config: probabilities and ranges.
        generator: of all random draws, on the images' device.
        mean, std: of each channel [C], for images in 0..1, on the same device.
        rank, processes: which of the equal parts of the batch these images are.

    Returns:
        float32 [B, C, H, W], (view - mean) / std.
    """
    batch, channels, height, width = images_BCHW.shape
    batch *= processes

    def own(drawn: Tensor) -> Tensor:
        return drawn.chunk(processes, -1)[rank] if processes > 1 else drawn

    boxes_4B = own(crop_boxes(batch, height, width, config, generator))
    flip_B = own(_chance(batch, config.flip, generator))
    x_BCHW = crop(images_BCHW.float() / 255, boxes_4B, flip_B)
    if config.flip_vertical > 0:
        chosen_B = own(_chance(batch, config.flip_vertical, generator))
        x_BCHW = torch.where(_wide(chosen_B), x_BCHW.flip(2), x_BCHW)
    if config.rotate > 0:
        x_BCHW = rotate(x_BCHW, own(_uniform(batch, -config.rotate, config.rotate, generator)))
    if config.jitter > 0:
        x_BCHW = _jitter(x_BCHW, config, generator, batch, own)
    if config.grey > 0 and channels == 3:
        chosen_B = own(_chance(batch, config.grey, generator))
        x_BCHW = torch.where(_wide(chosen_B), grey(x_BCHW), x_BCHW)
    if config.blur > 0:
        sigma_B = own(_uniform(batch, *SIGMA, generator))
        # At 0.05 pixels every neighbour's weight is 0 in float32: the image stays as it is.
        chosen_B = own(_chance(batch, config.blur, generator))
        x_BCHW = blur(x_BCHW, torch.where(chosen_B, sigma_B, 0.05))
    if config.solarize > 0:
        chosen_B = own(_chance(batch, config.solarize, generator))
        x_BCHW = torch.where(_wide(chosen_B) & (x_BCHW >= 0.5), 1 - x_BCHW, x_BCHW)
    return (x_BCHW - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)


def crop_boxes(
    batch: int, height: int, width: int, config: AugmentConfig, generator: Generator
) -> Tensor:
    """Draw a box for each image: top, left, height, width in pixels, as float32 [4, B].

    Equivalent to torchvision's `RandomResizedCrop.get_params`: area uniform, ratio log-uniform,
    ten tries. If no try fits into the image, the box is the whole image.
    """
    tries = (TRIES, batch)
    area_TB = height * width * _uniform(tries, config.crop_min, config.crop_max, generator)
    ratio_TB = _uniform(tries, math.log(RATIO[0]), math.log(RATIO[1]), generator).exp()
    w_TB = (area_TB * ratio_TB).sqrt().round()
    h_TB = (area_TB / ratio_TB).sqrt().round()
    fits_TB = (w_TB >= 1) & (w_TB <= width) & (h_TB >= 1) & (h_TB <= height)
    first_1B = fits_TB.int().argmax(0, keepdim=True)
    fits_B = fits_TB.any(0)
    w_B = torch.where(fits_B, w_TB.gather(0, first_1B)[0], width)
    h_B = torch.where(fits_B, h_TB.gather(0, first_1B)[0], height)
    top_B = (_uniform(batch, 0, 1, generator) * (height - h_B + 1)).floor()
    left_B = (_uniform(batch, 0, 1, generator) * (width - w_B + 1)).floor()
    return torch.stack([top_B, left_B, h_B, w_B])


def crop(x_BCHW: Tensor, boxes_4B: Tensor, flip_B: Tensor) -> Tensor:
    """Return each image's box resized to the size of the image, mirrored where `flip_B` is True.

    Equivalent to torchvision's `resized_crop` with antialias, and `hflip`.
    """
    height, width = x_BCHW.shape[2:]
    top_B, left_B, h_B, w_B = boxes_4B
    rows_BST = _resampling(top_B, h_B, height)
    columns_BST = _resampling(left_B, w_B, width)
    columns_BST = torch.where(flip_B.view(-1, 1, 1), columns_BST.flip(1), columns_BST)
    return _separable(x_BCHW, rows_BST, columns_BST)


def rotate(x_BCHW: Tensor, degrees_B: Tensor) -> Tensor:
    """Return each image rotated counter-clockwise about its centre; the border is mirrored.

    Inside the image it equals torchvision's bilinear `rotate`, which leaves the corners black.
    """
    height, width = x_BCHW.shape[2:]
    cos_B, sin_B = torch.cos(torch.deg2rad(degrees_B)), torch.sin(torch.deg2rad(degrees_B))
    none_B = torch.zeros_like(cos_B)
    rows = [
        torch.stack([cos_B, -sin_B * (height / width), none_B], 1),
        torch.stack([sin_B * (width / height), cos_B, none_B], 1),
    ]
    grid_BHW2 = affine_grid(torch.stack(rows, 1), list(x_BCHW.shape), align_corners=False)
    return grid_sample(x_BCHW, grid_BHW2, padding_mode="reflection", align_corners=False)


def blur(x_BCHW: Tensor, sigma_B: Tensor) -> Tensor:
    """Return each image blurred by a Gaussian as wide as the image, with weights of sum 1.

    Inside the image it equals torchvision's `gaussian_blur` with a wide kernel. At the border
    torchvision mirrors the image; here the weights of pixels beyond it are left out.
    """
    height, width = x_BCHW.shape[2:]
    return _separable(x_BCHW, _gaussian(sigma_B, height), _gaussian(sigma_B, width))


def grey(x_BCHW: Tensor) -> Tensor:
    """Return the luminance of RGB images, [B, 1, H, W]."""
    red, green, blue = x_BCHW.unbind(1)
    return (GREY[0] * red + GREY[1] * green + GREY[2] * blue).unsqueeze(1)


def adjust(
    x_BCHW: Tensor,
    brightness_B: Tensor,
    contrast_B: Tensor,
    saturation_B: Tensor,
    hue_B: Tensor | None = None,
) -> Tensor:
    """Return images with brightness, contrast, saturation and hue changed, in this order.

    Equivalent to torchvision's `adjust_brightness`, ..., `adjust_hue`, with factors of its own for
    each image. Saturation and hue change images of 3 channels only.
    """
    rgb = x_BCHW.shape[1] == 3
    x_BCHW = (x_BCHW * _wide(brightness_B)).clamp(0, 1)
    level_B111 = (grey(x_BCHW) if rgb else x_BCHW).mean((1, 2, 3), keepdim=True)
    x_BCHW = torch.lerp(level_B111, x_BCHW, _wide(contrast_B)).clamp(0, 1)
    if rgb:
        x_BCHW = torch.lerp(grey(x_BCHW), x_BCHW, _wide(saturation_B)).clamp(0, 1)
        if hue_B is not None:
            x_BCHW = turn_hue(x_BCHW, hue_B)
    return x_BCHW


def turn_hue(x_B3HW: Tensor, turn_B: Tensor) -> Tensor:
    """Return RGB images with the hue turned by `turn_B`; 1 is a whole turn of the colour wheel.

    The way back from hue, saturation and value has no cases: channel k of (5, 3, 1) is
    value - chroma * clip(min(t, 4 - t), 0, 1) with t = (k + 6 hue) mod 6.
    """
    red, green, blue = x_B3HW.unbind(1)
    value, low = x_B3HW.amax(1), x_B3HW.amin(1)
    chroma = value - low
    safe = torch.where(chroma > 0, chroma, 1)
    sixths = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sixths = sixths + 6 * turn_B.view(-1, 1, 1)
    channels = []
    for k in (5, 3, 1):
        t = (k + sixths) % 6
        channels.append(value - chroma * torch.minimum(t, 4 - t).clamp(0, 1))
    return torch.stack(channels, 1)


def _jitter(
    x_BCHW: Tensor,
    config: AugmentConfig,
    generator: Generator,
    batch: int,
    own: Callable[[Tensor], Tensor],
) -> Tensor:
    """Adjust the chosen images; the others have factors of 1 and no turn of the hue.

    `batch` counts the images of all processes; `own` takes those of this process from a draw.
    """
    chosen_B = own(_chance(batch, config.jitter, generator))

    def factors(width: float) -> Tensor:
        drawn_B = own(_uniform(batch, 1 - width, 1 + width, generator))
        return torch.where(chosen_B, drawn_B, 1.0)

    return adjust(
        x_BCHW,
        factors(config.brightness),
        factors(config.contrast),
        factors(config.saturation),
        factors(config.hue) - 1 if config.hue > 0 else None,
    )


def _resampling(start_B: Tensor, length_B: Tensor, side: int) -> Tensor:
    """Return the weights [B, S, T] that resize `length` pixels from `start` on to `side` pixels.

    Each output pixel weighs the pixels of the box by a triangle around its centre, which is as wide
    as a pixel of the coarser grid: bilinear, and antialiased where the box shrinks.
    """
    centres = torch.arange(side, device=start_B.device) + 0.5
    scale_B11 = (length_B / side).view(-1, 1, 1)
    start_B11 = start_B.view(-1, 1, 1)
    distance_BST = (centres - start_B11 - scale_B11 * centres.view(-1, 1)).abs()
    weights_BST = (1 - distance_BST / scale_B11.clamp(min=1)).clamp(min=0)
    end_B11 = start_B11 + length_B.view(-1, 1, 1)
    weights_BST = weights_BST * ((centres > start_B11) & (centres < end_B11))
    return weights_BST / weights_BST.sum(2, keepdim=True)


def _gaussian(sigma_B: Tensor, side: int) -> Tensor:
    """Return the weights [B, S, S] of a blur along one side."""
    places = torch.arange(side, device=sigma_B.device)
    distance_SS = places - places.view(-1, 1)
    weights_BSS = (-0.5 * (distance_SS / sigma_B.view(-1, 1, 1)).square()).exp()
    return weights_BSS / weights_BSS.sum(2, keepdim=True)


def _separable(x_BCHW: Tensor, rows_BSH: Tensor, columns_BTW: Tensor) -> Tensor:
    return rows_BSH.unsqueeze(1) @ x_BCHW @ columns_BTW.unsqueeze(1).mT


def _uniform(size: int | tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    draws = torch.rand(size, generator=generator, device=generator.device)
    return low + (high - low) * draws


def _chance(batch: int, probability: float, generator: Generator) -> Tensor:
    """Return bool [B], each True with the probability. `rand` is below 1, so that 1 is always."""
    return torch.rand(batch, generator=generator, device=generator.device) < probability


def _wide(per_image_B: Tensor) -> Tensor:
    return per_image_B.view(-1, 1, 1, 1)
