"""Covariance of the distribution functions: their noise and their response are the same matrix.

With counts N_b = c_b g_b in fine bins of distance the energy is U = sum_b N_b u(r_b), so

    d<g_a>/du_b = -beta Cov(g_a, g_b) c_b

and the covariance matrix C of the bins gives both the response of g and, divided by the number of
independent frames, the covariance of its statistical error. Taking both from one matrix matters:
in the solution for a correction the errors of the two then cancel, as they do in maximum
likelihood, of which a step with this matrix is the Newton step.

A few hundred frames do not determine a matrix of a hundred bins. The estimate is that of a Bayesian
with an inverse Wishart prior: centred on liquid state theory, with the strength that makes the
frames most probable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, lapack, solve_triangular, svdvals
from scipy.special import gammaln

from diffsim.arrays import Array
from diffsim.theory.integral_equation import hnc_fluctuations

STRENGTHS = np.geomspace(1.0, 1e4, 41)  # of the prior, in samples
SMALLEST = 1e-3  # eigenvalue of the theory's covariance relative to the ideal gas
COLLECTIVE = 0.05  # |ln| of the variance of a mode relative to the ideal gas, from where it counts


def theoretical_covariance(
    width: float, g: Array, density: Array, counts_per_g: Array, kept: NDArray[np.intp]
) -> Array:
    """Covariance per frame of g in fine bins, in the hypernetted chain approximation.

        C_ab = -dg_a/d(beta u_b) / c_b

    Parameters
    ----------
    width
        Width of the bins of distance, which begin at zero.
    g
        Distribution functions, shape (P, B).
    density
        Number densities of the species, shape (S,).
    counts_per_g
        c, number of pairs per unit of g in each bin, shape (P, B).
    kept
        Indices of the wanted bins among the P B, shape (n,).

    Returns
    -------
    Shape (n, n), symmetric, positive definite.
    """
    covariance = hnc_fluctuations(width, g, density, kept) / counts_per_g.ravel()[kept]
    covariance = 0.5 * (covariance + covariance.T)
    # shot noise g / c alone is the covariance of an ideal gas; a theory that fails must not make a
    # combination of bins noiseless
    ideal = np.sqrt(g.ravel()[kept] / counts_per_g.ravel()[kept])
    relative = covariance / np.outer(ideal, ideal)
    if _is_positive(relative - SMALLEST * np.eye(len(kept))):
        return np.asarray(covariance)
    values, vectors = np.linalg.eigh(relative)
    values = np.maximum(values, SMALLEST)
    return np.asarray((vectors * values) @ vectors.T * np.outer(ideal, ideal))


def _is_positive(matrix: Array) -> bool:
    """Whether a symmetric matrix is positive definite: a small part of what eigenvalues cost."""
    try:
        cholesky(matrix, lower=True, check_finite=False)
    except LinAlgError:
        return False
    return True


def with_variances_of_modes(prior: Array, sample: Array, n: float) -> tuple[Array, float]:
    """A theory's covariance whose collective modes have variances that the frames confirm.

    Theory knows the modes of a fluid, the eigenvectors of the correlations, better than how much
    they fluctuate: in a dense soft fluid the hypernetted chain approximation is wrong by a factor
    of three in the variance of the weakest mode, that of the compressibility, which decides how a
    potential responds that is wrong by a smooth function. With the ratio r_i of the variances of
    mode i in frames and theory, the latter is multiplied by

        f_i = (k + n r_i) / (k + n)

    where the strength k of the prior for f, inverse chi squared with mean one, maximises the
    marginal likelihood of all collective modes.

    Parameters
    ----------
    prior, sample
        Covariance matrices of theory and frames, shape (p, p); the prior positive definite.
    n
        Number of independent samples.

    Returns
    -------
    The covariance, shape (p, p), and k + n: what the variances of its modes are worth in samples.
    """
    spread = np.sqrt(np.diag(prior))
    variances, modes = np.linalg.eigh(prior / np.outer(spread, spread))
    collective = np.abs(np.log(variances)) > COLLECTIVE
    if not collective.any():
        return prior, np.inf
    scaled = modes[:, collective] / spread[:, None]
    ratio = np.sum(scaled * (sample @ scaled), axis=0) / variances[collective]
    degrees = STRENGTHS + 2.0
    likelihood = len(ratio) * (
        gammaln(0.5 * (degrees + n)) - gammaln(0.5 * degrees) + 0.5 * degrees * np.log(STRENGTHS)
    ) - 0.5 * (degrees + n) * np.log(STRENGTHS[:, None] + n * ratio).sum(axis=1)
    k = STRENGTHS[int(np.argmax(likelihood))]
    change = variances[collective] * ((k + n * ratio) / (k + n) - 1.0)
    back = modes[:, collective] * spread[:, None]
    return np.asarray(prior + (back * change) @ back.T), float(k + n)


def posterior_covariance(
    prior: Array, sample: Array, n: float, theory: Array | None = None
) -> tuple[Array, float]:
    """Estimate of a covariance matrix from few samples and a prior.

        C = (k prior + n sample) / (k + n)

    where the strength k of the inverse Wishart prior with mean `theory` maximises the marginal
    likelihood of the samples.

    Parameters
    ----------
    prior, sample
        Shape (p, p); the prior positive definite.
    n
        Number of independent samples.
    theory
        The prior as it was before anything of it was taken from the samples: these would find it
        too good. The same as `prior` by default.

    Returns
    -------
    C, k + n: the estimate and its worth in samples.

    Source: Gelman et al., Bayesian Data Analysis (2013), section 3.6.
    """
    p = len(prior)
    factor = cholesky(prior if theory is None else theory, lower=True)
    # as many eigenvalues as there are samples are not zero
    white = solve_triangular(factor, root_of(sample), lower=True)
    values = np.zeros(p)
    values[: white.shape[1]] = svdvals(white) ** 2
    degrees = STRENGTHS + p + 1.0
    half = 0.5 * np.arange(p)  # ln Gamma_p(x) = sum_j ln Gamma(x - j / 2), up to a constant
    gammas = gammaln(0.5 * (degrees + n)[:, None] - half) - gammaln(0.5 * degrees[:, None] - half)
    likelihood = (
        gammas.sum(axis=1)
        + 0.5 * degrees * p * np.log(STRENGTHS)
        - 0.5 * (degrees + n) * np.log(STRENGTHS[:, None] + n * values).sum(axis=1)
    )
    strength = STRENGTHS[int(np.argmax(likelihood))]
    return (strength * prior + n * sample) / (strength + n), float(strength + n)


def root_of(sample: Array) -> Array:
    """R with R R^T a positive semidefinite matrix, of as many columns as it has directions."""
    factor, order, rank, _ = lapack.dpstrf(sample, lower=1)
    root = np.empty((len(sample), rank))
    root[order - 1] = np.tril(factor)[:, :rank]
    return root
