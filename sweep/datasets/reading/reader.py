"""Read the images at a path: the plan, the pixels, and what is told of both."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sweep.config.models import DataConfig
from sweep.config.study import digest
from sweep.core.errors import DataError
from sweep.datasets._resize import threads
from sweep.datasets._rows import Indices, Labels
from sweep.datasets.images import Split, Splits
from sweep.datasets.pixels.many import (
    FLAT,
    Decoded,
    Progress,
    decode_all,
    hashes,
    in_threads,
    read_bytes,
    silent,
)
from sweep.datasets.pixels.picture import ERRORS, Header, Treatment, decode, header_of
from sweep.datasets.reading import drawing
from sweep.datasets.reading.keys import Keys
from sweep.datasets.reading.needs import check_fits, needs_of
from sweep.datasets.reading.plan import GIVEN, Plan, make_plan
from sweep.datasets.reading.report import Report, chance_of, classes_of

READING: Literal[2] = 2
"""Version of this reading, a part of the digest; `data.reading` in a study's config."""
MOST_UNDECODABLE = 0.01
"""Share of all images that may be left out because they cannot be decoded: an own choice."""
MOST_FLAT = 0.9
"""Share of almost constant images beyond which a set is refused: an own choice."""
TIMED = 8
"""Images that are decoded to estimate the time of all."""
ORDER = ("train", "unlabelled", "validation", "test")
"""Splits in the order of their images in the mapped file; the first two are for pretraining."""
HEADERS = 256
"""Images whose headers are read before any is decoded."""


class MixedSizes(DataError):
    """Images of several sizes, and no size that they shall have.

    Args:
        message: the sentence.
        report: what was read, if everything was.
    """

    def __init__(self, message: str, report: Report | None = None) -> None:
        super().__init__(message)
        self.report = report


def read(
    config: DataConfig,
    keys: Keys,
    folder: Path,
    *,
    whole: bool = False,
    progress: Progress = silent,
) -> Splits:
    """Read all images at `config.path`.

    Args:
        config: the keys common to all data sets.
        keys: the others.
        folder: of the mapped file that they are decoded into; the splits are parts of it.
        whole: read all images before mixed sizes are refused, so that the error has a report.
        progress: is called with the number of images done, and of how many.

    Raises:
        OSError: the file cannot be written.
        MixedSizes: images differ in size, and `data.size` is not given.
        DataError: a reading that is not certain, too many undecodable images, or almost constant
            images.
    """
    treatment = treatment_of(config, keys)
    one_size = _checked_headers(config, keys, treatment, folder, whole=whole)
    plan = make_plan(config, keys)
    used = _used(plan)
    order = np.concatenate([plan.rows[name] for name in ORDER if name in plan.rows])
    places = np.empty(len(used), np.int64)
    places[np.searchsorted(used, order)] = np.arange(len(used))
    decoded = decode_all(
        plan.found.read(used),
        places,
        treatment,
        folder if one_size else None,
        progress,
    )
    _check_undecodable(decoded, len(used))
    rows, kept = {}, decoded.facts["kept"]
    for name, part in plan.rows.items():
        places = np.searchsorted(used, part)
        rows[name] = places[kept[places]]
    report = _report(plan, decoded, used, rows, treatment)
    if decoded.images is None:
        facts = decoded.facts[kept]
        sizes = set(zip(facts["height"].tolist(), facts["width"].tolist(), strict=True))
        raise MixedSizes(_mixed(sizes), report)
    _check_flat(decoded)
    named = _digest(config, keys, plan, used, decoded.facts["hash"])
    return _splits(plan, decoded, used, rows, report, named)


