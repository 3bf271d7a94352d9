"""Statistical errors of averages over correlated frames."""

from __future__ import annotations

import numpy as np

from diffsim.errors import InputError
from diffsim.knots import Array

WINDOW = 5.0  # the autocorrelation is summed up to this many autocorrelation times


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
    if n < 2:
        raise InputError(
            f"The autocorrelation of a series of {n} frames is undefined; record at least 2 frames."
        )
    columns = series.reshape(n, -1)
    columns = columns - columns.mean(axis=0)
    spectrum = np.fft.rfft(columns, n=2 * n, axis=0)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[:n]
    variance = covariance[0]
    varies = variance > 1e-24 * np.maximum(
        np.abs(series.reshape(n, -1)).max(axis=0) ** 2 * n, 1e-300
    )
    rho = covariance / np.where(varies, variance, 1.0)
    sums = 1.0 + 2.0 * np.cumsum(rho[1:], axis=0)
    long_enough = np.arange(1, n)[:, None] >= WINDOW * sums
    # where no window is long enough the series is too short for its own correlation: take them all
    window = np.where(long_enough.any(axis=0), long_enough.argmax(axis=0), n // 2 - 1)
    inefficiency = np.take_along_axis(sums, np.maximum(window, 0)[None, :], axis=0)[0]
    inefficiency = np.where(varies, np.maximum(inefficiency, 1.0), 1.0)
    return inefficiency.reshape(series.shape[1:])


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
