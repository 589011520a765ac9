"""The journal of a trial: its finished observations, in its own folder."""

from __future__ import annotations

import sys
import time

from sweep.core import codec
from sweep.core.records import Observation
from sweep.storage.location import Location

JOURNAL = "journal.jsonl"


class Journal:
    """Finished observations of one trial, one JSON line each, written before they are yielded.

    A torn last line was never yielded, and is cut off. A damaged line is cut off with all lines
    after it. The study's log has these observations, and ignores them when they are made again.
    """

    def __init__(self, folder: Location) -> None:
        folder.make_folder()
        folder.tidy()
        self._path = folder / JOURNAL
        self._observations: list[Observation] = []
        data, whole = self._data(), 0
        for line in data.splitlines(keepends=True):
            if (observation := _observation(line)) is None:
                break
            self._observations.append(observation)
            whole += len(line)
        if b"\n" in data[whole:]:
            to_log(f"{self._path} is damaged; its first {len(self._observations)} lines are used.")
        if whole < len(data):
            self._path.cut(whole)

    def read(self) -> list[Observation]:
        """Return the observations, in the order in which they were made."""
        return list(self._observations)

    def write(self, observation: Observation) -> None:
        """Put one observation on the disk."""
        self._path.append(codec.encode(observation))
        self._observations.append(observation)

    def _data(self) -> bytes:
        try:
            return self._path.read()
        except FileNotFoundError:
            return b""


def _observation(line: bytes) -> Observation | None:
    """Return the observation in a line of the journal, None if the line is torn or damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        return codec.decode_observation(line)
    except ValueError:
        return None


def to_log(sentence: str) -> None:
    """Write a sentence to the trial's log, which takes stderr."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sentence}\n")
