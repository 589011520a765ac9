"""Time two ways of doing one thing, in turn, and write the result down as one object."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "ray", "duckdb", "pyarrow")
EXTENSIONS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "sve")
"""Processor features that decide how fast matrices are multiplied."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A number of ours and the plain way's, from one run on one machine.

    Args:
        name: of the bench.
        value: median of ours, in `unit`.
        unit: `s`, `images/s`, ...
        baseline: median of the plain way, in `unit`.
        ratio: value / baseline.
        spread: least and most over the repeats, of `value` and of `baseline`.
        repeats: how often each was timed.
        device: name of the GPU, or `cpu` and its threads.
        extra: what this bench adds: errors, sizes.
        processor, versions: where it ran.
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
        """Return one JSON object; what is `extra` stands beside the rest."""
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
    """Seconds of both ways, one of each per repeat."""

    ours: tuple[float, ...]
    baseline: tuple[float, ...]

    def figure(self, name: str, *, device: str, items: int | None = None, **extra: Any) -> Figure:
        """Return the medians as seconds, or as images/s where `items` images were treated."""
        unit, ours, baseline = "s", self.ours, self.baseline
        if items is not None:
            unit = "images/s"
            ours = tuple(items / taken for taken in ours)
            baseline = tuple(items / taken for taken in baseline)
        value, beside = statistics.median(ours), statistics.median(baseline)
        return Figure(
            name=name,
            value=value,
            unit=unit,
            baseline=beside,
            ratio=value / beside,
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
    """Run both once to warm up, then ours, baseline, ours, baseline, ...

    Args:
        ours, baseline: the same work, done two ways.
        repeats: timed runs of each, at least 1.
        device: where the work happens, as `torch.device` reads it.

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
    begin = torch.cuda.Event(enable_timing=True)  # torch
    end = torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize(device)
    begin.record(torch.cuda.current_stream(device))
    work()
    end.record(torch.cuda.current_stream(device))
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


def bf16_ceiling(device: str, *, side: int = 8192) -> float:
    """Return FLOP/s of a product of two square bfloat16 matrices, the best of ten."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    torch.mm(a, b)
    return 2 * side**3 / min(seconds(lambda: torch.mm(a, b), device) for _ in range(10))


def of_ceiling(flop: float, taken_seconds: float, device: str) -> dict[str, Any]:
    """Return `bf16_ceiling_fraction` of work just timed on a GPU; nothing for a CPU."""
    if torch.device(device).type != "cuda":
        return {}
    return {"bf16_ceiling_fraction": flop / taken_seconds / bf16_ceiling(device)}


def describe(device: str) -> str:
    """Return the GPU's name, or `cpu` and the threads that torch uses."""
    if torch.device(device).type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{device}, {torch.get_num_threads()} threads"


def processor() -> str:
    """Return the processor's model and those of its features in `EXTENSIONS`."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in lines)
    found = {key.strip(): value.strip() for key, _, value in pairs}
    flags = found.get("flags", found.get("Features", "")).split()
    model = found.get("model name", platform.machine())
    return " ".join([model, *(name for name in EXTENSIONS if name in flags)])


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that do the work."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):  # a machine may lack ray or duckdb
            found[name] = version(name)
    return found
