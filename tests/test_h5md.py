"""Trajectories as H5MD files: what h5py and MDAnalysis read is what was recorded."""

from __future__ import annotations

import resource

import h5py
import MDAnalysis
import numpy as np
import pytest
from MDAnalysis.lib.mdamath import triclinic_vectors

import diffsim
from diffsim import _core
from diffsim.errors import InputError
from diffsim.lammps.engine import lammps_instance
from diffsim.records.h5md import write_h5md

STEPS = 20
INTEGRATORS = {
    "nve": "fix integrate all nve",
    "langevin": "fix integrate all nve\nfix thermostat all langevin {t} {t} {damping} 4711",
    "nose-hoover": "fix integrate all nvt temp {t} {t} {damping}",
}
# spacing of the atoms, mass, time step and temperature of something like argon
SCALES = {
    "lj": (1.2, 1.0, 0.005, 1.0),
    "real": (4.0, 40.0, 10.0, 120.0),
    "metal": (4.0, 40.0, 0.01, 120.0),
    "nano": (0.4, 6.6e-5, 1e-5, 120.0),
    "si": (4e-10, 6.6e-26, 1e-14, 120.0),
}
CUBOID = "block 0 5 0 5.5 0 6"
TILTED = "prism 0 5 0 5.5 0 6 1.5 -1 0.5"
BOXES = {
    "cuboid": (CUBOID, "p p p"),
    "tilted": (TILTED, "p p p"),
    "slab": (CUBOID, "p p f"),
    "tilted slab": ("prism 0 5 0 5.5 0 6 1.5 0 0", "p p f"),
    "wire": (CUBOID, "f p f"),
    "open": (CUBOID, "f f f"),
}
READ_BACK = [("nve", box) for box in BOXES] + [("langevin", "cuboid"), ("nose-hoover", "tilted")]


def record(folder, integrator="nve", box="cuboid", units="lj", stride=1):
    """A short run of a soft mixture, the atoms of which stay away from the walls."""
    spacing, mass, dt, temperature = SCALES[units]
    region, boundary = BOXES[box]
    cutoff = 1.5 * spacing
    s = np.linspace(0.01, 1.0, 50)  # (r / cutoff)^2
    u = 0.5 * _core.reference_energy(units) * (1 - s) ** 3
    knots = _core.Knots(units, ["A", "B"], cutoff, [0.1 * cutoff] * 3, np.array([u] * 3))
    knots.write(str(folder / "soft.knots"))
    with lammps_instance(None, {}) as lammps:
        lammps.commands_string(f"""
            units {units}
            boundary {boundary}
            lattice custom {1.0 if units == "lj" else spacing} basis 0.5 0.5 0.5 &
                a1 1 0 0 a2 0 1 0 a3 0 0 1
            region box {region}
            create_box 2 box
            region inside block 1 4 1 4 1 5
            create_atoms 1 region inside
            set type 1 type/fraction 2 0.3 99
            mass 1 {mass}
            mass 2 {1.7 * mass}
            velocity all create {temperature} 12
            timestep {dt}
            neighbor {0.3 * spacing} bin
            comm_modify cutoff {3.0 * spacing}
            pair_style diffsim
            pair_coeff * * {folder}/soft.knots A B
            {INTEGRATORS[integrator].format(t=temperature, damping=100 * dt)}
            fix record all diffsim/trajectory every {stride}
            run {STEPS}
            """)
        (trajectory,) = _core.take_trajectories(lammps.lmp.value, "record")
    assert np.abs(trajectory.x[-1] - trajectory.x[0]).max() > 0.01 * spacing
    return trajectory


