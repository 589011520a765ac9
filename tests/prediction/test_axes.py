"""Candidates as points: which candidates are close."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.prediction.axes import Lengths, place

D = np.array([16.0, 160.0, 1600.0])
LENGTHS = Lengths(d=2.0, ratio=0.5, other=0.25)


def test_d_and_lambda_become_decades_of_d_and_of_lambda_times_d() -> None:
    x_HF = place({"lambd": 1 / D, "d": D}, {}, LENGTHS)
    assert x_HF[:, 0] == pytest.approx([0, 0, 0])
    assert np.diff(x_HF[:, 1]) == pytest.approx([0.5, 0.5])


def test_lambda_alone_is_taken_in_decades() -> None:
    x_HF = place({"lambd": np.array([0.01, 0.1, 1.0])}, {}, LENGTHS)
    assert np.diff(x_HF[:, 0]) == pytest.approx([2, 2])


def test_another_number_is_a_part_of_its_range_in_logarithms_where_it_is_wide() -> None:
    narrow = place({"augment.crop_min": np.array([0.2, 0.3, 0.4])}, {}, LENGTHS)
    wide = place({"train.lr": np.array([1e-4, 1e-3, 1e-2])}, {}, LENGTHS)
    assert np.diff(narrow[:, 0]) == pytest.approx([2, 2])
    assert np.diff(wide[:, 0]) == pytest.approx([2, 2])


def test_names_that_differ_are_one_length_apart() -> None:
    x_HF = place({}, {"encoder.name": np.array(["a", "b", "a"], dtype=object)})
    assert np.linalg.norm(x_HF[0] - x_HF[1]) == pytest.approx(1.0)
    assert (x_HF[0] == x_HF[2]).all()


def test_the_seed_and_what_does_not_vary_are_no_coordinates() -> None:
    x_HF = place({"seed": np.arange(3.0), "d": np.full(3, 16.0)}, {})
    assert x_HF.shape == (3, 0)


def test_zero_and_missing_values_have_a_place() -> None:
    x_HF = place({"lambd": np.array([0.0, 0.1, 1.0]), "d": np.array([1.0, np.nan, 3.0])}, {})
    assert np.isfinite(x_HF).all()
