"""fix diffsim/trajectory: what it records on several processes, refuses, and leaves as it is."""

from __future__ import annotations

import itertools
import json
import sys

import numpy as np
import pytest

from conftest import error_line, execute
from diffsim import _core
from diffsim.lammps.engine import lammps_instance
from test_adjoint import DT, INTEGRATORS, Fluid, Loss, central_difference, gradient, smooth_lj

RECORD = "fix record all diffsim/trajectory"
NVE, NVT, LANGEVIN = (INTEGRATORS[name] for name in ("nve", "nvt", "langevin"))
# without random forces, whose numbers differ with the number of processes
COOLING = LANGEVIN.replace("1.0 1.0 0.5", "0.0 0.0 0.5")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """An equilibrated mixture of 216 atoms, 6.76 wide."""
    return Fluid(tmp_path_factory.mktemp("start"), ["A", "B"], "nve")


def prepared(start, integrator=NVE, before="", box=""):
    """Commands up to the first run."""
    return f"""
        {before}
        read_restart {start.folder}/start
        timestep {DT}
        {box}
        {start.potential(start.u)}
        {integrator}
        """


def recorded(lammps):
    return _core.take_trajectories(lammps.lmp.value, "record")


def trajectories(start, integrator=NVE, runs="run 5", **options):
    with lammps_instance(None, {}) as lammps:
        lammps.commands_string(f"{prepared(start, integrator, **options)}\n{RECORD}\n{runs}")
        return recorded(lammps)


# ---- several processes ----

RUNNER = """
import json, sys
from pathlib import Path
import numpy as np
from mpi4py import MPI
from diffsim import _core
from diffsim.lammps.engine import lammps_instance

world = MPI.COMM_WORLD
for case in json.loads(Path(sys.argv[1]).read_text()):
    with lammps_instance(None, {}, world) as lammps:
        lammps.commands_string(case["script"])
        assert lammps.extract_fix("record", 0, 0) == 2
        found = _core.take_trajectories(lammps.lmp.value, "record")
        assert len(found) == (2 if world.rank == 0 else 0)
        assert _core.take_trajectories(lammps.lmp.value, "record") == []
        atoms = world.gather(lammps.extract_setting("nlocal"))
        newton = lammps.extract_setting("newton_pair")
    if world.rank == 0:
        names = ("tag", "type", "mass", "drag", "x", "v", "chain_velocity", "chain_mass", "kt")
        arrays = {f"{name}{k}": getattr(t, name) for k, t in enumerate(found) for name in names}
        np.savez(case["name"], atoms=atoms, newton=newton, **arrays)
"""
NEWTON = ("on", "off")
# a small skin: atoms change their process, and are wrapped into the box, while they are recorded
OFTEN = "neighbor 0.05 bin\nneigh_modify delay 0 every 1 check yes"
# atoms in a quarter of the box, whose slabs are the processes'
SLABS = "set group all image 0 0 0\nchange_box all x final 0 27 boundary p p p units box"
CASES = {
    **{
        f"{name}-{n}": (script, n, "")
        for name, script in (("nve", NVE), ("nvt", NVT), ("langevin", COOLING))
        for n in NEWTON
    },
    "slabs": (COOLING, "on", SLABS),
}


