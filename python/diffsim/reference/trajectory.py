"""Reference RDFs from the frames of a trajectory."""

from __future__ import annotations

import bz2
import gzip
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import MDAnalysis
import numpy as np
from MDAnalysis.lib.distances import capped_distance, self_capped_distance
from MDAnalysis.lib.mdamath import triclinic_vectors
from numpy.typing import NDArray

from diffsim.errors import InputError
from diffsim.statistics.time_series import standard_error

FloatArray: TypeAlias = NDArray[np.float64]

Frame: TypeAlias = tuple[NDArray[np.floating], NDArray[np.floating] | None, NDArray[np.floating]]
"""Positions of one species (n, 3); of the other one (m, 3), None if it is the same; the periodic
box (6,) as three lengths and three angles in degrees."""

Molecules: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Numbers of the molecules of the atoms of one species (n,) and of the other one (m,), twice the
same if they are one species."""

ATOM_STYLES = {
    "angle": "id resid type x y z",
    "atomic": "id type x y z",
    "bond": "id resid type x y z",
    "charge": "id type charge x y z",
    "full": "id resid type charge x y z",
    "molecular": "id resid type x y z",
}
"""Columns of the section Atoms of a LAMMPS data file, for each atom style that can be read."""

GRID_RANGE = 0.25
"""Largest range, in shortest widths of the box, for which MDAnalysis looks for pairs on a grid.

