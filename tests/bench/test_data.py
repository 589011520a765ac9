"""The bench of image data, small: memory is read, and the disk is named and given back."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from sweep.bench import data
from sweep.core.errors import UserError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def test_memory_is_measured_and_the_disk_is_named_and_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lines: list[str] = []
    figure = data.run(images=200, tell=lines.append)
    found = json.loads(figure.to_json())
    assert found["images"] == 200
    assert len(found["digest"]) == 32
    assert 0 < found["anonymous_bytes"] < data.WANTED_BYTES
    assert found["disk_bytes"] > 200 * 3 * data.SIDE**2
    assert "GB are needed at" in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_too_few_images_are_refused() -> None:
    with pytest.raises(UserError, match="--images is 5, but must be at least 100"):
        data.run(images=5)


def test_a_disk_that_is_too_small_is_refused() -> None:
    with pytest.raises(UserError, match=r"needs .* GB, and .* GB are free .* fewer --images"):
        data.run(images=10**12)
