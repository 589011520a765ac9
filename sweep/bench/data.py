"""The bench of image data: memory and seconds of decoding a large folder into the cache.

The images are JPEG files of 500 x 375 pixels in ten class folders, and become 224 x 224. There are
64 pictures; a comment in each file makes its bytes differ from those of all others. Another process
decodes them, and this process reads its memory from `/proc`. Linux only.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sweep.core.errors import UserError

SIDE = 224
WIDTH, HEIGHT = 500, 375
PICTURES = 64
CLASSES = 10
POLL_SECONDS = 0.05
WANTED_BYTES = 10**9
"""Anonymous memory that decoding may need at most, also for 100,000 images: an own choice."""

CHILD = """
import json, sys
from pathlib import Path
from sweep.config.models import DataConfig
from sweep.datasets.cache import load
data = load(DataConfig(path=sys.argv[1], size=int(sys.argv[2])), cache=Path(sys.argv[3]))
print(json.dumps({"digest": data.digest, "images": data.report["images"]}))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFigure:
    """What decoding cost.

    Args:
        images: how many.
        seconds: from the start of the process to its end.
        anonymous_bytes: largest sum over all processes of RssAnon; mapped pages are excluded.
        disk_bytes: of the files and the cache; removed.
        digest: of the images.
        cores: that the process may use.
    """

    images: int
    seconds: float
    anonymous_bytes: int
    disk_bytes: int
    digest: str
    cores: int

    def to_json(self) -> str:
        """Return one JSON object."""
        return json.dumps({"bench": "data", **asdict(self)}, indent=1)

    def to_text(self) -> str:
        """Return lines for reading."""
        met = "met" if self.anonymous_bytes <= WANTED_BYTES else "missed"
        return (
            f"data        {self.images:,} JPEG images of {WIDTH} x {HEIGHT} to {SIDE} x {SIDE}\n"
            f"memory      {self.anonymous_bytes / 1e6:.0f} MB anonymous at most, all processes; "
            f"wanted at most {WANTED_BYTES / 1e6:.0f} MB: {met}\n"
            f"time        {self.seconds:.1f} s on {self.cores} cores, "
            f"{self.images / self.seconds:.0f} images/s\n"
            f"disk        {self.disk_bytes / 1e9:.1f} GB, removed"
        )


def run(*, images: int = 100_000, tell: Callable[[str], None] = lambda line: None) -> DataFigure:
    """Decode a folder of JPEG files in another process, and watch its memory.

    Args:
        images: how many.
        tell: takes a line about the disk that the bench needs, before it writes.

    Raises:
        UserError: no Linux, too few images, or a disk that is too small.
    """
    if not Path("/proc/self/status").exists():
        raise UserError("`sweep bench data` reads memory from /proc, which only Linux has.")
    if images < 100:
        raise UserError(f"--images is {images}, but must be at least 100.")
    pictures = _pictures()
    needed = images * (3 * SIDE * SIDE + sum(map(len, pictures)) // PICTURES)
    with tempfile.TemporaryDirectory(prefix="sweep-bench-data-") as name:
        free = shutil.disk_usage(name).free
        tell(
            f"disk        {needed / 1e9:.1f} GB are needed at {name}; {free / 1e9:.1f} GB are free"
        )
        if needed > free:
            raise UserError(
                f"The bench needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free at "
                f"{name}. Type fewer --images, or set TMPDIR to a folder on a larger disk."
            )
        return _measured(Path(name), pictures, images)


def _measured(folder: Path, pictures: list[bytes], images: int) -> DataFigure:
    write_files(folder / "images", pictures, images)
    started = time.perf_counter()
    words = [sys.executable, "-c", CHILD, str(folder / "images"), str(SIDE), str(folder / "cache")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        most = 0
        while child.poll() is None:
            most = max(most, sum(map(anonymous_bytes, _family(child.pid))))
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - started
        assert child.stdout is not None
        printed = child.stdout.read()
    if child.returncode:
        raise UserError(f"Decoding ended with {child.returncode}; its error is above.")
    return DataFigure(
        images=images,
        seconds=seconds,
        anonymous_bytes=most,
        disk_bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        digest=json.loads(printed)["digest"],
        cores=len(os.sched_getaffinity(0)),
    )


def write_files(folder: Path, pictures: list[bytes], images: int) -> None:
    """Write JPEG files in class folders; no two have the same bytes."""
    for number in range(CLASSES):
        (folder / f"class{number}").mkdir(parents=True)
    for number in range(images):
        path = folder / f"class{number % CLASSES}" / f"{number:07}.jpg"
        path.write_bytes(_with_comment(pictures[number % len(pictures)], f"{number:08}".encode()))


def _with_comment(jpeg: bytes, text: bytes) -> bytes:
    """Return a JPEG with a comment after its first marker."""
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def _pictures() -> list[bytes]:
    """Return JPEG images of coloured blobs with noise, of photographs' usual size in bytes."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(PICTURES):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8))
        smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(smooth + rng.integers(-12, 13, smooth.shape), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noisy).save(buffer, "JPEG", quality=85)
        found.append(buffer.getvalue())
    return found


def _family(pid: int) -> list[int]:
    """Return a process and its children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *(own for child in children for own in _family(int(child)))]


def anonymous_bytes(pid: int) -> int:
    """Return the anonymous memory of a process that is resident, 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0
