"""Decode many images into one mapped file, in threads, with what is known of each of them.

Shapes: N images, C channels, H x W pixels.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import UnidentifiedImageError

from sweep.datasets._resize import threads
from sweep.datasets.pixels.canvas import Canvas
from sweep.datasets.pixels.picture import ERRORS, Picture, Treatment, decode

Encoded = bytes | Path | None
"""A compressed image, the path of its file, or nothing where a table has no value."""
Named = tuple[str, Encoded]

Progress = Callable[[int, int], None]
"""Takes how many images are done, and of how many."""


def silent(done: int, of: int) -> None:
    """Show no progress."""


FACTS = np.dtype(
    [
        ("kept", "?"), ("width", "i4"), ("height", "i4"), ("channels", "u1"), ("bits", "u1"),
        ("low", "f8"), ("high", "f8"), ("stated_low", "f8"), ("stated_high", "f8"),
        ("transparent", "?"), ("turned", "?"), ("several", "?"), ("flat", "?"), ("hash", "V16"),
    ]
)  # fmt: skip
"""What is known of each image. `flat` says that its values differ by less than `FLAT` levels."""

FLAT = 3
"""Levels of 255 by which the pixels of an image differ at least, unless it is almost constant."""

HASH_BYTES = 16

CHUNK = 16
"""Compressed images per task of a thread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """The decoded images of a list of N encoded images.

    Args:
        images: uint8 [n, C, H, W], the n images that could be decoded, in the order of their
            places, a mapped file; None if their sizes differ.
        file: of the images, or None.
        facts: `FACTS` [N].
        undecodable: name -> reason, of each image that could not be decoded.
        range: value of black and of white, in images of more than 8 bits.
    """

    images: npt.NDArray[np.uint8] | None
    file: Path | None
    facts: npt.NDArray[np.void]
    undecodable: dict[str, str]
    range: tuple[float, float]


def read_bytes(encoded: Encoded) -> bytes:
    """Return the bytes of an image; raise `ValueError` or `OSError` if there are none."""
    if encoded is None:
        raise ValueError("the table has no value there")
    return encoded.read_bytes() if isinstance(encoded, Path) else encoded


def hash_of(encoded: bytes) -> bytes:
    """Return the 16 bytes that name an image's compressed bytes."""
    return hashlib.blake2b(encoded, digest_size=HASH_BYTES).digest()


def hashes(encoded: Iterable[Named], count: int) -> npt.NDArray[np.void]:
    """Return the `hash_of` each image, V16 [N]; zeros for an image that cannot be read."""

    def one(named: Named) -> bytes:
        try:
            return hash_of(read_bytes(named[1]))
        except (OSError, ValueError):
            return bytes(HASH_BYTES)

    found = b"".join(in_threads(encoded, count, one))
    return np.frombuffer(found, f"V{HASH_BYTES}")


def in_threads(encoded: Iterable[tuple[str, Any]], count: int, one: Any) -> Iterator[Any]:
    """Yield `one` of each (name, image), in order; a few chunks of images are in memory at once."""
    stream = islice(encoded, count)
    chunks = iter(lambda: list(islice(stream, CHUNK)), [])
    waiting = deque[Any]()
    with ThreadPoolExecutor(threads()) as pool:
        for chunk in chunks:
            waiting.append(pool.submit(_each, one, chunk))
            if len(waiting) > 2 * threads():
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _each(one: Any, chunk: list[tuple[str, Any]]) -> list[Any]:
    return [one(named) for named in chunk]


def decode_all(
    encoded: Iterable[Named],
    places: npt.NDArray[np.int64],
    treatment: Treatment,
    folder: Path | None,
    progress: Progress = silent,
) -> Decoded:
    """Decode N images into a mapped file; a few of them are in memory at once.

    Args:
        encoded: N pairs (name, image).
        places: of each image in the array, int64 [N], a permutation.
        treatment: what is done to each image.
        folder: of the file; None collects the facts only, because images differ in size.
        progress: is called with the number of images done, and N.

    Raises:
        DataError: images differ in their number of channels, beyond grey and RGB.
        OSError: the file cannot be written.
    """
    count = len(places)
    facts = np.zeros(count, FACTS)
    undecodable: dict[str, str] = {}
    canvas = None if folder is None else Canvas(folder=folder, count=count, treatment=treatment)

    def one(numbered: tuple[str, tuple[int, Encoded]]) -> tuple[str, bytes, Picture | str]:
        name, (place, source) = numbered
        digest = bytes(HASH_BYTES)
        try:
            content = read_bytes(source)
            digest = hash_of(content) if content else digest
            picture = decode(content, treatment)
        except ERRORS as error:
            unknown = isinstance(error, UnidentifiedImageError)  # its text is an address in memory
            reason = "no image" if unknown else " ".join(str(error).split()) or "damaged"
            return name, digest, reason
        if canvas is not None:
            canvas.add(place, picture.array, wide=picture.bits > 8)
        nothing = np.empty(
            (0, 0, picture.array.shape[2]), np.uint8
        )  # a slice would keep all pixels
        return name, digest, replace(picture, array=nothing)

    numbered = (
        (name, (int(place), source)) for place, (name, source) in zip(places, encoded, strict=True)
    )
    for row, (name, digest, picture) in enumerate(in_threads(numbered, count, one)):
        facts[row]["hash"] = np.void(digest)
        if isinstance(picture, str):
            undecodable[name] = picture
        else:
            _note(facts[row], picture)
        progress(row + 1, count)
    black, white = _range(facts, treatment)
    images = None if canvas is None else canvas.images((black, white))
    _mark_flat(facts, images, places, (black, white))
    file = None if canvas is None or images is None else canvas.file
    return Decoded(
        images=images, file=file, facts=facts, undecodable=undecodable, range=(black, white)
    )


def _note(fact: npt.NDArray[np.void], picture: Picture) -> None:
    """Write down what is known of a decoded image."""
    fact["kept"] = True
    fact["channels"] = picture.array.shape[2]
    for name in ("width", "height", "bits", "low", "high", "transparent", "turned", "several"):
        fact[name] = getattr(picture, name)
    fact["stated_low"], fact["stated_high"] = picture.stated or (np.nan, np.nan)


def _range(facts: npt.NDArray[np.void], treatment: Treatment) -> tuple[float, float]:
    """Return black and white of the images of more than 8 bits: wanted, stated or measured."""
    wide = facts[facts["kept"] & (facts["bits"] > 8)]
    if treatment.range is not None:
        return treatment.range
    if not len(wide):
        return 0.0, 255.0
    if np.isfinite(wide["stated_low"]).all():
        return float(wide["stated_low"].min()), float(wide["stated_high"].max())
    return float(wide["low"].min()), float(wide["high"].max())


def _mark_flat(
    facts: npt.NDArray[np.void],
    images: npt.NDArray[np.uint8] | None,
    places: npt.NDArray[np.int64],
    ends: tuple[float, float],
) -> None:
    """Mark the images whose values are almost the same."""
    if images is not None:
        rows = np.argsort(places)
        kept = rows[facts["kept"][rows]]
        for row, image in zip(kept, images, strict=True):
            facts["flat"][row] = int(image.max()) - int(image.min()) < FLAT
        return
    levels = np.where(facts["bits"] > 8, max(ends[1] - ends[0], 1e-30), 255.0)
    facts["flat"] = facts["kept"] & ((facts["high"] - facts["low"]) / levels * 255 < FLAT)
