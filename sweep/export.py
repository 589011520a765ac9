"""Take an encoder away: its weights as safetensors, and a JSON that says how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors.torch

from sweep import files
from sweep.checkpoint import ENCODER, write_encoder
from sweep.errors import StudyError
from sweep.files import Place
from sweep.results import Results

STORY = ("d", "lambd", "alpha", "alpha_r2", "rankme", "accuracy", "test_accuracy", "loss", "status")


def export(results: Results, target: Path, *, trial_id: str | None = None) -> dict[str, Any]:
    """Write the winner's encoder, or a named trial's, and return the JSON beside it.

    Args:
        results: of the study.
        target: the .safetensors file to write.
        trial_id: by default the winner.

    Raises:
        StudyError: there is no winner yet, no such trial, or its encoder was not kept.
    """
    if target.suffix != ".safetensors":
        raise StudyError(f"{target} does not end in .safetensors, for example encoder.safetensors.")
    rows = {row["trial_id"]: row for row in results.trials.to_pylist()}
    if trial_id is None:
        trial_id = next((name for name, row in rows.items() if row["winner"]), None)
        if trial_id is None:
            raise StudyError(
                f"{results.name} has no winner yet. `sweep resume {results.folder}` goes on; "
                "--trial ID exports one trial."
            )
    if trial_id not in rows:
        raise StudyError(
            f"{results.name} has no trial {trial_id!r}. `sweep query {results.name} "
            '"SELECT trial_id, status FROM trials"` lists them.'
        )
    source = results.folder / "trials" / trial_id / ENCODER
    if not files.exists(source):
        raise StudyError(
            f"The encoder of trial {trial_id} ({rows[trial_id]['status']}) was not kept. "
            'resources.keep="all" keeps every one.'
        )
    about = {
        **_read_about(source),
        "study": results.name,
        "trial_id": trial_id,
        "measures": {name: rows[trial_id].get(name) for name in STORY},
        "normalise": "(image / 255 - mean) / std, per channel",
    }
    write_encoder(target, safetensors.torch.load(files.read(source)), about)
    return about


def _read_about(source: Place) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(files.read(source.with_suffix(".json")))
    return about
