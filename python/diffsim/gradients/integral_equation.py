"""Response of distribution functions to the pair potentials, from liquid state theory.

In the hypernetted chain approximation a small change of the potentials changes the correlation
functions h = g - 1 and c by

    dh_ab / g_ab = -beta du_ab + dh_ab - dc_ab

and the Ornstein-Zernike equation ties dc to dh. With the densities in H_ab = sqrt(rho_a rho_b)
h_ab(k),

    C = H (1 + H)^-1,    dC = (1 + H)^-1 dH (1 + H)^-1

Both are linear, so that dg = dh follows from du by one linear solve, with the measured g as the
only input. Unlike a covariance over frames it carries almost no statistical noise.

Sources: Hansen and McDonald, Theory of Simple Liquids, chapters 3 and 4; Delbary, Hanke and
Ivanizki, Appl. Math. Inf. Sci. 14, 1 (2020) for its use in inverse problems.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from diffsim.knots import Array
from diffsim.species import species_pairs

TAPER = 0.6  # of the range: from there on h is taken smoothly to zero, against ripples in h(k)
PADDING = 4  # the transform's grid reaches this many times as far as g is known
SMALLEST = 0.02  # eigenvalue of the structure factors: noise at small k must not blow up


def hnc_response(width: float, g: Array, density: Array, beta_du: Array) -> Array:
    """Change of all distribution functions with the potentials, to first order.

    Parameters
    ----------
    width
        Width of the bins of distance, which begin at zero.
    g
        Distribution functions of all species pairs, shape (P, B).
    density
        Number densities of the species, shape (S,).
    beta_du
        Changes beta du of the potentials at the centres of the bins, shape (P, B, m): m of them.

    Returns
    -------
    dg, shape (P, B, m).
    """
    pairs = species_pairs(len(density))
    n_bins = g.shape[1]
    r = (np.arange(n_bins) + 0.5) * width
    forward, inverse = _transform(n_bins, width)

    start = TAPER * r[-1]
    taper = np.where(r < start, 1.0, np.cos(0.5 * np.pi * (r - start) / (r[-1] - start)) ** 2)
    h_k = ((g - 1.0) * taper) @ forward.T
    root = np.sqrt(density)
    n_species = len(density)
    structure = np.zeros((h_k.shape[1], n_species, n_species))
    for pair, (a, b) in enumerate(pairs):
        structure[:, a, b] = structure[:, b, a] = root[a] * root[b] * h_k[pair]
    structure += np.eye(n_species)
    values, vectors = np.linalg.eigh(structure)
    inverted = np.einsum(
        "kai,ki,kbi->kab", vectors, 1.0 / np.maximum(values, SMALLEST), vectors, optimize=True
    )

    # gamma = h - c; d gamma = T dh; (1 - g T) dh = -g beta du
    size = len(pairs) * n_bins
    operator = np.eye(size)
    for p, (a, b) in enumerate(pairs):
        for q, (c, d) in enumerate(pairs):
            dc = inverted[:, a, c] * inverted[:, d, b]
            if c != d:
                dc = dc + inverted[:, a, d] * inverted[:, c, b]
            dc = dc * (root[c] * root[d] / (root[a] * root[b]))
            d_gamma = (1.0 if p == q else 0.0) - dc
            rows, columns = (slice(i * n_bins, (i + 1) * n_bins) for i in (p, q))
            operator[rows, columns] -= g[p][:, None] * (inverse @ (d_gamma[:, None] * forward))
    source = -(g[:, :, None] * beta_du).reshape(size, -1)
    return np.asarray(np.linalg.solve(operator, source).reshape(beta_du.shape))


@lru_cache(maxsize=8)
def _transform(n_bins: int, width: float) -> tuple[Array, Array]:
    """Fourier transform of radial functions in three dimensions and its inverse, as matrices.

        f(k) = 4 pi / k int r f(r) sin(kr) dr,    f(r) = 1 / (2 pi^2 r) int k f(k) sin(kr) dk

    Shapes (M, B) and (B, M); the functions are zero from the last bin on.
    """
    r = (np.arange(n_bins) + 0.5) * width
    n_k = PADDING * n_bins
    dk = np.pi / (n_k * width)
    k = (np.arange(n_k) + 0.5) * dk
    sines = np.sin(np.outer(k, r))
    forward = 4.0 * np.pi * width / k[:, None] * sines * r
    inverse = dk / (2.0 * np.pi**2) / r[:, None] * (k[:, None] * sines).T
    return forward, inverse