@pytest.fixture(scope="module")
def on_ranks(start, tmp_path_factory):
    """What process 0 recorded in each case, for each number of processes."""
    results = {}
    for ranks in (1, 2, 4):
        folder = tmp_path_factory.mktemp(f"ranks{ranks}")
        (folder / "runner.py").write_text(RUNNER)
        cases = []
        for name, (integrator, newton, box) in CASES.items():
            before = f"newton {newton}\nprocessors {'* 1 1' if box else '* * *'}"
            script = prepared(start, integrator, before=before, box=f"{box}\n{OFTEN}")
            cases.append({"name": name, "script": f"{script}\n{RECORD}\nrun 40\nrun 10"})
        (folder / "cases.json").write_text(json.dumps(cases))
        command = [sys.executable, "-W", "ignore", "runner.py", "cases.json"]
        result = execute(command, folder, ranks=ranks)
        assert result.returncode == 0, result.log + result.stderr
        results[ranks] = {name: np.load(folder / f"{name}.npz") for name in CASES}
    return results


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("name", CASES)
def test_the_trajectory_does_not_depend_on_the_processes(name, ranks, on_ranks):
    found, expected = on_ranks[ranks][name], on_ranks[1][name]
    assert len(found["atoms"]) == ranks
    assert found["newton"] == (CASES[name][1] == "on")
    assert set(found) == set(expected)
    for key in found:
        if key != "atoms":
            np.testing.assert_allclose(found[key], expected[key], rtol=1e-9, atol=1e-10)
    assert found["x0"].shape == (41, 216, 3)
    assert found["x1"].shape == (11, 216, 3)
    np.testing.assert_allclose(found["x0"][-1], found["x1"][0], rtol=0, atol=1e-13)
    if name == "slabs":
        assert ranks < 4 or 0 in found["atoms"]
    else:
        # atoms cross the border of the box, and the planes between processes
        width = 6 / 0.7 ** (1 / 3)
        for size in (width, width / 2):
            cell = np.floor(found["x0"] / size)
            assert (cell[0] != cell[-1]).sum() > 5


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_friction_of_all_atoms_is_known_to_process_0(ranks, on_ranks):
    found = on_ranks[ranks]["langevin-on"]
    np.testing.assert_allclose(found["drag0"], found["mass0"] / 0.5, rtol=1e-12)


