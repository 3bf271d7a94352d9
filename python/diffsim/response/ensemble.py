"""The ensemble of one system: all frames of all iterations, weighted to any potential."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.linalg import block_diag

from diffsim.arrays import Array
from diffsim.records.frames import Frames
from diffsim.simulation.system import System
from diffsim.species import species_pairs
from diffsim.statistics import reweighting
from diffsim.statistics.time_series import pooled_inefficiency, slowness, standard_error
from diffsim.targets import Target, motions

MOST_PIECES = 100
"""Pieces of simulation that an ensemble keeps."""


@dataclass(frozen=True)
class Weighted:
    """An ensemble under one potential.

    Attributes
    ----------
    weights
        Normalised weights of the frames, shape (F,).
    sample_size
        Effective number of frames, 1 / sum w^2.
    observables
        All targets' observables, one after the other, shape (O,).
    coefficients
        Of the potential's spline, shape (P (K + 2),).
    jacobian
        Derivative of the observables with respect to the averages over frames that they are made
        of, shape (O, M).
    """

    weights: Array
    sample_size: float
    observables: Array
    coefficients: Array
    jacobian: Array


class Ensemble:
    """Frames of one system, simulated in one or more potentials on the same grid of knots.

    Frames of different potentials are pooled by MBAR, which needs their energies in all potentials:
    products of the pair counts with the splines' coefficients. The latest `MOST_PIECES` pieces of
    simulation are kept: memory stays bounded, and older ones hardly tell of the present potential.

    The *latest* piece is the one that was added last, or, where that one was taken back, the one
    that was the latest before: the piece of the potential from which an optimizer steps. Frames of
    a piece that was taken back stay in the pool: they are true of the potential they are from.

    Parameters
    ----------
    system
        Temperature and targets.
    boltzmann
        k_B in the units of the script.
    species
        Names of the potential's species.
    cutoff
        Of the potential.
    along_trajectories
        Whether averages change with the potential along the windows only, whose initial states
        are held fixed. Then only the latest windows count.
    """

    def __init__(
        self,
        system: System,
        boltzmann: float,
        species: tuple[str, ...],
        cutoff: float,
        along_trajectories: bool = False,
    ) -> None:
        self.cutoff = cutoff
        self.along_trajectories = along_trajectories
        self.system = system
        self.species = species
        self.beta = 1.0 / (boltzmann * system.temperature)
        # those of the motion are averages over windows here (`diffsim.training.windows.separate`)
        self.targets = cast(Sequence[Target], system.targets)
        self.target = np.concatenate([target.values for target in system.targets])
        self.weights = system.weight * np.concatenate(
            [target.value_weights for target in system.targets]
        )
        self.latest_error = np.zeros(len(self.target))  # of the latest piece's averages, (O,)
        # errors of the targets beside those that they are given, as the optimizer finds, (O,)
        self.tolerance = np.zeros(len(self.target))
        self.misfit = np.zeros(len(self.target))  # of these, what no potential follows, (O,)
        self._coefficients: list[Array] = []
        self._lengths: list[int] = []
        self._counts = np.empty((0, 0))
        self._observed = np.empty((0, 0))  # in the potential of their simulation, (F, M)
        self._explicit: dict[int, Array] = {}  # column of _observed -> its derivative by c
        self.columns: list[slice] = []  # of each target in _observed
        self._reduced = np.empty((0, 0))
        self.pairs = np.empty((0, 0, 0))  # numbers of pairs in the bins
        self.volume = np.empty(0)
        self._latest: Frames | None = None
        self._after = 0  # pieces that were added, and taken back, after the latest one
        self._before: tuple[int, Frames | None, Array] | None = None  # the latest piece before
        self.counts_per_g = np.empty((0, 0))
        self._log_mixture = np.empty(0)

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def of_windows(self) -> bool:
        """Whether the frames are those that windows begin with."""
        return bool(motions(self.targets))

    @property
    def counts(self) -> Array:
        """Pair counts of all frames, shape (F, P (K + 2))."""
        return self._counts

    @property
    def observables(self) -> Array:
        """What the targets are averages of, of all frames in the potentials of their simulation,
        shape (F, M)."""
        return self._observed

    @property
    def edges(self) -> Array:
        """Edges of the bins in which distances were counted, shape (B + 1,)."""
        return self.latest_frames.edges

    @property
    def resolution(self) -> Array:
        """What one pair in one frame of the latest piece adds to an observable on average, (B,)."""
        frames = self.latest_frames
        return np.concatenate([target.resolution(frames, self.species) for target in self.targets])

    @property
    def centres(self) -> Array:
        """Centres of the bins in which distances were counted, shape (B,)."""
        return np.asarray(0.5 * (self.edges[:-1] + self.edges[1:]))

    @property
    def latest_length(self) -> int:
        """Number of frames of the latest piece of simulation."""
        return self._lengths[-1 - self._after]

    @property
    def latest_piece(self) -> slice:
        """Where the frames of the latest piece are among all frames."""
        end = len(self) - sum(self._lengths[len(self._lengths) - self._after :])
        return slice(end - self.latest_length, end)

    @property
    def pieces(self) -> list[tuple[slice, Array]]:
        """Frames of each piece of simulation, and the coefficients (P (K + 2),) it was made with,
        the oldest first."""
        ends = np.cumsum(self._lengths)
        return [
            (slice(int(end) - n, int(end)), c)
            for end, n, c in zip(ends, self._lengths, self._coefficients, strict=True)
        ]

    @property
    def latest_coefficients(self) -> Array:
        """Coefficients (P, K + 2) of the spline of the latest piece of simulation."""
        n_pairs = len(species_pairs(len(self.species)))
        return self._coefficients[-1 - self._after].reshape(n_pairs, -1)

    @property
    def latest_frames(self) -> Frames:
        """The frames of the latest piece of simulation."""
        assert self._latest is not None, "no frames yet"
        return self._latest

    def add(self, frames: Frames, coefficients: Array) -> None:
        """Add the frames that were simulated with these coefficients (P, K + 2) of the spline.

        They are the latest piece then.
        """
        counts = frames.counts.reshape(len(frames), -1)
        flat = coefficients.ravel()
        quantities = self._quantities(frames)
        observed = [values for values, _ in quantities]
        ends = np.cumsum([part.shape[1] for part in observed])
        self.columns = [
            slice(int(end) - part.shape[1], int(end))
            for end, part in zip(ends, observed, strict=True)
        ]
        if len(self._lengths) == MOST_PIECES:
            self._forget_oldest()
        first = not self._lengths
        for (_, explicit), columns in zip(quantities, self.columns, strict=True):
            if explicit is None:
                continue
            for m, derivative in enumerate(np.moveaxis(explicit, 1, 0)):
                earlier = self._explicit.get(columns.start + m)
                self._explicit[columns.start + m] = (
                    derivative if earlier is None else np.concatenate([earlier, derivative])
                )
        new = np.concatenate(observed, axis=1)
        self._observed = new if first else np.concatenate([self._observed, new])
        self._counts = counts if first else np.concatenate([self._counts, counts])
        self.volume = np.concatenate([self.volume, frames.volume])
        n_pairs = len(species_pairs(len(self.species)))
        self.counts_per_g = np.ones((n_pairs, len(frames.edges) - 1))
        pairs = np.zeros((len(frames), n_pairs, len(frames.edges) - 1))
        for pair in range(n_pairs):
            if frames.has_pairs(pair):
                self.counts_per_g[pair] = 1.0 / frames.one_pair(pair, frames.edges)
                pairs[:, pair] = frames.distances[:, pair]
        self.pairs = pairs if first else np.concatenate([self.pairs, pairs])
        self._before = (self._after + 1, self._latest, self.latest_error)
        self._latest, self._after = frames, 0
        self._coefficients.append(flat)
        self._lengths.append(len(frames))
        self.latest_error = self._error_of_latest(new)

        # energies of the old frames in the new potential, and of the new frames in all potentials;
        # piece by piece, so that rounding does not depend on how many pieces are kept
        starts = np.cumsum(self._lengths)[:-1]
        pieces = np.split(self._counts, starts)
        new_row = self.beta * np.concatenate(
            [np.empty(0), *(piece @ flat for piece in pieces[:-1])]
        )
        new_columns = self.beta * np.array([counts @ other for other in self._coefficients])
        reduced = np.vstack([self._reduced, new_row]) if not first else np.empty((1, 0))
        self._reduced = np.hstack([reduced, new_columns])
        _, self._log_mixture = reweighting.mbar(
            self._reduced, np.array(self._lengths, dtype=np.float64)
        )

    def take_back(self) -> None:
        """Make the latest piece the one that was the latest before the last one was added.

        The frames that were added last stay in the pool.
        """
        assert self._before is not None and self._before[1] is not None, "no piece before"
        self._after, self._latest, self.latest_error = self._before
        self._before = None
        assert self._after < len(self._lengths), "the piece before is forgotten"

    def _forget_oldest(self) -> None:
        n = self._lengths.pop(0)
        del self._coefficients[0]
        self._explicit = {column: part[n:] for column, part in self._explicit.items()}
        self._observed, self._counts = self._observed[n:], self._counts[n:]
        self.volume, self.pairs = self.volume[n:], self.pairs[n:]
        self._reduced = self._reduced[1:, n:]

    def _quantities(self, frames: Frames) -> list[tuple[Array, Array | None]]:
        """What the observables of each target are averages of, in the potential that was simulated
        (F, M), and its explicit derivative by the coefficients (F, M, P (K + 2))."""
        result: list[tuple[Array, Array | None]] = []
        for target in self.targets:
            observed, explicit = target.observe(frames, self.species), target.explicit(frames)
            if explicit is not None:
                explicit = explicit.reshape(*observed.shape, -1)
            result.append((observed, explicit))
        return result

    def observe(self, frames: Frames) -> Array:
        """What the targets are averages of, of frames that are not in the pool, shape (F, M)."""
        return np.concatenate([each for each, _ in self._quantities(frames)], axis=1)

    def _error_of_latest(self, observed: Array) -> Array:
        jacobian = self._average(observed.mean(axis=0))[1]
        # to first order an observable is the average of this series
        return np.hypot(standard_error(observed @ jacobian.T), self.resolution / len(observed))

    def _average(self, means: Array) -> tuple[Array, Array]:
        """Observables (O,) from averages over frames (M,), and the Jacobian (O, M)."""
        parts = [
            target.average(means[columns], 1.0 / self.beta)
            for target, columns in zip(self.targets, self.columns, strict=True)
        ]
        values = np.concatenate([value for value, _ in parts])
        return values, block_diag(*[jacobian for _, jacobian in parts])

    def latest(self) -> Weighted:
        """The latest piece of simulation by itself, in the potential that was simulated."""
        n, piece = self.latest_length, self.latest_piece
        weights = np.zeros(len(self))
        weights[piece] = 1.0 / n
        observables, jacobian = self._average(self._observed[piece].mean(axis=0))
        coefficients = self._coefficients[-1 - self._after]
        return Weighted(weights, n, observables, coefficients, jacobian)

    def observed(self, coefficients: Array) -> Array:
        """The quantities whose averages the observables are, of all frames, shape (F, M).

        An explicit dependence on the potential is taken from the one that was simulated to the one
        with these coefficients, exactly.
        """
        if not self._explicit:
            return self._observed
        result = self._observed.copy()
        ends = np.cumsum(self._lengths)
        for column, derivative in self._explicit.items():
            for end, length, simulated in zip(ends, self._lengths, self._coefficients, strict=True):
                frames = slice(end - length, end)
                change = coefficients.ravel() - simulated
                result[frames, column] += derivative[frames] @ change
        return result

    @property
    def explicit_derivatives(self) -> dict[int, Array]:
        """Derivatives by the coefficients, (F, P (K + 2)), of the columns of `observables` that
        depend on the potential explicitly."""
        return self._explicit

    def explicit(self, cotangent: Array, weights: Array) -> Array:
        """Explicit part of sum_m cotangent_m d<x_m>/dc, shape (P (K + 2),)."""
        total = np.zeros(self._counts.shape[1])
        for column, derivative in self._explicit.items():
            total += cotangent[column] * (weights @ derivative)
        return total

    def weighted(self, coefficients: Array) -> Weighted:
        """The ensemble under the potential with these coefficients (P, K + 2).

        Raises
        ------
        SimulationError
            If an energy is not finite.
        """
        flat = coefficients.ravel()
        if self.along_trajectories:
            latest = self.latest()
            weights = latest.weights
            # initial states are not reweighted, but where they would have to be the potential is
            # too far away for its derivative
            change = self._counts[self.latest_piece] @ (flat - latest.coefficients)
            size = reweighting.effective_sample_size(reweighting.log_weights(self.beta * change))
        else:
            reduced = self.beta * (self._counts @ flat)
            log_w = reweighting.log_weights(reduced + self._log_mixture)
            weights, size = np.exp(log_w), reweighting.effective_sample_size(log_w)
        observables, jacobian = self._average(weights @ self.observed(flat))
        return Weighted(weights, size, observables, flat, jacobian)

    def inefficiency(self, series: Array, weights: Array) -> Array:
        """Correlated frames per independent one, for values of all frames (F, m), shape (m,).

        The pieces of simulation count as much as their frames weigh.
        """
        starts = np.cumsum(self._lengths)[:-1]
        shares = np.array([part.sum() for part in np.split(weights, starts)])
        return pooled_inefficiency(np.split(series, starts), shares)

    def slowness(self, series: Array, at: Weighted, inefficiency: Array) -> Array:
        """How much more the pieces' means scatter than they should, for values of all frames
        (F, m) in modes of these inefficiencies (m,); see `diffsim.statistics.time_series.slowness`.

        Every piece is weighted by itself to the potential, exp(-beta (U - U_k)): weights of frames
        among those of all pieces leave the mean of a piece nearly that of its own potential.
        """
        weights = []
        reduced = self.beta * (self._counts @ at.coefficients)
        for k, (frames, _) in enumerate(self.pieces):
            weights.append(
                np.exp(reweighting.log_weights(reduced[frames] - self._reduced[k, frames]))
            )
        return slowness([series[frames] for frames, _ in self.pieces], weights, inefficiency)
