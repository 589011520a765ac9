"""What overrides do to a config's tables."""

from __future__ import annotations

import pytest

from sweep.config.models import Range
from sweep.config.text import override


@pytest.mark.parametrize(
    ("item", "path", "value"),
    [
        ("train.epochs=5", ("train", "epochs"), 5),
        ("train.optimizer=lars", ("train", "optimizer"), "lars"),
        ("data.path=../photos/a b", ("data", "path"), "../photos/a b"),
        ("data.download=true", ("data", "download"), True),
        ('criteria.names=["alpha"]', ("criteria", "names"), ["alpha"]),
        ("space.axes.train.lr=[0.1]", ("space", "axes", "train.lr"), [0.1]),
        ('space.axes."train.lr"=[0.1]', ("space", "axes", "train.lr"), [0.1]),
        ("space.axes.lambd.points=3", ("space", "axes", "lambd", "points"), 3),
    ],
)
def test_an_override_sets_one_field(item: str, path: tuple[str, ...], value: object) -> None:
    found: object = override({}, item, of_axis=Range.model_fields)
    for key in path:
        assert isinstance(found, dict)
        found = found[key]
    assert found == value


def test_an_override_leaves_its_argument_alone() -> None:
    tree = {"train": {"epochs": 1}}
    override(tree, "train.epochs=2", of_axis=())
    assert tree == {"train": {"epochs": 1}}
