"""Two processes that train together on the CPU in float64, and what each of them saw.

    python -m tests.pretraining.parallel.pair FOLDER RANK

Both processes run all cases, because their start takes longer than the cases.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sweep.config.study import TrialConfig
from sweep.encoders.small_conv import SmallConv
from sweep.pretraining.parallel.batch_norm import RanksBatchNorm, over_all_ranks
from sweep.pretraining.parallel.processes import join
from sweep.pretraining.parallel.ranks import ONE, Ranks
from sweep.pretraining.train import Run
from tests.runs import fresh, going, trial

HALFWAY = 7
EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"

AUGMENT = {"blur": 0.5, "solarize": 0.2, "hue": 0.1, "second": {"blur": 0.2, "crop_min": 0.3}}

CASES: Mapping[str, Mapping[str, Any]] = {
    "barlow_twins": {"method": {"name": "barlow_twins", "d": 16}},
    "barlow_twins, joint batch norm": {
        "method": {"name": "barlow_twins", "d": 16, "joint_batch_norm": True}
    },
    "byol": {"method": {"name": "byol", "d": 16, "hidden": 32}},
    "diet": {"method": {"name": "diet"}},
    "simclr, lars": {"method": {"name": "simclr", "d": 16}, "train": {"optimizer": "lars"}},
    "vicreg": {"method": {"name": "vicreg", "d": 16}},
    "masked": {"method": {"name": "masked:masked_prediction"}},
}
"""Tables of the config of each case."""

APART = "each with its own batch norm"


def config_of(case: str) -> TrialConfig:
    """Return the candidate of a case; a process gets four of the eight images of a batch."""
    tables = CASES["barlow_twins" if case == APART else case]
    keys = {"precision": "float32", "sync_batch_norm": case != APART, **tables.get("train", {})}
    return trial(**{**tables, "train": keys}, augment=AUGMENT)


def in_double(config: TrialConfig) -> Run:
    """Return a run at step 0 in float64."""
    run = fresh(config)
    run.method.double()
    for module in run.method.modules():
        if isinstance(module, SmallConv):
            module.register_forward_pre_hook(lambda layer, inputs: (inputs[0].double(),))
    return run


def seen(run: Run, config: TrialConfig, ranks: Ranks = ONE, *, steps: int = 15) -> dict[str, Any]:
    """Train up to a step; return losses, and parts, gradients and weights after the last step."""
    if ranks.processes > 1 and config.train.sync_batch_norm:
        over_all_ranks(run.method)
    losses = []
    for progress in going(run, config, ranks=ranks):
        losses.append((progress.loss, progress.status))
        if progress.step == steps:
            break
    return {
        "losses": losses,
        "parts": run.mean_parts(),
        "gradients": [w.grad.clone() for w in run.method.parameters() if w.grad is not None],
        "weights": {name: value.clone() for name, value in run.method.state_dict().items()},
    }


LAYERS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "no weights": {"affine": False},
    "mean of all batches": {"momentum": None},
    "no running statistics": {"track_running_stats": False},
}


def layer_of(name: str) -> nn.BatchNorm2d:
    """Return a plain batch norm of three channels with weights that are not 1."""
    layer = nn.BatchNorm2d(3, **LAYERS[name]).double()
    if layer.affine:
        layer.weight.data = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    return layer


def normalised(layer: nn.Module, x_BCHW: Tensor) -> dict[str, Any]:
    """Return the output of two steps, the gradient of the input, and the running statistics."""
    x_BCHW = x_BCHW.clone().requires_grad_()
    y = layer(layer(x_BCHW).sin())
    (y * torch.arange(y[0].numel(), dtype=y.dtype).view_as(y[0])).square().sum().backward()
    return {"y": y.detach(), "grad": x_BCHW.grad, "state": layer.state_dict()}


def images() -> Tensor:
    """Return eight inputs of a batch norm, with a mean that is large beside the deviation."""
    draws = torch.Generator().manual_seed(0)
    return torch.randn(8, 3, 4, 4, generator=draws, dtype=torch.float64) + 100


def main(folder: Path, rank: int) -> None:
    """Run all cases as one of the two processes, and save what this process saw."""
    torch.set_num_threads(1)
    sys.path.append(str(EXAMPLES))
    join(dist.FileStore(str(folder / "store"), 2), rank=rank, processes=2, device="cpu")  # type: ignore[attr-defined]  # exported where torch has it
    ranks = Ranks(rank=rank, processes=2)
    results: dict[str, Any] = {}
    for case in [*CASES, APART]:
        config = config_of(case)
        results[case] = seen(in_double(config), config, ranks)
    config = config_of("barlow_twins")
    run = in_double(config)
    seen(run, config, ranks, steps=HALFWAY)
    results["state"] = run.state_dict()
    run, other = in_double(config), in_double(config)
    seen(other, config, steps=HALFWAY)
    run.load_state_dict(other.state_dict())
    results["resumed"] = seen(run, config, ranks)
    uneven = images()[:5] if rank == 0 else images()[5:]
    for name in LAYERS:
        results[name] = normalised(RanksBatchNorm.of(layer_of(name)), uneven)  # type: ignore[arg-type]  # any plain batch norm
    torch.save(results, folder / f"{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
