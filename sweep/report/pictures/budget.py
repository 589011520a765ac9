"""Device time by stage, and what the rule saved of pretraining every model."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.report.fields import Row, Spec, unit_of
from sweep.report.pictures.base import Picture
from sweep.report.study import StudyData
from sweep.report.theme import STAGES

SAVED = "saved (predicted)"


def spent(study: StudyData) -> dict[str, float]:
    """Return stage -> device-seconds, with what pretraining every model would take besides."""
    parts = dict(study.seconds)
    if study.saved is not None:
        parts[SAVED] = max(0.0, study.saved.whole - study.saved.spent)
    return {stage: seconds for stage, seconds in parts.items() if seconds > 0}


def budget(studies: Sequence[StudyData]) -> Picture | None:
    """Return the picture; None if nothing was spent."""
    parts = {study.name: spent(study) for study in studies}
    longest = max((sum(seconds.values()) for seconds in parts.values()), default=0.0)
    if longest <= 0:
        return None
    size, unit = unit_of(longest)
    stages = [stage for stage in STAGES if any(stage in seconds for seconds in parts.values())]
    rows: list[Row] = [
        {"study": name, "stage": stage, "order": list(STAGES).index(stage),
         "seconds": seconds, "amount": seconds / size}
        for name, by_stage in parts.items()
        for stage, seconds in by_stage.items()
    ]  # fmt: skip
    spec: Spec = {
        "width": "container",
        "height": 44 * len(studies),
        "data": {"name": "budget"},
        "mark": {"type": "bar", "cornerRadius": 2, "tooltip": {"content": "data"}},
        "encoding": {
            "x": {
                "field": "amount",
                "type": "quantitative",
                "title": f"time on devices ({unit})",
                "stack": "zero",
            },
            "y": {"field": "study", "type": "nominal", "title": None,
                  "axis": None if len(studies) == 1 else {"domain": False, "ticks": False}},
            "color": {
                "field": "stage",
                "type": "nominal",
                "title": None,
                "scale": {"domain": stages, "range": [STAGES[stage] for stage in stages]},
                "legend": {"orient": "top", "symbolType": "square"},
            },
            "order": {"field": "order"},
        },
    }  # fmt: skip
    return Picture(
        title="Budget by stage",
        note="Saved: what pretraining every model to its end would take besides, predicted from "
        "the models that were trained.",
        spec=spec,
        data={"budget": rows},
        marks=len(rows),
    )
