"""The mapped file of decoded images: changes of channels and type, gaps, and a full disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sweep.core.errors import DataError
from sweep.datasets.pixels.canvas import Canvas
from sweep.datasets.pixels.picture import Header, Treatment
from sweep.datasets.reading.needs import check_fits, needs_of


def image(value: int, channels: int = 3) -> npt.NDArray[np.uint8]:
    return np.full((4, 5, channels), value, np.uint8)


def canvas(folder: Path, count: int) -> Canvas:
    return Canvas(folder=folder, count=count, treatment=Treatment())


def test_images_come_in_the_order_of_their_places_and_gaps_are_closed(tmp_path: Path) -> None:
    mapped = canvas(tmp_path, 6)
    for place in (4, 0, 3):
        mapped.add(place, image(place), wide=False)
    images = mapped.images((0, 255))
    assert images is not None
    assert images.shape == (3, 3, 4, 5)
    assert images[:, 0, 0, 0].tolist() == [0, 3, 4]
    assert [file.name for file in tmp_path.iterdir()] == [mapped.file.name]


def test_gaps_are_closed_over_several_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.datasets.pixels.canvas.COPIED_BYTES", 2 * image(0).nbytes)
    mapped = canvas(tmp_path, 12)
    places = [0, 2, 3, 5, 7, 10, 11]
    for place in places:
        mapped.add(place, image(place), wide=False)
    images = mapped.images((0, 255))
    assert images is not None
    assert images[:, 0, 0, 0].tolist() == places


def test_grey_before_or_after_colour_becomes_rgb(tmp_path: Path) -> None:
    mapped = canvas(tmp_path, 3)
    for place, channels in enumerate((1, 3, 1)):
        mapped.add(place, image(place + 7, channels), wide=False)
    images = mapped.images((0, 255))
    assert images is not None
    assert images.shape == (3, 3, 4, 5)
    assert images[:, :, 0, 0].tolist() == [[7] * 3, [8] * 3, [9] * 3]
    assert len(list(tmp_path.iterdir())) == 1


def test_wide_images_are_scaled_once_the_range_is_known(tmp_path: Path) -> None:
    mapped = canvas(tmp_path, 2)
    mapped.add(0, image(51, 1), wide=False)
    mapped.add(1, np.full((4, 5, 1), 1000, np.float32), wide=True)
    images = mapped.images((0, 2000))
    assert images is not None
    assert images.dtype == np.uint8
    assert images[:, 0, 0, 0].tolist() == [51, 128]


def test_another_size_leaves_no_file(tmp_path: Path) -> None:
    mapped = canvas(tmp_path, 3)
    mapped.add(0, image(1), wide=False)
    mapped.add(1, np.zeros((9, 9, 3), np.uint8), wide=False)
    mapped.add(2, image(1), wide=False)
    assert mapped.images((0, 255)) is None
    assert list(tmp_path.iterdir()) == []


def test_other_numbers_of_channels_are_refused(tmp_path: Path) -> None:
    mapped = canvas(tmp_path, 2)
    mapped.add(0, image(1, 5), wide=False)
    with pytest.raises(DataError, match="differ in their number of channels: 3 and 5"):
        mapped.add(1, image(1, 3), wide=False)


def test_images_larger_than_the_disk_are_refused_with_what_to_type(tmp_path: Path) -> None:
    header = Header(width=1024, height=1024, channels=3, bits=8)
    needs = needs_of([header], 10**11, Treatment())
    with pytest.raises(
        DataError, match=r"of disk, and .* data\.size .* data\.limit .* SWEEP_CACHE"
    ):
        check_fits(needs, tmp_path / "missing" / "folder")


def test_an_image_larger_than_memory_is_refused(tmp_path: Path) -> None:
    header = Header(width=10**8, height=10**6, channels=3, bits=8)
    needs = needs_of([header], 10, Treatment(size=8))
    with pytest.raises(DataError, match=r"of memory, and .* are available\. End other programs"):
        check_fits(needs, tmp_path)
