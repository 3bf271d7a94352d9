"""What a system's script may not do, and what its fixes say of the simulation."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from diffsim.errors import InputError
from diffsim.lammps.commands import Command, commands
from diffsim.lammps.processes import on_first
from diffsim.lammps.script import Script

DRIVEN = {
    "deform": "changes the box",
    "deform/pressure": "changes the box",
    "ehex": "adds and removes heat",
    "flow/gauss": "drives a flow",
    "heat": "adds heat",
    "npt/uef": "drives a flow",
    "nvt/sllod": "drives a flow",
    "nvt/uef": "drives a flow",
    "thermal/conductivity": "drives a flow of heat",
    "viscosity": "drives a flow",
}
"""Fixes that keep a fluid out of equilibrium, and what they do."""

WITHOUT_VELOCITIES = {"brownian", "brownian/sphere", "brownian/asphere"}
"""Integrators of overdamped motion. What LAMMPS calls velocities there are displacements over the
time step, and its kinetic energy says nothing of the temperature."""

CHANGING_TYPES = {"atom/swap", "bond/react", "gcmc", "mol/swap", "sgcmc"}
"""Fixes that change the types of atoms as they sample."""

SUFFIXES = ("/omp", "/opt", "/intel", "/kk/host", "/kk/device", "/kk", "/gpu")
FIX = re.compile(r"Fix\[ *\d+\]: *(\S+), *style = *(\S+), *group")


def refuse_quit(system: Script) -> None:
    """Raise InputError if a system's script would end the process.

    LAMMPS's ``quit`` ends the program that LAMMPS is a library of, without an exception.
    """
    for command in commands(system.script, system.script_variables(seed=1)):
        if _quits(command):
            raise InputError(
                f"The script {system.script} of system '{system.name}' has a 'quit' in line "
                f"{command.line} of {command.file}. It would end diffsim with LAMMPS, before "
                "anything is learned. Remove it: the script ends with its last line."
            )


def _quits(command: Command) -> bool:
    first, *others = command.words
    if first == "if":
        return any(word.strip("\"'").split()[:1] == ["quit"] for word in others)
    return first == "quit"


def refuse_driven(system: Script, styles: Collection[str]) -> None:
    """Raise InputError if fixes of a system's script keep the fluid out of equilibrium."""
    for style in styles:
        if style in DRIVEN:
            raise InputError(
                f"The script {system.script} of system '{system.name}' has a fix {style}, which "
                f"{DRIVEN[style]}: the fluid is not in equilibrium, and how averages follow from "
                "the potential is not known there. Leave it out, and learn from equilibrium."
            )


def fix_styles(lammps: Any, file: Path, processes: Any = None) -> tuple[str, ...]:
    """Styles of the fixes that are defined, without the suffix of an accelerator.

    Parameters
    ----------
    lammps
        The instance.
    file
        Where LAMMPS may write what it knows of them.
    processes
        MPI communicator of the processes of the instance; None is this process alone.
    """
    lammps.command(f'info fixes out overwrite "{file}"')
    text = on_first(processes, file.read_text)
    return tuple(_bare(style) for _, style in FIX.findall(text))


def _bare(style: str) -> str:
    for suffix in SUFFIXES:
        style = style.removesuffix(suffix)
    return style
