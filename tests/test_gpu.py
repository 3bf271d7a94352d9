"""What is particular to 'device cuda': precision, sizes, devices, and what goes wrong there.

That its forces, energies, virials and counts are right is in the tests of these, for each device.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import (
    GPUS,
    LMP,
    NO_BOND_FORCES,
    Configuration,
    assert_close,
    assert_same_to_rounding,
    core,
    diffsim,
    environment,
    error_line,
    execute,
    fluid,
    gpu_environment,
    single_point,
)
from diffsim.plugin import plugin_directory
from test_training import inputs, metrics, with_keys  # noqa: F401

each_gpu = pytest.mark.parametrize("gpu", GPUS)
each_newton = pytest.mark.parametrize("newton", ["on", "off"])


def on_gpu(models, n_types=1, options=""):
    return diffsim(models, n_types, device=f"cuda {options}".strip())


# ---- numbers ----


@each_gpu
@pytest.mark.parametrize(
    ("precision", "energy", "force"),
    [("double", 1e-13, 1e-12), ("mixed", 1e-6, 3e-6), ("single", 1e-6, 3e-6)],
)
def test_precisions(gpu, precision, energy, force, models, run_lammps, tmp_path):
    """Against doubles on the processor, and none of floats is as good as one of doubles."""
    fluid(cells=8, n_types=2).write(tmp_path / "start.data")
    result = run_lammps(
        core()
        + diffsim(models, 2)
        + single_point("reference")
        + on_gpu(models, 2, f"precision {precision}")
        + "run 0\n"
        + single_point("ours"),
        environ=gpu_environment(gpu),
    )
    assert f", {precision} precision" in result.log
    ours, theirs = result.values["ours"], result.values["reference"]
    assert_close(ours[:1], theirs[:1], energy)
    (ours,), (theirs,) = result.dump("ours.dump"), result.dump("reference.dump")
    forces, exact = (np.array([table[f] for f in ("fx", "fy", "fz")]) for table in (ours, theirs))
    assert_close(forces, exact, force)
    if precision != "double":
        assert np.abs(forces - exact).max() > 1e-9 * np.abs(exact).max()


@each_gpu
@pytest.mark.parametrize("precision", ["mixed", "single"])
def test_floats_far_from_the_origin(gpu, precision, models, run_lammps, tmp_path):
    """Positions are integers on a grid over the atoms: a box may be anywhere."""
    fluid(cells=4).write(tmp_path / "start.data")
    far = "variable far equal 1000.3\nchange_box all boundary f f f\n"
    far += "displace_atoms all move ${far} ${far} ${far}\n"
    far += "change_box all " + " ".join(f"{d} delta ${{far}} ${{far}}" for d in "xyz") + "\n"
    result = run_lammps(
        core()
        + far
        + diffsim(models)
        + single_point("reference")
        + on_gpu(models, 1, f"precision {precision}")
        + single_point("ours"),
        environ=gpu_environment(gpu),
    )
    (ours,), (theirs,) = result.dump("ours.dump"), result.dump("reference.dump")
    assert theirs["x"].min() > 1000.0
    for column in ("fx", "fy", "fz"):
        assert_close(ours[column], theirs[column], 3e-6)


@each_gpu
@pytest.mark.parametrize("precision", ["double", "mixed", "single"])
def test_a_dimer_that_flies(gpu, precision, models, run_lammps, tmp_path):
    """Far from where it was when the list was made, as the skin is wider than the dimer is long."""
    x = np.array([[70.0, 70.0, 70.0], [71.1, 70.0, 70.0]])
    Configuration(200.0 * np.eye(3), x, np.ones(2, int)).write(tmp_path / "start.data")
    run = (
        "neighbor 30.0 bin\ncomm_modify cutoff 33.0\nvelocity all set 3 2.3 1.7\nfix 1 all nve\n"
        "timestep 0.005\nthermo 100\nrun 700\n"
    )
    result = run_lammps(
        core() + on_gpu(models, 1, f"precision {precision}") + run,
        environ=gpu_environment(gpu),
    )
    energy = result.thermo[0]["TotEng"]
    assert "Neighbor list builds = 0" in result.log
    np.testing.assert_allclose(energy, energy[0], rtol=0, atol=1e-4)


@each_gpu
@pytest.mark.parametrize("precision", ["double", "mixed"])
def test_weights_that_change_while_the_list_stays(gpu, precision, models, run_lammps, tmp_path):
    pair = Configuration(20.0 * np.eye(3), np.array([[9.0, 9, 9], [10.3, 9, 9]]), np.ones(2, int))
    pair.bonds = [(0, 1)]
    pair.write(tmp_path / "start.data")
    result = run_lammps(
        core(bonds=NO_BOND_FORCES)
        + "special_bonds lj 0.5 1 1\n"
        + on_gpu(models, 1, f"precision {precision}")
        + "run 0\nspecial_bonds lj 1 1 1\nrun 1 pre no\n",
        environ=gpu_environment(gpu),
    )
    first, second = (table["PotEng"] for table in result.thermo)
    assert first[0] < -0.2
    assert second[-1] == pytest.approx(2.0 * first[0], rel=1e-5)


@each_gpu
def test_partitions_do_not_wait_for_each_other(gpu, models, run_lammps, tmp_path):
    """One has five times as many simulations as the other."""
    fluid(cells=3).write(tmp_path / "start.data")
    (tmp_path / "in.many").write_text(
        "variable n world 1 5\nvariable i loop $n\nlabel again\n"
        + core()
        + on_gpu(models)
        + "run 1\nclear\nnext i\njump in.many again\n"
    )
    command = [*LMP, "-partition", "2x1", "-in", "in.many"]
    result = execute(command, tmp_path, ranks=2, environ=gpu_environment(gpu))
    assert result.returncode == 0, result.log + result.stderr
    assert (tmp_path / "log.lammps.1").read_text().count("Loop time") == 5


@each_gpu
def test_conserves_energy_in_mixed_precision(gpu, models, run_lammps, tmp_path):
    fluid().write(tmp_path / "start.data")
    result = run_lammps(
        core()
        + "timestep 0.002\nthermo 10\n"
        + on_gpu(models, 1, "precision mixed")
        + "velocity all create 1.5 7 loop all\nfix 1 all nve\nrun 1000\n",
        environ=gpu_environment(gpu),
    )
    energy = result.thermo[0]["TotEng"] / 256
    assert np.ptp(result.thermo[0]["KinEng"] / 256) > 0.1
    slope = np.polyfit(np.linspace(0.0, 1.0, len(energy)), energy, 1)[0]
    assert abs(slope) < 3e-4


@each_gpu
@each_newton
def test_more_atoms_than_are_on_their_way_at_a_time(gpu, newton, models, run_lammps, tmp_path):
    """Positions go in parts of 65,536 atoms and forces of 131,072; here in three and two."""
    fluid(cells=3).write(tmp_path / "start.data")
    result = run_lammps(
        core(newton=newton)
        + "replicate 12 12 9\nvelocity all create 1.0 5 loop geom\n"
        + diffsim(models)
        + single_point("reference")
        + on_gpu(models)
        + single_point("diffsim"),
        environ=gpu_environment(gpu),
    )
    assert "139968 atoms" in result.log
    assert_same_to_rounding(result, relative=1e-11)


@each_gpu
def test_the_list_and_the_potential_are_renewed(gpu, models, run_lammps, tmp_path):
    """Over a run in which atoms change places, and with a factor that changes on the way."""
    fluid(cells=4, n_types=2).write(tmp_path / "start.data")
    run = (
        "velocity all create 3.0 7 loop all\nfix 1 all nve\nvariable f equal 1+0.002*step\n"
        "fix 2 all adapt 10 pair diffsim scale 1 2 v_f\nthermo 10\nrun 300\nunfix 1\nunfix 2\n"
    )
    again = "clear\n" + core()
    result = run_lammps(
        core() + diffsim(models, 2) + run + again + on_gpu(models, 2) + run,
        environ=gpu_environment(gpu),
    )
    theirs, ours = result.thermo
    assert "Neighbor list builds = 0" not in result.log
    assert np.ptp(theirs["PotEng"]) > 100.0
    assert_close(ours["PotEng"][:15], theirs["PotEng"][:15], 1e-7)  # chaos makes more of rounding
    assert_close(ours["PotEng"], theirs["PotEng"], 0.05)


@each_gpu
@each_newton
@pytest.mark.parametrize("ranks", [1, 2])
def test_overlay(gpu, newton, ranks, models, run_lammps, tmp_path):
    """The virial of a hybrid style holds that of the GPU, whatever the others do."""
    fluid(cells=4).write(tmp_path / "start.data")

    def overlay(style):
        return (
            f"pair_style hybrid/overlay {style} yukawa 0.7 2.3\n"
            f'pair_coeff * * diffsim "{models / "lj.pt"}" A\npair_coeff * * yukawa 3.0\n'
        )

    result = run_lammps(
        core(newton=newton)
        + overlay("diffsim")
        + single_point("reference")
        + overlay("diffsim device cuda")
        + single_point("diffsim"),
        ranks=ranks,
        environ=gpu_environment(gpu),
    )
    assert_same_to_rounding(result, relative=1e-11)


@pytest.mark.parametrize("gpu", ["gpu"])  # no order of threads changes in the emulation
def test_a_trajectory_is_the_same_from_run_to_run(gpu, models, run_lammps, tmp_path):
    fluid(cells=4).write(tmp_path / "start.data")
    run = "velocity all create 1.5 7 loop all\nfix 1 all nve\nrun 200\n"
    run += "write_dump all custom {}.dump id x y z modify format float %.17g\n"
    script = core() + on_gpu(models) + run.format("one") + "clear\n"
    result = run_lammps(
        script + core() + on_gpu(models) + run.format("two"), environ=gpu_environment(gpu)
    )
    (one,), (two,) = result.dump("one.dump"), result.dump("two.dump")
    for column in ("x", "y", "z"):
        np.testing.assert_array_equal(one[column], two[column])


# of Langevin's dynamics every state is kept: its random forces are not known again
ADJOINT = """
from pathlib import Path
import numpy as np
from test_adjoint import Fluid, Loss, _core
for integrator, every in (("nvt", 1), ("nvt", 10), ("langevin", 1)):
    fluid = Fluid(Path(FOLDER), ["A", "B"], integrator)
    t = fluid.run(fluid.u, 100, every)
    derivatives = Loss(t).derivatives(t)
    reference = _core.adjoint(t, *derivatives)
    found = _core.adjoint(t, *derivatives, gpu=0)
    for key, values in reference.items():
        scale = np.abs(values).max(initial=0.0)
        np.testing.assert_allclose(found[key], values, rtol=0, atol=1e-9 * scale, err_msg=key)
        assert scale > 0 or values.size == 0
