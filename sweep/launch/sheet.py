"""A contact sheet: some images of each class as the network sees them, and two views of each.

Shapes: B images, C channels, H x W pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw

from sweep.config.models import AugmentConfig, DataConfig
from sweep.core.errors import DataError, UserError
from sweep.datasets.cache import Data, load
from sweep.datasets.images import Split
from sweep.datasets.reading.reader import MixedSizes
from sweep.pretraining.augment import augment
from sweep.pretraining.seeds import generator

MOST_CLASSES = 20
EACH = 4
"""Images of each class."""
PREVIEW = 96
"""Side in pixels of the images of mixed sizes, as long as no size is given."""
SHOWN = 64
"""Side in pixels of each image on the sheet, at least."""
GAP = 4
NAME_WIDTH = 110


def write_sheet(data: DataConfig, recipe: AugmentConfig, target: Path) -> None:
    """Draw training images and write them; each row of three is an image and its two views.

    Args:
        data: which images. Mixed sizes without a size are shown with `PREVIEW` pixels.
        recipe: of the views.
        target: the image file to write.

    Raises:
        DataError: the images cannot be read.
        UserError: the file cannot be written.
    """
    try:
        loaded = load(data)
    except MixedSizes:
        loaded = load(data.model_copy(update={"size": PREVIEW}))
    try:
        sheet(loaded, recipe).save(target)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{target} cannot be written: {error}. Name a file in an existing folder, such as "
            "sheet.png."
        ) from error


def sheet(data: Data, recipe: AugmentConfig) -> Image.Image:
    """Return the contact sheet of a data set; see `write_sheet`."""
    rows = _rows(data.splits.train, data.splits.classes)
    picked = [row for _, own in rows for row in own]
    images_BCHW = torch.from_numpy(np.array(data.splits.train.images[picked]))
    mean, std = torch.tensor(data.mean), torch.tensor(data.std)
    shown = [images_BCHW.float() / 255]
    for second in (False, True):
        draws = generator("cpu", 0, "sheet", int(second))
        view = augment(images_BCHW, recipe.recipe(second=second), draws, mean=mean, std=std)
        shown.append(view * std.view(-1, 1, 1) + mean.view(-1, 1, 1))
    return _drawn(rows, [_pictures(part) for part in shown])


def _rows(train: Split, classes: tuple[str, ...]) -> list[tuple[str, list[int]]]:
    """Return the name and the first images of each class; a single row without labels."""
    if train.labels is None:
        each = min(len(train), 4 * EACH)
        return [("", list(range(start, min(start + EACH, each)))) for start in range(0, each, EACH)]
    labels = np.asarray(train.labels)
    present = np.unique(labels)[:MOST_CLASSES]
    return [
        (
            classes[number] if classes else str(number),
            np.flatnonzero(labels == number)[:EACH].tolist(),
        )
        for number in present
    ]


def _pictures(x_BCHW: torch.Tensor) -> list[npt.NDArray[np.uint8]]:
    """Return images of any number of channels as RGB, [H, W, 3]; of many, the first three."""
    if x_BCHW.shape[1] not in (1, 3):
        x_BCHW = x_BCHW[:, :3] if x_BCHW.shape[1] > 3 else x_BCHW[:, :1]
    pixels = (x_BCHW.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return [np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image for image in pixels]


def _drawn(
    rows: list[tuple[str, list[int]]], shown: list[list[npt.NDArray[np.uint8]]]
) -> Image.Image:
    """Return the sheet: a class in each row, with its name on the left."""
    if not shown[0]:
        raise DataError("There is no training image to draw.")
    height, width = shown[0][0].shape[:2]
    factor = max(1, -(-SHOWN // max(height, width)))
    cell = (width * factor, height * factor)
    group = len(shown) * cell[0] + 2 * GAP
    canvas = Image.new(
        "RGB", (NAME_WIDTH + EACH * (group + GAP), len(rows) * (cell[1] + GAP) + GAP), "white"
    )
    draw = ImageDraw.Draw(canvas)
    number = 0
    for line, (name, own) in enumerate(rows):
        top = GAP + line * (cell[1] + GAP)
        draw.text((GAP, top), name.encode("latin-1", "replace").decode("latin-1")[:16], "black")
        for column in range(len(own)):
            for place, images in enumerate(shown):
                picture = Image.fromarray(images[number]).resize(cell, Image.Resampling.NEAREST)
                left = NAME_WIDTH + column * (group + GAP) + place * cell[0]
                canvas.paste(picture, (left, top))
            number += 1
    return canvas