BIASED = f"{LANGEVIN}\ncompute t all temp/com\nfix_modify thermostat temp t"


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize(
    ("integrator", "words"),
    [
        (BIASED, "is not friction times velocity plus random forces"),
        (f"{NVT} drag 1.0", "is not what fix nvt makes of the forces"),
        (
            f"{NVE}\nthermo_modify lost ignore\nchange_box all boundary p p f\n"
            "velocity all set NULL NULL 40.0",
            "the atoms of the last step are not those of the first",
        ),
    ],
    ids=["friction", "replay", "lost atoms"],
)
def test_all_processes_stop_together(integrator, words, ranks, start, run_lammps):
    """Also where what is wrong is seen by the first process only, or where there are no atoms."""
    script = prepared(start, integrator, before="processors * 1 1", box=SLABS)
    result = run_lammps(f"{script}\n{RECORD}\nrun 20", ranks=ranks, check=False)
    assert result.returncode != 0
    assert words in error_line(result)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("integrator", "words"),
    [
        # integrators and other fixes
        ("", "no fix moves the atoms. Add fix nve or fix nvt"),
        (LANGEVIN.splitlines()[1], "no fix moves the atoms"),
        (f"{NVE}\nfix 2 all nve", "both fix integrate and fix 2 move the atoms"),
        (f"{NVE}\nfix 2 all nvt temp 1 1 0.3", "both fix integrate and fix 2 move the atoms"),
        (
            f"{LANGEVIN}\nfix 2 all langevin 1 1 0.5 4712",
            "both fix thermostat and fix 2 move the atoms",
        ),
        (
            f"{NVT}\nfix 2 all langevin 1 1 0.5 4711",
            "fix langevin can be differentiated with fix nve, but not with fix nvt",
        ),
        ("group g type 1\nfix 1 g nve", "fix 1 must have the group 'all', but has 'g'"),
        ("fix 1 all nve/limit 0.1", "fix 1 of style nve/limit cannot be differentiated"),
        (f"{NVE}\nfix 2 all momentum 1 linear 1 1 1", "fix 2 of style momentum"),
        (f"{NVE}\nfix 2 all setforce 0 NULL NULL", "fix 2 of style setforce"),
        (f"{NVE}\nfix 2 all dt/reset 1 NULL 0.004 0.01", "fix 2 of style dt/reset"),
        (f"{NVE}\nfix 2 all temp/berendsen 1 1 0.1", "fix 2 of style temp/berendsen"),
        (f"{NVE}\nfix 2 all spring/self 1", "fix 2 of style spring/self"),
        # a box that changes
        ("fix 1 all npt temp 1 1 0.3 iso 1 1 3", "a box that changes cannot be differentiated"),
        (f"{NVE}\nfix 2 all deform 1 x vel 0.1 remap v", "a box that changes"),
        (f"change_box all boundary s p p\n{NVE}", "a box that changes"),
        # other potentials
        ("pair_style lj/cut 2.5\npair_coeff * * 1 1\n" + NVE, "but the pair style is lj/cut"),
        ("pair_style none\n" + NVE, "but the pair style is none"),
        (
            "pair_style hybrid diffsim\npair_coeff * * diffsim {folder}/potential.knots A B\n"
            + NVE,
            "but the pair style is hybrid",
        ),
        (f"neigh_modify exclude type 1 2\n{NVE}", "without the pairs of 'neigh_modify exclude'"),
        (f"pair_modify compute no\n{NVE}", "a pair style without effect"),
        (f"run_style respa 2 2 pair 1\n{NVE}", "run_style respa cannot be differentiated"),
        # thermostats that are not what they seem
        (LANGEVIN.replace("1.0 1.0", "1.0 2.0"), "must be constant, but went from 1 to"),
        (NVT.replace("1.0 1.0", "1.0 2.0"), "must be constant, but went from 1 to"),
        (
            "fix thermostat all langevin 1.0 1.0 0.5 4711 gjf vhalf\nfix integrate all nve",
            "not friction times velocity plus random forces",
        ),
        (
            "fix thermostat all langevin 1.0 1.0 0.5 4711 gjf vfull\nfix integrate all nve",
            "not friction times velocity plus random forces",
        ),
        (
            "variable T equal 1.0\n" + LANGEVIN.replace("1.0 1.0", "v_T 1.0"),
            "not friction times velocity plus random forces",
        ),
        (
            "variable T equal 1+0.01*step\n" + LANGEVIN.replace("1.0 1.0", "v_T 1.0"),
            "the temperature of the thermostat must be constant",
        ),
        (
            LANGEVIN + "\ncompute t all temp/partial 1 1 0\nfix_modify thermostat temp t",
            "Its options gjf, bias and variable temperatures",
        ),
        # a mean that is taken off the velocities
        (
            BIASED,
            "Its options gjf, bias and variable temperatures",
        ),
        (
            LANGEVIN + "\ncompute t all temp/profile 1 1 1 x 4\nfix_modify thermostat temp t",
            "Its options gjf, bias and variable temperatures",
        ),
        (
            NVT + "\ncompute t all temp\nfix_modify integrate temp t",
            "must use its own temperature; remove 'fix_modify integrate temp'",
        ),
        (NVT + " drag 1.0", "as 'drag' and 'tloop' of fix nvt"),
        (
            NVT + " tloop 2\ntimestep 0.01",
            "is not what fix nvt makes of the forces of pair_style diffsim",
        ),
    ],
)
def test_what_has_no_derivative_is_refused(integrator, words, start):
    with pytest.raises(Exception, match="Fix diffsim/trajectory") as error:
        trajectories(start, integrator.replace("{folder}", str(start.folder)))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("fix", "words"),
    [
        ("fix record all diffsim/trajectory 5", "expected 'fix ID all diffsim/trajectory'"),
        ("group g type 1\nfix record g diffsim/trajectory", "must be 'all', but is 'g'"),
    ],
)
def test_bad_fix_commands(fix, words, start):
    with lammps_instance(None, {}) as lammps:
        lammps.commands_string(prepared(start))
        with pytest.raises(Exception, match="Fix diffsim/trajectory") as error:
            lammps.commands_string(fix)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("eval exact", "'eval exact' evaluates the model itself"),
        ("shift", "'pair_modify shift yes' changes the energy"),
    ],
)
def test_what_is_not_the_table_is_refused(options, words, start, models):
    file = f'"{models}/lj.pt" A A'
    if options == "shift":
        # that ends with a step
        r = np.sqrt(np.linspace(0.8**2, 2.5**2, 50))
        _core.Knots("lj", ["A"], 2.5, [0.8], [1 / r]).write(str(start.folder / "step.knots"))
        file, options = f"{start.folder}/step.knots A A", "\npair_modify shift yes"
    with pytest.raises(Exception, match="are those of the tabulated potential") as error:
        trajectories(start, f"pair_style diffsim {options}\npair_coeff * * {file}\n{NVE}")
    assert words in str(error.value)


