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
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, solve_triangular
from scipy.sparse import csr_array
from scipy.special import logsumexp

from diffsim.arrays import Array
from diffsim.optimizers.correction import Correction, log_evidence, log_evidences, lower_factor
from diffsim.response.fluctuations import root_of

SIZES = np.concatenate([[0.0], np.geomspace(2.5e-4, 0.064, 17)])
"""Of all parts, that are tried."""

STRIDE = 3  # of the sizes that are tried first: the evidence is smooth
NEGLIGIBLE = 0.03  # weight of an alternative


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

    def with_size(self, name: str, size: float) -> Discrepancy:
        """The same with another size of one of the three parts."""
        sizes = {"rough": self.rough, "place": self.place, "smooth": self.smooth} | {name: size}
        return Discrepancy(**sizes, of_frames=self.of_frames)

    def at_least(self, other: Discrepancy) -> Discrepancy:
        """The same with the rough parts of another one where these are larger."""
        rough, place = max(self.rough, other.rough), max(self.place, other.place)
        return replace(self, rough=rough, place=place)


@dataclass(frozen=True)
class DataErrors:
    """Parts of the covariance of the errors of targets, of all observables of a system.

    Attributes
    ----------
    of_frames, independent
        Standard errors that are given, with the correlations of frames and without, and what all
        values of a curve have together, shape (B, B) each.
    rough, place
        Variances for a_r = 1 and a_x = 1, shape (B,).
    smooth
        Covariance for a_s = 1, shape (B, B).
    """

    of_frames: Array
    independent: Array
    rough: Array
    place: Array
    smooth: Array

    @classmethod
    def of(
        cls,
        errors: Array,
        common: Array,
        correlations: Array,
        from_frames: NDArray[np.bool_],
        curve: NDArray[np.intp],
        places: Array,
        slopes: Array,
        length: float,
    ) -> DataErrors:
        """Those of one system.

        Parameters
        ----------
        errors
            Standard errors that are given, shape (B,).
        common
            Those that all values of a curve have together, from k causes, shape (B, k).
        correlations
            Of the observables in frames, shape (B, B).
        from_frames
            Which observables are known to be averages over frames, shape (B,).
        curve, places, slopes
            Index of the curve or -1, place on its axis, slope g' there, shape (B,).
        length
            l.
        """
        is_curve = (curve >= 0).astype(np.float64)
        same = (curve[:, None] == curve[None, :]) * is_curve
        together = same * (common @ common.T)
        apart = (places[:, None] - places[None, :]) / length
        of_frames = correlations * np.outer(errors, errors)
        known = np.outer(from_frames, from_frames) | np.eye(len(errors), dtype=bool)
        return cls(
            together + of_frames,
            together + np.where(known, of_frames, 0.0),
            is_curve,
            (2.0 * length * slopes) ** 2 * is_curve,
            same * np.exp(-0.5 * apart**2),
        )

    def scaled(self, factors: Array) -> DataErrors:
        """Those of observables in other units, shape (B,) of the factors."""
        square = np.outer(factors, factors)
        return DataErrors(
            self.of_frames * square,
            self.independent * square,
            self.rough * factors**2,
            self.place * factors**2,
            self.smooth * square,
        )

    @cached_property
    def root(self) -> Array:
        """R with R R^T the covariance for a_s = 1, shape (B, r): smooth curves need few columns."""
        return root_of(self.smooth)

    def covariance(self, found: Discrepancy) -> Array:
        """Of the errors with a discrepancy, shape (B, B)."""
        result = (self.of_frames if found.of_frames else self.independent).copy()
        if found.smooth > 0.0:
            result += found.smooth**2 * self.smooth
        result[np.diag_indices_from(result)] += (
            found.rough**2 * self.rough + found.place**2 * self.place
        )
        return np.asarray(result)


def joint_errors(parts: Sequence[DataErrors]) -> DataErrors:
    """Those of several systems, which are independent."""
    return DataErrors(
        block_diag(*[part.of_frames for part in parts]),
        block_diag(*[part.independent for part in parts]),
        np.concatenate([part.rough for part in parts]),
        np.concatenate([part.place for part in parts]),
        block_diag(*[part.smooth for part in parts]),
    )


