"""What a study on Ray says while its trials wait for resources; the clock is the test's."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.tune.experiment import Trial

from sweep.runners.devices import Devices
from sweep.runners.interrupt import StopRequest
from sweep.runners.ray.watch import Watch
from sweep.storage.location import locate

pytestmark = pytest.mark.usefixtures("ray_cluster")


def lines(folder: Path, *, wait: bool, seconds: int) -> list[str]:
    """Return what is said while two trials wait so long for nodes with 8 cores and a GPU."""
    now, said = 0.0, list[str]()
    watch = Watch(
        StopRequest(locate(folder)),
        Devices(gpu=1, cpu=8, parallel=4),
        hang_seconds=1800,
        wait=wait,
        warn=said.append,
        clock=lambda: now,
    )
    for _ in range(2):
        watch.added(Trial("sweep", stub=True))
    while now < seconds:
        now += 5
        watch.on_step_begin(1, [])
    return said


def test_every_half_minute_a_line_says_for_what_trials_wait(tmp_path: Path) -> None:
    said = lines(tmp_path, wait=True, seconds=100)
    assert len(said) == 3
    assert set(said) == {said[0]}
    needs = "2 of 4 trials wait for nodes (resources.wait). Each needs 8 CPU and 1 GPU"
    assert said[0].startswith(f"{needs} on one node that is free; the nodes have: ")


def test_without_waiting_the_first_line_comes_after_two_minutes(tmp_path: Path) -> None:
    assert lines(tmp_path, wait=False, seconds=115) == []
    (said,) = lines(tmp_path, wait=False, seconds=500)
    assert said.startswith("No trial has had an actor for 120 s. Each trial needs 8 CPU and 1 GPU")