Beyond it the grid is slower than all pairs, and in triclinic boxes it refuses ranges below half of
the width; MDAnalysis's own choice does not know that.
"""


@dataclass(frozen=True)
class MeasuredRDF:
    """An RDF averaged over frames.

    Attributes
    ----------
    r, g : (n,) array
        Centres of the bins (unit of length) and averages (dimensionless).
    error : (n,) array or None
        Standard errors of ``g``, None if there is only one frame.
    frames : int
        Number of frames.
    atoms : tuple of two int
        Numbers of atoms of the two species, twice the same if they are one.
    """

    r: FloatArray
    g: FloatArray
    error: FloatArray | None
    frames: int
    atoms: tuple[int, int]


def rdf_of_frames(
    frames: Iterable[Frame], edges: FloatArray, molecules: Molecules | None = None
) -> MeasuredRDF:
    r"""Average the RDF of a pair of species over frames.

    Each frame is normalized with its own volume :math:`V`, and with :math:`N (N - 1) / 2` pairs
    of one species or :math:`N M` of two, less the pairs within molecules where those are left
    out, so that an ideal gas gives exactly one on average:

    .. math:: g_b = \left\langle \frac{V}{N_\mathrm{pairs}}
        \frac{n_b}{\frac{4}{3} \pi (R_{b+1}^3 - R_b^3)} \right\rangle

    The bins are hard: every pair counts in one bin. The errors take the autocorrelation of the
    frames into account.

    Parameters
    ----------
    frames : iterable of Frame
        Positions and box of each frame, in one unit of length. Both species have at least one
        atom, and a single species at least two.
    edges : (n + 1,) array
        Edges of the bins, increasing from zero or above, in the same unit.
    molecules : Molecules or None
        Pairs of atoms of the same molecule are left out, if they are given.

    Returns
    -------
    MeasuredRDF

    Raises
    ------
    InputError
        If there are no frames, the last edge lies beyond half of a box's shortest width, no pair
        of atoms is of different molecules, or none is nearer than the last edge in any frame.
    """
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    series = []
    for index, (first, second, box) in enumerate(frames):
        widths, volume = _widths_and_volume(box)
        if edges[-1] > 0.5 * widths.min() * (1.0 + 1e-6):  # boxes are kept in single precision
            raise InputError(
                f"The range of the RDF must be at most half of the shortest width of the periodic "
                f"box, but in frame {index} of those read the range is {edges[-1]:g} and half the "
                f"width is {0.5 * widths.min():g}; choose a smaller range."
            )
        method = "nsgrid" if edges[-1] <= GRID_RANGE * widths.min() else "bruteforce"
        if second is None:
            close, distances = self_capped_distance(first, edges[-1], box=box, method=method)
            pairs = len(first) * (len(first) - 1) / 2
        else:
            close, distances = capped_distance(first, second, edges[-1], box=box, method=method)
            pairs = len(first) * len(second)
        if molecules is not None:
            distances = distances[molecules[0][close[:, 0]] != molecules[1][close[:, 1]]]
            pairs -= _pairs_within(molecules, same_species=second is None)
            if pairs == 0:
                raise InputError(
                    "An intermolecular RDF was asked for, but all atoms of the pair are in one "
                    "molecule; check the molecules of the topology."
                )
        counts, _ = np.histogram(distances, bins=edges)
        series.append(counts * volume / (pairs * shells))
    if not series:
        raise InputError(
            "An RDF needs at least one frame, but none was read; check the trajectory and the "
            "choice of frames."
        )
    g = np.array(series)
    if not g.any():
        raise InputError(
            f"No pair of atoms is within the range {edges[-1]:g} of the RDF in {len(g)} frames; "
            f"the smallest distance of a pair of the last one is {_nearest(first, second, box)}. "
            "Distances are in the file's unit for LAMMPS's formats and DCD, and in Angstrom for "
            "formats with a unit of their own: 1 nm is 10. Choose a larger range, and bins to "
            "match."
        )
    return MeasuredRDF(
        r=0.5 * (edges[1:] + edges[:-1]),
        g=g.mean(axis=0),
        error=standard_error(g) if len(g) > 1 else None,
        frames=len(g),
        atoms=(len(first), len(first if second is None else second)),
    )


def _nearest(
    first: NDArray[np.floating], second: NDArray[np.floating] | None, box: NDArray[np.floating]
) -> str:
    """The smallest distance of a pair in a frame, as a number in words; see `Frame`."""
    half = 0.5 * float(_widths_and_volume(box)[0].min())
    reach = half / 64.0
    while reach <= half:
        if second is None:
            _, distances = self_capped_distance(first, reach, box=box, method="bruteforce")
        else:
            _, distances = capped_distance(first, second, reach, box=box, method="bruteforce")
        if distances.size:
            return f"{distances.min():.4g}"
        reach *= 2.0
    return f"above {half:.4g}, half of the box's shortest width"


def bin_edges(range: float, width: float) -> FloatArray:
    """Edges (n + 1,) of bins of one width from zero to ``range``.

    Raises
    ------
    InputError
        If one of them is not positive, or the range is not a whole number of bins.
    """
    if not (range > 0.0 and width > 0.0):
        raise InputError(
            f"The range and the bins of the RDF must be positive, but {range:g} and {width:g} were "
            f"given."
        )
    count = round(range / width)
    if count < 1 or abs(count * width - range) > 1e-6 * width:
        raise InputError(
            f"The range of the RDF must be a whole number of bins, but {range:g} is "
            f"{range / width:g} bins of {width:g}."
        )
    edges: FloatArray = width * np.arange(count + 1, dtype=np.float64)
    return edges


def read_trajectory(trajectory: Path, topology: Path | None) -> Any:
    """Open a trajectory, and a topology if the trajectory does not say the types, in MDAnalysis.

    Lengths are those of the file for LAMMPS's formats and DCD, and in Angstrom for formats that
    have a unit of their own.

    Parameters
    ----------
    trajectory : Path
        LAMMPS dump, also one that gzip or bzip2 compressed, or any format that MDAnalysis reads
        (DCD, XTC, TRR, H5MD, XYZ, ...).
    topology : Path or None
        LAMMPS data file or any topology that MDAnalysis reads.

    Returns
    -------
    MDAnalysis.Universe

    Raises
    ------
    InputError
        If a file is missing or cannot be read.
    """
    for path in filter(None, (trajectory, topology)):
        if not path.is_file():
            raise InputError(f"The file '{path}' does not exist.")
    options: dict[str, Any] = {}
    if _begins_with(trajectory, b"ITEM: TIMESTEP"):
        options |= {"format": "LAMMPSDUMP", "dt": 1.0}  # dumps keep steps; times are not used
        if topology is None:
            options["topology_format"] = "LAMMPSDUMP"
    if topology is not None and topology.suffix in (".data", ".lmp"):
        options |= {"topology_format": "DATA", "atom_style": ATOM_STYLES[_atom_style(topology)]}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return MDAnalysis.Universe(*map(str, filter(None, (topology, trajectory))), **options)
    except Exception as error:  # each of the readers has its own kinds of errors
        files = f"'{trajectory}'" + ("" if topology is None else f" with '{topology}'")
        reason = " ".join(str(error).split())
        raise InputError(f"The trajectory {files} cannot be read: {reason}") from error


def frames_of(
    universe: Any, pair: tuple[str, str], attribute: str, frames: slice
) -> Iterator[Frame]:
    """Positions and boxes of a pair of species in a trajectory.

    Parameters
    ----------
    universe : MDAnalysis.Universe
        Topology and trajectory.
    pair : tuple of two str
        The two species.
    attribute : {'types', 'names'}
        Whether the species are LAMMPS types or names of atoms.
    frames : slice
        Which frames of the trajectory.

    Yields
    ------
    Frame

    Raises
    ------
    InputError
        If the trajectory does not know the attribute, the atoms or a periodic box.
    """
    indices = _atoms_of(universe, pair, attribute)
    for step in universe.trajectory[frames]:
        if step.dimensions is None or not np.all(step.dimensions > 0.0):
            raise InputError(
                f"An RDF needs the periodic box of every frame, but frame {step.frame} has none; "
                f"use a format that keeps it."
            )
        second = None if pair[0] == pair[1] else step.positions[indices[1]]
        yield step.positions[indices[0]], second, step.dimensions


def molecules_of(universe: Any, pair: tuple[str, str], attribute: str) -> tuple[Molecules, str]:
    """Molecules of the atoms of a pair of species, and what the topology says them by.

    They are the molecule IDs of LAMMPS's files, where 0 is no molecule, and otherwise the molecule
    numbers of the topology, the atoms that its bonds connect, or its residues, whichever is there
    first.

    Parameters
    ----------
    universe, pair, attribute
        As for :func:`frames_of`.

    Raises
    ------
    InputError
        If the trajectory does not know the attribute or the atoms, or what a molecule is.
    """
    indices = _atoms_of(universe, pair, attribute)
    atoms = universe.atoms
    if universe.kwargs.get("topology_format") in ("DATA", "LAMMPSDUMP"):
        # MDAnalysis reads molecule IDs as those of residues
        numbers, source = np.array(atoms.resids, dtype=np.int64), "molecule IDs"
        alone = np.flatnonzero(numbers <= 0)
        numbers[alone] = -1 - alone
    elif hasattr(atoms, "molnums"):
        numbers, source = atoms.molnums, "molecule numbers"
    elif hasattr(atoms, "bonds"):
        numbers, source = atoms.fragindices, "bonds"
    else:
        numbers, source = atoms.resindices, "residues"
    if len(np.unique(numbers)) == 1:
        raise InputError(
            f"An intermolecular RDF was asked for, but by its {source} the trajectory is one "
            "molecule; give a topology that says which atoms are a molecule, as a LAMMPS data file "
            "of an atom style with molecule IDs."
        )
    first, second = (np.asarray(numbers, dtype=np.int64)[of_species] for of_species in indices)
    return (first, second), source


def _pairs_within(molecules: Molecules, same_species: bool) -> int:
    """Number of pairs of atoms of the same molecule."""
    numbers = np.unique(np.concatenate(molecules))
    first, second = (
        np.bincount(np.searchsorted(numbers, each), minlength=len(numbers)) for each in molecules
    )
    return int((first * (first - 1) // 2 if same_species else first * second).sum())


def _atoms_of(universe: Any, pair: tuple[str, str], attribute: str) -> list[NDArray[np.intp]]:
    """Indices of the atoms of both species."""
    values = getattr(universe.atoms, attribute, None)
    if values is None:
        other = "types" if attribute == "names" else "names"
        raise InputError(
            f"The trajectory does not say the {attribute} of its atoms; give a topology that does, "
            f"or choose the pair by its {other}."
        )
    indices = [np.flatnonzero(values.astype(str) == name) for name in pair]
    for name, atoms in zip(pair, indices, strict=True):
        least = 2 if pair[0] == pair[1] else 1
        if atoms.size < least:
            known = ", ".join(sorted(set(values.astype(str))))
            raise InputError(
                f"The RDF of the pair {pair[0]}-{pair[1]} needs at least {least} atoms with "
                f"'{name}' among the {attribute}, but the trajectory has {atoms.size}; it knows "
                f"the {attribute} {known}."
            )
    return indices


def _widths_and_volume(box: NDArray[np.floating]) -> tuple[FloatArray, float]:
    """Distances (3,) between the opposite faces of a periodic box, and its volume."""
    vectors = triclinic_vectors(box).astype(np.float64)
    volume = float(abs(np.linalg.det(vectors)))
    faces = np.linalg.norm(np.cross(vectors[[1, 2, 0]], vectors[[2, 0, 1]]), axis=1)
    return volume / faces, volume


def _begins_with(path: Path, text: bytes) -> bool:
    """Whether a file, or what gzip or bzip2 compressed into it, begins with a text."""
    opened: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open}
    try:
        with opened.get(path.suffix, open)(path, "rb") as file:
            return bool(file.read(len(text)) == text)
    except (OSError, EOFError):  # not compressed, whatever its name says
        return False


def _atom_style(path: Path) -> str:
    """Atom style that a LAMMPS data file names behind the title of its section Atoms."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            title, _, style = line.partition("#")
            if title.strip() == "Atoms":
                break
        else:
            raise InputError(f"The LAMMPS data file '{path}' has no section 'Atoms'.")
    if style.strip() not in ATOM_STYLES:
        raise InputError(
            f"The section 'Atoms' of '{path}' should name one of the atom styles "
            f"{', '.join(ATOM_STYLES)} behind its title, as in 'Atoms # full', but "
            f"'{line.strip()}' was found."
        )
    return style.strip()
