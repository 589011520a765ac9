"""From a path to the rows of each split with their labels: all that is known without decoding."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath

import numpy as np

from sweep.config.models import DataConfig
from sweep.core.errors import DataError
from sweep.datasets._checks import existing_path
from sweep.datasets._rows import Indices, Labels
from sweep.datasets.pixels.many import hashes
from sweep.datasets.reading import drawing
from sweep.datasets.reading.columns import Column, missing
from sweep.datasets.reading.folders import Folders, hive, read_folders
from sweep.datasets.reading.found import Found, Listing, files, listing
from sweep.datasets.reading.keys import Keys
from sweep.datasets.reading.labels import Chosen, choose_labels
from sweep.datasets.reading.metadata import metadata_columns
from sweep.datasets.reading.splits import Given, given_splits
from sweep.datasets.reading.tables import holds_images, tables
from sweep.datasets.reading.words import part_of

GIVEN = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Which images are read, and as what.

    Args:
        found: the N images at the path.
        labels: class numbers of all, int64 [N], -1 without a label; None if there are none.
        classes: their names.
        chosen: the column of the labels, and why.
        rows: split -> row numbers; `unlabelled` are images for pretraining only.
        origins: split -> `names`, `column` or `drawn`.
        groups: the group of each image, or None.
        notes: sentences about the reading.
    """

    found: Found
    labels: Labels | None
    classes: tuple[str, ...]
    chosen: Chosen
    rows: dict[str, Indices]
    origins: dict[str, str]
    groups: Sequence[Hashable] | None
    notes: list[str] = field(default_factory=list)


def found_at(config: DataConfig, keys: Keys) -> tuple[Found, Folders]:
    """Return the images at a path, and what their folders say.

    Raises:
        DataError: nothing to read, images and tables, or folders with two readings.
    """
    path = existing_path(config)
    listed = listing(path, keys.skip)
    shards = [place for place in listed.tables if place.suffix.lower() == ".parquet"]
    shards = [place for place in shards if holds_images(listed.root / place)]
    if config.name == "parquet" or (config.name is None and not listed.images):
        found = tables(listed, _shards(config, listed, shards), keys.image)
    else:
        _check_files(config, listed, shards)
        columns, notes = metadata_columns(listed)
        found = files(listed, columns, notes)
    hive_columns, folders = hive(found.places)
    columns = dict(found.columns)
    for name, values in hive_columns.items():
        by_image = partial(found.by_image, values)
        columns[name] = Column(name=name, origin="folder names", kind="folders", read=by_image)
    found = replace(found, columns=columns)
    return found, read_folders(folders, split=keys.split, path=str(config.path))


def make_plan(config: DataConfig, keys: Keys, *, quick: bool = False) -> Plan:
    """Return the plan of a reading.

    Args:
        config: the keys common to all data sets.
        keys: the others.
        quick: do not read the images to keep copies of one image in one split.

    Raises:
        DataError: a reading that is not certain, or a split without images.
    """
    found, folders = found_at(config, keys)
    chosen = choose_labels(found, folders.classes, keys.label)
    given = given_splits(found, folders, split=keys.split, path=str(config.path))
    rows = _given_rows(found, folders, given, config)
    if chosen.labels is not None and chosen.column is None and folders.classes is not None:
        _check_loose(folders.classes, given.parts, found, config)
    labels, notes = chosen.labels, [*found.notes, *given.notes]
    if labels is not None:
        rows, more = _without_labels(rows, labels, keys)
        notes += more
    groups = None if keys.group is None else _groups(found, keys.group)
    draws = [name for name in ("validation", "test") if name not in rows]
    units = _units(found, rows["train"], groups, quick=quick) if draws else None
    rows = _drawn(rows, labels, units, config)
    origins = {name: "drawn" if name in draws else given.origin for name in GIVEN}
    if given.parts is None:
        origins["train"] = "drawn"
    if labels is not None:
        notes += _check_classes(rows, labels, chosen.classes)
    rows = _limited(rows, labels, config)
    return Plan(
        found=found,
        labels=labels,
        classes=chosen.classes,
        chosen=chosen,
        rows=rows,
        origins=origins,
        groups=groups,
        notes=notes,
    )


# What lies there ---------------------------------------------------------------------


