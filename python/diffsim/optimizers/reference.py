"""Reference potentials: what the data do not determine stays where one of them has it.

Corrections of a reference are a Gaussian process, with the amplitude that the residuals ask for. Of
the directions that they say nothing about, those of a liquid's soft collective modes above all, the
reference decides; so it has to be physical. Two are known, and the evidence of the residuals
chooses between them:

- a potential that the theory of liquids gives, or the user; what a theory is wrong by is mostly
  smooth, along the soft modes, and smooth functions with a wide prior are its parameters; it also
  follows the noise of the targets that it is made of, and what the residuals lack for that reason
  is no evidence;
- the Mie potential, whose parameters are free: few numbers, which any g(r) determines well.

The parameters theta are linear coordinates, u(theta) = u(theta_k) + T (theta - theta_k), about what
they were found to be so far; their own prior is wide and does not move.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section 2.7 (a mean
with parameters); MacKay, Neural Computation 4, 415 (1992) (evidence of models).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from diffsim.arrays import Array
from diffsim.knots import Grid

# ln epsilon / kT, ln sigma / (the place where the first potential is kT), and n
PRIOR = np.array([0.0, np.log((0.5 * (1.0 + np.sqrt(2.0))) ** (1.0 / 6.0)), 12.0])
SPREAD = np.array([0.7, 0.07, 3.0])
LOWEST = np.array([-4.0, -0.5, 7.5])
HIGHEST = np.array([3.0, 0.5, 40.0])
ATTRACTION = 6.0  # m, that of dispersion: with it free n and m can hardly be told apart
STRIDE = 0.3  # kT: standard deviation of a step of a parameter's coordinate
THEORIES = ("hnc", "pmf")
"""References by a theory: the hypernetted chain, and the potential of mean force."""

FOLLOWED_BY_CURVE, FOLLOWED_BY_NETWORK = 1.0, 0.3
"""Share of the noise of independent bins that a theory's curve follows, and a network (or another
potential of many weights) that was fitted to it; one of few weights follows none of it."""

ERROR_OF_THEORY = 0.5  # kT: standard deviation of what a theory is wrong by
SMOOTHNESS_OF_ERROR = 0.6  # contact distances: its correlation length


@dataclass(frozen=True)
class Reference:
    """A potential with parameters that are to be found.

    Attributes
    ----------
    name
        For metrics and sentences.
    values
        Energies of the parts of the potential at the knots, shape (parts, P, K).
    tangents
        Their derivatives by the coordinates of the parameters, in units such that these are
        N(centre, kT^2) before anything is known, shape (parts P K, q).
    centre
        Shape (q,).
    moved
        The family of potentials at other coordinates (q,) of its parameters, if it is of one.
    follows
        How much of the noise of the targets it has followed: of a theory's, which is made of them
        bin by bin; zero if they were not looked at.
    """

    name: str
    values: Array
    tangents: csr_array
    centre: Array
    moved: Callable[[Array], MieFamily] | None = None
    follows: float = 0.0

    def at(self, coordinates: Array) -> Array:
        """Energies of the parts at coordinates (q,) of the parameters, shape (parts, P, K).

        Those of a family not by the tangents: a wall that moves is not linear.
        """
        if self.moved is None:
            change = self.tangents @ coordinates
            return np.asarray(self.values + change.reshape(self.values.shape))
        return self.moved(coordinates).energies(len(self.values))


def mie(r: Array, parameters: Array, cutoff: float) -> Array:
    """u(r) = C epsilon ((sigma/r)^n - (sigma/r)^m) less that at the cutoff, shape (K,).

    Parameters
    ----------
    r
        Distances, shape (K,).
    parameters
        epsilon, sigma, n and m.
    cutoff
        Where u is zero.

    Source: G. Mie, Ann. Phys. 316, 657 (1903).
    """
    epsilon, sigma, n, m = parameters
    depth = epsilon * n / (n - m) * (n / m) ** (m / (n - m))

    def u(x: Array | float) -> Array:
        return np.asarray(depth * ((sigma / x) ** n - (sigma / x) ** m))

    return u(r) - u(cutoff)


@dataclass(frozen=True)
class MieFamily:
    """The Mie potentials of all pairs, and where in their parameters a training is.

    Attributes
    ----------
    grid
        The knots.
    kt
        Thermal energy.
    contact
        Where the first potential of each pair is kT, shape (P,).
    theta
        The present parameters in the coordinates of `PRIOR`, shape (P, 3).
    """

    grid: Grid
    kt: float
    contact: Array
    theta: Array

    @classmethod
    def of(cls, grid: Grid, kt: float, contact: Array) -> MieFamily:
        """The family at the middle of its prior."""
        return cls(grid, kt, np.asarray(contact), np.tile(PRIOR, (len(contact), 1)))

    def reference(self, parts: int) -> Reference:
        """The potential linearised about the present parameters."""
        size, q = len(self.theta) * self.grid.knots, self.theta.size
        values = self.energies(parts)
        tangents = np.zeros((parts * size, q))
        for pair, theta in enumerate(self.theta):
            rows = slice(pair * self.grid.knots, (pair + 1) * self.grid.knots)
            for k, spread in enumerate(SPREAD):
                step = np.zeros(len(SPREAD))
                step[k] = 0.05 * spread
                slope = self._energies(pair, theta + step) - self._energies(pair, theta - step)
                tangents[rows, len(SPREAD) * pair + k] = slope / (0.1 * self.kt)
        centre = self.kt * ((PRIOR - self.theta) / SPREAD).ravel()
        return Reference("mie", values, csr_array(tangents), centre, self.moved)

    def energies(self, parts: int) -> Array:
        """Of the parts at the knots, shape (parts, P, K); further parts are zero."""
        values = np.zeros((parts, len(self.theta), self.grid.knots))
        values[0] = [self._energies(pair, theta) for pair, theta in enumerate(self.theta)]
        return values

    def moved(self, coordinates: Array) -> MieFamily:
        """With the parameters at the coordinates (q,) of `reference`, as far as they make sense."""
        theta = self.theta + SPREAD * coordinates.reshape(-1, len(SPREAD)) / self.kt
        return replace(self, theta=np.clip(theta, LOWEST, HIGHEST))

    def _energies(self, pair: int, theta: Array) -> Array:
        epsilon, sigma = self.kt * np.exp(theta[0]), self.contact[pair] * np.exp(theta[1])
        parameters = np.array([epsilon, sigma, theta[2], ATTRACTION])
        return mie(self.grid.distances(pair), parameters, self.grid.cutoff)
