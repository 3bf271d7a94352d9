"""What the closed-form potentials share: parameters per pair of species, and the shift."""

from __future__ import annotations

import torch

from diffsim.potentials.base import PairPotential
from diffsim.potentials.options import PairValues, pair_values


class ClosedForm(PairPotential):
    """A formula u(r) with a few parameters per pair of species, shifted to zero at the cutoff.

    The energy is ``u(r) - u(cutoff)``; the force keeps its step at the cutoff, as that of LAMMPS's
    ``pair_modify shift yes`` does. Subclasses write ``formula``.
    """

    def formula(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy before the shift (scriptable), with the shapes of ``pair_energy``."""
        raise NotImplementedError

    def pair_energy(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy of a pair inside the cutoff; see ``PairPotential.pair_energy``."""
        every_pair = torch.arange(self.n_pairs, device=r.device)
        at_cutoff = self.formula(
            torch.full_like(every_pair, self.cutoff, dtype=r.dtype), every_pair
        )
        return self.formula(r, pair) - at_cutoff[pair]

    def log_parameter(self, name: str, values: PairValues) -> torch.nn.Parameter:
        """Logarithms of positive ``values``, shape (n_pairs,): no step can turn their sign."""
        return torch.nn.Parameter(pair_values(name, values, self.n_species).log())
