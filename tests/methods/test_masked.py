"""The example of docs/pages/guide/methods.md: a method of one's own, beside the config."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest

import sweep
from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError
from tests.runs import trained, trial

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = DOCS / "examples"
AXIS = ("space.axes={seed=[0, 1]}",)
SMALL = ("data.limit=300", "train.epochs=4", "train.batch=64", 'criteria.names=["rankme"]')


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The example's config, with the method's file beside it."""
    for name in ("masked.py", "masked.toml"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    return tmp_path / "masked.toml"


def unexplained(study: sweep.Results) -> list[float]:
    """Return the part of the loss at the end of each trial."""
    measures = study.measures.to_pylist()
    values = [row["value"] for row in measures if row["name"] == "unexplained"]
    assert all(0 < value < 1.5 for value in values)
    return values


def test_the_page_shows_the_example_as_it_is() -> None:
    page = (DOCS / "pages/guide/methods.md").read_text(encoding="utf-8")
    assert (EXAMPLES / "masked.py").read_text(encoding="utf-8") in page


def test_a_study_of_the_example_varies_its_own_key(config: Path, tmp_path: Path) -> None:
    outcome = sweep.run(
        config,
        results=tmp_path,
        overrides=[*SMALL, 'space.axes={"method.mask"=[0.25, 0.5, 0.75]}'],
    )
    study = sweep.load(tmp_path / "masked")
    rows = study.trials.to_pylist()
    assert outcome.winner in {row["trial_id"] for row in rows}
    assert sorted(row["mask"] for row in rows) == [0.25, 0.5, 0.75]
    assert all(row["accuracy"] > 0.2 for row in rows)
    assert len(set(unexplained(study))) == 3


def test_the_example_is_named_on_the_command_line(config: Path, tmp_path: Path) -> None:
    plain = config.with_name("plain.toml")
    plain.write_text('[data]\nname = "digits"\n[encoder]\nname = "small_conv"\n', encoding="utf-8")
    overrides = [
        *SMALL,
        "method.name=masked:masked_prediction",
        "method.mask=0.5",
        *AXIS,
        "resources.runner=local",
        "rule.name=none",
    ]
    sweep.run(plain, results=tmp_path, overrides=overrides)
    assert len(set(unexplained(sweep.load(tmp_path / "plain")))) == 2


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("method.masks=0.5", r"method\.masks is no key of .*Did you mean 'mask'\?.* mask, patch"),
        ("method.mask=1.5", r"method\.mask is 1\.5: input should be less than 1"),
        ('space.axes={"method.mask"=[0.5, 2.0]}', r"method\.mask is 2\.0: input should be less"),
        ("method.name=masked:masked", r"masked has no 'masked'"),
    ],
)
def test_a_wrong_key_is_a_sentence_and_nothing_is_written(
    config: Path, tmp_path: Path, override: str, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        sweep.run(config, results=tmp_path / "results", overrides=[*SMALL, *AXIS, override])
    assert not (tmp_path / "results").exists()


def blocks(language: str) -> list[str]:
    """Return the page's code blocks in a language."""
    page = (DOCS / "pages/guide/methods.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)


def test_the_loss_of_two_views_on_the_page_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two_views_of_the_page.py").write_text(blocks("python")[1], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    config = trial(method={"name": "two_views_of_the_page:agreement", "d": 8})
    run, progress = trained(config)
    assert progress[-1].status == "ok"
    assert run.mean_parts()["agreement"] > 0


def test_the_configs_on_the_page_are_read() -> None:
    method, augment = (StudyConfig.parse(tomllib.loads(block)) for block in blocks("toml"))
    assert method.method.parameters == {"mask": 0.5}
    assert augment.augment.recipe(second=False).blur == 1.0
    assert augment.augment.recipe(second=True).solarize == 0.2
