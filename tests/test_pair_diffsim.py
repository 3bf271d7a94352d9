"""pair_style diffsim with a TorchScript Lennard-Jones, held against LAMMPS's own lj/cut."""

from __future__ import annotations

import functools
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from conftest import (
    CUTOFF,
    EPSILON,
    GPUS,
    KERNELS,
    LMP,
    NO_BOND_FORCES,
    SIGMA,
    TOLERANCE,
    Configuration,
    LennardJones,
    assert_agrees,
    assert_close,
    assert_same_to_rounding,
    assert_same_to_tolerance,
    bare_environment,
    core,
    diffsim,
    environment,
    error_line,
    fluid,
    gpu_environment,
    kernel_environment,
    lj_cut,
    lj_energy,
    lj_force,
    package_folder,
    run_script,
    save_model,
    since_2025,
    single_point,
)
from diffsim.knots import choose_grid, core_knots, knot_values
from diffsim.plugin import plugin_directory
from diffsim.simulation import lammps_instance

# ---- energies, forces and virials, for each kernel ----

WEIGHTS = ("0.0 0.5 1.0", "1.0 0.0 0.5", "0.5 1.0 0.0")  # of 1-2, 1-3 and 1-4 neighbours
EACH_WAY = (*KERNELS, *GPUS, "exact")


