"""Any images: Parquet tables with any columns, folders of broken files, decompression bombs."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.fuzz.commands import check_command, workspace
from tests.fuzz.values import WORDS, toml


def picture(side: int, kind: str = "PNG", mode: str = "RGB") -> bytes:
    """Return a small image in any of Pillow's formats and modes."""
    buffer = io.BytesIO()
    _noise(side, mode).save(buffer, kind)
    return buffer.getvalue()


def _noise(side: int, mode: str) -> Image.Image:
    """Return an image whose pixels differ: a set of constant images is refused."""
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    if mode.startswith("I;16"):
        return Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 16)
    return Image.fromarray(pixels).convert(mode)


def animated(kind: str) -> bytes:
    """Return an image with three frames."""
    first, *rest = (Image.new("P", (8, 8), colour) for colour in range(3))
    buffer = io.BytesIO()
    first.save(buffer, kind, save_all=True, append_images=rest)
    return buffer.getvalue()


def png_header(width: int, height: int, depth: int, colour: int) -> bytes:
    """Return a PNG whose header claims the given size; its pixels are a few zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


GOOD = {
    "RGB.png": picture(8), "L.png": picture(8, mode="L"), "P.png": picture(8, mode="P"),
    "RGBA.png": picture(8, mode="RGBA"), "1.png": picture(8, mode="1"),
    "I.png": picture(8, mode="I;16"), "LA.png": picture(8, mode="LA"), "x.jpg": picture(8, "JPEG"),
    "cmyk.jpg": picture(8, "JPEG", "CMYK"), "x.gif": picture(8, "GIF"), "x.bmp": picture(8, "BMP"),
    "x.tiff": picture(8, "TIFF"), "x.webp": picture(8, "WEBP"), "x.ppm": picture(8, "PPM"),
    "large.png": picture(40), "moving.gif": animated("GIF"), "moving.png": animated("PNG"),
    "moving.tiff": animated("TIFF"), "F.tiff": picture(8, "TIFF", "F"), "one.png": picture(1),
}  # fmt: skip
REPORT = {
    "images", "size", "channels", "bits", "range", "label", "classes", "splits", "unlabelled",
    "skipped", "undecodable", "duplicates", "cache",
}  # fmt: skip
"""Keys of the JSON of `sweep data`."""
SIZES = st.sampled_from([0, 1, 2, 8, 100, 9000, 60_000, 2**31 - 1])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return a valid image that was cut, or some of whose bytes were changed."""
    data = bytearray(GOOD[draw(st.sampled_from(sorted(GOOD)))])
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                data[at] = draw(st.integers(0, 255))
            case 1:
                del data[at : at + draw(st.integers(1, 20))]
            case 2:
                data[at:at] = draw(st.binary(max_size=8))
            case 3:
                del data[at + 1 :]
        if not data:
            break
    return bytes(data)


IMAGES = st.one_of(
    st.sampled_from(sorted(GOOD.values())),
    damaged(),
    st.builds(png_header, SIZES, SIZES, st.sampled_from([1, 8, 16]), st.sampled_from([0, 2, 3, 6])),
    st.binary(max_size=20),
)
NAMES = st.one_of(
    st.sampled_from(["a.png", "b.PNG", "c.jpg", "train.png", ".png", "x", "a.parquet", "d.gif"]),
    st.builds("{}.png".format, st.text(max_size=4)),
).map(lambda name: name.replace("/", "_").replace("\0", "_") or "x")
FOLDERS = st.sampled_from(["", "a", "b", "train", "train/a", "test/a", "val/b", ".hidden", "a/b"])
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "size": st.sampled_from([4, 8, 9, 1024]),
        "limit": st.sampled_from([1, 3, 10**9]),
        "test": st.sampled_from([0.001, 0.5, 0.999]),
        "validation": st.sampled_from([0.001, 0.5, 0.999]),
        "name": st.sampled_from(["imagefolder", "parquet", "cifar10", "stl10", "digits"]),
        "image": WORDS,
        "label": st.one_of(WORDS, st.just("none")),
        "split": st.one_of(WORDS, st.sampled_from(["none", "names", "x"])),
        "group": st.sampled_from(["x", "([a-z])", "(", "a*"]),
        "skip": st.sampled_from(["*", "a/*", "*.png", "["]),
        "resize": st.sampled_from(["crop", "pad", "squeeze"]),
        "channels": st.sampled_from([1, 3]),
        "background": st.sampled_from(["black", "#12", "white"]),
        "range": st.sampled_from([[0, 1], [1, 0], "x"]),
        "pretrain_on_test": st.booleans(),
        "x": WORDS,
    },
)


def check(folder: Path, path: Path, options: dict[str, Any]) -> None:
    """Check a study that would train on the images; stop before training."""
    config = folder / "config.toml"
    config.write_text(
        'rule.name = "none"\nencoder.name = "small_conv"\ntrain.batch = 4\ncriteria.images = 40\n'
        "criteria.alpha.last = 30\n[space.axes]\nd = [8, 16]\n",
        encoding="utf-8",
    )
    overrides = [f"data.{key}={toml(value)}" for key, value in options.items()]
    overrides += [f"data.path={toml(str(path))}", "resources.cpu=4096"]
    check_command(
        folder, "run", config, *overrides, "--runner", "local", "--results", folder / "results"
    )
    own = [word for word in overrides if not word.startswith(("resources", "data.path"))]
    check_command(folder, "data", path, *own, "-o", folder / "out.png")
    code, output = check_command(folder, "data", path, *own, "--quick", "--json")
    if code == 0:
        assert json.loads(output).keys() >= REPORT


