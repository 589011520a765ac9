"""What README and the pages of the documentation say: their blocks of code and their commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs/pages").rglob("*.md")),
    ROOT / "cluster/README.md",
]


def blocks(kind: str) -> Iterator[tuple[str, str]]:
    """Yield page and text of each block of a kind: sh, toml or python."""
    for page in PAGES:
        for block in re.findall(rf"```{kind}\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            yield str(page.relative_to(ROOT)), block


def commands() -> list[str]:
    """Return every command of sweep in the blocks of shell, as it stands there, once each."""
    found: dict[str, None] = {}
    for _, block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"\s&&\s|;\s", re.sub(r"(^|\s)#\s.*", "", line)):
                command = part.strip().removeprefix("uv run ")
                if command.startswith("sweep "):
                    found[command] = None
    return list(found)


def words(command: str) -> list[str]:
    """Return the words of a command after `sweep`."""
    return shlex.split(command)[1:]


def inline() -> Iterator[tuple[str, str]]:
    """Yield page and text of each piece of code within a sentence."""
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for code in re.findall(r"`([^`\n]+)`", text):
            yield str(page.relative_to(ROOT)), code
