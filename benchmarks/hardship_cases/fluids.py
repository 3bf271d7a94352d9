"""The liquids that targets come from, one entry each; ``hardship_targets.py`` simulates them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardship_cases.truths import LENNARD_JONES, REPULSIVE, Mie, Morse, mixed, pairs_of

HERE = Path(__file__).resolve().parent
SYSTEMS, TARGETS = HERE / "systems", HERE / "targets"
EXAMPLES = HERE.parents[1] / "examples"


@dataclass(frozen=True)
class Fluid:
    """A liquid with a known potential.

    Attributes
    ----------
    name
        Of its targets' files.
    state
        What it is, in words, for the head of these files.
    script
        LAMMPS script without a pair style, in which the potential is learned.
    temperature
        In the units of the script.
    truth
        The pair potential; None where there is no such potential.
    commands
        LAMMPS commands that set the true interactions, where `truth` does not.
    made_in
        Script of the run that makes the targets, where it is another one.
    types
        Species of its types; -1 for types that are no bead. By default type i is species i - 1.
    species
        Names.
    cutoff
        Of the learned potential.
    variables
        Further variables of the scripts.
    units
        LAMMPS's units.
    timestep
        Of the run that makes the targets.
    steps, equilibration
        Of that run, in MD steps.
    width, reach
        Of the bins of g(r), and of all of them; at most half of the box.
    intermolecular
        Whether g(r) is that of beads of different molecules.
    file
        Its target, where that is one of an example.
    interacts
        The liquid whose g(r) is that of the pairs that interact, where the target's is not.
    """

    name: str
    state: str
    script: Path
    temperature: float
    truth: Mie | Morse | None = None
    commands: tuple[str, ...] = ()
    made_in: Path | None = None
    types: tuple[int, ...] | None = None
    species: tuple[str, ...] = ("A",)
    cutoff: float = 2.5
    variables: Mapping[str, Any] = field(default_factory=dict)
    units: str = "lj"
    timestep: float = 0.005
    steps: int = 100_000
    equilibration: int = 20_000
    width: float = 0.02
    reach: float = 5.0
    intermolecular: bool = False
    file: Path | None = None
    interacts: str | None = None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Names of the species of each pair, in the order of the targets."""
        return [(self.species[a], self.species[b]) for a, b in pairs_of(len(self.species))]

    def target(self, pair: tuple[str, str]) -> Path:
        """The file of a pair's g(r)."""
        if self.file is not None:
            return self.file
        which = "" if len(self.species) == 1 else f"_{pair[0]}-{pair[1]}"
        return TARGETS / f"{self.name}{which}.csv"

    @property
    def is_made(self) -> bool:
        """Whether its targets are there."""
        return all(self.target(pair).is_file() for pair in self.pairs)


LIQUID = SYSTEMS / "in.liquid"
SIX = mixed(
    epsilon=(1.0, 0.9, 0.8, 1.1, 1.2, 1.0), sigma=(1.0, 0.95, 0.9, 1.0, 1.05, 1.1), cutoff=2.5
)

