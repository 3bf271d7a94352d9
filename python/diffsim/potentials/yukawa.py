"""The Yukawa (screened Coulomb) potential."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from diffsim.potentials.closed_form import ClosedForm
from diffsim.potentials.options import PairValues, pair_values


class Yukawa(ClosedForm):
    """Yukawa potential with learnable strength and screening per pair of species.

    ``u(r) = a exp(-kappa r) / r - (the same at the cutoff)`` (H. Yukawa, Proc. Phys.-Math. Soc.
    Jpn. 17, 48 (1935); LAMMPS's ``pair_style yukawa``).

    Parameters
    ----------
    species, cutoff, units
        See ``PairPotential``.
    a
        Strength, in energy times distance units, repulsive where positive and attractive where
        negative: a number, or a symmetric array-like of shape (n_species, n_species).
    kappa
        Inverse screening length, in 1/distance units: likewise, positive.

    Attributes
    ----------
    a : torch.nn.Parameter
        Strengths, shape (n_pairs,), in the order of ``pair_index``. Not a logarithm, as training
        may turn a repulsion into an attraction.
    log_kappa : torch.nn.Parameter
        Natural logarithms of the inverse screening lengths, likewise.

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
        kappa: PairValues,
    ) -> None:
        super().__init__(species, cutoff, units)
        self.a = torch.nn.Parameter(pair_values("a", a, self.n_species, positive=False))
        self.log_kappa = self.log_parameter("kappa", kappa)

    def formula(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy before the shift; see ``ClosedForm.formula``."""
        return self.a[pair] * torch.exp(-self.log_kappa.exp()[pair] * r) / r
