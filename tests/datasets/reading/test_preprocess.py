"""The steps that an export states give the images, and the features, that a study had."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

import sweep
from sweep.config.models import DataConfig
from sweep.core.errors import DataError, StudyError
from sweep.datasets import bind
from sweep.datasets.cache import load
from sweep.datasets.pixels.preprocess import Preprocess
from sweep.datasets.steps import steps_of
from sweep.export import export
from sweep.launch.launch import run
from sweep.pretraining.members import bind_data
from tests.datasets.reading.sets import encoded, noise, write
from tests.small import small_study

COUNT = 40


def contents(kind: str) -> list[bytes]:
    """Return images of a kind that needs several steps."""
    exif = Image.Exif()
    exif[0x0112] = 6
    made = []
    for number in range(COUNT):
        colours = noise(str(number), side=40)[:, :30]
        match kind:
            case "photo":
                smooth = Image.fromarray(colours).resize((90, 160), Image.Resampling.BICUBIC)
                made.append(encoded(smooth, "JPEG", exif=exif))
            case "transparent":
                both = np.dstack([colours, colours[:, :, 0]])
                made.append(encoded(Image.fromarray(both)))
            case "16 bits":
                made.append(encoded(colours[:, :, 0].astype(np.uint16) * 11))
            case "grey":
                made.append(encoded(colours[:, :, 0]))
    return made


def config_of(path: Path, **keys: Any) -> DataConfig:
    return bind_data(DataConfig.model_validate({"path": str(path), **keys}))


@pytest.mark.parametrize("resize", ["crop", "squeeze", "pad"])
@pytest.mark.parametrize("kind", ["photo", "transparent", "16 bits", "grey"])
def test_the_stated_steps_give_the_images_of_the_study(
    kind: str, resize: str, tmp_path: Path
) -> None:
    images = contents(kind)
    for number, content in enumerate(images):
        write(tmp_path / f"{number}.img", content)
    config = config_of(tmp_path, size=12, resize=resize, background="#336699")
    splits = bind(config).make()(config)
    data = load(config, cache=tmp_path / ".cache")
    stated = json.loads(json.dumps(steps_of(config, data)))
    steps = Preprocess.from_json(stated)
    made = [steps(Image.open(io.BytesIO(content))).tolist() for content in images]
    parts = [splits.train, splits.validation, splits.test]
    held = [image.tolist() for part in parts for image in part.images]
    assert sorted(made) == sorted(held)


def test_features_computed_by_plain_torchvision_equal_ours(tmp_path: Path) -> None:
    images = [encoded(noise(str(number), side=14)[:10]) for number in range(90)]
    for number, content in enumerate(images):
        write(tmp_path / "set" / "ab"[number % 2] / f"{number}.png", content)
    study = small_study(
        f"data={{path={json.dumps(str(tmp_path / 'set'))}, size=8}}", "train.epochs=1",
        "train.batch=16", "criteria.images=50", "criteria.alpha.last=20",
        "space.axes={d=[8]}", "rule={name='all'}",
    )  # fmt: skip
    run(study, results=tmp_path / "results", warn=lambda sentence: None)
    export(sweep.load(tmp_path / "results" / "small"), tmp_path / "e.safetensors")
    loaded = sweep.load_encoder(tmp_path / "e.safetensors")
    about = json.loads((tmp_path / "e.json").read_text())
    assert about["classes"] == ["a", "b"]
    steps = about["preprocess"]
    assert (steps["size"], steps["resize"], steps["channels"]) == (8, "crop", 3)
    plain = v2.Compose(
        [
            v2.Resize(steps["size"], InterpolationMode.BICUBIC),
            v2.CenterCrop(steps["size"]),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(about["mean"], about["std"]),
        ]
    )
    opened = [Image.open(io.BytesIO(content)) for content in images]
    theirs, ours = (
        torch.stack([plain(image) for image in opened]),
        torch.stack([loaded.preprocess(image) for image in opened]),
    )
    torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        torch.testing.assert_close(loaded.encoder(ours), loaded.encoder(theirs))


def test_what_the_steps_cannot_make_fit_is_refused() -> None:
    steps = Preprocess(shape=(3, 6, 6), size=None)
    grey = np.zeros((6, 6), np.uint8)
    assert steps(grey).shape == (3, 6, 6)
    assert Preprocess(shape=(1, 6, 6), size=None)(noise("x")).shape == (1, 6, 6)
    with pytest.raises(DataError, match=r"has 7 x 7 pixels, and the encoder was trained on 6 x 6"):
        steps(noise("x", 7))
    with pytest.raises(DataError, match=r"has 5 channels, and the encoder was trained on 3"):
        steps(noise("x", channels=5))
    with pytest.raises(DataError, match=r"has 16 bits, and the encoder was trained on 8 bits"):
        steps(grey.astype(np.uint16))


def test_an_export_that_states_no_steps_says_so(tmp_path: Path) -> None:
    study = small_study("train.epochs=1", "space.axes={d=[8]}", "rule={name='all'}")
    run(study, results=tmp_path, warn=lambda sentence: None)
    export(sweep.load(tmp_path / "small"), tmp_path / "e.safetensors")
    loaded = sweep.load_encoder(tmp_path / "e.safetensors")
    with pytest.raises(StudyError, match=r"does not state how images are preprocessed"):
        loaded.preprocess(np.zeros((8, 8), np.uint8))
