"""Inverse Monte Carlo (IMC): Newton's method for the bins of g(r).

The change du = sum_j x_j phi_j of the potential is piecewise linear between the bins' centres, and
its effect on the average of a bin is a covariance over the frames of the latest piece,

    d<g_b>/dx_j = -beta Cov(g_b, n_j),    n_j = sum over pairs of phi_j(r)

exactly. The bins of all pairs and systems are stacked,

    M_bj = -beta_s Cov(g_b, n_j) / e_b,    y_b = a (g*_b - <g_b>) / e_b,    e_b^2 = Var(g_b) / w_b

and solved by least squares with Tikhonov's regularisation

    |M x - y|^2 + t s^2 |x|^2  =  min,    s the largest singular value of M

The classical method has e_b the same for all bins of one system; in units of each bin's own
fluctuation they are all equally noisy, and systems of different size can be compared.

Sources: Lyubartsev and Laaksonen, Phys. Rev. E 52, 3730 (1995); for several states Murtola,
Karttunen and Vattulainen, J. Chem. Phys. 131, 055101 (2009).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffsim.arrays import Array
from diffsim.knots import Grid
from diffsim.optimizers.base import Update, check_option
from diffsim.optimizers.structure import (
    Classical,
    Curve,
    apply_change,
    latest_counts,
    latest_covariance,
    measured_curves,
    tent_basis,
)
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble


@dataclass(frozen=True)
class BinResponse:
    """Residuals of one system's bins as a linear function of the potential.

    Attributes
    ----------
    residual
        Target minus average over the latest piece, shape (B,).
    matrix
        d<g_b>/dx_j, shape (B, m), per unit of energy.
    scale
        Standard deviation of the bins over the frames, over the root of their weights, shape (B,).
    """

    residual: Array
    matrix: Array
    scale: Array


class IMC(Classical):
    """One change per piece of simulation; see the module's text.

    Parameters
    ----------
    rate
        The factor a, at most 1: the share of the residual that a step is to remove.
    regularization
        The factor t. Changes that move g by less than sqrt(t) of what the most effective one does
        are damped; they are the ones that the noise of few frames asks for.

    Raises
    ------
    InputError
        If an option is not as described.
    """

    def __init__(self, rate: float = 0.5, regularization: float = 1e-5) -> None:
        check_option("imc", "rate", rate, 1.0)
        check_option("imc", "regularization", regularization, float("inf"))
        super().__init__()
        self.rate = rate
        self.regularization = regularization

    def update(self, potential: Model, grid: Grid, ensembles: Sequence[Ensemble]) -> Update:
        """See `diffsim.optimizers.base.Optimizer`."""
        began = time.perf_counter()
        rate = self.next_rate()
        curves = [measured_curves("imc", ensemble, grid.cutoff) for ensemble in ensembles]
        basis = tent_basis(grid, [curve for system in curves for curve in system])
        systems = [
            bin_response(ensemble, system, basis, grid.cutoff)
            for ensemble, system in zip(ensembles, curves, strict=True)
        ]
        x = regularized_solution(
            np.concatenate([part.matrix / part.scale[:, None] for part in systems]),
            np.concatenate([rate * part.residual / part.scale for part in systems]),
            self.regularization,
        )
        return apply_change(potential, grid, ensembles, basis @ x, began)


def bin_response(
    ensemble: Ensemble, curves: Sequence[Curve], basis: Array, cutoff: float
) -> BinResponse:
    """Residuals and response of the bins below the cutoff that vary, over the latest piece.

    Parameters
    ----------
    ensemble
        The frames of a system.
    curves
        Of its targets.
    basis
        Functions phi_j at the knots, shape (P, K, m).
    cutoff
        Given the bins below it, which determine the energy, the others tell nothing more.
    """
    index = np.concatenate([curve.columns[curve.below(cutoff)] for curve in curves])
    observed = ensemble.observables[ensemble.latest_piece, index]
    spread = observed.std(axis=0)
    index, observed, spread = index[spread > 0], observed[:, spread > 0], spread[spread > 0]
    counts = latest_counts(ensemble, basis)
    return BinResponse(
        ensemble.target[index] - observed.mean(axis=0),
        -ensemble.beta * latest_covariance(observed, counts),
        spread / np.sqrt(ensemble.weights[index]),
    )


def regularized_solution(matrix: Array, right: Array, regularization: float) -> Array:
    """Tikhonov's solution of M x = y, x = V s / (s^2 + t s_1^2) U^T y with M = U s V^T."""
    left, singular, transposed = np.linalg.svd(matrix, full_matrices=False)
    filtered = singular / (singular**2 + regularization * singular[0] ** 2)
    return np.asarray(transposed.T @ (filtered * (left.T @ right)))
