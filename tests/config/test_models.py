"""Configs: what is read, and the sentence for what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError
from sweep.core.plugins import keys_of
from sweep.datasets import DATASETS
from sweep.encoders import ENCODERS
from sweep.methods import METHODS
from sweep.rules import FILLED, RULES

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
STARTER = Path(__file__).parents[2] / "sweep" / "config" / "starter.toml"


@pytest.mark.parametrize("path", [*EXPERIMENTS.glob("*.toml"), STARTER], ids=lambda p: p.stem)
def test_every_config_that_we_ship_is_read(path: Path) -> None:
    assert StudyConfig.load(path).space.axes


def test_the_starters_commented_lines_are_fields_too(tmp_path: Path) -> None:
    lines = []
    for line in STARTER.read_text(encoding="utf-8").splitlines():
        bare = line.removeprefix("# ")
        is_field = line.startswith("# ") and " = " in bare and bare.split(" = ")[0].isidentifier()
        is_field |= bare.startswith("[")
        # these exclude what stands uncommented beside them
        lines.append(bare if is_field and "lambd_d" not in line and "count" not in line else line)
    path = tmp_path / "all.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    config = StudyConfig.load(path)
    assert config.budget.probes == 12
    assert config.resources.price_per_device_hour == 2.5
    assert config.probe.data is not None
    assert config.criteria.parameters_of("alpha") == {"first": 4, "last": 100}
    for section, seam, table in (
        (config.data, "data set", DATASETS),
        (config.encoder, "encoder", ENCODERS),
        (config.method, "method", METHODS),
        (config.rule, "rule", RULES),
    ):
        known = set[str]().union(*(keys_of(seam, name, table, FILLED) for name in table))
        assert set(section.parameters) <= known
    assert not config.probe.parameters


def test_the_files_name_is_the_studys(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("seed = 3", encoding="utf-8")
    assert StudyConfig.load(path).name == "mine"
    assert StudyConfig.load(path, ["name=other"]).name == "other"


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["train.epoch=5"], r"train\.epoch is not a field\. Did you mean 'epochs'\?"),
        (["resorces.cpu=5"], r"resorces is not a field\. Did you mean 'resources'\?"),
        (["train.epochs=many"], r"train\.epochs is 'many': input should be a valid integer"),
        (["train.epochs=0"], r"train\.epochs is 0: input should be greater than 0"),
        (["method.lambd=nan"], r"it holds a number that is infinite or NaN"),
        (["rule.margin=inf"], r"it holds a number that is infinite or NaN"),
        (["rule=paper"], r"rule is 'paper': input should be a valid dictionary"),
        (["criteria.images=1"], r"criteria\.images is 1: input should be greater"),
        (["resources.gpu=1.5"], r"gpu is 1\.5, and must be 0 to 1, or a whole number of GPUs"),
        (["resources.gpu=-1"], r"resources\.gpu is -1: input should be greater than or equal to 0"),
        (["resources.gpu=4", "resources.processes=2"], r"processes is 2 and gpu is 4, and each"),
        (["resources.gpu=0.5", "resources.processes=2"], r"two, or set gpu to 2 or to 0"),
        (["criteria.imagse=9"], r"imagse is not a field\..*, and a table of keys"),
        (["criteria.lidar.q=9"], r"keys of 'lidar', and names does not hold it"),
        (["train.warmup_epochs=200"], r"warmup_epochs 200\.0 exceeds epochs 100"),
        (["space.draw=random"], r'draw = "random" needs a count'),
        (["space.axes.d=[]"], r"space\.axes\.d is \[\]: list should have at least 1 item"),
        (["space.axes.lambd.low=0", "space.axes.lambd.high=1", "space.axes.lambd.log=true"],
         r"low is 0, but must be > 0 where log = true"),
        (["epochs"], r"'epochs' is not key=value, for example train\.epochs=5"),
        (["name=../up"], r"name is '\.\./up': string should match pattern"),
        (["train=3", "train.epochs=3"], r"'train' holds a value, not fields"),
        (["seed=0x" + "1" * 5000], r"it holds a number of more than 64 bits"),
        (["options.x=" + "[" * 50 + "]" * 50], r"it is nested more than 50 deep"),
        (["x." * 100_000 + "x=1"], r"it is nested more than 50 deep"),
        (["seed=" + "x" * 5000], r"^.{0,40}\n  seed is 'x{199}\.\.\.x{199}': input should be"),
        ([r'data.path="a\u0000"'], r"data\.path: a path cannot hold a zero byte"),
        (["data.path=~nobody-of-that-name/x"], r"the home of a user who has none here"),
        (["space.axes.lambd.low=0", "space.axes.lambd.high=1e300"],
         r"0 to 1e\+300 is beyond 1e\+150"),
    ],
)  # fmt: skip
def test_a_wrong_config_is_a_sentence(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        StudyConfig.parse({}, overrides)


def test_a_missing_file_names_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no config .*none\.toml\. `sweep init"):
        StudyConfig.load(tmp_path / "none.toml")


def test_a_file_that_is_no_toml_says_where(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("[data\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"broken\.toml cannot be read as TOML: .*line 1"):
        StudyConfig.load(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = " + "[" * 10_000 + "]" * 10_000, "it is nested more than 50 deep"),
        (".".join("x" * 20_000) + " = 1", "a key has more than 50 parts"),
        ("[" + " . ".join(["'x'"] * 20_000) + "]", "a key has more than 50 parts"),
        ("seed = " + "1" * 5000, "Exceeds the limit"),
    ],
    ids=["nested", "dotted", "dotted table", "digits"],
)
def test_a_file_that_nobody_would_write_is_refused_at_once(
    tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"odd.toml cannot be read as TOML: {why}"):
        StudyConfig.load(path)


def test_a_path_is_made_absolute_where_the_user_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert StudyConfig.parse({}, ["data.path=photos"]).data.path == str(tmp_path / "photos")


def test_configs_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        StudyConfig().seed = 1


def test_a_wrong_value_of_the_second_views_recipe_is_named_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"augment: second\.flip: Input should be less than"):
        StudyConfig.parse({"augment": {"second": {"flip": 1.5}}})
    with pytest.raises(ConfigError, match=r"second\.flop is not a field\. Did you mean 'flip'"):
        StudyConfig.parse({"augment": {"second": {"flop": 0.5}}})
