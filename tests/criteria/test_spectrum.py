"""The spectrum: exact cases, the authors' formula, then properties."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from sweep.core.records import Measure
from sweep.criteria.spectrum import Features, Moments, alpha, power_law, rankme, summarise


def with_spectrum(eigenvalues: Tensor, images: int, seed: int = 0) -> Tensor:
    """Return float64 features [images, D] whose centred covariance has these eigenvalues."""
    generator = torch.Generator().manual_seed(seed)
    dim = len(eigenvalues)
    noise = torch.randn(images, dim, generator=generator, dtype=torch.float64)
    left_ND, _ = torch.linalg.qr(noise - noise.mean(0))
    right_DD = rotation(dim, seed + 1)
    h_ND: Tensor = math.sqrt(images) * (left_ND * eigenvalues.sqrt()) @ right_DD
    return h_ND


def rotation(dim: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
    basis: Tensor = torch.linalg.qr(noise).Q
    return basis


def ranks(dim: int) -> Tensor:
    return torch.arange(1, dim + 1, dtype=torch.float64)


def noisy_features(images: int = 500, dim: int = 120, seed: int = 0) -> Tensor:
    """Return float64 features whose spectrum is approximately a power law."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(images, dim, generator=generator, dtype=torch.float64)
    return noise * ranks(dim).pow(-0.6) + 0.5


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 1.7, 3.0])
def test_a_spectrum_of_rank_to_the_minus_a_gives_alpha_a(exponent: float) -> None:
    measure = alpha(with_spectrum(ranks(128) ** -exponent, 300))
    assert measure.status == "ok"
    assert measure.value == pytest.approx(exponent, abs=1e-8)
    assert measure.detail == {
        "first": 4,
        "last": 100,
        "images": 300,
        "dim": 128,
        "undersampled": False,
        "r2": pytest.approx(1.0),
    }


def test_float32_features_give_the_same_alpha() -> None:
    measure = alpha(with_spectrum(ranks(128) ** -3, 300).float())
    assert measure.value == pytest.approx(3.0, abs=1e-4)


def test_the_fit_equals_polyfit_with_the_root_of_one_over_rank() -> None:
    values = np.sort(np.random.default_rng(0).gamma(2.0, size=90))[::-1]
    fit = power_law(values, 4, 80)
    rank = np.arange(4, 81)
    x, y = np.log(rank), np.log(values[3:80])
    slope, intercept = np.polyfit(x, y, 1, w=rank**-0.5)
    assert fit.alpha == pytest.approx(-slope, rel=1e-12)
    assert fit.intercept == pytest.approx(intercept, rel=1e-12)
    residual = y - slope * x - intercept
    assert fit.r2 == pytest.approx(1 - np.sum(residual**2) / np.sum((y - y.mean()) ** 2))


def test_eigenvalues_equal_those_of_full_pca() -> None:
    h_ND = noisy_features()
    ours = summarise(h_ND).eigenvalues_D * 500 / 499
    reference = PCA(svd_solver="full").fit(h_ND.numpy()).explained_variance_
    np.testing.assert_allclose(ours, reference, rtol=1e-10)


def test_features_of_an_orthonormal_basis_have_rankme_of_their_dimension() -> None:
    assert rankme(torch.eye(64)).value == pytest.approx(64, rel=1e-4)


def test_features_on_one_axis_of_both_signs_have_rankme_1() -> None:
    h_ND = torch.zeros(10, 4)
    h_ND[:, 2] = torch.tensor([3.0, -3.0] * 5)
    assert rankme(h_ND).value == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("images", [500, 70])
def test_rankme_equals_the_formula_on_singular_values(images: int) -> None:
    h_ND = noisy_features(images)
    sigma = torch.linalg.svdvals(h_ND)
    p = sigma / sigma.sum() + 1e-7
    expected = float(torch.exp(-(p * p.log()).sum()))
    assert rankme(h_ND).value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("measure", [alpha, rankme])
def test_scale_rotation_and_order_change_nothing(measure: Callable[..., Measure]) -> None:
    h_ND = noisy_features()
    value = measure(h_ND).value
    assert measure(1e-6 * h_ND).value == pytest.approx(value, rel=1e-9)
    assert measure(h_ND @ rotation(120, 5)).value == pytest.approx(value, rel=1e-9)
    assert measure(h_ND.flip(0)).value == pytest.approx(value, rel=1e-9)
    assert measure(h_ND.flip(1)).value == pytest.approx(value, rel=1e-9)


def test_a_large_mean_changes_alpha_only_by_the_rounding_of_the_features() -> None:
    h_ND = noisy_features()
    assert alpha(h_ND + 1e4).value == pytest.approx(alpha(h_ND).value, abs=1e-9)
    moved_ND = (h_ND + 1e4).float()
    assert alpha(moved_ND).value == pytest.approx(alpha(h_ND).value, abs=1e-3)


def test_rankme_depends_on_the_mean() -> None:
    h_ND = noisy_features()
    before, after = rankme(h_ND).value, rankme(h_ND + 10).value
    assert before is not None
    assert after is not None
    assert after < before / 2


def test_single_batch_many_batches_and_merged_moments_agree() -> None:
    h_ND = noisy_features() + 1e3
    left, right = Moments(), Moments()
    for h_BD in torch.split(h_ND[:200], 37):
        left.update(h_BD)
    for h_BD in torch.split(h_ND[200:], 1):
        right.update(h_BD)
    left.merge(right)
    left.merge(Moments())
    empty = Moments()
    empty.merge(left)
    for moments in (left, empty):
        assert moments.count == 500
        torch.testing.assert_close(moments.mean_D, h_ND.mean(0), rtol=1e-12, atol=0)
        expected = torch.cov(h_ND.T, correction=0)
        torch.testing.assert_close(moments.covariance_DD, expected, rtol=1e-9, atol=1e-11)
    assert alpha(h_ND).value == pytest.approx(
        power_law(left.features().eigenvalues_D, 4, 100).alpha, abs=1e-9
    )


