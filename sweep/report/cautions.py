"""The one sentence that a reader of the winner should know first. Pure."""

from __future__ import annotations

from collections.abc import Callable

from sweep.report.study import StudyData, interval

FAILED_SHARE = 0.2
"""From this share of failed trials on, the sentence is about them."""


def caution(study: StudyData) -> str:
    """Return the most important warning about a study's result, "" if none is due."""
    checks: tuple[Callable[[StudyData], str], ...] = (
        _nothing_probed, _unfinished, _no_better_than_a_guess, _many_failed, _at_an_edge, _ties,
    )  # fmt: skip
    return next((sentence for check in checks if (sentence := check(study))), "")


def _nothing_probed(study: StudyData) -> str:
    if study.winner is not None:
        return ""
    return "No model was probed, so no accuracy is known and there is no winner."


def _unfinished(study: StudyData) -> str:
    if study.finished:
        return ""
    return "The study has not ended: the best model so far may still be beaten."


def _no_better_than_a_guess(study: StudyData) -> str:
    found = interval(study)
    if study.chance is None or found is None or found[0] > study.chance:
        return ""
    return f"The winner is no better than a guess, which is right for {study.chance:.1%}."


def _many_failed(study: StudyData) -> str:
    failed = sum(row["status"] == "failed" for row in study.rows)
    if failed < FAILED_SHARE * len(study.rows):
        return ""
    return f"{failed} of {len(study.rows)} trials failed; the failures are listed below by cause."


def _at_an_edge(study: StudyData) -> str:
    row = study.winner or {}
    for name in study.varied:
        if name == "seed":
            continue
        values = [r[name] for r in study.rows if isinstance(r[name], int | float)]
        if len(values) < len(study.rows) or len(set(values)) < 3 or isinstance(row[name], bool):
            continue
        end = "largest" if row[name] == max(values) else "smallest"
        if row[name] in (min(values), max(values)):
            return (
                f"The winner has the {end} {name} of the space ({row[name]:.4g}): better models "
                "may lie beyond it."
            )
    return ""


def _ties(study: StudyData) -> str:
    ties = len(study.outcome.ties) if study.outcome else 0
    if ties == 0:
        return ""
    others = "One other model is" if ties == 1 else f"{ties} other models are"
    return f"{others} as good as the winner, as far as these images can tell."
