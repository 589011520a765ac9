"""Decode one image, and say what it was: its size, channels, depth, range and frames.

Shapes: H x W pixels, C channels.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageOps

from sweep.datasets.pixels.fit import How, fit

FORMATS = (
    "AVIF", "BLP", "BMP", "CUR", "DCX", "DDS", "DIB", "FITS", "FLI", "FTEX", "GBR", "GIF", "ICNS",
    "ICO", "IM", "JPEG", "JPEG2000", "MSP", "PCX", "PIXAR", "PNG", "PPM", "PSD", "QOI", "SGI",
    "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM",
)  # fmt: skip
"""What Pillow decodes by itself: EPS, for example, would start another program."""

ERRORS = (
    OSError,  # not an image, or a truncated one; Pillow's UnidentifiedImageError is an OSError
    SyntaxError,  # a broken PNG chunk
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    ZeroDivisionError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What a damaged image may raise."""

MOST_CHANNELS = 64
NUMPY = b"\x93NUMPY"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WIDE_BITS = {"I;16": 16, "I;16L": 16, "I;16B": 16, "I;16N": 16, "I": 32, "F": 32}
"""Modes of Pillow with more than 8 bits -> bits of a pixel."""
STATED = ((340, 341), (280, 281))
"""Tags of TIFF for the smallest and the largest value: SMin- and SMaxSampleValue, Min- and Max-."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Treatment:
    """What is done to every image.

    Args:
        size: side of the square that an image becomes; None keeps its size.
        resize: how it becomes a square; see `fit`.
        background: name or #RRGGBB of the colour below transparent pixels.
        channels: 3 makes grey images RGB; None keeps them grey.
        range: value of black and of white in images of more than 8 bits; None is their own range.
    """

    size: int | None = None
    resize: How = "crop"
    background: str = "white"
    channels: int | None = None
    range: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A decoded image.

    Args:
        array: [H, W, C]: uint8, or float32 if the image has more than 8 bits a channel. NaN stands
            for pixels that `pad` added to such an image.
        width, height: of the image as it is shown, before its size was changed.
        bits: of each channel.
        low, high: smallest and largest value of the image.
        stated: the range that the file states, or None.
        transparent, turned, several: whether it has transparency, was turned as EXIF says, and
            has several frames.
    """

    array: npt.NDArray[Any]
    width: int
    height: int
    bits: int = 8
    low: float = 0.0
    high: float = 255.0
    stated: tuple[float, float] | None = None
    transparent: bool = False
    turned: bool = False
    several: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What an image says of itself before it is decoded: its size as it is shown, and its depth."""

    width: int
    height: int
    channels: int
    bits: int


def opened(encoded: bytes) -> Image.Image:
    """Return Pillow's image, whose header alone is read."""
    return Image.open(io.BytesIO(encoded), formats=FORMATS)


def header_of(encoded: bytes) -> Header:
    """Return an image's header; raises one of `ERRORS`."""
    if encoded.startswith(NUMPY):
        height, width, channels = _as_hwc(_numpy(encoded)).shape
        return Header(width=width, height=height, channels=channels, bits=_bits(_numpy(encoded)))
    with opened(encoded) as picture:
        width, height = picture.size
        if picture.getexif().get(0x0112, 1) >= 5 and picture.format != "TIFF":
            width, height = height, width
        grey = picture.mode in (*WIDE_BITS, "1", "L", "LA", "La")
        bits = WIDE_BITS.get(picture.mode, 8)
        return Header(width=width, height=height, channels=1 if grey else 3, bits=bits)


def decode(encoded: bytes, treatment: Treatment) -> Picture:
    """Return an image that is oriented, without transparency, and of the wanted size.

    Args:
        encoded: bytes of an image file, or of a `.npy` file.
        treatment: what is done to it; `channels` and `range` are applied to the whole set later.

    Raises:
        One of `ERRORS`: it is no image, it is damaged, or it has too many pixels.
    """
    if encoded.startswith(NUMPY):
        return of_array(_numpy(encoded), treatment)
    try:
        with opened(encoded) as picture:
            return of_picture(picture, treatment)
    except Image.DecompressionBombError:
        raise
    except ERRORS:
        if not encoded.startswith(TIFF):
            raise
        return of_array(_tiff(encoded), treatment)


# With Pillow -------------------------------------------------------------------------


def of_picture(picture: Image.Image, treatment: Treatment) -> Picture:
    """Return an image of Pillow after the treatment; see `decode`."""
    size = treatment.size
    several = getattr(picture, "n_frames", 1) > 1
    whole = picture.size
    if size is not None:
        picture.draft(None, (2 * size, 2 * size))  # JPEG decoded at 1/2, 1/4 or 1/8
    stated = _stated(picture)
    upright, turned = _upright(picture)
    if turned and upright.size != picture.size:
        whole = whole[::-1]
    if upright.mode in WIDE_BITS:
        wide = _wide(np.asarray(upright)[:, :, None], WIDE_BITS[upright.mode], treatment)
        return Picture(**wide, stated=stated, turned=turned, several=several)
    transparent = upright.has_transparency_data
    plain = over(upright, treatment.background) if transparent else _plain(upright)
    if size is not None:
        colour = ImageColor.getcolor(treatment.background, plain.mode)
        plain = fit(plain, size, treatment.resize, colour)
    array = np.asarray(plain)
    return Picture(
        array=array[:, :, None] if array.ndim == 2 else array,
        width=whole[0],
        height=whole[1],
        transparent=transparent,
        turned=turned,
        several=several,
    )


