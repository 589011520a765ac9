"""Checks of this machine: does it compute, and are the libraries installed that `sweep` needs."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib import metadata

import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError
from sweep.core.plugins import import_library
from sweep.doctor.finding import Finding

SCARCE_BYTES = 2e9
"""Memory that torch, Ray and the worker of one trial take."""
IMPORTED_LIBRARIES = ("torch", "torchvision", "ray", "optuna", "duckdb", "numpy", "pyarrow")
"""Libraries that are imported as a check, because they may be installed and broken."""


def devices() -> Iterator[Finding]:
    """Yield findings on the processor, the memory and each GPU, which each compute a sum."""
    memory = psutil.virtual_memory()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    seen = f"{cores} cores for this process, of {os.cpu_count()}"
    seen += f"; {memory.total / 1e9:.1f} GB of memory, {memory.available / 1e9:.1f} GB free"
    scarce = memory.available < SCARCE_BYTES
    cure = "End other programs, or run fewer trials at once: resources.parallel=1."
    yield Finding(
        check="cpu", state="warning" if scarce else "ok", seen=seen, cure=cure if scarce else ""
    )
    import torch

    if not _computes("cpu"):
        cure = "Install torch again: uv sync --reinstall-package torch."
        yield Finding(check="torch on cpu", state="wrong", seen="a sum came out wrong", cure=cure)
    if not torch.cuda.is_available():
        yield _no_gpu(built=torch.version.cuda)
        return
    for number in range(torch.cuda.device_count()):
        yield _gpu(f"cuda:{number}")


def processes(config: StudyConfig) -> Iterator[Finding]:
    """Yield whether this machine can run the processes of a trial, if it has more than one."""
    from sweep.pretraining.parallel.checks import check_backend
    from sweep.runners.devices import devices as devices_of

    count = config.resources.processes_of_a_trial
    if count == 1 or config.resources.address is not None:
        return
    try:
        each = devices_of(config)
        check_backend(gpu=bool(each.gpu))
    except ConfigError as error:
        cure = "Change resources, or run on a machine that has more."
        yield Finding(check="processes", state="wrong", seen=str(error), cure=cure)
        return
    on = f"{each.gpu:g} GPUs" if each.gpu else f"{each.cpu:g} cores"
    seen = f"{count} for a trial, on {on}; {each.parallel} trials at once"
    if config.trial == "pretrain" and (rest := config.train.batch % count):
        cure = f"Set train.batch={config.train.batch - rest or count}, or give it in an axis."
        seen += f"; train.batch = {config.train.batch} has no {count} equal parts"
        yield Finding(check="processes", state="warning", seen=seen, cure=cure)
        return
    yield Finding(check="processes", state="ok", seen=seen)


def _no_gpu(built: str | None) -> Finding:
    if shutil.which("nvidia-smi") is None:
        return Finding(check="gpu", state="ok", seen="none: trials run on the CPU")
    if built is None:
        seen, cure = (
            "nvidia-smi is here, and this torch is built without CUDA",
            (
                "Install a CUDA build: pip install torch torchvision --index-url "
                "https://download.pytorch.org/whl/cu130."
            ),
        )
    else:
        seen = f"nvidia-smi is here, and torch (for CUDA {built}) finds no GPU"
        cure = "See what nvidia-smi says, and whether CUDA_VISIBLE_DEVICES hides it."
    return Finding(check="gpu", state="warning", seen=seen, cure=cure)


def _gpu(device: str) -> Finding:
    import torch

    try:
        name = torch.cuda.get_device_name(device)
        free, total = torch.cuda.mem_get_info(device)
        right = _computes(device)
    except RuntimeError as error:
        seen = str(error).strip().splitlines()[0]
        cure = "See nvidia-smi: it may be full, broken, or too old for this torch."
        return Finding(check=device, state="wrong", seen=seen, cure=cure)
    seen = f"{name}, {total / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB free"
    if not right:
        cure = "The GPU or its driver is broken; leave it out with CUDA_VISIBLE_DEVICES."
        return Finding(check=device, state="wrong", seen=f"{seen}; a sum came out wrong", cure=cure)
    return Finding(check=device, state="ok", seen=seen)


def _computes(device: str) -> bool:
    import torch

    side = 64
    ones = torch.ones(side, side, device=device)
    return float((ones @ ones).sum()) == side**3


def versions() -> Iterator[Finding]:
    """Yield findings on Python, `IMPORTED_LIBRARIES`, other wrong libraries, and the extras."""
    supported = metadata.metadata("sweep")["Requires-Python"] or ""
    python = platform.python_version()
    right = SpecifierSet(supported).contains(python)
    yield Finding(
        check="python",
        state="ok" if right else "wrong",
        seen=f"{python} (supported: {supported})",
        cure="" if right else f"Use another version: uv venv --python '{supported}'.",
    )
    yield Finding(check="sweep", state="ok", seen=metadata.version("sweep"))
    asked = [Requirement(text) for text in metadata.requires("sweep") or []]
    always = [need for need in asked if need.marker is None or need.marker.evaluate({"extra": ""})]
    for need in sorted(always, key=lambda need: need.name not in IMPORTED_LIBRARIES):
        finding = _library(need)
        if need.name in IMPORTED_LIBRARIES or finding.state != "ok":
            yield finding
    yield from _extras(asked)


def _library(asked: Requirement) -> Finding:
    check, cure = asked.name, f"pip install '{asked.name}{asked.specifier}'"
    try:
        version = metadata.version(asked.name)
    except metadata.PackageNotFoundError:
        return Finding(check=check, state="wrong", seen="not installed", cure=cure)
    seen = f"{version} (supported: {asked.specifier})"
    if asked.name in IMPORTED_LIBRARIES and (why := _broken(asked.name)) is not None:
        return Finding(
            check=check,
            state="wrong",
            seen=f"{version} cannot be imported: {why}",
            cure=f"pip install --force-reinstall '{asked.name}{asked.specifier}'",
        )
    if not asked.specifier.contains(version, prereleases=True):
        return Finding(check=check, state="warning", seen=seen, cure=cure)
    return Finding(check=check, state="ok", seen=seen)


def _broken(name: str) -> str | None:
    """Return why a library cannot be imported, None if it can."""
    try:
        if name == "ray":
            from sweep.runners.ray import cluster  # noqa: F401  # its settings must precede ray
        import_library(name)
    except Exception as error:  # a library's own code may raise any error
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


def _extras(asked: list[Requirement]) -> Iterator[Finding]:
    for extra in metadata.metadata("sweep").get_all("Provides-Extra") or []:
        needs = [
            need
            for need in asked
            if need.marker is not None
            and need.marker.evaluate({"extra": extra})
            and not need.marker.evaluate({"extra": ""})
        ]
        missing = [need.name for need in needs if _library(need).state == "wrong"]
        seen = f"installed: {', '.join(need.name for need in needs)}"
        if missing:
            libraries = ", ".join(missing)
            seen = f"not installed: {libraries}; in sweep's repository: pip install '.[{extra}]'"
        yield Finding(check=f"extra {extra}", state="ok", seen=seen)
