"""Studies side by side: how each ended, and the keys in which their configs differ."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.core.outcome import Z95
from sweep.tables.results import Results

SUMMED = ("pretrain", "measure", "probe", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Studies side by side; every list has an entry for each study.

    Args:
        studies: names.
        rows: what is said -> its values.
        differing: dotted key of the config -> its values, for keys that are not the same.
        differences: of each later study's winner to the first study's: metric, difference, and the
            ends of its 95 % interval; None where it is not known.
        same_images: whether all studies have the same images, labels and splits.
    """

    studies: tuple[str, ...]
    rows: Mapping[str, Sequence[Any]]
    differing: Mapping[str, Sequence[Any]]
    differences: Sequence[tuple[str, float, float, float] | None]
    same_images: bool

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        names = ("metric", "difference", "lo", "hi")
        return {
            "studies": list(self.studies),
            "rows": {key: list(values) for key, values in self.rows.items()},
            "differing": {key: list(values) for key, values in self.differing.items()},
            "differences": [
                None if one is None else dict(zip(names, one, strict=True))
                for one in self.differences
            ],
            "same_images": self.same_images,
        }


def compare(studies: Sequence[Results]) -> Comparison:
    """Return studies side by side.

    The interval of a difference takes both winners' errors as independent, and does not account
    for the choice of the best of several models.

    Args:
        studies: two or more.
    """
    facts = [_facts(results) for results in studies]
    configs = [flat(json.loads(one["config"] or "{}")) for one in facts]
    keys = list(dict.fromkeys(key for config in configs for key in config))
    shown = [key for key in facts[0] if key not in ("config", "data_digest", "spread")]
    return Comparison(
        studies=tuple(results.name for results in studies),
        rows={key: [one[key] for one in facts] for key in shown},
        differing={
            key: [config.get(key) for config in configs]
            for key in keys
            if key != "name" and any(config.get(key) != configs[0].get(key) for config in configs)
        },
        differences=[_difference(facts[0], other) for other in facts[1:]],
        same_images=len({one["data_digest"] for one in facts}) == 1,
    )


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Return a config as dotted key -> value."""
    if not isinstance(config, dict):
        return {prefix: config}
    made: dict[str, Any] = {}
    for name, value in config.items():
        made |= flat(value, f"{prefix}.{name}" if prefix else str(name))
    return made


def _facts(results: Results) -> dict[str, Any]:
    """Return how a study ended; before its end, the best model so far is the winner."""
    study: dict[str, Any] = next(iter(results.studies.to_pylist()), {})
    metric, outcome = results.metric, results.outcome
    rows = results.trials.to_pylist()
    probed = [row for row in rows if row[metric] is not None]
    won = outcome.winner if outcome else None
    best = next((row for row in probed if row["trial_id"] == won), None)
    if best is None and outcome is None:
        best = max(probed, key=lambda row: float(row[metric]), default=None)
    seconds = sum(row[f"{part}_device_seconds"] or 0.0 for row in rows for part in SUMMED)
    return {
        "status": study.get("status"),
        "metric": metric,
        "winner": best and best["trial_id"],
        "value": best and best[metric],
        "test_accuracy": best and best["test_accuracy"],
        "candidates": len(rows),
        "pretrained": study.get("pretrained"),
        "probes": study.get("probes"),
        "device_seconds": round(seconds, 1),
        "config": study.get("config"),
        "data_digest": study.get("data_digest"),
        "spread": best and _spread(best, metric),
    }


def _spread(row: Mapping[str, Any], metric: str) -> float | None:
    """Return the standard error of a winner's metric, if it is known."""
    low, high = row[f"{metric}_lo"], row[f"{metric}_hi"]
    if low is not None and high is not None:
        return (float(high) - float(low)) / (2 * Z95)
    return row["accuracy_se"] if metric == "accuracy" else None


def _difference(
    first: Mapping[str, Any], other: Mapping[str, Any]
) -> tuple[str, float, float, float] | None:
    known = [one[key] for one in (first, other) for key in ("value", "spread")]
    if None in known or first["metric"] != other["metric"]:
        return None
    found = other["value"] - first["value"]
    width = Z95 * math.hypot(first["spread"], other["spread"])
    return first["metric"], found, found - width, found + width
