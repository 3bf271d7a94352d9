"""pair_style diffsim over time: restart files, factors of fix adapt, other potentials, memory."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from conftest import (
    CUTOFF,
    EPSILON,
    EVALUATIONS,
    NO_BOND_FORCES,
    SIGMA,
    TOLERANCE,
    LennardJones,
    assert_agrees,
    assert_close,
    assert_same_to_rounding,
    assert_same_to_tolerance,
    core,
    diffsim,
    environment,
    fluid,
    lj_cut,
    lj_energy,
    mixture,
    pair_tables,
    run_script,
    save_model,
    since_2025,
    single_point,
)
from diffsim import _core
from diffsim.knots import choose_grid, core_knots, knot_values
from diffsim.simulation import lammps_instance

each_ranks = pytest.mark.parametrize("ranks", [1, 2])

# ---- restart files ----

OUTPUT = """
neigh_modify delay 0 every 1 check yes
thermo_style custom step pe ke etotal press pxx pyy pzz pxy pxz pyz
thermo_modify norm no format float %.17g
timestep 0.004
"""
MOVE = "fix move all nve\nrun 10\nunfix move\n"


def write_knots_file(model, path, tolerance=1e-6):
    grid, _ = choose_grid(model, tolerance)
    core_knots(grid, knot_values(model, grid).detach().numpy()).write(str(path))


def potential_commands(kind, folder):
    """Write a potential of two species into the folder; the commands that use it from beside it."""
    model = mixture()
    if kind == "knots":
        write_knots_file(model, folder / "potential.knots")
        return "pair_style diffsim\npair_coeff * * ../model/potential.knots A B\n"
    if kind == "shifted":
        save_model(mixture(shift=False), folder / "potential.pt")
        return (
            "pair_style diffsim tolerance 1e-6\npair_modify shift yes\n"
            "pair_coeff * * ../model/potential.pt A B\n"
        )
    save_model(model, folder / "potential.pt")
    options = "eval exact" if kind == "exact" else "tolerance 1e-6"
    return f"pair_style diffsim {options}\npair_coeff * * ../model/potential.pt A B\n"


@pytest.fixture
def places(tmp_path):
    """Folders of a model, of the run that writes a restart file, and of one that reads it."""
    folders = [tmp_path / name for name in ("model", "first", "second")]
    for folder in folders:
        folder.mkdir()
    fluid(n_types=2).write(folders[1] / "start.data")
    return folders


@each_ranks
@pytest.mark.parametrize("kind", ["table", "knots", "shifted", "exact"])
def test_restart_without_the_model_file(kind, ranks, places):
    model, first, second = places
    potential = potential_commands(kind, model)
    before = run_script(
        first,
        core()
        + OUTPUT
        + potential
        + "velocity all create 1.0 5 loop all\n"
        + MOVE
        + "write_restart state.restart\n"
        + single_point("here")
        + MOVE
        + single_point("further"),
        ranks=ranks,
    )
    shutil.rmtree(model)
    after = run_script(
        second,
        "read_restart ../first/state.restart\n"
        + OUTPUT
        + single_point("here")
        + MOVE
        + single_point("further"),
        ranks=ranks,
    )
    for name in ("here", "further"):
        assert_same_to_rounding(after, before, name, name, relative=0.0)
    here, further = (before.values[name][0] for name in ("here", "further"))
    assert abs(here - further) > 0.1


@each_ranks
def test_restart_of_an_overlay(ranks, places):
    """Of hybrid styles LAMMPS keeps the settings alone: pair_coeff must be said again."""
    model, first, second = places
    potential_commands("table", model)
    coefficients = (
        "pair_coeff * * diffsim ../model/potential.pt A NULL\n"
        f"pair_coeff 1 2 lj/cut {EPSILON[0][1]} {SIGMA[0][1]}\n"
        f"pair_coeff 2 2 lj/cut {EPSILON[1][1]} {SIGMA[1][1]}\n"
    )
    before = run_script(
        first,
        core()
        + OUTPUT
        + f"pair_style hybrid/overlay diffsim tolerance 1e-6 lj/cut {CUTOFF}\n"
        + coefficients
        + "pair_modify pair lj/cut shift yes\n"
        + "velocity all create 1.0 5 loop all\n"
        + MOVE
        + "write_restart state.restart\n"
        + single_point("here")
        + MOVE
        + single_point("further"),
        ranks=ranks,
    )
    after = run_script(
        second,
        "read_restart ../first/state.restart\n"
        + OUTPUT
        + coefficients
        + single_point("here")
        + MOVE
        + single_point("further"),
        ranks=ranks,
    )
    assert "tolerance 1.00e-06" in after.log
    for name in ("here", "further"):
        assert_same_to_rounding(after, before, name, name, relative=0.0)


def test_restart_on_another_number_of_processes(places):
    model, first, second = places
    potential = potential_commands("table", model)
    script = core() + OUTPUT + potential + "run 0\nwrite_restart state.restart\n"
    before = run_script(first, script + single_point("here"), ranks=2)
    shutil.rmtree(model)
    script = "read_restart ../first/state.restart\n" + OUTPUT
    for ranks in (1, 2):
        after = run_script(second, script + single_point("here"), ranks=ranks)
        assert_same_to_rounding(after, before, "here", "here")


def test_restart_of_a_restart(places):
    """What was read from a restart file can be written to one again."""
    model, first, second = places
    potential = potential_commands("exact", model)
    before = run_script(
        first, core() + OUTPUT + potential + "write_restart a.restart\n" + single_point("here")
    )
    shutil.rmtree(model)
    script = "read_restart {0}.restart\n" + OUTPUT + "write_restart {1}.restart\n"
    shutil.move(first / "a.restart", second)
    run_script(second, script.format("a", "b"))
    (second / "a.restart").unlink()
    after = run_script(second, script.format("b", "c") + single_point("here"))
    assert_same_to_rounding(after, before, "here", "here", relative=0.0)


def test_settings_of_a_restart_file(places):
    """Other coefficients after a restart are read with the settings of before."""
    model, first, second = places
    potential = potential_commands("table", model)
    before = run_script(
        first, core() + OUTPUT + potential + "write_restart state.restart\n" + single_point("here")
    )
    after = run_script(
        second,
        "read_restart ../first/state.restart\n"
        + OUTPUT
        + "pair_coeff * * ../model/potential.pt A B\n"
        + single_point("here"),
    )
    knots = [re.findall(r"with (\d+) knots", result.log)[-1] for result in (before, after)]
    assert knots[0] == knots[1]
    assert "tolerance 1.00e-06" in after.log
    assert_same_to_rounding(after, before, "here", "here", relative=0.0)


def test_restart_remembers_factors(places):
    model, first, second = places
    potential = potential_commands("table", model)
    adapt = "variable f equal 1.3\nfix f all adapt 0 pair diffsim scale 1 2 v_f\nrun 0\nunfix f\n"
    before = run_script(
        first,
        core()
        + OUTPUT
        + potential
        + single_point("unscaled")
        + adapt
        + single_point("here")
        + "write_restart state.restart\n",
    )
    after = run_script(
        second, "read_restart ../first/state.restart\n" + OUTPUT + single_point("here")
    )
    assert abs(before.values["unscaled"][0] - before.values["here"][0]) > 10.0
    assert_same_to_rounding(after, before, "here", "here", relative=0.0)


# ---- fix adapt: a factor of each pair of types ----

FACTORS = """
variable f equal 1.0+0.5*sin(step/4.0)
variable g equal 1.0-0.02*step
"""


def adapted(style, n_types, more=""):
    """A fix that changes the strength of the pairs in each step.

    With lj/cut, the factors of epsilon are those that scale has with diffsim.
    """
    parameter = "scale" if style == "diffsim" else "epsilon"
    pairs = "* * v_f" if n_types == 1 else "1 1 v_f"
    fix = f"fix adapt all adapt 1 pair {style} {parameter} {pairs}"
    if n_types == 2:
        fix += f" pair {style} {parameter} 1*2 2 v_g"
    return FACTORS + fix + (" scale yes" if style == "lj/cut" else "") + more + "\n"


@pytest.mark.parametrize(("n_types", "ranks"), [(1, 1), (2, 1), (2, 2)])
def test_fix_adapt(n_types, ranks, models, run_lammps, tmp_path):
    configuration = fluid(n_types=n_types)
    configuration.write(tmp_path / "start.data")
    run = "velocity all create 1.0 5 loop all\nfix move all nve\nrun 20\nunfix move\nunfix adapt\n"
    script = core() + "timestep 0.003\nthermo 1\n"
    script += lj_cut(n_types) + adapted("lj/cut", n_types) + run
    for evaluation in EVALUATIONS:
        script += "delete_atoms group all\nread_data start.data add append\nreset_timestep 0\n"
        script += diffsim(models, n_types, evaluation=evaluation)
        script += adapted("diffsim", n_types, " reset yes") + run
        # the factors are 1 again
        script += single_point(evaluation)
        script += lj_cut(n_types) + single_point(f"{evaluation}-reference")
    result = run_lammps(script, ranks=ranks)
    theirs, *ours = (table for table in result.thermo if len(table["Step"]) == 21)
    assert len(ours) == len(EVALUATIONS)
    for evaluation, table in zip(EVALUATIONS, ours, strict=True):
        for column in ("PotEng", "KinEng", "Press"):
            assert np.ptp(theirs[column]) > 0.01 * np.abs(theirs[column]).max()
            assert_close(table[column], theirs[column], 1e-6, (evaluation, column))
        assert_agrees(result, configuration, evaluation, reference=f"{evaluation}-reference")


def test_factors_that_stay(models, run_lammps, tmp_path):
    """Without 'reset yes' the last factors stay, in all that asks for energies and forces."""
    configuration = fluid(n_types=2, cells=5)
    configuration.bonds = [(k, k + 1) for k in range(250) if k % 4 != 3]
    configuration.write(tmp_path / "start.data")
    show = """
