"""Distribution functions and pair potentials in the hypernetted chain approximation.

The closure of the theory gives the potentials from the correlation functions h = g - 1 and c,

    beta u_ab = h_ab - c_ab - ln g_ab

and the Ornstein-Zernike equation gives c from h. With the densities in H_ab = sqrt(rho_a rho_b)
h_ab(k), and C likewise,

    C = H (1 + H)^-1

so that g alone determines the potentials. A small change of them changes the functions by

    dh_ab / g_ab = -beta du_ab + dh_ab - dc_ab,    dC = (1 + H)^-1 dH (1 + H)^-1

Both are linear, so that dg = dh follows from du by one linear solve, with the measured g as the
only input. Unlike a covariance over frames it carries almost no statistical noise.

Sources: Hansen and McDonald, Theory of Simple Liquids, chapters 3 and 4; Delbary, Hanke and
Ivanizki, Appl. Math. Inf. Sci. 14, 1 (2020) for its use in inverse problems; Verlet, Phys. Rev.
165, 201 (1968) for the continuation of g beyond the range that was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.linalg import LinAlgError, cho_solve, cholesky, inv, solve
from scipy.sparse.linalg import LinearOperator, gmres

from diffsim.arrays import Array
from diffsim.species import species_pairs

TAPER = 0.6  # of the range: from there on h is taken smoothly to zero, against ripples in h(k)
PADDING = 4  # the transform's grid reaches this many times as far as g is known
SMALLEST = 0.02  # eigenvalue of the structure factors: noise at small k must not blow up
NEWTON_STEPS = 50  # at most, of the continuation
RESIDUAL = 1e-8  # of g, where the continuation has converged
SHORTEST_STEP = 1e-3  # of a Newton step: below, there is no solution nearby
LARGEST_INDIRECT = 3.0  # in kT, beyond the cutoff: no Newton step may overflow the exponential


def hnc_potential(width: float, g: Array, density: Array) -> Array:
    """Potentials of a mixture from its distribution functions.

        beta u_ab = h_ab - c_ab - ln g_ab

    Parameters
    ----------
    width
        Width of the bins of distance, which begin at zero.
    g
        Distribution functions of all species pairs, shape (P, B); one beyond the last bin, see
        `hnc_continuation`.
    density
        Number densities of the species, shape (S,), all positive.

    Returns
    -------
    beta u, shape (P, B); infinite where g is zero.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(indirect_correlation(width, g, density) - np.log(g))


def indirect_correlation(width: float, g: Array, density: Array) -> Array:
    """What h - c of `hnc_potential` is, (P, B): a smooth function, also where c has a step.

    With H as in the module's text, H - C = H^2 (1 + H)^-1; arguments as `hnc_potential`.
    """
    forward, inverse = transform(g.shape[1], width)
    root = np.sqrt(density)
    values, vectors = eigen((g - 1.0) @ forward.T, root)
    gamma = function(vectors, values**2 / np.maximum(1.0 + values, SMALLEST))
    return np.asarray(of_pairs(gamma, root) @ inverse.T)


def indirect_derivative(width: float, g: Array, density: Array) -> Callable[[Array], Array]:
    """Derivative of `indirect_correlation` by h, as the function from dh to d(h - c), both (P, B).

    dH - dC with dC = (1 + H)^-1 dH (1 + H)^-1; arguments as `hnc_potential`.
    """
    forward, inverse = transform(g.shape[1], width)
    root = np.sqrt(density)
    values, vectors = eigen((g - 1.0) @ forward.T, root)
    inverted = function(vectors, 1.0 / np.maximum(1.0 + values, SMALLEST))

    def derivative(dh: Array) -> Array:
        d_matrices = matrices(dh @ forward.T, root)
        return np.asarray(of_pairs(d_matrices - inverted @ d_matrices @ inverted, root) @ inverse.T)

    return derivative


