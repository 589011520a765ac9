"""The processor's instruction sets, beside what torch finds."""

from __future__ import annotations

import sys

import pytest
import torch

from sweep.core.processor import flags, model


def test_the_processor_has_a_name() -> None:
    assert model()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
@pytest.mark.parametrize(
    ("ours", "torchs"),
    [("avx2", "avx2"), ("avx512f", "avx512_f"), ("amx_tile", "amx_tile"), ("amx_bf16", "amx_bf16")],
)
def test_torch_finds_the_same_instruction_sets(ours: str, torchs: str) -> None:
    if not hasattr(torch.cpu, "get_capabilities"):
        pytest.skip("this torch does not tell")
    assert (ours in flags()) == torch.cpu.get_capabilities().get(torchs, False)
