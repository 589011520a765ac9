"""What is told of a study's images before it trains: printed, and kept in the log.

The log's first event keeps it in `StudyBegan.chosen`, under the names `data` and `probe.data`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.config.models import PRESETS, AugmentConfig
from sweep.config.study import StudyConfig
from sweep.datasets.cache import Data, Reader, load
from sweep.datasets.reading.report import Report, for_the_log, lines_of

DATA, PROBE_DATA = "data", "probe.data"
COLOURED = ("grey", "saturation", "hue")
"""Keys of `[augment]` that need three channels."""


def reports(config: StudyConfig, data: Data | None, read: Reader = load) -> dict[str, Report]:
    """Return how the images of a study were read, by the name of their table in the config.

    Args:
        config: of the study.
        data: its images; None for the user's own training code, of which nothing is told.
        read: the images of the probe.
    """
    if data is None:
        return {}
    found = {DATA: dict(data.report)}
    if config.probe.data is not None:
        found[PROBE_DATA] = dict(read(config.probe.data).report)
    notes = [*preset(config.augment), *left_out(config.augment, data)]
    found[DATA]["notes"] = [*found[DATA].get("notes", ()), *notes]
    return found


def preset(recipe: AugmentConfig) -> list[str]:
    """Return a sentence about the preset of the views and the keys that it sets."""
    if recipe.preset is None:
        return []
    keys = ", ".join(f"{key} = {getattr(recipe, key):g}" for key in PRESETS[recipe.preset])
    return [f"views by the preset {recipe.preset}: {keys or 'the defaults'}"]


def left_out(recipe: AugmentConfig, data: Data) -> list[str]:
    """Return a sentence about the augmentations that images of these channels cannot have."""
    used = [recipe.recipe(second=second) for second in (False, True)]
    active = [
        name
        for name in COLOURED
        if any(getattr(one, name) > 0 and (name == "grey" or one.jitter > 0) for one in used)
    ]
    if data.shape[0] == 3 or not active:
        return []
    names = ", ".join(f"augment.{name}" for name in active)
    return [f"the images have {data.shape[0]} channels, so what needs 3 is left out: {names}"]


def lines(found: Mapping[str, Report]) -> list[str]:
    """Return the lines that are printed before training."""
    told = lines_of(found[DATA]) if DATA in found else []
    if PROBE_DATA in found:
        told += ["", "The probe's data:", *lines_of(found[PROBE_DATA])]
    return told


def kept(found: Mapping[str, Report]) -> dict[str, Any]:
    """Return what the log keeps of the reports."""
    return {name: for_the_log(report) for name, report in found.items()}
