"""Checks of the data and of the results' storage, from this process and from each node."""

from __future__ import annotations

import os
import platform
import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from typing import Any

from sweep.config.models import DataConfig
from sweep.config.study import StudyConfig
from sweep.core.errors import SweepError
from sweep.doctor.finding import Finding
from sweep.doctor.storage import nearest
from sweep.storage.location import Location, locate

Seen = dict[str, Any]


def data_here(config: StudyConfig) -> Iterator[Finding]:
    """Yield whether this process finds the images of a config."""
    from sweep.datasets.cache import load
    from sweep.datasets.reading.report import lines_of

    for check, data in _sets(config).items():
        try:
            yield Finding(check=check, state="ok", seen=f"{_named(data)}, digest {_digest(data)}")
            for line in lines_of(load(data).report):
                yield Finding(check=check, state="ok", seen=" ".join(line.split()))
        except (SweepError, OSError) as error:
            cure = f"Put the images there, or name another place with {check}.path=PATH."
            yield Finding(check=check, state="wrong", seen=str(error), cure=cure)
    if not _sets(config):
        yield Finding(check="data", state="ok", seen="the config names none: the trial has its own")


def findings(
    results: Location, config: StudyConfig | None, address: str | None, path: str | None
) -> Iterator[Finding]:
    """Yield whether Ray starts, or can be joined, and the findings of each node.

    Args:
        results: folder of the studies.
        config: names the data that each node looks for.
        address: of a running cluster; by default one is started here, and ended.
        path: folder of the user's plug-ins.
    """
    from sweep.runners.ray.cluster import cluster  # here alone, so that a machine may lack ray
    from sweep.runners.ray.on_nodes import nodes, on_node

    sets = {} if config is None else _sets(config)
    fields = {name: data.model_dump(mode="json") for name, data in sets.items()}
    with cluster(address) as total:
        how = "started here" if address is None else f"joined at {address}"
        seen = f"{how}: {total.nodes} nodes, {total.cpus:g} CPU, {total.gpus:g} GPU in all"
        yield Finding(check="ray", state="ok", seen=seen.replace("1 nodes", "1 node"))
        ours = here(fields, path)
        token = nearest(results).scratch("doctor")
        files_made = [token]
        try:
            with suppress(OSError):  # the check of the storage reports it
                token.write(secrets.token_hex(8).encode())
            for node in nodes():
                note = token.with_name(token.name.replace(".tmp", f".{node.id[:12]}.tmp"))
                files_made.append(note)
                try:
                    theirs = on_node(node.id, look, str(token), str(note), fields, path)
                except TimeoutError:
                    yield Finding(check=f"node {node.name}", state="wrong",
                                  seen=f"{node.has}; it ran no task within a minute",
                                  cure="See `ray status`, and what else runs there.")  # fmt: skip
                    continue
                except Exception as error:  # of the task, or of its environment
                    reason = str(error).strip().splitlines()[-1]
                    yield Finding(check=f"node {node.name}", state="wrong",
                                  seen=f"{node.has}; a task ended with {reason}",
                                  cure="Install the same version of sweep there.")  # fmt: skip
                    continue
                yield from compared(node.name, node.has, ours, theirs)
                yield from shared(node.name, token, note, theirs)
        finally:
            for file in files_made:
                with suppress(OSError):
                    file.remove()


def here(sets: dict[str, Any], path: str | None = None) -> Seen:
    """Return this process's versions, and each data set's digest, or why there is none."""
    from sweep.core.plugins import importable

    importable(path)
    versions = {"python": platform.python_version()}
    for name in ("ray", "sweep", "torch"):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    digests = {}
    for name, fields in sets.items():
        try:
            digests[name] = _digest(DataConfig(**fields))
        except (SweepError, OSError) as error:
            digests[name] = f"error: {error}"
    return {"versions": versions, "data": digests, "host": socket.gethostname()}


def look(token: str, note: str, sets: dict[str, Any], path: str | None) -> Seen:
    """Return what a node sees. It runs there, reads the driver's token and writes a note."""
    seen = here(sets, path)
    try:
        seen["token"] = locate(token).read().decode()
        locate(note).write(str(os.getpid()).encode())
        seen["note"] = str(os.getpid())
    except (OSError, SweepError) as error:
        seen["storage"] = str(error)
    return seen


def compared(name: str, has: str, ours: Seen, theirs: Seen) -> Iterator[Finding]:
    """Yield the findings on a node's versions and data, compared with the driver's."""
    other = [
        f"{what} {theirs['versions'].get(what, 'missing')} (here {version})"
        for what, version in ours["versions"].items()
        if theirs["versions"].get(what) != version
    ]
    if other:
        seen = f"{has}; {', '.join(other)}"
        cure = "Install the same versions on every node."
        yield Finding(check=f"node {name}", state="wrong", seen=seen, cure=cure)
    else:
        same = ", ".join(f"{what} {version}" for what, version in theirs["versions"].items())
        yield Finding(check=f"node {name}", state="ok", seen=f"{has}; {same}")
    for what, digest in theirs["data"].items():
        check, mine = f"{what} on {name}", ours["data"][what]
        cure = "Put the same images at the same path on every node, or on storage they share."
        if digest.startswith("error: "):
            seen = digest.removeprefix("error: ")
            yield Finding(check=check, state="wrong", seen=seen, cure=cure)
        elif digest != mine:
            seen = f"digest {digest}, and the driver's digest is {mine}"
            yield Finding(check=check, state="wrong", seen=seen, cure=cure)
        else:
            yield Finding(check=check, state="ok", seen=f"the same as here, digest {digest}")


def shared(name: str, token: Location, note: Location, theirs: Seen) -> Iterator[Finding]:
    """Yield whether a node writes its results to the same storage as the driver."""
    check = f"results on {name}"
    cure = "Name storage that all nodes see, with --results DIR or --results s3://BUCKET/PREFIX."
    try:
        token_here, note_here = token.read().decode(), note.read().decode()
    except OSError:
        token_here, note_here = "", ""
    if "storage" in theirs:
        yield Finding(check=check, state="wrong", seen=theirs["storage"], cure=cure)
    elif token_here == "" or (theirs["token"], theirs["note"]) != (token_here, note_here):
        seen = f"{token.parent} is another folder there than here"
        yield Finding(check=check, state="wrong", seen=seen, cure=cure)
    else:
        yield Finding(check=check, state="ok", seen=f"{token.parent}: the same as here, writable")


def _sets(config: StudyConfig) -> dict[str, DataConfig]:
    """Return the data sets of a study, by the name of their part of the config."""
    from sweep.runners.worker import TRIALS

    own = config.trial not in TRIALS
    sets = {} if own and config.data.path is None else {"data": config.data}
    if config.probe.data is not None and not own:
        sets["probe.data"] = config.probe.data
    return sets


def _named(data: DataConfig) -> str:
    return str(data.path or data.name or "cluttered_digits")


def _digest(data: DataConfig) -> str:
    from sweep.datasets.cache import fingerprint

    return fingerprint(data)
