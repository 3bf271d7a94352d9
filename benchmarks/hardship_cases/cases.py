"""The difficult inputs, one entry each: a liquid, what is done to its g(r), what else is wrong.

To add one is to add an entry to `CASES`; a new liquid is an entry in `fluids.FLUIDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hardship_cases.damages import (
    Damage,
    cut,
    digitised,
    in_turn,
    noisy,
    rebinned,
    scaled,
    shifted,
    smeared,
)
from hardship_cases.fluids import FLUIDS, Fluid

SIMULATION = {"steps": 2300, "every": 20, "equilibration": 1500, "relaxation": 250}
"""As in ``examples/lj``; everything that is not said here is a default of diffsim."""


@dataclass(frozen=True)
class Case:
    """A difficult input.

    Attributes
    ----------
    name, title
        Of its folder, and in the table.
    of
        Name of the liquid that its targets come from.
    damage
        What happened to their g(r); None leaves the files as they are.
    pressure
        Whether the pressure of the liquid, with its error, is a target too.
    temperature, variables
        Where the training is told another state, or another number of atoms, than the liquid's.
    target
        Further keys of the targets in the configuration.
    shift
        The potential is judged against u(r - shift): a curve that is shifted is, to the data, that
        of larger atoms.
    iterations
        Of the training.
    well
        The largest relative error of the depth of the well, where there is a goal.
    most_seeds
        Of an expensive case.
    """

    name: str
    title: str
    of: str = "lj"
    damage: Damage | None = None
    pressure: bool = False
    temperature: float | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)
    shift: float = 0.0
    iterations: int = 10
    well: float | None = None
    most_seeds: int = 3

    @property
    def fluid(self) -> Fluid:
        """The liquid."""
        return FLUIDS[self.of]


CASES = {
    case.name: case
    for case in (
        Case("lj", "Lennard-Jones, nothing wrong"),
        Case("lj_scaled", "g times 0.998", damage=scaled(0.998)),
        Case("lj_tail", "g times 1 - 1/400", damage=scaled(1.0 - 1.0 / 400.0)),
        Case("lj_shifted", "r shifted by half a bin (0.01)", damage=shifted(0.01), shift=0.01),
        Case(
            "lj_smeared",
            "smeared over one bin (0.02), declared",
            damage=smeared(0.02),
            target={"smearing": 0.02},
        ),
        Case("lj_noise", "noise 0.01, errors not given", damage=noisy(0.01)),
        Case("lj_noise_known", "noise 0.03, errors given", damage=noisy(0.03, known=True)),
        Case("lj_dense", "box 2 % too dense", variables={"density": 0.714}),
        Case("lj_warm", "T 5 % too high", temperature=1.05),
        Case("lj_coarse", "bins of 0.1", damage=rebinned(5)),
        Case("lj_8000", "8,000 atoms", variables={"cells": 20}),
        Case("lj_32000", "32,768 atoms", variables={"cells": 32}, most_seeds=2),
        Case("lj_100000", "97,336 atoms", variables={"cells": 46}, most_seeds=1),
        Case(
            "triple",
            "near the triple point, 4,096 atoms learned with 1,000",
            of="triple",
            variables={"cells": 10},
            well=0.10,
        ),
        Case(
            "triple_pressure",
            "near the triple point, and its pressure",
            of="triple",
            variables={"cells": 10},
            pressure=True,
            well=0.03,
        ),
        Case("mie", "Mie 9-6, nothing wrong", of="mie"),
        Case(
            "mie_digitised",
            "digitised: 120 uneven points, 3 digits, to 3.6",
            of="mie",
            damage=in_turn(cut(0.5, 3.6), digitised(120)),
        ),
        Case("mie_cut", "cut at 2.8", of="mie", damage=cut(0.0, 2.8)),
        Case("mie_scaled", "g times 1.01", of="mie", damage=scaled(1.01)),
        Case(
            "mie_all",
            "digitised, smeared (0.02), scaled (1.005), shifted (0.005), noise 0.01, to 3.6",
            of="mie",
            damage=in_turn(
                smeared(0.02),
                scaled(1.005),
                shifted(0.005),
                noisy(0.01),
                cut(0.5, 3.6),
                digitised(120),
            ),
            shift=0.005,
        ),
        Case(
            "morse_bare",
            "Morse, number of atoms and errors not given",
            of="morse",
            damage=scaled(1.0),
        ),
        Case("dimers", "rigid dimers", of="dimers", iterations=20),
        Case("critical", "near the critical point", of="critical", iterations=20),
        Case("melt", "bead-spring melt, all pairs", of="melt", iterations=20),
        Case("melt_between", "bead-spring melt, between chains", of="melt_between", iterations=20),
        Case("trimers", "three-bead molecules A-B-A", of="trimers"),
        Case("demixing", "two components, slow demixing", of="demixing"),
        Case("six", "six species, 21 pairs", of="six", most_seeds=2),
        Case("mw", "mW water, g(r) and pressure", of="mw", pressure=True),
        Case("bent", "rigid molecules as one bead, g(r) and pressure", of="bent", pressure=True),
    )
}
