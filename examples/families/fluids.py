"""The true potentials of the five fluids. Energies are in kT, distances in sigma.

The training does not see this file: its only use is in making the targets and in the errors.
"""

from __future__ import annotations

import torch

from diffsim.potentials import Mie, Morse, PairPotential
from diffsim.potentials.closed_form import ClosedForm

SPECIES, CUTOFF = ["A"], 2.5  # all are cut there, and shifted to zero


class ScreenedCharges(ClosedForm):
    """Screened charges with a core: ``u(r) = 60 exp(-3 r) / r + r^-12``, 4 kT at contact."""

    def formula(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy before the shift; see ``ClosedForm.formula``."""
        return 60.0 * torch.exp(-3.0 * r) / r + r ** (-12.0)


class SoftSphere(ClosedForm):
    """Inverse power repulsion ``u(r) = 4 r^-6``, half as steep as any wall of the others."""

    def formula(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy before the shift; see ``ClosedForm.formula``."""
        return 4.0 * r ** (-6.0)


class CoreSoftened(ClosedForm):
    """Two length scales: ``u(r) = 2 [r^-14 + (1 - tanh(10 (r - 1.35))) / 2]``.

    A core at 1 and a repulsive shoulder at 1.35 (Fomin, Gribova, Ryzhov, Stishov and Frenkel,
    J. Chem. Phys. 129, 064512 (2008)), at kT = epsilon / 2.
    """

    def formula(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy before the shift; see ``ClosedForm.formula``."""
        return 2.0 * r ** (-14.0) + 1.0 - torch.tanh(10.0 * (r - 1.35))


FLUIDS: dict[str, PairPotential] = {
    "mie": Mie(SPECIES, CUTOFF, epsilon=0.8, n=9, m=6),
    "morse": Morse(SPECIES, CUTOFF, d0=1.0, alpha=5.0, r0=1.12),
    "yukawa": ScreenedCharges(SPECIES, CUTOFF, "lj"),
    "soft-sphere": SoftSphere(SPECIES, CUTOFF, "lj"),
    "core-softened": CoreSoftened(SPECIES, CUTOFF, "lj"),
}

LAMMPS_STYLES = {
    "mie": [f"pair_style mie/cut {CUTOFF}", "pair_coeff 1 1 0.8 1.0 9 6"],
    "morse": [f"pair_style morse/opt {CUTOFF}", "pair_coeff 1 1 1.0 5.0 1.12"],
}
"""LAMMPS's own pair styles where it has them; pair_style diffsim simulates the others."""
