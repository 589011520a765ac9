# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = ["botorch>=0.18,<0.19", "numpy>=2,<3", "pyarrow>=20,<28"]
# ///
"""BoTorch's multi-fidelity max-value entropy search on complete tables.

The model is `SingleTaskMultiFidelityGP` over the unit cube and the fraction of training. A free
worker gets the candidate and the later look with the most information about the best final
accuracy (the lower bound of GIBBON, with the looks under way as pending points), divided by the
fraction of training that is left to that look and `FIXED`. BoTorch has no scheduler, so the loop
is ours: trials pause at looks for nothing, and an order ends at `END` of the device-seconds.
"""

from __future__ import annotations

import heapq
import warnings

import command
import numpy as np
import torch
from botorch.acquisition.cost_aware import InverseCostWeightedUtility
from botorch.acquisition.max_value_entropy_search import qMultiFidelityLowerBoundMaxValueEntropy
from botorch.acquisition.utils import project_to_target_fidelity
from botorch.exceptions.errors import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskMultiFidelityGP
from botorch.models.cost import AffineFidelityCostModel
from gpytorch.mlls import ExactMarginalLogLikelihood
from ledger import Ledger
from tables import Table, Untried
from torch import Tensor

FIRST = 5  # observations before the first fit; until then candidates begin in the table's order
REFIT = 5  # new observations after which hyperparameters are fitted again
FIXED = 0.02  # of a training, the price of any look, as in BoTorch's tutorials
END = 0.5


class Search:
    """The observations, the looks under way, and the model of one order."""

    def __init__(self, part: Table) -> None:
        self.part = part
        self.reached = np.full(len(part), -1)
        self.running: dict[int, int] = {}
        self.seen: list[tuple[int, int]] = []
        self._untried = Untried(part)
        self._unit = torch.tensor(part.unit())
        self._state: dict[str, Tensor] | None = None
        self._fitted = 0

    def choose(self) -> tuple[int, int] | None:
        """Return the candidate and the look to work on next, or None."""
        if len(self.seen) < FIRST:
            if len(self._untried):
                return self._untried.first(), 0
            return None
        choices = [
            (row, look)
            for row in range(len(self.part))
            if row not in self.running
            for look in range(self.reached[row] + 1, len(self.part.fractions))
        ]
        if not choices:
            return None
        fractions = np.array([0.0, *self.part.fractions])
        left = [fractions[look + 1] - fractions[self.reached[row] + 1] for row, look in choices]
        gain = self._information(choices) / (np.array(left) + FIXED)
        return choices[int(np.argmax(gain))]

    def _points(self, pairs: list[tuple[int, int]]) -> Tensor:
        rows = [row for row, _ in pairs]
        fraction = torch.tensor([[self.part.fractions[look]] for _, look in pairs])
        return torch.cat([self._unit[rows], fraction.double()], dim=1)

    def _information(self, choices: list[tuple[int, int]]) -> np.ndarray:
        axes = self._unit.shape[1]
        free = AffineFidelityCostModel(fidelity_weights={axes: 0.0}, fixed_cost=1.0)
        ends = [(row, len(self.part.fractions) - 1) for row in range(len(self.part))]
        pending = list(self.running.items())
        acquisition = qMultiFidelityLowerBoundMaxValueEntropy(
            self._model(),
            candidate_set=self._points(ends),
            X_pending=self._points(pending) if pending else None,
            cost_aware_utility=InverseCostWeightedUtility(cost_model=free),
            project=lambda X: project_to_target_fidelity(
                X, target_fidelities={axes: 1.0}, d=axes + 1
            ),
        )
        with torch.no_grad():
            return np.asarray(acquisition(self._points(choices)[:, None, :]))

    def _model(self) -> SingleTaskMultiFidelityGP:
        accuracy = torch.tensor([[float(self.part.accuracy_CL[pair])] for pair in self.seen])
        axes = self._unit.shape[1]
        model = SingleTaskMultiFidelityGP(
            self._points(self.seen), accuracy.double(), data_fidelities=[axes]
        )
        if self._state is None or len(self.seen) >= self._fitted + REFIT:
            try:
                fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            except ModelFittingError:
                return model
            hyperparameters = {name for name, _ in model.named_parameters()}
            self._state = {k: v for k, v in model.state_dict().items() if k in hyperparameters}
            self._fitted = len(self.seen)
        else:
            model.load_state_dict(self._state, strict=False)
        return model.eval()


def play(part: Table, order: int, workers: int) -> Ledger:
    """Play one order."""
    torch.manual_seed(order)
    ledger, search = Ledger(part), Search(part)
    whole = float(part.pretrain_CL[:, -1].sum() + part.probe_CL[:, -1].sum())
    queue: list[tuple[float, int, int]] = []
    now = spent = 0.0
    while True:
        while len(queue) < workers and spent < END * whole:
            choice = search.choose()
            if choice is None:
                break
            row, look = choice
            search.running[row] = look
            spent += sum(ledger.seconds(row, look))
            heapq.heappush(queue, (now + sum(ledger.seconds(row, look)), row, look))
        if not queue:
            return ledger
        now, row, look = heapq.heappop(queue)
        del search.running[row]
        ledger.add(row, look, now)
        search.reached[row] = look
        search.seen.append((row, look))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_default_dtype(torch.float64)
    command.run(lambda table, others: {"botorch MF-GIBBON": play}, __doc__ or "")
