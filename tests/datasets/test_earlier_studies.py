"""Studies that began before images were read as they are now are resumed with the same ids."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sweep.config.study import StudyConfig
from sweep.core.events import CandidateAdded, Observed
from sweep.launch import launch
from sweep.launch.past import past_of
from sweep.launch.preflight import prepare
from sweep.log.study_folder import EVENTS, read_log
from sweep.storage.location import locate
from tests.datasets.earlier import HERE, STUDIES, study, write_images


def place(name: str, root: Path) -> Path:
    """Put the log of a study into a folder, and return the folder."""
    folder = root / "results" / name
    folder.mkdir(parents=True)
    shutil.copy(HERE / f"{name}.jsonl", folder / EVENTS)
    return folder


def images(name: str, root: Path) -> Path | None:
    """Return the path of a study's images, which are written if it is a folder."""
    if name == "folder":
        return write_images(root / "images")
    return HERE / "images.parquet" if name == "table" else None


@pytest.mark.parametrize("name", STUDIES)
def test_a_resume_finds_the_same_images_and_trains_the_other_candidate(
    name: str, tmp_path: Path
) -> None:
    folder, path = place(name, tmp_path), images(name, tmp_path)
    overrides = [] if path is None else [f"data.path={json.dumps(str(path))}"]
    before = read_log(locate(folder))
    notes: list[str] = []
    launch.resume(folder, overrides=[*overrides, "budget.trials=2"], warn=notes.append)
    pinned = [note for note in notes if "keeps to data.reading=1" in note]
    assert len(pinned) == (0 if name == "digits" else 1)
    after = read_log(locate(folder))
    assert after[: len(before)] == before
    known = {event.trial_id for event in before if isinstance(event, CandidateAdded)}
    new = {event.trial_id for event in after[len(before) :] if isinstance(event, Observed)}
    assert len(known) == 2
    assert known >= new
    assert not [event for event in after[len(before) :] if isinstance(event, CandidateAdded)]


@pytest.mark.parametrize("name", STUDIES)
def test_the_config_in_the_log_gives_its_digest_and_its_ids(name: str, tmp_path: Path) -> None:
    past, path = past_of(locate(place(name, tmp_path))), images(name, tmp_path)
    config = past.config.model_copy(
        update={"data": past.config.data.model_copy(update={"path": path and str(path)})}
    )
    prepared = prepare(config)
    assert prepared.data_digest == past.beginning.data_digest
    assert {candidate.trial_id for candidate in prepared.candidates} == past.known


def test_a_new_study_of_the_digits_has_the_same_ids(tmp_path: Path) -> None:
    past = past_of(locate(place("digits", tmp_path)))
    prepared = prepare(StudyConfig.parse(study("digits", None)))
    assert {candidate.trial_id for candidate in prepared.candidates} == past.known
