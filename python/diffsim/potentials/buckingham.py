"""The Buckingham (exp-6) potential."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from diffsim.potentials.closed_form import ClosedForm
from diffsim.potentials.options import PairValues


class Buckingham(ClosedForm):
    """Buckingham potential with learnable a, rho and c per pair of species.

    ``u(r) = a exp(-r/rho) - c/r^6 - (the same at the cutoff)`` (R. A. Buckingham, Proc. R. Soc.
    Lond. A 168, 264 (1938); LAMMPS's ``pair_style buck``).

    The formula turns over at small r and falls to minus infinity at r = 0. Where atoms can get
    there (high temperature, poor first guesses), add a wall, for example a ``Mie`` of small sigma.

    Parameters
    ----------
    species, cutoff, units
        See ``PairPotential``.
    a
        Strength of the repulsion, in energy units: a positive number, or a symmetric array-like
        of shape (n_species, n_species).
    rho
        Length on which the repulsion decays, in distance units: likewise.
    c
        Strength of the dispersion, in energy times distance^6 units: likewise.

    Attributes
    ----------
    log_a, log_rho, log_c : torch.nn.Parameter
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
        *,
        a: PairValues,
        rho: PairValues,
        c: PairValues,
    ) -> None:
        super().__init__(species, cutoff, units)
        self.log_a = self.log_parameter("a", a)
        self.log_rho = self.log_parameter("rho", rho)
        self.log_c = self.log_parameter("c", c)

    def formula(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy before the shift; see ``ClosedForm.formula``."""
        repulsion = self.log_a.exp()[pair] * torch.exp(-r / self.log_rho.exp()[pair])
        return repulsion - self.log_c.exp()[pair] / r**6