def _checked_headers(
    config: DataConfig, keys: Keys, treatment: Treatment, folder: Path, *, whole: bool
) -> bool:
    """Return whether all images come to have one size, as far as headers tell; refuse the rest.

    This comes before the plan looks for copies, which may read all files.

    Raises:
        MixedSizes: images differ in size, `data.size` is not given, and `whole` is False.
        DataError: a set that does not fit on this machine.
    """
    plan = make_plan(config, keys, quick=True)
    used = _used(plan)
    headers = _headers(plan, used)
    sizes = {(header.height, header.width) for header in headers}
    if config.size is None and len(sizes) > 1:
        if not whole:
            raise MixedSizes(_mixed(sizes))
        return False
    cache = folder.parent  # the folder that a person knows
    check_fits(needs_of(headers, len(used), treatment), cache)
    return True


def quick_report(config: DataConfig, keys: Keys) -> Report:
    """Return what names, sizes, labels and the headers of 256 images say; nothing is decoded."""
    plan = make_plan(config, keys, quick=True)
    used = _used(plan)
    return _quick_report(config, keys, plan, used, _headers(plan, used))


def glance(config: DataConfig, keys: Keys, folder: Path) -> Splits:
    """Return splits with their labels, whose images are all the same noise: none was read.

    They have the size that the headers of 256 images say, and take no memory. A few images are
    decoded to estimate the time of decoding.

    Args:
        config: the keys common to all data sets.
        keys: the others.
        folder: that a study would decode into.

    Raises:
        MixedSizes: images differ in size, and `data.size` is not given.
        DataError: a reading that is not certain, or a set that does not fit on this machine.
    """
    plan = make_plan(config, keys, quick=True)
    used = _used(plan)
    headers = _headers(plan, used)
    treatment = treatment_of(config, keys)
    sizes = {(header.height, header.width) for header in headers}
    if config.size is None and len(sizes) > 1:
        raise MixedSizes(_mixed(sizes))
    needs = needs_of(headers, len(used), treatment)
    if needs is None:
        raise DataError(f"data.path={config.path}: none of the {HEADERS} headers read is intact.")
    check_fits(needs, folder)
    report = _quick_report(config, keys, plan, used, headers)
    report["decoding"] = {
        "disk_bytes": needs.disk_bytes,
        "memory_bytes": needs.memory_bytes,
        "seconds": _decoding_seconds(plan, used, treatment),
    }
    noise = np.random.default_rng(0).integers(0, 256, (1, *needs.shape), np.uint8)

    def split(rows: Indices, labels: Labels | None) -> Split:
        return Split(images=np.broadcast_to(noise, (len(rows), *needs.shape)), labels=labels)

    extra = plan.rows.get("unlabelled", np.empty(0, np.int64))
    parts = {name: split(plan.rows[name], _labels(plan, plan.rows[name])) for name in GIVEN}
    return Splits(
        pretrain=split(np.concatenate([plan.rows["train"], extra]), None),
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        classes=plan.classes,
        report=report,
    )


def _decoding_seconds(plan: Plan, used: Indices, treatment: Treatment) -> float:
    """Return the seconds of decoding all images, from a few; all cores are taken to be free."""
    few = used[:TIMED]
    began = time.perf_counter()
    for _, encoded in plan.found.read(few):
        with suppress(*ERRORS):
            decode(read_bytes(encoded), treatment)
    return (time.perf_counter() - began) / len(few) * len(used) / threads()


def _quick_report(
    config: DataConfig, keys: Keys, plan: Plan, used: Indices, headers: Sequence[Header]
) -> Report:
    widths = sorted({(h.width * h.height, h.width, h.height) for h in headers})
    channels = {h.channels for h in headers}
    mixed = len(widths) > 1
    report = _base(plan, used, {name: np.searchsorted(used, r) for name, r in plan.rows.items()})
    return {
        **report,
        "size": {
            "smallest": list(widths[0][1:]) if widths else None,
            "largest": list(widths[-1][1:]) if widths else None,
            "network": _network(config.size, None if mixed or not widths else widths[0][1:]),
            "resize": None if config.size is None else keys.resize,
        },
        "channels": keys.channels or (max(channels) if channels else None),
        "bits": max((h.bits for h in headers), default=None),
        "range": None,
        "undecodable": None,
        "duplicates": None,
        "quick": True,
        "notes": [*plan.notes, f"only the headers of {len(headers)} images were read"],
    }