compute g a group/group b
thermo_style custom step c_g c_g[*]
thermo_modify norm no
run 0
print "RESULT group-{name} $(c_g:%.17g) $(c_g[1]:%.17g) $(c_g[2]:%.17g) $(c_g[3]:%.17g)"
uncompute g
thermo_style custom step pe press
thermo_modify norm no
pair_write 1 2 2 r 1.0 1.2 {name}.table AB
pair_write 1 1 2 r 1.0 1.2 {name}.table AA
"""
    once = "fix adapt all adapt 0 pair {} 1 2 v_c{}\nrun 0\nunfix adapt\n"
    script = core(bonds=NO_BOND_FORCES) + "special_bonds lj 0.0 0.5 1.0\ncomm_modify cutoff 4.2\n"
    script += "group a type 1\ngroup b type 2\nvariable c equal 0.7\n"
    script += lj_cut(2) + single_point("unscaled") + once.format("lj/cut epsilon", " scale yes")
    script += single_point("reference") + show.format(name="reference")
    for evaluation in EVALUATIONS:
        ours = diffsim(models, 2, evaluation=evaluation)
        script += ours + once.format("diffsim scale", "")
        script += single_point(evaluation) + show.format(name=evaluation)
        # new coefficients are new factors
        script += ours.splitlines()[1] + "\n" + single_point(f"{evaluation}-again")
    result = run_lammps(script)
    assert abs(result.values["unscaled"][0] - result.values["reference"][0]) > 10.0
    theirs = pair_tables(tmp_path / "reference.table")
    assert set(theirs) == {"AB", "AA"}
    for evaluation, relative in zip(EVALUATIONS, (1e-5, 1e-8), strict=True):
        assert_agrees(result, configuration, evaluation)
        assert_agrees(result, configuration, evaluation, f"{evaluation}-again", "unscaled")
        np.testing.assert_allclose(
            result.values[f"group-{evaluation}"], result.values["group-reference"], rtol=relative
        )
        tables = pair_tables(tmp_path / f"{evaluation}.table")
        for keyword, columns in theirs.items():
            assert columns.shape == (3, 2)
            np.testing.assert_allclose(
                tables[keyword], columns, rtol=2 * TOLERANCE, atol=2 * TOLERANCE
            )


# ---- one potential after another ----


def fluid_energy(lammps, models, tmp_path, density, evaluation="table"):
    data = fluid(cells=3, density=density).write(tmp_path / f"{density}.data")
    potential = diffsim(models, evaluation=evaluation)
    lammps.commands_string(core(data) + potential + "run 0 post no")
    return lammps.get_thermo("pe")


def pair_sum(density):
    return lj_energy(fluid(cells=3, density=density).pairs(CUTOFF)[0]).sum()


def test_two_instances_one_after_the_other(models, tmp_path):
    for density in (0.7, 0.8):
        with lammps_instance(None, {}) as lammps:
            energy = fluid_energy(lammps, models, tmp_path, density)
        assert energy == pytest.approx(pair_sum(density), rel=1e-6)


@pytest.mark.parametrize("evaluation", EVALUATIONS)
@since_2025(reason="only one of several LAMMPS instances gets the styles of plugins")
def test_two_instances_at_the_same_time(evaluation, models, tmp_path):
    with lammps_instance(None, {}) as one, lammps_instance(None, {}) as two:
        first = fluid_energy(one, models, tmp_path, 0.7, evaluation)
        second = fluid_energy(two, models, tmp_path, 0.8)
        # each goes on with its own
        for lammps, energy in ((one, first), (two, second), (one, first)):
            lammps.command("run 0 post no")
            assert lammps.get_thermo("pe") == energy
    assert first == pytest.approx(pair_sum(0.7), rel=1e-6)
    assert second == pytest.approx(pair_sum(0.8), rel=1e-6)


@each_ranks
def test_clear_and_another_pair_style(ranks, models, run_lammps, tmp_path):
    configuration = fluid()
    configuration.write(tmp_path / "start.data")
    result = run_lammps(
        core()
        + diffsim(models)
        + single_point("diffsim")
        + "clear\n"
        + core()
        + lj_cut()
        + single_point("reference")
        + "clear\n"
        + core(newton="off")
        + diffsim(models)
        + single_point("again"),
        ranks=ranks,
    )
    assert_same_to_tolerance(result, configuration)
    assert_same_to_tolerance(result, configuration, name="again")


def soft_knots(path):
    """Lennard-Jones of 40 knots from r = 0.9 on: the energy of closer atoms is another one."""
    values = lj_energy(np.sqrt(np.linspace(0.9**2, CUTOFF**2, 40)))
    values[-1] = 0.0
    _core.Knots("lj", ["A"], CUTOFF, [0.9], values[None, :]).write(str(path))


def test_new_coefficients_replace_the_old_ones(models, run_lammps, tmp_path):
    configuration = fluid()
    configuration.write(tmp_path / "start.data")
    soft_knots(tmp_path / "soft.knots")
    result = run_lammps(
        core()
        + "pair_style diffsim\npair_coeff * * soft.knots A\n"
        + single_point("soft")
        + diffsim(models)
        + single_point("diffsim")
        + lj_cut()
        + single_point("reference")
    )
    assert_same_to_tolerance(result, configuration)
    soft, real = result.values["soft"][0], result.values["diffsim"][0]
    assert abs(soft - real) > 0.1


def test_species_change_with_the_coefficients(models, run_lammps, tmp_path):
    configuration = fluid(n_types=2)
    configuration.write(tmp_path / "start.data")
    coeff = diffsim(models, 2).splitlines()[1]
    result = run_lammps(
        core()
        + lj_cut(2)
        + single_point("reference")
        + f"pair_coeff 1 1 {EPSILON[1][1]} {SIGMA[1][1]}\n"
        + f"pair_coeff 2 2 {EPSILON[0][0]} {SIGMA[0][0]}\n"
        + single_point("swapped-reference")
        + diffsim(models, 2).replace(" A B", " B A")
        + single_point("swapped")
        + coeff
        + "\n"
        + single_point("diffsim")
    )
    assert_same_to_tolerance(result, configuration)
    ours, theirs = result.values["swapped"], result.values["swapped-reference"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    assert abs(ours[0] - result.values["diffsim"][0]) > 10.0


# Alternates between commands, with a run after each, and reports memory and files over time.
CHANGES = """
import json, os, sys
from pathlib import Path
from diffsim.simulation import lammps_instance

