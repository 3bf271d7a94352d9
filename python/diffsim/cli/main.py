"""Entry point of the command ``diffsim``."""

from __future__ import annotations

import sys

import typer

from diffsim.cli.doctor import doctor
from diffsim.cli.export import export
from diffsim.cli.rdf import RDFCommand, rdf
from diffsim.cli.report import report
from diffsim.cli.train import train
from diffsim.errors import (
    INTERRUPTED,
    MISTAKE,
    STOPPED,
    DiffSimError,
    InputError,
    InterruptError,
    ModelError,
    StoppedError,
)

app = typer.Typer(
    help="Learn pair potentials from structure with LAMMPS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(train)
app.command()(report)
app.command(cls=RDFCommand)(rdf)
app.command()(export)
app.command()(doctor)


def main() -> None:
    """Run the command line; show the errors that users can mend without a traceback."""
    try:
        app()
    except StoppedError as stop:
        print(f"diffsim: {stop}", file=sys.stderr)
        sys.exit(STOPPED)
    except InterruptError as stop:
        print(f"diffsim: {stop}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (InputError, ModelError) as error:
        print(f"diffsim: error: {error}", file=sys.stderr)
        sys.exit(MISTAKE)
    except DiffSimError as error:
        print(f"diffsim: error: {error}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            print("diffsim: stopped by Ctrl-C.", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
