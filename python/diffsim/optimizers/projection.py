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

POINTS = 120  # per pair, nearly uniform in r: knots uniform in r^2 crowd at the cutoff
SOFTENING = 3.0  # kT; energies far above are not visited, and a fit to them would ring elsewhere
FEW_WEIGHTS = 100  # up to here scipy's trust region method; Levenberg-Marquardt for networks
DAMPING = 1e-3  # the first one, relative to the mean square of the Jacobian's rows
LEAST_GAIN = 0.02  # relative decrease of the sum of squares below which the fit has converged


def fit_values(
    potential: Any,
    grid: Grid,
    values: Array,
    kt: float,
    iterations: int,
    weights: Array | None = None,
    told: Array | None = None,
) -> float:
    """Fit the weights of a potential to energies at the knots.

    Minimises the mean of ((u_theta - u) / e)^2, with e = kT (1 + (u/3kT)^2) for positive energies
    and kT for negative ones. Potentials with few weights, whose energies can change by many orders
    of magnitude with one of them, are fitted by a trust region method; networks by Levenberg and
    Marquardt's in the space of the points.

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
    told
        Linear functions of the energies at the knots, shape (n, P K), in units of their standard
        deviations. Their squared deviations are added to the sum over the points: a potential with
        few weights, which cannot follow everywhere, follows where it is known.

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

    if not parameters:
        raise ModelError("The potential has no weights that could be fitted; give it parameters.")
    if has_few_weights(potential):
        sought = deviation if told is None else _with_told(potential, grid, values, told, deviation)
        _trust_region(parameters, sought, iterations)
    else:
        _levenberg_marquardt(parameters, deviation, iterations)
    with torch.no_grad():
        remaining = float(torch.sqrt(torch.mean(deviation(dict(parameters)) ** 2)))
    if not np.isfinite(remaining):
        raise ModelError(
            "The fit of the potential to a first guess or correction ended with energies that are "
            "not finite. Start from other parameters of the potential."
        )
    return remaining


def has_few_weights(potential: Any) -> bool:
    """Whether a potential has so few weights that there are curves that it cannot follow."""
    return bool(sum(p.numel() for p in potential.parameters() if p.requires_grad) <= FEW_WEIGHTS)


Deviation = Callable[[dict[str, torch.Tensor]], torch.Tensor]


def _with_told(
    potential: Any, grid: Grid, values: Array, told: Array, deviation: Deviation
) -> Deviation:
    """The deviations, and those of linear functions of the energies at the knots."""
    pairs = species_pairs(len(grid.species))
    knots = (
        torch.tensor(np.concatenate([grid.distances(pair) for pair in range(len(pairs))])),
        *(torch.tensor(np.repeat([pair[k] for pair in pairs], grid.knots)) for k in (0, 1)),
    )
    goal, rows = torch.tensor(values.ravel()), torch.tensor(told)

    def both(present: dict[str, torch.Tensor]) -> torch.Tensor:
        energy: torch.Tensor = torch.func.functional_call(potential, present, knots)
        return torch.cat([deviation(present), rows @ (energy - goal)])

    return both


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
        matrix = np.concatenate(
            [
                blocks[name].detach().reshape(-1, p.numel()).numpy()
                for name, p in parameters.items()
            ],
            axis=1,
        )
        # where one term of a sum has vanished its derivative is 0 * inf
        return np.asarray(np.nan_to_num(matrix, nan=0.0, posinf=0.0, neginf=0.0))

    start = np.concatenate([p.detach().numpy().ravel() for p in parameters.values()])
    # weights that nothing depends on, as those of pairs without a target, stay what they are: along
    # them the steps would be rounding
    matters = jacobian(start).any(axis=0)

    def whole(part: Array) -> Array:
        result = start.copy()
        result[matters] = part
        return result

    solution = least_squares(
        lambda part: residual(whole(part)),
        start[matters],
        lambda part: jacobian(whole(part))[:, matters],
        method="trf",
        max_nfev=iterations,
    )
    with torch.no_grad():
        for name, part in unpack(whole(solution.x)).items():
            parameters[name].copy_(part)


def _levenberg_marquardt(
    parameters: dict[str, torch.nn.Parameter], deviation: Deviation, iterations: int
) -> None:
    """Least squares with more weights than points.

        dw = -J^T (J J^T + m 1)^-1 d

    for the deviations d and their Jacobian J. A network has many sets of weights with the same
    curve; this is the step of least length, and its linear equations are as many as the points.

    Source: Nocedal and Wright, Numerical Optimization (2006), section 10.3.
    """
    names = list(parameters)
    present = {name: p.detach().clone() for name, p in parameters.items()}
    with torch.no_grad():
        d = deviation(present)
    value, damping = float(d @ d), None
    for _ in range(iterations):
        blocks = torch.func.jacrev(deviation)(present)
        jacobian = torch.cat([blocks[name].reshape(len(d), -1) for name in names], dim=1).detach()
        gram = jacobian @ jacobian.T
        scale = float(gram.diagonal().mean())
        if not scale > 0.0:  # nothing depends on the weights, or NaN
            break
        if damping is None:
            damping = DAMPING * scale
        while True:
            kernel = gram + damping * torch.eye(len(d), dtype=d.dtype)
            step = -jacobian.T @ torch.linalg.solve(kernel, d)
            parts = torch.split(step, [parameters[name].numel() for name in names])
            trial = {
                name: present[name] + part.reshape(present[name].shape)
                for name, part in zip(names, parts, strict=True)
            }
            with torch.no_grad():
                trial_d = deviation(trial)
            trial_value = float(trial_d @ trial_d)
            if trial_value < value:
                break
            damping *= 10.0
            # a minimum, to rounding; written so that NaN ends it too
            if not damping <= scale / torch.finfo(d.dtype).eps:
                trial, trial_d, trial_value = present, d, value
                break
        converged = value - trial_value <= LEAST_GAIN * value
        present, d, value = trial, trial_d, trial_value
        if converged:
            break
        damping = max(0.2 * damping, scale * torch.finfo(d.dtype).eps)
    with torch.no_grad():
        for name, p in parameters.items():
            p.copy_(present[name])
