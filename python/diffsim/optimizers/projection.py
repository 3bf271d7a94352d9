"""Least-squares fit of a potential to energies at the knots: function space -> weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from diffsim.knots import Array, Grid
from diffsim.species import species_pairs

POINTS = 240  # per pair, nearly uniform in r: knots uniform in r^2 crowd at the cutoff
SOFTENING = 3.0  # kT; energies far above are not visited, and a fit to them would ring elsewhere
HISTORY = 40  # of L-BFGS


def fit_values(
    potential: Any,
    grid: Grid,
    values: Array,
    kt: float,
    iterations: int,
    weights: Array | None = None,
) -> float:
    """Fit the weights of a potential to energies at the knots.

    Minimises the mean of ((u_theta - u) / e)^2 by L-BFGS, with e = kT (1 + (u/3kT)^2) for
    positive energies and kT for negative ones.

    Parameters
    ----------
    potential
        A `torch.nn.Module` (r, type_i, type_j) -> u; changed in place.
    grid
        The knots.
    values
        Energies u to fit, shape (P, K).
    kt
        Thermal energy.
    iterations
        Of L-BFGS, at most.
    weights
        Of the knots, shape (P, K); one by default.

    Returns
    -------
    Root mean square of the remaining weighted deviation, in kT.
    """
    r, type_i, type_j, u, w = [], [], [], [], []
    for pair, (a, b) in enumerate(species_pairs(len(grid.species))):
        distances = grid.distances(pair)
        chosen = np.unique(
            np.searchsorted(distances, np.linspace(distances[0], distances[-1], POINTS))
        )
        r.append(distances[chosen])
        type_i.append(np.full(len(chosen), a))
        type_j.append(np.full(len(chosen), b))
        u.append(values[pair, chosen])
        w.append(np.ones(len(chosen)) if weights is None else weights[pair, chosen])
    distance, energy = torch.tensor(np.concatenate(r)), torch.tensor(np.concatenate(u))
    species_i, species_j = (
        torch.tensor(np.concatenate(type_i)),
        torch.tensor(np.concatenate(type_j)),
    )
    scale = torch.tensor(np.sqrt(np.concatenate(w))) / (
        kt * (1.0 + (torch.clamp(energy, min=0.0) / (SOFTENING * kt)) ** 2)
    )

    parameters = [p for p in potential.parameters() if p.requires_grad]
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=iterations,
        history_size=HISTORY,
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        deviation = (potential(distance, species_i, species_j) - energy) * scale
        return torch.mean(deviation**2)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return float(torch.sqrt(loss()))
