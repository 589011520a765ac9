"""Random generators that follow only from a seed, a name and a number."""

from __future__ import annotations

import hashlib

from torch import Generator


def generator(device: str, seed: int, name: str, number: int) -> Generator:
    """Return a generator on a device whose draws follow from seed, name and number."""
    text = f"{seed}/{name}/{number}".encode()
    start = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
    return Generator(device).manual_seed(start >> 1)
