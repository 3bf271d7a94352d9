"""What happens to a g(r) on its way from a liquid to a file: functions of curves.

A damage is a function of a curve and of a generator of random numbers. Damaged curves have no
errors, as most curves that are published, where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Distances r, g(r) and its errors, each of shape (n,); None where no errors are given."""

    r: Array
    g: Array
    error: Array | None = None


Damage = Callable[[Curve, np.random.Generator], Curve]


def scaled(factor: float) -> Damage:
    """A wrong norm: g times a factor."""
    return lambda curve, _: replace(curve, g=factor * curve.g, error=None)


def shifted(distance: float) -> Damage:
    """Bins named by another point than their centre: r plus a distance."""
    return lambda curve, _: replace(curve, r=curve.r + distance, error=None)


def smeared(width: float) -> Damage:
    r"""A finite resolution: g convolved with a Gaussian of standard deviation `width`.

    .. math:: g'(r_i) = \sum_j w_{ij} g(r_j),  \quad
        w_{ij} \propto \exp[-(r_i - r_j)^2 / (2 \mathrm{width}^2)],  \quad \sum_j w_{ij} = 1
    """

    def damage(curve: Curve, _: np.random.Generator) -> Curve:
        weights = np.exp(-0.5 * ((curve.r[:, None] - curve.r) / width) ** 2)
        weights /= weights.sum(axis=1, keepdims=True)
        return replace(curve, g=weights @ curve.g, error=None)

    return damage


def noisy(deviation: float, known: bool = False) -> Damage:
    """Independent noise in every bin that has pairs; `known` gives its deviation as the error.

    What would be negative is zero, as in any histogram.
    """

    def damage(curve: Curve, random: np.random.Generator) -> Curve:
        some = np.where(curve.g > 0.0, deviation, 0.0)
        g = np.maximum(curve.g + some * random.standard_normal(len(curve.g)), 0.0)
        return replace(curve, g=g, error=some if known else None)

    return damage


def rebinned(bins: int) -> Damage:
    r"""Coarse bins: each the volume average of some bins in a row, at its centre.

    .. math:: g' = \sum_b v_b g_b / \sum_b v_b

    with :math:`v_b` the volumes of the shells. Bins that are left over at the end are dropped.
    """

    def damage(curve: Curve, _: np.random.Generator) -> Curve:
        rows = len(curve.r) // bins
        r, g = (values[: rows * bins].reshape(rows, bins) for values in (curve.r, curve.g))
        half = 0.5 * (curve.r[1] - curve.r[0])
        volumes = (r + half) ** 3 - (r - half) ** 3
        return Curve(r.mean(axis=1), (volumes * g).sum(axis=1) / volumes.sum(axis=1))

    return damage


def cut(low: float, high: float) -> Damage:
    """A part of the curve only."""

    def damage(curve: Curve, _: np.random.Generator) -> Curve:
        kept = (curve.r >= low) & (curve.r <= high)
        error = None if curve.error is None else curve.error[kept]
        return Curve(curve.r[kept], curve.g[kept], error)

    return damage


def digitised(points: int, digits: int = 3) -> Damage:
    """Points read off a figure: uneven distances, a few digits.

    The spacings are even ones times random factors between 0.5 and 1.5; g is interpolated linearly.
    """

    def damage(curve: Curve, random: np.random.Generator) -> Curve:
        steps = random.uniform(0.5, 1.5, points - 1)
        share = np.concatenate([[0.0], np.cumsum(steps) / steps.sum()])
        r = (curve.r[0] + (curve.r[-1] - curve.r[0]) * share).round(digits)
        return Curve(r, np.interp(r, curve.r, curve.g).round(digits))

    return damage


def in_turn(*damages: Damage) -> Damage:
    """One damage after the other."""

    def damage(curve: Curve, random: np.random.Generator) -> Curve:
        for each in damages:
            curve = each(curve, random)
        return curve

    return damage
