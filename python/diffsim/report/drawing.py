"""What the plots of a run have in common: arrays onto matplotlib's axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diffsim.arrays import Array

TARGET, MODEL = "#444444", "#d1495b"


@dataclass(frozen=True)
class Measured:
    """A function that was measured.

    Attributes
    ----------
    x, values, residual
        Abscissa, values and what they are above the target, shape (n,).
    error
        Standard error of the residual, shape (n,), drawn as a band; None for no band.
    style
        Of the line, as matplotlib's ``plot`` takes it.
    label
        For a legend of matplotlib's.
    """

    x: Array
    values: Array
    residual: Array
    error: Array | None = None
    style: dict[str, Any] | None = None
    label: str | None = None


def draw_against_target(
    upper: Any,
    lower: Any,
    x: Array,
    target: Array,
    error: Array | None,
    measured: Sequence[Measured],
) -> None:
    """Functions and their target on the upper axes, and what they are above it on the lower ones.

    Parameters
    ----------
    upper, lower
        Matplotlib's axes.
    x, target, error
        Abscissa, target and its standard error, shape (n,); without `error` it has no band.
    measured
        The functions.
    """
    upper.plot(x, target, color=TARGET, lw=3, alpha=0.5, label="target")
    if error is not None:
        lower.fill_between(x, -error, error, color=TARGET, alpha=0.3, lw=0)
    for each in measured:
        style = {"color": MODEL, **(each.style or {})}
        if each.error is not None:
            band = {"color": style["color"], "alpha": 0.15, "lw": 0}
            lower.fill_between(each.x, -each.error, each.error, **band)
        upper.plot(each.x, each.values, lw=1.2, label=each.label, **style)
        lower.plot(each.x, each.residual, lw=1, **style)
    lower.axhline(0.0, color=TARGET, lw=0.5)


def draw_potential(axes: Any, r: Array, u: Array, error: Array | None, **style: Any) -> None:
    """A potential and the band of its standard deviation; NaN in `error` leaves a gap in the band.

    Parameters
    ----------
    axes
        Matplotlib's.
    r, u, error
        Distances, energies and standard deviations, shape (n,).
    style
        Of the line, as matplotlib's ``plot`` takes it.
    """
    (line,) = axes.plot(r, u, **{"lw": 1.2, **style})
    if error is not None:
        axes.fill_between(r, u - error, u + error, color=line.get_color(), alpha=0.25, lw=0)