@given(
    files=st.lists(st.tuples(FOLDERS, NAMES, IMAGES), max_size=6),
    more=st.integers(0, 12),
    options=OPTIONS,
)
def test_any_folder(
    files: list[tuple[str, str, bytes]], more: int, options: dict[str, Any], scratch: Path
) -> None:
    with workspace(scratch) as folder:
        root = folder / "images"
        root.mkdir()
        for number in range(more):
            inner = root / ("a" if number % 2 else "b")
            inner.mkdir(exist_ok=True)
            (inner / f"good{number}.png").write_bytes(GOOD["RGB.png"])
        for subfolder, name, data in files:
            (root / subfolder).mkdir(parents=True, exist_ok=True)
            target = root / subfolder / name
            if not target.exists():
                target.write_bytes(data)
        check(folder, root, options)


COLUMNS = st.sampled_from(
    [
        pa.binary(), pa.large_binary(), pa.string(), pa.int64(), pa.int8(), pa.uint64(),
        pa.float64(), pa.bool_(), pa.null(), pa.list_(pa.int64()),
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        pa.struct([("bytes", pa.string())]), pa.struct([("path", pa.string())]),
        pa.dictionary(pa.int32(), pa.string()), pa.decimal128(10, 2), pa.timestamp("s"),
    ]
)  # fmt: skip
METADATA = st.sampled_from(
    [
        b"", b"[]", b"{", b'{"info": 3}', b'{"info": {"features": {"label": {"names": 3}}}}',
        b'{"info": {"features": {"label": {"names": ["a", "b"]}}}}',
        b'{"info": {"features": null}}',
    ]
)  # fmt: skip


def column(kind: pa.DataType, images: list[bytes], labels: list[int], rows: int) -> pa.Array:
    """Return a column of any type; its values are images or labels if the type allows."""
    if pa.types.is_struct(kind):
        names = [field.name for field in kind]
        inner = {"bytes": images[0] if kind.field(0).type == pa.binary() else "x", "path": "x"}
        values: list[Any] = [
            None if n == rows - 1 and len(images) % 2 else {k: inner[k] for k in names}
            for n in range(rows)
        ]
        if "bytes" in names and kind.field("bytes").type == pa.binary():
            for n in range(rows):
                if values[n]:
                    values[n] = {**values[n], "bytes": images[n % len(images)]}
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        values = [images[n % len(images)] for n in range(rows)]
    elif pa.types.is_integer(kind):
        values = [labels[n % len(labels)] for n in range(rows)]
    else:
        values = [None] * rows
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError):
        return pa.nulls(rows, kind)


LABELS = st.lists(st.sampled_from([0, 1, 2, -1, 127, 2**40, -(2**62)]), min_size=1, max_size=4)


@given(
    kinds=st.lists(COLUMNS, max_size=4),
    names=st.permutations(["image", "label", "x", ""]),
    images=st.lists(IMAGES, min_size=1, max_size=4),
    good=st.booleans(),
    labels=LABELS,
    rows=st.sampled_from([0, 1, 2, 12, 30]),
    metadata=METADATA,
    options=OPTIONS,
)
def test_any_table(
    kinds: list[pa.DataType],
    names: list[str],
    images: list[bytes],
    good: bool,
    labels: list[int],
    rows: int,
    metadata: bytes,
    options: dict[str, Any],
    scratch: Path,
) -> None:
    images = [GOOD["RGB.png"]] if good else images
    columns = [column(kind, images, labels, rows) for kind in kinds]
    fields = [pa.field(n, kind) for n, kind in zip(names, kinds, strict=False)]
    schema = pa.schema(fields, metadata={b"huggingface": metadata})
    with workspace(scratch) as folder:
        path = folder / "table.parquet"
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), path)
        check(folder, path, options)


@given(picked=st.data(), options=OPTIONS)
def test_a_table_with_damaged_bytes(
    picked: st.DataObject, options: dict[str, Any], scratch: Path
) -> None:
    images = pa.array([{"bytes": GOOD["RGB.png"], "path": str(n)} for n in range(20)])
    table = pa.table({"image": images, "label": [n % 2 for n in range(20)]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    data = bytearray(sink.getvalue().to_pybytes())
    for _ in range(picked.draw(st.integers(1, 4))):
        at = picked.draw(st.integers(0, len(data) - 1))
        match picked.draw(st.integers(0, 2)):
            case 0:
                data[at] = picked.draw(st.integers(0, 255))
            case 1:
                del data[at:]
            case 2:
                data[at : at + 1] = picked.draw(st.binary(max_size=4))
        if not data:
            break
    with workspace(scratch) as folder:
        root = folder / "images"
        root.mkdir()
        (root / picked.draw(st.sampled_from(["a.parquet", "train-0.parquet"]))).write_bytes(data)
        check(folder, root, options)
