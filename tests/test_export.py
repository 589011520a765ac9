"""Weights taken away: into plain torchvision, and back through load_encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision

import sweep
from sweep.config.models import EncoderConfig
from sweep.core.errors import StudyError
from sweep.encoders import build
from sweep.export import export
from sweep.launch.launch import run
from sweep.pretraining import checkpoint
from sweep.storage.location import locate
from tests.small import small_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    study = small_study(
        "encoder.name=resnet18", "encoder.stem=imagenet", "train.epochs=1",
        "space.axes={d=[8, 16], lambd=[0.01, 0.1]}",
    )  # fmt: skip
    run(study, results=results, warn=lambda sentence: None)
    return results / "small"


def test_plain_torchvision_loads_the_winner(folder: Path, tmp_path: Path) -> None:
    about = export(sweep.load(folder), tmp_path / "encoder.safetensors")
    weights = safetensors.torch.load_file(tmp_path / "encoder.safetensors")
    plain = torchvision.models.resnet18()
    plain.conv1 = torch.nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)  # grey digits
    missing, unexpected = plain.load_state_dict(weights, strict=False)
    assert missing == ["fc.weight", "fc.bias"]
    assert unexpected == []
    plain.fc = torch.nn.Identity()
    ours = sweep.load_encoder(tmp_path / "encoder.safetensors")
    x = torch.rand(4, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(plain.eval()(x), ours.encoder(x))
    row = next(r for r in sweep.load(folder).trials.to_pylist() if r["winner"])
    assert about["trial_id"] == row["trial_id"]
    assert about["measures"]["accuracy"] == row["accuracy"]


def test_the_json_beside_it_tells_how_images_are_normalised(folder: Path, tmp_path: Path) -> None:
    export(sweep.load(folder), tmp_path / "encoder.safetensors")
    about = json.loads((tmp_path / "encoder.json").read_text(encoding="utf-8"))
    loaded = sweep.load_encoder(tmp_path / "encoder.safetensors")
    assert loaded.mean == tuple(about["mean"])
    assert loaded.shape == (1, 8, 8)
    assert about["config"]["method"]["name"] == "barlow_twins"
    assert about["study"] == "small"


def test_a_named_trial_can_be_taken(folder: Path, tmp_path: Path) -> None:
    rows = sweep.load(folder).trials.to_pylist()
    other = next(row["trial_id"] for row in rows if row["checkpoint"] and not row["winner"])
    about = export(sweep.load(folder), tmp_path / "other.safetensors", trial_id=other)
    assert about["trial_id"] == other


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "small_conv"])
def test_any_encoder_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    config = EncoderConfig(name=name)
    encoder = build(config, (3, 16, 16)).eval()
    about = {
        "encoder": config.model_dump(mode="json"),
        "shape": [3, 16, 16],
        "mean": [0.5] * 3,
        "std": [0.2] * 3,
    }
    checkpoint.save_encoder(locate(tmp_path / "e.safetensors"), encoder, about)
    x = torch.from_numpy(np.random.default_rng(0).random((2, 3, 16, 16), dtype=np.float32))
    with torch.no_grad():
        again = sweep.load_encoder(tmp_path / "e.safetensors").encoder(x)
        torch.testing.assert_close(again, encoder(x), rtol=0, atol=0)


def test_a_file_without_its_json_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"e\.json is missing; an export is a \.safetensors"):
        sweep.load_encoder(tmp_path / "e.safetensors")


def test_a_file_that_is_no_encoder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "e.safetensors").write_bytes(b"nothing of the kind")
    (tmp_path / "e.json").write_text('{"shape": [3, 8, 8]}', encoding="utf-8")
    with pytest.raises(StudyError, match="is not an encoder that sweep wrote"):
        sweep.load_encoder(tmp_path / "e.safetensors")
