"""The Mie potential that a measured distribution function suggests, whatever its faults.

A first guess of a potential, and a reference that is physical where the data say nothing. It has
few parameters, each of which any real curve determines at least roughly: an error of the curve is
not amplified, as it is where a whole function is sought.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from diffsim.arrays import Array
from diffsim.errors import InputError
from diffsim.potentials.closed_form import BeginsAtWells
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble
from diffsim.targets import RDF, distributions
from diffsim.theory.mie_structure import mie_shape, mie_structure

SMOOTHING = 0.01  # of the cutoff: width of the Gaussian that noise of single bins is averaged with
PEAKED = 1.2  # of g: a first peak as high as this crosses one steeply, where the potential is zero
VISITED = 0.1  # of g: below, an estimate of the potential is a continuation
DEPTHS = (0.2, 3.0)  # kT: bounds of epsilon
SHIFTS = 0.1  # bound of sigma, relative to the contact
REPULSIONS = (8.0, 20.0)  # bounds of n
N, M = 12.0, 6.0
LOG_DEPTH, LOG_SIGMA, EXPONENT = 0.5, 0.03, 1.0  # how far the first values are off: log, log, n
BEGIN, END = 0.8, 5.0  # of the range in which g is compared, in sigma
ERROR, INDEPENDENT = 0.02, 0.1  # of g and theory together, and over how many sigma it persists
FAR = 1e3  # standard errors: where there is no fluid
STEP = 1e-3  # of finite differences, relative
LARGEST_MISFIT = 0.06  # of g smoothed over INDEPENDENT: beyond, the fluid is of another kind
ESTIMATE_ERROR, ESTIMATE_PIECES = 0.1, 10  # kT; independent pieces of an estimate
OFFSET = 0.2  # kT: of an estimate, beside its shape
SANE = 0.5  # kT: root mean square beyond which an estimate looks like no Mie potential
VANISHED = 1.2  # of the smallest epsilon: there is no well
FEWEST = 5  # distances that an estimate must cover
SOFT = 3.0  # kT: energies beyond are told less, as they are visited less


@dataclass(frozen=True)
class MieParameters:
    """Parameters of ``u(r) = C epsilon [(sigma/r)^n - (sigma/r)^m]``, as in `potentials.Mie`.

    Attributes
    ----------
    epsilon
        Depth of the well, in energy units.
    sigma
        Where the energy is zero, in distance units.
    n, m
        Exponents of repulsion and attraction.
    source
        What decided: "structure" (g of the fluid), "estimate" (of the potential) or "peak" (place
        and height of the first peak).
    misfit
        Root mean square deviation of the theory's g from the smoothed curve, if "structure".
    """

    epsilon: float
    sigma: float
    n: float = N
    m: float = M
    source: str = "peak"
    misfit: float | None = None

    def energy(self, r: Array, cutoff: float) -> Array:
        """Energies u(r) - u(cutoff) at distances r (k,), zero from the cutoff on; shape (k,)."""
        shape = mie_shape(np.asarray(r) / self.sigma, self.n, self.m)
        end = mie_shape(np.array([cutoff / self.sigma]), self.n, self.m)
        return np.where(r < cutoff, self.epsilon * (shape - end), 0.0)

    @property
    def minimum(self) -> float:
        """Distance of the bottom of the well, ``sigma (n/m)^(1/(n - m))``."""
        return float(self.sigma * (self.n / self.m) ** (1.0 / (self.n - self.m)))


def mie_from_rdf(
    r: Array,
    g: Array,
    kt: float,
    cutoff: float,
    beta_u: Array | None = None,
    density: float | None = None,
    n: float | None = None,
    m: float = M,
) -> MieParameters:
    """Parameters of a Mie potential from a distribution function, sane for any curve.

    sigma is where g first rises through one, seen from the top of its first peak inward, or through
    half of a peak that is no higher than 1.2. epsilon is ``kT ln g`` at the top: right for a gas,
    and within a third for liquids of simple atoms, whose peak is as high as attraction and packing
    together make it. The exponents are 12 and 6. These are the first values. All the rest happens
    within 0.2 < epsilon/kT < 3, |sigma/sigma_0 - 1| < 0.1 and 8 < n < 20, with a penalty

        P = (ln epsilon/epsilon_0)^2 / 0.5^2 + (ln sigma/sigma_0)^2 / 0.03^2 + (n - 12)^2

    *Structure*: with a density, that of a fluid with this one species, the parameters minimise

        integral (g_mie - g)^2 dr / (0.1 sigma 0.02^2) + P

    from 0.8 to 5 sigma, g_mie by an integral equation (`mie_structure`). Of Lennard-Jones liquids
    this gives epsilon to 15 % and sigma to 1 %, with noise of 0.1 in every bin too. A deviation of
    the smoothed curve that remains above 0.06 means another kind of fluid.

    *Estimate*: without a density, or where that gives nothing, an estimate of the potential counts:
    with an offset b, < > the average over the distances between g > 0.1 and the cutoff, and
    e = 0.1 (1 + (beta u / 3)^2 for positive u), the parameters minimise

        10 < ((beta u_mie - beta u + b) / e)^2 > + (b / 0.2)^2 + P

    An estimate that leaves more than 0.5 kT, or that goes for the smallest epsilon although g has a
    peak, is no help, and the first values hold.

    Parameters
    ----------
    r
        Distances, shape (k,), in distance units.
    g
        Distribution function there, shape (k,); noise, a floor within the core, and values that are
        not finite do no harm. Beyond the cutoff it counts for the structure.
    kt
        Thermal energy.
    cutoff
        Of the potential.
    beta_u
        Estimate of the potential over kT at r, such as that of the hypernetted chain, shape (k,);
        NaN where unknown.
    density
        Number density of the fluid, 1/distance units cubed.
    n, m
        Exponents to keep; without n it is found.

    Returns
    -------
    MieParameters

    Raises
    ------
    InputError
        If fewer than three values below the cutoff are finite, or none of them is positive.
    """
    estimate = np.full(len(r), np.nan) if beta_u is None else np.asarray(beta_u, dtype=np.float64)
    order = np.argsort(r, kind="stable")
    r, g, estimate = np.asarray(r, dtype=np.float64)[order], np.asarray(g)[order], estimate[order]
    used = np.isfinite(r) & np.isfinite(g) & (r > 0.0)
    r, g, estimate = r[used], g[used], estimate[used]
    inside = r < cutoff
    if np.sum(inside) < 3 or not (g[inside] > 0.0).any():
        found = f" from {r[0]:g} to {r[-1]:g}, g at most {g.max():g}" if len(r) else ""
        raise InputError(
            "A potential can be guessed from a g(r) with at least three distances below the cutoff "
            f"{cutoff:g} and pairs at some of them; found {len(r)} distances{found}. Check the "
            "unit of length."
        )
    smooth = _smooth(r, g, SMOOTHING * cutoff)
    top = int(np.argmax(np.where(inside, smooth, 0.0)))
    depth = float(np.clip(np.log(max(smooth[top], 1.0)), *DEPTHS))
    first = MieParameters(depth * kt, _contact(r, smooth, top), N if n is None else n, m)
    fit = _Fit(first, kt, cutoff, n is None)
    if density is not None and density > 0.0:
        found_structure = _from_structure(fit, r, g, density)
        if found_structure is not None:
            return found_structure
    # the continuation of an estimate within the core is no measurement of it
    rare = np.flatnonzero(smooth[: top + 1] < VISITED)
    seen = np.isfinite(estimate) & inside & (np.arange(len(r)) > (rare[-1] if len(rare) else -1))
    if np.sum(seen) < FEWEST:
        return first
    return _from_estimate(fit, r[seen], estimate[seen]) or first


def first_guess(
    potential: Model,
    ensembles: Sequence[Ensemble],
    densities: Sequence[Mapping[str, float]] | None,
) -> dict[int, MieParameters]:
    """Begin at the Mie potentials that the targets suggest.

    The structure counts in systems with one species, whose density is known, and without bonds.

    Parameters
    ----------
    potential
        A `potentials.closed_form.BeginsAtWells`; changed in place.
    ensembles
        Temperatures and targets.
    densities
        Number density of each species, of every system, where they are known.

    Returns
    -------
    What was found, by the index of the pair: those that have a target.
    """
    species = tuple(potential.species)
    curves: dict[int, list[tuple[RDF, float, float | None]]] = {}
    for k, ensemble in enumerate(ensembles):
        held = [] if densities is None else [d for d in densities[k].values() if d > 0.0]
        alone = len(held) == 1 and not ensemble.system.intermolecular
        for target in distributions(ensemble.system.targets):
            entry = (target, 1.0 / ensemble.beta, held[0] if alone else None)
            curves.setdefault(target.pair_index(species), []).append(entry)
    wells: dict[int, MieParameters] = {}
    for pair, known in curves.items():

        def find(n: float | None, m: float, pair: int = pair, known: Any = known) -> MieParameters:
            wells[pair] = mean_parameters(
                [
                    mie_from_rdf(t.r, t.g, kt, potential.cutoff, density=density, n=n, m=m)
                    for t, kt, density in known
                ]
            )
            return wells[pair]

        assert isinstance(potential, BeginsAtWells)
        potential.first_guess(pair, find)
    return wells


def mean_parameters(found: Sequence[MieParameters]) -> MieParameters:
    """One potential of several systems: the means of ln epsilon, ln sigma and n.

    Those of the structure are averaged where there are any, as they know more; the source is what
    decided in all of the systems, or "peak".
    """
    best = [p for p in found if p.source == "structure"] or list(found)
    misfits = [p.misfit for p in best if p.misfit is not None]
    return MieParameters(
        float(np.exp(np.mean([np.log(p.epsilon) for p in best]))),
        float(np.exp(np.mean([np.log(p.sigma) for p in best]))),
        float(np.mean([p.n for p in best])),
        best[0].m,
        found[0].source if len({p.source for p in found}) == 1 else "peak",
        max(misfits, default=None),
    )


@dataclass(frozen=True)
class _Fit:
    """Least squares over (ln epsilon/kT, ln sigma, n), with penalty and bounds."""

    first: MieParameters
    kt: float
    cutoff: float
    free: bool  # whether n is sought

    def parameters(self, x: Array) -> MieParameters:
        n = float(x[2]) if self.free else self.first.n
        return replace(
            self.first, epsilon=float(np.exp(x[0])) * self.kt, sigma=float(np.exp(x[1])), n=n
        )

    def minimum(self, deviation: Callable[[MieParameters, Array], Array], others: int) -> Array:
        """The best x: the parameters, then `others` that are free and begin at zero."""
        sizes = (LOG_DEPTH, LOG_SIGMA, EXPONENT)[: 3 if self.free else 2]
        f = self.first
        start = np.array([np.log(f.epsilon / self.kt), np.log(f.sigma), f.n][: len(sizes)])
        ends = np.log([1.0 - SHIFTS, 1.0 + SHIFTS]) + np.log(f.sigma)
        repulsions = np.clip(REPULSIONS, self.first.m + 1.0, None)
        low, high = np.array([np.log(DEPTHS), ends, repulsions][: len(sizes)]).T
        free = np.full(others, np.inf)

        def residual(x: Array) -> Array:
            penalty = (x[: len(sizes)] - start) / sizes
            return np.concatenate([deviation(self.parameters(x), x[len(sizes) :]), penalty])

        found = least_squares(
            residual,
            np.concatenate([np.clip(start, low + STEP, high - STEP), np.zeros(others)]),
            bounds=(np.concatenate([low, -free]), np.concatenate([high, free])),
            x_scale=np.array([*sizes, *([1.0] * others)]),
            diff_step=STEP,
        )
        return np.asarray(found.x)


def _from_structure(fit: _Fit, r: Array, g: Array, density: float) -> MieParameters | None:
    """The fit to g itself; None where no Mie fluid has that structure."""
    sigma = fit.first.sigma
    compared = (r > BEGIN * sigma) & (r < END * sigma)
    r, g = r[compared], g[compared]
    if len(r) < FEWEST:
        return None
    weight = np.sqrt(np.gradient(r) / (INDEPENDENT * sigma)) / ERROR
    nearby: list[Array] = []

    def theory(p: MieParameters) -> Array | None:
        state = (p.epsilon / fit.kt, p.n, p.m, density * p.sigma**3, fit.cutoff / p.sigma)
        found = mie_structure(*state, nearby[0]) if nearby else None
        found = found or mie_structure(*state)
        if found is None:
            return None
        nearby[:] = [found.gamma]
        return np.interp(r / p.sigma, found.r, found.g)

    def deviation(p: MieParameters, _: Array) -> Array:
        curve = theory(p)
        return np.full(len(r), FAR) if curve is None else (curve - g) * weight

    best = fit.parameters(fit.minimum(deviation, 0))
    curve = theory(best)
    if curve is None:
        return None
    misfit = float(np.sqrt(np.mean(_smooth(r, curve - g, INDEPENDENT * sigma) ** 2)))
    if misfit > LARGEST_MISFIT:
        return None
    return replace(best, source="structure", misfit=misfit)


def _from_estimate(fit: _Fit, r: Array, estimate: Array) -> MieParameters | None:
    """The fit to an estimate of the potential, in kT; None if that looks like no Mie at all."""
    share = np.gradient(r)
    error = ESTIMATE_ERROR * (1.0 + (np.maximum(estimate, 0.0) / SOFT) ** 2)
    weight = np.sqrt(ESTIMATE_PIECES * share / share.sum()) / error

    def deviation(p: MieParameters, offset: Array) -> Array:
        beta_u = p.energy(r, fit.cutoff) / fit.kt
        return np.concatenate([(beta_u - estimate + offset) * weight, offset / OFFSET])

    x = fit.minimum(deviation, 1)
    best = fit.parameters(x)
    left = ESTIMATE_ERROR * float(np.linalg.norm(deviation(best, x[-1:])[:-1]))
    vanished = best.epsilon < VANISHED * DEPTHS[0] * fit.kt < 0.5 * fit.first.epsilon
    if not left < SANE * np.sqrt(ESTIMATE_PIECES) or vanished:
        return None
    return replace(best, source="estimate")


def _smooth(r: Array, g: Array, width: float) -> Array:
    """Average of g over a Gaussian of the distance; of wider bins, g itself."""
    share = np.gradient(r) * np.exp(-0.5 * ((r[:, None] - r) / width) ** 2)
    return np.asarray(share @ g / share.sum(axis=1))


def _contact(r: Array, g: Array, top: int) -> float:
    """Where g, seen from its top inward, falls through one or half of a low peak.

    Where the curve begins within its first peak, the minimum of the 12-6 potential at the top.
    """
    level = 1.0 if g[top] > PEAKED else 0.5 * float(g[top])
    below = np.flatnonzero(g[:top] < level)
    if not len(below):
        return float(r[top] / 2.0 ** (1.0 / 6.0))
    k = int(below[-1])
    return float(r[k] + (level - g[k]) / (g[k + 1] - g[k]) * (r[k + 1] - r[k]))