def hnc_continuation(
    width: float, g: Array, density: Array, known: NDArray[np.bool_]
) -> Array | None:
    """Distribution functions continued to where they are not known and the potentials are zero.

    Solves g = exp(h - c) there, which is the closure with u = 0, by Newton's method. A measured g
    that just stops makes ripples in h(k), and at a liquid's density these become large errors of c.

    Parameters
    ----------
    width, g, density
        As `hnc_potential`; the values of g where it is not known do not matter.
    known
        Where g is known, shape (P, B).

    Returns
    -------
    g, shape (P, B), or None if there is no solution, or only one that is not a fluid (a structure
    factor near zero or below): g is not known far enough.
    """
    forward, inverse = transform(g.shape[1], width)
    root = np.sqrt(density)
    unknown = ~known
    h = np.where(known, g - 1.0, 0.0)
    if not unknown.any():
        return np.asarray(g)

    def state(h: Array) -> tuple[Array, Array, Array, Array]:
        values, vectors = eigen(h @ forward.T, root)
        floored = np.maximum(1.0 + values, SMALLEST)
        gamma = of_pairs(function(vectors, values**2 / floored), root) @ inverse.T
        outside = np.exp(np.clip(gamma[unknown], -LARGEST_INDIRECT, LARGEST_INDIRECT))
        residual = h[unknown] + 1.0 - outside
        return residual, outside, function(vectors, 1.0 / floored), values

    residual, outside, inverted, values = state(h)
    for _ in range(NEWTON_STEPS):
        if np.abs(residual).max() < RESIDUAL:
            return np.where(known, g, 1.0 + h) if values.min() > SMALLEST - 1.0 else None

        def derivative(
            step: Array, outside: Array = outside, inverted: Array = inverted
        ) -> Array:  # of the residual: (1 - g d gamma / dh) step
            change = np.zeros(known.shape)
            change[unknown] = step.ravel()
            dh = matrices(change @ forward.T, root)
            d_gamma = of_pairs(dh - inverted @ dh @ inverted, root) @ inverse.T
            return np.asarray(step.ravel() - outside * d_gamma[unknown])

        size = len(residual)
        operator = LinearOperator((size, size), matvec=derivative, dtype=np.float64)
        step, _ = gmres(operator, -residual, rtol=1e-4, atol=0.0, maxiter=5, restart=60)
        length = 1.0
        while length >= SHORTEST_STEP:
            trial = h.copy()
            trial[unknown] += length * step
            found = state(trial)
            if np.linalg.norm(found[0]) < np.linalg.norm(residual):
                break
            length *= 0.5
        else:
            return None
        h = trial
        residual, outside, inverted, values = found
    return None


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
    matrix, scale = _inverse_response(width, g, density)
    source = (np.sqrt(g) * scale)[:, :, None] * beta_du
    found = solve(matrix, source.reshape(len(matrix), -1), assume_a="sym")
    return np.asarray(-(np.sqrt(g) / scale)[:, :, None] * found.reshape(beta_du.shape))


def hnc_fluctuations(width: float, g: Array, density: Array, kept: NDArray[np.intp]) -> Array:
    """Change of distribution functions in some bins with the potentials in these, (n, n).

    What `hnc_response` finds for a unit change of beta u in each of the bins `kept`, indices among
    the P B, with the sign of the fluctuations: -dg_a / d(beta u_b).

    That of a stable fluid has a positive definite inverse, of which all other bins are eliminated
    by its Cholesky factorisation: their response, the larger part, is never computed.
    """
    matrix, scale = _inverse_response(width, g, density)
    flat = g.ravel()
    other = np.ones(len(flat), dtype=bool)
    other[kept] = False
    order = np.concatenate(
        [np.flatnonzero(other & (flat > 0.0)), kept]
    )  # where g is zero, it stays
    n = len(kept)
    matrix = matrix[np.ix_(order, order)]
    try:
        factor = cholesky(matrix, lower=True, check_finite=False)[-n:, -n:]
    except LinAlgError:
        inverse = inv(matrix, check_finite=False)[-n:, -n:]
    else:
        inverse = cho_solve((factor, True), np.eye(n), check_finite=False)
    root, scale = np.sqrt(flat[kept]), scale.ravel()[kept]
    return np.asarray((root / scale)[:, None] * inverse * (root * scale))


