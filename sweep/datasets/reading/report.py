"""What was read, as JSON and in lines for a person.

The JSON has these keys. `images`; `size`: `smallest`, `largest` and `network` ([width, height], or
None) and `resize`; `channels`, `bits`, `range`; `label`: `column` (None for folders) and `why`;
`classes`: name -> split -> images; `chance`; `splits`: name -> `images` and `origin` (`names`,
`column` or `drawn`); `unlabelled`; `skipped`: reason -> files; `undecodable`: names;
`duplicates`: `within` and `across`, beyond the first of each group; `cache`: `digest`; `notes`.
What was not read yet is None. A dry run
adds `decoding`: `disk_bytes`, `memory_bytes` and `seconds` that a study would need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sweep.datasets.images import Splits

Report = dict[str, Any]

SPLITS = ("pretrain", "train", "validation", "test")
NOT_READ = "not read yet"
MOST_NAMES = 20
"""Names of undecodable images in the log."""


def of_arrays(splits: Splits) -> Report:
    """Return what the arrays of any data set say; nothing is known of its files."""
    _, channels, height, width = splits.pretrain.images.shape
    sizes = [len(getattr(splits, name)) for name in SPLITS]
    labelled = {name: getattr(splits, name).labels for name in SPLITS[1:]}
    return {
        "images": max(sizes[0], sizes[1]) + sizes[2] + sizes[3],
        "size": {
            "smallest": [width, height],
            "largest": [width, height],
            "network": [width, height],
            "resize": None,
        },
        "channels": channels,
        "bits": 8,
        "range": [0, 255],
        "label": {"column": None, "why": "part of the data set"},
        "classes": classes_of(splits.classes, labelled),
        "chance": chance_of(labelled["validation"]),
        "splits": {
            name: {"images": size, "origin": None} for name, size in zip(SPLITS, sizes, strict=True)
        },
        "unlabelled": sum(
            len(getattr(splits, name)) for name in SPLITS[1:] if labelled[name] is None
        ),
        "skipped": {},
        "undecodable": list(splits.undecodable),
        "duplicates": None,
        "notes": [],
    }


def classes_of(classes: tuple[str, ...], labels: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return how many images each class has in each split that has labels."""
    counts = {
        name: np.bincount(values, minlength=len(classes))
        for name, values in labels.items()
        if values is not None
    }
    if not counts:
        return {}
    return {
        label: {name: int(count[number]) for name, count in counts.items()}
        for number, label in enumerate(classes)
    }


def chance_of(labels: Any) -> float | None:
    """Return the share of the largest class, which a constant answer gets right."""
    if labels is None or not len(labels):
        return None
    return float(np.bincount(labels).max() / len(labels))


def lines_of(report: Mapping[str, Any]) -> list[str]:
    """Return a report in a few lines for a person."""
    lines = [_images(report), _pixels(report), _splits(report), _label(report)]
    lines += _classes(report)
    lines += _left_out(report)
    duplicates = report.get("duplicates")
    if duplicates is None:
        lines.append(f"copies      {NOT_READ if report.get('quick') else 'not looked for'}")
    else:
        lines.append(
            f"copies      {duplicates['within']} exact within a split, "
            f"{duplicates['across']} across splits"
        )
    if decoding := report.get("decoding"):
        lines.append(
            f"decoding    {decoding['disk_bytes'] / 1e6:,.0f} MB of disk, about "
            f"{decoding['memory_bytes'] / 1e6:,.0f} MB of memory, about "
            f"{decoding['seconds']:,.0f} s on this machine"
        )
    lines += [f"note        {note}" for note in report.get("notes", ())]
    return lines


def _images(report: Mapping[str, Any]) -> str:
    size = report["size"]
    smallest, largest, network = (_size(size[name]) for name in ("smallest", "largest", "network"))
    sizes = smallest if smallest == largest else f"{smallest} to {largest}"
    if size["network"] is None:
        how = "the network's size is open: data.size=PIXELS"
    elif network == sizes:
        how = "unchanged"
    else:
        how = f"{size['resize'] or 'resized'} to {network}"
    return f"data        {report['images']:,} images of {sizes}, {how}"


def _size(size: list[int] | None) -> str:
    return NOT_READ if size is None else f"{size[0]} x {size[1]}"


def _pixels(report: Mapping[str, Any]) -> str:
    if report["channels"] is None:
        return f"pixels      {NOT_READ}"
    words = {1: "grey", 3: "RGB"}.get(report["channels"], f"{report['channels']} channels")
    ends = report["range"]
    shown = f"range {NOT_READ}" if ends is None else f"{ends[0]:g} to {ends[1]:g}"
    return f"pixels      {words}, {report['bits']} bits, {shown}"


def _splits(report: Mapping[str, Any]) -> str:
    parts = []
    for name, split in report["splits"].items():
        origin = {None: "", "names": ", from names", "column": ", from a column"}.get(
            split["origin"], ", drawn"
        )
        parts.append(f"{name} {split['images']:,}{origin}")
    line = f"splits      {'; '.join(parts)}"
    if report.get("stratified"):
        line += " (drawn in equal shares of each class)"
    return line


def _label(report: Mapping[str, Any]) -> str:
    label, unlabelled = report["label"], report["unlabelled"]
    if not report["classes"]:
        return f"labels      none: {label['why']}"
    column = "folders" if label["column"] is None else f"the column {label['column']}"
    if label["why"] == "part of the data set":
        column = "known"
    line = f"labels      {column}: {label['why']}"
    return line + (f"; {unlabelled:,} images have none" if unlabelled else "")


def _classes(report: Mapping[str, Any]) -> list[str]:
    totals = {name: sum(counts.values()) for name, counts in report["classes"].items()}
    if not totals:
        return []
    least, most = min(totals, key=lambda n: totals[n]), max(totals, key=lambda n: totals[n])
    line = f"classes     {len(totals)} of {totals[most]:,} images each"
    if totals[least] < totals[most]:
        line = (
            f"classes     {len(totals)}: {totals[least]:,} images ({least}) to "
            f"{totals[most]:,} ({most})"
        )
    chance = report.get("chance")
    return [line if chance is None else f"{line}; chance level {chance:.1%}"]


def _left_out(report: Mapping[str, Any]) -> list[str]:
    lines = []
    if skipped := report["skipped"]:
        several = ", ".join(f"{count} {reason}" for reason, count in sorted(skipped.items()))
        lines.append(f"skipped     {several}")
    undecodable = report["undecodable"]
    if undecodable is None:
        lines.append(f"undecodable {NOT_READ}")
    elif undecodable:
        more = f" and {len(undecodable) - 5} more" if len(undecodable) > 5 else ""
        lines.append(f"undecodable {len(undecodable)}: {', '.join(undecodable[:5])}{more}")
    return lines


def for_the_log(report: Mapping[str, Any]) -> Report:
    """Return a report with fewer names, so that a line of the log stays short."""
    short = dict(report)
    if report["undecodable"]:
        short["undecodable"] = report["undecodable"][:MOST_NAMES]
        short["undecodable_count"] = len(report["undecodable"])
    if len(report["classes"]) > MOST_NAMES:
        short["classes"] = {}
        short["class_count"] = len(report["classes"])
    return short
