"""How much a potential depends on the density and the temperature that go with its g(r)."""

from __future__ import annotations

import numpy as np

from diffsim.arrays import Array
from diffsim.theory.integral_equation import hnc_continuation, indirect_correlation

BEYOND = 1.5  # times the range of g: as far as it is continued
STEP = 1e-4  # of a density, relative, in central differences


def change_with_density(width: float, g: Array, density: Array) -> Array:
    r"""Change of the potentials with the density, for the same distribution functions.

    With the closure of the hypernetted chain, beta u = h - c - ln g, only h - c changes. By the
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
    fluid = whole if continued is None else continued
    denser, thinner = (
        indirect_correlation(width, fluid, density * (1.0 + step)) for step in (STEP, -STEP)
    )
    return np.asarray((denser - thinner) / (2.0 * STEP))[:, :bins]
