"""A study of eight small models, seconds of work; every model is trained and probed."""

from __future__ import annotations

from pathlib import Path

CANDIDATES = 8
TOML = """
name = "tiny"
[data]
name = "cluttered_digits"
limit = 400
[encoder]
name = "small_conv"
[train]
epochs = 4
batch = 64
[criteria]
images = 400
[space.axes]
d = [8, 16]
lambd = { low = 1e-4, high = 1.0, points = 4, log = true }
[rule]
name = "all"
"""


def probed(results: Path) -> int:
    """Return how often a trial of the study in a folder was probed."""
    log = results / "tiny" / "events.jsonl"
    return log.read_text().count('"stage":"probed"') if log.exists() else 0