FLUIDS = {
    fluid.name: fluid
    for fluid in (
        Fluid(
            "lj",
            "Lennard-Jones, cutoff 2.5, rho = 0.7, T = 1",
            LIQUID,
            1.0,
            LENNARD_JONES,
            variables={"density": 0.7, "cells": 10},
            reach=4.0,
            file=EXAMPLES / "lj" / "target.csv",
        ),
        Fluid(
            "triple",
            "Lennard-Jones, cutoff 3, near its triple point: rho = 0.85, T = 0.72",
            LIQUID,
            0.72,
            Mie(cutoff=(3.0,)),
            variables={"density": 0.85, "cells": 16},
            cutoff=3.0,
            steps=40_000,
            equilibration=10_000,
            reach=7.94,
        ),
        Fluid(
            "mie",
            "Mie 9-6, epsilon 0.8, cutoff 2.5, rho = 0.7, T = 1",
            LIQUID,
            1.0,
            Mie((0.8,), n=9.0, m=6.0),
            variables={"density": 0.7, "cells": 10},
            reach=4.0,
            file=EXAMPLES / "families" / "mie.csv",
        ),
        Fluid(
            "morse",
            "Morse, alpha 5, cutoff 2.5, rho = 0.7, T = 1",
            LIQUID,
            1.0,
            Morse(1.0, 5.0, 1.12, (2.5,)),
            variables={"density": 0.7, "cells": 10},
            reach=4.0,
            file=EXAMPLES / "families" / "morse.csv",
        ),
        Fluid(
            "critical",
            "Lennard-Jones, cutoff 2.5, near its critical point: rho = 0.3, T = 1.2",
            LIQUID,
            1.2,
            LENNARD_JONES,
            variables={"density": 0.3, "cells": 10},
            steps=60_000,
            equilibration=6_000,
        ),
        Fluid(
            "dimers",
            "rigid dimers of bond length 0.7, Lennard-Jones beads, cutoff 2.5, 0.32 dimers per "
            "volume, T = 1.6, between molecules",
            SYSTEMS / "in.dimers",
            1.6,
            LENNARD_JONES,
            timestep=0.004,
            intermolecular=True,
            steps=40_000,
            equilibration=8_000,
        ),
        Fluid(
            "melt",
            "chains of 50 beads (Kremer and Grest), rho = 0.85, T = 1, all pairs",
            SYSTEMS / "in.melt",
            1.0,
            REPULSIVE,
            cutoff=1.5,
            steps=40_000,
            equilibration=5_000,
            interacts="melt_between",
        ),
        Fluid(
            "melt_between",
            "chains of 50 beads (Kremer and Grest), rho = 0.85, T = 1, between molecules",
            SYSTEMS / "in.melt",
            1.0,
            REPULSIVE,
            cutoff=1.5,
            steps=40_000,
            intermolecular=True,
            equilibration=5_000,
        ),
        Fluid(
            "trimers",
            "bent molecules A-B-A with fixed bonds of 0.8, Lennard-Jones beads, cutoff 2.5, 0.3 "
            "molecules per volume, T = 1.2, between molecules",
            SYSTEMS / "in.trimers",
            1.2,
            Mie((1.0, 0.9, 0.8), (1.0, 0.95, 0.9), (2.5, 2.5, 2.5)),
            species=("A", "B"),
            timestep=0.004,
            reach=4.5,
            intermolecular=True,
            steps=40_000,
            equilibration=8_000,
        ),
        Fluid(
            "demixing",
            "Lennard-Jones mixture 50:50, epsilon 1 of like and 0.5 of unlike pairs, cutoff 2.5, "
            "above its demixing: rho = 0.8, T = 1.5",
            SYSTEMS / "in.two",
            1.5,
            Mie((1.0, 0.5, 1.0), (1.0, 1.0, 1.0), (2.5, 2.5, 2.5)),
            species=("A", "B"),
            variables={"density": 0.8},
            timestep=0.008,
            steps=10_000,
            equilibration=6_000,
        ),
        Fluid(
            "six",
            "Lennard-Jones mixture of six species, cutoff 2.5, rho = 0.75, T = 1",
            SYSTEMS / "in.six",
            1.0,
            SIX,
            species=("A", "B", "C", "D", "E", "F"),
            variables={"density": 0.75},
            steps=10_000,
            equilibration=4_000,
            reach=4.0,
        ),
        Fluid(
            "mw",
            "mW water (Molinero and Moore), 1 g/cc, 300 K",
            SYSTEMS / "in.mw",
            300.0,
            commands=("pair_style sw", f"pair_coeff * * {SYSTEMS / 'mw.sw'} mW"),
            species=("W",),
            cutoff=9.0,
            units="real",
            timestep=10.0,
            steps=8_000,
            equilibration=2_000,
            width=0.05,
            reach=12.0,
        ),
        Fluid(
            "bent",
            "rigid bent molecules of three Lennard-Jones sites, cutoff 2.5, at their centres of "
            "mass, 0.27 per volume, T = 1",
            SYSTEMS / "in.bead",
            1.0,
            commands=(
                "pair_style lj/cut/opt 2.5",
                "pair_coeff * * 1.0 1.0",
                "pair_coeff * 3 0.0 1.0",
            ),
            made_in=SYSTEMS / "in.bent",
            types=(-1, -1, 0),
            cutoff=5.0,
            variables={"density": 0.27},
            timestep=0.006,
            steps=6_000,
            equilibration=2_500,
            reach=6.3,
        ),
    )
}
"""By their names."""
