"""The loss that first-order optimizers minimise and every run reports."""

from __future__ import annotations

import numpy as np

from diffsim.arrays import Array
from diffsim.response.ensemble import Ensemble, Weighted
from diffsim.statistics import reweighting
from diffsim.targets import Fitted

NOISELESS = 1e-6  # of a large deviation: least error of a quantity that did not vary


def error_scale(ensemble: Ensemble) -> Array:
    """Scale e_b of each observable in the loss, shape (O,).

    Where at least one target of the system has error bars, e_b^2 = (target's error)^2 + (error of
    the latest piece's average)^2 + (misfit that the optimizer found)^2, so that a loss of about one
    means agreement within the noise; a target without error bars has the misfit only. Where none
    has, a deviation that counts as large (`Target.scale`): one for distribution functions.
    """
    without = all(target.errors is None for target in ensemble.targets)
    scales = []
    first = 0
    for target in ensemble.targets:
        part = slice(first, first + len(target.values))
        first = part.stop
        scale = target.scale(ensemble.latest_frames, 1.0 / ensemble.beta)
        if without:
            scales.append(np.full(len(target.values), scale))
        else:
            given = 0.0 if target.errors is None else target.errors
            noise = np.hypot(given, ensemble.latest_error[part])
            noise = np.hypot(noise, ensemble.tolerance[part])
            scales.append(np.maximum(noise, NOISELESS * scale))
    return np.concatenate(scales)


def loss_weights(ensemble: Ensemble) -> Array:
    """W_b = w_b / (e_b^2 sum w), which multiplies the square of a deviation in the loss, (O,)."""
    return np.asarray(ensemble.weights / (ensemble.weights.sum() * error_scale(ensemble) ** 2))


def variance_by_targets(
    ensemble: Ensemble,
    change: Array,
    further: Array | float = 0.0,
    known: Array | float = 0.0,
) -> float:
    """Variance of the difference of two losses by the errors of the targets.

    Of two potentials the one that follows the errors e of the targets has the lower loss without
    being the better one. With averages that differ by c the difference of the losses contains

        -2 c W e,    of the variance 4 c W C W c

    with the covariance C of e: errors that are given, and the misfit that the optimizer found,
    taken as independent. What is fitted of the targets is not in c (`unexplained`).

    Parameters
    ----------
    ensemble
        Targets, weights and scale of the loss.
    change
        c, shape (O,).
    further
        Other errors that are the same in both losses, (O,).
    known
        Part of c^2 that is noise of c itself, (O,).
    """
    given = [
        np.zeros(len(target.values)) if target.errors is None else target.errors
        for target in ensemble.targets
    ]
    errors = np.hypot(np.hypot(np.concatenate(given), ensemble.misfit), further)
    weights = loss_weights(ensemble)
    left = unexplained(ensemble, change, weights)
    return 4.0 * float(np.sum((weights * errors) ** 2 * (left**2 - known)))


def unexplained(ensemble: Ensemble, deviation: Array, weights: Array) -> Array:
    """Deviations less the factors and constants of curves that are fitted, shape (O,).

        d - C s,    s = argmin sum_b w_b (d - C s)_b^2

    with a column g of C for each curve that may be wrong by a factor, and a column of ones for each
    that may be wrong by a constant. As s is a minimum, derivatives of the sum are those at fixed s.

    Parameters
    ----------
    ensemble
        Its targets say what is fitted.
    deviation, weights
        d and w, shape (O,) each.
    """
    columns = [column for _, _, column in fitted_columns(ensemble)]
    if not columns:
        return deviation
    matrix, root = np.stack(columns, axis=1), np.sqrt(weights)
    found, *_ = np.linalg.lstsq(matrix * root[:, None], deviation * root, rcond=None)
    return np.asarray(deviation - matrix @ found)


def fitted_columns(ensemble: Ensemble) -> list[tuple[str, Fitted, Array]]:
    """What is fitted of the targets: label of the target, what, and its shape as a column of all
    observables, (O,)."""
    columns, first = [], 0
    for target in ensemble.targets:
        part = slice(first, first + len(target.values))
        first = part.stop
        for fitted in target.fitted:
            column = np.zeros(len(ensemble.target))
            column[part] = fitted.shape
            columns.append((target.label, fitted, column))
    return columns


def loss(ensemble: Ensemble, at: Weighted) -> tuple[float, Array]:
    """Weighted mean square deviation from the targets, and its derivative.

        L = sum_b w_b ((<o_b> - o*_b) / e_b)^2 / sum_b w_b

    less what is fitted of the targets, see `unexplained`.

    Parameters
    ----------
    ensemble, at
        The frames of a system, under the present potential.

    Returns
    -------
    L, dL/d<o>
        The derivative has shape (O,).
    """
    weights = loss_weights(ensemble)
    deviation = unexplained(ensemble, at.observables - ensemble.target, weights)
    return float(weights @ deviation**2), 2.0 * weights * deviation


def loss_gradient(ensemble: Ensemble, at: Weighted) -> tuple[float, Array]:
    """The loss and its exact derivative dL/dc with respect to the spline's coefficients.

    With z_f = sum_b dL/d<x_b> x_fb the chain rule gives dL/dc = -beta Cov(z, n): one product with
    the pair counts. Quantities x that depend on the potential explicitly, as energies do, add
    sum_b dL/d<x_b> <dx_b/dc>.

    Returns
    -------
    L, dL/dc
        The derivative is flat, of the size P (K + 2).
    """
    value, derivative = loss(ensemble, at)
    cotangent = derivative @ at.jacobian
    explicit = ensemble.explicit(cotangent, at.weights)
    if ensemble.along_trajectories:
        return value, explicit
    z = ensemble.observed(at.coefficients) @ cotangent
    return value, explicit + reweighting.average_gradient(
        ensemble.beta, at.weights, ensemble.counts, z
    )
