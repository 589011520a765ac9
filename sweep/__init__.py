"""Choose self-supervised models on a budget: pretrain a grid, measure alpha, probe few.

A name's module is imported when the name is first used. So `import sweep` alone imports neither
ray nor duckdb nor torch.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.config.study import StudyConfig, TrialConfig
    from sweep.core.errors import UserError
    from sweep.core.history import History
    from sweep.core.records import Cost, Decision, Measure, Observation, Outcome, Verdict, Zone
    from sweep.criteria.spectrum import alpha, rankme
    from sweep.launch.launch import Stopped, resume, run
    from sweep.methods.barlow_twins import barlow_twins_loss
    from sweep.pretraining.checkpoint import LoadedEncoder, load_encoder
    from sweep.pretraining.context import Context
    from sweep.replay.select import Selector, Suggestion
    from sweep.runners.ray.scheduler import GoldilocksScheduler
    from sweep.runners.ray.searcher import RuleSearcher
    from sweep.tables.results import Results, load

__all__ = [
    "Context",
    "Cost",
    "Decision",
    "GoldilocksScheduler",
    "History",
    "LoadedEncoder",
    "Measure",
    "Observation",
    "Outcome",
    "Results",
    "RuleSearcher",
    "Selector",
    "Stopped",
    "StudyConfig",
    "Suggestion",
    "TrialConfig",
    "UserError",
    "Verdict",
    "Zone",
    "alpha",
    "barlow_twins_loss",
    "load",
    "load_encoder",
    "rankme",
    "resume",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import the module of a public name and return what it has by that name."""
    home: ModuleType
    match name:
        case "StudyConfig" | "TrialConfig":
            from sweep.config import study as home
        case "UserError":
            from sweep.core import errors as home
        case "History":
            from sweep.core import history as home
        case "Cost" | "Decision" | "Measure" | "Observation" | "Outcome" | "Verdict" | "Zone":
            from sweep.core import records as home
        case "alpha" | "rankme":
            from sweep.criteria import spectrum as home
        case "Stopped" | "resume" | "run":
            from sweep.launch import launch as home
        case "barlow_twins_loss":
            from sweep.methods.barlow_twins import barlow_twins_loss

            return barlow_twins_loss  # `sweep.methods.barlow_twins` is the member, not its file
        case "LoadedEncoder" | "load_encoder":
            from sweep.pretraining import checkpoint as home
        case "Context":
            from sweep.pretraining import context as home
        case "Selector" | "Suggestion":
            from sweep.replay import select as home
        case "GoldilocksScheduler":
            from sweep.runners.ray import scheduler as home
        case "RuleSearcher":
            from sweep.runners.ray import searcher as home
        case "Results" | "load":
            from sweep.tables import results as home
        case _:
            raise AttributeError(f"module 'sweep' has no attribute {name!r}")
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
