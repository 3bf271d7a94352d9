"""First guess of a potential from its targets: the potential of mean force."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffsim.gradients.ensemble import Ensemble
from diffsim.knots import Array, Grid
from diffsim.species import species_pairs
from diffsim.targets import RDF

SEEN = 0.05  # of g: below, the logarithm of a measured g is mostly noise
STEEPEST, LEAST_STEEP = 60.0, 6.0  # exponents of the continued wall


def potential_of_mean_force(
    target: RDF, kt: float, distances: Array, cutoff: float
) -> Array:
    """Energies w(r) = -kT ln g(r), shifted to zero at the cutoff, at distances (n,).

    Inside of the first distance where g reaches 0.05 the wall is continued as w1 (r1 / r)^m + constant
    with the slope of w there.

    Source: the limit of low density; Soper, Chem. Phys. 202, 295 (1996).
    """
    seen = target.g > SEEN
    first = int(np.argmax(seen))
    r, g = target.r[first:], target.g[first:]
    w = -kt * np.log(np.maximum(g, SEEN))
    w = w - np.interp(cutoff, r, w)
    result = np.interp(distances, r, w)
    inside = distances < r[0]
    # w = A ((r1/r)^m - 1) + w1 with A m / r1 = -w'(r1); A is at least kT, so that it is a wall
    slope = max(-(w[2] - w[0]) / (r[2] - r[0]), LEAST_STEEP * kt / r[0])
    exponent = float(np.clip(slope * r[0] / max(w[0], kt), LEAST_STEEP, STEEPEST))
    amplitude = slope * r[0] / exponent
    result[inside] = w[0] + amplitude * ((r[0] / distances[inside]) ** exponent - 1.0)
    return np.asarray(result)


def mean_force_values(grid: Grid, ensembles: Sequence[Ensemble]) -> tuple[Array, Array]:
    """Potentials of mean force of all pairs, averaged over the systems that have a target for them.

    Returns
    -------
    values, weights
        Energies (P, K) and weights (P, K) for a fit: zero for pairs without a target.
    """
    pairs = species_pairs(len(grid.species))
    values, weights = np.zeros((2, len(pairs), grid.knots))
    for pair, (a, b) in enumerate(pairs):
        names = {grid.species[a], grid.species[b]}
        curves = [
            potential_of_mean_force(
                target, 1.0 / ensemble.beta, grid.distances(pair), grid.cutoff
            )
            for ensemble in ensembles
            for target in ensemble.system.targets
            if isinstance(target, RDF) and set(target.pair) == names
        ]
        if curves:
            values[pair] = np.mean(curves, axis=0)
            weights[pair] = 1.0
    return values, weights
