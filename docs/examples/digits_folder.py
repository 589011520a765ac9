"""Writes scikit-learn's digits as a folder of class folders: `python digits_folder.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def main(folder: Path) -> None:
    """Write 1,797 grey images of 8 x 8 pixels."""
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        own = folder / str(label)
        own.mkdir(parents=True, exist_ok=True)
        pixels = np.minimum(image.astype(np.uint16) * 16, 255).astype(np.uint8)
        Image.fromarray(pixels).save(own / f"{number:04}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
