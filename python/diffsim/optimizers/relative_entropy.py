"""Minimisation of the relative entropy: Newton's method on the likelihood of the target.

The relative entropy of the target's ensemble p* with respect to the model's p,

    S = <ln p* - ln p>_p*
    dS/dx_j = beta (<n_j>* - <n_j>)
    H_ij = d2S/dx_i dx_j = beta^2 Cov(n_i, n_j)

with the derivatives n_j = dU/dx_j of the energy in a basis of changes du = sum_j x_j phi_j, in
which S is convex. The target's average follows from its g(r),

    <n_j>* - <n_j> = sum_b (g*_b - g_b) N_pairs v_b / V  mean of phi_j over bin b

Several systems add up, each with its weight. The step is

    x = -a (H + t s R)^-1 dS/dx,    R_ij = integral of phi_i phi_j / e^2 dr

where R measures the size of a change whatever the basis, relative to e = kT + max(u, 0) / 3, and s
is the largest eigenvalue of H with respect to it. S is convex, but no parabola: a step that would
change u by more than e anywhere is shortened to that.

The basis: potentials of up to 100 weights move in their own weights, phi_j = du/dtheta_j, so that
the minimum of S among the potentials of this form is found. Networks move in tents between the bins
(`structure.tent_basis`), and are then fitted to u + du.

Sources: Shell, J. Chem. Phys. 129, 144108 (2008); Chaimovich and Shell, J. Chem. Phys. 134, 094112
(2011).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from scipy.linalg import eigh

from diffsim.arrays import Array
from diffsim.knots import Grid, knot_values, values_gradient
from diffsim.optimizers.base import Update, check_option
from diffsim.optimizers.projection import FEW_WEIGHTS
from diffsim.optimizers.structure import (
    Classical,
    apply_change,
    latest_counts,
    latest_covariance,
    measured_curves,
    target_columns,
    tent_basis,
)
from diffsim.potentials.model import Model, with_weights
from diffsim.response.ensemble import Ensemble
from diffsim.species import species_pairs

POINTS = 8  # in a bin, for the mean of a function over it
WALL = 3.0  # a change by this fraction of the energy of a wall counts as one by kT
JITTER = 1e-10  # relative; for weights that change nothing


class RelativeEntropy(Classical):
    """One step per piece of simulation; see the module's text.

    Parameters
    ----------
    rate
        The factor a, at most 1: the share of Newton's step that is taken.
    damping
        The factor t. Changes of the potential that cost less than this share of what the most
        effective one of their size does are damped.

    Raises
    ------
    InputError
        If an option is not as described.
    """

    def __init__(self, rate: float = 0.5, damping: float = 1e-3) -> None:
        check_option("relative-entropy", "rate", rate, 1.0)
        check_option("relative-entropy", "damping", damping, float("inf"))
        super().__init__()
        self.rate = rate
        self.damping = damping

    def update(self, potential: Model, grid: Grid, ensembles: Sequence[Ensemble]) -> Update:
        """See `diffsim.optimizers.base.Optimizer`."""
        began = time.perf_counter()
        rate = self.next_rate()
        parameters = {name: p for name, p in potential.named_parameters() if p.requires_grad}
        few = sum(p.numel() for p in parameters.values()) <= FEW_WEIGHTS
        if few:
            basis = weight_basis(potential, grid, parameters)
        else:
            curves = [measured_curves(NAME, ensemble, grid.cutoff) for ensemble in ensembles]
            basis = tent_basis(grid, [curve for system in curves for curve in system])
        gradient, hessian = np.zeros(basis.shape[2]), np.zeros((basis.shape[2],) * 2)
        for ensemble in ensembles:
            first, second = derivatives(ensemble, grid, basis)
            gradient += ensemble.system.weight * first
            hessian += ensemble.system.weight * second

        kt = min(1.0 / ensemble.beta for ensemble in ensembles)
        scale = kt + np.maximum(knot_values(potential, grid).detach().numpy(), 0.0) / WALL
        step = rate * damped_step(gradient, hessian, size_matrix(basis, grid, scale), self.damping)
        step /= max(1.0, float(np.abs(basis @ step / scale).max()))
        if not few:
            return apply_change(potential, grid, ensembles, basis @ step, began)
        with torch.no_grad():
            parts = torch.split(torch.tensor(step), [p.numel() for p in parameters.values()])
            for parameter, part in zip(parameters.values(), parts, strict=True):
                parameter.add_(part.reshape(parameter.shape))
        return Update(1, time.perf_counter() - began)


NAME = "relative-entropy"


def weight_basis(potential: Model, grid: Grid, parameters: dict[str, torch.nn.Parameter]) -> Array:
    """Derivatives of the energies at the knots with respect to the weights, shape (P, K, m)."""
    pairs = species_pairs(len(grid.species))
    r = torch.tensor(np.concatenate([grid.distances(pair) for pair in range(len(pairs))]))
    type_i, type_j = (
        torch.tensor(np.repeat([pair[side] for pair in pairs], grid.knots)) for side in (0, 1)
    )

    def energies(present: dict[str, torch.Tensor]) -> torch.Tensor:
        return with_weights(potential, present, (r, type_i, type_j))

    # forward mode: there are far fewer weights than knots
    blocks = torch.func.jacfwd(energies)({name: p.detach() for name, p in parameters.items()})
    jacobian = torch.cat([blocks[name].reshape(len(r), -1) for name in parameters], dim=1)
    return np.asarray(jacobian.detach().numpy().reshape(len(pairs), grid.knots, -1))


def derivatives(ensemble: Ensemble, grid: Grid, basis: Array) -> tuple[Array, Array]:
    """Gradient (m,) and Hessian (m, m) of one system's relative entropy.

    Bins of weight zero count as known to agree, and so do pairs of species without a target, whose
    change has no part in the Hessian either.

    Parameters
    ----------
    ensemble
        The frames of a system; the latest piece was simulated in the present potential.
    grid
        The knots.
    basis
        Functions phi_j at the knots, shape (P, K, m).

    Raises
    ------
    InputError
        If a target is not a g(r).
    """
    latest = ensemble.observables[ensemble.latest_piece].mean(axis=0)
    targeted = np.zeros_like(basis)
    slope = np.zeros((len(basis), grid.basis_size))  # dS/dc
    first = 0
    for pair, target, columns in target_columns(NAME, ensemble):
        targeted[pair] = basis[pair]
        bins = columns - first
        first += len(target.g)
        # pairs more in the target than in the simulation, bin by bin
        excess = (ensemble.target[columns] - latest[columns]) / ensemble.resolution[columns]
        low, high = target.edges[bins, None] ** 3, target.edges[bins + 1, None] ** 3
        r = np.cbrt(low + (np.arange(POINTS) + 0.5) / POINTS * (high - low))
        inside = (r < grid.cutoff).ravel()
        pairs = np.repeat(excess / POINTS, POINTS)
        slope[pair] += ensemble.beta * pairs[inside] @ grid.basis(pair, r.ravel()[inside])
    counts = latest_counts(ensemble, targeted)
    gradient = np.tensordot(values_gradient(slope), targeted, axes=([0, 1], [0, 1]))
    return gradient, ensemble.beta**2 * latest_covariance(counts, counts)


def size_matrix(basis: Array, grid: Grid, scale: Array) -> Array:
    """Integrals R (m, m) of the products of functions (P, K, m) relative to a scale e (P, K)."""
    width = np.stack([np.gradient(grid.distances(pair)) for pair in range(len(scale))])
    weighted = basis * (width / scale**2)[:, :, None]
    return np.asarray(np.tensordot(weighted, basis, axes=([0, 1], [0, 1])))


def damped_step(gradient: Array, hessian: Array, size: Array, damping: float) -> Array:
    """Newton's step -(H + t s R)^-1 dS/dx, with s the largest eigenvalue of H with respect to R."""
    jitter = JITTER * float(np.trace(size)) / len(size) * np.eye(len(size))
    values, vectors = eigh(hessian, size + jitter)
    damped = np.maximum(values, 0.0) + damping * values[-1]
    return np.asarray(-vectors @ ((vectors.T @ gradient) / damped))
