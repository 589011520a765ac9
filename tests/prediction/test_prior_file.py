"""The file of a prior: written, read, refused; and the priors that come with sweep."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.core.errors import DataError
from sweep.prediction.earlier import Source
from sweep.prediction.prior_file import digest_of, of_bytes, shipped, to_bytes
from sweep.replay.sources import read

ROOT = Path(__file__).parents[2]

README = (ROOT / "experiments/landscapes/README.md").read_text(encoding="utf-8")
COMMANDS = {
    method: tables.split()
    for tables, method in re.findall(
        r"^sweep prior (.*) -o sweep/prediction/priors/(\w+)\.json$",
        README.replace("\\\n", ""),
        re.MULTILINE,
    )
}
"""Method of a shipped prior -> its tables, by the commands in the landscapes' README."""


def source() -> Source:
    return Source(
        name="one",
        digest="ab",
        method="byol",
        axes={"d": np.array([8.0, 1 / 3])},
        fractions=(0.5, 1.0),
        accuracies=np.array([[0.5, np.nan], [0.25, 0.75]]),
        measures={"alpha": np.array([[1.0, 2.0], [np.nan, 1.5]])},
    )


def tree() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(to_bytes([source()]))
    return loaded


def test_a_prior_is_read_as_it_was_written() -> None:
    data = to_bytes([source(), replace(source(), name="two")])
    one, two = of_bytes("the file", data)
    assert (one.name, two.name, one.digest, one.method) == ("one", "two", "ab", "byol")
    assert one.axes["d"].tolist() == [8.0, 0.333333]
    assert np.array_equal(one.accuracies, source().accuracies, equal_nan=True)
    assert np.array_equal(one.measures["alpha"], source().measures["alpha"], equal_nan=True)
    assert to_bytes([one, two]) == data
    assert len(digest_of(data)) == 32
    assert of_bytes("the file", to_bytes([])) == ()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", r"^x\.json is no prior file: the file: Invalid JSON.*sweep prior TABLE -o FILE"),
        (b"\xff\xfe", "is no prior file"),
        (b"[]", "is no prior file"),
        (b"[" * 100_000, "is no prior file"),
        (b'{"format": "sweep prior 2", "sources": []}', "no prior file: format: Input should be"),
        (b'{"format": "sweep prior 1"}', "no prior file: sources: Field required"),
    ],
)
def test_what_is_no_prior_gets_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        of_bytes("x.json", data)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"accuracies": [[50.0, None], [0.25, 0.75]]}, "accuracy 50, and accuracies must be parts"),
        ({"accuracies": [[-0.1, None], [0.25, 0.75]]}, "accuracy -0.1, and accuracies must be"),
        ({"accuracies": [[float("nan"), None], [0.2, 0.7]]}, "should be a finite number"),
        ({"accuracies": [[0.5], [0.25]]}, "has not one number for each candidate and fraction"),
        ({"accuracies": [[0.5, 0.5]]}, "an axis has not one number for each of 1 candidates"),
        ({"measures": {"alpha": []}}, "has not one number for each candidate and fraction"),
        ({"fractions": [1.0, 0.5]}, "fractions must ascend and end at 1"),
        ({"fractions": [0.25, 0.5]}, "fractions must ascend and end at 1"),
        ({"fractions": [0.0, 1.0]}, "should be greater than 0"),
        ({"axes": {"d": ["8", 16.0]}}, "should be a valid number"),
        ({"axes": {"d": [float("inf"), 16.0]}}, "should be a finite number"),
        ({"name": ""}, "at least 1 character"),
        ({"weights": []}, "Extra inputs are not permitted"),
    ],
)
def test_a_source_that_cannot_be_gets_a_sentence(change: dict[str, Any], sentence: str) -> None:
    wrong = tree()
    wrong["sources"][0] |= change
    with pytest.raises(DataError, match=sentence):
        of_bytes("x.json", json.dumps(wrong).encode())


@pytest.mark.parametrize("method", COMMANDS)
def test_a_shipped_prior_is_what_its_command_makes_of_the_committed_tables(method: str) -> None:
    tables = [ROOT / path for path in COMMANDS[method]]
    assert len(tables) >= 2
    sources = [found.source for path in tables for found in read(path)]
    file = resources.files("sweep.prediction").joinpath("priors", f"{method}.json")
    assert to_bytes(sources) == file.read_bytes()
    assert [source.name for source in shipped(method)] == [path.stem for path in tables]
    assert {source.method for source in sources} == {method}


def test_every_shipped_prior_has_a_command() -> None:
    folder = resources.files("sweep.prediction").joinpath("priors")
    assert sorted(file.name for file in folder.iterdir()) == [f"{m}.json" for m in sorted(COMMANDS)]


@pytest.mark.parametrize("method", ["simclr", "", "mine:method", "../priors/barlow_twins"])
def test_a_method_without_a_shipped_prior_has_no_source(method: str) -> None:
    assert shipped(method) == ()
