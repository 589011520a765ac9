"""From a folder to a model in a fraction of a minute, and what is refused before anything is
written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sweep
from sweep.cli import app
from sweep.datasets._digits import base_digits
from sweep.planning import length
from sweep.planning.start import name_of
from sweep.planning.without_labels import favoured


def digits(root: Path, count: int) -> Path:
    """Write scikit-learn's digits as class folders of grey images of 8 pixels."""
    images, labels = base_digits()
    for number, (image, label) in enumerate(zip(images[:count], labels, strict=False)):
        (root / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image * 15).save(root / str(label) / f"{number}.png")
    return root


def call(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = app.run_command([str(word) for word in words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with images in `photos`. Trainings are short, whatever the minutes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(length, "MOST_EPOCHS", 16)
    digits(tmp_path / "photos", 400)
    return tmp_path


def test_a_folder_becomes_a_model_and_a_config_that_says_why(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call("start", "photos", "--minutes", 2, capsys=capsys)
    assert code == 0, err
    assert "plan        " in out
    assert "halving" in (here / "photos.toml").read_text("utf-8")
    assert "winner  " in out
    assert "chance  " in out
    for command in ("sweep query", "sweep export", "sweep show", "sweep report"):
        assert command in out
    assert sweep.load("results/photos").outcome is not None
    again = ("run", "photos.toml", "--dry-run")
    assert call(*again, capsys=capsys)[0] == 0


def test_without_labels_a_marked_candidate_is_exported(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(length, "MOST_EPOCHS", 2)
    code, out, err = call(
        "start", "photos", 'data.label="none"', "--minutes", 2, "--name", "bare", capsys=capsys
    )
    assert code == 0, err
    assert "nothing tells" in out
    about = json.loads((here / "bare.json").read_text("utf-8"))
    assert "no accuracy" in about["chosen_by"]
    assert sweep.load_encoder("bare.safetensors").shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["photos", "--name", "taken"], "taken.toml exists already. Type --name OTHER"),
        (["photos", "--minutes", "0.01"], "--minutes 0.01 is too short: "),
        (["few"], "There are 14 images to pretrain on, and `sweep start` needs 200 or more."),
        (["absent"], "absent"),
        (["photos", "train.epochs=3"], "`sweep start` takes keys of [data] besides its PATH"),
        (["photos", "--minutes", "nan"], "--minutes is nan, and must be above 0."),
        (["photos", "--name", "a/b"], "name"),
    ],
)
def test_refusals_are_sentences_and_write_nothing(
    here: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "taken.toml").write_text("")
    for number in range(20):
        (here / "few").mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(here / f"few/{number}.png")
    before = sorted(here.rglob("*"))
    code, _, err = call("start", *words, capsys=capsys)
    assert code == 2
    assert sentence in err
    assert sorted(here.rglob("*")) == before


def test_a_name_is_made_from_any_path() -> None:
    assert name_of(Path("my photos (2024)")) == "my-photos-2024"
    assert name_of(Path("...")) == "images"


def test_a_collapsed_favourite_is_passed_over() -> None:
    rows = [
        {"trial_id": "b", "lr": 1e-3, "alpha": 1.5, "rankme": 80.0},
        {"trial_id": "a", "lr": 3e-3, "alpha": 4.0, "rankme": 15.0},
        {"trial_id": "c", "lr": 5e-3, "alpha": None, "rankme": None},
    ]
    points = [{"lr": 5e-3}, {"lr": 3e-3}, {"lr": 1e-3}]
    assert favoured(rows, points) == "b"
    assert favoured(rows[1:], points) == "a"
    assert favoured(rows[2:], points) is None
