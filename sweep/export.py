"""Export an encoder: its weights as safetensors, and a JSON that says how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.torch

from sweep.core.errors import StudyError
from sweep.core.limits import NAME
from sweep.core.records import MEASURES_OF_PROBE
from sweep.log.study_folder import trial_folder
from sweep.pretraining.checkpoint import ENCODER, write_encoder
from sweep.storage.location import locate
from sweep.storage.symlinks import refuse_links
from sweep.tables.parameters import between
from sweep.tables.results import Results

MEASURES = (
    "alpha",
    "alpha_r2",
    "rankme",
    "accuracy",
    *MEASURES_OF_PROBE,
    "class_recall",
    "test_accuracy",
    "loss",
    "status",
)
"""Columns of the table `trials` that go into the JSON, besides the varied fields and parameters."""


def export(
    results: Results, target: Path, *, trial_id: str | None = None, chosen_by: str | None = None
) -> dict[str, Any]:
    """Write the winner's encoder, or a named trial's, and return the JSON beside it.

    Args:
        results: of the study.
        target: the .safetensors file to write.
        trial_id: by default the winner.
        chosen_by: what the JSON says under `chosen_by`, for a trial that no accuracy chose.

    Raises:
        StudyError: there is no winner yet, there is no such trial, or the encoder was not kept,
            is damaged, or cannot be written.
    """
    if target.suffix != ".safetensors":
        raise StudyError(f"{target} does not end in .safetensors, for example encoder.safetensors.")
    trials = results.trials
    rows = {row["trial_id"]: row for row in trials.to_pylist()}
    if trial_id is None:
        trial_id = next((name for name, row in rows.items() if row["winner"]), None)
        if trial_id is None:
            raise StudyError(
                f"{results.name} has no winner yet. `sweep resume {results.location}` goes on; "
                "--trial ID exports one trial."
            )
    if trial_id not in rows:
        raise StudyError(
            f"{results.name} has no trial {trial_id!r}. `sweep query {results.name} "
            '"SELECT trial_id, status FROM trials"` lists them.'
        )
    if not NAME.fullmatch(trial_id):
        raise StudyError(
            f"{trial_id!r} cannot be the name of a trial: the tables of {results.name} are forged. "
            "Remove its folder `tables`; they are made again from the log."
        )
    source = trial_folder(results.location, trial_id) / ENCODER
    refuse_links(results.location)
    refuse_links(source.parent, itself=True)
    if not source.exists():
        raise StudyError(
            f"The encoder of trial {trial_id} ({rows[trial_id]['status']}) was not kept. "
            'resources.keep="all" keeps every one.'
        )
    try:
        recipe = dict(json.loads(source.with_suffix(".json").read()))
        tensors = safetensors.torch.load(source.read())
    except (safetensors.SafetensorError, OSError, ValueError, TypeError, RecursionError) as error:
        raise StudyError(f"{source} and its JSON cannot be read: {error}.") from error
    about = {
        **recipe,
        "study": results.name,
        "trial_id": trial_id,
        "measures": {
            name: rows[trial_id].get(name) for name in (*between(trials.schema.names), *MEASURES)
        },
        "normalise": "(image / 255 - mean) / std, per channel",
    }
    if chosen_by is not None:
        about["chosen_by"] = chosen_by
    try:
        write_encoder(locate(target), tensors, about)
    except (OSError, ValueError) as error:  # the latter: NaN in the JSON
        raise StudyError(f"{target} cannot be written: {error}.") from error
    return about
