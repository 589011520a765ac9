"""Digits drawn onto textured colour backgrounds: small, real, and hard enough to rank models.

Each image shows one of scikit-learn's digits at a random position, scale, rotation, colour and
lighting, partly occluded, on a background of stripes and clouds. All of these factors are
recorded. The images are computed in integers from integer random numbers, so that a seed gives
the same bytes on every machine. The digits are split before images are made of them, so that no
image of a training digit is in the test split, and the reverse.

Shapes: N images, B of them at a time, S = 32 pixels per side, P factors of each image. The
dictionary `p` holds the factors of `RANGES` by name. Lengths are in 1/256 pixel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sweep.config.models import DataConfig
from sweep.datasets._checks import refuse_path
from sweep.datasets._digits import CLASSES, base_digits, base_rows
from sweep.datasets._resize import resize
from sweep.datasets._rows import Indices, Labels
from sweep.datasets.images import Split, Splits

VERSION = 1
"""Part of the data's digest: increase it with every change of the images."""

TRAIN, VALIDATION, TEST = 6000, 2000, 2000
"""Images in each split; `config.limit` replaces the first number."""

SIDE = 32
LATTICE = 6  # knots of the clouds per side, 8 pixels apart
BATCH = 128  # images drawn at once: an array of 0.5 MB stays in the processor's cache
TURN = 1024  # angle units of a full turn
UNIT = 256  # fixed-point 1: one pixel, or a factor of 1
COSINE = np.round(4096 * np.cos(2 * np.pi * np.arange(TURN) / TURN)).astype(np.int32)

RANGES = {
    "scale": (20 * UNIT, 28 * UNIT),  # side of the digit's box
    "x": (0, UNIT),  # share of the free space beside the box
    "y": (0, UNIT),
    "rotation": (-50, 51),  # in 1/1024 turn: 18 degrees to either side
    "polarity": (0, 2),  # 1: bright digit on dark background
    "ink_r": (0, 60),  # distance from black or from white
    "ink_g": (0, 60),
    "ink_b": (0, 60),
    "first_r": (30, 95),  # the background's two colours: distance from the other end
    "first_g": (30, 95),
    "first_b": (30, 95),
    "second_r": (20, 110),
    "second_g": (20, 110),
    "second_b": (20, 110),
    "contrast": (80, UNIT),  # largest share of the second colour
    "stripes": (0, UNIT + 1),  # share of stripes in the texture; the rest is clouds
    "period": (4 * UNIT, 16 * UNIT),
    "direction": (0, TURN),
    "phase": (0, TURN),
    "gain": (180, 290),
    "warmth": (-25, 26),  # added to the gain of red, taken from blue's
    "shade": (0, 100),  # decrease and increase of the gain across the image
    "light": (0, TURN),
    "hide_x": (6, 27),  # the occluding patch, in 1/32 of the digit's box
    "hide_y": (6, 27),
    "hide_w": (0, 4),
    "hide_h": (0, 9),
}
"""Range of each factor, drawn uniformly for each image: lowest value, highest value plus 1."""

Ints = npt.NDArray[np.int32]


def cluttered_digits() -> Callable[[DataConfig], Splits]:
    """Return what draws the digits on cluttered backgrounds; it has no keys."""
    return _read


def _read(config: DataConfig) -> Splits:
    """Draw the images.

    Args:
        config: `seed`; `validation` and `test`, shares of the 1,797 base digits; `limit`, the
            number of training images, by default 6,000; `size` in pixels.

    Raises:
        DataError: a path is given, but this data set has none.
    """
    refuse_path(config, "cluttered_digits")
    digits, labels = base_digits()
    glyphs = _glyphs(digits)
    rows = base_rows(labels, config)
    train = _split(glyphs, labels, rows.train, config.limit or TRAIN, config, 0)
    return Splits(
        pretrain=Split(images=train.images, factors=train.factors),
        train=train,
        validation=_split(glyphs, labels, rows.validation, VALIDATION, config, 1),
        test=_split(glyphs, labels, rows.test, TEST, config, 2),
        classes=CLASSES,
    )