def _shards(
    config: DataConfig, listed: Listing, shards: Sequence[PurePosixPath]
) -> Sequence[PurePosixPath]:
    """Return the shards that hold images; without any, all Parquet files, whose columns tell why.

    Raises:
        DataError: there is no Parquet file.
    """
    every = [place for place in listed.tables if place.suffix.lower() == ".parquet"]
    if not every:
        raise DataError(
            f"data.path={config.path} holds no .parquet file. Give one, or a folder of shards."
        )
    return shards or every


def _check_files(config: DataConfig, listed: Listing, shards: Sequence[PurePosixPath]) -> None:
    """Refuse a path without image files, or with tables of images beside them."""
    if not listed.images:
        raise DataError(
            f"data.path={config.path} holds no images; looked for .jpg, .png, .tif, .npy and what "
            "else Pillow reads. Give a folder that holds one folder for each class."
        )
    if shards and config.name is None:
        raise DataError(
            f"data.path={config.path} holds {len(listed.images)} images and {len(shards)} tables "
            f"of images ({shards[0]}). Type data.name=imagefolder or data.name=parquet."
        )


def _groups(found: Found, group: str) -> list[Hashable]:
    """Return the group of each image: the value of a column, or what a pattern finds in its name.

    Raises:
        DataError: neither a column nor a pattern that finds something.
    """
    if group in found.columns:
        return [None if missing(value) else value for value in found.columns[group].read()]
    columns = f"Columns here: {', '.join(found.columns) or 'none'}."
    if found.what != "files":
        raise DataError(f"data.group={group} is no column of the table. {columns}")
    try:
        pattern = re.compile(group)
    except (re.error, RecursionError, OverflowError) as error:
        raise DataError(
            f"data.group={group} is no column and no pattern ({error}). {columns} A pattern is, "
            'for example, data.group="(patient[0-9]+)".'
        ) from error
    matches = [pattern.search(str(place)) for place in found.places]
    if not any(matches):
        raise DataError(
            f"data.group={group} is no column, and as a pattern it finds nothing in names such as "
            f"{found.places[0]}. {columns}"
        )
    last = 1 if pattern.groups else 0
    return [None if match is None else match[last] for match in matches]


# Rows of the splits ------------------------------------------------------------------


def _check_loose(
    classes: Sequence[str], parts: Sequence[str] | None, found: Found, config: DataConfig
) -> None:
    """Refuse images beside the class folders of a split; a split without folders has no labels."""
    parts = ["train"] * len(classes) if parts is None else parts
    for part in dict.fromkeys(parts):
        own = [n for n, other in enumerate(parts) if other == part]
        loose = [n for n in own if not classes[n]]
        if loose and len(loose) < len(own) and part != "unlabelled":
            name = str(found.places[loose[0]])
            raise DataError(
                f"data.path={config.path} holds class folders and {len(loose)} images beside them, "
                f"for example {name}. Move these images into a class folder, into a folder "
                f'named unlabelled, or leave them out: data.skip="{name}".'
            )


def _given_rows(
    found: Found, folders: Folders, given: Given, config: DataConfig
) -> dict[str, Indices]:
    """Return the rows of each split that the data has; without any, all images are for training.

    Images in a class folder such as `unlabelled` are for pretraining only.

    Raises:
        DataError: no image is for training.
    """
    parts: list[str] = ["train"] * len(found) if given.parts is None else [*given.parts]
    if folders.classes is not None:
        for row, folder in enumerate(found.by_image(folders.classes)):
            if folder and part_of(folder) == "unlabelled" and parts[row] == "train":
                parts[row] = "unlabelled"
    rows = {part: np.flatnonzero(np.array(parts) == part) for part in dict.fromkeys(parts)}
    if "train" not in rows:
        raise DataError(
            f"data.path={config.path} has images of the splits {' and '.join(sorted(rows))} only. "
            'Name the training images `train`, or type data.split="none" to draw the splits.'
        )
    return rows


