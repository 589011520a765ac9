"""What becomes of the pixels, for each kind of image that people have."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from sweep.core.errors import ConfigError, DataError
from sweep.datasets.images import Split, Splits
from sweep.datasets.pixels.fit import fit
from tests.datasets.reading.sets import SIDE, encoded, files, noise, read, several, summary, write

COUNT = 20


def grey(number: int, depth: type = np.uint8, most: int = 255) -> npt.NDArray[Any]:
    """Return a grey image in which every value from 0 to `most` may occur."""
    values = np.random.default_rng(number).integers(0, most + 1, (SIDE, SIDE))
    values[0, 0], values[0, 1] = 0, most
    return values.astype(depth)


def placed(root: Path, images: list[bytes], suffix: str) -> Path:
    """Write the images as files that are read in their order."""
    for number, content in enumerate(images):
        write(root / f"{number:03d}{suffix}", content)
    return root


def whole(splits: Splits) -> list[npt.NDArray[np.uint8]]:
    """Return all images of a set."""
    parts: list[Split] = [splits.train, splits.validation, splits.test]
    return [image for part in parts for image in part.images]


def assert_holds(splits: Splits, expected: list[npt.NDArray[Any]]) -> None:
    """Check that the set consists of exactly these images, [C, H, W] each."""
    held = sorted(image.tolist() for image in whole(splits))
    assert held == sorted(image.tolist() for image in expected)


def test_grey_stays_one_channel_and_data_channels_makes_it_rgb(tmp_path: Path) -> None:
    pictures = [grey(number) for number in range(COUNT)]
    placed(tmp_path, [encoded(picture) for picture in pictures], ".png")
    splits = read(tmp_path)
    assert_holds(splits, [picture[None] for picture in pictures])
    assert "pixels      grey, 8 bits, 0 to 255" in summary(splits)
    coloured = read(tmp_path, channels=3)
    assert_holds(coloured, [np.repeat(picture[None], 3, 0) for picture in pictures])
    assert "become RGB (data.channels = 3)" in summary(coloured)


def test_grey_among_colour_becomes_rgb_and_is_said(tmp_path: Path) -> None:
    pictures = [noise(str(number), channels=1 + number % 2 * 2) for number in range(COUNT)]
    placed(tmp_path, [encoded(picture) for picture in pictures], ".png")
    splits = read(tmp_path)
    assert_holds(splits, [np.broadcast_to(p, (SIDE, SIDE, 3)).transpose(2, 0, 1) for p in pictures])
    assert "10 grey images among 10 colour images become RGB" in summary(splits)


@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_16_bits_are_scaled_by_the_range_of_the_whole_set(kind: str, tmp_path: Path) -> None:
    pictures = [grey(number, np.uint16, 4095 if number else 2000) for number in range(COUNT)]
    placed(tmp_path, [encoded(picture, kind) for picture in pictures], f".{kind.lower()}")
    splits = read(tmp_path)
    assert_holds(splits, [(p[None] / 4095 * 255).round().astype(np.uint8) for p in pictures])
    assert "pixels      grey, 16 bits, 0 to 4095" in summary(splits)
    assert "scaled from 0..4095 (measured) to 0..255" in summary(splits)
    stated = read(tmp_path, range=[0, 65535])
    assert max(image.max() for image in whole(stated)) == 16


def test_a_range_that_files_state_is_used(tmp_path: Path) -> None:
    pictures = [grey(number, np.uint16, 1000) for number in range(COUNT)]
    tags = {280: 0, 281: 2000}
    placed(tmp_path, [encoded(p, "TIFF", tiffinfo=tags) for p in pictures], ".tif")
    splits = read(tmp_path)
    assert_holds(splits, [(p[None] / 2000 * 255).round().astype(np.uint8) for p in pictures])
    assert "scaled from 0..2000 (stated)" in summary(splits)


def test_floats_and_32_bit_integers_are_scaled(tmp_path: Path) -> None:
    floats = [grey(n).astype(np.float32) / 255 * 4 - 2 for n in range(COUNT)]
    placed(tmp_path / "f", [encoded(p, "TIFF") for p in floats], ".tiff")
    assert_holds(read(tmp_path / "f"), [grey(n)[None] for n in range(COUNT)])
    integers = [grey(n).astype(np.int32) * 1000 for n in range(COUNT)]
    placed(tmp_path / "i", [encoded(p, "TIFF") for p in integers], ".tiff")
    assert_holds(read(tmp_path / "i"), [grey(n)[None] for n in range(COUNT)])


def test_black_and_white_images_are_0_and_255(tmp_path: Path) -> None:
    pictures = [
        Image.fromarray(noise(str(n), channels=1).squeeze()).convert("1") for n in range(COUNT)
    ]
    placed(tmp_path, [encoded(picture) for picture in pictures], ".png")
    assert_holds(read(tmp_path), [np.asarray(p)[None].astype(np.uint8) * 255 for p in pictures])


@pytest.mark.parametrize(("background", "level"), [("white", 255), ("black", 0), ("#808080", 128)])
def test_transparency_lies_on_the_background(background: str, level: int, tmp_path: Path) -> None:
    expected = []
    for number in range(COUNT):
        colours = noise(str(number))  # below the transparent pixels lies any colour
        alpha = np.zeros((SIDE, SIDE), np.uint8)
        alpha[: SIDE // 2] = 255
        image = Image.fromarray(np.dstack([colours, alpha]))
        write(tmp_path / f"{number}.png", encoded(image))
        seen = colours.copy()
        seen[SIDE // 2 :] = level
        expected.append(seen.transpose(2, 0, 1))
    splits = read(tmp_path, background=background)
    assert_holds(splits, expected)
    assert f"20 images with transparency lie on {background}" in summary(splits)


def test_a_transparent_palette_and_grey_with_alpha_are_composed(tmp_path: Path) -> None:
    for number in range(COUNT):
        picture = Image.fromarray(grey(number)).convert("P")
        write(
            tmp_path / "p" / f"{number}.png", encoded(picture, transparency=int(grey(number)[3, 3]))
        )
        both = np.dstack([grey(number), np.full((SIDE, SIDE), 255, np.uint8)])
        both[2:, :, 1] = 0
        write(tmp_path / "la" / f"{number}.png", encoded(Image.fromarray(both)))
    splits = read(tmp_path / "la")
    assert splits.train.images.shape[1] == 1
    assert (splits.train.images[:, :, 2:] == 255).all()
    palette = read(tmp_path / "p")
    assert palette.train.images.shape[1] == 3
    assert "20 images with transparency" in summary(palette)


@pytest.mark.parametrize(("mode", "kind"), [("P", "PNG"), ("CMYK", "TIFF"), ("YCbCr", "TIFF")])
def test_other_colour_spaces_become_rgb(mode: str, kind: str, tmp_path: Path) -> None:
    images = [Image.fromarray(noise(str(number))).convert(mode) for number in range(COUNT)]
    contents = [encoded(image, kind) for image in images]
    placed(tmp_path, contents, f".{kind.lower()}")
    reopened = [Image.open(io.BytesIO(content)).convert("RGB") for content in contents]
    assert_holds(read(tmp_path), [np.asarray(image).transpose(2, 0, 1) for image in reopened])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_exif_is_applied(orientation: int, tmp_path: Path) -> None:
    turns: dict[int, Callable[[Any], Any]] = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90,
    }  # fmt: skip
    turn = turns[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    pictures = [noise(str(number))[:, : SIDE - 2] for number in range(COUNT)]
    placed(tmp_path, [encoded(picture, "PNG", exif=exif) for picture in pictures], ".png")
    splits = read(tmp_path)
    assert_holds(splits, [np.ascontiguousarray(turn(p)).transpose(2, 0, 1) for p in pictures])
    assert ("turned as their EXIF says" in summary(splits)) == (orientation > 1)
    side = [SIDE - 2, SIDE] if orientation < 5 else [SIDE, SIDE - 2]
    assert splits.report is not None
    assert splits.report["size"]["smallest"] == side


def test_arrays_of_numpy_with_any_channels_are_read(tmp_path: Path) -> None:
    pictures = [noise(str(number), channels=5) for number in range(COUNT)]
    for number, picture in enumerate(pictures):
        (tmp_path / "u").mkdir(exist_ok=True)
        np.save(
            tmp_path / "u" / f"{number}.npy", picture.transpose(2, 0, 1) if number % 2 else picture
        )
    splits = read(tmp_path / "u")
    assert_holds(splits, [picture.transpose(2, 0, 1) for picture in pictures])
    assert "pixels      5 channels, 8 bits" in summary(splits)
    assert read(tmp_path / "u", size=4).train.images.shape[1:] == (5, 4, 4)


def test_a_tiff_of_five_channels_is_read_with_tifffile(tmp_path: Path) -> None:
    pictures = [noise(str(number), channels=5).astype(np.uint16) * 100 for number in range(COUNT)]
    for number, picture in enumerate(pictures):
        planes = picture.transpose(2, 0, 1)
        tifffile.imwrite(tmp_path / f"{number}.tif", planes, photometric="minisblack",
                         planarconfig="separate")  # fmt: skip
    splits = read(tmp_path, range=[0, 25500])
    assert_holds(splits, [(p // 100).astype(np.uint8).transpose(2, 0, 1) for p in pictures])


def test_other_numbers_of_channels_do_not_mix(tmp_path: Path) -> None:
    for number in range(COUNT):
        np.save(tmp_path / f"{number}.npy", noise(str(number), channels=2 + number % 2 * 2))
    with pytest.raises(DataError, match=r"differ in their number of channels: 2 and 4"):
        read(tmp_path)


def test_what_pillow_reads_is_read_whatever_its_suffix(tmp_path: Path) -> None:
    kinds = {
        "": "PNG",
        ".dat": "JPEG",
        ".jpg": "PNG",
        ".jfif": "JPEG",
        ".gif": "GIF",
        ".JPG": "BMP",
    }
    for number in range(24):
        suffix, kind = list(kinds.items())[number % len(kinds)]
        write(tmp_path / f"{number}{suffix}", encoded(noise(str(number)), kind))
    write(tmp_path / "notes.xyz", b"no image")
    write(tmp_path / "README.md", b"# words")
    splits = read(tmp_path)
    assert splits.report is not None
    assert splits.report["images"] == 24
    assert splits.report["skipped"] == {".md": 1, ".xyz": 1}
    assert splits.undecodable == ()


def test_several_frames_give_their_first_and_are_said(tmp_path: Path) -> None:
    frames = {
        n: [Image.fromarray(noise(f"{n} {frame}")) for frame in range(3)] for n in range(COUNT)
    }
    for number, (first, *rest) in frames.items():
        content = encoded(first, "TIFF", save_all=True, append_images=rest)
        write(tmp_path / f"{number}.tif", content)
    splits = read(tmp_path)
    assert_holds(splits, [np.asarray(own[0]).transpose(2, 0, 1) for own in frames.values()])
    assert "20 files have several frames: the first is used" in summary(splits)


@pytest.mark.parametrize("spread", [0, 2])
def test_almost_constant_images_are_refused(spread: int, tmp_path: Path) -> None:
    for number in range(COUNT):
        flat = 100 + noise(str(number)) % (spread + 1) + number
        write(tmp_path / f"{number}.png", encoded(flat.astype(np.uint8)))
    with pytest.raises(DataError, match=r"20 of 20 images are almost constant.*less than 3 of 255"):
        read(tmp_path)


def test_one_pixel_far_from_the_others_is_told_with_data_range(tmp_path: Path) -> None:
    for number in range(COUNT):
        picture = grey(number, np.uint16, 100)
        picture[0, 0] = 65535 if number == 0 else 0
        write(tmp_path / f"{number}.png", encoded(picture))
    with pytest.raises(DataError, match=r"almost constant.*data\.range=\[LOWEST,HIGHEST\]"):
        read(tmp_path, test=0.4)
    assert read(tmp_path, range=[0, 100]).train.images.max() == 255


def test_links_to_folders_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    files(tmp_path / "elsewhere", several("cat", 12))
    files(tmp_path / "set", several("dog", 12))
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "elsewhere" / "cat")
    (tmp_path / "set" / "cat" / "up").symlink_to(tmp_path / "elsewhere" / "cat")
    splits = read(tmp_path / "set")
    assert splits.classes == ("cat", "dog")
    assert splits.report is not None
    assert splits.report["images"] == 24


def test_a_link_to_nothing_is_an_undecodable_file(tmp_path: Path) -> None:
    files(tmp_path, several("a", 150))
    (tmp_path / "a" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    splits = read(tmp_path)
    assert splits.undecodable == ("a/lost.png",)
    assert "undecodable 1: a/lost.png" in summary(splits)


def test_one_percent_of_the_whole_set_may_be_undecodable_whatever_the_seed(tmp_path: Path) -> None:
    files(tmp_path, several("a", 198))
    for number in range(2):
        write(tmp_path / "a" / f"bad{number}.png", b"no image %d" % number)
    for seed in range(8):
        splits = read(tmp_path, seed=seed)
        assert len(splits.undecodable) == 2
    write(tmp_path / "a" / "bad2.png", b"no image")
    for seed in range(8):
        with pytest.raises(DataError, match=r"3 of 201 images cannot be decoded, more than 1%"):
            read(tmp_path, seed=seed)


@pytest.mark.parametrize(("width", "height"), [(40, 30), (31, 47), (9, 50), (24, 24), (16, 17)])
@pytest.mark.parametrize("size", [16, 24])
def test_crop_equals_torchvision(width: int, height: int, size: int) -> None:
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    )
    transform = v2.Compose([v2.Resize(size, InterpolationMode.BICUBIC), v2.CenterCrop(size)])
    expected = np.asarray(transform(picture))
    np.testing.assert_array_equal(np.asarray(fit(picture, size, "crop", 0)), expected)


def test_squeeze_and_pad_keep_the_whole_image(tmp_path: Path) -> None:
    for number in range(COUNT):
        write(tmp_path / f"{number}.png", encoded(np.full((6, 12, 3), 10 + number, np.uint8) ^ 8))
        tall = np.tile(np.arange(12, dtype=np.uint8)[:, None, None] * 20, (1, 6, 3))
        write(tmp_path / f"t{number}.png", encoded(tall ^ np.uint8(number)))
    padded = read(tmp_path, size=12, resize="pad")
    corners = padded.train.images[:, :, 0, 0]
    assert (corners == 255).all()
    assert "pad to 12 x 12" in summary(padded)
    squeezed = read(tmp_path, size=12, resize="squeeze")
    assert (squeezed.train.images[:, :, 0, 0] < 255).all()
    assert "crop to 12 x 12" in summary(read(tmp_path, size=12))


def test_mixed_sizes_are_refused_by_a_study_and_shown_otherwise(tmp_path: Path) -> None:
    files(tmp_path, several("a", 12))
    files(tmp_path, several("b", 12), side=9)
    with pytest.raises(DataError, match=r"6x6, 9x9 \(width x height\).*data\.size=PIXELS"):
        read(tmp_path)
    assert read(tmp_path, size=8).train.images.shape[1:] == (3, 8, 8)


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"background": "whit"}, "must be the name of a colour"),
        ({"range": [5, 5]}, "the first number must be below the second"),
        ({"channels": 4}, "should be 3"),
        ({"resize": "stretch"}, "should be 'crop', 'squeeze' or 'pad'"),
    ],
)
def test_a_wrong_value_of_a_key_is_refused(
    keys: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    files(tmp_path, several("a", 2))
    with pytest.raises(ConfigError, match=fault):
        read(tmp_path, **keys)
