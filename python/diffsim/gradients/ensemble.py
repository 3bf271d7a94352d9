"""The ensemble of one system: all frames of all iterations, weighted to any potential."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffsim.errors import InputError
from diffsim.gradients import reweighting
from diffsim.gradients.fluctuations import posterior_covariance, theoretical_covariance
from diffsim.gradients.statistics import standard_error, statistical_inefficiency
from diffsim.knots import Array
from diffsim.simulation.frames import Frames
from diffsim.simulation.system import System
from diffsim.species import species_pairs

FEWEST_PAIRS = 20


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


@dataclass(frozen=True)
class Response:
    """Residuals of one system's observables as a linear function of the potentials.

    Attributes
    ----------
    residual
        Target minus average, shape (O,), for the observables that have a response.
    weights
        Of the observables in the loss, shape (O,).
    matrix
        Change of the observables with the potentials at the centres of bins, shape (O, n).
    bins
        Which bins, as indices into the (P, B) recorded ones, shape (n,).
    covariance
        Of the observables, per frame, shape (O, O).
    target_noise
        Covariance of the targets' errors, shape (O, O). Error bars are given the correlations of
        the frames: both come from the same kind of measurement.
    energy
        Matrix E with Var(beta dU) = du E du per frame, shape (n, n).
    independent_frames
        Effective number of independent frames of the averages.
    worth
        Number of samples that the estimate of the covariance is worth.
    """

    residual: Array
    weights: Array
    matrix: Array
    bins: NDArray[np.intp]
    covariance: Array
    target_noise: Array
    energy: Array
    independent_frames: float
    worth: float


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

    def __init__(
        self, system: System, boltzmann: float, species: tuple[str, ...], cutoff: float
    ) -> None:
        self._range = cutoff
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
        self.latest_error = np.zeros(len(self.target))  # of the latest piece's averages, (O,)
        self._coefficients: list[Array] = []
        self._lengths: list[int] = []
        self._counts = np.empty((0, 0))
        self._observables = np.empty((0, len(self.target)))
        self._inefficiency: list[Array] = []
        self._resolution = np.empty(0)
        self._reduced = np.empty((0, 0))
        self._rdf = np.empty((0, 0, 0))
        self._edges = np.empty(0)
        self._density = np.empty(0)
        self._centres = np.empty(0)
        self._counts_per_g = np.empty((0, 0))
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
    def centres(self) -> Array:
        """Centres of the bins in which distances were counted, shape (B,)."""
        return self._centres

    @property
    def latest_length(self) -> int:
        """Number of frames of the latest piece of simulation."""
        return self._lengths[-1]

    @property
    def latest_coefficients(self) -> Array:
        """Coefficients (P, K + 2) of the spline of the latest piece of simulation."""
        n_pairs = len(species_pairs(len(self.species)))
        return self._coefficients[-1].reshape(n_pairs, -1)

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
        n_pairs = len(species_pairs(len(self.species)))
        present = [p for p in range(n_pairs) if frames.has_pairs(p)]
        rdf = np.zeros((len(frames), n_pairs, len(frames.edges) - 1))
        for pair in present:
            rdf[:, pair] = frames.rdf(pair)
        self._rdf = rdf if first else np.concatenate([self._rdf, rdf])
        self._edges = frames.edges
        self._density = frames.atoms / frames.volume.mean()
        self._centres = 0.5 * (frames.edges[:-1] + frames.edges[1:])
        self._counts_per_g = np.ones((n_pairs, len(self._centres)))
        for pair in present:
            self._counts_per_g[pair] = 1.0 / frames.one_pair(pair, frames.edges)
        self._inefficiency.append(statistical_inefficiency(observables))
        self.latest_error = np.hypot(
            standard_error(observables), self._resolution / len(observables)
        )
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

    def inefficiency(self) -> Array:
        """Correlated frames per independent one, for each observable, shape (B,)."""
        # each piece is short, and its inefficiency noisy: take the average over pieces
        pieces = np.array(self._lengths, dtype=np.float64)
        return np.asarray(pieces @ np.array(self._inefficiency) / pieces.sum())

    def linear_response(self, at: Weighted) -> Response:
        """Response of the targets' observables to the potentials, and the errors of both.

        See `diffsim.gradients.fluctuations`. Only bins below the cutoff count: the energy is a
        function of them, so that given them the others tell nothing more of the potential. Bins in
        which fewer than `FEWEST_PAIRS` pairs were seen in all frames have no usable fluctuations
        and are left out. So are observables that need bins that are left out.

        Raises
        ------
        InputError
            If no observable is left.
        """
        g = np.tensordot(at.weights, self._rdf, axes=1)
        # bins of the species that the system holds; the energy knows those below the cutoff
        held = [
            pair
            for pair, (a, b) in enumerate(species_pairs(len(self.species)))
            if self._density[a] > 0 and self._density[b] > 0
        ]
        seen = (g * self._counts_per_g * at.sample_size)[held]
        inner = np.flatnonzero(((seen > FEWEST_PAIRS) & (self._centres < self._range)).ravel())
        bins = (np.array(held)[:, None] * g.shape[1] + np.arange(g.shape[1])).ravel()[inner]
        flat = self._rdf.reshape(len(self._rdf), -1)[:, bins]
        sample = reweighting.covariance(at.weights, flat, flat)
        prior = theoretical_covariance(
            float(self._edges[1]),
            g[held],
            self._density[self._density > 0],
            self._counts_per_g[held],
            inner,
        )
        varying = self.observables.std(axis=0) > 0
        n_independent = at.sample_size / float(np.mean(self.inefficiency()[varying]))
        covariance, worth = posterior_covariance(prior, sample, n_independent)

        gather = np.concatenate(
            [target.gather(self._edges, self.species) for target in self.system.targets]
        )
        covered = np.abs(gather[:, bins].sum(axis=1) - gather.sum(axis=1)) < 1e-9
        rows = np.flatnonzero((self.weights > 0) & covered)
        if len(rows) == 0:
            raise InputError(
                f"No bin of the targets of system '{self.system.name}' lies below the cutoff "
                "where pairs are seen; nothing can be learned from them. Check the range and the "
                "unit of length of the targets."
            )
        gather = gather[np.ix_(rows, bins)]
        observed = gather @ covariance @ gather.T
        spread = np.sqrt(np.diag(observed))
        given = np.concatenate(
            [
                np.zeros(len(target.g)) if target.error is None else target.error
                for target in self.system.targets
            ]
        )[rows]
        return Response(
            residual=(self.target - at.observables)[rows],
            weights=self.weights[rows],
            matrix=-self.beta * gather @ covariance * self._counts_per_g.ravel()[bins],
            bins=bins,
            covariance=observed,
            target_noise=observed * np.outer(given / spread, given / spread),
            energy=self.beta**2
            * covariance
            * np.outer(self._counts_per_g.ravel()[bins], self._counts_per_g.ravel()[bins]),
            independent_frames=n_independent,
            worth=worth,
        )
