"""What overrides do to a config's tables."""

from __future__ import annotations

import pytest

from sweep.config.models import Range
from sweep.config.text import Override


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
        ('criteria."pack.age:mine".margin=1', ("criteria", "pack.age:mine", "margin"), 1),
        ("space.axes.lambd.points=3", ("space", "axes", "lambd", "points"), 3),
    ],
)
def test_an_override_sets_one_field(item: str, path: tuple[str, ...], value: object) -> None:
    change = Override.parse(item, axis_fields=Range.model_fields)
    assert change.path == path
    level: object = change.apply({})
    for key in path:
        assert isinstance(level, dict)
        level = level[key]
    assert level == value


def test_an_override_leaves_its_argument_alone() -> None:
    tree = {"train": {"epochs": 1}}
    change = Override.parse("train.epochs=2", axis_fields=())
    assert change.apply(tree) == {"train": {"epochs": 2}}
    assert tree == {"train": {"epochs": 1}}
