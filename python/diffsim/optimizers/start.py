"""First guess of a potential from its targets: the potential of mean force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from diffsim.errors import InputError
from diffsim.gradients.ensemble import Ensemble
from diffsim.knots import Array, Grid
from diffsim.optimizers.projection import fit_values
from diffsim.species import species_pairs
from diffsim.targets import RDF

SEEN = 0.05  # of g: below, the logarithm of a measured g is mostly noise
FIT_ITERATIONS = 300
KNOTS = 1000  # of the fit
WALL = 0.75  # of the smallest distance seen: where the fit begins
WITHOUT_TARGET = 0.3  # of the cutoff, the same for pairs without a target
STEEPEST, LEAST_STEEP = 60.0, 6.0  # exponents of the continued wall


def potential_of_mean_force(target: RDF, kt: float, distances: Array, cutoff: float) -> Array:
    """Energies w(r) = -kT ln g(r), shifted to zero at the cutoff, at distances (n,).

    Inside of the first distance where g reaches 0.05 the wall is continued as w1 (r1 / r)^m plus a
    constant, with the slope of w there. NaN where the target says nothing: beyond its last bin, and
    inside of its first where g does not fall to 0.05.

    Source: the limit of low density; Soper, Chem. Phys. 202, 295 (1996).
    """
    first = _first_seen(target, cutoff)
    r, g = target.r[first:], target.g[first:]
    w = -kt * np.log(np.maximum(g, SEEN))
    w = w - np.interp(cutoff, r, w)
    result = np.interp(distances, r, w, right=np.nan if r[-1] < cutoff else None)
    inside = distances < r[0]
    if first == 0:
        result[inside] = np.nan
        return np.asarray(result)
    # w = A ((r1/r)^m - 1) + w1 with A m / r1 = -w'(r1); A is at least kT, so that it is a wall
    slope = max(-(w[2] - w[0]) / (r[2] - r[0]), LEAST_STEEP * kt / r[0])
    exponent = float(np.clip(slope * r[0] / max(w[0], kt), LEAST_STEEP, STEEPEST))
    amplitude = slope * r[0] / exponent
    result[inside] = w[0] + amplitude * ((r[0] / distances[inside]) ** exponent - 1.0)
    return np.asarray(result)


def fit_mean_force(potential: Any, ensembles: Sequence[Ensemble]) -> None:
    """Fit a potential to the potentials of mean force, averaged over the systems.

    Pairs that no system has a target for keep what the potential says.

    Raises
    ------
    InputError
        If no g(r) is known below the cutoff.
    """
    species = tuple(potential.species)
    pairs = species_pairs(len(species))
    curves: list[list[tuple[RDF, float]]] = [[] for _ in pairs]
    for ensemble in ensembles:
        for target in ensemble.system.targets:
            if not isinstance(target, RDF):
                continue
            a, b = sorted(species.index(name) for name in target.pair)
            curves[pairs.index((a, b))].append((target, 1.0 / ensemble.beta))

    inner = [WITHOUT_TARGET * potential.cutoff for _ in pairs]
    for pair, known in enumerate(curves):
        if known:
            inner[pair] = WALL * min(
                float(target.r[_first_seen(target, potential.cutoff)]) for target, _ in known
            )
    grid = Grid(species, potential.units, potential.cutoff, tuple(inner), KNOTS)
    values, weights = np.zeros((2, len(pairs), KNOTS))
    for pair, known in enumerate(curves):
        if known:
            r = grid.distances(pair)
            curves_at = np.array(
                [potential_of_mean_force(t, kt, r, grid.cutoff) for t, kt in known]
            )
            covered = np.isfinite(curves_at)
            weights[pair] = covered.any(axis=0)
            total = np.where(covered, curves_at, 0.0).sum(axis=0)
            values[pair] = total / np.maximum(covered.sum(axis=0), 1)
    if not weights.any():
        return
    kt = min(1.0 / ensemble.beta for ensemble in ensembles)
    fit_values(potential, grid, values, kt, FIT_ITERATIONS, weights)


def _first_seen(target: RDF, cutoff: float) -> int:
    """Index of the innermost bin of the first peak: from its top inward, g exceeds 0.05 to here.

    Noise in bins that no pair reaches is not taken for a wall.
    """
    below = target.r < cutoff
    seen = int(np.sum(below & (target.g > SEEN)))
    if seen < 3:
        raise InputError(
            f"The target g(r) of {'-'.join(target.pair)} exceeds {SEEN} at {seen} distances "
            f"below the cutoff {cutoff:g}; a potential of mean force needs at least 3. Check the "
            "unit of length of the target, or start from the potential itself (start: potential)."
        )
    top = int(np.argmax(np.where(below, target.g, 0.0)))
    hollow = np.flatnonzero(target.g[:top] <= SEEN)
    return int(hollow[-1]) + 1 if len(hollow) else 0