def content_digest(config: DataConfig, keys: Keys) -> str:
    """Return the digest that `read` gives, without decoding."""
    plan = make_plan(config, keys)
    used = _used(plan)
    return _digest(config, keys, plan, used, hashes(plan.found.read(used), len(used)))


def treatment_of(config: DataConfig, keys: Keys) -> Treatment:
    """Return what is done to each image."""
    return Treatment(
        size=config.size,
        resize=keys.resize,
        background=keys.background,
        channels=keys.channels,
        range=keys.range,
    )


def _used(plan: Plan) -> Indices:
    """Return the rows of all splits, ascending."""
    return np.unique(np.concatenate([*plan.rows.values()]))


def _headers(plan: Plan, used: Indices) -> list[Header]:
    """Return the headers of `HEADERS` images; damaged ones are left out.

    Files are evenly spaced. Of a table the first and the last rows are taken, because a row between
    them costs the reading of its whole row group.
    """
    if plan.found.what == "files":
        rows = used[:: -(-len(used) // HEADERS)]
    else:
        rows = np.unique(np.concatenate([used[: HEADERS // 2], used[-HEADERS // 2 :]]))

    def one(named: Any) -> Header | None:
        try:
            return header_of(read_bytes(named[1]))
        except ERRORS:
            return None

    found = in_threads(plan.found.read(rows), len(rows), one)
    return [header for header in islice(found, len(rows)) if header is not None]


def _splits(
    plan: Plan,
    decoded: Decoded,
    used: Indices,
    rows: Mapping[str, Indices],
    report: Report,
    named: str,
) -> Splits:
    """Return the splits, parts of one array in the order of `ORDER`."""
    assert decoded.images is not None
    counts = [len(rows.get(name, ())) for name in ORDER]
    ends = np.cumsum([0, *counts])
    parts = dict(zip(ORDER, pairwise(ends.tolist()), strict=True))
    for name in GIVEN:
        if not len(rows[name]):
            raise DataError(f"No image of the {name} split can be decoded. Repair some of them.")
    splits = {
        name: Split(
            images=decoded.images[slice(*parts[name])], labels=_labels(plan, used[rows[name]])
        )
        for name in GIVEN
    }
    return Splits(
        pretrain=Split(images=decoded.images[: parts["unlabelled"][1]]),
        **splits,
        classes=plan.classes,
        undecodable=tuple(decoded.undecodable),
        report=report,
        digest=named,
        file=decoded.file,
    )


def _labels(plan: Plan, rows: Indices) -> Labels | None:
    """Return the labels of a split, or None if its images have none."""
    if plan.labels is None or (plan.labels[rows] < 0).any():
        return None
    return np.ascontiguousarray(plan.labels[rows])


def _digest(
    config: DataConfig, keys: Keys, plan: Plan, used: Indices, names: npt.NDArray[np.void]
) -> str:
    """Return 32 hex digits that name images, labels, splits, and what is done to the images.

    A key at its default does not change the digest. Two paths with the same images in the same
    order, splits and classes have the same digest.
    """
    rules = {"size": config.size}
    defaults = treatment_of(DataConfig(), Keys())
    treatment = treatment_of(config, keys)
    for name in ("resize", "background", "channels", "range"):
        if getattr(treatment, name) != getattr(defaults, name):
            rules[name] = getattr(treatment, name)
    hashed = hashlib.blake2b(digest_size=16)
    for name in sorted(plan.rows):
        rows = plan.rows[name]
        hashed.update(f"{name} {len(rows)}\n".encode())
        hashed.update(names[np.searchsorted(used, rows)].tobytes())
        if plan.labels is not None:
            hashed.update(np.ascontiguousarray(plan.labels[rows]).tobytes())
    return digest(
        {
            "reading": READING,
            "rules": rules,
            "classes": list(plan.classes),
            "content": hashed.hexdigest(),
        }
    )


# What is told ------------------------------------------------------------------------


def _base(plan: Plan, used: Indices, rows: Mapping[str, Indices]) -> Report:
    """Return the part of a report that needs no pixels; `rows` count within `used`."""
    labels = {name: _labels(plan, used[rows[name]]) for name in GIVEN}
    extra = len(rows.get("unlabelled", ()))
    counts = {
        "pretrain": len(rows["train"]) + extra,
        **{name: len(rows[name]) for name in GIVEN},
    }
    unlabelled = extra + sum(len(rows[name]) for name in GIVEN if labels[name] is None)
    origins = {"pretrain": plan.origins["train"], **plan.origins}
    return {
        "images": counts["pretrain"] + counts["validation"] + counts["test"],
        "label": {"column": plan.chosen.column, "why": plan.chosen.why},
        "classes": classes_of(plan.classes, labels),
        "chance": chance_of(labels["validation"]),
        "splits": {
            name: {"images": count, "origin": origins[name]} for name, count in counts.items()
        },
        "stratified": plan.labels is not None and "drawn" in plan.origins.values(),
        "unlabelled": unlabelled,
        "skipped": dict(plan.found.skipped),
    }


def _report(
    plan: Plan,
    decoded: Decoded,
    used: Indices,
    rows: Mapping[str, Indices],
    treatment: Treatment,
) -> Report:
    facts = decoded.facts[decoded.facts["kept"]]
    area = facts["width"].astype(np.int64) * facts["height"]
    least, most = facts[np.argmin(area)], facts[np.argmax(area)]
    same = decoded.images is not None and treatment.size is None
    split_of = np.full(len(used), "", object)
    for name, part in rows.items():
        split_of[part] = "train" if name == "unlabelled" else name
    kept = np.flatnonzero(split_of != "")
    within, across = drawing.copies(
        [decoded.facts["hash"][row].tobytes() for row in kept], split_of[kept].tolist()
    )
    notes = [*plan.notes, *_notes(facts, decoded, treatment)]
    if across:
        notes.append(
            f"{across} exact copies lie in several splits, for example "
            f"{_example(plan, used, decoded, split_of)}"
        )
    notes += _divided_groups(plan.groups, used, split_of)
    channels = int(facts["channels"].max())
    return {
        **_base(plan, used, rows),
        "size": {
            "smallest": [int(least["width"]), int(least["height"])],
            "largest": [int(most["width"]), int(most["height"])],
            "network": _network(
                treatment.size, (int(most["width"]), int(most["height"])) if same else None
            ),
            "resize": None if treatment.size is None else treatment.resize,
        },
        "channels": treatment.channels or channels,
        "bits": int(facts["bits"].max()),
        "range": list(decoded.range),
        "undecodable": list(decoded.undecodable),
        "duplicates": {"within": within, "across": across},
        "notes": notes,
    }


def _network(size: int | None, own: tuple[int, ...] | None) -> list[int] | None:
    """Return the width and height that the network sees, or None if they are open."""
    if size is not None:
        return [size, size]
    return None if own is None else list(own)


def _notes(facts: npt.NDArray[np.void], decoded: Decoded, treatment: Treatment) -> list[str]:
    """Return sentences about what was done to some of the images."""
    notes = []
    grey, colour = (int((facts["channels"] == count).sum()) for count in (1, 3))
    if grey and colour:
        notes.append(f"{grey} grey images among {colour} colour images become RGB")
    elif grey and treatment.channels == 3:
        notes.append("the grey images become RGB (data.channels = 3)")
    if turned := int(facts["turned"].sum()):
        notes.append(f"{turned} images were turned as their EXIF says")
    if transparent := int(facts["transparent"].sum()):
        notes.append(f"{transparent} images with transparency lie on {treatment.background}")
    if several := int(facts["several"].sum()):
        notes.append(f"{several} files have several frames: the first is used")
    wide = facts[facts["bits"] > 8]
    if len(wide):
        stated = np.isfinite(wide["stated_low"]).all()
        whose = "data.range" if treatment.range else "stated" if stated else "measured"
        low, high = decoded.range
        notes.append(
            f"{len(wide)} images of more than 8 bits are scaled from {low:g}..{high:g} "
            f"({whose}) to 0..255"
        )
    if missing := [name for name, why in decoded.undecodable.items() if "tifffile" in why]:
        notes.append(f"{missing[0]}: {decoded.undecodable[missing[0]]}")
    return notes


def _example(plan: Plan, used: Indices, decoded: Decoded, split_of: npt.NDArray[np.object_]) -> str:
    """Return the names of the first two copies in two splits."""
    first: dict[bytes, int] = {}
    for row in np.flatnonzero(split_of != ""):
        other = first.setdefault(decoded.facts["hash"][row].tobytes(), int(row))
        if split_of[other] != split_of[row]:
            names = [name for name, _ in plan.found.read(used[[other, int(row)]])]
            return f"{names[0]} ({split_of[other]}) and {names[1]} ({split_of[row]})"
    return "none"


def _divided_groups(
    groups: Sequence[Hashable] | None, used: Indices, split_of: npt.NDArray[np.object_]
) -> list[str]:
    """Return a sentence about the groups that lie in several splits."""
    if groups is None:
        return []
    splits: dict[Hashable, set[str]] = {}
    for row, split in zip(used, split_of, strict=True):
        if split and groups[row] is not None:
            splits.setdefault(groups[row], set()).add(split)
    divided = [str(group) for group, own in splits.items() if len(own) > 1]
    if not divided:
        return [f"{len(splits)} groups, each in one split"]
    more = ", ..." if len(divided) > 3 else ""
    return [f"{len(divided)} groups lie in several splits: {', '.join(divided[:3])}{more}"]


# What is refused ---------------------------------------------------------------------


def _mixed(sizes: set[tuple[int, int]]) -> str:
    distinct = sorted(sizes)
    examples = ", ".join(f"{width}x{height}" for height, width in distinct[:5])
    return (
        f"The images differ in size: {examples}{' ...' if len(distinct) > 5 else ''} "
        "(width x height). Type data.size=PIXELS, for example data.size=32, to resize them all."
    )


def _check_undecodable(decoded: Decoded, count: int) -> None:
    """Raise `DataError` if more than `MOST_UNDECODABLE` of all images cannot be decoded."""
    several = decoded.undecodable
    if len(several) <= MOST_UNDECODABLE * count and len(several) < count:
        return
    examples = ", ".join(f"{name} ({why:.80})" for name, why in list(several.items())[:3])
    raise DataError(
        f"{len(several)} of {count} images cannot be decoded, more than {MOST_UNDECODABLE:.0%}: "
        f"{examples}{' ...' if len(several) > 3 else ''}. Repair them, or leave them out by "
        'data.skip="NAME".'
    )


def _check_flat(decoded: Decoded) -> None:
    """Raise `DataError` if almost all images are almost constant."""
    facts = decoded.facts[decoded.facts["kept"]]
    flat = int(facts["flat"].sum())
    if flat <= MOST_FLAT * len(facts):
        return
    wide = int((facts["bits"] > 8).sum())
    cure = (
        f"They are scaled from {decoded.range[0]:g}..{decoded.range[1]:g}: type "
        "data.range=[LOWEST,HIGHEST] if a few pixels lie far from the others."
        if wide
        else "Look at them with `sweep data PATH -o sheet.png`; masks are not images."
    )
    raise DataError(
        f"{flat} of {len(facts)} images are almost constant: their pixels differ by less than "
        f"{FLAT} of 255 levels (at most {MOST_FLAT:.0%} of the images may be so). {cure}"
    )
