"""The ensemble of one system: all frames of all iterations, weighted to any potential."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffsim.gradients import reweighting
from diffsim.gradients.statistics import (
    error_of_mean,
    shrunk_correlation,
    statistical_inefficiency,
)
from diffsim.knots import Array
from diffsim.simulation.frames import Frames
from diffsim.simulation.system import System


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
        Averages of all targets' observables, one after the other, shape (B,).
    """

    weights: Array
    sample_size: float
    observables: Array


class Ensemble:
    """Frames of one system, simulated in one or more potentials on the same grid of knots.

    Frames of different potentials are pooled by MBAR, which needs their energies in all potentials:
    products of the pair counts with the splines' coefficients.

    Parameters
    ----------
    system
        Temperature and targets.
    boltzmann
        k_B in the units of the script.
    species
        Names of the potential's species.
    """

    def __init__(self, system: System, boltzmann: float, species: tuple[str, ...]) -> None:
        self.system = system
        self.species = species
        self.beta = 1.0 / (boltzmann * system.temperature)
        self.target = np.concatenate([target.g for target in system.targets])
        self.weights = np.concatenate(
            [
                system.weight
                * target.weight
                * (np.ones(len(target.g)) if target.bin_weights is None else target.bin_weights)
                for target in system.targets
            ]
        )
        self._coefficients: list[Array] = []
        self._lengths: list[int] = []
        self._counts = np.empty((0, 0))
        self._observables = np.empty((0, len(self.target)))
        self._inefficiency: list[Array] = []
        self._resolution = np.empty(0)
        self._reduced = np.empty((0, 0))
        self._log_mixture = np.empty(0)

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def counts(self) -> Array:
        """Pair counts of all frames, shape (F, P (K + 2))."""
        return self._counts

    @property
    def observables(self) -> Array:
        """Observables of all frames, shape (F, B)."""
        return self._observables

    @property
    def latest_length(self) -> int:
        """Number of frames of the latest piece of simulation."""
        return self._lengths[-1]

    def add(self, frames: Frames, coefficients: Array) -> None:
        """Add the frames that were simulated with these coefficients (P, K + 2) of the spline."""
        counts = frames.counts.reshape(len(frames), -1)
        observables = np.concatenate(
            [target.observe(frames, self.species) for target in self.system.targets], axis=1
        )
        self._resolution = np.concatenate(
            [target.resolution(frames, self.species) for target in self.system.targets]
        )
        first = not self._lengths
        self._counts = counts if first else np.concatenate([self._counts, counts])
        self._observables = np.concatenate([self._observables, observables])
        self._inefficiency.append(statistical_inefficiency(observables))
        self._coefficients.append(coefficients.ravel())
        self._lengths.append(len(frames))

        # energies of the old frames in the new potential, and of the new frames in all potentials
        potentials = np.array(self._coefficients)
        old = len(self._counts) - len(frames)
        new_row = self.beta * (self._counts[:old] @ potentials[-1])
        columns = self.beta * (counts @ potentials.T).T
        reduced = np.vstack([self._reduced, new_row]) if not first else np.empty((1, 0))
        self._reduced = np.hstack([reduced, columns])
        _, self._log_mixture = reweighting.mbar(
            self._reduced, np.array(self._lengths, dtype=np.float64)
        )

    def weighted(self, coefficients: Array) -> Weighted:
        """The ensemble under the potential with these coefficients (P, K + 2).

        Raises
        ------
        SimulationError
            If an energy is not finite.
        """
        reduced = self.beta * (self._counts @ coefficients.ravel())
        log_w = reweighting.log_weights(reduced + self._log_mixture)
        weights = np.exp(log_w)
        return Weighted(
            weights, reweighting.effective_sample_size(log_w), weights @ self._observables
        )

    def noise(self, at: Weighted) -> tuple[Array, Array]:
        """Covariances (B, B) of the errors of the averages and of the targets.

        The averages' errors are those of correlated frames. A bin cannot have a smaller error
        than one pair in one of the frames. Error bars of the targets are given the correlations
        between bins of the frames: both come from the same kind of measurement.
        """
        # each piece is short, and its inefficiency noisy: take the average over pieces
        pieces = np.array(self._lengths, dtype=np.float64)
        inefficiency = pieces @ np.array(self._inefficiency) / pieces.sum()
        correlation = shrunk_correlation(
            self._observables, at.weights, float(np.mean(inefficiency))
        )
        error = error_of_mean(self._observables, at.weights, inefficiency)
        error = np.hypot(error, self._resolution / at.sample_size)
        given = np.concatenate(
            [
                np.zeros(len(target.g)) if target.error is None else target.error
                for target in self.system.targets
            ]
        )
        return correlation * np.outer(error, error), correlation * np.outer(given, given)