def _upright(picture: Image.Image) -> tuple[Image.Image, bool]:
    """Return the image turned as EXIF says, and whether it was; damaged EXIF turns nothing."""
    picture.load()
    try:
        turned = picture.format != "TIFF" and picture.getexif().get(0x0112, 1) in range(2, 9)
        return (ImageOps.exif_transpose(picture), True) if turned else (picture, False)
    except ERRORS:
        return picture, False


def over(picture: Image.Image, background: str) -> Image.Image:
    """Return the image composed over a background: grey if image and background are, else RGB."""
    red, green, blue = ImageColor.getrgb(background)[:3]
    rgba = picture.convert("RGBA")
    below = Image.new("RGBA", rgba.size, (red, green, blue, 255))
    composed = Image.alpha_composite(below, rgba).convert("RGB")
    grey = picture.mode in ("1", "L", "LA", "La") and red == green == blue
    return composed.convert("L") if grey else composed


def _plain(picture: Image.Image) -> Image.Image:
    """Return an image without transparency as grey or RGB."""
    mode = "L" if picture.mode in ("1", "L") else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def _stated(picture: Image.Image) -> tuple[float, float] | None:
    """Return the range that a TIFF states for its pixels, or None."""
    tags: Any = getattr(picture, "tag_v2", {})
    for low, high in STATED:
        try:
            values = [float(np.ravel(tags[tag])[0]) for tag in (low, high)]
        except ERRORS:
            continue
        if np.isfinite(values).all() and values[0] < values[1]:
            return values[0], values[1]
    return None


# Arrays ------------------------------------------------------------------------------


def of_array(array: npt.NDArray[Any], treatment: Treatment) -> Picture:
    """Return an image that is an array, [H, W], [H, W, C] or [C, H, W], after the treatment."""
    array_HWC = _as_hwc(array)
    height, width, _ = array_HWC.shape
    if array.dtype == np.bool_:
        array_HWC = array_HWC.astype(np.uint8) * 255
    if array_HWC.dtype != np.uint8:
        return Picture(**_wide(array_HWC, _bits(array), treatment))
    if treatment.size is not None:
        fill = float(ImageColor.getcolor(treatment.background, "L"))  # type: ignore[arg-type]  # "L" has one channel
        array_HWC = _fitted(array_HWC, treatment, fill)
    return Picture(array=array_HWC, width=width, height=height)


def _wide(array_HWC: npt.NDArray[Any], bits: int, treatment: Treatment) -> dict[str, Any]:
    """Return the fields of a `Picture` of more than 8 bits; raise `ValueError` without numbers."""
    values = array_HWC.astype(np.float32)
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise ValueError("no pixel is a finite number")
    low, high = float(finite.min()), float(finite.max())
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    height, width, _ = values.shape
    if treatment.size is not None:
        values = _fitted(values, treatment, np.nan)
    return {
        "array": values, "width": width, "height": height, "bits": bits, "low": low, "high": high,
    }  # fmt: skip


def _fitted(array_HWC: npt.NDArray[Any], treatment: Treatment, fill: float) -> npt.NDArray[Any]:
    """Return an array resized channel by channel, in its own type."""
    assert treatment.size is not None
    planes = []
    for channel in range(array_HWC.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(array_HWC[:, :, channel]))
        value = fill if array_HWC.dtype != np.uint8 else int(fill)
        planes.append(np.asarray(fit(plane, treatment.size, treatment.resize, value)))
    return np.stack(planes, axis=2)


def _as_hwc(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return [H, W], [H, W, C] or [C, H, W] as [H, W, C]; the channels are the shortest axis."""
    if array.ndim == 2:
        array = array[:, :, None]
    elif array.ndim == 3 and array.shape[0] < min(array.shape[1:]):
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or 0 in array.shape or array.shape[2] > MOST_CHANNELS:
        raise ValueError(f"an array of shape {list(array.shape)} is not one image")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"an array of {array.dtype} holds no pixels")
    return array


def _bits(array: npt.NDArray[Any]) -> int:
    return 8 if array.dtype == np.bool_ else 8 * array.dtype.itemsize


def _numpy(encoded: bytes) -> npt.NDArray[Any]:
    """Return the array of a `.npy` file; nothing is allocated for a header that claims more."""
    file = io.BytesIO(encoded)
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, fortran, dtype = read[version](file)
    if dtype.hasobject:
        raise ValueError("an array of Python objects is not read")
    flat = np.frombuffer(encoded, dtype, offset=file.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def _tiff(encoded: bytes) -> npt.NDArray[Any]:
    """Return the first image of a TIFF that Pillow cannot read, with tifffile."""
    try:
        import tifffile  # an extra; the machines of many users lack it
    except ModuleNotFoundError:
        raise ValueError("this TIFF needs tifffile: pip install tifffile") from None
    try:
        with tifffile.TiffFile(io.BytesIO(encoded)) as file:
            page: Any = file.pages[0]
            array: npt.NDArray[Any] = page.asarray()
            planar = page.planarconfig == 2 and array.ndim == 3
    except Exception as error:  # whatever a damaged file makes of it
        raise ValueError(f"tifffile cannot read it: {error}") from error
    return array.transpose(1, 2, 0) if planar else array
