"""What is wrong with this machine, its storage, its cluster or a study, and what to type next.

The checks try things: they import libraries, compute on devices, write, lock and read a file, and
let each node of a cluster read the data and the results. They leave nothing behind and write to no
study. A check that fails is a finding too, and the others go on.
Imports all rooms below except `bench`. To add a check: a function that yields `Finding`s in
`machine`, `storage`, `nodes` or `study`, and its line in `examine`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sweep.config.study import StudyConfig
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
    """Run all checks, and yield each finding as soon as it is there.

    Args:
        results: where the studies are, or will be.
        name: a study to check: its name under `results`, or its path.
        config: a TOML file whose data is checked. Default: the study's config.
        address: a Ray cluster to join. Default: the config's.

    Raises:
        UserError: there is no such study or config.
    """
    folder = None if name is None else find(results, name)
    study_config, config_folder = None, None
    if config is not None:
        study_config, config_folder = StudyConfig.load(config), config.resolve().parent
    elif folder is not None:
        study_config, config_folder = study.config_of(folder)
    importable(config_folder)
    results = results if folder is None else folder.parent
    yield from looked("devices", machine.devices)
    yield from looked("versions", machine.versions)
    yield from looked("storage", lambda: storage.findings(results))
    local = (
        study_config is not None and study_config.resources.runner == "local" and address is None
    )
    if study_config is not None:
        yield from looked("data", lambda: nodes.data_here(study_config))
        yield from looked("processes", lambda: machine.processes(study_config))
    if local:
        yield Finding(check="ray", state="ok", seen='not needed: resources.runner is "local"')
    else:
        if address is None and study_config is not None:
            address = study_config.resources.address
        plugins = None if config_folder is None else str(config_folder)
        yield from looked("ray", lambda: nodes.findings(results, study_config, address, plugins))
    if folder is not None:
        yield from looked("study", lambda: study.findings(folder))
