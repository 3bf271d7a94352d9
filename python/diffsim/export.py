"""Files that take a potential to machines without PyTorch.

A LAMMPS table is for ``pair_style table``, a knots file for ``pair_style diffsim``. Both begin and
end where the knots of ``pair_style diffsim`` do; see `diffsim.knots.pair_ranges`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from diffsim import _core
from diffsim.errors import InputError, ModelError
from diffsim.knots import Range, numpy_model, tabulate
from diffsim.potentials.model import Model
from diffsim.species import species_pairs

BELOW_END = 1.0 - 1e-9
"""The last row of a table is evaluated here, in units of its distance: where a potential ends, its
force is already zero."""


def write_lammps_table(
    path: str | os.PathLike[str], potential: Model, ranges: Sequence[Range], points: int
) -> None:
    r"""Write a potential as a LAMMPS table file with a section for each pair of species.

    The rows are evenly spaced in :math:`r^2` (``RSQ``) and hold energy and force
    :math:`-\mathrm{d}\phi/\mathrm{d}r` to full precision; the force is the derivative that autograd
    gives. The first line names the units, which LAMMPS compares with its own. The format is that of
    https://docs.lammps.org/pair_table.html.

    Parameters
    ----------
    path : path-like
        The file; it is replaced if it exists.
    potential
        Callable (r, type_i, type_j) with attributes cutoff, species, units.
    ranges : sequence of pairs of floats
        Smallest and largest distance of each pair of species, unit of length; see
        `diffsim.knots.pair_ranges`.
    points : int
        Number of rows of each section, at least 2.

    Raises
    ------
    InputError
        If a range is not one, there are too few points, or the file cannot be written.
    ModelError
        If an energy or a force is not finite.
    """
    if points < 2:
        raise InputError(f"A table needs at least 2 points, but {points} were asked for.")
    _check_ranges(potential, ranges)
    model = numpy_model(potential)
    lines = [f"# UNITS: {potential.units}  Pair potential learned with DiffSim."]
    for (a, b), (inner, outer) in zip(_pairs(potential), ranges, strict=True):
        begin, end = _rounded(inner), _rounded(outer)
        r = np.sqrt(np.linspace(begin**2, end**2, points))
        energy, slope = model(
            np.minimum(r, BELOW_END * outer), np.full(points, a), np.full(points, b)
        )
        name = "-".join(_names(potential, a, b))
        for i in np.flatnonzero(~(np.isfinite(energy) & np.isfinite(slope)))[:1]:
            raise ModelError(
                f"The table needs finite energies and forces, but the potential of {name} at "
                f"r = {r[i]:g} gives {energy[i]} and {-slope[i]}; begin the table at a larger "
                "distance."
            )
        lines += ["", _section(potential, a, b), f"N {points} RSQ {begin!r} {end!r}", ""]
        lines += [
            f"{i} {row[0]:.17g} {row[1]:.17g} {row[2]:.17g}"
            for i, row in enumerate(zip(r, energy, -slope, strict=True), start=1)
        ]
    with _complete(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def lammps_table_commands(
    path: str | os.PathLike[str], potential: Model, ranges: Sequence[Range], points: int
) -> list[str]:
    """LAMMPS commands that use a table, for the species as LAMMPS types 1, 2, ... in order."""
    return [f"pair_style table spline {points}"] + [
        f"pair_coeff {a + 1} {b + 1} {_word(path)} {_section(potential, a, b)} {_rounded(outer)!r}"
        for (a, b), (_, outer) in zip(_pairs(potential), ranges, strict=True)
    ]


def write_knots_file(
    path: str | os.PathLike[str], potential: Model, ranges: Sequence[Range], tolerance: float
) -> tuple[int, _core.SplineError]:
    """Write a potential as a knots file: what ``pair_style diffsim`` makes of the model itself.

    Parameters
    ----------
    path : path-like
        The file; it is replaced if it exists.
    potential
        Callable (r, type_i, type_j) with attributes cutoff, species, units.
    ranges : sequence of pairs of floats
        Distances of the first and last knot of each pair of species, unit of length; see
        `diffsim.knots.pair_ranges`.
    tolerance : float
        Largest deviation of the spline from the potential; see `diffsim.knots.tabulate`.

    Returns
    -------
    knots, error
        Number of knots of each pair of species, and the largest deviations found.

    Raises
    ------
    InputError
        If a range or the tolerance is none, or the file cannot be written.
    ModelError
        If an energy or a force is not finite, or no number of knots holds the tolerance.
    """
    if not tolerance > 0.0:
        raise InputError(f"The tolerance must be a positive number, but is {tolerance:g}.")
    _check_ranges(potential, ranges)
    knots, error = tabulate(potential, ranges, tolerance)
    with _complete(path) as partial:
        knots.write(str(partial))
    return knots.values.shape[1], error


def knots_file_commands(path: str | os.PathLike[str], potential: Model) -> list[str]:
    """LAMMPS commands that use a knots file, for the species as LAMMPS types 1, 2, ... in order."""
    return ["pair_style diffsim", f"pair_coeff * * {_word(path)} {' '.join(potential.species)}"]


def _pairs(potential: Model) -> list[tuple[int, int]]:
    return species_pairs(len(potential.species))


def _names(potential: Model, a: int, b: int) -> tuple[str, str]:
    return potential.species[a], potential.species[b]


def _section(potential: Model, a: int, b: int) -> str:
    """Keyword of the section of a pair of species."""
    return "_".join(_names(potential, a, b))


def _rounded(distance: float) -> float:
    """To 9 digits: an energy that ends at 2.5 may have its last value at 2.4999999979."""
    return float(f"{distance:.9g}")


def _check_ranges(potential: Model, ranges: Sequence[Range]) -> None:
    for (a, b), (inner, outer) in zip(_pairs(potential), ranges, strict=True):
        if not 0.0 < inner < outer:
            raise InputError(
                f"The smallest distance for {'-'.join(_names(potential, a, b))} should be between "
                f"0 and {outer:g}, where its energy ends, but {inner:g} was given."
            )


def _word(path: str | os.PathLike[str]) -> str:
    """A path as one word of a LAMMPS command."""
    word = os.fspath(path)
    return f'"{word}"' if any(c.isspace() or c in "#$&'" for c in word) else word


@contextmanager
def _complete(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file to write to, which takes its place when it is complete."""
    target = Path(path)
    partial = target.with_name(target.name + ".part")
    try:
        partial.touch()  # says why it cannot be written, if so
        yield partial
        partial.replace(target)
    except (OSError, _core.PotentialError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"The file {path} cannot be written ({reason}).") from None
    finally:
        with suppress(OSError):
            partial.unlink()
