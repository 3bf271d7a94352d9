"""Smooth corrections of a potential: their basis, and how large they may be.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapters 2 and 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import block_diag, csr_array

from diffsim.arrays import Array
from diffsim.knots import Grid

SPACING = 0.7  # correlation lengths between the nodes; a variance lacks 4e-5, 1e-3 at the cutoff
JITTER = 1e-8  # relative, keeps factorisations stable
BEYOND_CONTACT = 1.1  # contact distances; inside of it corrections become less smooth
SHORTENING, SHORTEST = 8.0, 0.5  # of the correlation length: its slope, and where it ends
HIGHEST = 30.0  # kT; from there on the prior's magnitude is constant


def correction_basis(
    grid: Grid, contact: Sequence[float], magnitude: Array, length: float
) -> csr_array:
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
        nodes = np.linspace(0.0, x[-1], int(np.ceil(x[-1] / SPACING)) + 1)[:-1]
        # conditioning on a zero at the cutoff is done by subtraction of its projection
        kernel = _kernel(nodes, nodes) - np.outer(_kernel(nodes, x[-1:]), _kernel(nodes, x[-1:]))
        cross = _kernel(x, nodes) - np.outer(_kernel(x, x[-1:]), _kernel(nodes, x[-1:]))
        factor = cholesky(kernel + JITTER * np.eye(len(nodes)), lower=True)
        blocks.append(magnitude[pair][:, None] * solve_triangular(factor, cross.T, lower=True).T)
    return csr_array(block_diag(blocks, format="csr"))


def _kernel(x: Array, y: Array) -> Array:
    return np.asarray(np.exp(-0.5 * (x[:, None] - y[None, :]) ** 2))


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
