"""Least-squares fit of a potential to energies at the knots: function space -> weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.optimize import least_squares

from diffsim.arrays import Array
from diffsim.errors import ModelError
from diffsim.knots import Grid
from diffsim.potentials.model import Model, with_weights
from diffsim.potentials.tangent_kernel import points_of_pairs, tangent_kernels
from diffsim.species import species_pairs

POINTS = 120  # per pair, nearly uniform in r: knots uniform in r^2 crowd at the cutoff
SOFTENING = 3.0  # kT; energies far above are not visited, and a fit to them would ring elsewhere
FEW_WEIGHTS = 100  # up to here scipy's trust region method; Levenberg-Marquardt for networks
DAMPING = 1e-3  # the first one, relative to the mean square of the Jacobian's rows
LEAST_GAIN = 0.02  # relative decrease of the sum of squares below which the fit has converged


def fit_values(
    potential: Model,
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
    r, energy, scale, counted = _points(grid, values, kt, weights)
    points, energy = points_of_pairs(r, len(grid.species)), energy.reshape(-1)
    scale = scale.reshape(-1)

    parameters = {name: p for name, p in potential.named_parameters() if p.requires_grad}

    def deviation(present: dict[str, torch.Tensor]) -> torch.Tensor:
        return (with_weights(potential, present, points) - energy) * scale

    if not parameters:
        raise ModelError("The potential has no weights that could be fitted; give it parameters.")
    if has_few_weights(potential):
        sought = deviation if told is None else _with_told(potential, grid, values, told, deviation)
        _trust_region(parameters, sought, iterations)
    else:
        _levenberg_marquardt(potential, parameters, r, scale, deviation, iterations)
    with torch.no_grad():
        remaining = float(torch.sqrt((deviation(dict(parameters)) ** 2).sum() / counted))
    if not np.isfinite(remaining):
        raise ModelError(
            "The fit of the potential to a first guess or correction ended with energies that are "
            "not finite. Start from other parameters of the potential."
        )
    return remaining


def _points(
    grid: Grid, values: Array, kt: float, weights: Array | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
    """Distances, energies and factors of the deviations there, (P, n), and how many count.

    A pair with fewer points than another has some of factor zero.
    """
    n_pairs = len(species_pairs(len(grid.species)))
    chosen = []
    for pair in range(n_pairs):
        distances = grid.distances(pair)
        wanted = np.linspace(distances[0], distances[-1], POINTS)
        chosen.append(np.unique(np.searchsorted(distances, wanted)))
    r, energy, scale = np.zeros((3, n_pairs, max(len(knots) for knots in chosen)))
    for pair, knots in enumerate(chosen):
        n = len(knots)
        r[pair], r[pair, :n] = grid.cutoff, grid.distances(pair)[knots]
        u = values[pair, knots]
        energy[pair, :n] = u
        softened = kt * (1.0 + (np.clip(u, 0.0, None) / (SOFTENING * kt)) ** 2)
        scale[pair, :n] = (1.0 if weights is None else np.sqrt(weights[pair, knots])) / softened
    counted = sum(len(knots) for knots in chosen)
    return torch.tensor(r), torch.tensor(energy), torch.tensor(scale), counted


def has_few_weights(potential: Model) -> bool:
    """Whether a potential has so few weights that there are curves that it cannot follow."""
    return bool(sum(p.numel() for p in potential.parameters() if p.requires_grad) <= FEW_WEIGHTS)


Deviation = Callable[[dict[str, torch.Tensor]], torch.Tensor]


def _with_told(
    potential: Model, grid: Grid, values: Array, told: Array, deviation: Deviation
) -> Deviation:
    """The deviations, and those of linear functions of the energies at the knots."""
    pairs = species_pairs(len(grid.species))
    r = torch.tensor(np.concatenate([grid.distances(pair) for pair in range(len(pairs))]))
    first, second = (
        torch.tensor(np.repeat([pair[k] for pair in pairs], grid.knots)) for k in (0, 1)
    )
    knots = (r, first, second)
    goal, rows = torch.tensor(values.ravel()), torch.tensor(told)

    def both(present: dict[str, torch.Tensor]) -> torch.Tensor:
        energy = with_weights(potential, present, knots)
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
    potential: Model,
    parameters: dict[str, torch.nn.Parameter],
    r: torch.Tensor,
    scale: torch.Tensor,
    deviation: Deviation,
    iterations: int,
) -> None:
    """Least squares with more weights than points, each pair of species by itself if it can be.

        dw = -J^T (J J^T + m 1)^-1 d

    for the deviations d and their Jacobian J. A network has many sets of weights with the same
    curve; this is the step of least length, and its linear equations are as many as the points.
    Where pairs share no weights J J^T has a block for each of them, which has a damping m of its
    own, and ends when it has converged.

    Parameters
    ----------
    potential, parameters
        And those of its parameters that are learned; changed in place.
    r, scale
        Distances of the points, shape (P, n), and factors of the deviations, shape (P n,).
    deviation
        d as a function of the parameters, shape (P n,).
    iterations
        At most.

    Source: Nocedal and Wright, Numerical Optimization (2006), section 10.3.
    """

    def at(moves: Sequence[torch.Tensor | None]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Weights, which are those of the potential and its moves, and deviations with graph."""
        trial = {
            name: (p.detach() if move is None else p.detach() + move).requires_grad_()
            for (name, p), move in zip(parameters.items(), moves, strict=True)
        }
        return trial, deviation(trial)

    present, d = at([None] * len(parameters))
    epsilon = torch.finfo(r.dtype).eps
    damping: torch.Tensor | None = None
    active = torch.ones(1, dtype=torch.bool)
    for _ in range(iterations):
        kernel = tangent_kernels(potential, r)
        blocks = (len(kernel), kernel.shape[1])
        factors = scale.reshape(blocks)
        gram = kernel * factors[:, :, None] * factors[:, None, :]
        size = gram.diagonal(dim1=1, dim2=2).mean(dim=1)
        if damping is None:
            damping = DAMPING * size
            active = torch.ones(len(kernel), dtype=torch.bool)
        active = active & (size > 0.0)  # else nothing depends on the weights, or NaN
        if not bool(active.any()):
            break
        known = d.detach().reshape(blocks)
        value = (known**2).sum(dim=1)
        x = torch.zeros_like(known)
        left, ended = active, ~active
        while True:
            diagonal = torch.diag_embed(damping[left, None].expand(-1, blocks[1]))
            x[left] = torch.linalg.solve(gram[left] + diagonal, -known[left])
            moves = torch.autograd.grad(
                d,
                list(present.values()),
                x.reshape(-1),
                retain_graph=True,
                allow_unused=True,
            )
            trial, trial_d = at(moves)
            trial_value = (trial_d.detach().reshape(blocks) ** 2).sum(dim=1)
            left = ~ended & ~(trial_value < value)
            if not bool(left.any()):
                break
            damping = torch.where(left, 10.0 * damping, damping)
            # a minimum, to rounding; written so that NaN ends it too
            stuck = left & ~(damping <= size / epsilon)
            x[stuck] = 0.0
            ended, left = ended | stuck, left & ~stuck
        present, d = trial, trial_d
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(present[name])
        active = active & ~(value - trial_value <= LEAST_GAIN * value)
        if not bool(active.any()):
            break
        damping = torch.maximum(0.2 * damping, size * epsilon)
