"""``diffsim report``: a page about a run, or about several that are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PAGE = "report.html"
COMPARISON = "comparison.html"  # not the name of a run's own: this folder may be that of a run


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, finished or under way.")],
    output: Annotated[
        Path | None,
        typer.Option(
            help="HTML file that is written.",
            show_default=f"{PAGE} in the folder of the run; of several runs {COMPARISON} here",
        ),
    ] = None,
) -> None:
    """Write a page about a run, or one that compares several.

    One file with g(r) against its target, potentials, loss and what else the run has said so far.
    Nothing is simulated.
    """
    from diffsim.report.page import write_report

    if output is None:
        output = runs[0] / PAGE if len(runs) == 1 else Path(COMPARISON)
    write_report(runs, output)
    typer.echo(f"The report is {output}")
