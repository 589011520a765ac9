"""Made-up landscapes for tests: one hump over alpha, with noise, looks on the way, and costs."""

from __future__ import annotations

import numpy as np

from sweep.core.records import Cost, Measure, Observation
from sweep.replay.landscape import Landscape, Recorded

FRACTIONS = (0.25, 0.5, 1.0)


def seconds(value: float) -> Cost:
    return Cost(wall_seconds=value, device_seconds=value)


def recorded(name: str, alpha: float | None, accuracy: float, **point: float) -> Recorded:
    """A candidate of 40 s whose early alphas and accuracies tell the final ones nearly."""
    seen: list[Observation] = []
    for fraction in FRACTIONS:
        final = fraction == 1.0
        where = {"step": round(1000 * fraction), "fraction": fraction}
        loss = Measure(name="loss", value=1.0)
        share = 40 * (0.5 if final else 0.25)
        seen.append(
            Observation(
                stage="trained" if final else "pretrain",
                measures=(loss,),
                cost=seconds(share),
                **where,  # type: ignore[arg-type]
            )
        )
        measure = (
            Measure(name="alpha", value=alpha)
            if alpha is not None
            else Measure(name="alpha", value=None, status="degenerate", detail={"reason": "rank 1"})
        )
        seen.append(
            Observation(stage="measured", measures=(measure,), cost=seconds(1), **where)  # type: ignore[arg-type]
        )
        if final and alpha is None:
            break
        shown = accuracy - 0.1 * (1 - fraction)
        measures = [Measure(name="accuracy", value=shown, detail={"images": 5000})]
        if final:
            measures.append(Measure(name="test_accuracy", value=accuracy))
        seen.append(
            Observation(stage="probed", measures=tuple(measures), cost=seconds(2), **where)  # type: ignore[arg-type]
        )
    return Recorded(trial_id=name, point=point, seen=tuple(seen))


def hump(count: int = 40, *, noise: float = 0.002, seed: int = 0) -> Landscape:
    """Accuracy 0.6 at alpha 1.2, falling off on both sides; the last of every ten collapsed."""
    rng = np.random.default_rng(seed)
    candidates = []
    for number in range(count):
        alpha = float(rng.uniform(0.4, 2.4))
        accuracy = 0.6 - 0.15 * (alpha - 1.2) ** 2 + noise * float(rng.normal())
        name, d = f"c{number}", float(2 ** (4 + number % 5))
        broken = number % 10 == 9
        candidates.append(recorded(name, None if broken else alpha, accuracy, d=d))
    return Landscape(name="hump", candidates=tuple(candidates))
