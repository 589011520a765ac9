"""What a job needs to run a study elsewhere: its config, the modules that it names, its priors."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep.config.study import StudyConfig, read_toml
from sweep.config.text import Override
from sweep.core.errors import ConfigError
from sweep.prediction.prior_file import to_bytes
from sweep.replay.priors import SHIPPED, addresses_of
from sweep.replay.sources import read
from sweep.storage.location import is_object_store

CONFIG = "study.toml"
MOST_BYTES = 10_000_000
"""Of all staged files; Ray keeps them in the head's memory."""

_PLUGIN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def check_places(path: Path | None, overrides: Sequence[str], results: str) -> None:
    """Raise `ConfigError` where data or results lie in a folder of this machine.

    Args:
        path: of the config, None where there is none.
        overrides: `key=value`.
        results: as it was typed.
    """
    if not _means_the_same_elsewhere(results):
        raise ConfigError(
            f"--results is {results!r}, a folder of this machine. Give a place that every node of "
            "the cluster sees: --results s3://BUCKET/PREFIX, or an absolute path on a shared disk."
        )
    tree = {} if path is None else read_toml(path)
    for text in overrides:
        tree = Override.parse(text, axis_fields=()).apply(tree)
    for names in (("data", "path"), ("probe", "data", "path")):
        value: Any = tree
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, str) and not _means_the_same_elsewhere(value):
            key = ".".join(names)
            raise ConfigError(
                f"{key} is {value!r}, a path of this machine. Give the path that the nodes of the "
                f"cluster have: {key}=/ABSOLUTE/PATH."
            )


def stage(config: StudyConfig, modules: Path | None, folder: Path) -> str:
    """Write what a job needs into a folder, and return the digest of it.

    Args:
        config: of the study.
        modules: the folder of the modules that it names.
        folder: an empty one.

    Raises:
        ConfigError: the files are too large, or a prior cannot be read.
        DataError: a prior cannot be read.
    """
    import tomli_w

    config = _with_staged_priors(config, folder)
    tree = config.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    (folder / CONFIG).write_text(tomli_w.dumps({**tree, "name": config.name}), "utf-8")
    if modules is not None:
        for name in _named_modules(tree, modules):
            _copy(modules, name, folder)
    return _digest(folder)


def _with_staged_priors(config: StudyConfig, folder: Path) -> StudyConfig:
    """Write the earlier studies of a rule as files beside the config, and name these."""
    given = addresses_of(config.rule.parameters.get("prior", "none"))
    if given in ([], [SHIPPED]):
        return config
    staged = []
    for number, address in enumerate(given):
        if address == SHIPPED or is_object_store(address):
            staged.append(address)
            continue
        sources = [found.source for found in read(address)]
        name = f"prior-{number}-{re.sub(r'[^A-Za-z0-9_-]+', '-', Path(address).stem)}.json"
        (folder / name).write_bytes(to_bytes(sources))
        staged.append(name)
    return config.model_copy(
        update={"rule": config.rule.with_parameters({**config.rule.parameters, "prior": staged})}
    )


def _named_modules(tree: Mapping[str, Any], folder: Path) -> list[str]:
    """Return the top-level modules of a folder that a config names, and those that they import."""
    waiting = {text.partition(":")[0] for text in _texts(tree) if _PLUGIN.fullmatch(text)}
    found: list[str] = []
    while waiting:
        name = waiting.pop().partition(".")[0]
        if name in found or not _exists(folder, name):
            continue
        found.append(name)
        for file in _files(folder, name):
            if file.suffix == ".py":
                waiting |= _imports(file)
    return sorted(found)


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a config, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _imports(file: Path) -> set[str]:
    """Return the names of the modules that a file of Python imports."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # the job's first step names the place
        return set()
    names = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def _exists(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def _files(folder: Path, name: str) -> list[Path]:
    """Return the files of a module or of a whole package, compiled ones left out."""
    if not (folder / name / "__init__.py").is_file():
        return [folder / f"{name}.py"]
    files = (file for file in (folder / name).rglob("*") if file.is_file())
    return sorted(file for file in files if "__pycache__" not in file.parts)


def _copy(folder: Path, name: str, target: Path) -> None:
    """Copy a module or a package; raise `ConfigError` where the staged files become too large."""
    for file in _files(folder, name):
        copy = target / file.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        staged = sum(other.stat().st_size for other in target.rglob("*") if other.is_file())
        if staged > MOST_BYTES:
            raise ConfigError(
                f"The modules of this config are larger than {MOST_BYTES / 1e6:.0f} MB, with "
                f"{file}. Install the package {name} on every node, and move its folder away from "
                "the config."
            )


def _digest(folder: Path) -> str:
    """Return a digest of the names and contents of all files in a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    contents = [
        [str(file.relative_to(folder)), hashlib.blake2b(file.read_bytes()).hexdigest()]
        for file in files
    ]
    return hashlib.blake2b(json.dumps(contents).encode(), digest_size=16).hexdigest()


def _means_the_same_elsewhere(place: str) -> bool:
    return is_object_store(place) or place.startswith("/")
