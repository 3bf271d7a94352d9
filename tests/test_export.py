"""``diffsim export``: tables and knots files give the forces of pair_style diffsim."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from conftest import (
    EPSILON,
    SCALARS,
    SIGMA,
    TOLERANCE,
    LennardJones,
    assert_same_to_rounding,
    bare_environment,
    core,
    environment,
    fluid,
    package_folder,
    run_script,
    save_model,
    single_point,
)
from diffsim import _core
from diffsim.errors import InputError, ModelError
from diffsim.export import lammps_table_commands, write_knots_file, write_lammps_table
from diffsim.knots import numpy_model, pair_ranges, tabulate
from diffsim.plugin import plugin_directory
from diffsim.potentials import LennardJones as PackageLennardJones
from diffsim.potentials import Neural, PairPotential
from test_cli import fails, run

# ---- potentials ----

ONE = {"epsilon": [[1.0]], "sigma": [[1.0]]}
TWO = {"epsilon": EPSILON, "sigma": SIGMA}
KOB_ANDERSEN = {"epsilon": [[1.0, 1.5], [1.5, 0.5]], "sigma": [[1.0, 0.8], [0.8, 0.88]]}

FORMS = {
    "one": dict(species=["A"], **ONE),
    "two": dict(species=["A", "B"], **TWO),
    "kob-andersen": dict(species=["A", "B"], **KOB_ANDERSEN, reduced=2.5),
    "kob-andersen-steps": dict(species=["A", "B"], **KOB_ANDERSEN, reduced=2.5, shift=False),
}
ROWS = 2000
NUMBER = re.compile(r"\d[\d.e-]*")


class Dropout(torch.nn.Module):
    """A potential that is drawn by lot while it is trained."""

    def __init__(self):
        super().__init__()
        self.cutoff, self.species, self.units = 2.5, ["A"], "lj"
        self.lottery = torch.nn.Dropout(0.5)

    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return self.lottery(4.0 * (r**-12 - r**-6 - 2.5**-12 + 2.5**-6))


MODELS = {
    **{name: lambda options=options: LennardJones(**options) for name, options in FORMS.items()},
    "network": lambda: Neural(["A", "B"], 2.5, seed=4),
    "network of one": lambda: Neural(["A"], 2.5, seed=5),
    "in training": Dropout,
}


@pytest.fixture
def export(monkeypatch, capsys):
    """``diffsim export ARGUMENTS``: the LAMMPS commands that it prints, and the rest."""

    def run_export(*arguments):
        code, out, err = run(monkeypatch, capsys, "export", *arguments)
        assert code == 0, err
        lines = out.splitlines()
        commands = [line for line in lines if not line.startswith("#")]
        return "\n".join(commands) + "\n", [line for line in lines if line.startswith("#")]

    return run_export


@pytest.fixture
def folder(tmp_path):
    """A folder with a blank in its name."""
    path = tmp_path / "two words"
    path.mkdir()
    return path


def prepare(name, folder):
    """Write a model and a fluid; commands of pair_style diffsim for it."""
    model = MODELS[name]()
    save_model(model, folder / "model.pt")
    n_types = len(model.species)
    configuration = fluid(cells=5, density=0.9, n_types=n_types)
    configuration.write(folder / "start.data")
    names = " ".join(model.species)
    return configuration, f"pair_style diffsim\npair_coeff * * model.pt {names}\n"


# ---- tables ----


def read_table(path):
    """Sections of a LAMMPS table: {name: (parameters, rows)}."""
    blocks = path.read_text().split("\n\n")
    heads = [block.splitlines() for block in blocks[1::2]]
    rows = [np.array([line.split() for line in b.splitlines()], float) for b in blocks[2::2]]
    return {name: (line.split(), r) for (name, line), r in zip(heads, rows, strict=True)}


def lennard_jones(r):
    return 4.0 * (r**-12 - r**-6) - 4.0 * (2.5**-12 - 2.5**-6), 24.0 * (2.0 * r**-13 - r**-7)


def test_a_table_holds_energies_and_forces(export, tmp_path):
    epsilon = [[1.0, 0.5], [0.5, 2.0]]
    PackageLennardJones(["A", "B"], 2.5, "lj", epsilon=epsilon).save(tmp_path / "lj.pt")
    path = tmp_path / "t.table"
    commands, said = export(tmp_path / "lj.pt", "--output", path, "--points", 500)
    assert commands.splitlines() == [
        "pair_style table spline 500",
        f"pair_coeff 1 1 {path} A_A 2.5",
        f"pair_coeff 1 2 {path} A_B 2.5",
        f"pair_coeff 2 2 {path} B_B 2.5",
    ]
    assert said[0] == f"# Wrote {path} in lj units."
    assert path.read_text().startswith("# UNITS: lj ")
    tables = read_table(path)
    assert list(tables) == ["A_A", "A_B", "B_B"]
    for name, factor in (("A_A", 1.0), ("A_B", 0.5), ("B_B", 2.0)):
        (_, points, _, low, high), rows = tables[name]
        assert (points, high, len(rows)) == ("500", "2.5", 500)
        # 4 epsilon r^-12 = 1000 gives r = 0.63 for epsilon = 1
        assert float(low) == pytest.approx(0.63 * factor ** (1 / 12), abs=0.01)
        np.testing.assert_array_equal(rows[:, 0], np.arange(1, 501))
        np.testing.assert_allclose(
            rows[:, 1] ** 2, np.linspace(float(low) ** 2, 6.25, 500), rtol=1e-14
        )
        energy, force = lennard_jones(rows[:, 1])
        np.testing.assert_allclose(rows[:, 2], factor * energy, rtol=1e-12, atol=1e-8)
        np.testing.assert_allclose(rows[:, 3], factor * force, rtol=1e-7, atol=1e-12)


def interpolation_errors(name, configuration, method):
    """Bounds of the errors of a table: of each pair's energy, and of its force over the distance.

    Both are functions of s = r^2, interpolated by straight lines, or by cubic splines, between rows
    that are evenly spaced in s. Returns also the pairs: (r, i, j, energy, force).
    """
    options = FORMS[name]
    epsilon, sigma = (np.array(options[key]) for key in ("epsilon", "sigma"))
    r, _, i, j = configuration.pairs(2.5)
    kinds = configuration.types[i] - 1, configuration.types[j] - 1
    ends = (options.get("reduced") or 2.5 / sigma) * sigma
    within = r < ends[kinds]
    r, i, j = r[within], i[within], j[within]
    kinds = tuple(k[within] for k in kinds)
    a = 4.0 * epsilon[kinds] * sigma[kinds] ** 12
    b = 4.0 * epsilon[kinds] * sigma[kinds] ** 6

    def derivative(order, s):
        """Derivative of u(s) = a s^-6 - b s^-3, by the rule for powers."""
        rising = [float(np.prod(np.arange(n, n + order))) for n in (6, 3)]
        return (-1) ** order * (
            a * rising[0] * s ** -(6.0 + order) - b * rising[1] * s ** -(3.0 + order)
        )

    def largest(order, s):
        """Bound of the derivative in the interval around s, where both powers fall."""
        rising = [float(np.prod(np.arange(n, n + order))) for n in (6, 3)]
        return a * rising[0] * s ** -(6.0 + order) + b * rising[1] * s ** -(3.0 + order)

    h = ends[kinds] ** 2 / (ROWS - 1)  # the table begins at more than zero
    low = r**2 - h
    power, factor = (2, 1 / 8) if method == "linear" else (4, 5 / 384)
    energy = factor * h**power * largest(power, low)
    force = 2.0 * factor * h**power * largest(power + 1, low)
    return energy, force, (r, i, j, derivative(0, r**2), -2.0 * r * derivative(1, r**2))


@pytest.mark.parametrize("name", FORMS)
def test_a_table_gives_the_forces_of_diffsim(name, export, folder):
    configuration, ours = prepare(name, folder)
    commands, _ = export(folder / "model.pt", "--output", folder / "p.table", "--points", ROWS)
    assert '"' in commands  # around the path with a blank
    script = core() + ours.replace("diffsim", f"diffsim tolerance {TOLERANCE}")
    script += single_point("diffsim")
    for method in ("spline", "linear"):
        script += commands.replace("spline", method) + single_point(method)
    result = run_script(folder, script)
    assert "relative error" not in result.log  # of the distances
    volume = configuration.volume
    (theirs,) = result.dump("diffsim.dump")
    for method in ("spline", "linear"):
        energy, force, (r, i, j, u, f) = interpolation_errors(name, configuration, method)
        energy += TOLERANCE * np.maximum(np.abs(u), 1.0)
        force = r * force + TOLERANCE * np.maximum(np.abs(f), 1.0 / 2.5)
        per_atom = np.zeros(len(configuration.x))
        for end in (i, j):
            np.add.at(per_atom, end, force)
        here, there = (
            dict(zip(SCALARS, result.values[key], strict=True)) for key in (method, "diffsim")
        )
        assert abs(there["pe"]) > 100.0
        assert here["pe"] == pytest.approx(there["pe"], rel=0, abs=energy.sum())
        assert here["press"] == pytest.approx(
            there["press"], rel=0, abs=(r * force).sum() / (3.0 * volume)
        )
        (dump,) = result.dump(f"{method}.dump")
        for column in ("fx", "fy", "fz"):
            assert np.abs(theirs[column]).max() > 10.0
            assert (np.abs(dump[column] - theirs[column]) <= per_atom).all(), (method, column)
        # the bounds say something
        assert per_atom.max() < (1e-2 if method == "linear" else 1e-4) * np.abs(f).max()


def test_a_table_ends_where_the_energy_does(export, folder):
    prepare("kob-andersen", folder)
    commands, _ = export(folder / "model.pt", "--output", folder / "p.table")
    ends = [float(line.split()[-1]) for line in commands.splitlines()[1:]]
    assert ends == [2.5, 2.0, 2.2]
    for (parameters, rows), end in zip(read_table(folder / "p.table").values(), ends, strict=True):
        assert float(parameters[-1]) == end
        assert rows[-1, 1] == pytest.approx(end, rel=1e-15)
        assert abs(rows[-1, 2]) < 1e-8
        assert rows[-1, 3] < -0.01  # the force that ends there


def test_the_end_of_a_smooth_energy_is_written_as_its_cutoff(export, tmp_path):
    """Where it is too small for a number, long before it would matter."""
    save_model(MODELS["network of one"](), tmp_path / "model.pt")
    commands, _ = export(tmp_path / "model.pt", "--output", tmp_path / "p.table")
    assert commands.splitlines()[1].endswith(" A_A 2.5")
    ((parameters, rows),) = read_table(tmp_path / "p.table").values()
    assert parameters[-1] == "2.5"
    assert np.abs(rows[-1, 2:]).max() < 1e-15


def test_a_table_from_a_distance_on(export, tmp_path):
    PackageLennardJones(["A"], 2.5, "lj").save(tmp_path / "lj.pt")
    export(tmp_path / "lj.pt", "--output", tmp_path / "p.table", "--inner", 0.8)
    ((parameters, rows),) = read_table(tmp_path / "p.table").values()
    assert parameters == ["N", "2000", "RSQ", "0.8", "2.5"]
    assert rows[0, 1] == pytest.approx(0.8, rel=1e-15)


# ---- knots files ----


def restart_knots(path, folder):
    """The knots in a restart file, which are those that the pair style has made."""
    data = path.read_bytes()
    start = data.index(b"diffsim-knots")
    length = int.from_bytes(data[start - 8 : start], sys.byteorder)
    text = folder / "restart.knots"
    text.write_bytes(data[start : start + length])
    return _core.Knots.read(str(text))


@pytest.mark.parametrize(("name", "tolerance"), [*((n, None) for n in MODELS), ("one", 1e-7)])
def test_a_knots_file_is_what_the_pair_style_makes_of_the_model(name, tolerance, export, folder):
    _, ours = prepare(name, folder)
    options = () if tolerance is None else ("--tolerance", tolerance)
    commands, said = export(folder / "model.pt", "--output", folder / "p.knots", *options)
    if tolerance:
        ours = ours.replace("diffsim", f"diffsim tolerance {tolerance}", 1)
    result = run_script(
        folder,
        core()
        + ours
        + single_point("model")
        + "write_restart state.restart\n"
        + commands
        + single_point("file"),
    )
    assert_same_to_rounding(result, name="file", reference="model", relative=1e-12)

    file = _core.Knots.read(str(folder / "p.knots"))
    made = restart_knots(folder / "state.restart", folder)
    assert (file.units, file.species, file.cutoff) == (made.units, made.species, made.cutoff)
    assert file.values.shape == made.values.shape
    assert (file.inner, file.outer) == (made.inner, made.outer)
    np.testing.assert_allclose(file.values, made.values, rtol=1e-12, atol=1e-12)

    # the errors found are printed, the same ones but for rounding
    (theirs,) = [line for line in result.log.splitlines() if "spline error" in line]
    there, here = (np.array(NUMBER.findall(line), dtype=float) for line in (theirs, said[1]))
    assert here[0] == made.values.shape[1]
    np.testing.assert_allclose(here[1:], there, rtol=0.02)
    assert here[-1] == (tolerance or 1e-5)


@pytest.mark.parametrize("inner", [0.7, 1.0])
def test_knots_from_a_distance_on(inner, export, folder):
    prepare("kob-andersen", folder)
    export(folder / "model.pt", "--output", folder / "p.knots", "--inner", inner)
    knots = _core.Knots.read(str(folder / "p.knots"))
    assert knots.inner == [inner] * 3
    np.testing.assert_allclose(knots.outer, [2.5, 2.0, 2.2], rtol=1e-12)


WITHOUT_TORCH = """
from mpi4py import MPI
import lammps
lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
lmp.file("in.maps")
maps = open("/proc/self/maps").read()
print("diffsimplugin.so" in maps, "libtorch" in maps)
"""


def test_a_knots_file_does_not_load_torch(export, folder):
    _, ours = prepare("two", folder)
    commands, _ = export(folder / "model.pt", "--output", folder / "p.knots")
    loaded = {}
    for kind, pair_style in (("knots", commands), ("model", ours)):
        (folder / "in.maps").write_text(core() + pair_style + "run 1\n")
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH],
            cwd=folder, env=environment(), capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        loaded[kind] = done.stdout.split()[-2:]
    assert loaded == {"knots": ["True", "False"], "model": ["True", "True"]}


def test_a_knots_file_runs_where_there_is_no_torch(export, folder):
    """LAMMPS's own executable, and a copy of the plugin that cannot read TorchScript."""
    _, ours = prepare("kob-andersen", folder)
    commands, _ = export(folder / "model.pt", "--output", folder / "p.knots")
    with_torch = run_script(folder, core() + ours + single_point("model"))
    shutil.copytree(plugin_directory(), folder / "plugins")
    (folder / "plugins" / "libdiffsim_torchscript.so").unlink()
    here = {
        "command": [str(package_folder("lammps") / "lmp")],
        "environ": bare_environment(folder / "plugins"),
    }
    result = run_script(folder, core() + ours + "run 0\n", check=False, **here)
    assert "libdiffsim_torchscript.so" in result.log and result.returncode > 0
    result = run_script(folder, core() + commands + single_point("file"), **here)
    assert_same_to_rounding(result, with_torch, "file", "model")


