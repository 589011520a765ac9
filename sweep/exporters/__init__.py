"""Exporters: a study's trials in the form that another tool shows.

A member is a function `send(results, target) -> Sent`. It reads the tables of the study, and brings
the target up to them: sending twice changes nothing, and sending while the study runs adds what is
new. It never writes to the study. Imports `tables` and below. To add an exporter: a file here, and
a line in `EXPORTERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sweep.exporters.base import Sent
from sweep.exporters.optuna_study import send as optuna
from sweep.tables.results import Results

__all__ = ["EXPORTERS", "Sent"]

EXPORTERS: Mapping[str, Callable[[Results, str | None], Sent]] = {"optuna": optuna}
