"""A system's script run by LAMMPS, and what it has to leave behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffsim import _core
from diffsim.errors import InputError
from diffsim.lammps.instance import lammps_errors
from diffsim.lammps.script import Script


def run_script(lammps: Any, system: Script, types: Sequence[str], processes: Any = None) -> None:
    """Run a system's script and check that it made atoms of as many types as there are species.

    Raises
    ------
    SimulationError
        With LAMMPS's message and input line, if the script has an error.
    InputError
        If it made no atoms, atoms without the molecule IDs that are needed, or another number of
        types.
    """
    with lammps_errors(system, None, processes):
        lammps.file(str(system.script))
    style = _core.pair_style(lammps.lmp.value)
    if style != "none":
        raise InputError(
            f"The script {system.script} of system '{system.name}' sets pair_style {style}, but "
            "the pair style is what is learned, and this version cannot add others to it. Remove "
            "the pair_style and pair_coeff commands; where read_restart brings them, write "
            "'pair_style none' after it."
        )
    if lammps.last_thermo() is not None:
        raise InputError(
            f"The script {system.script} of system '{system.name}' simulates by itself; the "
            "learned potential is not in place yet, so remove its run and minimize commands."
        )
    if lammps.get_natoms() == 0:
        raise InputError(
            f"The script {system.script} of system '{system.name}' made no atoms; it must define "
            "the box and the atoms (create_atoms, read_data, read_restart ...)."
        )
    if system.intermolecular and not lammps.extract_setting("molecule_flag"):
        raise InputError(
            f"The distribution functions of system '{system.name}' are intermolecular, but its "
            "atoms have no molecule IDs. Use an atom_style that has them, as full, or leave out "
            "'intermolecular'."
        )
    n_types = lammps.extract_setting("ntypes")
    if n_types != len(types):
        raise InputError(
            f"System '{system.name}' has {n_types} atom types in LAMMPS, but species for "
            f"{len(types)} ({', '.join(types)}). Name the species of every type with 'types'."
        )
