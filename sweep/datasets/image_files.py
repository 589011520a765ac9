"""Image files in folders, and image tables in Parquet: the members `imagefolder` and `parquet`.

Both names take the same keys and are read by `sweep.datasets.reading`; the name says which is meant
where a path holds both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

from PIL import ImageColor
from pydantic import AfterValidator, BeforeValidator

from sweep.config.models import DataConfig
from sweep.datasets.images import Splits
from sweep.datasets.pixels.fit import How
from sweep.datasets.pixels.many import Progress, silent
from sweep.datasets.reading.keys import Keys
from sweep.datasets.reading.reader import content_digest, glance, quick_report, read
from sweep.datasets.reading.report import Report


def _colour(name: str) -> str:
    try:
        ImageColor.getrgb(name)
    except ValueError:
        raise ValueError("it must be the name of a colour, or #RRGGBB") from None
    return name


def _increasing(ends: tuple[float, float] | None) -> tuple[float, float] | None:
    if ends is not None and ends[0] >= ends[1]:
        raise ValueError("the first number must be below the second")
    return ends


def _several(patterns: object) -> object:
    return (patterns,) if isinstance(patterns, str) else patterns


Colour = Annotated[str, AfterValidator(_colour)]
Patterns = Annotated[tuple[str, ...], BeforeValidator(_several)]
Range = Annotated[tuple[float, float] | None, AfterValidator(_increasing)]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFiles:
    """Reads the images at `config.path`."""

    keys: Keys

    def __call__(self, config: DataConfig) -> Splits:
        """Return all images with their labels and splits, in a temporary file."""
        with TemporaryDirectory(prefix="sweep-") as folder:  # the file stays while it is mapped
            return replace(self.read_into(Path(folder), config), file=None)

    def read_into(self, folder: Path, config: DataConfig, progress: Progress = silent) -> Splits:
        """As `__call__`, with the images in a file in `folder`."""
        return read(config, self.keys, folder, progress=progress)

    def inspected(self, folder: Path, config: DataConfig, progress: Progress = silent) -> Splits:
        """As `read_into`, but `MixedSizes` is raised after all images were read."""
        return read(config, self.keys, folder, whole=True, progress=progress)

    def quick(self, config: DataConfig) -> Report:
        """Return what names, labels and a few headers say."""
        return quick_report(config, self.keys)

    def glance(self, folder: Path, config: DataConfig) -> Splits:
        """Return the splits without reading their images; see `reader.glance`."""
        return glance(config, self.keys, folder)

    def digest(self, config: DataConfig) -> str:
        """Return the digest of the images, without decoding them."""
        return content_digest(config, self.keys)


def image_files(
    *,
    image: str | None = None,
    label: str | None = None,
    split: str | None = None,
    group: str | None = None,
    skip: Patterns = (),
    background: Colour = "white",
    channels: Literal[3] | None = None,
    range: Range = None,
    resize: How = "crop",
    pretrain_on_test: bool = False,
) -> Callable[[DataConfig], Splits]:
    """Return what reads image files and image tables.

    Args:
        image: column of the images in a table, if several are possible.
        label: column of the labels, or `none`.
        split: column of the splits; `names` reads names of folders and files, on any level; `none`
            ignores them, and draws the splits.
        group: a column, or a pattern that finds the group in a file's name, for example
            `(patient[0-9]+)`: drawn splits keep the images of a group together.
        skip: patterns of relative names to leave out; `*` is any text.
        background: colour below transparent pixels.
        channels: 3 makes grey images RGB.
        range: value of black and of white in images of more than 8 bits; by default what the
            files state, or else the smallest and largest value of all images.
        resize: how `data.size` is reached: `crop` (short side, then the centre; torchvision's and
            the field's), `squeeze`, or `pad` with the background.
        pretrain_on_test: pretrain on the images of a test or validation split without labels.
    """
    keys = Keys(
        image=image,
        label=label,
        split=split,
        group=group,
        skip=skip,
        background=background,
        channels=channels,
        range=range,
        resize=resize,
        pretrain_on_test=pretrain_on_test,
    )
    return ImageFiles(keys=keys)
