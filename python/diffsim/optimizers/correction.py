"""Smooth corrections of a potential: the most probable one given a residual, and its errors.

The potential is written as a reference plus basis x, with x ~ N(0, a 1) before anything is known.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapters 2 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, lapack, solve_triangular
from scipy.sparse import csr_array

from diffsim.arrays import Array

AMPLITUDES = np.geomspace(1e-5, 10.0, 61)  # of the prior that are tried, in kT^2
JITTER = 1e-8  # relative, keeps factorisations stable
ROWS_AT_ONCE = 500  # of a sparse matrix


def with_jitter(covariance: Array) -> Array:
    """A covariance matrix that can be factorised though observables depend on each other."""
    result = covariance.copy()
    result[np.diag_indices_from(result)] *= 1.0 + JITTER
    return result


def lower_factor(covariance: Array) -> Array:
    """L with L L^T a covariance matrix `with_jitter`, shape (B, B)."""
    # transposed it is what LAPACK overwrites without a copy
    return np.asarray(cholesky(with_jitter(covariance).T, lower=True, overwrite_a=True))


@dataclass(frozen=True)
class Correction:
    """What residuals say of the correction x of a reference, and how well.

    Attributes
    ----------
    total
        The most probable x, shape (m,).
    amplitude
        a of maximal evidence.
    evidence
        Logarithm of the evidence for that amplitude over that for no smooth correction at all.
    log_evidence
        Logarithm of the evidence itself, up to a constant of the number of residuals: to compare
        references and errors of data by.
    whitening, white
        L with L L^T = S, the noise; and L^-1 M, shape (B, m).
    stiffness
        M^T S^-1 M + P^-1, shape (m, m).
    parameters
        Number q of the last coordinates, those of the reference's parameters.
    kt
        Thermal energy: the standard deviation of these parameters before anything is known.
    """

    total: Array
    amplitude: float
    evidence: float
    log_evidence: float
    whitening: Array
    white: Array
    stiffness: Array
    parameters: int = 0
    kt: float = 1.0

    def with_prior(self, amplitude: float) -> Correction:
        """How well the residuals tell x where its prior is another one.

        What was found, x and its evidence, stays what it was.
        """
        own, other = (
            1.0 / prior_variances(len(self.total), self.parameters, each, self.kt)
            for each in (self.amplitude, amplitude)
        )
        stiffness = self.stiffness.copy()
        stiffness[np.diag_indices_from(stiffness)] += other - own
        return replace(self, stiffness=stiffness)

    @cached_property
    def _factor(self) -> tuple[Array, bool]:
        found: tuple[Array, bool] = cho_factor(self.stiffness)
        return found

    @cached_property
    def solution(self) -> Array:
        """G with x = G y + ..., where y is the residual of the reference, shape (m, B).

        It is that without a trust: once converged the step is small and its prior says nothing.
        """
        weights = solve_triangular(self.whitening, self.white, trans=1, lower=True)
        return np.asarray(cho_solve(self._factor, weights.T))

    @cached_property
    def left_out(self) -> Array:
        """1 - G M: what of a correction the residuals do not tell, shape (m, m)."""
        told = cho_solve(self._factor, self.white.T @ self.white)
        return np.asarray(np.eye(len(self.total)) - told)

    @property
    def followed(self) -> float:
        """By how much x has lowered the square of the residuals' noise, in its own units.

        Noise of the covariance S leaves residuals (1 - H) e with H = M G, whose square is not the
        number B of residuals on average, but smaller by tr (2 H - H H).

        Source: Hastie and Tibshirani, Generalized Additive Models (1990), section 3.5.
        """
        told = np.eye(len(self.total)) - self.left_out
        return float(2.0 * np.trace(told) - np.sum(told * told.T))

    def standard_deviation(self, basis: csr_array, noise: Array, amplitude: float) -> Array:
        """Standard deviation of basis x for a covariance N (B, B) of the residual, shape (n,).

            Cov(x) = (1 - G M) P (1 - G M)^T + G N G^T

        With the noise and the amplitude that x was solved with this is the posterior covariance. It
        holds for others as well, as x is linear in y.
        """
        variances = prior_variances(len(self.total), self.parameters, amplitude, self.kt)
        of_prior = (self.left_out * variances) @ self.left_out.T
        covariance = of_prior + self.solution @ noise @ self.solution.T
        return np.sqrt(variances_of(basis, covariance))


def variances_of(rows: csr_array, covariance: Array) -> Array:
    """Diagonal of R C R^T for rows R (n, m) that are functions of few coordinates, shape (n,)."""
    found = np.zeros(rows.shape[0])
    for first in range(0, len(found), ROWS_AT_ONCE):
        chunk = rows[first : first + ROWS_AT_ONCE]
        there = np.unique(chunk.indices)
        dense = chunk[:, there].toarray()
        found[first : first + ROWS_AT_ONCE] = np.sum(
            (dense @ covariance[np.ix_(there, there)]) * dense, axis=1
        )
    return np.maximum(found, 0.0)


def prior_variances(size: int, parameters: int, amplitude: float, kt: float) -> Array:
    """The diagonal of P: a for smooth corrections, kT^2 for the parameters of a reference, (m,)."""
    return np.concatenate([np.full(size - parameters, amplitude), np.full(parameters, kt**2)])


def log_evidence(deviation: Array, covariance: Array) -> float:
    """Logarithm of the probability of deviations d (B,) with the covariance A (B, B),

        ln p(d) = -d^T A^-1 d / 2 - ln det A / 2

    but for a constant of their number.
    """
    return float(
        log_evidences(deviation, covariance, np.zeros((len(deviation), 0)), np.zeros(1))[0]
    )


def log_evidences(deviation: Array, covariance: Array, root: Array, variances: Array) -> Array:
    """The same for A + v R R^T with several v, shape of the v's.

    Parameters
    ----------
    deviation, covariance
        d, shape (B,), and A, shape (B, B).
    root, variances
        R, shape (B, r), of few columns, and v.
    """
    factor = lower_factor(covariance)
    white = solve_triangular(factor, np.column_stack([root, deviation]), lower=True)
    left = white[:, -1]
    stiffness, modes = np.linalg.eigh(white[:, :-1].T @ white[:, :-1])
    ratios = variances[:, None] * np.maximum(stiffness, 0.0)
    taken = variances[:, None] * (modes.T @ (white[:, :-1].T @ left)) ** 2 / (1.0 + ratios)
    alone = -0.5 * left @ left - np.log(np.diag(factor)).sum()
    return np.asarray(alone + 0.5 * (taken - np.log1p(ratios)).sum(axis=1))


def most_probable_correction(
    response: Array,
    residual: Array,
    noise: Array,
    present: Array,
    kt: float,
    trust: float | Array,
    centre: Array | None = None,
) -> Correction:
    """The most probable correction x of a reference potential.

    Before the residuals are known the coordinates of smooth corrections are N(0, a), with the
    amplitude a of maximal evidence, and those of the reference's parameters, which come last, are
    N(x_c, kT^2):

        ln p(y | a) = -d^T A^-1 d / 2 - ln det A / 2,   A = S + M P M^T,   d = y - M x_c

    The step from the present potential is N(0, t) as well, for the response is linear in a small
    range only. Together,

        x = argmin (y - M x)^T S^-1 (y - M x) + (x - x_c)^T P^-1 (x - x_c) + |x - x_0|^2 / t

    Parameters
    ----------
    response
        M = J times the prior's basis, shape (B, m).
    residual
        y: target minus what the reference would give by the linear response, shape (B,).
    noise
        S, covariance of the residual's error, shape (B, B).
    present
        x_0 of the present potential, shape (m,).
    kt
        Thermal energy, the unit of the amplitudes that are tried.
    trust
        t, the square of an energy; of every coordinate, shape (m,), or of all.
    centre
        x_c of the parameters, shape (q,); none by default.
    """
    n = len(present)
    q = 0 if centre is None else len(centre)
    middle = np.zeros(n)
    if centre is not None:
        middle[n - q :] = centre
    deviation = residual - response @ middle

    # everything that follows is of m dimensions: W = L^-1 M, G = W^T W, b = W^T L^-1 d
    whitening = lower_factor(noise)
    white = solve_triangular(whitening, response, lower=True)
    left = solve_triangular(whitening, deviation, lower=True)
    gram, pull = white.T @ white, white.T @ left
    square, logarithm = float(left @ left), float(np.log(np.diag(whitening)).sum())
    # the parameters' part of the evidence has no amplitude to be found: it counts as noise
    smooth, of_smooth = gram[: n - q, : n - q], pull[: n - q]
    if q:
        between = gram[: n - q, n - q :]
        width = cholesky(gram[n - q :, n - q :] + np.eye(q) / kt**2, lower=True)
        taken = solve_triangular(width, np.column_stack([between.T, pull[n - q :]]), lower=True)
        smooth = smooth - taken[:, :-1].T @ taken[:, :-1]
        of_smooth = of_smooth - taken[:, :-1].T @ taken[:, -1]
        square -= float(taken[:, -1] @ taken[:, -1])
        logarithm += float(np.log(np.diag(width) * kt).sum())
    # relative to no correction
    exponent, gain = highest(np.log(AMPLITUDES), gains(smooth, of_smooth, AMPLITUDES * kt**2))
    a = kt**2 * float(np.exp(exponent))

    stiffness, on_diagonal = gram, np.diag_indices_from(gram)
    stiffness[on_diagonal] += 1.0 / prior_variances(n, q, a, kt)
    bound = np.broadcast_to(1.0 / np.asarray(trust), n)
    trusted = stiffness.copy()
    trusted[on_diagonal] += bound
    with_trust = cho_factor(trusted.T, lower=True, overwrite_a=True)
    total = middle + cho_solve(with_trust, pull + bound * (present - middle))
    return Correction(
        total=total,
        amplitude=a,
        evidence=gain,
        log_evidence=float(gain - 0.5 * square - logarithm),
        whitening=whitening,
        white=white,
        stiffness=stiffness,
        parameters=q,
        kt=kt,
    )


def gains(gram: Array, pull: Array, amplitudes: Array) -> Array:
    """Logarithms of the evidence for corrections N(0, a) over that for none, shape of the a's,

        ln p(a) - ln p(0) = a b^T (1 + a G)^-1 b / 2 - ln det (1 + a G) / 2

    Parameters
    ----------
    gram, pull
        G = M^T S^-1 M, shape (m, m), and b = M^T S^-1 d, shape (m,).
    amplitudes
        a, squares of energies.
    """
    # Q^T G Q is tridiagonal with Q^T b = |b| e_1: so it is of the matrix bordered by b
    size = len(gram) + 1
    bordered = np.zeros((size, size), order="F")
    bordered[1:, 1:], bordered[1:, 0] = gram, pull
    work, _ = lapack.dsytrd_lwork(size, lower=1)
    _, diagonal, beside, _, _ = lapack.dsytrd(bordered, lower=1, lwork=int(work), overwrite_a=1)
    # from the end: the first of the pivots is one over the first element of the inverse
    pivot, logarithm = np.ones(len(amplitudes)), np.zeros(len(amplitudes))
    square = np.zeros(size)
    square[1:-1] = beside[1:] ** 2
    for own, coupled in zip(diagonal[:0:-1], square[:0:-1], strict=True):
        # at least one but for rounding, as no eigenvalue is negative
        pivot = np.maximum(1.0 + amplitudes * own - amplitudes**2 * coupled / pivot, 1.0)
        logarithm += np.log(pivot)
    return np.asarray(0.5 * (amplitudes * beside[0] ** 2 / pivot - logarithm))


def highest(x: Array, y: Array) -> tuple[float, float]:
    """Place and height of the highest point of a smooth function, known at equal intervals.

    Of the parabola through the highest of the points and its two neighbours; at an end, that point.
    """
    k = int(np.argmax(y))
    if k in (0, len(y) - 1):
        return float(x[k]), float(y[k])
    slope, curvature = 0.5 * (y[k + 1] - y[k - 1]), y[k + 1] - 2.0 * y[k] + y[k - 1]
    if curvature == 0.0:
        return float(x[k]), float(y[k])
    part = -slope / curvature
    return float(x[k] + part * (x[k + 1] - x[k])), float(y[k] + 0.5 * part * slope)


def coordinates(
    basis: csr_array,
    change: Array,
    weights: Array,
    tolerance: float,
    kt: float,
    variances: Array | None = None,
) -> Array:
    """Coordinates x of the most probable smooth correction in a change of the potential.

        x = argmin m / (e^2 sum_k w_k) sum_k w_k (basis x - change)_k^2 + sum_j x_j^2 / v_j

    with all energies in kT

    so that what is not smooth in the change, on the scale e, is not taken for a large correction.

    Parameters
    ----------
    basis
        Corrections at the knots, shape (P K, m).
    change
        At the knots, shape (P K,).
    weights
        w of the knots, shape (P K,).
    tolerance
        e, in kT.
    kt
        Thermal energy.
    variances
        v, squares of energies, shape (m,); kT^2 by default.
    """
    m = basis.shape[1]
    scaled = weights * m / (tolerance**2 * weights.sum())
    stiffness = np.ones(m) if variances is None else kt**2 / variances
    weighted = csr_array(basis.T * scaled)
    normal = (weighted @ basis).toarray() + np.diag(stiffness)
    return kt * np.asarray(cho_solve(cho_factor(normal), weighted @ (change / kt)))
