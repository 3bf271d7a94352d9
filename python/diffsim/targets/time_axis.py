"""Whether a function of time has the time axis of the simulation."""

from __future__ import annotations

import numpy as np

from diffsim.targets.base import FloatArray

STRETCHES = 2.0 ** (np.arange(-48, 49) / 20.0)  # of a time axis, that are tried
LEAST_STRETCH = 1.25
EXPLAINED = 0.1  # of the mean square deviation is left after a stretch that explains it
APART = 0.05  # root mean square deviation of functions that are one at time zero
FEWEST_TIMES = 5


def stretched(
    label: str, time: FloatArray, target: FloatArray, simulated: FloatArray
) -> str | None:
    """A sentence where a normalised function of time would agree with another time axis.

    Parameters
    ----------
    label
        Of the target.
    time, target, simulated
        Positive times, and the functions at them, which are one at the time zero, (n,).
    """
    t, z = np.concatenate([[0.0], time]), np.concatenate([[1.0], simulated])
    best, left = 1.0, EXPLAINED
    for factor in STRETCHES:
        known = factor * time <= time[-1]
        if known.sum() < FEWEST_TIMES:
            continue
        off = np.mean((simulated[known] - target[known]) ** 2)
        stretched_off = np.mean((np.interp(factor * time[known], t, z) - target[known]) ** 2)
        if off > APART**2 and stretched_off < left * off:
            best, left = float(factor), float(stretched_off / off)
    if max(best, 1.0 / best) < LEAST_STRETCH:
        return None
    return (
        f"The target {label} agrees with the simulation if its times are multiplied by about "
        f"{best:.2g}, and hardly without: check their unit, and the interval between its points. "
        "Forces that give this g(r) make atoms move as fast as they do."
    )
