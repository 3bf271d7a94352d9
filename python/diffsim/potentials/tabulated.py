"""The potential of a knots file: a spline without weights, for all that does not learn."""

from __future__ import annotations

import os

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from diffsim import _core
from diffsim.arrays import Array, Integers
from diffsim.errors import ModelError
from diffsim.potentials.base import PairPotential, pair_index
from diffsim.potentials.model_file import check_model

FIRST_WORD = b"diffsim-knots"


class Tabulated(PairPotential):
    """The C2 cubic spline in s = r^2 through given energies that ``pair_style diffsim`` simulates.

    Below the innermost knot it goes on linearly in s, and it is zero from the last one on. Its
    energies have no graph: it can be a reference, be exported and compared, but not be trained.

    Parameters
    ----------
    knots
        Of all pairs of species, as `_core.Knots.read` reads them.
    """

    def __init__(self, knots: _core.Knots) -> None:
        super().__init__(knots.species, knots.cutoff, knots.units)
        self._inner, self._outer = np.asarray(knots.inner), np.asarray(knots.outer)
        self._splines = []
        for inner, outer, values in zip(self._inner, self._outer, knots.values, strict=True):
            s = np.linspace(inner**2, outer**2, len(values))
            self._splines.append(CubicSpline(s, values, bc_type="not-a-knot"))

    def energies_and_slopes(self, r: Array, a: Integers, b: Integers) -> tuple[Array, Array]:
        """u and du/dr; see `diffsim.potentials.model.HasSlopes`."""
        energies, slopes = np.zeros_like(r), np.zeros_like(r)
        of = pair_index(torch.tensor(a), torch.tensor(b), self.n_species).numpy()
        for pair, spline in enumerate(self._splines):
            chosen = np.flatnonzero((of == pair) & (r < self._outer[pair]))
            s = r[chosen] ** 2
            inside = np.maximum(s, self._inner[pair] ** 2)
            slope = spline(inside, 1)
            energies[chosen] = spline(inside) + slope * (s - inside)
            slopes[chosen] = 2.0 * r[chosen] * slope
        return energies, slopes

    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        """Pair energies without a graph; see ``PairPotential.forward``."""
        energies, _ = self.energies_and_slopes(r.detach().numpy(), type_i.numpy(), type_j.numpy())
        return torch.from_numpy(energies)

    def script(self) -> torch.jit.ScriptModule:
        """Refused, and with it `save`: there is no TorchScript in it.

        Raises
        ------
        ModelError
        """
        raise ModelError(
            "The potential of a knots file is no TorchScript model, and cannot be saved as one. "
            "Copy the knots file, which pair_style diffsim reads as well."
        )


def read_knots_file(path: str | os.PathLike[str], ends_at_zero: bool = True) -> Tabulated:
    """Read a knots file.

    Raises
    ------
    ModelError
        If it is not one from its first to its last line, or its energies are not zero at the end
        though they must be (see `diffsim.potentials.check_model`).
    """
    try:
        potential = Tabulated(_core.Knots.read(str(path)))
    except _core.PotentialError as error:
        raise ModelError(str(error)) from None
    check_model(potential, f"The knots file {path}", ends_at_zero)
    return potential


def is_knots_file(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a knots file, after comments and blanks."""
    for line in head.splitlines():
        words = line.split()
        if words and not words[0].startswith(b"#"):
            return words[0] == FIRST_WORD
    return False
