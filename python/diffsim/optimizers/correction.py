"""Smooth corrections of a potential: their prior, and the most probable one given a residual.

The potential is written as the first one plus basis x, with x ~ N(0, a 1) before anything is known.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapters 2 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag, cho_factor, cho_solve, cholesky, solve_triangular

from diffsim.knots import Array, Grid

AMPLITUDES = np.geomspace(1e-5, 10.0, 61)  # of the prior that are tried, in kT^2
JITTER = 1e-8  # relative, keeps factorisations stable
BEYOND_CONTACT = 1.1  # contact distances; inside of it corrections become less smooth
SHORTENING, SHORTEST = 8.0, 0.5  # of the correlation length: its slope, and where it ends
HIGHEST = 30.0  # kT; from there on the prior's magnitude is constant


def correction_basis(
    grid: Grid, contact: Sequence[float], magnitude: Array, length: float
) -> Array:
    """Smooth corrections that vanish at the cutoff, du = basis d with d ~ N(0, a 1).

    The squared exponential covariance exp(-(x - x')^2 / 2) acts on a warped distance x(r) with
    dx/dr = 1 / l(r): the correlation length is `length` times the contact distance from a tenth
    beyond contact on, and shrinks to `SHORTEST` of it at contact, where potentials are steep.

    Parameters
    ----------
    grid
        The knots.
    contact
        Contact distance of each species pair: where its atoms begin to meet, shape (P,).
    magnitude
        Standard deviation of the correction at the knots, relative to the amplitude, shape (P, K).
    length
        Correlation length at and beyond contact, in contact distances.

    Returns
    -------
    Shape (P K, m).
    """
    blocks = []
    for pair, sigma in enumerate(contact):
        r = grid.distances(pair)
        fine = np.linspace(r[0], r[-1], 2000)
        inward = (BEYOND_CONTACT * sigma - fine) / sigma
        local = length * sigma * np.clip(1.0 - SHORTENING * inward, SHORTEST, 1.0)
        warped = np.concatenate(
            [[0.0], np.cumsum(np.diff(fine) * 0.5 * (1 / local[1:] + 1 / local[:-1]))]
        )
        x = np.interp(r, fine, warped)
        nodes = np.linspace(0.0, x[-1], int(np.ceil(2.0 * x[-1])) + 1)[:-1]
        # conditioning on a zero at the cutoff is done by subtraction of its projection
        kernel = _kernel(nodes, nodes) - np.outer(_kernel(nodes, x[-1:]), _kernel(nodes, x[-1:]))
        cross = _kernel(x, nodes) - np.outer(_kernel(x, x[-1:]), _kernel(nodes, x[-1:]))
        factor = cholesky(kernel + JITTER * np.eye(len(nodes)), lower=True)
        blocks.append(magnitude[pair][:, None] * solve_triangular(factor, cross.T, lower=True).T)
    return np.asarray(block_diag(*blocks))


def _kernel(x: Array, y: Array) -> Array:
    return np.asarray(np.exp(-0.5 * (x[:, None] - y[None, :]) ** 2))


def with_jitter(covariance: Array) -> Array:
    """A covariance matrix that can be factorised though observables depend on each other."""
    return covariance + JITTER * np.diag(np.diag(covariance))


@dataclass(frozen=True)
class Correction:
    """What residuals say of the correction x of the first potential, and how well.

    Attributes
    ----------
    total
        The most probable x, shape (m,).
    amplitude
        a of maximal evidence.
    evidence
        Logarithm of the evidence for that amplitude over that for no correction at all.
    solution
        G with x = G y, where y is the residual of the first potential, shape (m, B).
    left_out
        1 - G M: what of a correction the residuals do not tell, shape (m, m).
    """

    total: Array
    amplitude: float
    evidence: float
    solution: Array
    left_out: Array

    def standard_deviation(self, basis: Array, noise: Array, amplitude: float) -> Array:
        """Standard deviation of basis x for a covariance N (B, B) of the residual, shape (n,).

            Cov(x) = a (1 - G M)(1 - G M)^T + G N G^T

        With the N and the a that x was solved with this is the posterior covariance. It holds for
        others as well, as x is linear in y.
        """
        factor = cholesky(with_jitter(noise), lower=True)
        prior = ((basis @ self.left_out) ** 2).sum(axis=1)
        data = ((basis @ self.solution @ factor) ** 2).sum(axis=1)
        return np.asarray(np.sqrt(amplitude * prior + data))


def most_probable_correction(
    response: Array, residual: Array, noise: Array, present: Array, kt: float, trust: float
) -> Correction:
    """The most probable correction x of the first potential.

    Before the residuals are known x is N(0, a 1), with the amplitude a of maximal evidence,

        ln p(y | a) = -y^T A^-1 y / 2 - ln det A / 2,   A = S + a M M^T

    The step from the present potential is N(0, t 1) as well, for the response is linear in a small
    range only. Together,

        x = argmin (y - M x)^T S^-1 (y - M x) + |x|^2 / a + |x - x_0|^2 / t

    Parameters
    ----------
    response
        M = J times the prior's basis, shape (B, m).
    residual
        y: target minus what the first potential would give by the linear response, shape (B,).
    noise
        S, covariance of the residual's error, shape (B, B).
    present
        x_0 of the present potential, shape (m,).
    kt
        Thermal energy, the unit of the amplitudes that are tried.
    trust
        t, the square of an energy.
    """
    factor = cholesky(with_jitter(noise), lower=True)
    y = solve_triangular(factor, residual, lower=True)
    left, singular, right = np.linalg.svd(
        solve_triangular(factor, response, lower=True), full_matrices=False
    )
    projected = left.T @ y

    amplitudes = AMPLITUDES * kt**2
    variances = 1.0 + amplitudes[:, None] * singular**2
    # relative to no correction, for which all variances are one
    gain = 0.5 * (projected**2 * (1.0 - 1.0 / variances) - np.log(variances)).sum(axis=1)
    best = int(np.argmax(gain))
    a = float(amplitudes[best])
    untold = present * a / (a + trust)  # where the residuals say nothing
    told = (singular * projected + right @ present / trust) / (singular**2 + 1.0 / a + 1.0 / trust)
    # once converged the step is small and its prior says nothing: the errors are those without
    gain_of_y = singular / (singular**2 + 1.0 / a)
    solution = solve_triangular(factor, (left * gain_of_y) @ right, trans=1, lower=True).T
    left_out = np.eye(response.shape[1]) - (right.T * (gain_of_y * singular)) @ right
    return Correction(
        total=untold + right.T @ (told - right @ untold),
        amplitude=a,
        evidence=float(gain[best]),
        solution=solution,
        left_out=left_out,
    )


def coordinates(basis: Array, change: Array, weights: Array, tolerance: float, kt: float) -> Array:
    """Coordinates x of the most probable smooth correction in a change of the potential.

        x = argmin m / (e^2 sum_k w_k) sum_k w_k (basis x - change)_k^2 + |x|^2

    with all energies in kT

    so that what is not smooth in the change, on the scale e, is not taken for a large correction.

    Parameters
    ----------
    basis
        From `correction_basis`, shape (P K, m).
    change
        At the knots, shape (P K,).
    weights
        w of the knots, shape (P K,).
    tolerance
        e, in kT.
    kt
        Thermal energy.
    """
    m = basis.shape[1]
    scaled = weights * m / (tolerance**2 * weights.sum())
    normal = basis.T @ (scaled[:, None] * basis) + np.eye(m)
    return kt * np.asarray(cho_solve(cho_factor(normal), basis.T @ (scaled * change / kt)))


def contact_distances(grid: Grid, values: Array, kt: float) -> list[float]:
    """Where the energy (P, K) of each pair, coming from inside, first falls to kT.

    A potential that never reaches kT has no contact; half of the cutoff stands for it.
    """
    result = []
    for pair, u in enumerate(values):
        below = np.flatnonzero(u <= kt)
        soft = len(below) == 0 or below[0] == 0
        result.append(0.5 * grid.cutoff if soft else float(grid.distances(pair)[below[0]]))
    return result


def prior_magnitude(values: Array, kt: float) -> Array:
    """Relative standard deviation of corrections: larger where the potential is a wall, (P, K).

        (1 + (u/kT)^2)^(1/4) for 0 < u < 30 kT, constant beyond

    It must not change much within a correlation length. A correction that is smooth, divided by it,
    would else not be: a magnitude that is proportional to u makes walls ring.
    """
    return np.asarray((1.0 + np.clip(values / kt, 0.0, HIGHEST) ** 2) ** 0.25)
