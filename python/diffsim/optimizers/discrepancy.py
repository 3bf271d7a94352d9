"""What real curves have beside noise: a discrepancy, whose size the residuals tell.

Measured curves are not those of any pair potential within the noise of a simulation, and often come
without errors. The error of a curve y(r) gets the covariance

    D = (a_r^2 + a_x^2 g'(r)^2) delta_rr' + a_s^2 exp(-(r - r')^2 / 2 l^2)

of a rough part (noise of bins, digits), a rough part of the distance, which shows where g is steep
(digitising, bins, a core that was cleaned), and a smooth part (what no pair potential can follow).
The sizes are those of maximal evidence of the residuals, next to the amplitude of the corrections:
zero where the data deserve it. Numbers, such as the pressure, are what they are said to be.

Source: Kennedy and O'Hagan, J. R. Stat. Soc. B 63, 425 (2001); Brynjarsdottir and O'Hagan, Inverse
Problems 30, 114007 (2014).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from diffsim.knots import Array
from diffsim.optimizers.correction import Correction

SIZES = np.concatenate([[0.0], np.geomspace(2.5e-4, 0.064, 17)])
"""Of all parts, that are tried."""

NEGLIGIBLE = 1e-2  # weight of an alternative
SMALLEST_GAIN = 1.0  # of the logarithm of the evidence, for a part to be believed


@dataclass(frozen=True)
class Discrepancy:
    """Sizes of the parts of the discrepancy of a curve.

    Attributes
    ----------
    rough, place, smooth
        a_r, a_x in units of 2 l, and a_s.
    of_frames
        Whether the given errors are correlated as those of averages over frames, or independent.
    """

    rough: float = 0.0
    place: float = 0.0
    smooth: float = 0.0
    of_frames: bool = True

    def covariance(self, places: Array, slopes: Array, length: float) -> Array:
        """D of a curve with the slopes g' (n,) at places (n,), shape (n, n), with the correlation
        length l."""
        apart = (places[:, None] - places[None, :]) / length
        rough = self.rough**2 + (2.0 * self.place * length * slopes) ** 2
        return np.diag(rough) + self.smooth**2 * np.exp(-0.5 * apart**2)


@dataclass(frozen=True)
class Alternatives:
    """Corrections for discrepancies that the residuals cannot tell apart, and their weights.

    A smooth misfit and a correction of the potential look alike along soft modes: whether one or
    the other is there decides the potential, and how well it is known. Sizes are weighed by their
    evidence, none at all as much as all others together before the residuals are known.

    Attributes
    ----------
    discrepancy
        The most probable one.
    best
        Its correction.
    weights
        Of all that are tried, shape (k,).
    corrections, discrepancies
        Of those.
    solve
        The correction for a discrepancy and an amplitude of the prior.
    log_evidence
        Of all together.
    """

    discrepancy: Discrepancy
    best: Correction
    weights: Array
    corrections: Sequence[Correction]
    discrepancies: Sequence[Discrepancy]
    solve: Callable[[Discrepancy, float | None], Correction]
    log_evidence: float

    @classmethod
    def of(
        cls, best: Discrepancy, solve: Callable[[Discrepancy, float | None], Correction]
    ) -> Alternatives:
        """All sizes of the smooth part, next to the most probable other parts."""
        tried = [replace(best, smooth=float(size)) for size in SIZES]
        found = [solve(each, None) for each in tried]
        prior = np.where(SIZES > 0.0, 0.5 / (len(SIZES) - 1), 0.5)
        evidence = np.array([each.log_evidence for each in found]) + np.log(prior)
        total = float(logsumexp(evidence))
        weights = np.exp(evidence - total)
        kept = weights > NEGLIGIBLE
        first = int(np.argmax(weights))
        return cls(
            tried[first],
            found[first],
            weights[kept] / weights[kept].sum(),
            [each for each, keep in zip(found, kept, strict=True) if keep],
            [each for each, keep in zip(tried, kept, strict=True) if keep],
            solve,
            total,
        )

    @property
    def total(self) -> Array:
        """Mean of the corrections, shape (m,)."""
        return np.asarray(self.weights @ [each.total for each in self.corrections])

    def standard_deviation(
        self, rows: Array, noise: Callable[[Discrepancy], Array], amplitude: float
    ) -> Array:
        """Of linear functions (n, m) of the correction, for a prior of the given amplitude, (n,).

        The mean of the variances, and the variance of the means (law of total variance).

        Parameters
        ----------
        rows
            The functions.
        noise
            Covariance (B, B) of the residual's error with a discrepancy.
        amplitude
            Of the prior.
        """
        mean = self.total
        variance = np.zeros(len(rows))
        for weight, each, discrepancy in zip(
            self.weights, self.corrections, self.discrepancies, strict=True
        ):
            wide = self.solve(discrepancy, amplitude)
            own = wide.standard_deviation(rows, noise(discrepancy), amplitude) ** 2
            variance += weight * (own + (rows @ (each.total - mean)) ** 2)
        return np.asarray(np.sqrt(variance))


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
        for name in ("rough", "place", "smooth"):
            tried = [replace(best, **{name: float(size)}) for size in SIZES]
            found = np.array([evidence(each) for each in tried])
            k = int(np.argmax(found))
            best = tried[k if found[k] > found[0] + SMALLEST_GAIN else 0]
    return best
