"""Prior curves: read off a source at the candidates of a new study."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sweep.core.history import Floats
from sweep.prediction.earlier import Source, curves

LAMBD = np.geomspace(1e-3, 1.0, 12)


def source() -> Source:
    """Return twelve candidates, best at lambd = 0.03, that end where they are at half."""
    end = 0.5 - 0.03 * np.log10(LAMBD / 0.03) ** 2
    return Source(
        name="one",
        digest="",
        method="barlow_twins",
        axes={"lambd": LAMBD},
        fractions=(0.5, 1.0),
        accuracies=np.stack([end, end], axis=1),
    )


def best(curve_HT: Floats) -> float:
    return float(LAMBD[int(np.argmax(curve_HT[:, -1]))])


def test_the_curves_of_the_same_candidates_have_the_same_best() -> None:
    curve_HT = curves(source(), {"lambd": LAMBD}, (0.25, 1.0))
    assert curve_HT.shape == (12, 2)
    assert 0.01 < best(curve_HT) < 0.1


def test_a_source_without_accuracies_at_the_end_is_used_up_to_its_last_look() -> None:
    given = source()
    looks = given.accuracies.copy()
    looks[:, -1] = np.nan
    curve_HT = curves(replace(given, accuracies=looks), {"lambd": LAMBD}, (0.5, 0.75, 1.0))
    assert 0.01 < best(curve_HT) < 0.1
    assert np.array_equal(curve_HT[:, 0], curve_HT[:, -1])


def test_what_says_nothing_is_a_flat_curve() -> None:
    given, fractions = source(), (0.5, 1.0)
    no_accuracy = replace(given, accuracies=np.full((12, 2), np.nan))
    some = np.where(LAMBD > 0.1, np.nan, LAMBD)
    for flat in (
        curves(no_accuracy, {"lambd": LAMBD}, fractions),
        curves(given, {"d": LAMBD}, fractions),
        curves(given, {"lambd": some}, fractions),
    ):
        assert np.array_equal(flat, np.zeros((12, 2)))
