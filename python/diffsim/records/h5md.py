"""Recorded trajectories as files in the format H5MD, which programs of analysis read."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import ArrayLike

import diffsim
from diffsim.errors import InputError

VERSION = (1, 1)
"""Of the H5MD specification that the files keep."""

SUFFIX = ".h5md"
"""The one by which MDAnalysis knows the format."""

GROUP = "trajectory"
"""Of the atoms in ``particles``: the one in which MDAnalysis looks for their number."""


class UnitNames(NamedTuple):
    """Names of units; an empty one is not written."""

    length: str = ""
    time: str = ""
    velocity: str = ""
    mass: str = ""


UNIT_NAMES = {
    "lj": UnitNames(),
    "real": UnitNames("Angstrom", "fs", "Angstrom fs-1", "g mol-1"),
    "metal": UnitNames("Angstrom", "ps", "Angstrom ps-1", "g mol-1"),
    "si": UnitNames(),
    "cgs": UnitNames(),
    "electron": UnitNames(),
    "micro": UnitNames(),
    "nano": UnitNames("nm", "ns", "nm ns-1", "ag"),
}
"""Of LAMMPS's units styles, as H5MD's module ``units`` and MDAnalysis spell them.

MDAnalysis refuses a file with a name that it does not know, and so no unit of a style is named if
it does not know all of them. "Angstrom" is its word, where H5MD's module has "Ang".
"""


def write_h5md(
    path: str | os.PathLike[str],
    trajectory: Any,
    species: Sequence[str],
    units: str,
    every: int | None = None,
) -> None:
    """Write a recorded trajectory as an H5MD 1.1 file (https://nongnu.org/h5md/h5md.html).

    The group ``particles/trajectory`` holds, for the F states 0, `every`, 2 `every`, ... and the
    N atoms in the order of their IDs:

    - ``position/value`` and ``velocity/value`` (F, N, 3) in double precision, with ``step`` (F,)
      and ``time`` (F,), which are 0 in state 0. Positions are not wrapped into the box, and
      relative to its lower corner.
    - ``box``: its boundaries, and its ``edges/value``, (F, 3) of a cuboid or (F, 3, 3) of a tilted
      box with the edge vectors as rows. The box does not change; MDAnalysis reads it in this form
      only. ``edges`` is missing if no direction is periodic.
    - ``species`` (N,), LAMMPS's atom types from 1 on; ``mass`` (N,) and ``id`` (N,).

    Of ``parameters/diffsim``, in the units of the style, there are

    - the attributes ``units`` and ``species``, as given here, ``integrator`` ("nve", "langevin" or
      "nose-hoover"), ``dt`` (time), and with a thermostat ``kt`` (energy);
    - with ``langevin``: ``drag`` (N,), friction force over velocity;
    - with ``nose-hoover``: ``chain_mass`` (C,), energy times time squared, and
      ``chain_velocity/value`` (F, C), 1/time, of the C thermostats of the chain.

    Attributes ``unit`` are there in the units styles real, metal and nano, which MDAnalysis then
    converts to its own; files of the others it reads with ``convert_units=False``.

    Parameters
    ----------
    path
        The file to write, which must not exist; its name ends in ``.h5md``.
    trajectory
        A `diffsim._core.Trajectory`.
    species
        Names of the species of the atom types 1, 2, ...
    units
        The LAMMPS units style of the simulation.
    every
        A state every this many MD steps is written; by default all that were recorded.

    Raises
    ------
    InputError
        If the file exists, cannot be written or has another suffix, there are fewer species than
        atom types, the units style is none, or `every` is no multiple of the steps between two
        states of the trajectory.
    """
    path = Path(path)
    every = trajectory.stride if every is None else every
    _check(path, trajectory, species, units, every)
    states = slice(None, None, every // trajectory.stride)
    names = UNIT_NAMES[units]
    with _new_file(path) as file:
        _write_metadata(file.create_group("h5md"))
        atoms = file.create_group(f"particles/{GROUP}")
        position = _write_states(atoms, "position", trajectory.x[states], names.length)
        position["step"] = every * np.arange(len(position["value"]))
        _write(position, "time", trajectory.dt * position["step"][:], names.time)
        velocity = _write_states(atoms, "velocity", trajectory.v[states], names.velocity)
        _at_the_times_of(position, velocity)
        _write_box(atoms.create_group("box"), trajectory, names.length, position)
        atoms["species"] = trajectory.type
        _write(atoms, "mass", trajectory.mass, names.mass)
        atoms["id"] = trajectory.tag
        parameters = file.create_group("parameters/diffsim")
        parameters.attrs["units"] = units
        parameters.attrs["species"] = list(species)
        _write_dynamics(parameters, trajectory, states, position)


def _check(path: Path, trajectory: Any, species: Sequence[str], units: str, every: int) -> None:
    if path.suffix.lower() != SUFFIX:
        raise InputError(
            f"The name of a trajectory's file should end in {SUFFIX}, by which other programs know "
            f"the format, but is {path}; change it."
        )
    types = int(trajectory.type.max())
    if len(species) < types:
        raise InputError(
            f"The trajectory has atoms of {types} types, but species for {len(species)} "
            f"({', '.join(species)}) were given. Name the species of every type in their order."
        )
    if units not in UNIT_NAMES:
        raise InputError(
            f"The units of the trajectory should be a LAMMPS units style, one of "
            f"{', '.join(UNIT_NAMES)}, but are '{units}'. Give the style of the simulation."
        )
    if every < 1 or every % trajectory.stride:
        raise InputError(
            f"The trajectory has a state every {trajectory.stride} steps, but one every {every} "
            "steps was asked for; give a positive multiple."
        )


class _Storage(io.FileIO):
    """What HDF5 writes to. It is not told of errors: they would crash it when it closes the file.

    See https://github.com/h5py/h5py/issues/914.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        try:
            while rest:  # the system writes at most 2 GiB at once
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = error
            return self.tell() if size is None else size


@contextmanager
def _new_file(path: Path) -> Iterator[h5py.File]:
    """A file that did not exist, and does not if writing it fails."""
    try:
        storage = _Storage(path, "x+")
    except FileExistsError:
        raise InputError(
            f"The file {path} exists already, and is left as it is. Choose another name, or remove "
            "it."
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with storage, h5py.File(storage, "w") as file:
            yield file
        if storage.error is not None:
            raise storage.error
    except BaseException as error:
        path.unlink()
        if isinstance(error, OSError):
            raise _unwritable(path, error) from None
        raise


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"The file {path} cannot be written ({error.strerror}). Choose a folder that exists, may "
        "be written to and has room."
    )


def _write_metadata(group: h5py.Group) -> None:
    group.attrs["version"] = VERSION
    group.create_group("author").attrs["name"] = np.bytes_("unknown")
    creator = group.create_group("creator")
    creator.attrs["name"] = np.bytes_("DiffSim")
    creator.attrs["version"] = np.bytes_(diffsim.__version__)


def _write(group: h5py.Group, name: str, values: ArrayLike, unit: str) -> None:
    group[name] = values
    if unit:
        group[name].attrs.create("unit", unit, dtype=h5py.string_dtype("ascii"))


def _write_states(group: h5py.Group, name: str, values: ArrayLike, unit: str) -> h5py.Group:
    """An element that depends on time, still without its times."""
    element = group.create_group(name)
    _write(element, "value", values, unit)
    return element


def _at_the_times_of(first: h5py.Group, second: h5py.Group) -> None:
    """The same datasets, as H5MD has it, and no copies."""
    for name in ("step", "time"):
        second[name] = first[name]


def _write_box(group: h5py.Group, trajectory: Any, unit: str, position: h5py.Group) -> None:
    group.attrs["dimension"] = 3
    group.attrs["boundary"] = np.array(
        ["periodic" if periodic else "none" for periodic in trajectory.periodic], dtype="S"
    )
    if not any(trajectory.periodic):
        return
    box = trajectory.box
    diagonal = np.diag(box)
    edges = diagonal if np.array_equal(box, np.diag(diagonal)) else box
    repeated = np.broadcast_to(edges, (len(position["value"]), *edges.shape))
    _at_the_times_of(position, _write_states(group, "edges", repeated, unit))


def _write_dynamics(
    group: h5py.Group, trajectory: Any, states: slice, position: h5py.Group
) -> None:
    group.attrs["integrator"] = trajectory.integrator
    group.attrs["dt"] = trajectory.dt
    if trajectory.integrator != "nve":
        group.attrs["kt"] = trajectory.kt
    if trajectory.integrator == "langevin":
        group["drag"] = trajectory.drag
    if trajectory.integrator == "nose-hoover":
        group["chain_mass"] = trajectory.chain_mass
        velocity = _write_states(group, "chain_velocity", trajectory.chain_velocity[states], "")
        _at_the_times_of(position, velocity)
