"""The Mie potential that a measured distribution function suggests, whatever its faults.

A first guess of a potential, and a reference that is physical where the data say nothing. It has
few parameters, each of which any real curve determines at least roughly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from diffsim.errors import InputError
from diffsim.knots import Array

SMOOTHING = 0.01  # of the cutoff: width of the Gaussian that noise of single bins is averaged with
PEAKED = 1.2  # of g: a first peak as high as this crosses one steeply, where the potential is zero
VISITED = 0.1  # of g: below, an estimate of the potential is a continuation
DEPTHS = (0.2, 3.0)  # kT: bounds of epsilon
SHIFTS = 0.1  # bound of sigma, relative to the contact
REPULSIONS = (8.0, 20.0)  # bounds of n
N, M = 12.0, 6.0
LOG_DEPTH, LOG_SIGMA, EXPONENT = 0.5, 0.03, 2.0  # how far the first values are off: log, log, n
DEVIATION = 0.1  # kT: of an estimate of the potential
INDEPENDENT = 10  # pieces of an estimate whose deviations have nothing to do with each other
OFFSET = 0.2  # kT: of an estimate, beside its shape
SANE = 0.5  # kT: root mean square beyond which an estimate looks like no Mie potential
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
    refined
        Whether an estimate of the potential was sane enough to have a say.
    """

    epsilon: float
    sigma: float
    n: float = N
    m: float = M
    refined: bool = False

    def energy(self, r: Array, cutoff: float) -> Array:
        """Energies u(r) - u(cutoff) at distances r (k,), zero from the cutoff on; shape (k,)."""
        shape = _mie(np.asarray(r), self.sigma, self.n, self.m)
        end = float(_mie(np.array([cutoff]), self.sigma, self.n, self.m)[0])
        return np.where(r < cutoff, self.epsilon * (shape - end), 0.0)

    @property
    def minimum(self) -> float:
        """Distance of the bottom of the well, ``sigma (n/m)^(1/(n - m))``."""
        return float(self.sigma * (self.n / self.m) ** (1.0 / (self.n - self.m)))


def mie_from_rdf(
    r: Array, g: Array, kt: float, cutoff: float, beta_u: Array | None = None
) -> MieParameters:
    """Parameters of a Mie potential from a distribution function, sane for any curve.

    sigma is where g first rises through one, seen from the top of its first peak inward, or through
    half of a peak that is no higher than 1.2. epsilon is ``kT ln g`` at the top: exact for a gas,
    and near the truth for liquids of simple atoms, whose peak is as high as attraction and packing
    together make it. The exponents are 12 and 6.

    An estimate of the potential refines these. Minimised over epsilon, sigma, n and an offset b is

        k < ((u_mie - u + b) / e)^2 > + (ln epsilon/epsilon_0)^2 / 0.5^2
            + (ln sigma/sigma_0)^2 / 0.03^2 + (n - 12)^2 / 2^2 + (b / 0.2 kT)^2

    with <> the average over the distances between g > 0.1 and the cutoff, k = 10 independent pieces
    of the estimate and e = 0.1 kT (1 + (u/3kT)^2) (u > 0), within 0.2 < epsilon / kT < 3,
    |sigma/sigma_0 - 1| < 0.1 and 8 < n < 20. An estimate that leaves more than 0.5 kT, or that goes
    for the smallest epsilon although g has a peak, is no help, and is not used.

    Parameters
    ----------
    r
        Distances, increasing, shape (k,), in distance units.
    g
        Distribution function there, shape (k,); noise, a floor within the core, and values that are
        not finite do no harm.
    kt
        Thermal energy.
    cutoff
        Of the potential.
    beta_u
        Estimate of the potential over kT at r, such as that of the hypernetted chain, shape (k,);
        NaN where unknown.

    Returns
    -------
    MieParameters

    Raises
    ------
    InputError
        If fewer than three values below the cutoff are finite, or none of them is positive.
    """
    r, g = np.asarray(r, dtype=np.float64), np.asarray(g, dtype=np.float64)
    used = np.isfinite(r) & np.isfinite(g) & (r > 0.0) & (r < cutoff)
    estimate = np.full(len(r), np.nan) if beta_u is None else np.asarray(beta_u, dtype=np.float64)
    r, g, estimate = r[used], g[used], estimate[used]
    if len(r) < 3 or not (g > 0.0).any():
        raise InputError(
            f"A potential can be guessed from a g(r) with at least three distances below the "
            f"cutoff {cutoff:g} and pairs at some of them; found {len(r)} distances"
            + (f" from {r[0]:g} to {r[-1]:g} and g of at most {g.max():g}." if len(r) else ".")
            + " Check the unit of length."
        )
    smooth = _smooth(r, g, SMOOTHING * cutoff)
    top = int(np.argmax(smooth))
    height = float(smooth[top])
    contact = _contact(r, smooth, top)
    depth = float(np.clip(np.log(max(height, 1.0)), *DEPTHS))
    guess = MieParameters(depth * kt, contact)
    # the continuation of an estimate within the core is no measurement of it
    first = int(np.flatnonzero(smooth[: top + 1] < VISITED)[-1]) + 1 if smooth[0] < VISITED else 0
    seen = np.isfinite(estimate) & (np.arange(len(r)) >= first)
    if np.sum(seen) < FEWEST:
        return guess
    return _refined(guess, r[seen], estimate[seen], kt, cutoff)


def _refined(
    guess: MieParameters, r: Array, estimate: Array, kt: float, cutoff: float
) -> MieParameters:
    """The regularised fit to an estimate (in kT); the guess, if that looks like no Mie at all."""
    share = np.gradient(r)  # of a distance in the average
    soft = DEVIATION * (1.0 + (np.maximum(estimate, 0.0) / SOFT) ** 2)
    weight = np.sqrt(INDEPENDENT * share / share.sum()) / soft
    depth = guess.epsilon / kt

    def deviation(x: Array) -> Array:
        trial = MieParameters(float(np.exp(x[0])), float(np.exp(x[1])) * guess.sigma, float(x[2]))
        return np.asarray(trial.energy(r, cutoff) - estimate + x[3])

    def residual(x: Array) -> Array:
        prior = [
            (x[0] - np.log(depth)) / LOG_DEPTH,
            x[1] / LOG_SIGMA,
            (x[2] - N) / EXPONENT,
            x[3] / OFFSET,
        ]
        return np.concatenate([deviation(x) * weight, prior])

    low = np.array([np.log(DEPTHS[0]), np.log(1.0 - SHIFTS), REPULSIONS[0], -np.inf])
    high = np.array([np.log(DEPTHS[1]), np.log(1.0 + SHIFTS), REPULSIONS[1], np.inf])
    start = np.array([np.log(depth), 0.0, N, 0.0])
    start[:3] = np.clip(start[:3], low[:3] + 1e-6, high[:3] - 1e-6)
    x = least_squares(residual, start, bounds=(low, high)).x
    left = np.sqrt(np.sum((deviation(x) * weight * DEVIATION) ** 2) / INDEPENDENT)
    vanished = x[0] < low[0] + 1e-2 and depth > 2.0 * DEPTHS[0]
    if not left < SANE or vanished:
        return guess
    return MieParameters(
        float(np.exp(x[0])) * kt, float(np.exp(x[1])) * guess.sigma, float(x[2]), refined=True
    )


def _mie(r: Array, sigma: float, n: float, m: float) -> Array:
    """``C [(sigma/r)^n - (sigma/r)^m]``."""
    x = sigma / r
    return np.asarray(n / (n - m) * (n / m) ** (m / (n - m)) * (x**n - x**m))


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
