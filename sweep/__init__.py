"""Choose self-supervised models on a budget: pretrain a grid, measure alpha, probe few.

Names are imported when they are first used: `import sweep` alone imports neither ray nor
duckdb nor torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.config.models import StudyConfig as StudyConfig
    from sweep.config.models import TrialConfig as TrialConfig
    from sweep.core.errors import UserError as UserError
    from sweep.core.history import History as History
    from sweep.core.records import Cost as Cost
    from sweep.core.records import Decision as Decision
    from sweep.core.records import Measure as Measure
    from sweep.core.records import Observation as Observation
    from sweep.core.records import Outcome as Outcome
    from sweep.core.records import Verdict as Verdict
    from sweep.core.records import Zone as Zone
    from sweep.criteria.spectrum import alpha as alpha
    from sweep.criteria.spectrum import rankme as rankme
    from sweep.launch.launch import Stopped as Stopped
    from sweep.launch.launch import resume as resume
    from sweep.launch.launch import run as run
    from sweep.methods.barlow_twins import barlow_twins_loss as barlow_twins_loss
    from sweep.pretraining.checkpoint import LoadedEncoder as LoadedEncoder
    from sweep.pretraining.checkpoint import load_encoder as load_encoder
    from sweep.pretraining.context import Context as Context
    from sweep.replay.select import Selector as Selector
    from sweep.replay.select import Suggestion as Suggestion
    from sweep.runners.ray.scheduler import GoldilocksScheduler as GoldilocksScheduler
    from sweep.tables.results import Results as Results
    from sweep.tables.results import load as load

_HOME = {
    "Context": "sweep.pretraining.context",
    "Cost": "sweep.core.records",
    "Decision": "sweep.core.records",
    "GoldilocksScheduler": "sweep.runners.ray.scheduler",
    "History": "sweep.core.history",
    "LoadedEncoder": "sweep.pretraining.checkpoint",
    "Measure": "sweep.core.records",
    "Observation": "sweep.core.records",
    "Outcome": "sweep.core.records",
    "Results": "sweep.tables.results",
    "Selector": "sweep.replay.select",
    "Stopped": "sweep.launch.launch",
    "StudyConfig": "sweep.config.models",
    "Suggestion": "sweep.replay.select",
    "TrialConfig": "sweep.config.models",
    "UserError": "sweep.core.errors",
    "Verdict": "sweep.core.records",
    "Zone": "sweep.core.records",
    "alpha": "sweep.criteria.spectrum",
    "barlow_twins_loss": "sweep.methods.barlow_twins",
    "load": "sweep.tables.results",
    "load_encoder": "sweep.pretraining.checkpoint",
    "rankme": "sweep.criteria.spectrum",
    "resume": "sweep.launch.launch",
    "run": "sweep.launch.launch",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sweep' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
