"""Choose self-supervised models on a budget: pretrain a grid, measure alpha, probe few.

Names are imported when they are first used: `import sweep` alone imports neither ray nor
duckdb nor torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.checkpoint import LoadedEncoder as LoadedEncoder
    from sweep.checkpoint import load_encoder as load_encoder
    from sweep.config import StudyConfig as StudyConfig
    from sweep.config import TrialConfig as TrialConfig
    from sweep.context import Context as Context
    from sweep.errors import UserError as UserError
    from sweep.history import History as History
    from sweep.launch import Stopped as Stopped
    from sweep.launch import resume as resume
    from sweep.launch import run as run
    from sweep.objectives.barlow_twins import barlow_twins_loss as barlow_twins_loss
    from sweep.outcome import Outcome as Outcome
    from sweep.ray_tune.scheduler import GoldilocksScheduler as GoldilocksScheduler
    from sweep.records import Cost as Cost
    from sweep.records import Decision as Decision
    from sweep.records import Measure as Measure
    from sweep.records import Observation as Observation
    from sweep.records import Verdict as Verdict
    from sweep.records import Zone as Zone
    from sweep.results import Results as Results
    from sweep.results import load as load
    from sweep.select import Selector as Selector
    from sweep.select import Suggestion as Suggestion
    from sweep.spectrum import alpha as alpha
    from sweep.spectrum import rankme as rankme

_HOME = {
    "Context": "sweep.context",
    "Cost": "sweep.records",
    "Decision": "sweep.records",
    "GoldilocksScheduler": "sweep.ray_tune.scheduler",
    "History": "sweep.history",
    "LoadedEncoder": "sweep.checkpoint",
    "Measure": "sweep.records",
    "Observation": "sweep.records",
    "Outcome": "sweep.outcome",
    "Results": "sweep.results",
    "Selector": "sweep.select",
    "Stopped": "sweep.launch",
    "StudyConfig": "sweep.config",
    "Suggestion": "sweep.select",
    "TrialConfig": "sweep.config",
    "UserError": "sweep.errors",
    "Verdict": "sweep.records",
    "Zone": "sweep.records",
    "alpha": "sweep.spectrum",
    "barlow_twins_loss": "sweep.objectives.barlow_twins",
    "load": "sweep.results",
    "load_encoder": "sweep.checkpoint",
    "rankme": "sweep.spectrum",
    "resume": "sweep.launch",
    "run": "sweep.launch",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sweep' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
