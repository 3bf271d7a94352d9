"""What real curves have beside noise: a discrepancy, whose size the residuals tell.

Measured curves are not those of any pair potential within the noise of a simulation, and often come
without errors. The error of a curve y(r) gets the covariance

    D = a_r^2 1 + a_s^2 exp(-(r - r')^2 / 2 l^2) + a_o^2 g(r) g(r')

of a rough part (noise of bins, digitising), a smooth part (resolution, what no pair potential can
follow) and a part in the norm. The sizes are those of maximal evidence of the residuals, next to
the amplitude of the corrections: zero where the data deserve it. Numbers, such as the pressure, are
what they are said to be.

Source: Kennedy and O'Hagan, J. R. Stat. Soc. B 63, 425 (2001); Brynjarsdottir and O'Hagan, Inverse
Problems 30, 114007 (2014).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from diffsim.knots import Array

SIZES = np.concatenate([[0.0], np.geomspace(2.5e-4, 0.064, 17)])
"""Of the rough and the smooth part that are tried."""

SMALLEST_GAIN = 1.0  # of the logarithm of the evidence, for a part to be believed


@dataclass(frozen=True)
class Discrepancy:
    """Sizes of the parts of the discrepancy of a curve.

    Attributes
    ----------
    rough, smooth
        a_r and a_s.
    of_frames
        Whether the given errors are correlated as those of averages over frames, or independent.
    """

    rough: float = 0.0
    smooth: float = 0.0
    of_frames: bool = True

    def covariance(self, places: Array, length: float) -> Array:
        """D of a curve at places (n,), shape (n, n), with the correlation length l."""
        apart = (places[:, None] - places[None, :]) / length
        return self.rough**2 * np.eye(len(places)) + self.smooth**2 * np.exp(-0.5 * apart**2)


def most_probable(
    start: Discrepancy, evidence: Callable[[Discrepancy], float], sweeps: int = 2
) -> Discrepancy:
    """The sizes of maximal evidence, one part after the other.

    Parameters
    ----------
    start
        Where the search begins.
    evidence
        Logarithm of the evidence of the residuals.
    sweeps
        Over the parts.
    """
    best = start
    both = [replace(best, of_frames=choice) for choice in (True, False)]
    found = [evidence(each) for each in both]
    best = both[1 if found[1] > found[0] + SMALLEST_GAIN else 0]
    for _ in range(sweeps):
        for name in ("rough", "smooth"):
            tried = [replace(best, **{name: float(size)}) for size in SIZES]
            found = np.array([evidence(each) for each in tried])
            k = int(np.argmax(found))
            best = tried[k if found[k] > found[0] + SMALLEST_GAIN else 0]
    return best
