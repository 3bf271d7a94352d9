"""The Mie (n-m) potential and Lennard-Jones, its 12-6 case."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from diffsim.errors import InputError
from diffsim.potentials.closed_form import ClosedForm
from diffsim.potentials.options import PairValues, check_number


class Mie(ClosedForm):
    """Mie potential with learnable epsilon and sigma per pair of species.

    ``u(r) = C epsilon [(sigma/r)^n - (sigma/r)^m] - (the same at the cutoff)`` with
    ``C = n/(n-m) (n/m)^(m/(n-m))``, so that the well is epsilon deep before the shift
    (G. Mie, Ann. Phys. 316, 657 (1903); LAMMPS's ``pair_style mie/cut``).

    Parameters
    ----------
    species, cutoff, units
        See ``PairPotential``.
    epsilon
        Depth of the well, in energy units: a positive number, or a symmetric array-like of
        shape (n_species, n_species). The default, like that of sigma, is meant for lj units.
    sigma
        Where the unshifted energy is zero, in distance units: likewise.
    n, m
        Exponents of repulsion and attraction, n > m > 0; not learned.

    Attributes
    ----------
    log_epsilon, log_sigma : torch.nn.Parameter
        Natural logarithms of the parameters, shape (n_pairs,), in the order of ``pair_index``.

    Raises
    ------
    InputError
        If an argument is not as described.
    """

    def __init__(
        self,
        species: Sequence[str],
        cutoff: float,
        units: str = "lj",
        epsilon: PairValues = 1.0,
        sigma: PairValues = 1.0,
        n: float = 12.0,
        m: float = 6.0,
    ) -> None:
        super().__init__(species, cutoff, units)
        self.n = check_number("n", n, positive=True)
        self.m = check_number("m", m, positive=True)
        if self.n <= self.m:
            raise InputError(
                f"n must be greater than m, or there is no repulsion; found n = {n}, m = {m}."
            )
        self.prefactor = float(
            self.n / (self.n - self.m) * (self.n / self.m) ** (self.m / (self.n - self.m))
        )
        self.log_epsilon = self.log_parameter("epsilon", epsilon)
        self.log_sigma = self.log_parameter("sigma", sigma)

    def formula(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy before the shift; see ``ClosedForm.formula``."""
        x = self.log_sigma.exp()[pair] / r
        shape = x**self.n - x**self.m
        return self.prefactor * self.log_epsilon.exp()[pair] * shape


class LennardJones(Mie):
    """Lennard-Jones potential, the 12-6 case of ``Mie``: same arguments without n and m.

    ``u(r) = 4 epsilon [(sigma/r)^12 - (sigma/r)^6] - (the same at the cutoff)``
    (LAMMPS's ``pair_style lj/cut`` with ``pair_modify shift yes``).
    """

    def __init__(
        self,
        species: Sequence[str],
        cutoff: float,
        units: str = "lj",
        epsilon: PairValues = 1.0,
        sigma: PairValues = 1.0,
    ) -> None:
        super().__init__(species, cutoff, units, epsilon, sigma)