# ---- where a potential begins and ends ----


class Singular(PairPotential):
    """A potential that is infinite below 1."""

    def pair_energy(self, r, pair):
        return torch.where(r < 1.0, torch.inf * torch.ones_like(r), (2.0 - r) * r)


class Ideal(torch.nn.Module):
    """B does not interact with anything, and its energies have no graph."""

    def __init__(self):
        super().__init__()
        self.cutoff, self.species, self.units = 2.5, ["A", "B"], "lj"

    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        if bool((type_i + type_j).max() > 0):
            return torch.zeros(r.shape[0], dtype=torch.float64)
        return 4.0 * (1.0 / r**12 - 1.0 / r**6 - 2.5**-12 + 2.5**-6)


def test_a_table_holds_finite_numbers_only(tmp_path):
    potential = Singular(["A"], 2.0, "lj")
    ((inner, outer),) = pair_ranges(potential)
    assert inner == pytest.approx(1.0, abs=1e-3) and inner > 1.0
    assert outer == pytest.approx(2.0, rel=1e-14)
    path = tmp_path / "p.table"
    with pytest.raises(ModelError, match=r"A-A at r = 0\.5 gives inf"):
        write_lammps_table(path, potential, [(0.5, 2.0)], 10)
    with pytest.raises(InputError, match="at least 2 points"):
        write_lammps_table(path, potential, [(1.5, 2.0)], 1)
    with pytest.raises(InputError, match=r"A-A should be between 0 and 2, .* but 2\.5 was given"):
        write_lammps_table(path, potential, [(2.5, 2.0)], 10)
    with pytest.raises(ModelError, match=r"inf at distance 0\.5; it must be finite"):
        write_knots_file(path, potential, [(0.5, 2.0)], 1e-3)
    assert list(tmp_path.iterdir()) == []


