"""``diffsim export``: a LAMMPS table file from a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[Path, typer.Argument(help="Model file, as `diffsim train` writes it.")],
    output: Annotated[Path, typer.Option(help="Table file that is written.")] = Path(
        "potential.table"
    ),
    points: Annotated[int, typer.Option(min=2, help="Rows for each pair of species.")] = 2000,
    inner: Annotated[
        float | None,
        typer.Option(
            help="Smallest distance of the table, in LAMMPS's unit of length.",
            show_default="for each pair where its energy exceeds 1000 kT",
        ),
    ] = None,
) -> None:
    """Write a potential as a LAMMPS table file, for machines without PyTorch."""
    from diffsim.potentials import load
    from diffsim.potentials.table_file import (
        lammps_commands,
        species_pairs,
        wall_distances,
        write_lammps_table,
    )

    potential = load(model)
    begin = (
        wall_distances(potential)
        if inner is None
        else dict.fromkeys(species_pairs(potential), inner)
    )
    write_lammps_table(output, potential, begin, points)
    typer.echo(f"# Wrote {output} in {potential.units} units. The commands for LAMMPS are:")
    for command in lammps_commands(output, potential, points):
        typer.echo(command)
