"""The potentials that the targets come from. The trainings do not see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mie:
    r"""A Mie potential for each pair of species, cut and shifted to zero there.

    .. math:: u(r) = C \epsilon [(\sigma / r)^n - (\sigma / r)^m] - u_c,  \quad
        C = \frac{n}{n - m} \left(\frac{n}{m}\right)^{m / (n - m)}

    Attributes
    ----------
    epsilon, sigma, cutoff
        Of the pairs of species in the order (0, 0), (0, 1), ..., (1, 1), ...
    n, m
        Exponents; Lennard-Jones by default.
    """

    epsilon: tuple[float, ...] = (1.0,)
    sigma: tuple[float, ...] = (1.0,)
    cutoff: tuple[float, ...] = (2.5,)
    n: float = 12.0
    m: float = 6.0

    def __call__(self, r: Array, a: int = 0, b: int = 0) -> Array:
        """Energies at distances r (k,) for two species."""
        index = pairs_of(self.species).index((min(a, b), max(a, b)))
        epsilon, sigma, end = self.epsilon[index], self.sigma[index], self.cutoff[index]
        n, m = self.n, self.m
        factor = n / (n - m) * (n / m) ** (m / (n - m)) * epsilon

        def uncut(r: Array) -> Array:
            return np.asarray(factor * ((sigma / r) ** n - (sigma / r) ** m))

        return np.asarray(np.where(r < end, uncut(r) - uncut(np.float64(end)), 0.0))

    @property
    def species(self) -> int:
        """Number of species."""
        return round((np.sqrt(8 * len(self.epsilon) + 1) - 1) / 2)

    @property
    def commands(self) -> tuple[str, ...]:
        """LAMMPS commands that set the pair style; type i is species i - 1."""
        lennard_jones = (self.n, self.m) == (12.0, 6.0)
        style, exponents = (
            ("lj/cut/opt", "") if lennard_jones else ("mie/cut", f"{self.n} {self.m} ")
        )
        values = zip(pairs_of(self.species), self.epsilon, self.sigma, self.cutoff, strict=True)
        return (
            f"pair_style {style} {max(self.cutoff)}",
            *(
                f"pair_coeff {a + 1} {b + 1} {epsilon} {sigma} {exponents}{cutoff}"
                for (a, b), epsilon, sigma, cutoff in values
            ),
        )


@dataclass(frozen=True)
class Morse:
    r"""The potential of Morse of one species, cut and shifted to zero there.

    .. math:: u(r) = D [e^{-2 \alpha (r - r_0)} - 2 e^{-\alpha (r - r_0)}] - u_c
    """

    depth: float
    alpha: float
    place: float
    cutoff: tuple[float]

    def __call__(self, r: Array, a: int = 0, b: int = 0) -> Array:
        """Energies at distances r (k,)."""
        del a, b  # there is one species
        (end,) = self.cutoff

        def uncut(r: Array) -> Array:
            x = np.exp(-self.alpha * (r - self.place))
            return np.asarray(self.depth * (x**2 - 2.0 * x))

        return np.asarray(np.where(r < end, uncut(r) - uncut(np.float64(end)), 0.0))

    @property
    def species(self) -> int:
        """Number of species."""
        return 1

    @property
    def commands(self) -> tuple[str, ...]:
        """LAMMPS commands that set the pair style."""
        return (
            f"pair_style morse {self.cutoff[0]}",
            f"pair_coeff 1 1 {self.depth} {self.alpha} {self.place}",
            "pair_modify shift yes",
        )


def pairs_of(species: int) -> list[tuple[int, int]]:
    """Pairs of species in the order of the targets."""
    return [(a, b) for a in range(species) for b in range(a, species)]


def mixed(epsilon: tuple[float, ...], sigma: tuple[float, ...], cutoff: float) -> Mie:
    """Lennard-Jones of several species with the rules of Lorentz and Berthelot and one cutoff."""
    pairs = pairs_of(len(epsilon))
    return Mie(
        tuple(float(np.round(np.sqrt(epsilon[a] * epsilon[b]), 6)) for a, b in pairs),
        tuple(0.5 * (sigma[a] + sigma[b]) for a, b in pairs),
        (cutoff,) * len(pairs),
    )


LENNARD_JONES = Mie()
REPULSIVE = Mie(cutoff=(2.0 ** (1.0 / 6.0),))
"""The core of Weeks, Chandler and Andersen."""
