from __future__ import annotations

import numpy as np
import pytest

from sweep.prediction.response import predict, ranked

X = ranked([np.linspace(0, 1, 41)])


def test_ranks_lie_between_0_and_1_and_an_unknown_value_gets_one_half() -> None:
    values = ranked([np.array([3.0, 1e9, np.nan, -5.0, 3.0])])
    assert values[:, 0].tolist() == [0.5, 1.0, 0.5, 0.0, 0.5]


def test_a_smooth_response_is_recovered_from_a_few_points() -> None:
    truth = 0.6 - 0.3 * (X[:, 0] - 0.4) ** 2
    known = np.array([0, 8, 16, 24, 32, 40])
    fit = predict({"alpha": X, "nothing": np.zeros((41, 0))}, known, truth[known])
    assert np.abs(fit.mean - truth).max() < 0.05
    assert fit.shares()["alpha"] > 0.6


def test_a_feature_that_explains_nothing_gets_almost_no_weight() -> None:
    rng = np.random.default_rng(0)
    truth = 0.6 - 0.3 * (X[:, 0] - 0.4) ** 2
    other = ranked([rng.normal(size=41)])
    known = np.arange(0, 41, 3)
    sets = {"alpha": X, "other": other, "nothing": np.zeros((41, 0))}
    shares = predict(sets, known, truth[known]).shares()
    assert shares["alpha"] > 0.95
    assert sum(shares.values()) == pytest.approx(1.0)


def test_pure_noise_is_explained_by_the_set_without_features() -> None:
    rng = np.random.default_rng(1)
    y = 0.5 + 0.02 * rng.normal(size=41)
    known = np.arange(0, 41, 3)
    fit = predict({"alpha": X, "nothing": np.zeros((41, 0))}, known, y[known])
    assert fit.shares()["nothing"] > 0.5
    assert fit.sd.mean() == pytest.approx(0.02, rel=0.6)


def test_one_component_equals_the_gaussian_process_of_the_textbook() -> None:
    """Equations 2.23 and 2.24 of Rasmussen and Williams, with a constant in the kernel."""
    known, y = np.array([3, 10, 30]), np.array([0.4, 0.6, 0.5])
    fit = predict({"alpha": X}, known, y)
    first = fit.mean_KM[0]  # length 0.3, noise 0.03
    r = np.abs(X[:, 0][:, None] - X[:, 0][None, :]) / 0.3
    root = np.sqrt(5) * r
    kernel = (1 + root + root**2 / 3) * np.exp(-root) + 1.0
    solved = np.linalg.solve(kernel[np.ix_(known, known)] + 0.03 * np.eye(3), y - y.mean())
    np.testing.assert_allclose(first, y.mean() + kernel[:, known] @ solved, rtol=1e-10)


def test_expected_improvement_and_exceedance_agree_with_a_large_sample() -> None:
    fit = predict({"alpha": X}, np.array([3, 10, 30]), np.array([0.4, 0.6, 0.5]))
    rng = np.random.default_rng(0)
    component = rng.choice(len(fit.weight_K), size=200_000, p=fit.weight_K)
    drawn = rng.normal(fit.mean_KM[component, 20], fit.sd_KM[component, 20])
    assert fit.improvement(0.6)[20] == pytest.approx(np.maximum(drawn - 0.6, 0).mean(), rel=0.03)
    assert fit.exceeds(0.6)[20] == pytest.approx((drawn > 0.6).mean(), abs=0.01)
    assert fit.mean[20] == pytest.approx(drawn.mean(), abs=0.002)
    assert fit.sd[20] == pytest.approx(drawn.std(), rel=0.02)


def test_held_out_residuals_equal_those_of_a_fit_without_each_accuracy() -> None:
    """Equations 5.10 to 5.12 of Rasmussen and Williams, against the fit that is done anew."""
    from sweep.prediction.response import _Fit, _kernel

    rng = np.random.default_rng(0)
    x_n1, y_n = rng.random((6, 1)), 0.5 + 0.1 * rng.normal(size=6)
    fit = _Fit.of(_kernel(x_n1, x_n1, 0.6)[None], y_n)
    kernel_nn = _kernel(x_n1, x_n1, 0.6) + 1.0
    z_n = y_n - y_n.mean()
    for row in range(6):
        rest = np.delete(np.arange(6), row)
        noisy = kernel_nn[np.ix_(rest, rest)] + 0.1 * np.eye(5)
        weights = np.linalg.solve(noisy, kernel_nn[rest, row])
        assert fit.residual_Ckn[0, 1, row] == pytest.approx(z_n[row] - weights @ z_n[rest])
        quadratic = z_n[rest] @ np.linalg.solve(noisy, z_n[rest])
        scale = (y_n.std() ** 2 + quadratic) / 7  # one pseudo-observation, and five accuracies
        variance = kernel_nn[row, row] + 0.1 - weights @ kernel_nn[rest, row]
        assert fit.spread_Ckn[0, 1, row] == pytest.approx(np.sqrt(scale * variance))


def test_skill_is_high_for_a_smooth_response_and_about_zero_for_noise() -> None:
    known = np.arange(0, 41, 3)
    sets = {"alpha": X, "nothing": np.zeros((41, 0))}
    smooth = predict(sets, known, 0.6 - 0.3 * (X[known, 0] - 0.4) ** 2, held_out=True)
    assert smooth.skill > 0.9
    rng = np.random.default_rng(2)
    skills = [
        predict(sets, known, 0.5 + 0.02 * rng.normal(size=14), held_out=True).skill
        for _ in range(40)
    ]
    assert np.mean(np.array(skills) <= 0) > 0.5
    assert abs(np.median(skills)) < 0.1


def test_without_features_held_out_accuracies_are_predicted_by_the_mean_of_the_others() -> None:
    y_n = np.array([0.4, 0.6, 0.5, 0.55, 0.3])
    fit = predict({"nothing": np.zeros((9, 0))}, np.arange(5), y_n, held_out=True)
    assert fit.skill == pytest.approx(0.0)


def test_of_many_features_the_held_out_weights_find_the_one_that_explains() -> None:
    rng = np.random.default_rng(3)
    sets = {f"noise{i}": ranked([rng.normal(size=41)]) for i in range(12)}
    sets |= {"alpha": X, "nothing": np.zeros((41, 0))}
    known = np.arange(0, 41, 4)
    fit = predict(sets, known, 0.6 - 0.3 * (X[known, 0] - 0.4) ** 2, held_out=True)
    assert fit.shares()["alpha"] > 0.9


def test_standard_deviations_are_widened_to_the_errors_of_held_out_accuracies() -> None:
    """A smooth response that ends in a cliff: its last accuracy surprises every smooth fit."""
    known = np.arange(0, 41, 4)
    y_n = 0.6 - 0.01 * X[known, 0]
    y_n[-1] = 0.2
    sets = {"alpha": X, "nothing": np.zeros((41, 0))}
    fit = predict(sets, known, y_n, held_out=True)
    z_n = (y_n - fit.mean[known]) / fit.sd[known]
    assert np.sqrt((z_n**2).mean()) < 1.2
