"""Checks of what a radial distribution function is made of: sentences about what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from diffsim.errors import InputError
from diffsim.targets.base import FloatArray

FEWEST_POINTS = 3


def readonly(values: ArrayLike, key: str, name: str) -> FloatArray:
    """A copy of one-dimensional values that cannot be changed; else an InputError."""
    array = np.array(values, dtype=np.float64)
    if array.ndim != 1:
        raise InputError(
            f"{name} needs a one-dimensional array '{key}', but its shape is {array.shape}."
        )
    array.flags.writeable = False
    return array


def checked_pair(pair: Sequence[str]) -> tuple[str, str]:
    """Two names of species; else an InputError."""
    if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(s, str) and s for s in pair):
        raise InputError(
            f"The pair of an RDF must be the names of two species, like ('A', 'B'), but {pair!r} "
            f"was given."
        )
    return (pair[0], pair[1])


def checked_range(bounds: tuple[float, float]) -> tuple[float, float]:
    """Two distances, the smaller one first; else an InputError."""
    low, high = bounds
    if not 0.0 <= low < high:
        raise InputError(
            f"The range of an RDF must be two distances, 0 <= smallest < largest, but "
            f"({low}, {high}) was given."
        )
    return low, high


def check_points(
    r: FloatArray, g: FloatArray, error: FloatArray | None, where: Callable[[int], str]
) -> None:
    """Raise an InputError that says ``where(i)`` the first point ``i`` with a bad value is."""
    for column, values in (("r", r), ("g", g), ("error", error)):
        if values is None:
            continue
        for i in np.flatnonzero(~np.isfinite(values))[:1]:
            raise InputError(
                f"{where(i)} has {column} = {values[i]}, but every value must be a finite number."
            )
        for i in np.flatnonzero(values < 0.0)[:1]:
            raise InputError(
                f"{where(i)} has {column} = {values[i]:g}, but no value of {column} may be "
                f"negative."
            )
    for i in np.flatnonzero(np.diff(r) <= 0.0)[:1] + 1:
        raise InputError(
            f"{where(i)} has r = {r[i]:.10g} after r = {r[i - 1]:.10g}, but r must increase from "
            f"each point to the next; sort the points and keep one curve only."
        )
    if error is not None:
        for i in np.flatnonzero((error == 0.0) & (g > 0.0))[:1]:
            raise InputError(
                f"{where(i)} has an error of zero with g = {g[i]:g}, but an error may be zero only "
                f"where g is zero; leave the column of errors out if they are not known."
            )


def check_curve(r: FloatArray, g: FloatArray, name: str) -> None:
    """Raise an InputError where a curve has too few points or is zero."""
    if r.size < FEWEST_POINTS:
        raise InputError(f"{name} must have at least {FEWEST_POINTS} points, but it has {r.size}.")
    if not np.any(g > 0.0):
        raise InputError(
            f"{name} is zero everywhere, so there is nothing to learn from it; check the columns "
            f"of the file and the range."
        )


def check_weights(weight: float, of_bins: FloatArray | None, name: str) -> None:
    """Raise InputError unless a weight is positive and those of bins (n,) are weights.

    Parameters
    ----------
    weight, of_bins
        Of a target among others, and of its bins, if they are given.
    name
        What has them, for the message.
    """
    if not (np.isfinite(weight) and weight > 0.0):
        raise InputError(f"{name} needs a positive, finite weight, but {weight} was given.")
    if of_bins is not None and not (
        np.all(np.isfinite(of_bins)) and np.all(of_bins >= 0.0) and np.any(of_bins > 0.0)
    ):
        raise InputError(
            f"{name} needs bin weights that are finite, not negative and not all zero."
        )


def check_size(value: float, key: str, name: str) -> None:
    """Raise InputError unless a size is zero or more; `key` and `name` are for the message."""
    if not (np.isfinite(value) and value >= 0.0):
        raise InputError(f"{name} needs a {key} that is zero or more, but {value} was given.")
