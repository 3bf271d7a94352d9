"""What fluctuates in an ensemble: numbers of pairs in bins of distance, and the volume.

Their covariance per frame is that of the frames next to a theory's, see
`diffsim.response.fluctuations`; in a large system that of all pieces of simulation in potentials
that are near.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffsim.arrays import Array
from diffsim.knots import Grid
from diffsim.response.ensemble import Ensemble, Weighted
from diffsim.response.fluctuations import (
    posterior_covariance,
    theoretical_covariance,
    with_variances_of_modes,
)
from diffsim.species import species_pairs
from diffsim.statistics import reweighting
from diffsim.targets import Fluid

NEAR = 0.1  # kT: potentials in which a fluid fluctuates alike
SEEN = 0.1  # of g, where the distance of two potentials is looked at
FEWEST_PAIRS = 20  # seen in a bin, for its fluctuations to be usable


def fluid_of(ensemble: Ensemble, at: Weighted, grid: Grid, numbers: Array) -> Fluid:
    """Averages in the recorded bins, for the targets' linear response, with the numbers of pairs of
    all frames, shape (F, P, B)."""
    frames = ensemble.latest_frames
    energies, slopes = np.zeros((2, *ensemble.counts_per_g.shape))
    inside = ensemble.centres < ensemble.cutoff
    for pair, c in enumerate(at.coefficients.reshape(len(energies), -1)):
        # central difference over the bin: the mean slope in it
        low, middle, high = (
            grid.basis(pair, r) @ c
            for r in (
                ensemble.edges[:-1][inside],
                ensemble.centres[inside],
                ensemble.edges[1:][inside],
            )
        )
        energies[pair, inside] = middle
        slopes[pair, inside] = (high - low) / np.diff(ensemble.edges)[inside]
    mean = np.tensordot(at.weights, numbers, axes=1)
    return Fluid(
        edges=ensemble.edges,
        g=mean / ensemble.counts_per_g,
        counts_per_g=ensemble.counts_per_g,
        energies=energies,
        slopes=slopes,
        volume=float(at.weights @ ensemble.volume),
        atoms=frames.atoms,
        pressure_unit=frames.pressure_unit,
    )


def usable_bins(ensemble: Ensemble, fluid: Fluid, sample_size: float) -> NDArray[np.intp]:
    """Bins of pairs that the system holds, below the cutoff, that were seen often enough."""
    held = [p for p in range(len(fluid.g)) if ensemble.latest_frames.has_pairs(p)]
    seen = np.zeros(fluid.g.shape, dtype=bool)
    seen[held] = (fluid.g * ensemble.counts_per_g * sample_size > FEWEST_PAIRS)[held]
    return np.flatnonzero((seen & (ensemble.centres < ensemble.cutoff)).ravel())


def independent_frames(ensemble: Ensemble, at: Weighted) -> float:
    """Effective number of independent frames, as the observables see it on average."""
    varying = ensemble.observables[:, ensemble.observables.std(axis=0) > 0]
    return at.sample_size / float(np.mean(ensemble.inefficiency(varying, at.weights)))


def fluctuating(ensemble: Ensemble, numbers: Array, bins: NDArray[np.intp]) -> Array:
    """Numbers of pairs in the bins, in units of g at the mean volume, and the volume.

    Parameters
    ----------
    numbers
        Of the pairs that interact, shape (F, P, B); see `interacting_pairs`.
    """
    chosen = numbers.reshape(len(ensemble), -1)[:, bins]
    pairs = chosen / ensemble.counts_per_g.ravel()[bins]
    if np.ptp(ensemble.volume) == 0.0:
        return pairs
    return np.concatenate([pairs, ensemble.volume[:, None]], axis=1)


def pair_covariance(
    ensemble: Ensemble,
    at: Weighted,
    fluid: Fluid,
    bins: NDArray[np.intp],
    grid: Grid,
    z: Array,
    n_independent: float,
) -> tuple[Array, float, float]:
    """Covariance of what fluctuates, per frame; the frames' share of it; its worth in samples."""
    # to the theory, a species of one atom, which has no pair with itself, is an ideal gas
    held = [
        pair
        for pair, (a, b) in enumerate(species_pairs(len(ensemble.species)))
        if fluid.atoms[a] > 0 and fluid.atoms[b] > 0
    ]
    with_pairs = np.array([ensemble.latest_frames.has_pairs(pair) for pair in held])
    n_bins = fluid.g.shape[1]
    place = np.full(len(fluid.g), -1)
    place[held] = np.arange(len(held))
    prior = theoretical_covariance(
        float(ensemble.edges[1]),
        np.where(with_pairs[:, None], fluid.g[held], 1.0),
        fluid.atoms[fluid.atoms > 0] / fluid.volume,
        ensemble.counts_per_g[held],
        place[bins // n_bins] * n_bins + bins % n_bins,
    )
    sample, n_samples = _sample(ensemble, at, z, fluid, grid, n_independent)
    n = len(bins)
    theory = prior
    if z.shape[1] == n:
        prior, of_modes = with_variances_of_modes(theory, sample, n_samples)
    else:
        # the theory is of constant volume; what the volume adds is taken from the frames
        variance, with_volume = sample[n, n], sample[:n, n]
        of_volume = np.outer(with_volume, with_volume) / variance
        at_volume = sample[:n, :n] - of_volume
        prior, of_modes = with_variances_of_modes(theory, at_volume, n_samples)
        theory, prior = (
            np.block(
                [
                    [part + of_volume, with_volume[:, None]],
                    [with_volume[None, :], np.array([[variance]])],
                ]
            )
            for part in (theory, prior)
        )
    covariance, worth = posterior_covariance(prior, sample, n_samples, theory)
    # of the modes the frames are worth no more than they say there
    return covariance, n_samples / worth, min(worth, of_modes)


def _sample(
    ensemble: Ensemble, at: Weighted, z: Array, fluid: Fluid, grid: Grid, n_independent: float
) -> tuple[Array, float]:
    """Covariance of what fluctuates as the frames have it, and the number of samples.

    Weights of frames are extensive: in a large system hardly one piece of simulation counts in the
    potential of another. How a fluid fluctuates is not: between potentials that differ by little
    everywhere it is the same. The covariance within each piece that the weights leave out counts
    as far as its potential is near,

        m_k = n_k (1 - o_k) / (1 + (d_k / d)^2)

    with the overlap o_k of its frames, the root mean square d_k of the change of the potential
    where there are pairs, and d = `NEAR` kT.
    """
    total = n_independent * reweighting.covariance(at.weights, z, z)
    n = n_independent
    inside = (ensemble.centres < ensemble.cutoff) & (fluid.g > SEEN)
    per_frame = n_independent / at.sample_size
    for frames, coefficients in ensemble.pieces:
        length = frames.stop - frames.start
        overlap = min(1.0, float(at.weights[frames].sum()) * at.sample_size / length)
        change = np.concatenate(
            [
                grid.basis(pair, ensemble.centres[chosen]) @ c
                for pair, (chosen, c) in enumerate(
                    zip(
                        inside,
                        (at.coefficients - coefficients).reshape(len(inside), -1),
                        strict=True,
                    )
                )
            ]
        )
        far = ensemble.beta * float(np.sqrt(np.mean(change**2))) / NEAR
        worth = per_frame * length * (1.0 - overlap) / (1.0 + far**2)
        within = np.full(length, 1.0 / length)
        total += worth * reweighting.covariance(within, z[frames], z[frames])
        n += worth
    return total / n, n
