"""Any table of trials, for `replay` and `select`: CSV and Parquet with anything in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.commands import check_command, workspace
from tests.fuzz.values import NUMBERS, SCALARS, WORDS

NAMES = [
    "trial_id", "fraction", "loss", "alpha", "alpha_r2", "rankme", "accuracy", "test_accuracy",
    "accuracy_images", "pretrain_seconds", "probe_seconds", "d", "lambd", "seed", "x",
]  # fmt: skip
LIKELY = st.sampled_from([0.1, 0.5, 0.9, 1.0, 1, 2, 3, 50, 99])
CELLS = st.one_of(LIKELY, LIKELY, LIKELY, st.none(), SCALARS)
FLAGS = st.lists(
    st.sampled_from(
        ["--column alpha=x", "--column accuracy=alpha", "--column x=x", "--column alpha=accuracy"]
    ),
    max_size=2,
).map(lambda flags: [word for flag in flags for word in flag.split()])
RULES = st.one_of(
    st.sampled_from(
        [
            "goldilocks", "paper:round=4", "random:probes=2", "all", "none", "blocks", "halving",
            "asha:eta=2", "tpe", "alpha_one", "largest_rankme", "goldilocks:early=yes+risk=0.5",
            "paper,random", "random", "goldilocks:round=3", "random:probes=x", "x", "",
            "random:as=paper,paper", "all:proposer=gp",
        ]
    ),
    st.builds("goldilocks:{}={}".format, st.sampled_from(["risk", "tolerance", "x"]), WORDS),
)  # fmt: skip


@st.composite
def rows(draw: st.DrawFn) -> tuple[list[str], list[list[Any]]]:
    """Return names and rows: most columns that a table needs, sometimes with other values."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=7))
    names += [name for name in ("alpha", "accuracy") if name not in names and draw(st.booleans())]
    names += draw(st.lists(WORDS, max_size=1))
    lines = [[draw(CELLS) for _ in names] for _ in range(draw(st.integers(0, 8)))]
    for at, name in enumerate(names):
        if name == "trial_id" and draw(st.booleans()):
            lines = [[*line[:at], f"t{n}", *line[at + 1 :]] for n, line in enumerate(lines)]
        if name in ("alpha", "accuracy", "fraction") and draw(st.booleans()):
            value = 1.0 if name == "fraction" else None
            lines = [
                [*line[:at], value or (n + 1) / 10, *line[at + 1 :]] for n, line in enumerate(lines)
            ]
    return names, lines


def run_select(folder: Path, path: Path, flags: list[str], count: int) -> None:
    check_command(folder, "select", path, "-n", count, "--json", *flags)


@given(table=rows(), flags=FLAGS, count=st.sampled_from([1, 4, 10**6]))
def test_any_csv(table: tuple[list[str], list[list[Any]]], flags: list[str], count: int,
                 scratch: Path) -> None:  # fmt: skip
    names, lines = table
    text = "\n".join(
        ",".join("" if cell is None else str(cell) for cell in line) for line in [names, *lines]
    )
    with workspace(scratch) as folder:
        path = folder / "t.csv"
        path.write_bytes(text.encode("utf-8", "replace"))
        run_select(folder, path, flags, count)


@given(data=st.binary(max_size=60), kind=st.sampled_from(["csv", "parquet"]))
def test_any_bytes(data: bytes, kind: str, scratch: Path) -> None:
    with workspace(scratch) as folder:
        path = folder / f"t.{kind}"
        path.write_bytes(data)
        run_select(folder, path, [], 4)


@given(table=rows(), flags=FLAGS, rule=RULES, parallel=st.sampled_from([1, 3, 10**6]))
def test_any_parquet(
    table: tuple[list[str], list[list[Any]]],
    flags: list[str],
    rule: str,
    parallel: int,
    scratch: Path,
) -> None:
    names, lines = table
    columns = []
    for at in range(len(names)):
        values = [line[at] for line in lines]
        try:
            columns.append(pa.array(values))
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            columns.append(pa.array([repr(value) for value in values]))
    with workspace(scratch) as folder:
        path = folder / "t.parquet"
        safe = [name.encode("utf-8", "replace").decode() for name in names]
        pq.write_table(pa.Table.from_arrays(columns, names=safe), path)
        run_select(folder, path, flags, 4)
        words = ["--orders", 1, "--draws", 0, "--parallel", parallel, "--rules", rule]
        check_command(folder, "replay", path, *words, *flags)


@given(number=NUMBERS, name=st.sampled_from(NAMES))
def test_a_single_unusual_number(number: Any, name: str, scratch: Path) -> None:
    """All other numbers of the table are valid."""
    names = ["alpha", "accuracy", "rankme", "pretrain_seconds", "d"]
    lines: list[list[Any]] = [[1 + n / 10, n / 10, 20 + n, 5.0, 2**n] for n in range(6)]
    if name not in names:
        names.append(name)
        lines = [[*line, 1] for line in lines]
    lines[2][names.index(name)] = number
    text = "\n".join(",".join(str(cell) for cell in line) for line in [names, *lines])
    with workspace(scratch) as folder:
        path = folder / "t.csv"
        path.write_text(text, encoding="utf-8")
        run_select(folder, path, [], 2)
        check_command(
            folder, "replay", path, "--orders", 1, "--draws", 1, "--rules", "goldilocks,paper"
        )
