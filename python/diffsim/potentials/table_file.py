"""LAMMPS table files (``pair_style table``) of a pair potential, for machines without PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diffsim.errors import InputError, ModelError
from diffsim.potentials.base import PairPotential
from diffsim.potentials.options import UNITS

FloatArray = NDArray[np.float64]

WALL = 1000.0
"""Energy of the wall at which a table begins, in k_B 300 K (in epsilon for lj units)."""

INNERMOST = 0.01
"""No table begins below this fraction of the cutoff."""

SCAN_POINTS = 2000
"""Number of distances at which a wall is looked for."""

BELOW_CUTOFF = 1.0 - 1e-9
"""The last row is evaluated here, in cutoffs: at the cutoff itself the force is already zero."""


def wall_distance(energy: Callable[[FloatArray], FloatArray], cutoff: float, wall: float) -> float:
    """Largest distance at which an energy exceeds a wall, seen from the cutoff inward.

    Parameters
    ----------
    energy : callable
        Maps distances (n,) to energies (n,).
    cutoff : float
        Where the scan begins, unit of length.
    wall : float
        Energy that counts as a wall, unit of energy.

    Returns
    -------
    float
        The distance to within ``cutoff / SCAN_POINTS``; ``INNERMOST * cutoff`` if the energy stays
        below the wall down to there.
    """
    r = np.linspace(cutoff, INNERMOST * cutoff, SCAN_POINTS)
    above = np.flatnonzero(energy(r) > wall)
    return float(r[above[0]] if above.size else r[-1])


def wall_distances(potential: PairPotential) -> dict[tuple[str, str], float]:
    """Distance of the wall of `WALL` for each pair of species; see `wall_distance`.

    Parameters
    ----------
    potential : PairPotential
        Potential with ``species``, ``cutoff`` and ``units``.

    Returns
    -------
    dict from pair of species to float
        Unit of length.

    Raises
    ------
    ModelError
        If an energy is NaN.
    """
    return {
        pair: wall_distance(
            lambda r, pair=pair: _evaluate(potential, pair, r)[0],  # type: ignore[misc]
            potential.cutoff,
            WALL * UNITS[potential.units],
        )
        for pair in species_pairs(potential)
    }


def species_pairs(potential: PairPotential) -> list[tuple[str, str]]:
    """All unordered pairs of the potential's species, in the order of LAMMPS's types."""
    return list(combinations_with_replacement(potential.species, 2))


def write_lammps_table(
    path: str | os.PathLike[str],
    potential: PairPotential,
    inner: Mapping[tuple[str, str], float],
    points: int,
) -> None:
    r"""Write a potential as a LAMMPS table file with a section for each pair of species.

    The rows are evenly spaced in :math:`r^2` (``RSQ``) from ``inner`` to the cutoff and hold
    energy and force :math:`-\mathrm{d}\phi/\mathrm{d}r` to full precision; the force is the
    derivative that autograd gives. The first line names the units, which LAMMPS compares with its
    own. The format is that of https://docs.lammps.org/pair_table.html.

    Parameters
    ----------
    path : path-like
        The file; it is replaced if it exists.
    potential : PairPotential
        Potential with ``species``, ``cutoff`` and ``units``.
    inner : mapping from pair of species to float
        Smallest distance of each section, unit of length; see `wall_distances`.
    points : int
        Number of rows of each section, at least 2.

    Raises
    ------
    InputError
        If an inner distance is not between zero and the cutoff, or there are too few points.
    ModelError
        If an energy or a force is not finite.
    """
    if points < 2:
        raise InputError(f"A table needs at least 2 points, but {points} were asked for.")
    lines = [f"# UNITS: {potential.units}  Pair potential learned with DiffSim."]
    for pair in species_pairs(potential):
        if not 0.0 < inner[pair] < potential.cutoff:
            raise InputError(
                f"The smallest distance of the table for {pair[0]}-{pair[1]} should be between 0 "
                f"and the cutoff of {potential.cutoff:g}, but {inner[pair]:g} was given."
            )
        r = np.sqrt(np.linspace(inner[pair] ** 2, potential.cutoff**2, points))
        energy, force = _evaluate(potential, pair, np.minimum(r, BELOW_CUTOFF * potential.cutoff))
        for i in np.flatnonzero(~(np.isfinite(energy) & np.isfinite(force)))[:1]:
            raise ModelError(
                f"The table needs finite energies and forces, but the potential of "
                f"{pair[0]}-{pair[1]} at r = {r[i]:g} gives {energy[i]} and {force[i]}; begin the "
                f"table at a larger distance."
            )
        lines += ["", section_name(pair), f"N {points} RSQ {inner[pair]!r} {potential.cutoff!r}"]
        lines += [""]
        lines += [
            f"{i} {row[0]:.17g} {row[1]:.17g} {row[2]:.17g}"
            for i, row in enumerate(zip(r, energy, force, strict=True), start=1)
        ]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def lammps_commands(
    path: str | os.PathLike[str], potential: PairPotential, points: int
) -> list[str]:
    """LAMMPS commands that use the table, for the species as LAMMPS types 1, 2, ... in order."""
    species = list(range(1, len(potential.species) + 1))
    types = combinations_with_replacement(species, 2)
    return [f"pair_style table spline {points}"] + [
        f"pair_coeff {i} {j} {os.fspath(path)} {section_name(pair)} {potential.cutoff!r}"
        for (i, j), pair in zip(types, species_pairs(potential), strict=True)
    ]


def section_name(pair: tuple[str, str]) -> str:
    """Keyword of the section of a pair of species."""
    return f"{pair[0]}_{pair[1]}"


def _evaluate(
    potential: PairPotential, pair: tuple[str, str], r: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Energies and forces (n,) of a pair of species at the distances ``r`` (n,)."""
    distances = torch.tensor(r, dtype=torch.float64, requires_grad=True)
    type_i, type_j = (
        torch.full(distances.shape, potential.species.index(name), dtype=torch.int64)
        for name in pair
    )
    energies = potential(distances, type_i, type_j)
    (slope,) = torch.autograd.grad(energies.sum(), distances)
    energy: FloatArray = energies.detach().numpy()
    for i in np.flatnonzero(np.isnan(energy))[:1]:
        raise ModelError(
            f"The potential of {pair[0]}-{pair[1]} at r = {r[i]:g} is not a number (NaN)."
        )
    return energy, -slope.numpy()
