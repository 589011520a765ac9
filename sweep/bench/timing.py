"""Times two ways to do the same work in turn, and reports the result as one object."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from sweep.core import processor as cpu

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "ray", "duckdb", "pyarrow")
EXTENSIONS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "sve")
"""Instruction sets that decide how fast a processor multiplies matrices."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A number of our way and of the plain way, from one run on one machine.

    Args:
        name: of the bench.
        value: median of our way, in `unit`.
        unit: `s`, `images/s`, ...
        baseline: median of the plain way, in `unit`.
        ratio: value / baseline.
        spread: minimum and maximum over the repeats, of `value` and of `baseline`.
        repeats: how often each way was timed.
        device: name of the GPU, or `cpu` and its number of threads.
        extra: further fields of this bench, such as errors and sizes.
        processor, versions: of the machine on which it ran.
    """

    name: str
    value: float
    unit: str
    baseline: float
    ratio: float
    spread: Mapping[str, Sequence[float]]
    repeats: int
    device: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    processor: str = field(default_factory=lambda: processor())
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    def to_json(self) -> str:
        """Return one JSON object; the fields of `extra` are beside the others."""
        fields = asdict(self)
        return json.dumps(fields | fields.pop("extra"), allow_nan=False)

    def to_text(self) -> str:
        """Return the figure as lines for reading."""
        lines = [
            f"{self.name}: {self.value:.4g} {self.unit}, baseline {self.baseline:.4g}, "
            f"ratio {self.ratio:.3g} (medians of {self.repeats})",
            *(f"  {key} {least:.4g} to {most:.4g}" for key, (least, most) in self.spread.items()),
            *(f"  {key} {value}" for key, value in self.extra.items()),
            f"  {self.device}; {self.processor}",
        ]
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Seconds of both ways, one of each for each repeat."""

    ours: tuple[float, ...]
    baseline: tuple[float, ...]

    def figure(self, name: str, *, device: str, items: int | None = None, **extra: Any) -> Figure:
        """Return the medians in seconds, or in images/s if `items` is a number of images."""
        unit, ours, baseline = "s", self.ours, self.baseline
        if items is not None:
            unit = "images/s"
            ours = tuple(items / taken for taken in ours)
            baseline = tuple(items / taken for taken in baseline)
        value, plain = statistics.median(ours), statistics.median(baseline)
        return Figure(
            name=name,
            value=value,
            unit=unit,
            baseline=plain,
            ratio=value / plain,
            spread={
                "value": (min(ours), max(ours)),
                "baseline": (min(baseline), max(baseline)),
            },
            repeats=len(ours),
            device=describe(device),
            extra=extra,
        )


def in_turn(
    ours: Callable[[], object], baseline: Callable[[], object], *, repeats: int, device: str
) -> Timing:
    """Run both once to warm up, then time ours, baseline, ours, baseline, ...

    Args:
        ours, baseline: the same work, done in two ways.
        repeats: how many timed runs of each, at least 1.
        device: on which the work runs, as `torch.device` reads it.

    Raises:
        ValueError: repeats below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}, but must be >= 1.")
    ours()
    baseline()
    pairs = [(seconds(ours, device), seconds(baseline, device)) for _ in range(repeats)]
    return Timing(ours=tuple(a for a, _ in pairs), baseline=tuple(b for _, b in pairs))


def seconds(work: Callable[[], object], device: str) -> float:
    """Return the seconds `work` takes; on a GPU between two CUDA events around it."""
    if torch.device(device).type != "cuda":
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    begin = torch.cuda.Event(enable_timing=True)
    end = torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize(device)
    begin.record(torch.cuda.current_stream(device))
    work()
    end.record(torch.cuda.current_stream(device))
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


def bf16_ceiling(device: str, *, side: int = 8192) -> float:
    """Return the FLOP/s of a product of two square bfloat16 matrices, the best of ten runs."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    torch.mm(a, b)
    return 2 * side**3 / min(seconds(lambda: torch.mm(a, b), device) for _ in range(10))


def of_ceiling(flop: float, taken_seconds: float, device: str) -> dict[str, Any]:
    """Return `bf16_ceiling_fraction` of work that was timed on a GPU; nothing for a CPU."""
    if torch.device(device).type != "cuda":
        return {}
    return {"bf16_ceiling_fraction": flop / taken_seconds / bf16_ceiling(device)}


def describe(device: str) -> str:
    """Return the GPU's name, or `cpu` and the threads that torch uses."""
    if torch.device(device).type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{device}, {torch.get_num_threads()} threads"


def processor() -> str:
    """Return the processor's model, and those of its instruction sets that `EXTENSIONS` names."""
    has = cpu.flags()
    return " ".join([cpu.model(), *(name for name in EXTENSIONS if name in has)])


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that do the work."""
    installed = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):  # a machine may lack ray or duckdb
            installed[name] = version(name)
    return installed
