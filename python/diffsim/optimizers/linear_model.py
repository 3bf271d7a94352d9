"""Residuals of a system as a linear function of smooth corrections, and the errors of both.

It takes the linear response of observables to the potential in bins (`diffsim.response`) to the
coordinates of a basis (`diffsim.optimizers.correction`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag, cho_factor, cho_solve, solve_triangular
from scipy.sparse import block_diag as sparse_block_diag
from scipy.sparse import csr_array, eye_array, hstack, kron

from diffsim.arrays import Array
from diffsim.knots import Grid, spline_coefficients, values_gradient
from diffsim.optimizers.correction import lower_factor, with_jitter
from diffsim.optimizers.discrepancy import DataErrors, Discrepancy
from diffsim.response.linear_response import Response

SEEN = 0.1  # of g: bins that count
ROUNDING = 1e-9  # relative: a difference of variances that is none
POINTS_IN_BIN = 4  # of the quadrature


@dataclass(frozen=True)
class Design:
    """Corrections of all parts of a potential as linear functions of coordinates x (m,).

    Most of them are of one pair of species.

    Attributes
    ----------
    columns
        At the knots, shape (parts P K, m).
    coefficients
        Of their splines, shape (parts P (K + 2), m).
    """

    columns: csr_array
    coefficients: csr_array

    @classmethod
    def of(cls, columns: csr_array, grid: Grid) -> Design:
        """Of corrections at the knots, shape (parts P K, m)."""
        data, indices, rows = [], [], []
        for first in range(0, columns.shape[0], grid.knots):
            of_pair = columns[first : first + grid.knots]
            there, place = np.unique(of_pair.indices, return_inverse=True)
            values = np.zeros((len(there), grid.knots))
            values[place, np.repeat(np.arange(grid.knots), np.diff(of_pair.indptr))] = of_pair.data
            splines = (
                np.zeros((0, grid.knots + 2)) if len(there) == 0 else spline_coefficients(values)
            )
            data.append(splines.T.ravel())
            indices.append(np.tile(there, grid.knots + 2))
            rows.append(np.full(grid.knots + 2, len(there)))
        ends = np.concatenate([[0], np.cumsum(np.concatenate(rows))])
        coefficients = csr_array(
            (np.concatenate(data), np.concatenate(indices), ends),
            shape=(len(ends) - 1, columns.shape[1]),
        )
        return cls(columns, coefficients)

    def of_parts(self, parts: int, tangents: Design) -> Design:
        """Of these corrections of each part, and the tangents of a reference."""
        return Design(
            csr_array(hstack([_for_each(parts, self.columns), tangents.columns], format="csr")),
            csr_array(
                hstack([_for_each(parts, self.coefficients), tangents.coefficients], format="csr")
            ),
        )

    def of_system(self, factor: Array) -> Design:
        """What they are in the potential of a system that has a factor (parts,) of each part."""
        return Design(_combined(self.columns, factor), _combined(self.coefficients, factor))


@dataclass(frozen=True)
class LinearModel:
    """Residual of one system, y - M x, for a reference potential corrected by x.

    The m numbers x are the coordinates of the corrections of all parts of the potential, one part
    after the other, and of the reference's parameters; see `diffsim.optimizers.gauss_newton`.

    Attributes
    ----------
    source
        The linear response that it comes from.
    response
        M, shape (B, m).
    residual
        y, of the reference by the linear response, shape (B,).
    pressure
        Change of the system's pressure by x, at constant volume, shape (m,).
    at_bins
        Change of the system's potential in the bins of `source` by x, shape (n, m).
    factor
        Of the parts in the system's potential, shape (parts,).
    to_bins
        Energies in these bins from those at the knots, shape (n, P K).
    scale
        Factors of the standard errors that stand for the weights of the targets, shape (B,).
    length
        Correlation length of what is smooth in the discrepancy of curves.
    data_errors
        Parts of the covariance of the errors of the targets, for the solution.
    """

    source: Response
    response: Array
    residual: Array
    pressure: Array
    at_bins: csr_array
    factor: Array
    to_bins: csr_array
    scale: Array
    length: float
    data_errors: DataErrors

    @classmethod
    def of(
        cls,
        source: Response,
        to_bins: csr_array,
        design: Design,
        factor: Array,
        change: Array,
        mean_weight: float,
        length: float,
        data_errors: DataErrors,
    ) -> LinearModel:
        """The model of a system.

        Parameters
        ----------
        source
            Its linear response in the present potential.
        to_bins
            Energies in the bins of the system's pairs from those at the knots, shape (P B, P K);
            see `means_in_bins`.
        design
            Corrections of all parts.
        factor
            Of the parts in the system's potential, shape (parts,).
        change
            From the reference's parts to the present ones, at the knots, shape (parts, P, K).
        mean_weight
            Mean over the observables of all systems: weights are relative, the noise is what it is.
        length, data_errors
            See the class.
        """
        to_bins = to_bins[source.bins]
        of_system = design.of_system(factor)
        coefficients = of_system.coefficients
        at_bins = csr_array(to_bins @ of_system.columns)
        at_reference = cls(
            source,
            _response(source, at_bins, coefficients),
            source.residual,
            at_bins.T @ source.pressure + coefficients.T @ source.pressure_explicit,
            at_bins,
            factor,
            to_bins,
            np.sqrt(mean_weight / source.weights),
            length,
            data_errors,
        )
        return replace(at_reference, residual=source.residual + at_reference.change(change))

    def change(self, energies: Array) -> Array:
        """Change of the observables with those of the parts at the knots, (parts, P, K) -> (B,)."""
        of_system = np.tensordot(self.factor, energies, 1)
        by_fluctuations = self.source.matrix @ (self.to_bins @ of_system.ravel())
        explicit = self.source.explicit @ spline_coefficients(of_system).ravel()
        return np.asarray(by_fluctuations + explicit)

    def change_at_bins(self, energies: Array) -> Array:
        """Change of the system's potential in its bins with those of the parts, (n,)."""
        return np.asarray(self.to_bins @ np.tensordot(self.factor, energies, 1).ravel())

    def energy_spread(self, step: Array) -> float:
        """Variance of beta dU over the frames: what a step of x costs in effective sample size."""
        change = self.at_bins @ step
        return float(change @ self.source.energy @ change)

    @cached_property
    def claimed_errors(self) -> DataErrors:
        """`data_errors` as they are: averages over frames have the correlations of averages, in
        which modes that relax slowly have more noise than in a frame.

        As for the errors of our own averages, see `diffsim.response.linear_response
        .error_of_averages`, that is no good for the solution, which would avoid the slow modes.
        """
        return errors_of_targets(self.source, self.source.noise, self.length)

    @property
    def usual_spread(self) -> float:
        """The `energy_spread` for which the errors of averages and response are the same."""
        return self.source.worth / self.source.independent_frames

    def error_of_averages(self, spread: float) -> Array:
        """Covariance of the errors of averages and response, shape (B, B), for the solution.

        It is proportional to the covariance of the observables; see `diffsim.optimizers
        .gauss_newton` for why.

        Parameters
        ----------
        spread
            `energy_spread` of the step: the response is a covariance with the change of the energy,
            known from some samples.
        """
        source = self.source
        return np.asarray(
            (1.0 / source.independent_frames + spread / source.worth) * source.covariance
        )

    def noise(self, step: Array, discrepancy: Discrepancy) -> Array:
        """Covariance of the residual's error as it is, shape (B, B)."""
        of_response = self.energy_spread(step) / self.source.worth
        averages = self.source.noise + of_response * self.source.covariance
        return np.asarray(averages + self.claimed_errors.covariance(discrepancy))

    def tolerance(self, size: int, discrepancy: Discrepancy) -> Array:
        """Errors of the targets beside those that they are given, of all observables, (O,)."""
        return self._errors_beside(self.source.errors**2, size, discrepancy)

    def misfit(self, size: int, discrepancy: Discrepancy) -> Array:
        """Of the `tolerance` what is the discrepancy of curves, (O,): without norm and factors."""
        none = Discrepancy(of_frames=discrepancy.of_frames)
        return self._errors_beside(np.diag(self.data_errors.covariance(none)), size, discrepancy)

    def _errors_beside(self, variances: Array, size: int, discrepancy: Discrepancy) -> Array:
        """Errors of the targets beside those of some variances (B,), of all observables, (O,)."""
        total = np.diag(self.data_errors.covariance(discrepancy))
        found = total - variances
        result = np.zeros(size)
        result[self.source.observables] = np.sqrt(np.where(found > ROUNDING * total, found, 0.0))
        return result

    def chi_square(self, discrepancy: Discrepancy) -> float:
        """y^T S^-1 y of the present potential's residuals, without the weights of the targets."""
        source = self.source
        noise = source.covariance / source.independent_frames
        noise = noise + self.data_errors.covariance(discrepancy)
        factor = cho_factor(with_jitter(noise), lower=True)
        return float(source.residual @ cho_solve(factor, source.residual))

    def told(self, grid: Grid, step: Array, discrepancy: Discrepancy) -> Array:
        """What the frames tell of the system's energies at the knots, in standard deviations,
        shape (B, P K)."""
        at_knots = self.source.matrix @ self.to_bins
        explicit = self.source.explicit
        for row in np.flatnonzero(np.diff(explicit.indptr)):
            gradient = explicit[[row]].toarray().reshape(-1, grid.knots + 2)
            at_knots[row] += values_gradient(gradient).ravel()
        noise = self.error_of_averages(self.energy_spread(step))
        noise += self.data_errors.covariance(discrepancy)
        factor = lower_factor(noise * np.outer(self.scale, self.scale))
        return np.asarray(solve_triangular(factor, at_knots, lower=True))


