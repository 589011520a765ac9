"""An actor in which Tune can run a trial, in a file that does not import Tune."""

from __future__ import annotations

import sys


class Bare:
    """Has the methods that Tune calls; a trial ends at once and tells whether Tune is imported."""

    def train(self) -> dict[str, bool]:
        return {"done": True, "imports_tune": "ray.tune" in sys.modules}

    def reset(self) -> bool:
        return True

    def get_auto_filled_metrics(self, *, debug_metrics_only: bool) -> dict[str, str]:
        return {}

    def stop(self) -> None:
        pass