def _inverse_response(width: float, g: Array, density: Array) -> tuple[Array, Array]:
    """Symmetric matrix A and scale t, (P B, P B) and (P, B), of the response of g.

        t dh = -g^1/2 A^-1 g^1/2 t beta du,    A = 1 - g^1/2 t T t^-1 g^1/2

    with the change T dh of the indirect correlation h - c. The scale t_ab = r (rho_a rho_b m)^1/2,
    where m is one for pairs of one species and two for others, makes T symmetric. In the distance
    it is a product of sines, summed over k: cosines of the sum and of the difference of distances.
    """
    pairs = species_pairs(len(density))
    n_bins = g.shape[1]
    r = (np.arange(n_bins) + 0.5) * width
    forward, _ = transform(n_bins, width)

    start = TAPER * r[-1]
    taper = np.where(r < start, 1.0, np.cos(0.5 * np.pi * (r - start) / (r[-1] - start)) ** 2)
    h_k = ((g - 1.0) * taper) @ forward.T
    root = np.sqrt(density)
    values, vectors = eigen(h_k, root)
    inverted = function(vectors, 1.0 / np.maximum(1.0 + values, SMALLEST))

    bins = np.arange(n_bins)
    difference, total = np.abs(bins[:, None] - bins), bins[:, None] + bins + 1
    root_g = np.sqrt(g)
    matrix = np.empty((len(pairs) * n_bins,) * 2)
    for p, (a, b) in enumerate(pairs):
        for q, (c, d) in enumerate(pairs[: p + 1]):
            d_gamma = -inverted[:, a, c] * inverted[:, d, b]
            if c != d:
                d_gamma -= inverted[:, a, d] * inverted[:, c, b]
            if a != b and c == d:
                d_gamma *= np.sqrt(2.0)
            elif a == b and c != d:
                d_gamma *= np.sqrt(0.5)
            if p == q:
                d_gamma += 1.0
            # 2 / n_k sum_i d_gamma(k_i) sin(k_i r) sin(k_i r'), k_i = (i + 1/2) pi / (n_k width)
            cosines = dct(d_gamma, type=2) / (2.0 * len(d_gamma))
            block = root_g[p][:, None] * (cosines[total] - cosines[difference]) * root_g[q]
            rows, columns = (slice(i * n_bins, (i + 1) * n_bins) for i in (p, q))
            matrix[rows, columns] = block
            matrix[columns, rows] = block.T
    matrix[np.diag_indices_from(matrix)] += 1.0
    weights = [root[a] * root[b] * (1.0 if a == b else np.sqrt(2.0)) for a, b in pairs]
    return matrix, np.outer(weights, r)


def matrices(h_k: Array, root: Array) -> Array:
    """Matrices H_ab = sqrt(rho_a rho_b) h_ab(k), (M, S, S), from functions of pairs (P, M)."""
    matrices = np.zeros((h_k.shape[1], len(root), len(root)))
    for pair, (a, b) in enumerate(species_pairs(len(root))):
        matrices[:, a, b] = matrices[:, b, a] = root[a] * root[b] * h_k[pair]
    return matrices


def of_pairs(matrices: Array, root: Array) -> Array:
    """Functions of pairs (P, M) from matrices (M, S, S): the inverse of `matrices`."""
    return np.array([matrices[:, a, b] / (root[a] * root[b]) for a, b in species_pairs(len(root))])


def eigen(h_k: Array, root: Array) -> tuple[Array, Array]:
    """Eigenvalues (M, S) and eigenvectors (M, S, S) of H; 1 + H are the structure factors."""
    values, vectors = np.linalg.eigh(matrices(h_k, root))
    return values, vectors


def function(vectors: Array, values: Array) -> Array:
    """The symmetric matrices with these eigenvectors and eigenvalues, (M, S, S)."""
    return np.asarray((vectors * values[:, None, :]) @ np.swapaxes(vectors, 1, 2))


@lru_cache(maxsize=8)
def transform(n_bins: int, width: float) -> tuple[Array, Array]:
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
