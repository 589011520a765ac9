"""Any config: text that is nearly TOML, trees with values of other kinds, overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from sweep.config.models import SHORT, StudyConfig
from tests.fuzz.told import told, workshop
from tests.fuzz.values import TOML, WORDS, toml

TEXT = """
name = "study"
seed = 3
trial = "tests.safety.logs:idle"
[data]
name = "digits"
limit = 500
[encoder]
name = "small_conv"
[train]
epochs = 2
batch = 64
[criteria]
last = 30
images = 300
at = [0.5]
[space]
draw = "random"
count = 3
[space.axes]
d = [8, 16]
lambd_d = { low = 1.0, high = 10.0, log = true }
"options.number" = [1, 2, 3]
[rule]
name = "paper"
round = 4
[budget]
probes = 5
[resources]
runner = "local"
"""


def paths(model: type[BaseModel], above: str = "") -> list[str]:
    """Return every field's path: `train.lr`."""
    found = []
    for name, field in model.model_fields.items():
        inner: Any = field.annotation
        found.append(above + name)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += paths(inner, f"{above}{name}.")
    return found


PATHS = [*paths(StudyConfig), *(f"space.axes.{name}" for name in (*SHORT, "seed", "lambd_d"))]
PATHS += ["space.axes.d.low", "space.axes.options.number", "space.axes.train.lr", "probe.data.path"]
KEYS = st.one_of(
    st.sampled_from(PATHS), WORDS, st.builds("{}.{}".format, st.sampled_from(PATHS), WORDS)
)
CHANGES = st.lists(st.tuples(KEYS, TOML), min_size=1, max_size=3)


@st.composite
def nearly(draw: st.DrawFn) -> str:
    """Return the config above, a few of its lines lost, doubled, exchanged, cut or damaged."""
    lines = TEXT.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 5)):
            case 0:
                del lines[at]
            case 1:
                lines.insert(draw(st.integers(0, len(lines))), lines[at])
            case 2:
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case 4:
                place = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:place] + draw(st.text(max_size=2)) + lines[at][place:]
            case 5:
                key, equals, _ = lines[at].partition("=")
                lines[at] = f"{key}= {toml(draw(TOML))}" if equals else lines[at]
        lines = lines or [""]
    return "\n".join(lines)


def run(ground: Path, text: bytes, *overrides: str) -> None:
    """Run a config's trials that do nothing; and those that would train, up to the check."""
    with workshop(ground) as folder:
        config = folder / "config.toml"
        config.write_bytes(text)
        where = ["--results", folder / "results", "--runner", "local"]
        told(folder, "run", config, *overrides, "trial=tests.safety.logs:idle", "--quiet", *where)
        if "cluttered" not in text.decode(errors="replace") + "".join(overrides):
            more = ["trial=pretrain", "resources.cpu=4096"]
            name = [] if any(o.startswith("data") for o in overrides) else ["data.name=digits"]
            told(folder, "run", config, *overrides, *name, *more, "name=other", *where)


@given(text=st.one_of(st.binary(max_size=40), st.text(max_size=60).map(str.encode)))
def test_any_bytes(text: bytes, ground: Path) -> None:
    run(ground, text)


@given(text=nearly())
def test_a_config_that_is_nearly_one(text: str, ground: Path) -> None:
    run(ground, text.encode("utf-8", "replace"))


@given(changes=CHANGES)
def test_a_config_with_values_of_other_kinds(changes: list[tuple[str, Any]], ground: Path) -> None:
    run(ground, TEXT.encode(), *(f"{key}={toml(value)}" for key, value in changes))


@given(items=st.lists(st.one_of(WORDS, st.builds("{}={}".format, KEYS, WORDS)), max_size=3))
def test_overrides_that_are_none(items: list[str], ground: Path) -> None:
    run(ground, TEXT.encode(), *(item for item in items if not item.startswith("-")))
