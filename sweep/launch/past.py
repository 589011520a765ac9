"""What a study's log says of its config, and which changes a resume may make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweep.config.study import StudyConfig
from sweep.config.text import Override
from sweep.core.errors import StudyError
from sweep.core.events import BudgetChanged, CandidateAdded, StudyBegan
from sweep.datasets import detect, first_reading
from sweep.datasets.torchvision_sets import READERS
from sweep.launch.auto import AUTO
from sweep.log import study_folder
from sweep.storage.location import Location

RULE = "rule"
"""Of `StudyBegan.chosen`: the rule that was chosen where the config says `auto`."""
CHANGEABLE = {"budget", "resources", "space"}
"""Sections that a resume may change; of the budget not the number of labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """What a study's log says of its config.

    Args:
        beginning: the first event.
        config: as last changed.
        known: the ids of its candidates.
    """

    beginning: StudyBegan
    config: StudyConfig
    known: frozenset[str]


def past_of(folder: Location) -> Past:
    """Read a study's log.

    Raises:
        StudyError: there is no log, or it holds no study.
    """
    beginning: StudyBegan | None = None
    config = dict[str, Any]()
    known = set[str]()
    # No list of all events: those of ten thousand trials take 200 MB.
    for event, _ in study_folder.log_of(folder).scan():
        match event:
            case StudyBegan():
                beginning = event if event.seq == 0 else beginning
                config = dict(event.config)
            case BudgetChanged():
                config = dict(event.config)
            case CandidateAdded():
                known.add(event.trial_id)
    if beginning is None:
        raise StudyError(
            f"The log in {folder} holds no study. Remove the folder and `sweep run` again."
        )
    last = StudyConfig.parse(with_its_reading(config), source=f"The config in the log of {folder}")
    return Past(beginning=beginning, config=last, known=frozenset(known))


def with_its_reading(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a log's config whose data are read as they were read when the study began.

    A study from before the key `data.reading` keeps to the first reading.
    """
    probe = config.get("probe")
    if isinstance(probe, Mapping) and isinstance(probe.get("data"), Mapping):
        probe = {**probe, "data": _with_reading(probe["data"])}
    pinned = {**config, "probe": probe} if "probe" in config else dict(config)
    if isinstance(config.get("data"), Mapping):
        pinned["data"] = _with_reading(config["data"])
    return pinned


def _with_reading(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a data set's config that names its reading; a user's own set has none."""
    if "reading" in data or ":" in str(data.get("name")):
        return dict(data)
    if data.get("path") is None or data.get("name") in READERS:
        return dict(data)
    return {**data, "reading": first_reading.READING}


def readings(config: StudyConfig) -> list[str]:
    """Return a sentence for each data set of a config that is read as it was earlier.

    Raises:
        DataError: the images are not there.
    """
    sets = {"data": config.data, "probe.data": config.probe.data}
    return [
        f"This study began before images were read as they are now, and keeps to {name}.reading=1:"
        " images are squeezed, and EXIF orientation and transparency are ignored. A new study "
        "reads them anew."
        for name, data in sets.items()
        if data is not None
        and data.reading == first_reading.READING
        and detect(data) in first_reading.MEMBERS
    ]


def check_changes(before: StudyConfig, after: StudyConfig) -> None:
    """Raise `StudyError` if a resume cannot make the changes."""
    if fixed := differences(before, after):
        raise StudyError(
            f"A resume cannot change {', '.join(fixed)}, because the finished trials would not "
            "fit. It can change resources and the limits of budget other than budget.labels, and "
            "enlarge the space. For other changes, `sweep run` with another name."
        )


def differences(before: StudyConfig, after: StudyConfig) -> list[str]:
    """Return the dotted keys that differ and that a resume cannot change, each with both values.

    `data.path` may differ, because the digest checks the content.
    """
    old, new = (_fixed_keys(config) for config in (before, after))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [f"{name} ({old.get(name)!r} to {new.get(name)!r})" for name in names]


def _fixed_keys(config: StudyConfig) -> dict[str, Any]:
    """Return the values that a resume cannot change, by their dotted keys."""
    fields = config.model_dump(mode="json")
    del fields["data"]["path"]
    labels = fields["budget"]["labels"]
    fixed = {name: value for name, value in fields.items() if name not in CHANGEABLE}
    return {**_flat("", fixed), "budget.labels": labels}


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    """Return nested tables as one, by dotted keys; a member's own keys stand beside its name."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    flat = dict[str, Any]()
    for name, inner in value.items():
        flat |= _flat(f"{prefix}.{name}" if prefix else name, inner)
    return flat


def names_auto(override: str) -> bool:
    """Return whether an override says `rule.name=auto`, which a study that chose may keep."""
    change = Override.parse(override, axis_fields=())
    return change.path == ("rule", "name") and change.value == AUTO