def chains(configuration: Configuration) -> Configuration:
    """The same atoms in chains of five, numbered in a row, close to each other or not."""
    bonds = [(k, k + 1) for k in range(len(configuration.x) // 2) if k % 5 != 4]
    return Configuration(configuration.box, configuration.x, configuration.types, bonds)


SYSTEMS = {
    "one-type": fluid(),
    "two-types": fluid(n_types=2),
    "triclinic": fluid(tilt=True, n_types=2),
    "molecules": chains(fluid(n_types=2, cells=5)),
    "one-type-molecules": chains(fluid(cells=5)),
}


def comparison(name, newton, models, evaluation):
    """Script that computes one of the systems with lj/cut and with diffsim."""
    n_types = SYSTEMS[name].types.max()
    if SYSTEMS[name].bonds:
        variants = [(f"-{k}", f"special_bonds lj {w}\n") for k, w in enumerate(WEIGHTS)]
        # the chains span the box
        start = core(name, newton, bonds=NO_BOND_FORCES) + "comm_modify cutoff 4.2\n"
    else:
        variants = [("", "")]
        start = core(name, newton)
    script = start + lj_cut(n_types)
    for suffix, commands in variants:
        script += commands + single_point(f"{name}{suffix}-reference")
    script += diffsim(
        models,
        n_types,
        evaluation="exact" if evaluation == "exact" else "table",
        device="cuda" if evaluation in GPUS else "",
    )
    for suffix, commands in variants:
        script += commands + single_point(f"{name}{suffix}")
    # no integrator: the atoms stay, and neither energy nor virial is wanted in step 1
    steps = f"dump plain all custom 1 {name}.plain id fx fy fz\n"
    return script + steps + "dump_modify plain format float %.17g\nrun 2\nundump plain\nclear\n"


@pytest.fixture(scope="module")
def compared(models, tmp_path_factory):
    """Function (evaluation, newton, ranks) -> the result of the comparison of all systems."""

    @functools.cache
    def run(evaluation, newton, ranks):
        environ = None
        if evaluation in KERNELS:
            environ = kernel_environment(evaluation)
        elif evaluation in GPUS:
            environ = gpu_environment(evaluation)
        folder = tmp_path_factory.mktemp("compared")
        script = ""
        for name, configuration in SYSTEMS.items():
            configuration.write(folder / name)
            script += comparison(name, newton, models, evaluation)
        return run_script(folder, script, ranks=ranks, check=False, environ=environ)

    def successful_run(evaluation, newton, ranks):
        result = run(evaluation, newton, ranks)
        assert result.returncode == 0, result.log[-3000:] + result.stderr[-3000:]
        return result

    return successful_run


def single_points(name):
    return [f"{name}-{k}" for k in range(len(WEIGHTS))] if SYSTEMS[name].bonds else [name]


each_system = pytest.mark.parametrize("system", SYSTEMS)
each_evaluation = pytest.mark.parametrize("evaluation", EACH_WAY)
each_newton = pytest.mark.parametrize("newton", ["on", "off"])
each_ranks = pytest.mark.parametrize("ranks", [1, 2])


@each_system
@each_evaluation
@each_ranks
@each_newton
def test_agrees_with_lj_cut(newton, ranks, evaluation, system, compared):
    result = compared(evaluation, newton, ranks)
    for name in single_points(system):
        assert_agrees(result, SYSTEMS[system], evaluation, name, f"{name}-reference")


@each_system
@each_evaluation
@each_ranks
@each_newton
def test_a_step_without_energy_and_virial(newton, ranks, evaluation, system, compared):
    result = compared(evaluation, newton, ranks)
    first, plain, last = result.dump(f"{system}.plain")
    for column in ("fx", "fy", "fz"):
        assert_close(plain[column], first[column], 1e-12, column)
        assert_close(last[column], first[column], 1e-12, column)


@each_system
@pytest.mark.parametrize("kernel", [way for way in (*KERNELS, *GPUS) if way != "portable"])
@each_ranks
@each_newton
def test_kernels_agree_to_rounding(newton, ranks, kernel, system, compared):
    fast, portable = compared(kernel, newton, ranks), compared("portable", newton, ranks)
    for name in single_points(system):
        assert_same_to_rounding(fast, portable, name, name)


@pytest.mark.parametrize("kernel", KERNELS)
@each_ranks
def test_the_log_names_the_kernel(ranks, kernel, compared):
    log = compared(kernel, "on", ranks).log
    named = re.findall(r"Pair style diffsim: (\w+) kernels?\b", log)
    assert len(named) >= len(SYSTEMS)
    assert set(named) == {kernel}


@each_ranks
def test_a_kernel_that_does_not_exist(ranks, models, run_lammps, tmp_path):
    fluid(cells=3).write(tmp_path / "start.data")
    environ = {**environment(), "DIFFSIM_INSTRUCTIONS": "mmx"}
    script = core() + diffsim(models) + "run 0\n"
    result = run_lammps(script, ranks=ranks, check=False, environ=environ)
    assert result.returncode > 0
    line = error_line(result)
    for word in ("Pair style diffsim", "DIFFSIM_INSTRUCTIONS", "mmx", *KERNELS):
        assert word in line


def test_weights_of_bonded_neighbours_matter(compared):
    values = compared("portable", "on", 1).values
    energies = sorted(values[name][0] for name in single_points("molecules"))
    assert min(np.diff(energies)) > 10.0


@each_newton
def test_a_rank_without_atoms(newton, models, run_lammps, tmp_path):
    # the right half of the box is empty: no atom, no ghost at the inner border of the second rank
    configuration = fluid(cells=3)
    configuration.box = configuration.box @ np.diag([3.0, 1.0, 1.0])
    configuration.x[:, 0] += 0.5
    configuration.write(tmp_path / "start.data")
    result = run_lammps(
        core(newton=newton, processors="2 1 1")
        + lj_cut()
        + single_point("reference")
        + diffsim(models)
        + single_point("diffsim")
        + "velocity all create 1.0 11\nfix 1 all nve\nrun 20\n",
        ranks=2,
    )
    assert re.search(r"Nlocal: .* 108 max +0 min", result.log)
    assert_same_to_tolerance(result, configuration)


def test_conserves_energy_as_lj_cut_does(models, run_lammps, tmp_path):
    fluid().write(tmp_path / "start.data")
    steps = 2000
    run = f"velocity all create 1.5 7 loop all\nfix 1 all nve\nrun {steps}\nunfix 1\n"
    again = "delete_atoms group all\nread_data start.data add append\nreset_timestep 0\n"
    prepare = core() + "timestep 0.002\nthermo 10\n"
    result = run_lammps(prepare + lj_cut() + run + again + diffsim(models, tolerance=None) + run)
    theirs, ours = (table["TotEng"] / 256 for table in result.thermo)
    assert len(ours) == len(theirs) == steps // 10 + 1
    assert ours[0] == pytest.approx(theirs[0], abs=1e-4)

    def drift(energy):
        return np.polyfit(np.linspace(0.0, 1.0, len(energy)), energy, 1)[0]

    # per atom, over four time units; the velocities turn 1 eps of kinetic energy over and over
    assert np.ptp(result.thermo[1]["KinEng"] / 256) > 0.1
    assert abs(drift(ours)) < 3e-4
    assert ours.std() < 1.5 * theirs.std()
    # the first steps are the same trajectory
    np.testing.assert_allclose(ours[:5], theirs[:5], rtol=0, atol=2e-5)


# ---- derivatives of the energy ----


@pytest.fixture
def energy_of(models, tmp_path):
    """Function configuration -> (pe, forces, pressure tensor) of diffsim for atoms at rest."""

    def evaluate(configuration: Configuration):
        data = configuration.write(tmp_path / "start.data", n_types=2)
        keys = ("pe", "pxx", "pyy", "pzz", "pxy", "pxz", "pyz")
        with lammps_instance(None, {}) as lammps:
            lammps.commands_string(core(data) + diffsim(models, 2) + "run 0 post no")
            values = [lammps.get_thermo(key) for key in keys]
            order = np.argsort(lammps.numpy.extract_atom("id")[: len(configuration.x)])
            forces = lammps.numpy.extract_atom("f")[: len(configuration.x)][order].copy()
        return values[0], forces, dict(zip(keys[1:], values[1:], strict=True))

    return evaluate


@pytest.mark.parametrize("tilt", [False, True], ids=["orthogonal", "triclinic"])
def test_forces_are_the_derivative_of_the_energy(tilt, energy_of):
    configuration = fluid(cells=3, tilt=tilt, n_types=2)
    _, forces, _ = energy_of(configuration)
    np.testing.assert_allclose(forces.sum(0), 0.0, atol=1e-9)
    h = 1e-5
    for atom, direction in ((0, 0), (17, 1), (60, 2), (101, 0)):
        energies = []
        for sign in (1, -1):
            moved = Configuration(configuration.box, configuration.x.copy(), configuration.types)
            moved.x[atom, direction] += sign * h
            energies.append(energy_of(moved)[0])
        slope = (energies[0] - energies[1]) / (2 * h)
        assert forces[atom, direction] == pytest.approx(-slope, rel=1e-6, abs=2e-6)


@pytest.mark.parametrize(
    ("component", "strain"),
    [
        ("press", np.eye(3)),
        ("pxx", np.diag([1.0, 0.0, 0.0])),
        ("pzz", np.diag([0.0, 0.0, 1.0])),
        # x' = x + strain y keeps the box vectors in LAMMPS's lower triangular form
        ("pxy", np.array([[0.0, 0, 0], [1.0, 0, 0], [0, 0, 0]])),
        ("pyz", np.array([[0.0, 0, 0], [0, 0, 0], [0, 1.0, 0]])),
    ],
)
@pytest.mark.parametrize("tilt", [False, True], ids=["orthogonal", "triclinic"])
def test_pressure_is_the_derivative_of_the_energy(tilt, component, strain, energy_of):
    configuration = fluid(cells=3, tilt=True, n_types=2)
    if not tilt:
        configuration = fluid(cells=3, n_types=2)
        if component in ("pxy", "pyz"):  # LAMMPS's box becomes triclinic when it is sheared
            configuration.box[1, 0] = configuration.box[2, 1] = 1e-9
    _, _, pressure = energy_of(configuration)
    pressure["press"] = sum(pressure[key] for key in ("pxx", "pyy", "pzz"))  # -dE/dstrain/V
    h = 2e-6
    energies = []
    for sign in (1, -1):
        map_ = np.eye(3) + sign * h * strain
        energies.append(
            energy_of(
                Configuration(configuration.box @ map_, configuration.x @ map_, configuration.types)
            )[0]
        )
    slope = (energies[0] - energies[1]) / (2 * h) / configuration.volume
    assert abs(pressure[component]) > 0.01
    # pairs that cross the cutoff within the strain: a few, times the force there, 0.04
    assert pressure[component] == pytest.approx(-slope, rel=1e-5, abs=1e-5)


# ---- single, group/group, hybrid ----


def test_pair_write_tabulates_lennard_jones(models, run_lammps, tmp_path):
    fluid(n_types=2).write(tmp_path / "start.data")
    run_lammps(
        core()
        + diffsim(models, 2)
        + "pair_write 1 2 400 r 0.8 2.6 table.txt AB\npair_write 2 2 400 r 0.8 2.6 table.txt BB\n"
    )
    text = (tmp_path / "table.txt").read_text()
    for keyword, i, j in (("AB", 0, 1), ("BB", 1, 1)):
        table = text.split(f"\n{keyword}\n")[1].split("\n\n")[1]
        rows = np.array([[float(w) for w in line.split()] for line in table.splitlines()[:400]])
        r, u, f = rows[:, 1:].T
        assert r[0] == pytest.approx(0.8)
        assert r[-1] == pytest.approx(2.6)
        at = (EPSILON[i][j], SIGMA[i][j])
        np.testing.assert_allclose(u, lj_energy(r, *at), rtol=2e-7, atol=2e-7)
        np.testing.assert_allclose(f, lj_force(r, *at), rtol=2e-7, atol=2e-7)
        np.testing.assert_array_equal(rows[r >= CUTOFF, 2:], 0.0)
        assert (r >= CUTOFF).sum() > 10
    # a literal: eps 1.3, sigma 0.95 at r = 0.95 is minus the shift, 4 eps ((s/rc)^6 - (s/rc)^12)
    assert lj_energy(0.95, 1.3, 0.95) == pytest.approx(0.015608, abs=1e-5)


@pytest.mark.parametrize("newton", ["on", "off"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_compute_group_group(newton, ranks, models, run_lammps, tmp_path):
    fluid(n_types=2).write(tmp_path / "start.data")
    groups = """
group a type 1
group b id 20:60
group c subtract all b
compute g all group/group all
compute ab a group/group b
compute bb b group/group b
compute cc c group/group c
compute bc b group/group c
thermo_style custom step pe c_ab c_bb c_cc c_bc c_ab[1] c_ab[2] c_ab[3]
thermo_modify norm no format float %.17g
"""
    show = """
run 0
print "RESULT {name} $(pe:%.17g) $(c_ab:%.17g) $(c_bb:%.17g) $(c_cc:%.17g) $(c_bc:%.17g) &
$(c_ab[1]:%.17g) $(c_ab[2]:%.17g) $(c_ab[3]:%.17g)"
"""
    result = run_lammps(
        core(newton=newton)
        + lj_cut(2)
        + groups
        + show.format(name="reference")
        + diffsim(models, 2)
        + show.format(name="diffsim"),
        ranks=ranks,
    )
    ours, theirs = result.values["diffsim"], result.values["reference"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    pe, _, bb, cc, bc, *force = ours
    assert pe == pytest.approx(bb + cc + bc, rel=1e-12)
    assert min(abs(f) for f in force) > 1e-3


@pytest.mark.parametrize("style", ["hybrid", "hybrid/overlay"])
@pytest.mark.parametrize("newton", ["on", "off"])
def test_hybrid_with_a_type_left_to_another_style(newton, style, models, run_lammps, tmp_path):
    configuration = fluid(n_types=2)
    configuration.write(tmp_path / "start.data")
    mixed = f"""
pair_style {style} diffsim tolerance {TOLERANCE:g} lj/cut {CUTOFF}
pair_coeff * * diffsim "{models / "lj2.pt"}" A NULL
pair_coeff 1 2 lj/cut {EPSILON[0][1]} {SIGMA[0][1]}
pair_coeff 2 2 lj/cut {EPSILON[1][1]} {SIGMA[1][1]}
pair_modify pair lj/cut shift yes
compute ours all pair diffsim
"""
    result = run_lammps(
        core(newton=newton)
        + lj_cut(2)
        + single_point("reference")
        + mixed
        + single_point("diffsim")
        + 'print "RESULT share $(c_ours:%.17g)"\n'
    )
    assert_same_to_tolerance(result, configuration)
    # compute pair sees the share of diffsim: the pairs of type 1
    r, _, i, j = configuration.pairs(CUTOFF)
    ones = (configuration.types[i] == 1) & (configuration.types[j] == 1)
    assert result.values["share"][0] == pytest.approx(lj_energy(r[ones]).sum(), rel=1e-6)


def test_overlay_adds_to_another_style(models, run_lammps, tmp_path):
    fluid().write(tmp_path / "start.data")
    both = f"""
pair_style hybrid/overlay diffsim tolerance {TOLERANCE:g} lj/cut {CUTOFF}
pair_coeff * * diffsim "{models / "lj.pt"}" A
pair_coeff * * lj/cut 1.0 1.0
pair_modify pair lj/cut shift yes
"""
    result = run_lammps(core() + lj_cut() + single_point("reference") + both + single_point("both"))
    np.testing.assert_allclose(
        result.values["both"], 2.0 * np.array(result.values["reference"]), rtol=1e-6
    )
    assert result.values["both"][0] < -1000.0


@pytest.mark.parametrize("ranks", [1, 2])
def test_respa_at_pair_level(ranks, models, run_lammps, tmp_path):
    fluid(cells=3).write(tmp_path / "start.data")
    move = "velocity all create 1.0 5 loop all\nreset_timestep 0\nfix 1 all nve\nrun 10\nunfix 1\n"
    again = "delete_atoms group all\nread_data start.data add append\n"
    prepare = core() + diffsim(models) + "timestep 0.002\n"
    result = run_lammps(prepare + move + again + "run_style respa 2 1 pair 2\n" + move, ranks=ranks)
    verlet, respa = (table["TotEng"] for table in result.thermo)
    # the same time step at the same level is the same integrator
    np.testing.assert_allclose(respa, verlet, rtol=1e-10)


# ---- the number of knots ----


def report(log):
    """(knots, error of the energy, error of the force, tolerance) that the log states."""
    knots = int(re.search(r"with (\d+) knots in r\^2", log)[1])
    found = re.search(
        r"energy (\S+) at r = (\S+), force (\S+) at r = (\S+) \(tolerance (\S+)\)", log
    )
    return knots, float(found[1]), float(found[3]), float(found[5])


def test_the_tolerance_sets_the_number_of_knots(models, run_lammps, tmp_path):
    configuration = fluid(cells=3)
    configuration.write(tmp_path / "start.data")
    script = core()
    tolerances = (1e-3, 1e-5, 1e-7)
    for tolerance in tolerances:
        script += diffsim(models, tolerance=tolerance) + 'print "====="\n'
    script += f'pair_style diffsim\npair_coeff * * "{models / "lj.pt"}" A\n'
    reports = [report(text) for text in run_lammps(script).log.split("\n=====\n")]
    for tolerance, (_, energy, force, said) in zip(tolerances, reports[:3], strict=True):
        assert said == tolerance
        assert 0.0 < energy <= tolerance
        assert 0.0 < force <= tolerance
    coarse, middle, fine, default = (knots for knots, *_ in reports)
    assert coarse < middle < fine
    assert (default, reports[3][3]) == (middle, 1e-5)
    # the slope of a cubic spline converges with h^3: 100 times the accuracy is 4.6 times the knots
    assert 3.0 < fine / middle < 7.0


def test_fewer_knots_are_a_larger_error(models, run_lammps, tmp_path):
    fluid().write(tmp_path / "start.data")
    script = core() + lj_cut() + single_point("reference")
    for name, tolerance in (("coarse", 1e-3), ("fine", 1e-7)):
        script += diffsim(models, tolerance=tolerance) + single_point(name)
    result = run_lammps(script)
    (theirs,) = result.dump("reference.dump")
    coarse, fine = (
        np.abs(result.dump(f"{name}.dump")[0]["fx"] - theirs["fx"]).max()
        for name in ("coarse", "fine")
    )
    assert coarse > 100.0 * fine


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_knots_file_is_the_same_potential(ranks, models, run_lammps, tmp_path):
    model = torch.jit.load(models / "lj2.pt")
    grid, error = choose_grid(model, 1e-6)
    knots = core_knots(grid, knot_values(model, grid).detach().numpy())
    knots.write(str(tmp_path / "lj2.knots"))
    assert max(error.energy, error.force) <= 1e-6
    fluid(n_types=2).write(tmp_path / "start.data")
    result = run_lammps(
        core()
        + diffsim(models, 2, tolerance=1e-6)
        + single_point("model")
        + "pair_coeff * * lj2.knots A B\n"
        + single_point("knots"),
        ranks=ranks,
    )
    counts = re.findall(r"with (\d+) knots", result.log)
    assert counts == [str(grid.knots)] * 2
    np.testing.assert_allclose(result.values["knots"], result.values["model"], rtol=1e-11)
    (from_model,), (from_knots,) = result.dump("model.dump"), result.dump("knots.dump")
    for column in ("fx", "fy", "fz", "c_e", *(f"c_s[{k}]" for k in range(1, 7))):
        np.testing.assert_allclose(from_knots[column], from_model[column], rtol=0, atol=1e-9)


# ---- how LAMMPS is started ----


@pytest.mark.parametrize("ranks", [1, 2])
def test_bare_executable(ranks, models, run_lammps, tmp_path):
    # no Python in the process, and none that set up paths before: torch is found by the plugin
    configuration = fluid()
    configuration.write(tmp_path / "start.data")
    result = run_lammps(
        core() + lj_cut() + single_point("reference") + diffsim(models) + single_point("diffsim"),
        ranks=ranks,
        command=[str(package_folder("lammps") / "lmp")],
        environ=bare_environment(plugin_directory()),
    )
    assert_same_to_tolerance(result, configuration)


def test_console_script_finds_the_plugin(models, run_lammps, tmp_path):
    fluid(cells=3).write(tmp_path / "start.data")
    environ = bare_environment(None)
    del environ["LD_LIBRARY_PATH"]
    result = run_lammps(core() + diffsim(models) + "run 0\n", command=LMP, environ=environ)
    assert f"Loaded 1 plugins from {plugin_directory()}" in result.log


@since_2025(reason="LAMMPS's wheels do not look for plugins when Python imports them")
def test_python_finds_the_plugin_without_diffsim(models, tmp_path):
    # a Python that imports neither diffsim nor torch
    fluid(cells=3).write(tmp_path / "start.data")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from mpi4py import MPI\n"
        "from lammps import lammps\n"
        "lmp = lammps(cmdargs=['-screen', 'none', '-log', 'none'])\n"
        "lmp.commands_string(sys.argv[1])\n"
        "assert 'torch' not in sys.modules and 'diffsim._core' not in sys.modules\n"
        "print('ENERGY', repr(lmp.get_thermo('pe')))\n"
    )
    result = subprocess.run(
        [sys.executable, str(script), core() + diffsim(models) + "run 0 post no"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        timeout=60,
    )
    energy = float(result.stdout.split("ENERGY ")[1])
    assert energy == pytest.approx(lj_energy(fluid(cells=3).pairs(CUTOFF)[0]).sum(), rel=1e-6)


def test_models_in_other_units(run_lammps, tmp_path):
    # argon in real units: the same model class, energies in kcal/mol and distances in Angstrom
    model = LennardJones(["Ar"], [[0.238]], [[3.405]], cutoff=8.5, units="real")
    save_model(model, tmp_path / "argon.pt")
    reduced = fluid(density=0.7)
    Configuration(3.405 * reduced.box, 3.405 * reduced.x, reduced.types).write(
        tmp_path / "start.data"
    )
    result = run_lammps(
        core().replace("units lj", "units real")
        + "pair_style diffsim tolerance 1e-7\npair_coeff * * argon.pt Ar\n"
        + "run 0\n"
    )
    r = 3.405 * reduced.pairs(8.5 / 3.405)[0]
    assert result.thermo[0]["PotEng"][0] == pytest.approx(
        lj_energy(r, 0.238, 3.405, 8.5).sum(), rel=1e-6
    )
