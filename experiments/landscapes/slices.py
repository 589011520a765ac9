"""Print one slice of a table's candidates, as an override for `sweep run`.

    sweep run NAME.toml "$(python slices.py NAME.toml 0 16 data.path=cifar10)" name=NAME-0

Slice K of N holds the candidates K, K + N, K + 2N, ... in an order that follows from the config. A
candidate has the same settings, weights and `trial_id` in a slice as in the whole table. So many
processes, or many machines, can make a table, and `sweep landscape NAME-0 NAME-1 ...` joins the
slices.
"""

from __future__ import annotations

import json
import sys

from sweep.config.space import candidates
from sweep.config.study import StudyConfig
from sweep.pretraining.members import binder


def override(path: str, part: int, parts: int, changes: list[str]) -> str:
    """Return `space={points=[...]}` with the points of slice `part` of `parts`."""
    study = StudyConfig.load(path, changes)
    points = [candidate.point for candidate in candidates(study, "", binder())][part::parts]
    tables = (
        ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in point.items())
        for point in points
    )
    return "space={points=[" + ", ".join(f"{{{table}}}" for table in tables) + "]}"


if __name__ == "__main__":
    config, part, parts, *changes = sys.argv[1:]
    sys.stdout.write(override(config, int(part), int(parts), changes) + "\n")
