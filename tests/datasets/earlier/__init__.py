"""Studies that began before images were read as they are now: their logs, and their images.

The logs were written by the commit before `data.reading` (2784074): two candidates, of which the
budget lets one be trained. The table was written with pyarrow 26.0.1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
NAMES = ("cat", "dog", "eel")
STUDIES = ("folder", "table", "digits")


def write_images(root: Path) -> Path:
    """Write `train/CLASS/*.ppm` and `val/CLASS/*.ppm`, the same bytes on every machine."""
    rng = np.random.RandomState(0)  # its stream is frozen
    for split, count in (("train", 16), ("val", 4)):
        for name in NAMES:
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                wide = 14 if name == "eel" else 10
                pixels = rng.randint(0, 256, (10, wide, 3)).astype(np.uint8)
                header = f"P6 {wide} 10 255\n".encode()
                (folder / f"{index:03d}.ppm").write_bytes(header + pixels.tobytes())
    return root


def study(name: str, path: Path | None) -> dict[str, Any]:
    """Return the config with which the log of that name began."""
    data: dict[str, Any] = {"name": "digits", "limit": 200}
    if path is not None:
        data = {"path": str(path), "size": 8, "validation": 0.2, "test": 0.2}
    return {
        "name": name,
        "data": data,
        "encoder": {"name": "small_conv"},
        "augment": {"flip": 0.0, "crop_min": 0.6},
        "train": {"epochs": 1, "batch": 16, "precision": "float32"},
        "criteria": {"images": 40, "alpha": {"last": 20}},
        "space": {"axes": {"d": [8, 16]}},
        "rule": {"name": "all"},
        "budget": {"trials": 1},
        "resources": {"runner": "local", "heartbeat_seconds": 0.2},
    }
