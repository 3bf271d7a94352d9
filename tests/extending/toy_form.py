"""A functional form from outside of the package: Gaussian repulsion."""

# Without "from __future__ import annotations": torch.jit cannot resolve annotations from strings.

from collections.abc import Sequence

import torch

from diffsim.potentials import FORMS, PairPotential


class Gaussian(PairPotential):
    """u(r) = a exp(-r^2 / 2 s^2) (1 - r^2 / r_c^2)^2, with the strength a learned."""

    def __init__(
        self,
        species: Sequence[str],
        cutoff: float,
        units: str = "lj",
        *,
        a: float,
        width: float,
    ) -> None:
        super().__init__(species, cutoff, units)
        self.width = float(width)
        self.a = torch.nn.Parameter(torch.full((self.n_pairs,), float(a), dtype=torch.float64))

    def pair_energy(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """See `PairPotential`."""
        end = (1.0 - (r / self.cutoff) ** 2) ** 2
        energy: torch.Tensor = self.a[pair] * torch.exp(-0.5 * (r / self.width) ** 2) * end
        return energy


FORMS["gaussian"] = Gaussian