start, commands, times = json.loads(sys.argv[1])

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def state():
    return resident(), len(os.listdir("/proc/self/fd"))

with lammps_instance(None, {}) as lammps:
    lammps.commands_string(start)
    states, energies = [], [set() for _ in commands]
    for k in range(times):
        lammps.commands_string(commands[k % len(commands)] + "run 0 post no\\n")
        energies[k % len(commands)].add(lammps.get_thermo("pe"))
        states.append(state())
print("CHANGES", json.dumps([states, [sorted(e) for e in energies]]))
"""


def changes(tmp_path, commands, times, start=""):
    """(memory in bytes, open files, energies of each command) after each of so many changes."""
    fluid(cells=3).write(tmp_path / "start.data")
    script = tmp_path / "changes.py"
    script.write_text(CHANGES)
    result = subprocess.run(
        [sys.executable, str(script), json.dumps([core() + start, commands, times])],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment(),
        timeout=120,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    states, energies = json.loads(result.stdout.split("CHANGES ")[1])
    memory, files = np.array(states).T
    return memory, files, energies


def assert_flat(memory, files, energies, allowed):
    """Neither memory nor open files grow after the first changes, and each potential is itself."""
    assert all(len(same) == 1 for same in energies)
    assert len({same[0] for same in energies}) == len(energies)
    # memory that was given back goes up and down with the change of the moment
    tenths = np.array_split(memory, 10)
    assert np.median(tenths[-1]) - np.median(tenths[1]) < allowed, list(map(np.median, tenths))
    assert files[-1] == files[len(files) // 10]


MEGABYTE = 1024.0**2


@pytest.mark.parametrize(
    "style",
    ["", "pair_style diffsim\n", "pair_style none\npair_style diffsim\n"],
    ids=["pair_coeff", "pair_style", "none-between"],
)
def test_memory_is_flat_over_changes_of_knots(style, tmp_path):
    n = 1000  # a table of 30 kB: a leak of one in each change would be 6 MB and more
    for name, scale in (("one", 1.0), ("two", 1.1)):
        values = scale * lj_energy(np.sqrt(np.linspace(0.7**2, CUTOFF**2, n)))
        values[-1] = 0.0
        knots = _core.Knots("lj", ["A"], CUTOFF, [0.7], values[None, :])
        knots.write(str(tmp_path / f"{name}.knots"))
    commands = [f"{style}pair_coeff * * {name}.knots A\n" for name in ("one", "two")]
    times = 100 if style else 1000
    result = changes(tmp_path, commands, times, "pair_style diffsim\n")
    assert_flat(*result, allowed=MEGABYTE)


class Heavy(LennardJones):
    """Lennard-Jones with a megabyte of numbers that no one asks for."""

    def __init__(self, strength):
        super().__init__(["A"], [[strength]], [[1.0]])
        self.register_buffer("ballast", torch.rand(1 << 17, dtype=torch.float64))


@pytest.fixture
def heavy_models(tmp_path):
    save_model(Heavy(1.0), tmp_path / "one.pt")
    save_model(Heavy(1.1), tmp_path / "two.pt")


@pytest.mark.parametrize("style", ["eval table", "eval exact"])
def test_memory_is_flat_over_changes_of_models(style, heavy_models, tmp_path):
    commands = [
        f"pair_style diffsim tolerance 1e-3 {style}\npair_coeff * * {m}.pt A\n"
        for m in ("one", "two")
    ]
    result = changes(tmp_path, commands, 60)
    assert_flat(*result, allowed=3.0 * MEGABYTE)


@pytest.mark.parametrize("how", ["restart", "clear"])
def test_memory_is_flat_over(how, heavy_models, tmp_path):
    """Instances and restart files come and go, with a model in each of them."""
    commands = []
    for name in ("one", "two"):
        command = f"clear\n{core()}pair_style diffsim tolerance 1e-3 eval exact\n"
        command += f"pair_coeff * * {name}.pt A\n"
        if how == "restart":
            command += f"run 0\nwrite_restart {name}.restart\nclear\n"
            command += f"read_restart {name}.restart\nthermo_modify norm no\n"
        commands.append(command)
    result = changes(tmp_path, commands, 30)
    assert_flat(*result, allowed=3.0 * MEGABYTE)
