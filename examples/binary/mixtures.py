"""The true potentials and the states of the mixtures, in lj units.

The training does not see this file: its only use is in making the targets and in the errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPECIES = ("A", "B")
ATOMS = 1000
PAIRS = {(0, 0): "A-A", (0, 1): "A-B", (1, 1): "B-B"}
Values = tuple[float, float, float]


@dataclass(frozen=True)
class Mixture:
    """Lennard-Jones for each pair: epsilon, sigma, cutoff of A-A, A-B, B-B; shifted to zero there.

    `states` are the names of its targets with number of B atoms, density and temperature, `reach`
    the range of these.
    """

    epsilon: Values
    sigma: Values
    cutoff: Values
    states: dict[str, tuple[int, float, float]]
    reach: float

    def energies(self, r: NDArray[np.float64], a: int, b: int) -> NDArray[np.float64]:
        """Energies at distances r (n,) for two species."""
        pair = list(PAIRS).index((min(a, b), max(a, b)))
        epsilon, sigma, cutoff = self.epsilon[pair], self.sigma[pair], self.cutoff[pair]
        x6, end = (sigma / r) ** 6, (sigma / cutoff) ** 6
        return np.asarray(np.where(r < cutoff, 4 * epsilon * (x6**2 - x6 - end**2 + end), 0.0))

    @property
    def commands(self) -> list[str]:
        """LAMMPS commands that set the pair style."""
        values = zip(PAIRS, self.epsilon, self.sigma, self.cutoff, strict=True)
        return [f"pair_style lj/cut/opt {max(self.cutoff)}"] + [
            f"pair_coeff {a + 1} {b + 1} {epsilon} {sigma} {cutoff}"
            for (a, b), epsilon, sigma, cutoff in values
        ]


TWO_SIZES = Mixture(
    epsilon=(1.0, 1.0, 1.0),
    sigma=(1.0, 0.9, 0.8),
    cutoff=(2.5, 2.5, 2.5),
    # rho sum_i x_i sigma_i^3 = 0.7 at all compositions
    states={
        "x25": (250, 0.797, 1.2),
        "x50": (500, 0.926, 1.2),
        "x75": (750, 1.104, 1.2),
    },
    reach=4.0,
)

KOB_ANDERSEN = Mixture(
    epsilon=(1.0, 1.5, 0.5),
    sigma=(1.0, 0.8, 0.88),
    cutoff=(2.5, 2.0, 2.2),
    states={"ka": (200, 1.2, 1.0)},
    reach=4.7,  # half of the box
)
"""W. Kob and H. C. Andersen, Phys. Rev. E 51, 4626 (1995): 80:20, rho = 1.2."""

MIXTURES = {name: mixture for mixture in (TWO_SIZES, KOB_ANDERSEN) for name in mixture.states}
"""The mixture of each target."""