def errors_of_targets(source: Response, covariance: Array, length: float) -> DataErrors:
    """Parts of the covariance of the errors of a system's targets.

    Error bars of a curve that was made from frames as well have the correlations of frames, in
    which the soft modes are nearly without noise; those of a measurement are independent. Where it
    is not known which it is, the evidence tells.

    Parameters
    ----------
    source
        The linear response of the observables.
    covariance
        Of the observables, with these correlations, shape (B, B).
    length
        Correlation length of what is smooth in the discrepancy of curves.
    """
    spread = np.sqrt(np.diag(covariance))
    return DataErrors.of(
        source.errors,
        source.common_errors,
        covariance / np.outer(spread, spread),
        source.from_frames,
        source.curve,
        source.place,
        source.slope,
        length,
    )


def _for_each(parts: int, rows: csr_array) -> csr_array:
    """Block diagonal matrix with the same block for each part."""
    return rows if parts == 1 else csr_array(kron(eye_array(parts), rows, format="csr"))


def _combined(rows: csr_array, factor: Array) -> csr_array:
    """Sum of the rows of all parts, one below the other, with their factors."""
    n = rows.shape[0] // len(factor)
    total = factor[0] * rows[:n]
    for part in range(1, len(factor)):
        total = total + factor[part] * rows[part * n : (part + 1) * n]
    return csr_array(total)


