"""How much a potential depends on the density and the temperature that go with its g(r)."""

from __future__ import annotations

import numpy as np

from diffsim.gradients.integral_equation import (
    SMALLEST,
    eigen,
    function,
    hnc_continuation,
    of_pairs,
    transform,
)
from diffsim.knots import Array

BEYOND = 1.5  # times the range of g: as far as it is continued


def change_with_density(width: float, g: Array, density: Array) -> Array:
    r"""Change of the potentials with the density, for the same distribution functions.

    With the closure of the hypernetted chain, beta u = h - c - ln g, only c changes. By the
    equation of Ornstein and Zernike, with the densities in C_ab = sqrt(rho_a rho_b) c_ab(k),

    .. math:: \frac{\partial \beta u_{ab}}{\partial \ln \rho}
        = \frac{[C^2]_{ab}}{\sqrt{\rho_a \rho_b}}

    at a fixed composition. For a Lennard-Jones liquid it is what a training finds to a tenth.

    Parameters
    ----------
    width
        Width of the bins of distance, which begin at zero.
    g
        Distribution functions of all species pairs, shape (P, B).
    density
        Number densities of the species, shape (S,), all positive.

    Returns
    -------
    Shape (P, B).

    Source: Hansen and McDonald, Theory of Simple Liquids, chapters 3 and 4.
    """
    bins = g.shape[1]
    size = round(BEYOND * bins)
    whole = np.ones((len(g), size))
    whole[:, :bins] = g
    known = np.broadcast_to(np.arange(size) < bins, whole.shape)
    continued = hnc_continuation(width, whole, density, known)
    forward, inverse = transform(size, width)
    root = np.sqrt(density)
    values, vectors = eigen(((whole if continued is None else continued) - 1.0) @ forward.T, root)
    direct = values / np.maximum(1.0 + values, SMALLEST)
    return np.asarray(of_pairs(function(vectors, direct**2), root) @ inverse.T)[:, :bins]
