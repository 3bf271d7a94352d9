"""What a curve in a file is: a g(r) as measured or digitised, or something that looks like it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffsim.errors import InputError
from diffsim.targets.base import FloatArray

FEWEST_POINTS = 20
"""Fewer points do not tell what a curve is."""

SWAPPED = 0.05
"""Of the range: points out of order by more are those of another curve."""

FLOOR = 0.02
"""Of g inside of the core: what digitising, rounding and Fourier transforms leave there."""

HALF_WAY = 0.5
"""Of g, on the first rise."""

STEEP = 0.7
"""Where g is `FLOOR`, over where it is `HALF_WAY`: a wall is steeper."""

ABOVE = 5.0
"""Times what a wall that gets no steeper leaves inside of it: more is a floor."""

SEEN = 0.1
"""Of g: where a relative error means something."""

UNBELIEVABLE = 0.5
"""Of g: an error above it, in most of the points."""

LIQUID = 1.5
"""The largest value of a g(r), or S(q), that oscillates."""

PLATEAU = 5.0
"""Largest over smallest value of S(q) at small q; a g(r) falls by more towards its core."""

PERIODS = 2.5
"""Range of a g(r) over its first maximum from which on its tail tells what it settles at."""

BEYOND_MINIMUM = 1.6
"""Distance, over that of the first maximum, from which on a g(r) is a damped oscillation."""

SIGNIFICANT = 4.0
"""Standard errors of what it settles at, from which on it is told."""

WAVELENGTHS, DECAYS = np.linspace(0.7, 1.25, 12), np.geomspace(0.25, 3.0, 9)
"""Of that oscillation, that are tried; over the distance of the first maximum."""

SETTLED = 0.015
"""Deviation of that from one: more is said."""


def in_order(
    r: FloatArray, g: FloatArray, error: FloatArray | None, lines: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray, FloatArray | None, NDArray[np.int64], list[str]]:
    """Points of a digitised curve in the order of r, those at the same distance averaged.

    Returns
    -------
    r, g, error, lines, notes
        The points, the lines that they come from, and what was done to them. Nothing is where the
        points are few, are in order, or are so far out of it that they are those of two curves.
    """
    if r.size < FEWEST_POINTS or not np.all(np.isfinite(r)) or np.all(np.diff(r) > 0.0):
        return r, g, error, lines, []
    back = np.maximum.accumulate(r) - r
    if back.max() > SWAPPED * np.ptp(r):
        return r, g, error, lines, []
    distances, first, place, number = np.unique(
        r, return_index=True, return_inverse=True, return_counts=True
    )
    notes = [
        f"{np.count_nonzero(back)} points out of order of r were sorted, and {np.sum(number - 1)} "
        "at the distance of another averaged with it"
    ]
    mean = np.bincount(place, g) / number
    if error is not None:
        error = np.sqrt(np.bincount(place, error**2) / number)
    return distances, mean, error, lines[first], notes


def without_floor(r: FloatArray, g: FloatArray) -> tuple[FloatArray, list[str]]:
    """A g(r) that is zero inside of its core, where a file has a floor or small negative numbers.

    The first rise to `HALF_WAY` is followed inwards to where g is `FLOOR`. There a wall gets ever
    steeper, so that further inside ln g lies below the straight line through the two; what is above
    it by more than the factor `ABOVE` is no density of pairs. Where the rise is not steep, as in
    soft fluids, only negative numbers are taken as zero.

    Returns
    -------
    g, notes
        The values, and what was done to them.
    """
    high = np.flatnonzero(g >= HALF_WAY)
    if not high.size or r.size < FEWEST_POINTS:
        return g, []
    low = np.flatnonzero(g[: high[0]] < FLOOR)
    if not low.size:
        return g, []
    inside = np.arange(low[-1] + 1)
    wrong = (g[inside] < 0.0) & (g[inside] >= -FLOOR)
    start, half = r[low[-1]], r[high[0]]
    if start > STEEP * half:
        slope = np.log(HALF_WAY / FLOOR) / (half - start)
        outer = g[low[-1]] if g[low[-1]] > 0.0 else FLOOR
        bound = outer * np.exp(slope * (r[inside] - start))
        floor = (g[inside] > ABOVE * bound) & (g[inside] < FLOOR)
        if np.count_nonzero(floor) >= 3:
            wrong[: np.flatnonzero(floor)[-1] + 1] |= g[: np.flatnonzero(floor)[-1] + 1] < FLOOR
    wrong &= g[inside] != 0.0
    if not wrong.any():
        return g, []
    last = np.flatnonzero(wrong)[-1]
    largest = np.abs(g[inside][wrong]).max()
    cleaned = g.copy()
    cleaned[inside[wrong]] = 0.0
    return cleaned, [
        f"values up to {largest:.2g} in size below r = {r[last]:.4g}, inside of the core, were "
        "taken as zero: no pairs are so near"
    ]


def check_error(r: FloatArray, g: FloatArray, third: FloatArray, path: Path) -> None:
    """Raise InputError if a third column can hardly be the error of g."""
    if r.size < FEWEST_POINTS:
        return
    seen = g > SEEN
    tail = slice(3 * r.size // 4, None)
    large = bool(seen.any()) and np.mean(third[seen] > UNBELIEVABLE * g[seen]) > 0.5
    if np.all(np.diff(third) >= 0.0) and third[-1] > 1.0:
        what = f"rises throughout, to {third[-1]:.4g}, as a coordination number does"
    elif large and abs(float(np.mean(third[tail])) - 1.0) < 0.25:
        what = f"tends to {np.mean(third[tail]):.3g}, as another g(r) does"
    elif large:
        what = "is above half of g in most of the file"
    else:
        return
    raise InputError(
        f"The third column of '{path}' can hardly be the error of g: it {what}. Say which columns "
        "hold r and g, and the error if there is one, as in 'columns: [1, 2]'."
    )


def check_kind(r: FloatArray, g: FloatArray, path: Path) -> None:
    """Raise InputError if a curve is a structure factor.

    That begins at small q with a plateau, S(0) > 0, and has no core; the g(r) of a fluid with
    structure falls towards small r by orders of magnitude.
    """
    if r.size < FEWEST_POINTS:
        return
    peak = int(np.argmax(g))
    near = r < 0.4 * r[peak]
    if g[peak] < LIQUID or np.count_nonzero(near) < 3:
        return
    first = g[near]
    if first.min() >= FLOOR and first.max() < PLATEAU * first.min() and first.max() < 1.0:
        raise InputError(
            f"The curve in '{path}' is no g(r): it is {first.min():.2g} to {first.max():.2g} below "
            f"{0.4 * r[peak]:.3g}, where no two atoms can be, and has its maximum at "
            f"{r[peak]:.4g}. It looks like a structure factor S(q); targets are distribution "
            "functions of the distance, so give its transform to g(r)."
        )


def tail(r: FloatArray, g: FloatArray) -> float | None:
    """What a g(r) tends to, less one; None where the curve does not tell.

    The level d of the damped oscillation of a liquid

        g(r) = 1 + d + A exp(-r / xi) cos(2 pi r / lambda + phi) / r

    that is closest to the curve beyond its first minimum. For g(r) of dense liquids that tend to
    one it is within 0.003 of zero, however far they reach. It is not told by a curve that is short,
    where noise would do as well, and where a part that decays without oscillating, as that between
    chains or near a critical point, changes it by a good part of itself.

    Source: R. J. F. Leote de Carvalho et al., J. Phys.: Condens. Matter 6, 9275 (1994).
    """
    if r.size < FEWEST_POINTS:
        return None
    peak = r[int(np.argmax(g))]
    if r[-1] < PERIODS * peak:
        return None
    beyond = r > BEYOND_MINIMUM * peak
    x, h = r[beyond] / peak, g[beyond] - 1.0
    if x.size < FEWEST_POINTS:
        return None
    level, error = _level(x, h, 0)
    with_decay, _ = _level(x, h, 1)
    told = abs(level) > SIGNIFICANT * error and abs(with_decay - level) < 0.5 * abs(level)
    return level if told else None


def _level(x: FloatArray, h: FloatArray, decays: int) -> tuple[float, float]:
    """d of `tail` for h = g - 1 with one or no part that only decays, and its standard error."""
    best, level, error = np.inf, 0.0, np.inf
    for decay in DECAYS:
        envelope = np.exp(-(x - x[0]) / decay) / x
        for length in WAVELENGTHS:
            phase = 2.0 * np.pi * x / length
            parts = [np.ones_like(x), envelope * np.cos(phase), envelope * np.sin(phase)]
            waves = np.stack([*parts, *[envelope] * decays], axis=1)
            found = np.linalg.lstsq(waves, h, rcond=None)[0]
            left = float(np.sum((h - waves @ found) ** 2))
            if left < best:
                best, level = left, float(found[0])
                variance = np.linalg.pinv(waves.T @ waves)[0, 0] * left
                error = float(np.sqrt(variance / max(x.size - waves.shape[1], 1)))
    return level, error


def settles_at(r: FloatArray, g: FloatArray) -> float | None:
    """What a g(r) tends to where that is not one; None where it is, or the curve is too short.

    The error of `tail` is a part of what is left of the oscillation.
    """
    found = tail(r, g)
    if found is None:
        return None
    last = g[r > r[-1] - r[int(np.argmax(g))]]
    return 1.0 + found if abs(found) > max(SETTLED, 0.3 * 0.5 * float(np.ptp(last))) else None


def tail_note(r: FloatArray, g: FloatArray) -> list[str]:
    """What there is to say of a g(r) that does not tend to one."""
    end = settles_at(r, g)
    if end is None:
        return []
    return [
        f"it settles at about {end:.2f} instead of 1. A tail that is wrong by 0.001 changes the "
        "pressure by much: it was divided by another density, it leaves out atoms or counts "
        "some that are not there, it has an offset, or the fluid is not uniform. Mend the file"
    ]
