"""A study that trains in seconds: digits and a small network."""

from __future__ import annotations

from typing import Any

from sweep.config.space import candidates
from sweep.config.study import StudyConfig, TrialConfig
from sweep.pretraining.members import bind_trial


def small_study(*overrides: str, **fields: Any) -> StudyConfig:
    """Return a study of six models on the embedded digits, run in process."""
    tree: dict[str, Any] = {
        "name": "small",
        "data": {"name": "digits", "limit": 700},
        "encoder": {"name": "small_conv"},
        "augment": {"flip": 0.0, "crop_min": 0.6},
        "train": {"epochs": 2, "batch": 128, "precision": "float32"},
        "criteria": {"images": 300, "alpha": {"last": 30}},
        "space": {"axes": {"d": [8, 32, 64], "lambd": [0.005, 0.1]}},
        "rule": {"name": "paper", "round": 4},
        "resources": {"runner": "local", "heartbeat_seconds": 0.2},
    }
    return StudyConfig.parse({**tree, **fields}, overrides, warn=lambda sentence: None)


def small_trial(*overrides: str) -> TrialConfig:
    """Return the first candidate of that study."""
    return candidates(small_study(*overrides), "digits", bind_trial)[0].config
