"""How the cores and GPUs of a machine or a cluster are divided among the trials."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.config.study import StudyConfig
from sweep.core.errors import ConfigError
from sweep.runners.devices import Devices, devices


def of(resources: dict[str, Any], **has: Any) -> Devices:
    return devices(StudyConfig.parse({"resources": resources}), **has)


def test_a_trial_takes_a_gpu_and_a_core_where_there_are_gpus() -> None:
    assert of({}, gpus=4, cpus=8) == Devices(gpu=1, cpu=1, parallel=4)
    assert of({"gpu": 0.25}, gpus=2, cpus=8) == Devices(gpu=0.25, cpu=1, parallel=8)
    assert of({"cpu": 2}, gpus=0, cpus=8) == Devices(gpu=0, cpu=2, parallel=4)


def test_each_process_of_a_trial_takes_a_gpu_and_its_cores() -> None:
    four = Devices(gpu=4, cpu=12, parallel=2, processes=4)
    assert of({"gpu": 4, "cpu": 3}, gpus=8, cpus=64) == four
    assert of({"processes": 4, "cpu": 3}, gpus=8, cpus=64) == four
    assert (four.threads, four.share) == (3, 4)
    assert of({"processes": 4, "gpu": 0}, gpus=8, cpus=64).parallel == 16
    assert of({"processes": 2, "cpu": 3}, gpus=0, cpus=12) == Devices(
        gpu=0, cpu=6, parallel=2, processes=2
    )


def test_a_trial_with_several_processes_fits_into_one_node() -> None:
    nodes = [(8.0, 2.0), (8.0, 2.0), (8.0, 5.0)]
    asked = {"gpu": 2, "cpu": 1}
    assert of(asked, gpus=9, cpus=24, nodes=nodes).parallel == 4
    assert of({"gpu": 2, "cpu": 4}, gpus=9, cpus=24, nodes=nodes).parallel == 3
    with pytest.raises(ConfigError, match=r"need 6 cores and 6 GPUs on one node.* 8 cores and 5"):
        of({"gpu": 6}, gpus=9, cpus=24, nodes=nodes)
    with pytest.raises(ConfigError, match=r"resources\.parallel is 5, and 4 trials .*processes=1"):
        of({**asked, "parallel": 5}, gpus=9, cpus=24, nodes=nodes)


def test_one_trial_at_a_time_runs_in_process() -> None:
    assert of({"processes": 2, "runner": "local"}, gpus=0, cpus=8).parallel == 1


def test_gpus_that_there_are_not_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"resources\.gpu is 4, and no GPU was found"):
        of({"gpu": 4}, gpus=0, cpus=8)
    with pytest.raises(ConfigError, match=r"2 GPUs on one node, .* 8 cores and 1 GPUs.*gpu=0 runs"):
        of({"processes": 2}, gpus=1, cpus=8)


def test_a_trial_may_take_a_part_of_a_core() -> None:
    small = of({"cpu": 0.01}, gpus=0, cpus=2)
    assert small == Devices(gpu=0, cpu=0.01, parallel=200)
    assert small.threads == 1
    assert of({"cpu": 2.0}, gpus=0, cpus=8).cpu == 2
    with pytest.raises(ConfigError, match=r"1\.5 cores: use a whole number, or a part of one core"):
        of({"cpu": 1.5}, gpus=0, cpus=8)


def test_trials_that_wait_for_nodes_may_need_what_there_is_not_yet() -> None:
    waiting = {"wait": True, "address": "auto", "parallel": 16, "gpu": 1, "cpu": 8}
    assert of(waiting, gpus=0, cpus=1) == Devices(gpu=1, cpu=8, parallel=16)
    with pytest.raises(ConfigError, match=r"no node can join .* Set resources\.address"):
        of({**waiting, "address": None}, gpus=0, cpus=1)
    with pytest.raises(ConfigError, match=r"resources\.parallel is missing.*resources\.parallel=8"):
        of({**waiting, "parallel": None}, gpus=0, cpus=1)
