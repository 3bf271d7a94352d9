"""``diffsim train``: learn a potential as a configuration file says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffsim.errors import InputError

if TYPE_CHECKING:
    from diffsim.pool.tasks import Pool

SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
"""Variables in which starters of processes say how many they started."""


def train(
    config: Annotated[Path, typer.Argument(help="Configuration of the training (YAML).")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run.", show_default="runs/NAME for NAME.yaml"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder.")
    ] = False,
) -> None:
    """Learn a potential as a configuration file says.

    With `mpiexec -n P diffsim train CONFIG` on P processes, which share the simulations.

    Exit status 75: asked to stop by SIGTERM; goes on with --resume. 2: a mistake in the
    configuration, a script or the command, to be mended first. 1: any other failure.
    """

    def lead(pool: Pool | None = None) -> None:
        from diffsim.config.schema import load_config

        settings = load_config(config)
        from diffsim.run.training import run_training  # takes seconds; a wrong key shows at once

        folder = Path("runs") / config.stem if out is None else out
        run_training(settings, out=folder, resume=resume, pool=pool)

    if not started_by_mpi():
        lead()
        return
    from diffsim.pool.mpi import run_parallel

    run_parallel(lead)


def started_by_mpi() -> bool:
    """Whether this is one of several processes of MPI.

    Raises
    ------
    InputError
        If several were started, but MPI does not know of the others.
    """
    from mpi4py import MPI

    known = int(MPI.COMM_WORLD.Get_size())
    # the nearest starter counts: mpiexec may run within a step of Slurm. What holds for a whole job
    # of Slurm (SLURM_NTASKS) says nothing: a batch script runs as one process.
    said = [(name, os.environ[name]) for name in SIZES if os.environ.get(name, "").isdecimal()]
    if known == 1 and said and int(said[0][1]) > 1:
        name, number = said[0]
        raise InputError(
            f"{number} processes were started ({name}), but MPI knows of this one only: the "
            "starter and the MPI library do not fit. Start them with the mpiexec of the library "
            "that `diffsim doctor` names, or choose another `srun --mpi`."
        )
    return known > 1
