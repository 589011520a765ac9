"""Which digest the images at a path had, and how they were read: `CACHE/known/KEY.json`.

Name, size and times of every file only say whether that still holds. A file whose times changed
costs another reading; a file that only looks unchanged (same size, times set back) has another
ctime.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.config.models import DataConfig
from sweep.config.study import digest
from sweep.core.plugins import Bound
from sweep.datasets._checks import existing_path
from sweep.datasets.reading.found import stamps

FOLDER = "known"


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What was found at a path.

    Args:
        digest: of the images.
        report: how they were read; None if they were only hashed.
    """

    digest: str
    report: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What is remembered of one config's path.

    Args:
        file: that remembers it.
        stamp: of the files as they are now.
        path: of the images.
    """

    file: Path
    stamp: str
    path: str

    def read(self) -> Known | None:
        """Return what was found when the files had the same stamp, or None."""
        try:
            entry = json.loads(self.file.read_text(encoding="utf-8"))
            if entry["stamp"] != self.stamp:
                return None
            return Known(digest=str(entry["digest"]), report=entry["report"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, known: Known) -> None:
        """Remember what was found; a cache that cannot be written remembers nothing."""
        entry = {
            "stamp": self.stamp,
            "path": self.path,
            "digest": known.digest,
            "report": None if known.report is None else dict(known.report),
        }
        partial = self.file.with_suffix(".partial")
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(entry), encoding="utf-8")
            partial.replace(self.file)


def memory_of(config: DataConfig, bound: Bound[Any], cache: Path) -> Memory:
    """Return the memory of a config's images; its files are listed, and none is opened."""
    path = existing_path(config).resolve()
    names = set(DataConfig.model_fields) - {"download", "reading"}
    fields = config.model_dump(mode="json", include=names)
    key = digest({**fields, **bound.keys, "name": bound.name, "path": str(path)})
    return Memory(
        file=cache / FOLDER / f"{key}.json", stamp=digest(stamps(path)), path=str(config.path)
    )


def paths(cache: Path) -> dict[str, list[str]]:
    """Return digest -> paths at which its images were found."""
    found: dict[str, list[str]] = {}
    for file in sorted((cache / FOLDER).glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            entry = json.loads(file.read_text(encoding="utf-8"))
            found.setdefault(str(entry["digest"]), []).append(str(entry["path"]))
    return {name: sorted(set(several)) for name, several in found.items()}
