"""Statistical errors of averages over correlated frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffsim.arrays import Array
from diffsim.errors import InputError

WINDOW = 5.0  # the autocorrelation is summed up to this many autocorrelation times
POOLED_WINDOW = 3.0  # the same for several pieces, whose means are allowed for
FEWEST = 4  # pieces whose means tell of a slow relaxation
NEAR = 0.3  # of a piece's frames: as many have to count under the present weights
ROUNDING = 1e-24  # of the square of a value: a smaller variance is none
DOUBTED = 10.0  # degrees of freedom that speak for errors as they are within a piece


def statistical_inefficiency(series: Array) -> Array:
    """Number of correlated frames that are worth one independent frame, per column.

        s = 1 + 2 sum_{t=1}^{M} rho(t)

    with the normalised autocorrelation rho and the smallest window M >= 5 s (Sokal's automatic
    windowing). Never below one: anticorrelated estimates from short series are not trusted.
    Subtracting the mean of the series itself biases the estimate low, by about s^2 / F: a tenth for
    s = 3 and 125 frames, a third for s = 10.

    Parameters
    ----------
    series
        Values of consecutive frames, shape (F, ...) with F >= 2.

    Returns
    -------
    Inefficiency of each column, shape (...). A column that does not vary has one.

    Source: A. D. Sokal, Monte Carlo Methods in Statistical Mechanics (1996), section 3.
    """
    series = np.asarray(series, dtype=np.float64)
    n = len(series)
    columns = series.reshape(n, -1)
    covariance, varies = _autocovariance(columns)
    variance = covariance[0]
    rho = covariance / np.where(varies, variance, 1.0)
    sums = 1.0 + 2.0 * np.cumsum(rho[1:], axis=0)
    long_enough = np.arange(1, n)[:, None] >= WINDOW * sums
    # where no window is long enough the series is too short for its own correlation: take them all
    window = np.where(long_enough.any(axis=0), long_enough.argmax(axis=0), n // 2 - 1)
    inefficiency = np.take_along_axis(sums, np.maximum(window, 0)[None, :], axis=0)[0]
    inefficiency = np.where(varies, np.maximum(inefficiency, 1.0), 1.0)
    return inefficiency.reshape(series.shape[1:])


def pooled_inefficiency(pieces: Sequence[Array], weights: Array) -> Array:
    """Statistical inefficiency of several pieces of simulation together, per column.

    The mean of a piece of F frames, from which its fluctuations are measured, has itself the
    variance v = s c(0) / F, and lowers the autocovariance c(t) by it. From the sum up to a window
    A = c(0) + 2 sum_{t=1}^{M} c(t) of what is measured, with weights w_k over the pieces,

        v = A / (F' - 2 M - 1),   s = F' v / (c(0) + v),   1 / F' = sum_k w_k / F_k

    with the smallest M >= 3 s, but 2 M + 1 <= F' / 2. Never below one. Unlike that of
    `statistical_inefficiency` this estimate has nearly no bias for short pieces as long as the
    window fits in them; where it does not, as for s > 2 in pieces of 25 frames, it is too low.

    Parameters
    ----------
    pieces
        Values of consecutive frames of each piece, shape (F_k, m) with F_k >= 2.
    weights
        Of the pieces, of any sum, shape (K,).

    Returns
    -------
    Shape (m,). A column that does not vary has one.
    """
    shares = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    lengths = np.array([len(piece) for piece in pieces])
    longest, columns = int(lengths.max()), pieces[0].shape[1]
    total, present = np.zeros((longest, columns)), np.zeros(longest)
    varies = np.zeros(columns, dtype=bool)
    for piece, share, n in zip(pieces, shares, lengths, strict=True):
        covariance, varying = _autocovariance(np.asarray(piece, dtype=np.float64))
        total[:n] += share * covariance / np.arange(n, 0, -1)[:, None]
        present[:n] += share
        varies |= varying & (share > 0.0)
    present = np.maximum(present, np.finfo(np.float64).tiny)
    covariance = total / present[:, None]
    typical = 1.0 / float(shares @ (1.0 / lengths))
    sums = 2.0 * np.cumsum(covariance, axis=0) - covariance[0]
    window = np.arange(longest)
    window = window[: max(int(0.25 * typical - 0.5), 0) + 1]
    sums = np.maximum(sums[: len(window)], 0.0)
    variance = sums / (typical - 2.0 * window - 1.0)[:, None]
    whole = covariance[0] + variance
    # of a piece that weighs next to nothing even what varies may round to zero
    inefficiency = typical * variance / np.where(whole > 0.0, whole, 1.0)
    # where no window is long enough the longest one has to do
    fits = window[:, None] >= POOLED_WINDOW * np.maximum(inefficiency, 1.0)
    chosen = np.where(fits.any(axis=0), fits.argmax(axis=0), len(window) - 1)
    found = np.take_along_axis(inefficiency, chosen[None, :], axis=0)[0]
    return np.asarray(np.where(varies, np.maximum(found, 1.0), 1.0))


def slowness(pieces: Sequence[Array], weights: Sequence[Array], inefficiency: Array) -> Array:
    """By how much means of pieces scatter more than each of them tells, in variance, per column.

        R = sum_k n_k (x_k - x)^2 / (s c (K - 1)),    (d + (K - 1) R) / (d + K - 1) >= 1

    with means x_k of K pieces, their effective numbers n_k of frames, the mean variance c within
    a piece and the inefficiency s. It is one if pieces are longer than the slowest relaxation. What
    K pieces say of a column is mixed with `DOUBTED` degrees of freedom d for one.

    Parameters
    ----------
    pieces
        Values of consecutive frames of each piece, shape (F_k, m).
    weights
        Of the frames of each piece, shape (F_k,). Pieces of which too few count are left out.
    inefficiency
        Of the pieces together, shape (m,).

    Returns
    -------
    Shape (m,).
    """
    found = []
    for piece, own in zip(pieces, weights, strict=True):
        square = float(own @ own)
        n = own.sum() ** 2 / square if square > 0.0 else 0.0
        if n >= NEAR * len(piece):
            shares = own / own.sum()
            mean = shares @ piece
            variance = shares @ (piece - mean) ** 2
            found.append((n, mean, variance * n / np.maximum(n - inefficiency, 1.0)))
    free = len(found) - 1
    if len(found) < FEWEST:
        return np.ones_like(inefficiency)
    n, means, variances = (np.array(part) for part in zip(*found, strict=True))
    shares = n / n.sum()
    within = inefficiency * (shares @ variances)
    scatter = n @ (means - shares @ means) ** 2
    varies = within > ROUNDING * (means**2).max(axis=0)
    ratio = scatter / np.where(varies, within, np.inf)
    return np.asarray(np.maximum((DOUBTED + ratio) / (DOUBTED + free), 1.0))


def _autocovariance(series: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Sums over frames of x_t x_(t+k) about the mean, shape (F, m), and which columns vary."""
    n = len(series)
    if n < 2:
        raise InputError(
            f"The autocorrelation of a series of {n} frames is undefined; record at least 2 frames."
        )
    spectrum = np.fft.rfft(series - series.mean(axis=0), n=2 * n, axis=0)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[:n]
    varies = covariance[0] > ROUNDING * np.maximum(np.abs(series).max(axis=0) ** 2 * n, 1e-300)
    return covariance, varies


def standard_error(series: Array) -> Array:
    """Standard error of the mean over correlated frames, per column.

        err^2 = s Var(x) / F

    Parameters
    ----------
    series
        Values of consecutive frames, shape (F, ...), F >= 2.

    Returns
    -------
    Errors in the unit of the series, shape (...).
    """
    series = np.asarray(series, dtype=np.float64)
    inefficiency = statistical_inefficiency(series)
    return np.asarray(np.sqrt(inefficiency * series.var(axis=0, ddof=1) / len(series)))
