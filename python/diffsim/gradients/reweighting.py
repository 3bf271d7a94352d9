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

from diffsim.errors import SimulationError
from diffsim.knots import Array

MBAR_TOLERANCE = 1e-9  # predicted decrease of the objective, whose curvature is a number of frames
MBAR_ITERATIONS = 200
LARGEST_MBAR_STEP = 10.0
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

    The equations say that a convex function of f is stationary; it is minimised by Newton's method.
    Potentials whose frames do not overlap at all leave the difference of their free energies open;
    then it does not matter for the weights either.

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
        If the equations do not converge.
    """
    if not np.all(np.isfinite(reduced)):
        raise SimulationError(
            "The energy of a stored frame is not finite in one of the potentials of the training."
        )
    lowest = reduced.min(axis=0)
    u = reduced - lowest  # energies are extensive: keep the digits for the differences
    log_n = np.log(n_frames)
    f = _pairwise_free_energies(u, n_frames)

    def objective(f: Array) -> tuple[float, Array]:
        log_mixture = logsumexp((log_n + f)[:, None] - u, axis=0)
        return float(log_mixture.sum() - n_frames @ f), log_mixture

    value, log_mixture = objective(f)
    for _ in range(MBAR_ITERATIONS):
        share = np.exp((log_n + f)[:, None] - u - log_mixture)
        gradient = (share.sum(axis=1) - n_frames)[1:]
        hessian = (np.diag(share.sum(axis=1)) - share @ share.T)[1:, 1:]
        step = -np.linalg.lstsq(hessian, gradient, rcond=1e-12)[0]
        decrease = -float(gradient @ step)
        if decrease < MBAR_TOLERANCE:
            # Newton's method converges quadratically: the last step needs no line search, which
            # rounding would mislead
            f[1:] += step
            return f - f[0], objective(f)[1] - f[0] - lowest
        scale = min(1.0, LARGEST_MBAR_STEP / float(np.abs(step).max()))
        while True:
            trial = f + scale * np.concatenate([[0.0], step])
            trial_value, trial_mixture = objective(trial)
            if trial_value <= value - 1e-4 * scale * decrease or scale < 1e-9:
                break
            scale *= 0.5
        f, value, log_mixture = trial, trial_value, trial_mixture
    raise SimulationError(
        f"The pooling of {reduced.shape[1]} frames from {len(reduced)} potentials (MBAR) did not "
        f"converge in {MBAR_ITERATIONS} Newton steps."
    )


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
