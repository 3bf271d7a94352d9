"""How much of what few samples show is signal, as functions of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffsim.arrays import Array

LONE = 1e-9  # what all other windows weigh together, where one is all
BLOCKS = 25  # to the cutoff, for the scatter of derivatives along windows


def share_told(cross: Array, variances: Array, covariance: Array, n: float) -> Array:
    """How much of a measured covariance of observables with fluctuating quantities is signal, (O,).

        s = max(0, 1 - p v / (n c C^-1 c)),    c = Cov(x, z),  v = Var(x)

    n frames of an x that has nothing to do with the p quantities z have c C^-1 c = p v / n on
    average (James and Stein, Proc. 4th Berkeley Symp. 1, 361 (1961)). With many frames s is one.

    Parameters
    ----------
    cross
        c of each observable, shape (O, p).
    variances
        v, shape (O,).
    covariance
        C, shape (p, p).
    n
        Number of independent frames.
    """
    explained = np.sum(cross * np.linalg.solve(covariance, cross.T).T, axis=1)
    noise = variances * cross.shape[1] / n
    return np.asarray(1.0 - np.minimum(1.0, noise / np.maximum(explained, np.finfo(float).tiny)))


def share_along(weights: Array, derivatives: Array, n_pairs: int) -> float:
    """How much of a mean of derivatives along windows is signal.

        s = max(0, 1 - e / |d|^2),    d = sum_f w_f d_f,    W = sum_f w_f^2
        e = W / (1 - W) sum_f w_f |d_f - d|^2

    The mean of windows whose derivatives are noise has |d|^2 equal to e on average (James and
    Stein, as in `share_told`); one window alone tells nothing. What counts is the response to
    potentials that are smooth: d is summed over `BLOCKS` intervals of r^2 before, as otherwise the
    many coefficients would show noise only.

    Parameters
    ----------
    weights
        w of the windows, shape (F,); their sum is one.
    derivatives
        By the coefficients, shape (F, P (K + 2)).
    n_pairs
        P.
    """
    by_pair = derivatives.reshape(len(derivatives), n_pairs, -1)
    first = np.linspace(0, by_pair.shape[2], BLOCKS, endpoint=False).astype(int)
    smooth = np.add.reduceat(by_pair, np.unique(first), axis=2).reshape(len(derivatives), -1)
    mean = weights @ smooth
    size = float(mean @ mean)
    if size == 0.0:
        return 1.0  # it does not depend on the potential
    alone = float(weights @ weights)
    scatter = float(weights @ np.sum((smooth - mean) ** 2, axis=1))
    if alone >= 1.0 - LONE:
        return 0.0
    return max(0.0, 1.0 - alone / (1.0 - alone) * scatter / size)


def shrunk(covariance: Array, rows: NDArray[np.bool_], n: float) -> Array:
    """A sample covariance in which some observables are a little less correlated, (O, O).

    That of n frames has no more than n - 1 directions, and understates the noise along some of
    those that it has. Of the m chosen observables it is (n S + (m + 1) diag S) / (n + m + 1).
    """
    m = int(rows.sum())
    factor = np.where(np.outer(rows, rows), n / (n + m + 1.0), 1.0)
    np.fill_diagonal(factor, 1.0)
    return np.asarray(covariance * factor)