def _without_labels(
    rows: dict[str, Indices], labels: Labels, keys: Keys
) -> tuple[dict[str, Indices], list[str]]:
    """Return the splits whose images all have labels, and sentences about the others.

    Training images without a label are for pretraining only. A split for the probe without labels
    is left out, so that it is drawn.
    """
    rows, notes = dict(rows), list[str]()
    if not (labels[rows["train"]] >= 0).any():
        return rows, notes
    extra = [rows.pop("unlabelled", np.empty(0, np.int64))]
    extra.append(rows["train"][labels[rows["train"]] < 0])
    rows["train"] = rows["train"][labels[rows["train"]] >= 0]
    for name in ("validation", "test"):
        if name not in rows or (labels[rows[name]] >= 0).all():
            continue
        without = rows[name][labels[rows[name]] < 0]
        rows[name] = rows[name][labels[rows[name]] >= 0]
        what = f"{len(without)} images of the {name} split have no label"
        if not len(rows[name]):
            del rows[name]
            what = (
                f"the {name} split has no labels, so one is drawn from the labelled training images"
            )
        if keys.pretrain_on_test:
            extra.append(without)
            notes.append(f"{what}; its unlabelled images are used in pretraining")
        else:
            notes.append(
                f"{what}; its unlabelled images are left out of pretraining "
                "(data.pretrain_on_test=true uses them)"
            )
    if len(unlabelled := np.sort(np.concatenate(extra))):
        rows["unlabelled"] = unlabelled
    return rows, notes


def _units(
    found: Found, pool: Indices, groups: Sequence[Hashable] | None, *, quick: bool
) -> Indices | None:
    """Return the unit of each image of the pool: copies of one image and groups stay together."""
    keys: list[Sequence[Hashable]] = []
    if not quick:
        names: list[Hashable] = [None] * len(found)
        rows = _maybe_copies(found, pool)
        for row, name in zip(rows, hashes(found.read(rows), len(rows)), strict=True):
            names[row] = name.tobytes()
        keys.append(names)
    if groups is not None:
        keys.append(groups)
    return drawing.units_of(len(found), *keys) if keys else None


def _maybe_copies(found: Found, pool: Indices) -> Indices:
    """Return the rows that may be copies: of files, those whose size another file has, too."""
    if found.what != "files":
        return pool
    sizes = np.array([found.size_of(row) for row in pool])
    _, inverse, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    return pool[counts[inverse] > 1]


def _drawn(
    rows: dict[str, Indices], labels: Labels | None, units: Indices | None, config: DataConfig
) -> dict[str, Indices]:
    """Return the rows with the splits that the data lacks drawn from train.

    Raises:
        DataError: a split would be empty.
    """
    rng = np.random.default_rng([config.seed, 0x5B117])
    rows, available = dict(rows), len(rows["train"])
    shares = (("test", config.test), ("validation", config.validation))
    for name, share in shares:
        if name not in rows:
            rows[name], rows["train"] = drawing.take(rows["train"], share, labels, units, rng)
    for name in GIVEN:
        if not len(rows[name]):
            raise DataError(
                f"The {name} split would be empty: there are {available} training images, with "
                f"data.test={config.test:g} and data.validation={config.validation:g}. "
                "Give more images or larger shares, or fewer groups."
            )
    return rows


def _check_classes(rows: dict[str, Indices], labels: Labels, classes: Sequence[str]) -> list[str]:
    """Return a sentence for each split with classes that training has not; refuse no common class.

    Raises:
        DataError: a split has no class of the training images.
    """
    known, notes = set(labels[rows["train"]].tolist()) - {-1}, list[str]()
    for name in ("validation", "test"):
        own = set(labels[rows[name]].tolist()) - {-1}
        lacking = [classes[number] for number in sorted(own - known)]
        if known and lacking and not own & known:
            raise DataError(
                f"The {name} split and the training images have no class in common: "
                f"{', '.join(lacking[:3])} and {', '.join(classes[n] for n in sorted(known)[:3])}. "
                'Type data.split="none" to draw the splits, or name another column of labels.'
            )
        if lacking:
            notes.append(
                f"the {name} split has {len(lacking)} classes that training has not: "
                f"{', '.join(lacking[:5])}"
            )
    return notes


def _limited(
    rows: dict[str, Indices], labels: Labels | None, config: DataConfig
) -> dict[str, Indices]:
    """Return the rows with `config.limit` images for pretraining, in equal shares of each class."""
    if config.limit is None:
        return rows
    unlabelled = rows.get("unlabelled", np.empty(0, np.int64))
    pool = np.sort(np.concatenate([rows["train"], unlabelled]))
    kept = drawing.limited(pool, config.limit, labels, config.seed)
    limited = {**rows, "train": np.intersect1d(rows["train"], kept)}
    if len(unlabelled):
        limited["unlabelled"] = np.intersect1d(unlabelled, kept)
    if not len(limited["train"]):
        raise DataError(
            f"data.limit={config.limit} leaves no labelled image for training. Give a larger one."
        )
    return limited