def _split(
    glyphs: Ints, labels: Labels, rows: Indices, count: int, config: DataConfig, stream: int
) -> Split:
    """Draw `count` images of the base digits `rows`; a smaller count gives the first of them."""
    rng = np.random.default_rng([config.seed, 0xC1077E, stream])
    base = rng.permutation(rows)[np.arange(count) % len(rows)]
    low, high = np.array(list(RANGES.values())).T
    values_NP = rng.integers(low, high, size=(count, len(RANGES)))
    knots = np.random.default_rng([config.seed, 0xC10D, stream]).integers(
        0, 256, size=(count, LATTICE, LATTICE)
    )
    images = np.empty((count, 3, SIDE, SIDE), np.uint8)
    occlusion = np.empty(count, np.float32)
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        p = dict(zip(RANGES, values_NP[part].astype(np.int32).T, strict=True))
        images[part], occlusion[part] = _draw(glyphs[base[part]], p, knots[part].astype(np.int32))
    if config.size is not None:
        images = resize(images, config.size)
    p = dict(zip(RANGES, values_NP.T, strict=True))
    return Split(
        images=images, labels=labels[base], factors=_factors(p, base) | {"occlusion": occlusion}
    )


def _factors(
    p: dict[str, npt.NDArray[np.int64]], base: Indices
) -> dict[str, npt.NDArray[np.generic]]:
    """Return the factors in pixels, degrees and multiples of 1, each [N]; `p` holds each as [N]."""
    room = SIDE * UNIT - p["scale"]
    factors: dict[str, npt.NDArray[np.generic]] = {
        "base": base,
        "x": ((p["scale"] / 2 + room * p["x"] / UNIT) / UNIT).astype(np.float32),
        "y": ((p["scale"] / 2 + room * p["y"] / UNIT) / UNIT).astype(np.float32),
        "scale": (p["scale"] / UNIT).astype(np.float32),
        "rotation": (p["rotation"] * 360 / TURN).astype(np.float32),
        "gain": (p["gain"] / UNIT).astype(np.float32),
        "warmth": (p["warmth"] / UNIT).astype(np.float32),
        "shade": (p["shade"] / UNIT).astype(np.float32),
        "light": (p["light"] * 360 / TURN).astype(np.float32),
        "contrast": (p["contrast"] / UNIT).astype(np.float32),
        "stripes": (p["stripes"] / UNIT).astype(np.float32),
        "period": (p["period"] / UNIT).astype(np.float32),
        "direction": (p["direction"] * 360 / TURN).astype(np.float32),
        "polarity": p["polarity"],
    }
    for name in ("ink", "first", "second"):
        from_white = p["polarity"] if name == "ink" else 1 - p["polarity"]
        for channel in "rgb":
            value = p[f"{name}_{channel}"]
            factors[f"{name}_{channel}"] = np.where(from_white == 1, 255 - value, value)
    return factors


