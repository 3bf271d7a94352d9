"""Least-squares fit of a potential to energies at the knots: function space -> weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.optimize import least_squares

from diffsim.errors import ModelError
from diffsim.knots import Array, Grid
from diffsim.species import species_pairs

POINTS = 240  # per pair, nearly uniform in r: knots uniform in r^2 crowd at the cutoff
SOFTENING = 3.0  # kT; energies far above are not visited, and a fit to them would ring elsewhere
FEW_WEIGHTS = 100  # up to here a trust region with the full Jacobian; L-BFGS for networks
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

    Minimises the mean of ((u_theta - u) / e)^2, with e = kT (1 + (u/3kT)^2) for positive energies
    and kT for negative ones. Potentials with few weights, whose energies can change by many orders
    of magnitude with one of them, are fitted by a trust region method; networks by L-BFGS.

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
        At most.
    weights
        Of the knots, shape (P, K); one by default.

    Returns
    -------
    Root mean square of the remaining weighted deviation, in kT.

    Raises
    ------
    ModelError
        If the fit leaves weights that are not finite.
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
    energy = torch.tensor(np.concatenate(u))
    softened = kt * (1.0 + (torch.clamp(energy, min=0.0) / (SOFTENING * kt)) ** 2)
    scale = torch.tensor(np.sqrt(np.concatenate(w))) / softened
    points = tuple(torch.tensor(np.concatenate(part)) for part in (r, type_i, type_j))

    parameters = {name: p for name, p in potential.named_parameters() if p.requires_grad}

    def deviation(present: dict[str, torch.Tensor]) -> torch.Tensor:
        result: torch.Tensor = torch.func.functional_call(potential, present, points)
        return (result - energy) * scale

    if sum(p.numel() for p in parameters.values()) <= FEW_WEIGHTS:
        _trust_region(parameters, deviation, iterations)
    else:
        _quasi_newton(parameters, deviation, iterations)
    with torch.no_grad():
        remaining = float(torch.sqrt(torch.mean(deviation(dict(parameters)) ** 2)))
    if not np.isfinite(remaining):
        raise ModelError(
            "The fit of the potential to a first guess or correction ended with energies that are "
            "not finite. Start from other parameters of the potential."
        )
    return remaining


Deviation = Callable[[dict[str, torch.Tensor]], torch.Tensor]


def _trust_region(
    parameters: dict[str, torch.nn.Parameter], deviation: Deviation, iterations: int
) -> None:
    sizes = [p.numel() for p in parameters.values()]

    def unpack(x: Array) -> dict[str, torch.Tensor]:
        parts = torch.split(torch.tensor(x), sizes)
        return {
            name: part.reshape(p.shape)
            for (name, p), part in zip(parameters.items(), parts, strict=True)
        }

    def residual(x: Array) -> Array:
        with torch.no_grad():
            return deviation(unpack(x)).numpy()

    def jacobian(x: Array) -> Array:
        blocks = torch.func.jacrev(deviation)(unpack(x))
        return np.concatenate(
            [
                blocks[name].detach().reshape(-1, p.numel()).numpy()
                for name, p in parameters.items()
            ],
            axis=1,
        )

    start = np.concatenate([p.detach().numpy().ravel() for p in parameters.values()])
    solution = least_squares(residual, start, jacobian, method="trf", max_nfev=iterations)
    with torch.no_grad():
        for name, part in unpack(solution.x).items():
            parameters[name].copy_(part)


def _quasi_newton(
    parameters: dict[str, torch.nn.Parameter], deviation: Deviation, iterations: int
) -> None:
    optimizer = torch.optim.LBFGS(
        list(parameters.values()),
        max_iter=iterations,
        history_size=HISTORY,
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.mean(deviation(dict(parameters)) ** 2)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