def test_a_pair_without_interaction(tmp_path):
    potential = Ideal()
    ranges = pair_ranges(potential)
    assert ranges[0][0] == pytest.approx(0.628, abs=1e-3)
    assert ranges[1:] == [pytest.approx((0.025, 2.5), rel=2e-2)] * 2
    knots, _ = tabulate(potential, ranges, 1e-4)
    assert np.abs(knots.values[0]).max() > 100.0
    assert not knots.values[1:].any()
    write_lammps_table(tmp_path / "p.table", potential, ranges, 10)
    assert not read_table(tmp_path / "p.table")["A_B"][1][:, 2:].any()
    assert lammps_table_commands("p.table", potential, ranges, 10)[-1].endswith("B_B 2.5")


def test_energies_without_a_graph_are_refused():
    class Detached(torch.nn.Module):
        def forward(self, r, type_i, type_j):
            return self.epsilon * (2.5 - r.detach()) ** 3

    potential = Detached()
    r, a = np.array([1.0, 2.0]), np.zeros(2, dtype=np.int64)
    for potential.epsilon in (1.0, torch.ones(1, dtype=torch.float64, requires_grad=True)):
        with pytest.raises(ModelError, match="detaches its energies from r"):
            numpy_model(potential)(r, a, a)


# ---- what is refused ----


