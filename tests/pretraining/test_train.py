from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sweep.config.models import ProjectorConfig, StudyConfig, TrialConfig
from sweep.core.errors import ConfigError, DataError
from sweep.pretraining.train import Progress, Run, begin, make_projector, pretrain, total_steps

SHAPE = (3, 8, 8)
IMAGES = torch.randint(
    0, 256, (40, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)


def trial(seed: int = 0, **fields: Any) -> TrialConfig:
    tree: dict[str, Any] = {
        "encoder": {"name": "small_conv"},
        "projector": {"d": 16},
        "train": {"epochs": 3, "batch": 8},
    }
    for section, values in fields.items():
        tree[section] = {**tree.get(section, {}), **values}
    study = StudyConfig.parse(tree)
    dumped = study.model_dump(include=set(TrialConfig.model_fields))
    return TrialConfig.model_validate({**dumped, "seed": seed})


def going(
    run: Run, config: TrialConfig, *, images: Tensor = IMAGES, heartbeat: float = 0.0, **kwargs: Any
) -> Iterator[Progress]:
    return pretrain(
        run,
        images,
        config,
        device="cpu",
        mean=[0.5] * images.shape[1],
        std=[0.25] * images.shape[1],
        heartbeat_seconds=heartbeat,
        **kwargs,
    )


def trained(config: TrialConfig, **kwargs: Any) -> tuple[Run, list[Progress]]:
    run = begin(config, SHAPE, "cpu")
    return run, list(going(run, config, **kwargs))


def weights(run: Run) -> list[Tensor]:
    return [*run.encoder.state_dict().values(), *run.projector.state_dict().values()]


def same(a: Run, b: Run) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def test_weights_follow_from_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = begin(trial(), SHAPE, "cpu")
    torch.manual_seed(2)
    assert same(first, begin(trial(), SHAPE, "cpu"))
    assert not same(first, begin(trial(seed=1), SHAPE, "cpu"))


def test_candidates_that_differ_in_d_start_from_one_encoder() -> None:
    wide, narrow = (begin(trial(projector={"d": d}), SHAPE, "cpu") for d in (32, 16))
    for a, b in zip(wide.encoder.parameters(), narrow.encoder.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_weights_however_often_it_reports(precision: str) -> None:
    config = trial(train={"precision": precision})
    often, many = trained(config)
    seldom, few = trained(config, heartbeat=1e9)
    assert same(often, seldom)
    assert [progress.step for progress in many] == list(range(1, 16))
    assert few == many[-1:]


def test_neither_weights_nor_training_touch_the_global_generator() -> None:
    state = torch.get_rng_state()
    trained(trial())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("optimizer", ["adam", "lars"])
@pytest.mark.parametrize("stop", [1, 5, 12])
def test_a_run_restored_from_disk_goes_on_bit_for_bit(optimizer: str, stop: int) -> None:
    config = trial(train={"optimizer": optimizer, "warmup_epochs": 1})
    whole, _ = trained(config)
    run = begin(config, SHAPE, "cpu")
    for progress in going(run, config):
        if progress.step == stop:
            break
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    file.seek(0)
    restored = begin(config, SHAPE, "cpu")
    restored.load_state_dict(torch.load(file, weights_only=True))
    rest = list(going(restored, config))
    assert [progress.step for progress in rest] == list(range(stop + 1, 16))
    assert same(restored, whole)


def test_it_reports_at_marks_and_at_the_end() -> None:
    _, seen = trained(trial(), heartbeat=1e9, marks=(4, 9))
    assert [(progress.step, progress.epoch) for progress in seen] == [(4, 0.8), (9, 1.8), (15, 3.0)]
    assert {progress.status for progress in seen} == {"ok"}


def test_a_finished_run_has_nothing_left_to_report() -> None:
    config = trial()
    run, _ = trained(config)
    before = [weight.clone() for weight in weights(run)]
    assert list(going(run, config)) == []
    assert all(torch.equal(a, b) for a, b in zip(before, weights(run), strict=True))


def test_measuring_in_evaluation_mode_between_two_steps_changes_nothing() -> None:
    config = trial()
    plain, _ = trained(config)
    run = begin(config, SHAPE, "cpu")
    for _ in going(run, config):
        run.encoder.eval()
    assert same(run, plain)


def test_the_loss_falls() -> None:
    config = trial(train={"epochs": 30, "batch": 20, "lr": 3e-3})
    _, seen = trained(config)
    first, last = (sum(p.loss for p in part) / 10 for part in (seen[:10], seen[-10:]))
    assert last < 0.9 * first


def test_both_views_in_one_batch_are_another_network() -> None:
    apart, _ = trained(trial())
    joint, seen = trained(trial(train={"joint_batch_norm": True}))
    assert seen[-1].status == "ok"
    assert not same(apart, joint)


def test_layout_changes_rounding_alone() -> None:
    fields: dict[str, Any] = {"epochs": 1, "precision": "float32", "lr": 1e-4}
    runs = [trained(trial(train={**fields, "channels_last": flag}))[0] for flag in (False, True)]
    for a, b in zip(weights(runs[0]), weights(runs[1]), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


def test_grey_images_train() -> None:
    config = trial()
    run = begin(config, (1, 8, 8), "cpu")
    assert list(going(run, config, images=IMAGES[:, :1]))[-1].status == "ok"


def test_a_diverged_run_ends_as_nonfinite() -> None:
    run = begin(trial(), SHAPE, "cpu")
    with torch.no_grad():
        next(run.projector.parameters()).fill_(float("inf"))
    seen = list(going(run, trial()))
    assert [(progress.step, progress.status) for progress in seen] == [(1, "nonfinite")]


def test_weights_that_overflow_in_the_last_step_are_nonfinite() -> None:
    config = trial(train={"epochs": 1, "lr": 1e38, "batch": 40, "weight_decay": 1e38})
    _, seen = trained(config)
    assert seen[-1].status == "nonfinite"


def test_a_collapsed_run_ends_as_degenerate() -> None:
    run = begin(trial(), SHAPE, "cpu")
    with torch.no_grad():
        for weight in run.projector[-1].parameters():
            weight.fill_(0.0)
        assert isinstance(run.projector[-1], nn.Linear)
        run.projector[-1].bias.fill_(3.0)
    seen = list(going(run, trial(train={"lr": 1e-12})))
    assert [(progress.step, progress.status) for progress in seen] == [(1, "degenerate")]


def test_a_partial_batch_is_dropped_and_fewer_images_than_one_are_refused() -> None:
    assert total_steps(trial(), 40) == 15
    assert total_steps(trial(), 47) == 15
    with pytest.raises(
        DataError, match=r"There are 7 images .* train\.batch = 8\. Set train\.batch to 7 or less"
    ):
        total_steps(trial(), 7)


def test_each_epoch_sees_each_image_at_most_once_in_its_own_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Image i is of one colour, i; the encoder writes down which colours pass."""
    (tmp_path / "recording.py").write_text(
        "import torch\n"
        "class Recorder(torch.nn.Module):\n"
        "    dim = 3\n"
        "    seen = []\n"
        "    def forward(self, x):\n"
        "        self.seen.append((x[:, 0, 0, 0] * 255).round().int().tolist())\n"
        "        return x.mean((2, 3)) + torch.arange(3)\n"
        "def make(config):\n"
        "    return lambda shape: Recorder()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    augment = {"flip": 0, "jitter": 0, "grey": 0}
    config = trial(
        encoder={"name": "recording:make"},
        augment=augment,
        train={"precision": "float32", "epochs": 2, "batch": 8},
    )
    images = torch.arange(43, dtype=torch.uint8).view(-1, 1, 1, 1).expand(43, *SHAPE).contiguous()
    run = begin(config, SHAPE, "cpu")
    list(
        pretrain(
            run, images, config, device="cpu", mean=[0] * 3, std=[1] * 3, heartbeat_seconds=1e9
        )
    )
    views = run.encoder.seen
    assert isinstance(views, list)
    assert views[::2] == views[1::2]
    first, second = ([i for batch in views[at : at + 10 : 2] for i in batch] for at in (0, 10))
    assert len(set(first)) == len(set(second)) == 40
    assert first != second


def test_an_unknown_objective_is_named() -> None:
    config = trial(objective={"name": "barlow_twin"})
    with pytest.raises(ConfigError, match="Did you mean 'barlow_twins'"):
        next(going(begin(config, SHAPE, "cpu"), config))


@pytest.mark.parametrize(
    ("layers", "kinds"),
    [(1, "Linear"), (2, "Linear BatchNorm1d ReLU Linear")],
)
def test_the_projector_has_the_layers_asked_for(layers: int, kinds: str) -> None:
    projector = make_projector(10, ProjectorConfig(d=6, hidden=4, layers=layers))
    assert " ".join(type(layer).__name__ for layer in projector) == kinds
    assert projector(torch.rand(3, 10)).shape == (3, 6)
    assert [
        getattr(layer, "bias", None) is None for layer in projector if hasattr(layer, "weight")
    ][-1] is False
    assert projector[-1].bias is not None
    assert all(layer.bias is None for layer in projector[:-1] if isinstance(layer, nn.Linear))
