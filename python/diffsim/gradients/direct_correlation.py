"""The direct correlation function of a measured g(r), known to be short-ranged.

The Ornstein-Zernike equation gives c from h = g - 1 at once, but where the fluid is hardly
compressible the structure factor S = 1 + rho h(k) is small at small k, and an error of g of a
thousandth, if it is that of many bins, is as large as S(0) itself: the norm of the curve, its range
or its digits then decide the potential. What is known of c helps: where the potential is zero,
beyond the cutoff, the hypernetted chain closure has

    c = h - ln(1 + h),

of second order in h, so that only its values inside of the cutoff are unknown. They are those whose
h is nearest to the measured one over its whole range,

    min_c sum_r (h[c] - h)^2,    H = C (1 - C)^-1.

An offset of g far out has no c of a short range, and is left over.

Sources: Hansen and McDonald, Theory of Simple Liquids, chapters 3 and 4; Nocedal and Wright,
Numerical Optimization (2006), chapter 10 (Levenberg-Marquardt).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffsim.gradients.integral_equation import (
    eigen,
    function,
    of_pairs,
    transform,
)
from diffsim.knots import Array
from diffsim.species import species_pairs

STEPS = 60  # at most
SMALLEST = 1e-3  # of 1 - C, so that the fluid is one
LARGEST = 0.98  # of C, of the first guess
GAIN = 1e-4  # relative decrease of the sum of squares below which the fit has converged
DAMPING = 1e-3  # the first one, relative to the mean diagonal


def short_ranged(
    width: float,
    g: Array,
    density: Array,
    known: NDArray[np.bool_],
    inside: NDArray[np.bool_],
) -> tuple[Array, Array]:
    """Total and direct correlation functions of which the second is short-ranged.

    Parameters
    ----------
    width
        Width of the bins of distance, which begin at zero.
    g
        Distribution functions of all species pairs, shape (P, B).
    density
        Number densities of the species, shape (S,), all positive.
    known
        Where g is known, shape (P, B).
    inside
        Where the potential need not be zero, shape (B,).

    Returns
    -------
    h, c
        Shape (P, B) each.
    """
    forward, inverse = transform(g.shape[1], width)
    root = np.sqrt(density)
    pairs = species_pairs(len(density))
    measured = np.where(known, g - 1.0, 0.0)
    outside = ~inside
    tail = np.where(known & outside, measured - np.log(np.maximum(g, 0.5)), 0.0)

    # a first guess: the range is cut, and where that is no fluid it is made weaker
    values, vectors = eigen(measured @ forward.T, root)
    guess = function(vectors, values / np.maximum(1.0 + values, 0.1))
    c = np.where(inside, of_pairs(guess, root) @ inverse.T, tail)
    values, _ = eigen(c @ forward.T, root)
    if values.max() > LARGEST:
        c *= LARGEST / values.max()

    def total(c: Array) -> tuple[Array, Array] | None:
        """h, and S = (1 - C)^-1; None where that is no fluid."""
        values, vectors = eigen(c @ forward.T, root)
        if not values.max() < 1.0 - SMALLEST:
            return None
        h = of_pairs(function(vectors, values / (1.0 - values)), root) @ inverse.T
        return np.asarray(h), function(vectors, 1.0 / (1.0 - values))

    found = total(c)
    assert found is not None
    h, structure = found
    residual = (h - measured)[known]
    damping = None
    for _ in range(STEPS):
        jacobian = np.zeros((*known.shape, len(pairs), int(inside.sum())))
        for q, (i, j) in enumerate(pairs):
            for p, (a, b) in enumerate(pairs):
                weight = structure[:, a, i] * structure[:, j, b]
                if i != j:
                    weight = weight + structure[:, a, j] * structure[:, i, b]
                weight = weight * (root[i] * root[j] / (root[a] * root[b]))
                jacobian[p, :, q] = inverse @ (weight[:, None] * forward[:, inside])
        rows = jacobian.reshape(known.size, -1)[known.ravel()]
        normal, slope = rows.T @ rows, rows.T @ residual
        scale = float(np.trace(normal)) / len(normal)
        damping = DAMPING * scale if damping is None else damping
        while damping < 1e6 * scale:
            step = -np.linalg.solve(normal + damping * np.eye(len(normal)), slope)
            trial = c.copy()
            trial[:, inside] += step.reshape(len(pairs), -1)
            found = total(trial)
            if found is not None:
                new = (found[0] - measured)[known]
                if new @ new < residual @ residual:
                    break
            damping *= 10.0
        else:
            break
        gained = 1.0 - float(new @ new) / float(residual @ residual)
        c, (h, structure), residual = trial, found, new
        damping *= 0.2
        if gained < GAIN:
            break
    return h, c
