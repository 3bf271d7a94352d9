"""``diffsim export``: a model as a file for machines without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from diffsim.errors import InputError

POINTS = 2000
TOLERANCE = 1e-5


def export(
    model: Annotated[Path, typer.Argument(help="Model file, as `diffsim train` writes it.")],
    output: Annotated[
        Path,
        typer.Option(
            help="File that is written. Its suffix says what it is: .table for `pair_style table`, "
            ".knots for `pair_style diffsim`."
        ),
    ] = Path("potential.table"),
    points: Annotated[
        int | None,
        typer.Option(
            min=2, help="Of a table: rows for each pair of species.", show_default=f"{POINTS}"
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Of knots: largest relative deviation from the model, as in `pair_style diffsim`.",
            show_default=f"{TOLERANCE:g}",
        ),
    ] = None,
    inner: Annotated[
        float | None,
        typer.Option(
            help="Smallest distance, in LAMMPS's unit of length.",
            show_default="for each pair where its energy exceeds 1000 kT",
        ),
    ] = None,
) -> None:
    """Write a potential for machines without PyTorch, and print the LAMMPS commands that use it."""
    if output.suffix not in (".table", ".knots"):
        raise InputError(
            f"The output file should end in .table, for pair_style table, or in .knots, for "
            f"pair_style diffsim, but is {output}."
        )
    _check_option("--points", points, output, ".table")
    _check_option("--tolerance", tolerance, output, ".knots")

    from diffsim.export import (
        knots_file_commands,
        lammps_table_commands,
        write_knots_file,
        write_lammps_table,
    )
    from diffsim.knots import pair_ranges
    from diffsim.potentials import Model, ScriptedPotential, load

    loaded = load(model, ends_at_zero=False)
    # the model as LAMMPS reads it
    potential: Model = (
        cast(Model, loaded.script()) if isinstance(loaded, ScriptedPotential) else loaded
    )
    ranges = pair_ranges(potential)
    if inner is not None:
        ranges = [(inner, outer) for _, outer in ranges]
    said = [f"Wrote {output} in {potential.units} units."]
    if output.suffix == ".table":
        points = POINTS if points is None else points
        write_lammps_table(output, potential, ranges, points)
        commands = lammps_table_commands(output, potential, ranges, points)
    else:
        tolerance = TOLERANCE if tolerance is None else tolerance
        knots, error = write_knots_file(output, potential, ranges, tolerance)
        commands = knots_file_commands(output, potential)
        said += [
            f"Error of the spline with {knots} knots relative to the model: "
            f"energy {error.energy:.2e} at r = {error.energy_at:.6g}, "
            f"force {error.force:.2e} at r = {error.force_at:.6g} (tolerance {tolerance:.2e})."
        ]
    for line in [*said, "The commands for LAMMPS are:"]:
        typer.echo(f"# {line}")
    for command in commands:
        typer.echo(command)


def _check_option(name: str, value: float | None, output: Path, suffix: str) -> None:
    if value is not None and output.suffix != suffix:
        raise InputError(
            f"The option {name} is for {suffix} files, but {output} is written; leave it out, or "
            f"name another --output."
        )
