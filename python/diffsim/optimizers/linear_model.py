"""Residuals of a system as a linear function of smooth corrections, and the errors of both.

It takes the linear response of observables to the potential in bins (`diffsim.gradients`) to the
coordinates of a basis (`diffsim.optimizers.correction`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag, cho_factor, cho_solve, cholesky, solve_triangular
from scipy.sparse import block_diag as sparse_block_diag
from scipy.sparse import csr_array

from diffsim.gradients.linear_response import Response
from diffsim.knots import Array, Grid, spline_coefficients, values_gradient
from diffsim.optimizers.correction import with_jitter
from diffsim.species import species_pairs


@dataclass(frozen=True)
class LinearModel:
    """Residual of one system, y - M x, for the first potential corrected by x.

    The m numbers x are the coordinates of the corrections of all parts of the potential, one part
    after the other; see `diffsim.optimizers.gauss_newton`.

    Attributes
    ----------
    source
        The linear response that it comes from.
    response
        M, shape (B, m).
    residual
        y, of the first potential by the linear response, shape (B,).
    at_bins
        Change of the system's potential in the bins of `source` by x, shape (n, m).
    to_bins
        Linear interpolation from the knots to these bins, shape (n, P K).
    scale
        Factors of the standard errors that stand for the weights of the targets, shape (B,).
    """

    source: Response
    response: Array
    residual: Array
    at_bins: Array
    to_bins: csr_array
    scale: Array

    @classmethod
    def of(
        cls,
        source: Response,
        centres: Array,
        grid: Grid,
        basis: Array,
        basis_coefficients: Array,
        factor: Array,
        change: Array,
        mean_weight: float,
    ) -> LinearModel:
        """The model of a system.

        Parameters
        ----------
        source
            Its linear response in the present potential.
        centres
            Of the bins of distance, shape (n_bins,).
        grid
            The knots.
        basis, basis_coefficients
            Corrections of a part at the knots, and the coefficients of their splines.
        factor
            Of the parts in the system's potential, shape (parts,).
        change
            From the first parts to the present ones, at the knots, shape (parts, P, K).
        mean_weight
            Mean over the observables of all systems: weights are relative, the noise is what it is.
        """
        to_bins = _interpolation(grid, centres)[source.bins]
        at_bins = to_bins @ basis
        of_system = np.tensordot(factor, change, 1)
        response = source.matrix @ at_bins + source.explicit @ basis_coefficients
        return cls(
            source,
            np.asarray(np.kron(factor, response), dtype=np.float64),
            source.residual
            + source.matrix @ (to_bins @ of_system.ravel())
            + source.explicit @ spline_coefficients(of_system).ravel(),
            np.asarray(np.kron(factor, at_bins), dtype=np.float64),
            to_bins,
            np.sqrt(mean_weight / source.weights),
        )

    def energy_spread(self, step: Array) -> float:
        """Variance of beta dU over the frames: what a step of x costs in effective sample size."""
        change = self.at_bins @ step
        return float(change @ self.source.energy @ change)

    def solved_with(self, step: Array) -> Array:
        """Covariance of the residual's error that a correction is solved with, shape (B, B).

        It is proportional to the covariance of the observables; see `diffsim.optimizers
        .gauss_newton` for why. Weights of the targets are in it.
        """
        error = self._error_of_residual + self._error_of_response(step)
        return np.asarray(error * np.outer(self.scale, self.scale))

    def noise(self, step: Array) -> Array:
        """Covariance of the residual's error as it is, shape (B, B)."""
        return np.asarray(self.source.noise + self._error_of_response(step))

    @property
    def _error_of_residual(self) -> Array:
        """Of averages and targets, proportional to the covariance of the observables."""
        source = self.source
        return np.asarray(source.covariance / source.independent_frames + source.target_noise)

    def _error_of_response(self, step: Array) -> Array:
        """The response is a covariance with the change of the energy, known from some samples."""
        return np.asarray(self.energy_spread(step) / self.source.worth * self.source.covariance)

    def chi_square(self) -> float:
        """y^T S^-1 y of the present potential's residuals, without the weights of the targets."""
        residual = self.source.residual
        factor = cho_factor(with_jitter(self._error_of_residual), lower=True)
        return float(residual @ cho_solve(factor, residual))

    def told(self, grid: Grid, step: Array) -> Array:
        """What the frames tell of the system's energies at the knots, in standard deviations,
        shape (B, P K)."""
        at_knots = self.source.matrix @ self.to_bins
        for row, explicit in zip(at_knots, self.source.explicit, strict=True):
            if explicit.any():
                row += values_gradient(explicit.reshape(-1, grid.knots + 2)).ravel()
        factor = cholesky(with_jitter(self.solved_with(step)), lower=True)
        return np.asarray(solve_triangular(factor, at_knots, lower=True))


def chi_square(models: Sequence[LinearModel]) -> float:
    """`LinearModel.chi_square` of all systems per observable: about one if only noise is left."""
    return sum(model.chi_square() for model in models) / sum(len(model.scale) for model in models)


def joint(covariances: Sequence[Array]) -> Array:
    """Covariance matrix of the errors of several systems, which are independent."""
    return np.asarray(block_diag(*covariances))


def _interpolation(grid: Grid, centres: Array) -> csr_array:
    """Linear interpolation from the knots to the centres of bins, shape (P B, P K)."""
    blocks = []
    for pair in range(len(species_pairs(len(grid.species)))):
        r = grid.distances(pair)
        left = np.clip(np.searchsorted(r, centres) - 1, 0, len(r) - 2)
        share = np.clip((centres - r[left]) / (r[left + 1] - r[left]), 0.0, 1.0)
        inside = centres <= r[-1]
        rows = np.arange(len(centres))
        blocks.append(
            csr_array(
                (
                    np.concatenate([(1.0 - share) * inside, share * inside]),
                    (np.tile(rows, 2), np.concatenate([left, left + 1])),
                ),
                shape=(len(centres), len(r)),
            )
        )
    return csr_array(sparse_block_diag(blocks))