@pytest.mark.parametrize("block", [1, 50, 119, 120])
def test_the_block_size_does_not_change_the_covariance(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.criteria.spectrum.BLOCK", block)
    covariance_DD = summarise(noisy_features()).covariance_DD
    torch.testing.assert_close(
        covariance_DD, torch.cov(noisy_features().T, correction=0), rtol=1e-9, atol=1e-11
    )


def test_an_update_changes_neither_the_batch_nor_an_earlier_summary() -> None:
    h_BD = noisy_features(50)
    original = h_BD.clone()
    moments = Moments()
    moments.update(h_BD)
    before = moments.features()
    covariance = before.covariance_DD.clone()
    moments.update(2 * h_BD)
    assert torch.equal(h_BD, original)
    assert torch.equal(before.covariance_DD, covariance)
    assert before.count == 50


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("measure", [alpha, rankme])
def test_constant_features_are_degenerate(
    measure: Callable[..., Measure], dtype: torch.dtype
) -> None:
    result = measure(torch.linspace(-1, 7.3, 128).repeat(400, 1).to(dtype))
    assert result.status == "degenerate"
    assert result.value is None


def test_constant_features_with_rounding_errors_are_degenerate() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = 1e-7 * torch.randn(400, 128, generator=generator, dtype=torch.float64)
    constant = torch.linspace(1, 7.3, 128, dtype=torch.float64)
    assert alpha((constant * (1 + noise)).float()).status == "degenerate"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_rank_below_the_window_is_degenerate(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    low = torch.randn(1000, 60, generator=generator, dtype=dtype)
    mix = torch.randn(60, 256, generator=generator, dtype=dtype)
    measure = alpha(low @ mix)
    assert measure.status == "degenerate"
    assert measure.detail["reason"] == "rank 60 is below 100"
    assert alpha(low @ mix, first=4, last=50).value is not None


def test_fewer_images_than_the_window_needs_are_degenerate() -> None:
    measure = alpha(noisy_features(100))
    assert measure.status == "degenerate"
    assert measure.detail["reason"] == "100 images, more than 100 needed"


def test_too_few_images_for_the_width_are_flagged() -> None:
    measure = alpha(noisy_features(119))
    assert measure.value is not None
    assert measure.detail["undersampled"] is True


def test_a_spectrum_that_is_no_power_law_has_a_value_and_is_flagged() -> None:
    bent = torch.where(ranks(128) <= 40, 1.0, 1e-3)
    measure = alpha(with_spectrum(bent, 300))
    assert measure.status == "poor_fit"
    assert measure.value is not None
    assert measure.detail["r2"] < 0.95


def test_equal_eigenvalues_give_alpha_0_and_the_full_rankme() -> None:
    generator = torch.Generator().manual_seed(0)
    spread = torch.randn(400, 128, generator=generator, dtype=torch.float64)
    white_ND = torch.linalg.qr(spread - spread.mean(0)).Q
    assert alpha(white_ND).value == pytest.approx(0, abs=1e-9)
    assert alpha(white_ND).status == "ok"
    assert rankme(white_ND).value == pytest.approx(128, rel=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("measure", [alpha, rankme])
def test_a_single_nan_or_infinity_is_nonfinite(measure: Callable[..., Measure], bad: float) -> None:
    h_ND = noisy_features()
    h_ND[321, 7] = bad
    result = measure(h_ND)
    assert result.status == "nonfinite"
    assert result.value is None


def test_arrays_tensors_and_16_bit_floats_are_accepted() -> None:
    h_ND = noisy_features()
    array = h_ND.numpy()
    array.setflags(write=False)
    assert alpha(array).value == alpha(h_ND).value
    assert alpha(h_ND.bfloat16()).value == pytest.approx(alpha(h_ND).value, abs=0.01)
    assert alpha(h_ND.half().requires_grad_()).value == pytest.approx(alpha(h_ND).value, abs=0.01)


def test_moments_without_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="No features were added"):
        Moments().features()


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        (torch.zeros(5), r"features are \[5\], but must be \[N, D\]"),
        (torch.zeros(2, 3, 4), r"features are \[2, 3, 4\], but must be .* pool or flatten"),
        (torch.zeros(0, 300), r"features are \[0, 300\]"),
        (torch.zeros(200, 300, dtype=torch.int64), "torch.int64, but must be floating point"),
    ],
)
@pytest.mark.parametrize("measure", [alpha, rankme])
def test_features_that_are_not_a_matrix_of_floats_are_refused(
    measure: Callable[..., Measure], features: Tensor, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        measure(features)


@pytest.mark.parametrize(("first", "last"), [(0, 10), (4, 5), (4, 121)])
def test_a_window_that_does_not_fit_is_refused(first: int, last: int) -> None:
    with pytest.raises(ValueError, match=rf"the window is {first}\.\.{last}, but .* 1\.\.120"):
        alpha(noisy_features(), first=first, last=last)


def test_a_spectrum_that_ends_within_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ranks 1\.\.3 must be > 0, but the smallest is 0"):
        power_law([2.0, 1.0, 0.0], 1, 3)


def test_batches_of_another_width_are_refused() -> None:
    moments = Moments()
    moments.update(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="features have 4 dimensions, but earlier batches have 3"):
        moments.update(torch.zeros(2, 4))
    assert isinstance(moments.features(), Features)
    assert moments.count == 2