print("the same")
"""


@each_gpu
def test_the_adjoint_on_a_gpu(gpu, tmp_path):
    """In a process of its own: the library that is loaded first stays."""
    script = ADJOINT.replace("FOLDER", repr(str(tmp_path)))
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent,
        env=gpu_environment(gpu),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.endswith("the same\n"), done.stderr[-3000:]


def train(folder, out, changes, environ, ranks=1):
    """The metrics of a training by the command line."""
    file = folder / f"{out.name}.yaml"
    file.write_text(json.dumps(with_keys(changes)))
    command = [sys.executable, "-m", "diffsim.cli.main", "train", str(file), "--out", str(out)]
    result = execute(command, folder, ranks=ranks, environ=environ)
    assert result.returncode == 0, result.log + result.stderr
    return metrics(out)


SHORT = {"iterations": 2, "simulation.steps": 200, "simulation.equilibration": 40}


@each_gpu
def test_a_training_on_a_gpu(gpu, inputs, tmp_path):  # noqa: F811
    """The first iterations are those of the processor, until chaos makes more of rounding."""
    changes = {**SHORT, "simulation.device": "cuda"}
    ours = train(inputs, tmp_path / "gpu", changes, gpu_environment(gpu))
    theirs = train(inputs, tmp_path / "cpu", SHORT, environment())
    assert ours[0]["loss"] == pytest.approx(theirs[0]["loss"], rel=1e-6)
    for record, other in zip(ours, theirs, strict=True):
        assert record["md_steps"] == other["md_steps"]
    assert "double precision" in (tmp_path / "gpu" / "lammps" / "fluid.log").read_text()


def test_processes_of_a_training_take_the_gpus_in_turn(inputs, tmp_path):  # noqa: F811
    environ = {**gpu_environment("emulated-gpu"), "DIFFSIM_EMULATED_GPUS": "2"}
    changes = {**SHORT, "simulation.device": "cuda", "simulation.replicas": 2}
    changes["simulation.ranks_per_simulation"] = 1
    train(inputs, tmp_path / "run", changes, environ, ranks=2)
    folder = tmp_path / "run" / "lammps"
    logs = [(folder / name / "fluid.log").read_text() for name in ("", "replica2")]
    used = {re.search(r"emulated GPU, GPU (\d)", log)[1] for log in logs}
    assert used == {"0", "1"}


def test_a_training_where_there_is_no_gpu(inputs, tmp_path):  # noqa: F811
    file = inputs / "none.yaml"
    for device, words in (
        ("cuda", "are to run on the device 'cuda'. .*device cpu"),
        ("gpu", "systems|device"),
    ):
        file.write_text(json.dumps(with_keys({**SHORT, "simulation.device": device})))
        command = [sys.executable, "-m", "diffsim.cli.main", "train", str(file)]
        result = execute(
            [*command, "--out", str(tmp_path / "none")],
            inputs,
            environ={**gpu_environment("emulated-gpu"), "DIFFSIM_EMULATED_GPUS": "0"},
        )
        assert result.returncode != 0
        assert re.search(words, result.stderr + result.log)
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "none" / "checkpoint.pt").exists()


# ---- devices and errors ----


def refused(run_lammps, models, tmp_path, options, ranks=1, steps=0, **variables):
    """The error of 'device cuda' with further options on emulated GPUs."""
    fluid(cells=4).write(tmp_path / "start.data")
    environ = {**gpu_environment("emulated-gpu"), **variables}
    result = run_lammps(
        core() + diffsim(models, device=options) + f"run {steps}\n",
        ranks=ranks,
        check=False,
        environ=environ,
    )
    assert result.returncode > 0
    return error_line(result)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("gpu", ["must be 'cpu', 'cuda', or 'cuda:N'", "'gpu'"]),
        ("cuda:", ["must be 'cpu', 'cuda', or 'cuda:N'", "'cuda:'"]),
        ("cuda:-1", ["numbered from 0", "'cuda:-1'"]),
        ("cuda:1", ["There is no GPU 1: this machine has 1, numbered from 0"]),
        ("cuda precision half", ["'single', 'mixed' or 'double'", "'half'"]),
        ("cpu precision single", ["precision is that of 'device cuda'", "Remove it"]),
        ("cuda eval exact precision mixed", ["precision is that of 'device cuda'", "Remove it"]),
        ("cuda eval exact", ["needs a GPU and PyTorch with CUDA", "'device cpu'", "'eval table'"]),
    ],
)
def test_settings_that_cannot_be(options, words, models, run_lammps, tmp_path):
    line = refused(run_lammps, models, tmp_path, options)
    assert "Pair style diffsim" in line
    for word in words:
        assert word in line


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"DIFFSIM_EMULATED_GPUS": "0"}, ["There is no GPU", "CUDA_VISIBLE_DEVICES"]),
        ({"DIFFSIM_EMULATED_GPUS": "-1"}, ["driver of NVIDIA", "'device cpu'"]),
        ({"DIFFSIM_EMULATED_BUSY": "1"}, ["GPU 0 is in use by another process"]),
        ({"DIFFSIM_EMULATED_OTHER": "1"}, ["not compiled for GPU 0", "DIFFSIM_CUDA_ARCHITECTURES"]),
        ({"DIFFSIM_CUDA_LIBRARY": "/no/such/library.so"}, ["built without CUDA", "nvcc"]),
    ],
)
def test_no_gpu_is_a_sentence(ranks, variables, words, models, run_lammps, tmp_path):
    line = refused(run_lammps, models, tmp_path, "cuda", ranks, **variables)
    for word in ("Pair style diffsim", *words):
        assert word in line


def test_no_memory_is_a_sentence(models, run_lammps, tmp_path):
    line = refused(run_lammps, models, tmp_path, "cuda", DIFFSIM_EMULATED_MEMORY="200000")
    for word in ("memory of the GPU is not enough", "more are needed", "are free", "Use more GPUs"):
        assert word in line


def test_no_pinned_memory_is_a_sentence(models, run_lammps, tmp_path):
    line = refused(run_lammps, models, tmp_path, "cuda", DIFFSIM_EMULATED_PINNED="20000")
    for word in ("processor's memory is not enough", "stay in place", "ulimit -l"):
        assert word in line


def test_processes_take_the_gpus_in_turn(models, run_lammps, tmp_path):
    fluid(cells=4).write(tmp_path / "start.data")
    environ = {**gpu_environment("emulated-gpu"), "DIFFSIM_EMULATED_GPUS": "2"}
    result = run_lammps(core() + on_gpu(models) + "run 0\n", ranks=4, environ=environ)
    assert "GPUs 0, 1, 0, 1" in result.log
    result = run_lammps(core() + diffsim(models, device="cuda:1") + "run 0\n", environ=environ)
    assert "GPU 1" in result.log


@pytest.mark.skipif(not shutil.which("nvcc"), reason="there is no nvcc, which compiles for GPUs")
def test_the_kernels_are_compiled_where_nvcc_is():
    assert (Path(plugin_directory()) / "libdiffsim_cuda.so").exists()


def test_the_library_of_this_machine(models, run_lammps, tmp_path):
    """Where there is no GPU, 'device cuda' says so in a sentence, built with CUDA or without."""
    fluid(cells=4).write(tmp_path / "start.data")
    result = run_lammps(core() + on_gpu(models) + "run 0\n", check=False, environ=environment())
    if any(Path("/dev").glob("nvidia[0-9]*")):
        assert result.returncode == 0
        return
    line = error_line(result)
    built = (Path(plugin_directory()) / "libdiffsim_cuda.so").exists()
    assert ("driver of NVIDIA" in line or "no GPU" in line) if built else "without CUDA" in line


def test_a_restart_file_does_not_know_the_device(models, run_lammps, tmp_path):
    """It can be read where there is no GPU."""
    fluid(cells=4).write(tmp_path / "start.data")
    environ = gpu_environment("emulated-gpu")
    run_lammps(core() + on_gpu(models) + "run 0\nwrite_restart r\n", environ=environ)
    without = {**environ, "DIFFSIM_EMULATED_GPUS": "0"}
    result = run_lammps("read_restart r\nrun 0\n", environ=without)
    assert "kernels" in result.log
    assert "emulated GPU" not in result.log


def test_a_trajectory_of_floats_is_refused(models, run_lammps, tmp_path):
    fluid(cells=4).write(tmp_path / "start.data")
    script = core() + on_gpu(models, 1, "precision mixed")
    result = run_lammps(
        script + "fix 1 all nve\nfix 2 all diffsim/trajectory\nrun 1\n",
        check=False,
        environ=gpu_environment("emulated-gpu"),
    )
    assert "forces in floats" in error_line(result)
