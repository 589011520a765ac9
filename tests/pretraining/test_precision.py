"""The format in which matrices are multiplied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sweep.core import processor
from sweep.pretraining.precision import autocast, resolve_precision


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file in which a processor describes itself; read anew in this test."""
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    processor.fields.cache_clear()
    yield tmp_path / "cpuinfo"
    processor.fields.cache_clear()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu avx512f amx_bf16 amx_tile", "bfloat16"), ("fpu avx2 avx512_bf16", "float32")],
)
def test_auto_is_bfloat16_on_a_processor_with_amx(cpuinfo: Path, flags: str, expected: str) -> None:
    core = f"processor\t: 0\nmodel name\t: A Processor\nflags\t\t: {flags}\n\n"
    cpuinfo.write_text(core + core.replace("0", "1", 1), encoding="utf-8")
    assert resolve_precision("auto", "cpu") == expected
    assert resolve_precision("float32", "cpu") == "float32"
    assert resolve_precision("auto", "meta") == "float32"
    assert processor.model() == "A Processor"


def test_a_system_without_cpuinfo_has_no_flags(cpuinfo: Path) -> None:
    assert processor.flags() == frozenset()
    assert processor.model()


def test_autocast_multiplies_in_the_format() -> None:
    ones = torch.ones(2, 2)
    with autocast("bfloat16", "cpu"):
        assert (ones @ ones).dtype == torch.bfloat16
    with autocast("float32", "cpu"):
        assert (ones @ ones).dtype == torch.float32
