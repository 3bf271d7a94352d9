"""A system: the user's LAMMPS script, its temperature, and what is known of its structure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

from diffsim.errors import InputError
from diffsim.targets import Goal, Target, WindowTarget


@dataclass(frozen=True)
class System:
    """One state point that the potential has to reproduce.

    Parameters
    ----------
    script
        LAMMPS input script with everything but the pair style that is learned: units, atoms,
        velocities, thermostat, time step, other interactions; no ``run``. It can use the variables
        ``${temperature}``, ``${seed}`` (a new integer for every piece of simulation), ``${folder}``
        (the script's own folder, for the files that it reads) and those of `variables`.
    temperature
        In the units of the script. The thermostat of the script must hold it: the Boltzmann
        weights are those of this temperature.
    targets
        What it has to reproduce: distribution functions, pressure, diffusion ...
        (`diffsim.targets`).
    name
        Appears in the metrics and file names; the script's stem by default.
    types
        Species of the LAMMPS types 1, 2, ...; the potential's species in order by default.
    variables
        Values of further variables of the script.
    weight
        Of the system in the loss.
    intermolecular
        Whether the distribution functions are those of atoms of different molecules only, by
        LAMMPS's molecule IDs; an atom with the ID 0 is in no molecule.
    validation
        Whether the system is only simulated and reported: a test of what was learned from others.

    Raises
    ------
    InputError
        If the script does not exist, or a number is out of its range.
    """

    script: Path
    temperature: float
    targets: Sequence[Target | WindowTarget]
    name: str = ""
    types: Sequence[str] | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    intermolecular: bool = False
    validation: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "script", Path(self.script))
        if isinstance(self.targets, str) or not isinstance(self.targets, Iterable):
            raise InputError(
                f"The targets of the system with the script {self.script} should be a list, but "
                f"are {type(self.targets).__name__}. Put brackets round a single one."
            )
        object.__setattr__(self, "targets", tuple(self.targets))
        object.__setattr__(self, "name", self.name or self.script.stem)
        for target in self.targets:
            if not isinstance(target, Goal):
                raise InputError(
                    f"A target of system '{self.name}' is a {type(target).__name__}; it must be "
                    "one of diffsim.targets, or of a subclass of Target or WindowTarget there."
                )
        if not self.script.is_file():
            raise InputError(
                f"The LAMMPS script {self.script} of system '{self.name}' does not exist. Give the "
                "path of an input script."
            )
        if "/" in self.name or self.name.startswith("."):
            raise InputError(
                f"The name of system '{self.name}' must be usable as the name of a file; leave out "
                "slashes and a leading dot."
            )
        for what, value in (("temperature", self.temperature), ("weight", self.weight)):
            if not (isinstance(value, Real) and math.isfinite(value) and value > 0):
                raise InputError(
                    f"The {what} of system '{self.name}' is {value!r}; it must be a positive "
                    "number."
                )
        if not self.targets:
            raise InputError(f"System '{self.name}' has no targets; give at least one.")
        reserved = {"temperature", "seed", "folder"} & set(self.variables)
        if reserved:
            raise InputError(
                f"The variable '{min(reserved)}' of system '{self.name}' is set by diffsim itself; "
                "leave it out of the variables."
            )

    def __repr__(self) -> str:
        """Without the numbers of the targets."""
        labels = ", ".join(target.label for target in self.targets)
        return (
            f"System('{self.script}', temperature={self.temperature:g}, name='{self.name}', "
            f"targets: {labels})"
        )

    @property
    def averages(self) -> list[Target]:
        """Targets that are averages over frames, as those of the motion are once windows are made
        for them."""
        return [target for target in self.targets if isinstance(target, Target)]

    def script_variables(self, seed: int) -> dict[str, Any]:
        """The values of all variables that the script can use."""
        return {
            "temperature": self.temperature,
            "seed": seed,
            "folder": self.script.resolve().parent,
            **self.variables,
        }
