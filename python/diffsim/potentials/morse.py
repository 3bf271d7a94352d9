"""The Morse potential."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from diffsim.potentials.closed_form import ClosedForm
from diffsim.potentials.options import PairValues


class Morse(ClosedForm):
    """Morse potential with learnable depth, width and position of its well per pair of species.

    ``u(r) = d0 [exp(-2 alpha (r - r0)) - 2 exp(-alpha (r - r0))] - (the same at the cutoff)``;
    before the shift the minimum is -d0 at r0 (P. M. Morse, Phys. Rev. 34, 57 (1929); names as in
    LAMMPS's ``pair_style morse``). The wall is soft: the energy at r = 0 is finite.

    Parameters
    ----------
    species, cutoff, units
        See ``PairPotential``.
    d0
        Depth of the well, in energy units: a positive number, or a symmetric array-like of shape
        (n_species, n_species).
    alpha
        Inverse width of the well, in 1/distance units: likewise.
    r0
        Position of the minimum, in distance units: likewise.

    Attributes
    ----------
    log_d0, log_alpha, log_r0 : torch.nn.Parameter
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
        d0: PairValues,
        alpha: PairValues,
        r0: PairValues,
    ) -> None:
        super().__init__(species, cutoff, units)
        self.log_d0 = self.log_parameter("d0", d0)
        self.log_alpha = self.log_parameter("alpha", alpha)
        self.log_r0 = self.log_parameter("r0", r0)

    def formula(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy before the shift; see ``ClosedForm.formula``."""
        decay = torch.exp(-self.log_alpha.exp()[pair] * (r - self.log_r0.exp()[pair]))
        return self.log_d0.exp()[pair] * decay * (decay - 2.0)