@dataclass(frozen=True)
class Evidence:
    """Logarithm of the evidence of deviations for discrepancies of the data.

    Attributes
    ----------
    deviation
        Of the data from what is expected, shape (B,).
    expected
        Their covariance without the errors of the data, shape (B, B).
    data
        These errors.
    """

    deviation: Array
    expected: Array
    data: DataErrors

    def __call__(self, found: Discrepancy) -> float:
        """Of one."""
        return log_evidence(self.deviation, self.expected + self.data.covariance(found))

    def causes(self, found: Discrepancy, columns: Array) -> tuple[Array, Array]:
        """What causes of the deviations are, and their standard deviations, shape (k,) each.

            <s> = C^T A^-1 d,    Var s = 1 - C^T A^-1 C

        for deviations d of covariance A, to which the causes s, N(0, 1) before anything is known,
        contribute C s.

        Parameters
        ----------
        found
            The discrepancy.
        columns
            C, shape (B, k); C C^T is a part of the errors of the data.
        """
        factor = lower_factor(self.expected + self.data.covariance(found))
        white = solve_triangular(factor, np.column_stack([columns, self.deviation]), lower=True)
        told, left = white[:, :-1], white[:, -1]
        return told.T @ left, np.sqrt(np.maximum(1.0 - np.sum(told**2, axis=0), 0.0))

    def of_sizes(self, found: Discrepancy, name: str) -> Array:
        """Of all `SIZES` of one part, shape of these."""
        if name != "smooth":
            return np.array([self(found.with_size(name, float(size))) for size in SIZES])
        without = self.expected + self.data.covariance(found.with_size(name, 0.0))
        return log_evidences(self.deviation, without, self.data.root, SIZES**2)

    def about_highest(self, found: Discrepancy, name: str) -> dict[int, float]:
        """Of none of one part and of the sizes about the most probable, by indices of `SIZES`."""
        if name == "smooth":  # which costs no more
            return dict(enumerate(self.of_sizes(found, name)))
        known: dict[int, float] = {}
        nearby = range(0, len(SIZES), STRIDE)
        while any(k not in known for k in nearby):
            for k in nearby:
                if k not in known:
                    known[k] = self(found.with_size(name, float(SIZES[k])))
            best = max(known, key=lambda k: known[k])
            nearby = range(max(best - STRIDE + 1, 0), min(best + STRIDE, len(SIZES)))
        return known


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
    log_evidence
        Of all together.
    """

    discrepancy: Discrepancy
    best: Correction
    weights: Array
    corrections: Sequence[Correction]
    discrepancies: Sequence[Discrepancy]
    log_evidence: float

    @classmethod
    def of(
        cls,
        best: Discrepancy,
        evidence: Evidence,
        solve: Callable[[Discrepancy], Correction],
        doubt: float,
        search: bool,
    ) -> Alternatives:
        """All sizes of the smooth part that count, next to the most probable other parts.

        Parameters
        ----------
        best
            The most probable discrepancy.
        evidence
            Of the residuals.
        solve
            The correction for a discrepancy.
        doubt
            Logarithm of the odds against a smooth part.
        search
            Whether there may be a part that is not in `best`.
        """
        if not search and best.smooth == 0.0:
            only = solve(best)
            return cls(best, only, np.ones(1), [only], [best], evidence(best))
        tried = [best.with_size("smooth", float(size)) for size in SIZES]
        prior = np.where(SIZES > 0.0, -doubt - np.log(len(SIZES) - 1), 0.0)
        found = evidence.of_sizes(best, "smooth") + prior
        total = float(logsumexp(found))
        weights = np.exp(found - total)
        kept = np.flatnonzero(weights > NEGLIGIBLE)
        corrections = [solve(tried[k]) for k in kept]
        first = int(np.argmax(weights[kept]))
        return cls(
            tried[kept[first]],
            corrections[first],
            weights[kept] / weights[kept].sum(),
            corrections,
            [tried[k] for k in kept],
            total,
        )

    @property
    def total(self) -> Array:
        """Mean of the corrections, shape (m,)."""
        return np.asarray(self.weights @ [each.total for each in self.corrections])

    def standard_deviation(
        self, rows: csr_array, noise: Callable[[Discrepancy], Array], amplitude: float
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
        variance = np.zeros(rows.shape[0])
        for weight, each, discrepancy in zip(
            self.weights, self.corrections, self.discrepancies, strict=True
        ):
            wide = each.with_prior(amplitude)
            own = wide.standard_deviation(rows, noise(discrepancy), amplitude) ** 2
            variance += weight * (own + (rows @ (each.total - mean)) ** 2)
        return np.asarray(np.sqrt(variance))


def most_probable(start: Discrepancy, evidence: Evidence, doubt: float, sweeps: int) -> Discrepancy:
    """The sizes of maximal evidence, one part after the other.

    Parameters
    ----------
    start
        Where the search begins.
    evidence
        Of the residuals.
    doubt
        Logarithm of the odds against each part.
    sweeps
        Over the parts.
    """
    best = start
    frames, independent = (replace(best, of_frames=choice) for choice in (True, False))
    best = independent if evidence(independent) > evidence(frames) + doubt else frames
    for _ in range(sweeps):
        for name in ("rough", "place", "smooth"):
            found = evidence.about_highest(best, name)
            k = max(found, key=lambda size: found[size])
            best = best.with_size(name, float(SIZES[k if found[k] > found[0] + doubt else 0]))
    return best
