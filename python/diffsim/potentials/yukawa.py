"""The Yukawa (screened Coulomb) potential."""

# Without "from __future__ import annotations": torch.jit reads the classes' annotations below and
# cannot resolve them from strings.

from collections.abc import Sequence

import torch

from diffsim.potentials.closed_form import Bounds, ClosedForm
from diffsim.potentials.options import PairValues


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
    fixed, bounds
        See ``ClosedForm``.

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

    NAMES = ("a", "kappa")

    def __init__(
        self,
        species: Sequence[str],
        cutoff: float,
        units: str = "lj",
        *,
        a: PairValues,
        kappa: PairValues,
        fixed: Sequence[str] = (),
        bounds: Bounds | None = None,
    ) -> None:
        super().__init__(species, cutoff, units, fixed, bounds)
        self.a, self.a_of = self.parameter("a", a, positive=False)
        self.log_kappa, self.kappa_of = self.parameter("kappa", kappa)

    def formula(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy before the shift; see ``ClosedForm.formula``."""
        kappa = self.kappa_of(self.log_kappa)[pair]
        energy: torch.Tensor = self.a_of(self.a)[pair] * torch.exp(-kappa * r) / r
        return energy
