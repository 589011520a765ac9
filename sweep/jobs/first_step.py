"""The first step of a job: check this node, the storage, the data and the plug-ins, before a write.

The job runs `sweep job` in the environment of the head node. If a check fails, it prints the
sentence of an error and exits with 2, and no study is begun. Otherwise it prints a line that begins
with `CHECKED`, and runs the study.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from sweep.config.study import StudyConfig
from sweep.core.errors import UserError
from sweep.core.plugins import importable
from sweep.doctor import nodes
from sweep.doctor.finding import Finding
from sweep.launch.run_or_resume import check_config
from sweep.storage.location import Location

CHECKED = "checked     "
"""How the line begins that says that all checks passed."""


def python_version() -> str:
    """Return the version of Python, without its last part."""
    return ".".join(platform.python_version_tuple()[:2])


def check(
    config: StudyConfig,
    results: Location,
    *,
    modules: Path,
    python: str,
    version: str,
    tell: Callable[[str], None],
) -> None:
    """Raise `UserError` where this cluster cannot run a study as it was submitted.

    Args:
        config: of the study.
        results: where its folder is, or will be.
        modules: the folder of the modules that the config names.
        python: version of Python on the machine that submitted the study.
        version: of sweep there.
        tell: takes the line that says what was checked.
    """
    _check_version("Python", python, python_version(), "Use the Python of the cluster's nodes")
    _check_version(
        "sweep", version, metadata.version("sweep"), "Install the same version on both sides"
    )
    importable(modules)
    results.check_writable()
    check_config(results / config.name, config)
    found = list(nodes.data_here(config))
    found += nodes.findings(results, config, "auto", str(modules))
    if wrong := [finding for finding in found if finding.state == "wrong"]:
        raise UserError(" ".join(_sentence(finding) for finding in wrong[:3]))
    seen = next(finding.seen for finding in found if finding.check == "ray")
    tell(f"{CHECKED}Python {python}, sweep {version}, storage and data; Ray {seen}")


def _check_version(what: str, here: str, there: str, cure: str) -> None:
    if here != there:
        raise UserError(
            f"The cluster has {what} {there}, and the study was submitted with {what} {here}. "
            f"{cure}."
        )


def _sentence(finding: Finding) -> str:
    return f"{finding.check}: {finding.seen.rstrip('.')}. {finding.cure}".strip()
