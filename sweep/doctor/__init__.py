"""What is wrong with this machine, its storage, its cluster or a study, and what to type next.

Everything is tried rather than read about: a library is imported, a device computes, a file is
written, locked and read back, each node of a cluster looks at the data and at the results. Nothing
is left behind, no folder is made, and no study is written to. Each look stands alone: one that
fails is told, and the others go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sweep.config.models import StudyConfig
from sweep.core.plugins import importable
from sweep.doctor import machine, nodes, storage, study
from sweep.doctor.finding import Finding, looked
from sweep.log.study_folder import find
from sweep.storage.location import Location

__all__ = ["Finding", "examine"]


def examine(
    *,
    results: Location,
    name: str | None = None,
    config: Path | None = None,
    address: str | None = None,
) -> Iterator[Finding]:
    """Yield what is found, in the order in which it is looked at.

    Args:
        results: where studies lie, or will.
        name: a study to look at: its name under `results`, or its path.
        config: a TOML file whose data is looked for; by default the study's.
        address: a Ray cluster to join; by default the config's.

    Raises:
        UserError: there is no such study or config.
    """
    folder = None if name is None else find(results, name)
    told, beside = None, None
    if config is not None:
        told, beside = StudyConfig.load(config), config.resolve().parent
    elif folder is not None:
        told, beside = study.config_of(folder)
    importable(beside)
    results = results if folder is None else folder.parent
    yield from looked("devices", machine.devices)
    yield from looked("versions", machine.versions)
    yield from looked("storage", lambda: storage.findings(results))
    local = told is not None and told.resources.runner == "local" and address is None
    if told is not None:
        yield from looked("data", lambda: nodes.data_here(told))
    if local:
        yield Finding(check="ray", state="ok", seen='not needed: resources.runner is "local"')
    else:
        if address is None and told is not None:
            address = told.resources.address
        path = None if beside is None else str(beside)
        yield from looked("ray", lambda: nodes.findings(results, told, address, path))
    if folder is not None:
        yield from looked("study", lambda: study.findings(folder))
