"""Draw splits: in equal shares of each class, and without dividing groups and duplicates.

A unit is a set of images that stay in one split: copies of one image, the images of one patient.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from sweep.datasets._rows import Indices, Labels


def units_of(count: int, *keys: Sequence[Hashable]) -> Indices:
    """Return the unit of each image: images that share any key are in one unit.

    Args:
        count: number of images N.
        keys: of each image, N each; None shares nothing.
    """
    parent = np.arange(count)

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = int(parent[row])
        return row

    for values in keys:
        first: dict[Hashable, int] = {}
        for row, value in enumerate(values):
            if value is None:
                continue
            other = first.setdefault(value, row)
            if other != row:
                a, b = root(other), root(row)
                parent[max(a, b)] = min(a, b)
    return np.array([root(row) for row in range(count)], np.int64)


def take(
    pool: Indices,
    share: float,
    labels: Labels | None,
    units: Indices | None,
    rng: np.random.Generator,
) -> tuple[Indices, Indices]:
    """Draw a share of the rows, in equal shares of each class; return the drawn and the rest.

    This is systematic sampling of units: the key of a unit is the place of its middle in the
    shuffled units of its class, divided by the images of the class. Units are taken in the order
    of their keys until the share is reached. Without units of several images the numbers are
    exact, to within one image of each class.

    Args:
        pool: row numbers.
        share: of the images of the pool.
        labels: class numbers of all rows, or None.
        units: the unit of each of all rows, or None if each image is one.
        rng: draws.
    """
    unit_of = np.arange(len(pool)) if units is None else _numbered(units[pool])
    sizes = np.bincount(unit_of)
    kinds = np.zeros(len(sizes), np.int64) if labels is None else _kinds(unit_of, labels[pool])
    shuffled = rng.permutation(len(sizes))
    keys = np.empty(len(sizes))
    for kind in np.unique(kinds):
        own = shuffled[kinds[shuffled] == kind]
        before = np.cumsum(sizes[own]) - sizes[own]
        keys[own] = (before + rng.random() * sizes[own]) / sizes[own].sum()
    drawn = np.zeros(len(sizes), np.bool_)
    missing = round(share * len(pool))
    for unit in shuffled[np.argsort(keys[shuffled], kind="stable")]:
        if missing <= 0:
            break
        if sizes[unit] < 2 * missing or not drawn.any():  # nearer to the share than without it
            drawn[unit] = True
            missing -= sizes[unit]
    return pool[drawn[unit_of]], pool[~drawn[unit_of]]


def _numbered(units: Indices) -> Indices:
    """Return units numbered from 0 in the order of their first images."""
    _, first, inverse = np.unique(units, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _kinds(unit_of: Indices, labels: Labels) -> Labels:
    """Return the most frequent label of each unit."""
    pairs, counts = np.unique(np.stack([unit_of, labels]), axis=1, return_counts=True)
    order = np.lexsort((-counts, pairs[0]))
    _, first = np.unique(pairs[0][order], return_index=True)
    kinds: Labels = pairs[1][order][first]
    return kinds


def limited(pool: Indices, count: int, labels: Labels | None, seed: int) -> Indices:
    """Return `count` rows of the pool in equal shares of each class, ascending."""
    if count >= len(pool):
        return pool
    rng = np.random.default_rng([seed, 0x11417])
    drawn, _ = take(pool, count / len(pool), labels, None, rng)
    return drawn


def copies(keys: Iterable[bytes], splits: Sequence[str]) -> tuple[int, int]:
    """Return how many images are copies of an earlier one: within a split, and across splits.

    Each group of n equal images that lie in k splits counts n - k within, and k - 1 across.
    """
    groups: dict[bytes, list[str]] = {}
    for key, split in zip(keys, splits, strict=True):
        groups.setdefault(key, []).append(split)
    several = [members for members in groups.values() if len(members) > 1]
    across = sum(len(set(members)) - 1 for members in several)
    return sum(len(members) - 1 for members in several) - across, across
