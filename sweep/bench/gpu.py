"""The bench of a GPU: everything that only a GPU can answer, in a few minutes, part by part.

`gpu.json` is written again after each part, so that a machine that is lent for minutes loses one
part at most. A part that fails is recorded with its reason, and the next part begins. Needs none
of Ray, Optuna and DuckDB.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from sweep.bench import alpha, probe, train
from sweep.bench.timing import describe, processor, seconds, versions
from sweep.config.study import StudyConfig
from sweep.core.errors import UserError
from sweep.core.records import Outcome
from sweep.launch import launch

REPORT = "gpu.json"
AT_ONCE = (1, 2, 4, 8)
"""Numbers of trials that share the GPU."""
STUDY_SHARE = 0.5
"""Share of the minutes that the study may take."""

Part = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was measured.

    Args:
        device: name of the GPU.
        parts: part -> its figures, its seconds, and its error if it failed.
        skipped: parts for which no time was left.
        processor, versions: of the machine.
    """

    device: str
    parts: Mapping[str, Mapping[str, Any]]
    skipped: tuple[str, ...] = ()
    processor: str = field(default_factory=lambda: processor())
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    def to_json(self) -> str:
        """Return one JSON object."""
        return json.dumps(asdict(self), allow_nan=False)

    def to_text(self) -> str:
        """Return lines for reading."""
        lines = [self.device]
        for name, values in self.parts.items():
            lines.append(f"{name}  {values['seconds']:.0f} s")
            lines += [f"  {key} {value}" for key, value in values.items() if key != "seconds"]
        lines += [f"{name}  skipped: no time was left" for name in self.skipped]
        return "\n".join(lines)


def run(
    *,
    device: str = "cuda",
    output: Path = Path("gpu"),
    data: Path | None = None,
    minutes: float = 9.0,
    repeats: int = 2,
    small: bool = False,
) -> Report:
    """Measure a GPU, and write `output/gpu.json` after each part.

    The parts: the training of one trial (images/s, and the fraction of the bfloat16 ceiling of a
    matrix product), several trials at once as processes against one, alpha, the probe, and a study
    of ResNet-18s.

    Args:
        device: `cuda`, or `cpu` to try the bench itself.
        output: folder of the report and of the study, made if need be.
        data: images of the study. Default: the embedded digits with clutter.
        minutes: parts that have not begun by then are skipped; the study ends by then.
        repeats: timed runs of each way.
        small: sizes that a CPU computes in a minute, to try the bench itself.

    Raises:
        UserError: torch sees no GPU, or the folder holds a report.
    """
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu and not torch.cuda.is_available():
        raise UserError("torch sees no GPU here. `sweep doctor` says why.")
    file = output / REPORT
    if file.exists():
        raise UserError(f"{file} is there. Give another folder with -o FOLDER.")
    output.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 60 * minutes
    sizes = {"images": 64, "batch": 32, "d": 32, "side": 8} if small else {"images": 10_240}
    features = {"images": 400, "dim": 64} if small else {}
    parts: dict[str, Part] = {
        "train": lambda: _figure(
            train.run(device=device, repeats=repeats, workers=1, steps=2 if small else 20, **sizes)
        ),
        "trials_at_once": lambda: _at_once(device, repeats, **sizes),
        "alpha": lambda: _figure(
            alpha.run(device=device, repeats=repeats, last=32 if small else 100, **features)
        ),
        "probe": lambda: _figure(
            probe.run(
                device=device, repeats=repeats, epochs=2 if small else 100,
                **(features | {"held_out": 50} if small else {}),
            )
        ),
        "study": lambda: _study(
            output, data, min(60 * minutes * STUDY_SHARE, until - time.monotonic()), small=small
        ),
    }  # fmt: skip
    done: dict[str, Mapping[str, Any]] = {}
    skipped: list[str] = []
    for name, part in parts.items():
        if time.monotonic() >= until:
            skipped.append(name)
        else:
            done[name] = _measured(part)
        report = Report(device=describe(device), parts=done, skipped=tuple(skipped))
        file.write_text(report.to_json() + "\n", encoding="utf-8")
    return report


def _measured(part: Part) -> Mapping[str, Any]:
    """Return a part's figures and seconds, or why it failed."""
    began = time.perf_counter()
    try:
        figures = dict(part())
    except Exception as error:  # of any library: the other parts are still worth their time
        figures = {"error": f"{type(error).__name__}: {error}"}
    return {**figures, "seconds": time.perf_counter() - began}


def _figure(figure: Any) -> Mapping[str, Any]:
    """Return a figure's own numbers; the machine is said once, in the report."""
    values = asdict(figure)
    extra = values.pop("extra")
    for name in ("name", "device", "processor", "versions"):
        values.pop(name)
    return {**values, **extra}


def _at_once(device: str, repeats: int, **sizes: int) -> Mapping[str, Any]:
    """Return images/s of all trials together, for each number of trials that share the device."""
    steps = 5
    sizes = {"batch": 256, "d": 2048, "side": 32, **sizes}
    rates: dict[str, float] = {}
    for count in AT_ONCE:
        with train.team(count, "ours", train.Sizes(steps=steps, **sizes), device) as work:
            work()  # not timed: the kernels are loaded and chosen
            taken = [seconds(work, device) for _ in range(repeats)]
        rates[str(count)] = count * steps * sizes["batch"] / statistics.median(taken)
    one = rates[str(AT_ONCE[0])]
    return {
        "images_per_second": rates,
        "against_one": {count: rate / one for count, rate in rates.items()},
    }


def _study(output: Path, data: Path | None, limit: float, *, small: bool) -> Mapping[str, Any]:
    """Run a study by the default rule within a limit of seconds, and return how it ended."""
    tree: dict[str, Any] = {
        "name": "study",
        "data": {"name": "cluttered_digits"} if data is None else {"path": str(data)},
        "encoder": {"name": "small_conv" if small else "resnet18"},
        "train": {"epochs": 1 if small else 10, "batch": 64 if small else 256},
        "criteria": {"images": 200 if small else 5000},
        "space": {
            "axes": {
                "d": [8, 16] if small else [128, 512, 2048],
                "lambd": [0.005, 0.05] if small else [0.0005, 0.005, 0.05, 0.5],
            }
        },
        "resources": {"runner": "local"},
        "budget": {"wall_seconds": max(1.0, limit)},
    }
    if small:
        tree["data"]["limit"] = 300
    config = StudyConfig.parse(tree, warn=lambda sentence: None)
    outcome = launch.run(config, results=output, warn=lambda sentence: None)
    return _ended(outcome)


def _ended(outcome: Outcome) -> Mapping[str, Any]:
    """Return the fields of an outcome that are plain values."""
    values = asdict(outcome)
    return {
        key: value
        for key, value in values.items()
        if isinstance(value, str | int | float | bool | None)
    }
