"""Choose models that are spread over their features, for probes that no fit can guide.

Equal chances matter: a design that prefers some models, such as the centres of clusters or the
outermost ones, can miss the best model more often than random choice does. Pure numpy.
Shapes: m models, F features as `sweep.prediction.surrogate.space` returns them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sweep.prediction.response import Floats

Rows = npt.NDArray[np.int64]

MOST = 1000
"""Of more models than this, so many are drawn at random first: the sample below takes m^2 steps."""
EDGE = 1e-9
"""A chance that is closer than this to 0 or 1 is settled."""


def balanced_sample(x_mF: Floats, count: int, rng: np.random.Generator) -> Rows:
    """Return `count` of m models, in order, spread over the features.

    Each model is chosen with the same probability. Two close models are rarely both chosen: the
    chance of a random model and that of its nearest neighbour are joined until one of them is
    settled (the local pivotal method).

    Source: Grafstroem, Lundstroem, Schelin, Biometrics 2012, section 3 (their LPM2).

    Args:
        x_mF: features of all models, [m, F].
        count: number of models to choose, 1 or more; all of them if there are not more.
        rng: source of all random numbers.
    """
    models = np.arange(len(x_mF))
    if count >= len(models):
        return models
    if len(models) > MOST:
        models = np.sort(rng.choice(models, max(MOST, count), replace=False))
    x_mF = x_mF[models]
    chance_m = np.full(len(models), count / len(models))
    open_ = np.arange(len(models))
    while len(open_) > 1:
        place = int(rng.integers(len(open_)))
        first, others = open_[place], np.delete(open_, place)
        second = others[np.argmin(((x_mF[others] - x_mF[first]) ** 2).sum(1))]
        pair = [first, second]
        chance_m[pair] = _joined(chance_m[first], chance_m[second], float(rng.random()))
        settled = [row for row in pair if not EDGE < chance_m[row] < 1 - EDGE]
        open_ = open_[~np.isin(open_, settled)]
    return np.asarray(models[chance_m > 0.5])


def _joined(first: float, second: float, draw: float) -> tuple[float, float]:
    """Return the two chances after one of them was settled; both keep their expected values."""
    both = first + second
    if both < 1:
        return (0.0, both) if draw < second / both else (both, 0.0)
    return (1.0, both - 1) if draw < (1 - second) / (2 - both) else (both - 1, 1.0)


def distant_model(x_mF: Floats, taken: Rows, free: Rows, rng: np.random.Generator) -> int:
    """Return a random one of the half of `free` that is farthest from the models `taken`.

    The farthest model of all is not chosen every time, because it is often an outlier.

    Args:
        x_mF: features of all models, [m, F].
        taken: rows of the models that are probed or being probed; at least one.
        free: rows of the models to choose from; at least one.
        rng: source of the random number.
    """
    square_fF = (x_mF[free][:, None, :] - x_mF[taken][None, :, :]) ** 2
    nearest_f = square_fF.sum(-1).min(1)
    far = np.argsort(-nearest_f, kind="stable")[: (len(free) + 1) // 2]
    return int(free[rng.choice(far)])