def _glyphs(digits: npt.NDArray[np.uint8]) -> Ints:
    """Enlarge [n, 8, 8] in 0..16 to [n, 34, 34] in 0..255, sharper edges and an empty border."""
    up = np.zeros((32, 10), np.int32)  # linear interpolation by 4 between pixel centres
    for row in range(32):
        knot, eighths = divmod(row * 2 + 5, 8)
        up[row, knot], up[row, knot + 1] = 8 - eighths, eighths
    padded = np.pad(digits.astype(np.int32), ((0, 0), (1, 1), (1, 1)))
    large = up @ padded @ up.T  # 0..1024
    sharp = np.clip((large - 300) * 255 // 300, 0, 255)
    return np.pad(sharp, ((0, 0), (1, 1), (1, 1)))


def _draw(
    glyphs: Ints, p: dict[str, Ints], knots: Ints
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Compose background, digit, occluding patch and light.

    Args:
        glyphs: [B, 34, 34] in 0..255.
        p: the factors of `RANGES`, each [B].
        knots: values of the clouds at their knots, [B, LATTICE, LATTICE] in 0..255.

    Returns:
        Images uint8 [B, 3, S, S], and the share of each digit's ink that the patch hides, [B].
    """
    p = {name: value[:, None, None] for name, value in p.items()}
    grid = np.arange(SIDE, dtype=np.int32) * UNIT + UNIT // 2
    x, y = grid[None, None, :], grid[None, :, None]
    u, v = _glyph_coordinates(p, x, y)
    ink = _bilinear(glyphs, u, v)
    hidden = (abs(u - p["hide_x"] * UNIT) < p["hide_w"] * UNIT) & (
        abs(v - p["hide_y"] * UNIT) < p["hide_h"] * UNIT
    )
    total = ink.sum(axis=(1, 2))
    occlusion = (ink * hidden).sum(axis=(1, 2)) / np.maximum(total, 1)
    ink[hidden] = 0
    texture = _texture(p, x, y, knots)
    gain = p["gain"] + (p["shade"] * _project(p["light"], x - 16 * UNIT, y - 16 * UNIT) >> 12)
    images = np.empty((len(ink), 3, SIDE, SIDE), np.uint8)
    bright = p["polarity"] == 1
    for index, (channel, warm) in enumerate(zip("rgb", (1, 0, -1), strict=True)):
        first, second = p[f"first_{channel}"], p[f"second_{channel}"]
        colour = first + ((second - first) * texture >> 8)
        colour += (255 - p[f"ink_{channel}"] - colour) * ink >> 8
        colour = np.where(bright, colour, 255 - colour)
        lit = colour * (gain + warm * p["warmth"]) >> 8
        images[:, index] = np.clip(lit, 0, 255)
    return images, occlusion.astype(np.float32)


def _project(angle: Ints, x: Ints, y: Ints) -> Ints:
    """Return x cos(angle) + y sin(angle), in the unit of x and y."""
    projected: Ints = (COSINE[angle] * x + COSINE[angle - TURN // 4] * y) >> 12
    return projected


def _glyph_coordinates(p: dict[str, Ints], x: Ints, y: Ints) -> tuple[Ints, Ints]:
    """Convert positions in the image to positions in the digit's box, which is 32 * 256 wide."""
    room = SIDE * UNIT - p["scale"]
    dx = x - (p["scale"] // 2 + (room * p["x"] >> 8))
    dy = y - (p["scale"] // 2 + (room * p["y"] >> 8))
    across = COSINE[p["rotation"]] * (32 * UNIT) // p["scale"]
    down = COSINE[p["rotation"] - TURN // 4] * (32 * UNIT) // p["scale"]
    u = (dx * across + dy * down >> 12) + 16 * UNIT
    v = (dy * across - dx * down >> 12) + 16 * UNIT
    return u, v


def _bilinear(glyphs: Ints, u: Ints, v: Ints) -> Ints:
    """Interpolate glyphs [B, 34, 34] at coordinates [B, S, S] in 1/256; 0 outside the glyph."""
    u = np.clip(u + UNIT // 2, 0, 33 * UNIT - 1)
    v = np.clip(v + UNIT // 2, 0, 33 * UNIT - 1)
    corner = np.arange(len(glyphs), dtype=np.int32)[:, None, None] * (34 * 34)
    corner = corner + (v >> 8) * 34 + (u >> 8)
    u, v = u & 255, v & 255
    flat = glyphs.ravel()
    top = flat[corner] * (UNIT - u) + flat[corner + 1] * u
    bottom = flat[corner + 34] * (UNIT - u) + flat[corner + 35] * u
    sampled: Ints = (top * (UNIT - v) + bottom * v) >> 16
    return sampled


def _texture(p: dict[str, Ints], x: Ints, y: Ints, knots: Ints) -> Ints:
    """Return the mixture of stripes and clouds, [B, S, S] in 0..256."""
    phase = _project(p["direction"], x, y) * TURN // p["period"] + p["phase"]
    stripes = (COSINE[phase % TURN] >> 5) + 128
    weights = np.zeros((SIDE, LATTICE), np.int32)
    for row in range(SIDE):
        knot, sixteenths = divmod(2 * row + 1, 16)
        weights[row, knot], weights[row, knot + 1] = 16 - sixteenths, sixteenths
    clouds = np.clip(((weights @ knots @ weights.T >> 8) - 64) * 2, 0, 256)
    mixed: Ints = (stripes * p["stripes"] + clouds * (UNIT - p["stripes"])) * p["contrast"] >> 16
    return mixed
