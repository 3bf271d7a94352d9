"""First guess of a potential from its targets: potential of mean force, or hypernetted chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from diffsim.arrays import Array
from diffsim.errors import InputError
from diffsim.knots import Grid
from diffsim.optimizers.family import first_guess
from diffsim.optimizers.projection import fit_values
from diffsim.potentials import ClosedForm, linear_parts
from diffsim.potentials.closed_form import BeginsAtWells
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble
from diffsim.species import species_pairs
from diffsim.targets import RDF, distributions
from diffsim.theory.integral_equation import hnc_continuation, indirect_correlation

SEEN = 0.05  # of g: below, the logarithm of a g of unknown error is mostly noise
PRECISE = 10.0  # standard errors: a g as large as that is seen, however small it is
QUADRATURE, DECONVOLUTIONS = 6, 3  # of w over a bin: points, iterations
MOST = 10.0  # kT that w changes within a bin
FIT_ITERATIONS = 300
KNOTS = 1000  # of the fit
WALL = 0.75  # of the smallest distance seen: where the fit begins
WITHOUT_TARGET = 0.3  # of the cutoff, the same for pairs without a target
STEEPEST, LEAST_STEEP = 40.0, 6.0  # exponents of the continued wall
BINS_PER_CUTOFF = 125  # at most, of the integral equation
RANGE = 2.0  # of the integral equation, in the range of the targets
RANGE_IN_CUTOFFS = 3.0  # at least


def potential_of_mean_force(
    target: RDF, kt: float, distances: Array, cutoff: float, indirect: Array | float = 0.0
) -> Array:
    """Energies w(r) = -kT ln g(r), shifted to zero at the cutoff, at distances (n,).

    Inside of the first distance where g is known (it exceeds 0.05, or ten standard errors) the wall
    is continued as a power of the distance plus a constant, with slope and curvature of w there.
    NaN where the target says nothing: beyond its last bin, and inside of its first if g is not
    small there.

    With the indirect correlation h - c at the target's distances, in kT, w is the potential of the
    hypernetted chain approximation, kT (h - c - ln g).

    Source: the limit of low density; Soper, Chem. Phys. 202, 295 (1996).
    """
    first = _first_seen(target, cutoff)
    r, g, seen = target.r[first:], target.g[first:], _seen(target)[first:]
    measured = kt * (
        np.broadcast_to(indirect, target.r.shape)[first:] - np.log(np.where(seen, g, SEEN))
    )
    # a bin holds the mean of exp(-w / kT), which on a wall is far from that at its centre, as is a
    # straight line between two bins from the curve
    nodes, shares = np.polynomial.legendre.leggauss(QUADRATURE)
    within = r + 0.5 * np.diff(target.edges)[first:] * nodes[:, None]
    w = measured
    for _ in range(DECONVOLUTIONS):
        relative = np.exp(np.clip((w - CubicSpline(r, w)(within)) / kt, -MOST, MOST))
        w = measured + np.where(seen, kt * np.log(0.5 * shares @ relative), 0.0)
    curve = CubicSpline(r, w)
    shift = float(curve(min(cutoff, r[-1])))
    w = w - shift
    result = np.where(distances <= r[-1], curve(distances) - shift, np.nan)
    inside = distances < r[0]
    if first == 0:
        result[inside] = np.nan
        return np.asarray(result)
    # w = A ((r1/r)^m - 1) + w1 with A m / r1 = -w'(r1) and m + 1 = -r w''/w' in the next bin, where
    # the second derivative is better known; at least as steep as to be a wall
    slope, next_slope = curve(r[:2], 1)
    curvature = (w[0] - 2.0 * w[1] + w[2]) / (r[1] - r[0]) ** 2
    exponent = -1.0 - r[1] * curvature / next_slope if next_slope < 0.0 else LEAST_STEEP
    exponent = float(np.clip(exponent, LEAST_STEEP, STEEPEST))
    amplitude = max(-slope * r[0], LEAST_STEEP * kt) / exponent
    result[inside] = w[0] + amplitude * ((r[0] / distances[inside]) ** exponent - 1.0)
    return np.asarray(result)


def fit_mean_force(potential: Model, ensembles: Sequence[Ensemble]) -> None:
    """Fit a potential to the potentials of mean force, averaged over the systems.

    Pairs that no system has a target for keep what the potential says.

    Raises
    ------
    InputError
        If no g(r) is known below the cutoff.
    """
    nothing = [[0.0] * len(distributions(ensemble.system.targets)) for ensemble in ensembles]
    _fit_curves(potential, ensembles, nothing)


def fit_hypernetted_chain(
    potential: Model, ensembles: Sequence[Ensemble], densities: Sequence[Mapping[str, float]]
) -> list[str]:
    """Fit a potential to those of the hypernetted chain approximation, averaged over the systems.

    A system has such potentials if every pair of the species that it holds has a target from where
    pairs are never found to the cutoff, and there is a solution of `hnc_continuation`: for
    Lennard-Jones at rho = 0.7 and T = 1 with a cutoff of 2.5 targets to 2.6 have one, to 2.5 not;
    a dilute fluid needs no more than the cutoff. The other systems contribute their potentials of
    mean force. A closed form with a well, such as Lennard-Jones, starts from the Mie fluid that has
    the structure of the targets instead, where there is one (`family.mie_from_rdf`).

    Parameters
    ----------
    potential
        Changed in place.
    ensembles
        Temperatures and targets.
    densities
        Number density of each species, of every system; of an ensemble with a fluctuating volume,
        that of its first configuration.

    Returns
    -------
    A sentence about each system that contributes its potential of mean force.

    Raises
    ------
    InputError
        If no g(r) is known below the cutoff.
    """
    indirect: list[Sequence[Array | float]] = []
    events = []
    for ensemble, density in zip(ensembles, densities, strict=True):
        found = _indirect(ensemble, density, potential.cutoff)
        if isinstance(found, str):
            events.append(
                f"System '{ensemble.system.name}' starts from the potential of mean force instead "
                f"of the hypernetted chain potential: {found}."
            )
            indirect.append([0.0] * len(distributions(ensemble.system.targets)))
        else:
            indirect.append(found)
    has_structure = _fit_curves(potential, ensembles, indirect, densities)
    return [] if has_structure else events


def hypernetted_chain(
    potential: Model, ensembles: Sequence[Ensemble], densities: Sequence[Mapping[str, float]]
) -> Callable[[Grid], Array] | None:
    """The potentials of the hypernetted chain approximation as a function of a grid, (P, K).

    None where a system has none, or a pair of species no target.
    """
    indirect = []
    for ensemble, density in zip(ensembles, densities, strict=True):
        found = _indirect(ensemble, density, potential.cutoff)
        if isinstance(found, str):
            return None
        indirect.append(found)
    species = tuple(potential.species)
    known = _known_curves(species, ensembles, indirect)
    if not all(known):
        return None

    def energies(grid: Grid) -> Array:
        values, weights = _average(grid, known)
        return np.where(weights > 0.0, values, 0.0)

    return energies


def _indirect(
    ensemble: Ensemble, density: Mapping[str, float], cutoff: float
) -> list[Array | float] | str:
    """h - c at the distances of each target of a system; or why it cannot be had."""
    if ensemble.system.intermolecular:
        return "its distribution functions are those between molecules, and it knows no bonds"
    targets = distributions(ensemble.system.targets)
    held = [name for name in ensemble.species if density.get(name, 0.0) > 0.0]
    pairs = [(held[a], held[b]) for a, b in species_pairs(len(held))]
    chosen: list[RDF] = []
    for pair in pairs:
        found = [target for target in targets if sorted(target.pair) == sorted(pair)]
        if not found:
            return f"it needs a target for every pair of its species, and {'-'.join(pair)} has none"
        chosen.append(max(found, key=lambda target: float(target.edges[-1])))
    spacing = min(float(np.diff(target.r).min()) for target in chosen)
    width = max(spacing, cutoff / BINS_PER_CUTOFF)
    reach = max(float(target.edges[-1]) for target in chosen)
    n_bins = int(np.ceil(max(RANGE * reach, RANGE_IN_CUTOFFS * cutoff) / width))
    r = (np.arange(n_bins) + 0.5) * width
    for target in chosen:
        name = "-".join(target.pair)
        if target.g[0] > SEEN and target.edges[0] > width:
            return (
                f"the target of {name} should begin where g(r) is zero, but it begins at r = "
                f"{target.r[0]:g} with g = {target.g[0]:g}"
            )
        if target.edges[-1] < cutoff * (1.0 - 1e-9):
            return (
                f"the target of {name} should reach to the cutoff {cutoff:g} or beyond, but it "
                f"ends at r = {target.r[-1]:g}"
            )
    g = hnc_continuation(
        width,
        np.array([np.interp(r, target.r, target.g) for target in chosen]),
        np.array([density[name] for name in held]),
        np.array([r <= target.edges[-1] for target in chosen]),
    )
    if g is None:
        nearest = min(chosen, key=lambda target: float(target.edges[-1]))
        return (
            "the Ornstein-Zernike equation has no solution with its targets, of which "
            f"{'-'.join(nearest.pair)} ends at r = {nearest.r[-1]:g} with g = {nearest.g[-1]:.3g}; "
            "targets that reach to where g has settled at one, such as "
            f"{RANGE * cutoff:g}, usually have one"
        )
    gamma = indirect_correlation(width, g, np.array([density[name] for name in held]))
    of_pair = {frozenset(pair): curve for pair, curve in zip(pairs, gamma, strict=True)}
    return [np.interp(target.r, r, of_pair[frozenset(target.pair)]) for target in targets]


def _fit_curves(
    potential: Model,
    ensembles: Sequence[Ensemble],
    indirect: Sequence[Sequence[Array | float]],
    densities: Sequence[Mapping[str, float]] | None = None,
) -> bool:
    """Fit a potential to the average over systems of kT (h - c - ln g), h - c as `indirect`.

    One with a `first_guess` begins at the Mie potential that the targets suggest. With densities,
    where that has the structure of the targets, and the potential is a closed form, this takes the
    place of the curve, and the result is true: few parameters are better known from g(r) itself.

    Of one that depends on temperature this is the part at the reference temperature, which is right
    to first order where that is the average of the systems'; the entropic part is fitted to zero.
    """
    species = tuple(potential.species)
    curves = _known_curves(species, ensembles, indirect)
    inner = [WITHOUT_TARGET * potential.cutoff for _ in curves]
    for pair, known in enumerate(curves):
        if known:
            inner[pair] = WALL * min(
                float(target.r[_first_seen(target, potential.cutoff)]) for target, _, _ in known
            )
    cover(potential, inner)
    grid = Grid(species, potential.units, potential.cutoff, tuple(inner), KNOTS)
    values, weights = _average(grid, curves)
    if not weights.any():
        return False
    kt = min(1.0 / ensemble.beta for ensemble in ensembles)
    (first, _), *others = linear_parts(potential, [])
    begins = isinstance(first, BeginsAtWells)
    wells = first_guess(first, ensembles, densities) if begins else {}
    has_structure = isinstance(first, ClosedForm) and all(
        pair in wells and wells[pair].source == "structure"
        for pair, known in enumerate(curves)
        if known
    )
    if has_structure:
        for pair, well in wells.items():
            values[pair] = well.energy(grid.distances(pair), grid.cutoff)
    fit_values(first, grid, values, kt, FIT_ITERATIONS, weights)
    for part, _ in others:
        fit_values(part, grid, np.zeros_like(values), kt, FIT_ITERATIONS)
    return has_structure


def cover(potential: Model, inner: Sequence[float]) -> None:
    """Let the knots of B-splines begin where the data of a pair do, if they begin beyond that."""
    for module in potential.modules() if isinstance(potential, torch.nn.Module) else ():
        place = getattr(module, "cover", None)
        if place is not None:
            place(min(inner) / WALL, min(inner))


Curve = tuple[RDF, float, Array | float]
"""A target, the thermal energy, and the indirect correlation at its distances."""


def _known_curves(
    species: tuple[str, ...],
    ensembles: Sequence[Ensemble],
    indirect: Sequence[Sequence[Array | float]],
) -> list[list[Curve]]:
    """What the systems say of each pair of species."""
    curves: list[list[Curve]] = [[] for _ in species_pairs(len(species))]
    for ensemble, given in zip(ensembles, indirect, strict=True):
        for target, gamma in zip(distributions(ensemble.system.targets), given, strict=True):
            curves[target.pair_index(species)].append((target, 1.0 / ensemble.beta, gamma))
    return curves


def _average(grid: Grid, curves: Sequence[Sequence[Curve]]) -> tuple[Array, Array]:
    """Averages of kT (h - c - ln g) at the knots, and where they are known, (P, K) each."""
    values, weights = np.zeros((2, len(curves), grid.knots))
    for pair, known in enumerate(curves):
        if known:
            r = grid.distances(pair)
            at_knots = np.array(
                [potential_of_mean_force(t, kt, r, grid.cutoff, gamma) for t, kt, gamma in known]
            )
            covered = np.isfinite(at_knots)
            weights[pair] = covered.any(axis=0)
            total = np.where(covered, at_knots, 0.0).sum(axis=0)
            values[pair] = total / np.maximum(covered.sum(axis=0), 1)
    return values, weights


def _seen(target: RDF) -> NDArray[np.bool_]:
    """Whether the logarithm of g means something, shape (n,)."""
    seen = target.g > SEEN
    return seen if target.error is None else seen | (target.g > PRECISE * target.error)


def _first_seen(target: RDF, cutoff: float) -> int:
    """Index of the innermost bin of the first peak: from its top inward, g is seen to here.

    Noise in bins that no pair reaches is not taken for a wall.
    """
    below = target.r < cutoff
    seen = _seen(target)
    if np.sum(below & seen) < 3:
        raise InputError(
            f"The target g(r) of {'-'.join(target.pair)} exceeds {SEEN} at "
            f"{np.sum(below & (target.g > SEEN))} distances "
            f"below the cutoff {cutoff:g}; a potential of mean force needs at least 3. Check the "
            "unit of length of the target, or start from the potential itself (start: potential)."
        )
    top = int(np.argmax(np.where(below, target.g, 0.0)))
    hollow = np.flatnonzero(~seen[:top])
    return int(hollow[-1]) + 1 if len(hollow) else 0
