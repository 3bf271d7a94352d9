"""The Morse potential."""

# Without "from __future__ import annotations": torch.jit reads the classes' annotations below and
# cannot resolve them from strings.

from collections.abc import Callable, Sequence

import torch

from diffsim.potentials.closed_form import Bounds, ClosedForm, Well
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
    fixed, bounds
        See ``ClosedForm``.

    Attributes
    ----------
    log_d0, log_alpha, log_r0 : torch.nn.Parameter
        Natural logarithms of the parameters, shape (n_pairs,), in the order of ``pair_index``.

    Raises
    ------
    InputError
        If an argument is not as described.
    """

    NAMES = ("d0", "alpha", "r0")

    def __init__(
        self,
        species: Sequence[str],
        cutoff: float,
        units: str = "lj",
        *,
        d0: PairValues,
        alpha: PairValues,
        r0: PairValues,
        fixed: Sequence[str] = (),
        bounds: Bounds | None = None,
    ) -> None:
        super().__init__(species, cutoff, units, fixed, bounds)
        self.log_d0, self.d0_of = self.parameter("d0", d0)
        self.log_alpha, self.alpha_of = self.parameter("alpha", alpha)
        self.log_r0, self.r0_of = self.parameter("r0", r0)

    def formula(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy before the shift; see ``ClosedForm.formula``."""
        alpha, r0 = self.alpha_of(self.log_alpha)[pair], self.r0_of(self.log_r0)[pair]
        decay = torch.exp(-alpha * (r - r0))
        energy: torch.Tensor = self.d0_of(self.log_d0)[pair] * decay * (decay - 2.0)
        return energy

    @torch.jit.unused
    def first_guess(self, pair: int, find: Callable[[float | None, float], Well]) -> None:
        """Set a pair to the well's depth, place and curvature; see ``ClosedForm.first_guess``."""
        well = find(None, 6.0)
        # u'' = 2 d0 alpha^2 = epsilon n m / r0^2
        alpha = (0.5 * well.n * well.m) ** 0.5 / well.minimum
        self.set_values(self.log_d0, self.d0_of, {pair: well.epsilon})
        self.set_values(self.log_alpha, self.alpha_of, {pair: alpha})
        self.set_values(self.log_r0, self.r0_of, {pair: well.minimum})
