"""The status of a study is that of now, whatever the log's last word is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.launch import launch
from sweep.log.study_folder import EVENTS
from sweep.storage.lease import NOTE, LeaseHolder, take
from sweep.storage.location import locate
from sweep.tables.results import Results
from tests.small import small_study


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    study = small_study("train.epochs=1", space={"axes": {"d": [8, 16]}}, rule={"name": "all"})
    launch.run(study, results=results)
    return results / study.name


def test_a_study_is_finished_stopped_running_or_dead(finished: Path) -> None:
    def status() -> list[str]:
        shown = Results(finished)
        now = shown.studies["status"].to_pylist()
        assert shown.sql("SELECT status FROM studies")["status"].to_pylist() == now
        return [str(word) for word in now]

    assert status() == ["finished"]
    log = finished / EVENTS
    events = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(events[:-1]))  # without the study's end
    assert status() == ["stopped"]
    lease = take(locate(finished))
    assert status() == ["running"]
    lease.release()
    assert status() == ["stopped"]
    (finished / NOTE).write_bytes(LeaseHolder.this_process().to_bytes())  # no process has the lock
    assert status() == ["dead"]