def _response(source: Response, at_bins: csr_array, coefficients: csr_array) -> Array:
    """Change of the observables by corrections, given in bins and as coefficients, (B, m)."""
    response = np.asarray((at_bins.T @ source.matrix.T).T)
    # few observables depend on the potential explicitly
    depends = np.flatnonzero(np.diff(source.explicit.indptr))
    response[depends] += (source.explicit[depends] @ coefficients).toarray()
    return response


def chi_square(models: Sequence[LinearModel], discrepancy: Discrepancy, followed: float) -> float:
    """`LinearModel.chi_square` of all systems per observable: about one if only noise is left.

    Parameters
    ----------
    models, discrepancy
        Of all systems.
    followed
        What the potential has followed of the noise, which is not in the residuals any more:
        `diffsim.optimizers.correction.Correction.followed`.
    """
    total = sum(model.chi_square(discrepancy) for model in models) + followed
    return total / sum(len(model.scale) for model in models)


def joint(covariances: Sequence[Array]) -> Array:
    """Covariance matrix of the errors of several systems, which are independent."""
    return np.asarray(block_diag(*covariances))


def means_in_bins(grid: Grid, edges: Array, beta_u: Array) -> csr_array:
    r"""Mean energies of the pairs in bins of distance from energies at the knots, (P B, P K).

    .. math:: \bar v = \int v\,e^{-\beta u} r^2 dr \Big/ \int e^{-\beta u} r^2 dr

    Within a bin the distribution function follows the Boltzmann factor: at a wall, pairs are at the
    outer edge of a bin and not in its middle.

    Parameters
    ----------
    grid
        The knots; energies are linear between them, and zero beyond the last one.
    edges
        Of the bins, shape (B + 1,).
    beta_u
        Potential at the knots, in kT, shape (P, K).
    """
    points, weights = np.polynomial.legendre.leggauss(POINTS_IN_BIN)
    half = 0.5 * np.diff(edges)[:, None]
    r = 0.5 * (edges[1:] + edges[:-1])[:, None] + half * points
    bins = np.repeat(np.arange(len(r)), POINTS_IN_BIN)
    blocks = []
    for pair, u in enumerate(beta_u):
        knots = grid.distances(pair)
        depth = np.interp(r, knots, u)
        shares = weights * r**2 * np.exp(depth.min(axis=1, keepdims=True) - depth)
        shares = (shares / shares.sum(axis=1, keepdims=True)).ravel()
        at = r.ravel()
        left = np.clip(np.searchsorted(knots, at) - 1, 0, len(knots) - 2)
        towards = np.clip((at - knots[left]) / (knots[left + 1] - knots[left]), 0.0, 1.0)
        shares = shares * (at <= knots[-1])
        blocks.append(
            csr_array(
                (
                    np.concatenate([(1.0 - towards) * shares, towards * shares]),
                    (np.tile(bins, 2), np.concatenate([left, left + 1])),
                ),
                shape=(len(r), len(knots)),
            )
        )
    return csr_array(sparse_block_diag(blocks))
