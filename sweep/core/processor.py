"""The processor of this machine: its model, and the instruction sets that it has."""

from __future__ import annotations

import functools
import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def model() -> str:
    """Return the processor's name, or its architecture where the system gives no name."""
    return fields().get("model name", "") or platform.processor() or platform.machine()


def flags() -> frozenset[str]:
    """Return the instruction sets by their names in Linux: `avx2`, `amx_tile`, `asimd`, ...

    Empty on other systems. psutil does not have them, nor does torch 2.11; newer versions of torch
    have them in `torch.cpu.get_capabilities`.
    """
    known = fields()
    return frozenset(known.get("flags", known.get("Features", "")).split())  # x86, Arm


@functools.cache
def fields() -> dict[str, str]:
    """Return the fields of the last core; the cores of one machine differ in numbers only."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
