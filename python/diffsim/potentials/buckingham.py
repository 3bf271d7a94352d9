"""The Buckingham (exp-6) potential."""

# Without "from __future__ import annotations": torch.jit reads the classes' annotations below and
# cannot resolve them from strings.

import math
from collections.abc import Callable, Sequence

import torch

from diffsim.potentials.closed_form import Bounds, ClosedForm, Well
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
    fixed, bounds
        See ``ClosedForm``.

    Attributes
    ----------
    log_a, log_rho, log_c : torch.nn.Parameter
        Natural logarithms of the parameters, shape (n_pairs,), in the order of ``pair_index``.

    Raises
    ------
    InputError
        If an argument is not as described.
    """

    NAMES = ("a", "rho", "c")

    def __init__(
        self,
        species: Sequence[str],
        cutoff: float,
        units: str = "lj",
        *,
        a: PairValues,
        rho: PairValues,
        c: PairValues,
        fixed: Sequence[str] = (),
        bounds: Bounds | None = None,
    ) -> None:
        super().__init__(species, cutoff, units, fixed, bounds)
        self.log_a, self.a_of = self.parameter("a", a)
        self.log_rho, self.rho_of = self.parameter("rho", rho)
        self.log_c, self.c_of = self.parameter("c", c)

    def formula(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy before the shift; see ``ClosedForm.formula``."""
        a, rho, c = self.a_of(self.log_a), self.rho_of(self.log_rho), self.c_of(self.log_c)
        energy: torch.Tensor = a[pair] * torch.exp(-r / rho[pair]) - c[pair] / r**6
        return energy

    @torch.jit.unused
    def first_guess(self, pair: int, find: Callable[[float | None, float], Well]) -> None:
        """Set a pair to the well's depth, place and curvature; see ``ClosedForm.first_guess``.

        With z = r_0/rho, ``u = epsilon [6 exp(z (1 - r/r_0)) - z (r_0/r)^6] / (z - 6)`` has its
        minimum at r_0, and the curvature ``6 n epsilon / r_0^2`` of the n-6 potential for
        ``z^2 - (n + 7) z + 6 n = 0``.
        """
        well = find(None, 6.0)
        z = 0.5 * (well.n + 7.0 + math.sqrt((well.n + 7.0) ** 2 - 24.0 * well.n))
        depth = well.epsilon / (z - 6.0)
        self.set_values(self.log_a, self.a_of, {pair: 6.0 * depth * math.exp(z)})
        self.set_values(self.log_rho, self.rho_of, {pair: well.minimum / z})
        self.set_values(self.log_c, self.c_of, {pair: depth * z * well.minimum**6})