def test_what_export_refuses(monkeypatch, capsys, tmp_path):
    model = tmp_path / "lj.pt"
    PackageLennardJones(["A"], 2.5, "lj").save(model)

    def refused(*arguments, words):
        before = sorted(tmp_path.iterdir())
        fails(run(monkeypatch, capsys, "export", *arguments), *words)
        assert sorted(tmp_path.iterdir()) == before

    def writing(name, *options, words):
        refused(model, "--output", tmp_path / name, *options, words=words)

    refused(tmp_path / "no.pt", words=["no.pt does not exist"])
    writing("p.dat", words=["should end in .table", "or in .knots", "p.dat"])
    writing("knots", words=["should end in .table", "/knots."])
    for name in ("no/p.table", "no/p.knots"):
        writing(name, words=[f"{name} cannot be written (No such file or directory)"])
    (tmp_path / "d.table").mkdir()
    (tmp_path / "d.knots").mkdir()
    for name in ("d.table", "d.knots"):
        writing(name, words=[f"{name} cannot be written (Is a directory)"])
    writing("p.knots", "--points", 10, words=["--points is for .table files", "p.knots"])
    writing("p.table", "--tolerance", 1, words=["--tolerance is for .knots files", "p.table"])
    for tolerance in (0, -1, "nan"):
        writing("p.knots", "--tolerance", tolerance, words=["positive number", f"{tolerance}."])
    writing("p.knots", "--tolerance", 1e-15, words=["65537 knots", "Raise the tolerance"])
    for name in ("p.table", "p.knots"):
        writing(name, "--inner", 3, words=["between 0 and 2.5", "3 was given"])
        writing(name, "--inner", -1, words=["between 0 and 2.5", "-1 was given"])
    assert run(monkeypatch, capsys, "export", model, "--points", 1)[0] == 2
    save_model(NotANumber(), tmp_path / "nan.pt")
    refused(tmp_path / "nan.pt", words=["must give finite energies"])


class NotANumber(Dropout):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return torch.sqrt(1.0 - r)


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    """What was there before stays."""
    path = tmp_path / "p.knots"
    path.write_text("before")
    (tmp_path / "p.knots.part").symlink_to("/dev/full")
    potential = PackageLennardJones(["A"], 2.5, "lj")
    ranges = pair_ranges(potential)
    with pytest.raises(InputError, match=r"p\.knots cannot be written"):
        write_knots_file(path, potential, ranges, 1e-4)
    path = tmp_path / "p.table"
    (tmp_path / "p.table.part").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"p\.table cannot be written \(No space left on device\)"):
        write_lammps_table(path, potential, ranges, 100)
    assert [p.name for p in tmp_path.iterdir()] == ["p.knots"]
    assert (tmp_path / "p.knots").read_text() == "before"
