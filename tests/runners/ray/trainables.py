"""Plain PyTorch trainables, as a user of Ray Tune would write them: nothing of ours in them.

A tiny autoencoder of width `d` on fixed Gaussian data; its hidden features have an alpha,
and a least-squares probe on them has an accuracy.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from ray import tune
from torch import Tensor, nn


def images() -> tuple[Tensor, Tensor]:
    """Return 400 vectors of 16 numbers with a decaying spectrum, and two classes."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 16, generator=generator) * torch.arange(1.0, 17.0).pow(-0.7)
    return x, (x[:, 0] > 0).long()


def pretrain(d: int) -> nn.Module:
    """Return an encoder after a few steps of an autoencoder."""
    torch.manual_seed(d)
    x, _ = images()
    encoder, decoder = nn.Linear(16, d), nn.Linear(d, 16)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.02)
    for _ in range(20):
        loss = (decoder(encoder(x)) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encoder


def slope(encoder: nn.Module) -> float:
    """Return the decay exponent of the features' spectrum, ranks 1 to 6."""
    with torch.no_grad():
        h = encoder(images()[0]).double()
    values = torch.linalg.eigvalsh(torch.cov(h.T)).flip(0)[:6].clamp_min(1e-12).log()
    ranks = torch.arange(1.0, len(values) + 1).double().log()
    centred = ranks - ranks.mean()
    return float(-(centred * (values - values.mean())).sum() / centred.square().sum())


def probe(encoder: nn.Module) -> float:
    """Return the accuracy of a least-squares classifier on the features."""
    x, y = images()
    with torch.no_grad():
        h = torch.cat([encoder(x), torch.ones(len(x), 1)], 1)
    weights = torch.linalg.lstsq(h, 2.0 * y[:, None] - 1.0).solution
    return float(((h @ weights)[:, 0] > 0).eq(y.bool()).double().mean())


def with_checkpoint(config: dict[str, Any]) -> None:
    """Report alpha with a checkpoint, then accuracy; restored, go straight to the probe."""
    encoder: nn.Module = nn.Linear(16, config["d"])
    if (checkpoint := tune.get_checkpoint()) is not None:
        with checkpoint.as_directory() as folder:
            encoder.load_state_dict(torch.load(Path(folder) / "encoder.pt", weights_only=True))
    else:
        encoder = pretrain(config["d"])
        with tempfile.TemporaryDirectory() as folder:
            torch.save(encoder.state_dict(), Path(folder) / "encoder.pt")
            kept = tune.Checkpoint.from_directory(folder)
            tune.report({"loss": 1.0})
            tune.report({"alpha": slope(encoder), "pretrained": 1}, checkpoint=kept)
    tune.report({"accuracy": probe(encoder)})


def without_checkpoint(config: dict[str, Any]) -> None:
    """Report alpha and accuracy, and give Tune nothing to pause on."""
    encoder = pretrain(config["d"])
    tune.report({"loss": 1.0})
    tune.report({"alpha": slope(encoder)})
    tune.report({"accuracy": probe(encoder)})


class AsClass(tune.Trainable):
    """The same in Tune's class interface; the last result says done."""

    def setup(self, config: dict[str, Any]) -> None:
        self.encoder: nn.Module = nn.Linear(16, config["d"])
        self.measured = False

    def step(self) -> dict[str, Any]:
        if not self.measured:
            self.encoder, self.measured = pretrain(self.config["d"]), True
            return {"alpha": slope(self.encoder)}
        return {"accuracy": probe(self.encoder), "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        state = {"encoder": self.encoder.state_dict(), "measured": self.measured}
        torch.save(state, Path(checkpoint_dir) / "state.pt")

    def load_checkpoint(self, checkpoint: Any) -> None:
        state = torch.load(Path(checkpoint) / "state.pt", weights_only=True)
        self.encoder.load_state_dict(state["encoder"])
        self.measured = state["measured"]


def silent(config: dict[str, Any]) -> None:
    """Report neither alpha nor accuracy."""
    for step in range(3):
        tune.report({"loss": 1.0 / (step + 1)})


def failing(config: dict[str, Any]) -> None:
    """Break down for some candidates."""
    if config["d"] % 2:
        raise RuntimeError("boom")
    without_checkpoint(config)


LOOKS = (0.25, 0.5, 1.0)


def accuracy_of(x: int, fraction: float) -> float:
    """Return an accuracy that is best for x = 5 and rises with training."""
    return 0.7 - 0.02 * abs(x - 5) - 0.1 * (1 - fraction)


class Curve(tune.Trainable):
    """Reports an accuracy at each of `LOOKS`; `act` says what is odd about the trial with x = 3."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reached = self.trained = 0

    def step(self) -> dict[str, Any]:
        if self.config["x"] == 3 and self.config.get("act") == "raise":
            raise RuntimeError("boom")
        if self.config["x"] == 3 and self.config.get("act") == "raise once":
            marker = Path(self.config["marker"])
            if not marker.exists():
                marker.touch()
                raise RuntimeError("boom")
        fraction = LOOKS[self.reached]
        self.reached, self.trained = self.reached + 1, self.trained + 1
        result: dict[str, Any] = {
            "accuracy": accuracy_of(self.config["x"], fraction),
            "fraction": fraction,
            "trained": self.trained,
            "done": fraction == 1.0,
        }
        if self.config["x"] == 3:
            result |= ODD.get(self.config.get("act"), {})
        return result

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "reached").write_text(str(self.reached))

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.reached = int((Path(checkpoint) / "reached").read_text())


ODD: dict[Any, dict[str, Any]] = {
    "percent": {"accuracy": 68.0},
    "nan": {"accuracy": float("nan")},
    "infinite": {"accuracy": float("inf")},
    "text": {"accuracy": "high"},
    "chance": {"accuracy": 0.1},
    "nothing done": {"fraction": 0.0},
    "beyond": {"fraction": 1.5},
    "half": {"fraction": "half"},
    "no fraction": {"fraction": float("nan")},
}
"""What an odd trial reports in each result."""


def uncheckpointed(config: dict[str, Any]) -> None:
    """Report the same accuracies, with nothing to pause on."""
    for fraction in LOOKS:
        tune.report({"accuracy": accuracy_of(config["x"], fraction), "fraction": fraction})


def curve_going_back(config: dict[str, Any]) -> None:
    """Report fractions out of order, then the end without a fraction."""
    for fraction in (0.5, 0.25, 0.5):
        tune.report({"accuracy": accuracy_of(config["x"], fraction), "fraction": fraction})
    tune.report({"accuracy": accuracy_of(config["x"], 1.0)})


def final_only(config: dict[str, Any]) -> None:
    """Report nothing but the end."""
    tune.report({"accuracy": accuracy_of(config["x"], 1.0)})


def with_alpha(config: dict[str, Any]) -> None:
    """Report alpha at a fraction, an accuracy at a later one, and both at the end."""
    start = 0
    if (checkpoint := tune.get_checkpoint()) is not None:
        with checkpoint.as_directory() as folder:
            start = int((Path(folder) / "reached").read_text())
    for number, fraction in enumerate(LOOKS):
        if number < start:
            continue
        result = {"alpha": 1.0 + 0.1 * config["x"], "fraction": fraction}
        if number > 0:
            result["accuracy"] = accuracy_of(config["x"], fraction)
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "reached").write_text(str(number + 1))
            tune.report(result, checkpoint=tune.Checkpoint.from_directory(folder))
