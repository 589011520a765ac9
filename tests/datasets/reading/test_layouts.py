"""Any layout of folders: what is certain is read right, and what is not is refused with a cure."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.core.errors import DataError
from tests.datasets.reading.sets import files, labels_in, names_in, read, several

CLASSES = ("cat", "dog", "sea lion", "0", "trainer")
WORDS = {
    "train": ("train", "Training", "seg_train", "train2017", "x-train-1"),
    "validation": ("val", "valid", "dev", "validation", "my_dev"),
    "test": ("test", "Testing", "eval", "evaluation", "seg_test"),
}
PARTS = st.sampled_from([(), ("test",), ("validation",), ("validation", "test")])
EXAMPLES = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def certain(draw: st.DrawFn) -> tuple[dict[str, tuple[str | None, str | None]], set[str]]:
    """Return names -> (class, split) of a layout with one reading, and the given splits.

    The split is None where it is drawn.
    """
    classes = draw(st.lists(st.sampled_from(CLASSES), min_size=2, max_size=4, unique=True))
    wrapper = draw(st.sampled_from(["", "archive/", "archive/photos/"]))
    inner = draw(st.sampled_from(["", "images/"]))
    parts = draw(PARTS)
    hive = draw(st.booleans())
    layout: dict[str, tuple[str | None, str | None]] = {}
    for part in ("train", *parts) if parts else (None,):
        word = "" if part is None else draw(st.sampled_from(WORDS[part])) + "/"
        for name in classes:
            folder = f"{wrapper}{word}{inner}{'label=' if hive else ''}{name}"
            split = part if part in parts else None
            layout |= dict.fromkeys(several(folder, 8), (name, split))
    if draw(st.booleans()):
        unlabelled = draw(st.sampled_from(["unlabeled", "unlabelled", "unsupervised", "extra"]))
        folder = f"{wrapper}{unlabelled}" if parts or not inner else f"{wrapper}{inner}{unlabelled}"
        if not (hive and not parts):
            layout |= dict.fromkeys(several(folder, 3), (None, "pretrain"))
    return layout, set(parts)


@given(made=certain())
@EXAMPLES
def test_a_certain_layout_is_read_right(
    made: tuple[dict[str, tuple[str | None, str | None]], set[str]], tmp_path: Path
) -> None:
    layout, parts = made
    shutil.rmtree(tmp_path / "set", ignore_errors=True)
    splits = read(files(tmp_path / "set", layout))
    labelled = {name: kind for name, (kind, _) in layout.items() if kind is not None}
    assert labels_in(splits, layout) == labelled
    held = {
        "validation": names_in(splits.validation, layout),
        "test": names_in(splits.test, layout),
        "train": names_in(splits.train, layout),
    }
    for part in parts:
        assert held[part] == {name for name, (_, split) in layout.items() if split == part}
    assert sum(map(len, held.values())) == len(labelled)
    extra = {name for name, (kind, _) in layout.items() if kind is None}
    assert names_in(splits.pretrain, layout) == held["train"] | extra


UNCERTAIN = {
    "beside": ["{split}/cat", "{split}/dog", "train/cat", "train/dog", "other/cat"],
    "inside": ["cat/{split}", "dog/{split}", "cat/train", "dog/train"],
    "masks": ["cat/images", "cat/{mask}", "dog/images", "dog/{mask}"],
    "mixed": ["{split}", "bus", "car"],
}


@given(
    kind=st.sampled_from(sorted(UNCERTAIN)),
    word=st.sampled_from([*WORDS["test"], *WORDS["validation"]]),
    mask=st.sampled_from(["mask", "masks", "Annotations", "ground_truth", "GT"]),
    wrapper=st.sampled_from(["", "data/"]),
)
@EXAMPLES
def test_an_uncertain_layout_is_refused_and_what_is_typed_then_works(
    kind: str, word: str, mask: str, wrapper: str, tmp_path: Path
) -> None:
    root = tmp_path / "set"
    shutil.rmtree(root, ignore_errors=True)
    for folder in UNCERTAIN[kind]:
        files(root, several(wrapper + folder.format(split=word, mask=mask), 8))
    with pytest.raises(DataError, match=r"Type data\.(skip|split)=") as refusal:
        read(root)
    typed = re.findall(r'data\.(skip|split)="([^"]*)"', str(refusal.value))
    assert any(_is_read(root, key, value) for key, value in typed)


def _is_read(root: Path, key: str, value: str) -> bool:
    """Return whether a key makes a layout certain; it may show the next uncertain thing."""
    try:
        read(root, **{key: value})
    except DataError:
        return False
    return True
