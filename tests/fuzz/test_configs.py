"""Any config: damaged TOML, values of other types, arbitrary overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from sweep.config.models import SHORT
from sweep.config.study import StudyConfig
from tests.fuzz.commands import check_command, workspace
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
alpha.last = 30
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
    all_paths = []
    for name, field in model.model_fields.items():
        inner: Any = field.annotation
        all_paths.append(above + name)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            all_paths += paths(inner, f"{above}{name}.")
    return all_paths


PATHS = [*paths(StudyConfig), *(f"space.axes.{name}" for name in (*SHORT, "seed", "lambd_d"))]
PATHS += ["method.d", "method.tau", "encoder.width", "data.image", "probe.l2", "rule.round"]
PATHS += ["criteria.alpha", "criteria.alpha.first", "space.proposer.name", "space.points"]
PATHS += ["method.name", "space.axes.method.name", "projector.d", "criteria.first"]
PATHS += ["space.axes.d.low", "space.axes.options.number", "space.axes.train.lr", "probe.data.path"]
KEYS = st.one_of(
    st.sampled_from(PATHS), WORDS, st.builds("{}.{}".format, st.sampled_from(PATHS), WORDS)
)
CHANGES = st.lists(st.tuples(KEYS, TOML), min_size=1, max_size=3)


@st.composite
def damaged_config(draw: st.DrawFn) -> str:
    """Return `TEXT` with a few lines removed, doubled, exchanged, cut or changed."""
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


def run(scratch: Path, text: bytes, *overrides: str) -> None:
    """Run the config with a trial that does nothing; then check it for real training."""
    with workspace(scratch) as folder:
        config = folder / "config.toml"
        config.write_bytes(text)
        options = ["--results", folder / "results", "--runner", "local"]
        check_command(
            folder, "run", config, *overrides, "trial=tests.safety.logs:idle", "--quiet", *options
        )
        if "cluttered" not in text.decode(errors="replace") + "".join(overrides):
            more = ["trial=pretrain", "resources.cpu=4096"]
            name = [] if any(o.startswith("data") for o in overrides) else ["data.name=digits"]
            check_command(folder, "run", config, *overrides, *name, *more, "name=other", *options)


@given(text=st.one_of(st.binary(max_size=40), st.text(max_size=60).map(str.encode)))
def test_any_bytes(text: bytes, scratch: Path) -> None:
    run(scratch, text)


@given(text=damaged_config())
def test_a_damaged_config(text: str, scratch: Path) -> None:
    run(scratch, text.encode("utf-8", "replace"))


@given(changes=CHANGES)
def test_a_config_with_values_of_other_types(changes: list[tuple[str, Any]], scratch: Path) -> None:
    run(scratch, TEXT.encode(), *(f"{key}={toml(value)}" for key, value in changes))


@given(items=st.lists(st.one_of(WORDS, st.builds("{}={}".format, KEYS, WORDS)), max_size=3))
def test_arbitrary_overrides(items: list[str], scratch: Path) -> None:
    run(scratch, TEXT.encode(), *(item for item in items if not item.startswith("-")))
