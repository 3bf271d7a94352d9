"""Smooth corrections of a potential: their prior, and the most probable one given a residual.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapters 2 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag, cholesky, solve_triangular

from diffsim.knots import Array, Grid

AMPLITUDES = np.geomspace(1e-6, 1.0, 49)  # tried, relative to the upper bound
JITTER = 1e-8  # relative, keeps factorisations stable
LARGEST_MAGNITUDE = 3.0  # of the prior inside of contact, relative to outside


def correction_basis(
    grid: Grid, contact: Sequence[float], magnitude: Array, length: float
) -> Array:
    """Smooth corrections that vanish at the cutoff, du = basis d with d ~ N(0, a 1).

    The squared exponential covariance exp(-(x - x')^2 / 2) acts on a warped distance x(r) with
    dx/dr = 1 / l(r): the correlation length is `length` times the contact distance outside of
    contact and shrinks to a third of it inside, where potentials are steep.

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
        local = length * sigma * np.clip(1.0 - 4.0 * (sigma - fine) / sigma, 1.0 / 3.0, 1.0)
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


@dataclass(frozen=True)
class Correction:
    """What a residual says of the correction d of a potential, d ~ N(0, a 1) before.

    Attributes
    ----------
    mean
        The most probable d, shape (m,).
    amplitude
        a of maximal evidence.
    evidence
        Logarithm of the evidence for that amplitude over that for no correction at all.
    chi_square
        y^T S^-1 y / B: about one where the residual is noise alone.
    right, singular
        Directions that the residual tells something of, shape (k, m), and how much, (k,): singular
        vectors and values of S^(-1/2) M.
    """

    mean: Array
    amplitude: float
    evidence: float
    chi_square: float
    right: Array
    singular: Array

    def standard_deviation(self, basis: Array, amplitude: float) -> Array:
        """Posterior standard deviation of basis d for a prior amplitude, shape (n,).

        Cov(d) = a - sum_k (a^2 s_k^2 / (1 + a s_k^2)) v_k v_k^T
        """
        told = amplitude**2 * self.singular**2 / (1.0 + amplitude * self.singular**2)
        variance = amplitude * (basis**2).sum(axis=1) - ((basis @ self.right.T) ** 2) @ told
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def most_probable_correction(
    response: Array, residual: Array, noise: Array, amplitude_bound: float
) -> Correction:
    """Whitened correction d of maximal probability, with the amplitude of maximal evidence.

        ln p(y | a) = -y^T A^-1 y / 2 - ln det A / 2,   A = S + a M M^T,   d = a M^T A^-1 y

    Parameters
    ----------
    response
        M = J times the prior's basis, shape (B, m).
    residual
        y = target minus model, shape (B,).
    noise
        S, covariance of the residual's error, shape (B, B).
    amplitude_bound
        Largest a.
    """
    factor = cholesky(noise + JITTER * np.diag(np.diag(noise)), lower=True)
    y = solve_triangular(factor, residual, lower=True)
    left, singular, right = np.linalg.svd(
        solve_triangular(factor, response, lower=True), full_matrices=False
    )
    projected = left.T @ y

    amplitudes = AMPLITUDES * amplitude_bound
    variances = 1.0 + amplitudes[:, None] * singular**2
    # relative to no correction, for which all variances are one
    gain = 0.5 * (projected**2 * (1.0 - 1.0 / variances) - np.log(variances)).sum(axis=1)
    best = int(np.argmax(gain))
    a = float(amplitudes[best])
    return Correction(
        mean=right.T @ (a * singular / (1.0 + a * singular**2) * projected),
        amplitude=a,
        evidence=float(gain[best]),
        chi_square=float(y @ y / len(y)),
        right=right,
        singular=singular,
    )


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

    sqrt(1 + (u/kT)^2) for 0 < u < 3 kT, constant beyond
    """
    return np.asarray(np.sqrt(1.0 + np.clip(values / kt, 0.0, LARGEST_MAGNITUDE) ** 2))
