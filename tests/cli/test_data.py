"""How images are read, as a person sees it: `sweep data`, run, resume, doctor, cache."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from sweep.cli import app
from sweep.core.events import StudyBegan
from sweep.log.study_folder import read_log
from sweep.storage.location import locate
from tests.datasets.reading.sets import encoded, files, noise, several, write

STUDY = """
[encoder]
name = "small_conv"
[train]
epochs = 1
batch = 16
[criteria]
alpha.last = 20
images = 60
[space.axes]
d = [8, 16]
[rule]
name = "all"
[budget]
trials = 1
[resources]
runner = "local"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of two classes; one image is grey, another has a copy, a third is damaged."""
    files(tmp_path / "2024", [*several("cat", 60), *several("dog", 90)])
    write(tmp_path / "2024/cat/grey.png", encoded(noise("grey", channels=1)))
    write(tmp_path / "2024/dog/again.png", encoded(noise("dog/1.png")))
    write(tmp_path / "2024/dog/damaged.png", b"no image")
    write(tmp_path / "2024/README.md", b"# Cats and dogs")
    return tmp_path / "2024"


def call(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = app.run_command([str(word) for word in words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_data_says_how_the_images_are_read(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call("data", root, capsys=capsys)
    assert code == 0
    assert out.splitlines() == [
        "data        152 images of 6 x 6, unchanged",
        "pixels      RGB, 8 bits, 0 to 255",
        "splits      pretrain 110, drawn; train 110, drawn; validation 12, drawn; test 30, drawn "
        "(drawn in equal shares of each class)",
        "labels      folders: a folder for each class",
        "classes     2: 61 images (cat) to 91 (dog); chance level 58.3%",
        "skipped     1 .md",
        "undecodable 1: dog/damaged.png",
        "copies      1 exact within a split, 0 across splits",
        "note        1 grey images among 151 colour images become RGB",
    ]


def test_data_prints_one_object_of_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call("data", root, "data.size=4", "--json", capsys=capsys)
    report = json.loads(out)
    assert code == 0
    assert report["images"] == 152
    assert report["size"] == {
        "smallest": [6, 6], "largest": [6, 6], "network": [4, 4], "resize": "crop",
    }  # fmt: skip
    assert (report["channels"], report["bits"], report["range"]) == (3, 8, [0, 255])
    assert report["label"] == {"column": None, "why": "a folder for each class"}
    assert {name: sum(counts.values()) for name, counts in report["classes"].items()} == {
        "cat": 61, "dog": 91,
    }  # fmt: skip
    splits = report["splits"]
    assert sum(splits[name]["images"] for name in ("train", "validation", "test")) == 152
    assert {split["origin"] for split in splits.values()} == {"drawn"}
    assert (report["unlabelled"], report["skipped"]) == (0, {".md": 1})
    assert report["undecodable"] == ["dog/damaged.png"]
    assert report["duplicates"] == {"within": 1, "across": 0}
    assert len(report["cache"]["digest"]) == 32


def test_a_quick_look_marks_what_was_not_read(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call("data", root, "--quick", capsys=capsys)
    assert code == 0
    assert "range not read yet" in out
    assert "undecodable not read yet" in out
    assert "copies      not read yet" in out
    report = json.loads(call("data", root, "--quick", "--json", capsys=capsys)[1])
    assert (report["range"], report["undecodable"], report["duplicates"]) == (None, None, None)


def test_mixed_sizes_are_shown_and_a_run_refuses_them(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root / "cat/large.png", encoded(noise("large", 9)))
    code, out, _ = call("data", root, "-o", tmp_path / "sheet.png", capsys=capsys)
    assert code == 0
    assert "153 images of 6 x 6 to 9 x 9, the network's size is open: data.size=PIXELS" in out
    assert Image.open(tmp_path / "sheet.png").size[1] > 150
    config = tmp_path / "study.toml"
    config.write_text(STUDY)
    words = ("run", config, f"data.path={root}", "--results", tmp_path / "results")
    code, _, err = call(*words, capsys=capsys)
    assert code == 2
    assert "The images differ in size: 6x6, 9x9 (width x height). Type data.size=PIXELS" in err
    assert not (tmp_path / "results").exists()


def test_a_sheet_of_grey_images_and_one_without_labels_are_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        write(tmp_path / f"set/{number}.png", encoded(noise(str(number), channels=1)))
    code, out, _ = call("data", tmp_path / "set", "-o", tmp_path / "s.png", capsys=capsys)
    assert (code, out.splitlines()[-1]) == (0, f"Wrote {tmp_path}/s.png.")
    assert Image.open(tmp_path / "s.png").mode == "RGB"
    code, _, err = call("data", tmp_path / "set", "-o", tmp_path / "no/s.png", capsys=capsys)
    assert code == 2
    assert "cannot be written" in err


def test_a_run_and_a_resume_say_it_and_the_log_keeps_it(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "study.toml"
    config.write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "results"
    code, out, _ = call("run", config, "data.path=2024", "--results", results, capsys=capsys)
    assert code == 0
    lines = out.splitlines()
    told = next(n for n, line in enumerate(lines) if line.startswith("data        152 images"))
    assert told < next(n for n, line in enumerate(lines) if "trained: " in line)
    assert any(line.startswith("chance  ") for line in lines)
    first = read_log(locate(results / "study"))[0]
    assert isinstance(first, StudyBegan)
    assert first.chosen["data"]["undecodable"] == ["dog/damaged.png"]
    assert first.chosen["data"]["cache"]["digest"] == first.data_digest
    assert first.config["data"]["reading"] == 2
    words = ("resume", "study", "budget.trials=2", "--results", results)
    code, out, _ = call(*words, capsys=capsys)
    assert code == 0
    assert "data        152 images of 6 x 6, unchanged" in out
    code, out, _ = call("show", "study", "--results", results, capsys=capsys)
    assert "accuracy: the share of the largest class" in out


def test_the_doctor_and_a_dry_run_say_it(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "study.toml"
    config.write_text(f'[data]\npath = "{root}"\n{STUDY}')
    code, out, _ = call("run", config, "--dry-run", capsys=capsys)
    assert code == 0
    assert "153 images of 6 x 6, unchanged" in out  # the damaged one was not read
    assert "undecodable not read yet" in out
    assert "1  not read yet  d=" in out
    assert "decoding    " in out
    for words in (("doctor", config, "--results", tmp_path), ("run", config, "--dry-run")):
        code, out, _ = call(*words, capsys=capsys)
        assert code == 0
        assert "152 images of 6 x 6, unchanged" in out
        assert "1: dog/damaged.png" in out


def test_grey_images_say_which_augmentations_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "study.toml"
    config.write_text(f'[data]\nname = "digits"\n{STUDY}')
    _, out, _ = call("run", config, "--dry-run", capsys=capsys)
    assert (
        "note        the images have 1 channels, so what needs 3 is left out: augment.grey, "
        "augment.saturation" in out
    )


def test_the_cache_is_listed_and_emptied(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "cache"))
    assert call("cache", "ls", capsys=capsys)[1] == "The cache is empty.\n"
    call("data", root, capsys=capsys)
    code, out, _ = call("cache", capsys=capsys)
    assert (code, out.split()[-1]) == (0, str(root))
    (entry,) = json.loads(call("cache", "ls", "--json", capsys=capsys)[1])
    assert entry["paths"] == [str(root)]
    for words in (("rm",), ("rm", "zz"), ("clear",)):
        assert call("cache", *words, capsys=capsys)[0] == 2
    code, out, _ = call("cache", "rm", entry["digest"][:8], capsys=capsys)
    assert (code, out.startswith(f"Removed {entry['digest']}")) == (0, True)
    assert call("cache", capsys=capsys)[1] == "The cache is empty.\n"


def test_a_set_larger_than_the_disk_is_refused_in_a_sentence(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=10_000))
    config = tmp_path / "study.toml"
    config.write_text(f'[data]\npath = "{root}"\n{STUDY}')
    for more in (["--dry-run"], ["--results", tmp_path / "results"]):
        code, _, err = call("run", config, *more, capsys=capsys)
        assert code == 2
        assert "153 images of 6 x 6 with 3 channels need" in err
        assert "data.limit (at most about 92)" in err
        assert "Traceback" not in err
    assert not (tmp_path / "results").exists()


def test_a_bar_shows_how_many_images_are_decoded(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes stderr for a terminal
    code, _, err = call("data", root, "data.seed=5", "--json", capsys=capsys)
    assert code == 0
    assert "decoding" in err
    assert "/153" in err
