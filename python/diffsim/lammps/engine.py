"""LAMMPS as a function: (script, knots, state, seed) -> (frames, state).

Every piece of simulation starts a new LAMMPS instance, runs the user's script, and puts the atoms
where the last piece left them. That costs milliseconds, and makes a piece a function of its
arguments: a resumed training repeats the numbers of an uninterrupted one, and an instance that
failed is never used again. A piece may be simulated by several MPI processes; then all of them call
the same functions with the same arguments.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffsim import _core
from diffsim.errors import InputError
from diffsim.lammps.instance import lammps_errors, lammps_instance
from diffsim.lammps.processes import is_first, on_first
from diffsim.lammps.script import Script
from diffsim.lammps.script_checks import CHANGING_TYPES, WITHOUT_VELOCITIES, fix_styles
from diffsim.lammps.script_run import run_script
from diffsim.records.frames import Frames, by_species

FIX_ID = "diffsim_counts"
STATE_WRITTEN = "id type x y z vx vy vz ix iy iz modify sort id format float %.17g"
STATE_READ = "x y z vx vy vz ix iy iz box yes replace yes timestep no"


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


def simulate(
    system: Script,
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
    without_velocities
        Whether the integrator is one of overdamped motion.
    """

    lammps: Any
    system: Script
    species_of_type: Sequence[int]
    species: Sequence[str]
    scratch: Path
    processes: Any
    without_velocities: bool = False

    def commands(self, *lines: str) -> None:
        """Run LAMMPS commands; raises SimulationError if LAMMPS stops."""
        log = _file(self.system, self.scratch, "log")
        with lammps_errors(self.system, log, self.processes):
            for line in lines:
                self.lammps.command(line)

    def take_frames(self) -> Frames:
        """The frames that were recorded since the last time.

        Without velocities, they have the temperature of the system, and its ideal pressure in place
        of what LAMMPS takes for the kinetic part.
        """
        recorded = _core.take_frames(self.lammps.lmp.value, FIX_ID)
        frames = by_species(recorded, self.species_of_type, len(self.species))
        if not self.without_velocities:
            return frames
        atoms, temperature = self.lammps.get_natoms(), self.system.temperature
        k_b = self.lammps.extract_global("boltz")
        # LAMMPS counts 3 N - 3 degrees of freedom
        missing = k_b * (atoms * temperature - (atoms - 1) * frames.temperature)
        return replace(
            frames,
            temperature=np.full(len(frames), temperature),
            pressure=frames.pressure + frames.pressure_unit * missing / frames.volume,
        )

    def state(self) -> str:
        """The present configuration, as a LAMMPS text dump; on the first process."""
        file = _file(self.system, self.scratch, "state")
        self.commands(f'write_dump all custom "{file}" {STATE_WRITTEN}')
        return file.read_text() if is_first(self.processes) else ""


@contextlib.contextmanager
def started(
    system: Script,
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
        styles = fix_styles(lammps, _file(system, scratch, "fixes"), processes)
        overdamped = not WITHOUT_VELOCITIES.isdisjoint(styles)
        run = Run(lammps, system, index, species, scratch, processes, overdamped)
        run.commands(
            f"pair_style diffsim device {device}",
            f'pair_coeff * * "{knots_file}" {" ".join(types)}',
        )
        if start is not None:
            if CHANGING_TYPES.isdisjoint(styles):
                _check_types(lammps, system, start, processes)
            step = on_first(processes, lambda: _step(start))
            run.commands(f'read_dump "{state_file}" {step} {STATE_READ}')
        if lammps.extract_global("ntimestep"):  # not otherwise: dumps of the script forbid it
            run.commands("reset_timestep 0")
        yield run


def _step(state: str) -> int:
    """The time step of a state."""
    return int(state.split("\n", 2)[1])


def _ids_and_types(state: str) -> NDArray[np.int64]:
    """IDs and types of the atoms of a state, shape (2, N)."""
    atoms = state.partition("ITEM: ATOMS")[2].splitlines()[1:]
    return np.array([line.split(None, 2)[:2] for line in atoms], dtype=np.int64).T


def _check_types(lammps: Any, system: Script, state: str, processes: Any) -> None:
    """Raise InputError if the script made atoms of other types than those of a state."""
    ids, types = on_first(processes, lambda: _ids_and_types(state))
    here = slice(lammps.extract_setting("nlocal"))
    own = lammps.numpy.extract_atom("id")[here]
    at = np.minimum(np.searchsorted(ids, own), len(ids) - 1)
    same = types[at] == lammps.numpy.extract_atom("type")[here]
    wrong = own[(ids[at] == own) & ~same]
    if processes is not None:
        wrong = np.concatenate(processes.allgather(wrong))
    if wrong.size:
        raise InputError(
            f"The script {system.script} of system '{system.name}' made {wrong.size} atoms of "
            f"another type than in the piece of simulation before (atom {wrong.min()} is one). "
            "Types that are drawn by ${seed}, as in 'set type/ratio', are new ones in every piece, "
            "while the atoms stay where they were. Draw them by a fixed number."
        )


def _file(system: Script, scratch: Path, kind: str) -> Path:
    return scratch / f"{system.name}.{kind}"