@pytest.mark.parametrize(("integrator", "box"), READ_BACK)
@pytest.mark.parametrize("every", [1, 7])
def test_the_file_is_the_trajectory(tmp_path, integrator, box, every):
    t = record(tmp_path, integrator, box)
    write_h5md(tmp_path / "run.h5md", t, ["A", "B"], "lj", every)
    step = np.arange(0, STEPS + 1, every)
    with h5py.File(tmp_path / "run.h5md") as file:
        atoms = file["particles/trajectory"]
        for name, states in (("position", t.x), ("velocity", t.v)):
            assert atoms[name]["value"].dtype == np.float64
            assert np.array_equal(atoms[name]["value"], states[::every])
            assert np.array_equal(atoms[name]["step"], step)
            assert np.array_equal(atoms[name]["time"], t.dt * step)
        for name, values in (("species", t.type), ("mass", t.mass), ("id", t.tag)):
            assert np.array_equal(atoms[name], values)
        assert set(t.type) == {1, 2}

        found = atoms["box"]
        assert found.attrs["dimension"] == 3
        expected = [b"periodic" if p == "p" else b"none" for p in BOXES[box][1].split()]
        assert found.attrs["boundary"].tolist() == expected
        if box == "open":
            assert "edges" not in found
        else:
            edges = t.box if "tilted" in box else np.diag(t.box)
            assert found["edges/value"].shape == (len(step), *edges.shape)
            assert np.all(found["edges/value"] == edges)
            for name in ("step", "time"):  # of the positions themselves, as H5MD has it
                assert found["edges"][name] == atoms["position"][name]

        parameters = file["parameters/diffsim"]
        assert parameters.attrs["integrator"] == t.integrator == integrator
        assert parameters.attrs["units"] == "lj"
        assert parameters.attrs["species"].tolist() == ["A", "B"]
        assert parameters.attrs["dt"] == t.dt
        assert parameters.attrs.get("kt", 0.0) == t.kt
        assert ("kt" in parameters.attrs) == (integrator != "nve")
        if integrator == "langevin":
            assert np.array_equal(parameters["drag"], t.drag)
        elif integrator == "nose-hoover":
            assert np.array_equal(parameters["chain_mass"], t.chain_mass)
            assert np.array_equal(parameters["chain_velocity/value"], t.chain_velocity[::every])
            assert np.array_equal(parameters["chain_velocity/step"], step)
        else:
            assert not parameters.keys()


def test_metadata_have_the_types_that_h5md_asks_for(tmp_path):
    write_h5md(tmp_path / "run.h5md", record(tmp_path, units="real"), ["A", "B"], "real")
    with h5py.File(tmp_path / "run.h5md") as file:
        h5md = file["h5md"]
        assert h5md.attrs["version"].tolist() == [1, 1]
        assert h5md["creator"].attrs["name"] == b"DiffSim"
        assert h5md["creator"].attrs["version"] == diffsim.__version__.encode()
        fixed = [(h5md["author"], "name"), (h5md["creator"], "name"), (h5md["creator"], "version")]
        fixed.append((file["particles/trajectory/box"], "boundary"))
        for group, name in fixed:
            assert not group.attrs.get_id(name).get_type().is_variable_str()
        unit = file["particles/trajectory/velocity/value"].attrs.get_id("unit").get_type()
        assert unit.is_variable_str()
        assert unit.get_cset() == h5py.h5t.CSET_ASCII


@pytest.mark.parametrize("box", BOXES)
def test_mdanalysis_reads_every_frame(tmp_path, box):
    t = record(tmp_path, box=box)
    write_h5md(tmp_path / "run.h5md", t, ["A", "B"], "lj", every=4)
    universe = MDAnalysis.Universe.empty(t.x.shape[1])
    universe.load_new(str(tmp_path / "run.h5md"), convert_units=False)
    assert len(universe.trajectory) == STEPS // 4 + 1
    for frame in universe.trajectory:
        state = 4 * frame.frame
        assert frame.data["step"] == state
        assert frame.time == pytest.approx(t.dt * state)
        assert np.array_equal(frame.positions, t.x[state].astype(np.float32))
        assert np.array_equal(frame.velocities, t.v[state].astype(np.float32))
        if box == "open":
            assert frame.dimensions is None
        else:
            vectors = triclinic_vectors(frame.dimensions)
            assert vectors == pytest.approx(t.box, rel=1e-6, abs=1e-6 * t.box.max())


