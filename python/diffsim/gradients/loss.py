"""The loss that first-order optimizers minimise and every run reports."""

from __future__ import annotations

import numpy as np

from diffsim.gradients import reweighting
from diffsim.gradients.ensemble import Ensemble, Weighted
from diffsim.knots import Array


def error_scale(ensemble: Ensemble) -> Array:
    """Scale e_b of each observable in the loss, shape (O,): its target's error bar, or one.

    Observables whose target has the error zero (bins that no pair reaches) get the smallest error
    of that target.
    """
    scales = []
    for target in ensemble.system.targets:
        if target.error is None:
            scales.append(np.ones(len(target.g)))
        else:
            positive = target.error[target.error > 0]
            smallest = float(positive.min()) if len(positive) else 1.0
            scales.append(np.where(target.error > 0, target.error, smallest))
    return np.concatenate(scales)


def loss(ensemble: Ensemble, at: Weighted) -> tuple[float, Array]:
    """Weighted mean square deviation from the targets, and its derivative.

        L = sum_b w_b ((<o_b> - o*_b) / e_b)^2 / sum_b w_b

    Parameters
    ----------
    ensemble, at
        The frames of a system, under the present potential.

    Returns
    -------
    L, dL/d<o>
        The derivative has shape (O,).
    """
    scale = error_scale(ensemble)
    weights = ensemble.weights / (ensemble.weights.sum() * scale**2)
    deviation = at.observables - ensemble.target
    return float(weights @ deviation**2), 2.0 * weights * deviation


def loss_gradient(ensemble: Ensemble, at: Weighted) -> tuple[float, Array]:
    """The loss and its exact derivative dL/dc with respect to the spline's coefficients.

    With z_f = sum_b dL/d<o_b> o_fb the chain rule gives dL/dc = -beta Cov(z, n): one product with
    the pair counts.

    Returns
    -------
    L, dL/dc
        The derivative is flat, of the size P (K + 2).
    """
    value, derivative = loss(ensemble, at)
    z = ensemble.observables @ derivative
    return value, reweighting.average_gradient(ensemble.beta, at.weights, ensemble.counts, z)