CUBES = "lattice sc 0.7\nregion box block 0 5 0 5 0 5\n"
BONDED = "atom_style bond\n" + CUBES + "create_box 1 box bond/types 1"
BONDS = "bond_style zero nocoeff\nbond_coeff *"


@pytest.mark.parametrize(
    ("system", "words"),
    [
        (
            "dimension 2\nlattice sq 0.7\nregion box block 0 8 0 8 -0.5 0.5\ncreate_box 1 box",
            "a simulation in two dimensions cannot be differentiated",
        ),
        (f"{BONDED}\n{BONDS}", "the force of bonds and angles"),
        (BONDED, "a potential with weights of bonded pairs"),
        (f"atom_modify id no\n{CUBES}create_box 1 box", "atoms must have IDs"),
    ],
    ids=["2d", "bonds", "molecules", "no IDs"],
)
def test_other_systems_are_refused(system, words, start):
    with lammps_instance(None, {}) as lammps:
        lammps.commands_string(f"""
            units lj
            {system}
            create_atoms 1 box
            mass 1 1.0
            {start.potential(start.u).removesuffix(" B")}
            {NVE}
            {RECORD}
            """)
        with pytest.raises(Exception, match="Fix diffsim/trajectory") as error:
            lammps.command("run 1")
    assert words in str(error.value)


def test_lost_atoms_are_refused(start):
    leaving = "change_box all boundary p p f\nvelocity all set NULL NULL 40.0"
    with pytest.raises(Exception, match="the atoms of the last step are not those of the first"):
        trajectories(start, f"thermo_modify lost ignore\n{leaving}\n{NVE}", "run 20")


def test_a_run_without_its_beginning_is_refused(start):
    with pytest.raises(Exception, match="does not know how it began"):
        trajectories(start, NVE, "run 2\nrun 2 pre no")


def test_a_thermostat_that_is_not_a_number_is_refused(start):
    """That of a single atom has no degrees of freedom, and masses of 0/0."""
    alone = f"group others id > 1\ndelete_atoms group others\n{NVT}"
    with pytest.raises(Exception, match="is not what fix nvt makes of the forces"):
        trajectories(start, alone)


def test_a_ramp_is_refused_each_time(start):
    """The thermostat comes after the record, which sees the temperature that a run has left."""
    with lammps_instance(None, {}) as lammps:
        lammps.commands_string(prepared(start, RECORD))
        lammps.commands_string(LANGEVIN.replace("1.0 1.0", "1.0 2.0"))
        for _ in range(3):
            with pytest.raises(Exception, match="temperature of the thermostat must be constant"):
                lammps.command("run 5")
        assert recorded(lammps) == []


def test_nothing_is_left_of_a_run_that_failed(start):
    with lammps_instance(None, {}) as lammps:
        lammps.commands_string(f"{prepared(start, NVT + ' drag 1.0')}\n{RECORD}")
        with pytest.raises(Exception, match="is not what fix nvt makes of the forces"):
            lammps.command("run 5")
        with pytest.raises(Exception, match="does not know how it began"):
            lammps.command("run 5 pre no")
        lammps.commands_string(f"unfix integrate\n{NVE}\nrun 3")
        (trajectory,) = recorded(lammps)
    assert trajectory.steps == 3


