"""An optimizer from outside of the package: steps of a fixed length against the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from diffsim.knots import Grid, knot_values, spline_coefficients, values_gradient
from diffsim.optimizers import NAMED, Optimizer, Update
from diffsim.response.ensemble import Ensemble
from diffsim.response.loss import loss_gradient


class Walk(Optimizer):
    """One step of the given length in the weights after each piece of simulation."""

    def __init__(self, length_of_step: float = 0.1) -> None:
        self.step = length_of_step

    def update(self, potential: Any, grid: Grid, ensembles: Sequence[Ensemble]) -> Update:
        """See `Optimizer`."""
        values = knot_values(potential, grid)
        c = spline_coefficients(values.detach().numpy())
        gradient = sum(loss_gradient(each, each.weighted(c))[1] for each in ensembles)
        by_values = values_gradient(np.reshape(gradient, (len(values), grid.basis_size)))
        weights = [p for p in potential.parameters() if p.requires_grad]
        found = torch.autograd.grad(values, weights, torch.tensor(by_values))
        size = torch.sqrt(sum((g**2).sum() for g in found))
        with torch.no_grad():
            for weight, g in zip(weights, found, strict=True):
                weight -= self.step * g / size
        return Update(1, 0.0)

    def retreat(self) -> None:
        """Halve the steps for good."""
        self.step *= 0.5

    def state_dict(self) -> dict[str, Any]:
        """The length of the steps."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` returned."""
        self.step = state["step"]


NAMED["walk"] = Walk