@pytest.mark.filterwarnings("ignore:there is no reference")  # to guess types and masses from
# of a unit of length and of time: in Angstrom and picoseconds
@pytest.mark.parametrize(
    ("units", "length", "time"), [("real", 1, 1e-3), ("metal", 1, 1), ("nano", 10, 1e3)]
)
def test_mdanalysis_converts_units_that_have_names(tmp_path, units, length, time):
    t = record(tmp_path, units=units)
    write_h5md(tmp_path / "run.h5md", t, ["A", "B"], units)
    universe = MDAnalysis.Universe(str(tmp_path / "run.h5md"))  # it finds the number of atoms
    frame = universe.trajectory[-1]
    rounding = {"rel": 1e-6, "abs": 0.0}
    assert frame.time == pytest.approx(STEPS * t.dt * time)
    assert frame.positions == pytest.approx(length * t.x[-1], **rounding)
    assert frame.velocities == pytest.approx(length / time * t.v[-1], **rounding)
    assert frame.dimensions[:3] == pytest.approx(length * np.diag(t.box), **rounding)


def test_units_without_names_are_not_named(tmp_path):
    """MDAnalysis refuses a file with names that it does not know."""
    t = record(tmp_path, units="si")
    write_h5md(tmp_path / "run.h5md", t, ["A", "B"], "si")
    universe = MDAnalysis.Universe.empty(t.x.shape[1])
    universe.load_new(str(tmp_path / "run.h5md"), convert_units=False)
    assert np.array_equal(universe.trajectory[-1].positions, t.x[-1].astype(np.float32))
    with h5py.File(tmp_path / "run.h5md") as file:
        assert file["parameters/diffsim"].attrs["units"] == "si"


@pytest.fixture(scope="module")
def trajectory(tmp_path_factory):
    return record(tmp_path_factory.mktemp("trajectory"))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"path": "run.xtc"},
            r"should end in \.h5md, by which other programs know the format, but is .*run\.xtc; "
            r"change it\.",
        ),
        (
            {"species": ["A"]},
            r"atoms of 2 types, but species for 1 \(A\) were given\. Name the species of every "
            r"type in their order\.",
        ),
        (
            {"units": "LJ"},
            r"should be a LAMMPS units style, one of lj, real, metal, si, cgs, electron, micro, "
            r"nano, but are 'LJ'\. Give the style of the simulation\.",
        ),
        ({"every": 0}, r"a state every 1 steps, but one every 0 steps was asked for; give a pos"),
        (
            {"path": "missing/run.h5md"},
            r"missing/run\.h5md cannot be written \(No such file or directory\)\. Choose a folder",
        ),
    ],
)
def test_refusals(tmp_path, trajectory, changed, message):
    arguments = {"path": "run.h5md", "species": ["A", "B"], "units": "lj"} | changed
    path = tmp_path / arguments.pop("path")
    with pytest.raises(InputError, match=message):
        write_h5md(path, trajectory, **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("every", "expected"), [(None, 5), (5, 5), (10, 10)])
def test_steps_of_a_trajectory_with_a_stride(tmp_path, every, expected):
    t = record(tmp_path, stride=5)
    write_h5md(tmp_path / "run.h5md", t, ["A", "B"], "lj", every)
    with h5py.File(tmp_path / "run.h5md") as file:
        position = file["particles/trajectory/position"]
        step = np.arange(0, t.steps + 1, expected)
        assert np.array_equal(position["step"], step)
        assert np.allclose(position["time"], t.dt * step)
        assert np.array_equal(position["value"], t.x[:: expected // 5])
    with pytest.raises(InputError, match=r"a state every 5 steps, but one every 7"):
        write_h5md(tmp_path / "other.h5md", t, ["A", "B"], "lj", 7)


def test_a_file_that_exists_is_left_as_it_is(tmp_path, trajectory):
    path = tmp_path / "run.h5md"
    path.write_text("of another simulation")
    with pytest.raises(
        InputError, match=r"run\.h5md exists already, and is left as it is\. Choose"
    ):
        write_h5md(path, trajectory, ["A", "B"], "lj")
    assert path.read_text() == "of another simulation"


@pytest.mark.parametrize("room", [0, 3_000, 10_000, 30_000])  # bytes, fewer than are needed
def test_a_file_that_cannot_be_completed_is_removed(tmp_path, trajectory, room):
    """HDF5 itself crashes where it has no room."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(InputError, match=r"cannot be written \(File too large\)\. Choose"):
            write_h5md(tmp_path / "run.h5md", trajectory, ["A", "B"], "lj")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
