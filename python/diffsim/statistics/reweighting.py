"""Averages in another potential than the simulated one, and their derivatives, from pair counts.

Everything takes energies of frames as plain arrays. With coefficients c of the spline and the pair
counts n_f, the energy of frame f is c . n_f, for the simulated and for any other potential.

Source: Thaler and Zavadlav, Nature Communications 12, 6884 (2021) (reweighting gradient); Shirts
and Chodera, J. Chem. Phys. 129, 124105 (2008) (MBAR).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logsumexp

from diffsim.arrays import Array
from diffsim.errors import SimulationError

MBAR_TOLERANCE = 1e-10  # relative deviation of a potential's share from its number of frames
MBAR_ITERATIONS = 200
PINNED = 1e-9  # frames; holds differences that no frame tells at their first guess
BEYOND = 50.0  # kT outside of all energy differences: no frame is shared there


def energies(counts: Array, coefficients: Array) -> Array:
    """Energies U_f = sum_pb c_pb n_fpb of frames, shape (F,).

    Exact, not an approximation: it is the spline that was simulated.
    """
    n_frames = len(counts)
    return np.asarray(counts.reshape(n_frames, -1) @ coefficients.reshape(-1))


def log_weights(reduced_change: Array) -> Array:
    """Normalised log weights of frames, shape (F,).

        ln w_f = -beta (U'_f - U_f) - ln sum_f' exp(-beta (U'_f' - U_f'))

    Parameters
    ----------
    reduced_change
        beta (U' - U) of each frame, shape (F,).

    Raises
    ------
    SimulationError
        If a change is not finite: the weights would be meaningless.
    """
    if not np.all(np.isfinite(reduced_change)):
        raise SimulationError(
            "The energy of a stored frame under the new weights is not finite; the step of the "
            "optimizer was too large."
        )
    return np.asarray(-reduced_change - logsumexp(-reduced_change))


def effective_sample_size(log_w: Array) -> float:
    """Kish's effective number of frames 1 / sum w^2 of normalised log weights."""
    return float(np.exp(-logsumexp(2.0 * log_w)))


def covariance(weights: Array, x: Array, y: Array) -> Array:
    """Weighted covariance matrix sum_f w_f (x_f - <x>) (y_f - <y>)^T, shapes (F, A), (F, B) "
    "-> (A, B)."""
    return np.asarray((x - weights @ x).T @ (weights[:, None] * (y - weights @ y)))


def average_gradient(beta: float, weights: Array, counts: Array, observable: Array) -> Array:
    """Derivative of weighted averages with respect to the spline's coefficients.

        d<O>/dc = -beta Cov(O, n)

    for observables that do not depend on the potential themselves.

    Parameters
    ----------
    beta
        1/kT of the system.
    weights
        Normalised weights of the frames under the present potential, shape (F,).
    counts
        Pair counts, shape (F, ...).
    observable
        Values of one combination of observables, shape (F,); for a loss L of averages <g_b> pass
        sum_b dL/dg_b g_fb, which gives dL/dc with one product.

    Returns
    -------
    Shape (...) of the counts without the frames.
    """
    factors = -beta * weights * (observable - weights @ observable)
    return np.asarray(np.tensordot(factors, counts, axes=1))


def mbar(reduced: Array, n_frames: Array) -> tuple[Array, Array]:
    """Pool frames of different potentials: the multistate Bennett acceptance ratio.

        f_k = -ln sum_n exp(-u_k(x_n)) / sum_l N_l exp(f_l - u_l(x_n))

    The equations say that a convex function of f is stationary; it is minimised by a trust region
    method. Potentials whose frames do not overlap at all leave the difference of their free
    energies open; then it does not matter for the weights either.

    Parameters
    ----------
    reduced
        Reduced energies u_k(x_n) = beta U_k of all N frames in all K potentials, shape (K, N);
        the frames in the order of the potentials in which they were simulated.
    n_frames
        Number of frames simulated in each potential, shape (K,).

    Returns
    -------
    free_energies, log_mixture
        f (K,) with f_0 = 0, and the log of the mixture density ln sum_l N_l exp(f_l - u_l(x_n)),
        shape (N,). Frames are weighted to any potential u by ln w_n = -u(x_n) - log_mixture_n,
        normalised.

    Raises
    ------
    SimulationError
        If an energy is not finite.
    """
    if not np.all(np.isfinite(reduced)):
        raise SimulationError(
            "The energy of a stored frame is not finite in one of the potentials of the training."
        )
    lowest = reduced.min(axis=0)
    u = reduced - lowest  # energies are extensive: keep the digits for the differences
    log_n = np.log(n_frames)
    first = _pairwise_free_energies(u, n_frames)[1:]

    def mixture(f: Array) -> Array:
        return np.asarray(logsumexp((log_n + f)[:, None] - u, axis=0))

    def full(rest: Array) -> Array:
        return np.concatenate([[0.0], rest])

    def objective(rest: Array) -> tuple[float, Array]:
        f = full(rest)
        log_mixture = mixture(f)
        share = np.exp((log_n + f)[:, None] - u - log_mixture).sum(axis=1)
        away = rest - first
        value = float(log_mixture.sum() - n_frames @ f + 0.5 * PINNED * away @ away)
        return value, (share - n_frames)[1:] + PINNED * away

    def hessian(rest: Array) -> Array:
        f = full(rest)
        share = np.exp((log_n + f)[:, None] - u - mixture(f))
        curvature = np.diag(share.sum(axis=1)) - share @ share.T
        return np.asarray(curvature[1:, 1:] + PINNED * np.eye(len(rest)))

    # Newton's method, damped where the objective has no curvature or is not quadratic
    rest, damping = first, 1.0
    value, gradient = objective(rest)
    for _ in range(MBAR_ITERATIONS):
        if np.abs(gradient / n_frames[1:]).max(initial=0.0) < MBAR_TOLERANCE:
            break
        trial = rest - np.linalg.solve(hessian(rest) + damping * np.eye(len(rest)), gradient)
        trial_value, trial_gradient = objective(trial)
        # near the minimum the gradient still tells progress when rounding hides that of the value
        if trial_value < value or np.abs(trial_gradient).max() < np.abs(gradient).max():
            rest, value, gradient = trial, trial_value, trial_gradient
            damping *= 0.1
        else:
            damping *= 10.0
    f = full(rest)
    return f, mixture(f) - lowest


def _pairwise_free_energies(u: Array, n_frames: Array) -> Array:
    """First guess of the free energies: the acceptance ratio of each potential with the next one.

    The share of potential k + 1 in the frames of both grows with f_{k+1} - f_k, so that bisection
    finds where it is the number of its frames.

    Source: Bennett, J. Comput. Phys. 22, 245 (1976).
    """
    ends = np.cumsum(n_frames).astype(int)
    f = np.zeros(len(u))
    for k in range(len(u) - 1):
        frames = slice(ends[k] - int(n_frames[k]), ends[k + 1])
        change = u[k + 1, frames] - u[k, frames]
        offset = np.log(n_frames[k + 1] / n_frames[k])
        n_next = n_frames[k + 1]

        def excess(
            df: float, change: Array = change, offset: float = offset, n_next: float = n_next
        ) -> float:
            return float(expit(offset + df - change).sum() - n_next)

        low, high = float(change.min()), float(change.max())
        f[k + 1] = f[k] + brentq(excess, low - offset - BEYOND, high - offset + BEYOND)
    return f
