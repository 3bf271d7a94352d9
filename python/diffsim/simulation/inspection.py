"""What a system's script makes, before any simulation: mistakes are found before hours are "
"spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffsim.errors import InputError
from diffsim.lammps.instance import lammps_instance
from diffsim.lammps.script_checks import fix_styles, refuse_driven, refuse_quit
from diffsim.lammps.script_run import run_script
from diffsim.simulation.system import System
from diffsim.species import species_pairs
from diffsim.targets.rdf_merging import MANY

RANGE_IN_CUTOFFS = 2.0  # liquid state theory wants g(r) to about twice the cutoff
SAFE_SHARE = 0.45  # of the box: volumes fluctuate
BINS_PER_CUTOFF = 100  # at least
FEWER_BINS = 50  # the same, where there are many


@dataclass(frozen=True)
class Box:
    """The periodic box as the script makes it.

    Attributes
    ----------
    atoms
        Their number.
    molecules
        Number of molecules, by LAMMPS's molecule IDs; an atom without one, or with the ID 0, is one
        by itself.
    half_width
        Half of the smallest distance between opposite faces.
    density
        Number of atoms of each species over the volume.
    timestep
        In LAMMPS's unit of time.
    bonds
        Their number.
    """

    atoms: int
    molecules: int
    half_width: float
    density: dict[str, float]
    timestep: float
    bonds: int


def inspect(system: System, units: str, types: Sequence[str], log: Path) -> Box:
    """Run a system's script without simulating.

    Raises
    ------
    SimulationError
        With LAMMPS's message, if the script has an error.
    InputError
        If units, number of types or atoms do not fit, or if the script quits, is of two dimensions,
        or keeps the fluid out of equilibrium.
    """
    refuse_quit(system)
    with lammps_instance(log, system.script_variables(seed=1)) as lammps:
        run_script(lammps, system, types)
        refuse_driven(system, fix_styles(lammps, log.with_suffix(".fixes")))
        if lammps.extract_setting("dimension") != 3:
            raise InputError(
                f"The script {system.script} of system '{system.name}' is of two dimensions, but "
                "potentials are learned in three only: shells of distance have another volume "
                "in two. Make it three-dimensional."
            )
        found = lammps.extract_global("units")
        if found != units:
            raise InputError(
                f"The script {system.script} of system '{system.name}' uses 'units {found}', but "
                f"the potential is in '{units}' units. Make them the same."
            )
        low, high, xy, yz, xz, *_ = lammps.extract_box()
        local = lammps.numpy.extract_atom("type")[: lammps.extract_setting("nlocal")]
        of_molecules = lammps.numpy.extract_atom("molecule")
        ids = np.zeros_like(local) if of_molecules is None else of_molecules[: len(local)]
        molecules = len(np.unique(ids[ids > 0])) + int(np.sum(ids <= 0))
        timestep = float(lammps.extract_global("dt"))
        bonds = int(lammps.extract_global("nbonds"))
        atoms = np.bincount(local, minlength=len(types) + 1)
    length = np.array(high) - np.array(low)
    h = np.array([[length[0], xy, xz], [0.0, length[1], yz], [0.0, 0.0, length[2]]])
    widths = 1.0 / np.linalg.norm(np.linalg.inv(h), axis=1)
    density: dict[str, float] = {}
    for name, number in zip(types, atoms[1:], strict=True):  # types may share a species
        density[name] = density.get(name, 0.0) + float(number / length.prod())
    return Box(int(atoms.sum()), molecules, 0.5 * float(widths.min()), density, timestep, bonds)


def rdf_bins(system: System, cutoff: float, box: Box) -> tuple[int, float]:
    """Number and range of the bins in which distances are counted.

    The bins are as wide as the narrowest target's, or half of it where that makes all edges of bins
    meet, and at least a hundred to the cutoff, or fifty where there are many pairs of species: the
    cost of learning grows with the square and the cube of the number of all. The range covers the
    targets and, where the box is large enough, twice the cutoff.

    Raises
    ------
    InputError
        If a target reaches beyond half of the box.
    """
    counted = [edges for target in system.averages if (edges := target.counted) is not None]
    curves = [edges for edges in counted if len(edges) > 2]
    needed = max([float(edges[-1]) for edges in counted], default=0.0)
    if needed > box.half_width:
        raise InputError(
            f"A target of system '{system.name}' reaches to r = {needed:g}, but half of the "
            f"smallest width of the box is {box.half_width:g}: beyond, a distribution function is "
            "not defined. Give the target a smaller range, or use a larger box."
        )
    width = min([float(np.diff(edges).min()) for edges in curves], default=cutoff)
    if curves and not _multiples(np.concatenate(curves), width):
        width *= 0.5
    pairs = species_pairs(sum(name != "NULL" for name in box.density))
    many = len(pairs) * BINS_PER_CUTOFF > MANY
    width /= int(np.ceil(width * (FEWER_BINS if many else BINS_PER_CUTOFF) / cutoff - 1e-9))
    wanted = max(needed, min(RANGE_IN_CUTOFFS * cutoff, 2.0 * SAFE_SHARE * box.half_width))
    bins = int(np.ceil(needed / width - 1e-9))
    bins = max(bins, int(np.floor(wanted / width + 1e-9)))
    return bins, bins * width


def _multiples(edges: np.ndarray[Any, Any], width: float) -> bool:
    return bool(np.all(np.abs(edges / width - np.round(edges / width)) < 1e-6))
