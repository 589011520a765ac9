"""The path of a trial on a GPU, checked without one: devices, types, and what the host reads."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sweep.config.space import candidates
from sweep.config.study import TrialConfig
from sweep.core.records import Observation
from sweep.pretraining.context import Context
from sweep.pretraining.members import bind_trial
from sweep.pretraining.trial import run_trial, test_trial
from tests.pretraining.fake_cuda import fake_cuda
from tests.small import small_study, small_trial

ANSWERS = {
    "pretraining.train._status": (True, False),  # finite, and not constant
    "probes.labelled.unusable": (True, True, False),  # within range, twice, and not constant
}
READS = {
    "criteria.spectrum.Features.finite": {"cuda"},
    "criteria.spectrum.Features.rank": {"cuda"},
    "criteria.spectrum._eigenvalues": {"cpu"},
    "pretraining.train.Run.mean_parts": {"cuda"},
    "pretraining.train._status": {"cuda"},
    "pretraining.train.pretrain": {"cuda"},
    "probes.knn.probe": {"cuda"},
    "probes.labelled.accuracy": {"cuda"},
    "probes.labelled.unusable": {"cuda"},
    "probes.linear.Problem.loss_and_gradient": {"cpu"},
    "probes.linear.Problem.of": {"cpu", "cuda"},
    "probes.linear.Problem.uncertainty": {"cuda"},
    "probes.measures.further": {"cpu", "cuda"},
}
"""Functions that read values, and from which device. Each read makes the host wait for the GPU."""

STEPS = ("pretraining.train._status", "pretraining.train.pretrain")
"""Functions that read while a model is trained: at a heartbeat only."""

CASES: Mapping[str, tuple[str, ...]] = {
    "barlow_twins": ("train.precision=auto", "criteria.at=[0.5]", "probe.at=[0.5]"),
    "vicreg": ("train.optimizer=lars", "probe.name=knn", "encoder.name=resnet18"),
    "simclr": ("train.precision=bfloat16", "train.channels_last=true"),
    "byol": ("probe.name=knn", "train.channels_last=false"),
    "diet": ("probe.name=knn",),
}


@pytest.fixture(scope="module", params=CASES)
def trial(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Observation], dict[str, set[str]]]:
    """A trial of each method, from its first step to the winner's test; and what was read."""
    method: str = request.param
    study = small_study(*CASES[method], method={"name": method}, space={"axes": {"lr": [0.001]}})
    config = candidates(study, "digits", bind_trial)[0].config
    context = Context(folder=tmp_path_factory.mktemp("trial"), device="cuda", heartbeat_seconds=60)
    with fake_cuda(ANSWERS) as reads:
        seen = list(run_trial(config, context))
        seen.append(test_trial(config, context))
    return seen, reads.seen


def test_a_trial_goes_through_its_stages_on_a_gpu(
    trial: tuple[list[Observation], dict[str, set[str]]],
) -> None:
    seen, _ = trial
    assert [one.stage for one in seen][-4:] == ["trained", "measured", "probed", "tested"]
    assert seen[-4].detail["device"] == "fake"
    assert all(measure.status == "ok" for one in seen for measure in one.measures)


def test_values_are_read_in_known_places_only(
    trial: tuple[list[Observation], dict[str, set[str]]],
) -> None:
    _, reads = trial
    assert {name: kinds for name, kinds in reads.items() if kinds != READS.get(name)} == {}
    assert set(STEPS) <= reads.keys()


def test_a_trial_goes_on_from_its_checkpoint_on_a_gpu(tmp_path: Path) -> None:
    config = small_trial("criteria.at=[0.5]")
    context = Context(folder=tmp_path, device="cuda", heartbeat_seconds=60)
    with fake_cuda(ANSWERS):
        first = run_trial(config, context)
        looked = next(one for one in first if one.stage == "measured")
        first.close()
        again = list(run_trial(config, context))
    assert again[0] == looked
    assert [one.stage for one in again[1:]] == ["pretrain", "trained", "measured", "probed"]


def test_images_that_do_not_fit_stay_in_memory(tmp_path: Path) -> None:
    context = Context(folder=tmp_path, device="cuda", heartbeat_seconds=60)
    with fake_cuda(ANSWERS, free=1000) as reads:
        stages = [one.stage for one in run_trial(small_trial(), context)]
    assert stages[-1] == "probed"
    assert reads.seen.items() <= READS.items()


def train(config: TrialConfig, folder: Path) -> dict[str, set[str]]:
    """Take one step on the GPU that is none; return what was read."""
    context = Context(folder=folder, device="cuda", heartbeat_seconds=0)
    with fake_cuda(ANSWERS) as reads:
        list(itertools.islice(run_trial(config, context), 1))
    return reads.seen


def test_a_tensor_on_another_device_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(z: Tensor) -> Tensor:
        return z.float() + torch.zeros(z.shape[1])

    monkeypatch.setattr("sweep.methods.two_views.full_precision", planted)
    with pytest.raises(RuntimeError, match=r"same device|different devices"):
        train(small_trial(), tmp_path)


def test_a_generator_of_another_device_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(batch: int, probability: float, generator: torch.Generator) -> Tensor:
        draws = torch.rand(batch, generator=torch.Generator(), device=generator.device)
        return draws < probability

    monkeypatch.setattr("sweep.pretraining.augment._chance", planted)
    with pytest.raises(RuntimeError, match="generator of cpu draws for cuda"):
        train(small_trial(), tmp_path)


def test_a_new_read_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(z: Tensor) -> Tensor:
        return z if z.sum() == 0 else z.float()

    monkeypatch.setattr("sweep.methods.two_views.full_precision", planted)
    assert "methods.two_views.TwoViews.forward" in train(small_trial(), tmp_path)
    assert "methods.two_views.TwoViews.forward" not in READS
