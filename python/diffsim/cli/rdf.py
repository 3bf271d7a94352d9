"""``diffsim rdf``: the RDF of a reference trajectory, as a target of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from diffsim.errors import InputError

ROUNDING = 1e-12
"""Relative errors up to this one come from rounding: the frames are all the same."""

PAIRS = ("--pair", "--types")
"""Options that take two names."""


class RDFCommand(TyperCommand):
    """The command line, where the two names of a pair may also stand with a comma between."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As click does it, after ``--pair A,B`` and ``--pair=A,B`` became ``--pair A B``."""
        words: list[str] = []
        for arg in args:
            option, equals, value = arg.partition("=")
            if equals and option in PAIRS and "," in value:
                words += [option, *_names(value)]
            elif words and words[-1] in PAIRS and "," in arg:
                words += _names(arg)
            else:
                words.append(arg)
        return super().parse_args(ctx, words)


def _names(pair: str) -> list[str]:
    return [name for name in pair.replace(",", " ").split(" ") if name]


def rdf(
    trajectory: Annotated[
        Path, typer.Argument(help="LAMMPS dump, or any trajectory that MDAnalysis reads.")
    ],
    range: Annotated[float, typer.Option(help="Largest distance; a whole number of bins.")],
    bin: Annotated[float, typer.Option(help="Width of the bins.")],
    topology: Annotated[
        Path | None, typer.Option(help="LAMMPS data file or other topology, where one is needed.")
    ] = None,
    pair: Annotated[
        tuple[str, str] | None, typer.Option(help="Names of the atoms of the pair.", metavar="A B")
    ] = None,
    types: Annotated[
        tuple[str, str] | None,
        typer.Option(help="LAMMPS types of the atoms of the pair.", metavar="1 2"),
    ] = None,
    start: Annotated[int, typer.Option(min=0, help="First frame, counted from 0.")] = 0,
    stop: Annotated[
        int | None, typer.Option(min=1, help="Frame before which to stop.", show_default="the end")
    ] = None,
    step: Annotated[int, typer.Option(min=1, help="Frames from one to the next.")] = 1,
    intermolecular: Annotated[
        bool, typer.Option("--intermolecular", help="Leave out pairs of atoms of one molecule.")
    ] = False,
    output: Annotated[
        Path,
        typer.Option(help="File that is written: CSV, or columns with spaces if .xvg or .dat."),
    ] = Path("rdf.csv"),
) -> None:
    """Average the RDF of a pair of species over a trajectory.

    Distances are in the unit of the file (LAMMPS, DCD) or in Angstrom (formats with a unit of
    their own). The periodic box of each frame is used; errors are standard errors of the mean that
    take the correlation of the frames into account. Molecules are told by LAMMPS's molecule IDs, or
    by the topology's molecules, bonds or residues, whichever it has first. The file says how many
    atoms of the pair's species the box holds, as g(r) depends on it.
    """
    from diffsim.reference.trajectory import (
        bin_edges,
        frames_of,
        molecules_of,
        rdf_of_frames,
        read_trajectory,
    )
    from diffsim.targets import write_rdf

    if (pair is None) == (types is None):
        raise InputError(
            "The RDF needs one pair: give either --pair with two atom names or --types with two "
            "LAMMPS types."
        )
    species, attribute = (pair, "names") if pair is not None else (types, "types")
    assert species is not None
    edges = bin_edges(range, bin)
    universe = read_trajectory(trajectory, topology)
    frames = frames_of(universe, species, attribute, slice(start, stop, step))
    molecules, source = (
        molecules_of(universe, species, attribute) if intermolecular else (None, None)
    )
    measured = rdf_of_frames(frames, edges, molecules)
    comments = [
        f"RDF of the pair {species[0]}-{species[1]} ({attribute}) in {trajectory.name}",
        f"{measured.frames} frames from {start} in steps of {step}; hard bins of {bin:g}",
    ]
    if intermolecular:
        comments.append(f"without pairs of atoms of one molecule, which are those of the {source}")
    error = measured.error
    if error is None or ((error <= ROUNDING * measured.g) & (measured.g > 0.0)).any():
        error = None
        comments.append("without errors: the frames are too few or too equal to estimate them")
    atoms = dict(zip(species, measured.atoms, strict=True))
    write_rdf(output, measured.r, measured.g, error, comments, atoms, norm="N-1")
    for line in [*comments, f"written to {output}"]:
        typer.echo(line)
