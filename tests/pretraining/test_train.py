from __future__ import annotations

import io
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from sweep.config.models import AugmentConfig
from sweep.core.errors import ConfigError, DataError
from sweep.methods import Batch, Loss, Method
from sweep.methods.two_views import TwoViews
from sweep.pretraining.train import AVERAGED_STEPS, Run, Views, begin, pretrain, total_steps
from tests.runs import IMAGES, SHAPE, fresh, going, same, trained, trial, weights


def projector(run: Run) -> nn.Sequential:
    assert isinstance(run.method, TwoViews)
    assert isinstance(run.method.projector, nn.Sequential)
    return run.method.projector


def test_weights_follow_from_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = fresh(trial())
    torch.manual_seed(2)
    assert same(first, fresh(trial()))
    assert not same(first, fresh(trial(seed=1)))


def test_candidates_that_differ_in_d_start_from_one_encoder() -> None:
    wide, narrow = (fresh(trial(method={"d": d})) for d in (32, 16))
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


def test_the_parts_of_the_loss_are_averaged_over_the_last_steps() -> None:
    config = trial(train={"epochs": 6})
    run = fresh(config)
    invariances: list[float] = []
    for _ in going(run, config):
        invariances.append(float(run.parts[-1]["invariance"]))
        expected = sum(invariances[-AVERAGED_STEPS:]) / len(invariances[-AVERAGED_STEPS:])
        assert run.mean_parts()["invariance"] == pytest.approx(expected)
    assert len(invariances) == 30


def test_a_part_that_keeps_its_graph_is_detached_and_may_come_in_some_steps_only() -> None:
    class Odd(Method):
        def __init__(self, encoder: nn.Module) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, batch: Batch) -> Loss:
            value = self.encoder(batch.view()).square().mean()
            late = {"late": value} if batch.done > 0.5 else {}
            return Loss(value=value, parts={**late, "square": value})

    config = trial()
    run = fresh(config)
    run.method = Odd(run.encoder)
    for progress in going(run, config):
        assert set(run.mean_parts()) == ({"square", "late"} if progress.step > 8 else {"square"})
    assert not any(part.requires_grad for parts in run.parts for part in parts.values())


def test_augmentation_is_one_function_to_a_function_mode() -> None:
    class Names(TorchFunctionMode):
        called: ClassVar[list[str]] = []

        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            self.called.append(getattr(func, "__name__", ""))
            return func(*args, **(kwargs or {}))

    views = Views(
        images=IMAGES,
        recipes=AugmentConfig(),
        draws=torch.Generator().manual_seed(0),
        mean=torch.zeros(3),
        std=torch.ones(3),
        layout=torch.channels_last,
    )
    with Names() as names:
        views()
    assert names.called.count("augment") == 1
    assert len(names.called) < 10


def test_neither_weights_nor_training_touch_the_global_generator() -> None:
    state = torch.get_rng_state()
    trained(trial())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("optimizer", ["adam", "lars"])
@pytest.mark.parametrize("stop", [1, 5, 12])
def test_a_run_restored_from_disk_goes_on_bit_for_bit(optimizer: str, stop: int) -> None:
    config = trial(train={"optimizer": optimizer, "warmup_epochs": 1})
    whole, _ = trained(config)
    run = fresh(config)
    for progress in going(run, config):
        if progress.step == stop:
            break
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    file.seek(0)
    restored = fresh(config)
    restored.load_state_dict(torch.load(file, weights_only=True))
    rest = list(going(restored, config))
    assert [progress.step for progress in rest] == list(range(stop + 1, 16))
    assert same(restored, whole)


def test_convolutions_are_deterministic_during_a_step_only() -> None:
    seen: list[bool] = []

    class Watched(Method):
        def __init__(self, encoder: nn.Module) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, batch: Batch) -> Loss:
            seen.append(torch.backends.cudnn.deterministic)
            features = self.encoder(batch.view())
            features.register_hook(lambda grad: seen.append(torch.backends.cudnn.deterministic))
            return Loss(value=features.square().mean())

    config = trial()
    run = fresh(config)
    run.method = Watched(run.encoder)
    assert not torch.backends.cudnn.deterministic
    for _ in going(run, config):
        assert not torch.backends.cudnn.deterministic
    assert seen == [True, True] * 15


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_weights_on_a_gpu(precision: str) -> None:
    config = trial(train={"precision": precision})
    runs = [begin(config, SHAPE, "cuda", images=len(IMAGES)) for _ in range(2)]
    for run in runs:
        steps = pretrain(
            run,
            IMAGES.cuda(),
            config,
            device="cuda",
            mean=[0.5] * 3,
            std=[0.25] * 3,
            heartbeat_seconds=1e9,
        )
        assert [progress.status for progress in steps] == ["ok"]
    assert same(*runs)


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
    run = fresh(config)
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
    joint, progress = trained(trial(method={"joint_batch_norm": True}))
    assert progress[-1].status == "ok"
    assert not same(apart, joint)


def test_layout_changes_rounding_alone() -> None:
    fields: dict[str, Any] = {"epochs": 1, "precision": "float32", "lr": 1e-4}
    runs = [trained(trial(train={**fields, "channels_last": flag}))[0] for flag in (False, True)]
    for a, b in zip(weights(runs[0]), weights(runs[1]), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


def test_grey_images_train() -> None:
    config = trial()
    grey = IMAGES[:, :1]
    assert list(going(fresh(config, images=grey), config, images=grey))[-1].status == "ok"


def test_a_diverged_run_ends_as_nonfinite() -> None:
    run = fresh(trial())
    with torch.no_grad():
        next(projector(run).parameters()).fill_(float("inf"))
    seen = list(going(run, trial()))
    assert [(progress.step, progress.status) for progress in seen] == [(1, "nonfinite")]


def test_weights_that_overflow_in_the_last_step_are_nonfinite() -> None:
    config = trial(train={"epochs": 1, "lr": 1e38, "batch": 40, "weight_decay": 1e38})
    _, seen = trained(config)
    assert seen[-1].status == "nonfinite"


def test_a_collapsed_run_ends_as_degenerate() -> None:
    run = fresh(trial())
    with torch.no_grad():
        last = projector(run)[-1]
        assert isinstance(last, nn.Linear)
        last.weight.fill_(0.0)
        last.bias.fill_(3.0)
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
        "def make():\n"
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
    run = fresh(config, images=images)
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


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'barlow_twins'"):
        fresh(trial(method={"name": "barlow_twin"}))


@pytest.mark.parametrize(
    ("layers", "kinds"),
    [(1, "Linear"), (2, "Linear BatchNorm1d ReLU Linear")],
)
def test_the_projector_has_the_layers_asked_for(layers: int, kinds: str) -> None:
    run = fresh(trial(method={"d": 6, "hidden": 4, "layers": layers}))
    modules = projector(run)
    assert " ".join(type(module).__name__ for module in modules) == kinds
    assert modules(torch.rand(3, 256)).shape == (3, 6)
    linear = [module for module in modules if isinstance(module, nn.Linear)]
    assert [module.bias is not None for module in linear] == [False] * (layers - 1) + [True]