def test_atoms_are_as_they_were_when_the_friction_cannot_be_found(start):
    """A temperature that is negative when velocities are round numbers, as those of a probe."""
    negative = "abs(vx[1]*10-round(vx[1]*10))<1e-9"
    thermostat = LANGEVIN.replace("1.0 1.0", "v_T 1.0")
    script = "atom_modify map yes\n" + prepared(
        start, f'variable T equal "1.0-2.0*({negative})"\n{thermostat}'
    )
    states = []
    for fix in ("", RECORD):
        with lammps_instance(None, {}) as lammps:
            lammps.commands_string(f"{script}\n{fix}")
            if fix:
                with pytest.raises(Exception, match="negative temperature"):
                    lammps.command("run 5")
            else:
                lammps.command("run 5")
            states.append(
                [list(lammps.gather_atoms("v", 1, 3)), list(lammps.gather_atoms("mask", 0, 1))]
            )
    assert states[0] == states[1]


# ---- what the run is ----


def last_positions(start, integrator, fixes, runs="run 60"):
    with lammps_instance(None, {}) as lammps:
        lammps.commands_string(f"{prepared(start, integrator)}\n{fixes}\n{runs}")
        return np.array(lammps.gather_atoms("x", 1, 3))


@pytest.mark.parametrize("integrator", [NVE, NVT, LANGEVIN], ids=["nve", "nvt", "langevin"])
def test_recording_does_not_change_the_run(integrator, start):
    alone = last_positions(start, integrator, "")
    np.testing.assert_array_equal(last_positions(start, integrator, RECORD), alone)


@pytest.mark.parametrize("integrator", [NVE, NVT], ids=["nve", "nvt"])
def test_recording_does_not_change_the_next_run(integrator, start):
    alone = last_positions(start, integrator, "", "run 20\nrun 20")
    found = last_positions(start, integrator, RECORD, "run 20\nrun 20")
    np.testing.assert_array_equal(found, alone)


def test_fixes_that_look_on_are_allowed(start):
    passive = """
        fix text all print 5 "$(step)" screen no
        fix mean all ave/time 1 5 5 c_thermo_temp
        fix counts all diffsim/counts 5 rdf 20 2.0
        fix mark all property/atom i_mark
        compute msd all msd
        fix keep all store/state 0 x y z
        thermo_style custom step temp c_msd[4] f_record
        thermo 1
        """
    with lammps_instance(None, {}) as lammps:
        lammps.commands_string(f"{prepared(start)}\n{RECORD}\n{passive}\nrun 10")
        (trajectory,) = recorded(lammps)
        assert len(_core.take_frames(lammps.lmp.value, "counts")) == 2
    assert trajectory.steps == 10


def test_each_run_is_a_trajectory(start):
    found = trajectories(
        start, NVT, "run 3\nrun 0\nrun 4\nvelocity all scale 1.5\nrun 6 every 2 NULL"
    )
    assert [t.steps for t in found] == [3, 4, 2, 2, 2]
    for before, after in itertools.pairwise(found):
        np.testing.assert_allclose(before.x[-1], after.x[0], rtol=0, atol=1e-14)  # wrapped
    np.testing.assert_array_equal(found[0].v[-1], found[1].v[0])
    assert np.abs(found[1].v[-1] - found[2].v[0]).max() > 0.1
    np.testing.assert_array_equal(found[0].chain_velocity[-1], found[1].chain_velocity[0])


def test_the_potential_of_a_run_is_that_of_its_trajectory(start):
    """And stays it when the pair style is another one."""
    r = np.sqrt(np.linspace(0.64, 6.25, 60))
    soft = np.array([np.exp(-r) * (2.5 - r) ** 3] * 3)
    _core.Knots("lj", ["A", "B"], 2.5, [0.8] * 3, soft).write(str(start.folder / "soft.knots"))
    (alone,) = trajectories(start, runs="run 5")
    first, second = trajectories(
        start,
        runs=f"run 5\npair_style diffsim\npair_coeff * * {start.folder}/soft.knots A B\nrun 5",
    )
    dx = np.random.default_rng(1).normal(size=first.x.shape)
    coefficients = [_core.adjoint(t, dx)["coefficients"] for t in (alone, first, second)]
    assert [c.shape for c in coefficients] == [(3, 252), (3, 252), (3, 62)]
    np.testing.assert_array_equal(coefficients[0], coefficients[1])


@pytest.mark.parametrize("integrator", [NVE, NVT, COOLING], ids=["nve", "nvt", "langevin"])
def test_rounding_of_atoms_far_from_the_origin_is_not_another_force(integrator, start):
    """In a short step the difference of two positions has few digits."""
    (t,) = trajectories(start, f"set group all image 500 500 500\ntimestep 1e-5\n{integrator}")
    assert t.steps == 5
    assert t.x.min() > 3000


def test_a_minimization_is_not_recorded(start):
    found = trajectories(start, runs="minimize 1e-3 1e-3 10 10\nrun 3\nminimize 1e-3 1e-3 10 10")
    assert [t.steps for t in found] == [3]


# ---- units ----

# energy, length, mass and time step of argon
ARGON = {"real": (0.238, 3.4, 39.95, 4.0), "metal": (0.01032, 3.4, 39.95, 0.004)}


class Argon:
    """A liquid of two kinds of atoms, the second one lighter, in other units than lj."""

    def __init__(self, folder, units, integrator):
        self.folder, self.units = folder, units
        self.energy, self.length, mass, self.dt = ARGON[units]
        temperature, period = 120.0, 100 * self.dt
        self.integrator = {
            "nve": NVE,
            "langevin": f"{NVE}\nfix 2 all langevin {temperature} {temperature} {period} 4711",
            "nvt": f"fix integrate all nvt temp {temperature} {temperature} {period}",
        }[integrator]
        r = np.sqrt(np.linspace(0.8**2, 2.5**2, 200))
        self.r = self.length * np.array([r] * 3)
        self.u = self.energy * np.array([smooth_lj(r, e, 1.0) for e in (1.0, 1.2, 0.7)])
        self.change = self.energy * np.sin(5 * r + 1) * np.exp(-self.u.clip(0) / self.energy / 20)
        self.change *= (2.5 - r) ** 3
        self.begin(
            f"""
            units {units}
            lattice sc {self.length / 0.7 ** (1 / 3)}
            region box block 0 5 0 5 0 5
            create_box 2 box
            create_atoms 1 box
            set type 1 type/fraction 2 0.4 99
            mass 1 {mass}
            mass 2 {mass / 2}
            velocity all create {temperature} 12""",
            f"run 300\nwrite_restart {folder}/start",
        )

    def begin(self, atoms, commands, u=None):
        knots = _core.Knots(
            self.units,
            ["A", "B"],
            2.5 * self.length,
            [self.r[0, 0]] * 3,
            self.u if u is None else u,
        )
        knots.write(str(self.folder / "potential.knots"))
        with lammps_instance(None, {}) as lammps:
            lammps.commands_string(f"""
                {atoms}
                timestep {self.dt}
                pair_style diffsim
                pair_coeff * * {self.folder}/potential.knots A B
                {self.integrator}
                {RECORD}
                {commands}
                """)
            return recorded(lammps)

    def run(self, u, steps):
        (trajectory,) = self.begin(f"read_restart {self.folder}/start", f"run {steps}", u)
        return trajectory


@pytest.mark.parametrize("units", ARGON)
@pytest.mark.parametrize("integrator", ["nve", "langevin", "nvt"])
def test_gradient_in_other_units(integrator, units, tmp_path):
    argon = Argon(tmp_path, units, integrator)
    trajectory = argon.run(argon.u, 40)
    assert np.abs(trajectory.x[-1] - trajectory.x[0]).max() > 0.1 * argon.length
    loss = Loss(trajectory)
    found = np.sum(gradient(trajectory, *loss.derivatives(trajectory)) * argon.change)
    expected = central_difference(argon, loss, argon.change, 1e-4, 40)
    assert found == pytest.approx(expected, rel=1e-6)
