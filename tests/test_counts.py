"""fix diffsim/counts: pair counts and histograms of the frames of a run, held against LAMMPS."""

from __future__ import annotations

import functools
import json
import sys

import numpy as np
import pytest

from conftest import (
    CUTOFF,
    EPSILON,
    GPUS,
    SIGMA,
    Configuration,
    execute,
    fluid,
    gpu_environment,
    lj_energy,
    read_dump,
    since_2025,
)
from diffsim import _core
from diffsim.records.frames import by_species
from diffsim.simulation import lammps_instance
from diffsim.species import species_pairs

KNOTS = 300
INNER = (0.8, 0.75, 0.7)  # of the species pairs A-A, A-B, B-B
BINS, RANGE = 130, 3.25  # of the histograms: beyond the cutoff

# Runs each case of a list on all processes; process 0 stores the frames, if the case has a fix.
RUNNER = """
import json, sys
from pathlib import Path
import numpy as np
from mpi4py import MPI
from diffsim import _core
from diffsim.simulation import lammps_instance

for case in json.loads(Path(sys.argv[1]).read_text()):
    with lammps_instance(Path(case["name"] + ".log"), {}, MPI.COMM_WORLD) as lammps:
        lammps.commands_string(case["script"])
        if not case["fix"]:
            continue
        frames = _core.take_frames(lammps.lmp.value, case["fix"])
        names = ("counts", "virial", "rdf", "energy", "pressure", "temperature", "volume", "step")
        names += ("atoms", "pairs", "pressure_unit")
        arrays = {name: getattr(frames, name) for name in names}
        # every process has the whole of them
        for name in ("counts", "virial", "rdf", "pairs"):
            other = MPI.COMM_WORLD.bcast(arrays[name])
            assert (other == arrays[name]).all(), name
        if MPI.COMM_WORLD.rank == 0:
            np.savez(case["name"] + ".npz", **arrays)
"""


def knot_distances(inner):
    return np.sqrt(np.linspace(inner**2, CUTOFF**2, KNOTS))


def potential(kind: str):
    """Knots of a two-species potential: Lennard-Jones, or quite another one on the same grid."""
    values = []
    for pair, (i, j) in enumerate(((0, 0), (0, 1), (1, 1))):
        r = knot_distances(INNER[pair])
        if kind == "lj":
            values.append(lj_energy(r, EPSILON[i][j], SIGMA[i][j]))
        else:
            values.append(
                (1 + pair) * np.exp(-2 * r) * np.cos(5 * r) * (1 - (r / CUTOFF) ** 2) ** 2
            )
    values = np.array(values)
    values[:, -1] = 0.0
    return _core.Knots("lj", ["A", "B"], CUTOFF, list(INNER), values)


def coefficients(kind: str):
    return _core.spline_coefficients(potential(kind).values)


def energies(counts, kind="lj"):
    return np.einsum("fpb,pb->f", counts, coefficients(kind))


# ---- the cases ----

SYSTEM = """
units lj
atom_style {style}
newton {newton}
{special}
read_data "{data}"
{bonds}
neigh_modify delay 0 every 1 check yes
timestep 0.004
pair_style diffsim device {device}
pair_coeff * * {knots} A B
thermo_style custom step pe press temp vol
thermo_modify norm no format float %.17g
thermo 5
"""
RUN = f"""
velocity all create 1.2 17 loop geom
fix 1 all nve
fix counts all diffsim/counts 5 rdf {BINS} {RANGE}
dump 1 all custom 5 {{name}}.dump id type x y z
dump_modify 1 sort id format float %.17g
run 30
"""
RERUN = "rerun {name}.dump first 5 dump x y z\n"

BONDED = {"0": "0.0 0.5 1.0", "1": "1.0 0.0 0.5"}  # weights of 1-2, 1-3, 1-4 neighbours


@functools.cache
def configurations():
    bonded = fluid(cells=5, n_types=2, seed=3)
    # chains of five atoms that happen to be numbered in a row, close to each other or not
    bonded.bonds = [(k, k + 1) for k in range(250) if k % 5 != 4]
    return {
        "orthogonal": fluid(cells=5, n_types=2, seed=2),
        "triclinic": fluid(cells=5, tilt=True, n_types=2, seed=2),
        "bonded0": bonded,
        "bonded1": bonded,
    }


SYSTEMS = ("orthogonal", "triclinic", "bonded0", "bonded1")
NEWTON = ("on", "off")
RANKS = (1, 2)


def system_script(name, newton, kind, data, device="cpu"):
    bonded = name.startswith("bonded")
    return SYSTEM.format(
        newton=newton,
        data=data,
        knots=f"{kind}.knots",
        device=device,
        style="bond" if bonded else "atomic",
        special=f"special_bonds lj {BONDED[name[-1]]}" if bonded else "",
        # 1-2, 1-3 and 1-4 neighbours, and no energy but that of the pairs; the chains span the box
        bonds="bond_style zero nocoeff\nbond_coeff *\ncomm_modify cutoff 4.2" if bonded else "",
    )


def thermo(log):
    """Columns of the first thermo table of a log file, at full precision."""
    lines = log.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:1] == ["Step"])
    stop = next(i for i, line in enumerate(lines) if line.startswith("Loop time"))
    rows = [line.split() for line in lines[start + 1 : stop] if line.split()[0].isdigit()]
    return dict(zip(lines[start].split(), np.array(rows, dtype=float).T, strict=True))


class Runs:
    """Results of all cases on one number of processes, and on the processor or a kind of GPU."""

    def __init__(self, folder, ranks, device="cpu"):
        self.folder, self.ranks = folder, ranks
        environ = gpu_environment(device) if device in GPUS else None
        on = "cuda" if device in GPUS else "cpu"
        (folder / "runner.py").write_text(RUNNER)
        for kind in ("lj", "other"):
            potential(kind).write(str(folder / f"{kind}.knots"))
        cases = []
        for system, configuration in configurations().items():
            data = configuration.write(folder / f"{system}.data", n_types=2)
            for newton in NEWTON:
                name = f"{system}-{newton}"
                script = system_script(system, newton, "lj", data.name, on)
                cases.append(
                    {"name": name, "script": script + RUN.format(name=name), "fix": "counts"}
                )
                # without an integrator the atoms stay where they are
                static = script + f"fix counts all diffsim/counts 1 rdf {BINS} {RANGE}\nrun 1\n"
                cases.append({"name": f"{name}-static", "script": static, "fix": "counts"})
                for kind in ("lj", "other"):
                    script = system_script(system, newton, kind, data.name, on)
                    cases.append(
                        {
                            "name": f"{name}-rerun-{kind}",
                            "script": script + RERUN.format(name=name),
                            "fix": "",
                        }
                    )
        (folder / "cases.json").write_text(json.dumps(cases))
        command = [sys.executable, "-W", "ignore", "runner.py", "cases.json"]
        result = execute(command, folder, ranks=ranks, environ=environ)
        assert result.returncode == 0, result.log + result.stderr

    def frames(self, name):
        return np.load(self.folder / f"{name}.npz")

    def thermo(self, name):
        return thermo(self.folder / f"{name}.log")

    def dump(self, name):
        """Atoms of the recorded frames; the dump has the start as well."""
        return read_dump(self.folder / f"{name}.dump")[1:]


@pytest.fixture(scope="module")
def all_runs(tmp_path_factory):
    return {ranks: Runs(tmp_path_factory.mktemp(f"ranks{ranks}"), ranks) for ranks in RANKS}


@pytest.fixture(scope="module", params=[*RANKS, *GPUS], ids=["1-rank", "2-ranks", *GPUS])
def runs(request, all_runs, tmp_path_factory):
    if request.param in GPUS:
        return Runs(tmp_path_factory.mktemp(request.param), 2, request.param)
    return all_runs[request.param]


def some(dump):
    """The first and the last frame of a dump."""
    assert len(dump) == 6
    return [(0, dump[0]), (5, dump[5])]


each_case = pytest.mark.parametrize("name", [f"{s}-{n}" for s in SYSTEMS for n in NEWTON])


@each_case
def test_energy_from_counts_is_that_of_lammps(name, runs):
    frames, log = runs.frames(name), runs.thermo(name)
    np.testing.assert_array_equal(frames["step"], [5, 10, 15, 20, 25, 30])
    np.testing.assert_array_equal(log["Step"][1:], frames["step"])
    np.testing.assert_allclose(energies(frames["counts"]), log["PotEng"][1:], rtol=1e-10)
    np.testing.assert_array_equal(frames["energy"], log["PotEng"][1:])
    np.testing.assert_array_equal(frames["pressure"], log["Press"][1:])
    np.testing.assert_array_equal(frames["temperature"], log["Temp"][1:])
    np.testing.assert_allclose(frames["volume"], log["Volume"][1:], rtol=1e-14)
    # frames differ, and all pairs of species take part
    assert np.ptp(frames["energy"]) > 1.0
    each = np.einsum("fpb,pb->fp", frames["counts"], coefficients("lj"))
    assert (np.abs(each) > 10.0).all()


@each_case
@pytest.mark.parametrize("kind", ["lj", "other"])
def test_reweighted_energy_is_that_of_a_rerun(name, kind, runs):
    frames, log = runs.frames(name), runs.thermo(f"{name}-rerun-{kind}")
    np.testing.assert_array_equal(log["Step"], frames["step"])
    np.testing.assert_allclose(energies(frames["counts"], kind), log["PotEng"], rtol=1e-10)


def test_the_other_potential_is_another_one(runs):
    frames = runs.frames("orthogonal-on")
    assert np.abs(energies(frames["counts"], "other") / frames["energy"] - 1.0).min() > 0.1


def kinetic_pressure(log, frames):
    """Of the momenta, which sum to zero: (N - 1) kT / V in lj units."""
    return (frames["atoms"].sum() - 1) * log["Temp"] / log["Volume"]


def pair_pressure(frames, kind="lj"):
    """-sum of r phi'(r) over the pairs / (3 V), from the virial counts."""
    virial = np.einsum("fpb,pb->f", frames["virial"], coefficients(kind))
    return -frames["pressure_unit"] * virial / (3.0 * frames["volume"])


@each_case
def test_pressure_from_virial_counts_is_that_of_lammps(name, runs):
    frames, log = runs.frames(name), runs.thermo(name)
    log = {column: values[1:] for column, values in log.items()}
    assert frames["pressure_unit"] == 1.0
    expected = log["Press"] - kinetic_pressure(log, frames)
    assert (np.abs(expected) > 0.1).all()
    np.testing.assert_allclose(pair_pressure(frames), expected, rtol=1e-10)
    # all pairs of species take part
    each = np.einsum("fpb,pb->fp", frames["virial"], coefficients("lj"))
    assert (np.abs(each) > 1.0).all()


@each_case
@pytest.mark.parametrize("kind", ["lj", "other"])
def test_reweighted_pressure_is_that_of_a_rerun(name, kind, runs):
    frames, log = runs.frames(name), runs.thermo(f"{name}-rerun-{kind}")
    expected = log["Press"] - kinetic_pressure(log, frames)
    np.testing.assert_allclose(pair_pressure(frames, kind), expected, rtol=1e-10)


@each_case
def test_special_bonds_weigh_the_counts_and_not_the_histogram(name, runs, all_runs):
    frames = runs.frames(name)
    # sum of all B-splines at r is one: the counts of a pair of species are its weighted pairs
    # within the cutoff
    configuration = configurations()[name.rpartition("-")[0]]
    weights = np.ones((len(configuration.x),) * 2)
    if configuration.bonds:
        weight = [float(w) for w in BONDED[name[6]].split()]
        for first in range(0, 250, 5):
            for a in range(first, first + 5):
                for b in range(a + 1, min(a + 4, first + 5)):
                    weights[a, b] = weight[b - a - 1]
    found = frames["counts"].sum(2)
    for f, atoms in some(runs.dump(name)):
        x = np.stack([atoms["x"], atoms["y"], atoms["z"]], axis=1)
        here = Configuration(configuration.box, x, atoms["type"].astype(int))
        _, _, i, j = here.pairs(CUTOFF)
        pair = here.types[i] + here.types[j] - 2
        expected = np.bincount(pair, weights=weights[i, j], minlength=3)
        np.testing.assert_allclose(found[f], expected, rtol=1e-12)
    if configuration.bonds:
        assert (weights[i, j] == 0.0).any()
        assert (weights[i, j] == 0.5).any()


@each_case
def test_histogram_is_that_of_brute_force(name, runs):
    frames = runs.frames(name)
    configuration = configurations()[name.rpartition("-")[0]]
    assert RANGE > CUTOFF
    np.testing.assert_array_equal(
        frames["atoms"], [(configuration.types == t).sum() for t in (1, 2)]
    )
    assert frames["rdf"].shape == (6, 3, BINS)
    for f, atoms in some(runs.dump(name)):
        x = np.stack([atoms["x"], atoms["y"], atoms["z"]], axis=1)
        here = Configuration(configuration.box, x, atoms["type"].astype(int))
        r, _, i, j = here.pairs(RANGE)
        pair = here.types[i] + here.types[j] - 2  # (1,1), (1,2), (2,2)
        for p in range(3):
            expected, _ = np.histogram(r[pair == p], BINS, (0.0, RANGE))
            np.testing.assert_array_equal(frames["rdf"][f, p], expected)
            assert expected[int(CUTOFF / RANGE * BINS) :].sum() > 100


@pytest.mark.parametrize("system", SYSTEMS)
def test_counts_of_a_configuration_do_not_depend_on_ranks_and_newton(system, all_runs):
    results = {
        (ranks, newton): all_runs[ranks].frames(f"{system}-{newton}-static")
        for ranks in RANKS
        for newton in NEWTON
    }
    reference = results.pop((1, "on"))
    assert len(results) == 3
    assert reference["counts"].shape == (1, 3, KNOTS + 2)
    assert reference["counts"].max() > 10.0
    for frames in results.values():
        np.testing.assert_allclose(frames["counts"], reference["counts"], rtol=0, atol=1e-12 * 100)
        largest = np.abs(reference["virial"]).max()
        np.testing.assert_allclose(
            frames["virial"], reference["virial"], rtol=0, atol=1e-12 * largest
        )
        np.testing.assert_array_equal(frames["rdf"], reference["rdf"])


@each_case
def test_two_processes_record_the_trajectory_of_one(name, all_runs):
    one, two = (all_runs[ranks].frames(name) for ranks in RANKS)
    # the same trajectory until rounding has grown
    np.testing.assert_allclose(two["energy"][:3], one["energy"][:3], rtol=1e-11)
    np.testing.assert_allclose(two["pressure"][:3], one["pressure"][:3], rtol=1e-9)
    np.testing.assert_allclose(two["counts"][:3], one["counts"][:3], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(two["rdf"][:3], one["rdf"][:3])


# ---- one process, through Python ----


def prepared(lammps, tmp_path, configuration=None, n_types=2, extra=""):
    """A LAMMPS instance with the potential and a fluid, ready for a fix and a run."""
    potential("lj").write(str(tmp_path / "lj.knots"))
    data = (configuration or fluid(n_types=2)).write(tmp_path / "start.data", n_types=n_types)
    script = system_script("orthogonal", "on", "lj", data)
    lammps.commands_string(script.replace("lj.knots", f'"{tmp_path / "lj.knots"}"') + extra)
    lammps.commands_string("velocity all create 1.0 3 loop geom\nfix 1 all nve\nthermo 1")
    return lammps


@pytest.fixture
def fluid_instance(tmp_path):
    with lammps_instance(None, {}) as lammps:
        yield prepared(lammps, tmp_path)


def take(lammps, fix="counts"):
    return _core.take_frames(lammps.lmp.value, fix)


def test_shapes_and_types(fluid_instance):
    fluid_instance.commands_string("fix counts all diffsim/counts 2 rdf 40 2.0\nrun 6")
    frames = take(fluid_instance)
    assert len(frames) == 3
    assert (frames.n_types, frames.rdf_width) == (2, 0.05)
    assert (frames.counts.shape, frames.counts.dtype) == ((3, 3, KNOTS + 2), np.float64)
    assert (frames.rdf.shape, frames.rdf.dtype) == ((3, 3, 40), np.float64)
    for name in ("step", "energy", "pressure", "temperature", "volume"):
        assert getattr(frames, name).shape == (3,)
    assert (frames.virial.shape, frames.virial.dtype) == ((3, 3, KNOTS + 2), np.float64)
    a, b = frames.atoms.tolist()
    assert a + b == 256
    assert frames.pairs.tolist() == [a * (a - 1) // 2, a * b, b * (b - 1) // 2]


@pytest.mark.parametrize("units", ["lj", "real", "metal"])
@pytest.mark.parametrize("r", [0.4, 0.79, 0.81, 1.1, 2.49])  # the first two below the inner knot
def test_pressure_of_two_atoms_at_rest(r, units, tmp_path):
    x = np.array([[9.9, 5, 5], [(9.9 + r) % 10.0, 5, 5]])
    data = Configuration(10.0 * np.eye(3), x, np.array([1, 1])).write(tmp_path / "two.data", 2)
    knots = potential("lj")
    knots = _core.Knots(units, knots.species, CUTOFF, knots.inner, knots.values)
    knots.write(str(tmp_path / "two.knots"))
    script = system_script("orthogonal", "on", "two", data).replace("units lj", f"units {units}")
    script = script.replace("two.knots", f'"{tmp_path / "two.knots"}"').replace("0.004", "0.0")
    with lammps_instance(None, {}) as lammps:
        lammps.commands_string(script + "fix counts all diffsim/counts 1\nrun 1")
        frames = take(lammps)
    names = ("virial", "volume", "pressure_unit")
    found = pair_pressure({name: getattr(frames, name) for name in names})
    assert np.abs(frames.pressure[0]) > 1e-7 * frames.pressure_unit
    np.testing.assert_allclose(found, frames.pressure, rtol=1e-10)


def test_without_rdf(fluid_instance):
    fluid_instance.commands_string("fix counts all diffsim/counts 2\nrun 6")
    frames = take(fluid_instance)
    assert frames.rdf.shape == (3, 3, 0)
    np.testing.assert_allclose(energies(frames.counts), frames.energy, rtol=1e-10)


def test_without_the_pair_style(tmp_path):
    with lammps_instance(None, {}) as lammps:
        prepared(lammps, tmp_path)
        lammps.commands_string(
            "pair_style lj/cut 2.5\npair_coeff * * 1 1\n"
            "fix counts all diffsim/counts 2 rdf 40 3.0\nrun 4"
        )
        frames = take(lammps)
    assert frames.counts.shape == (2, 3, 0)
    # an order of magnitude: N^2/2 times the volume fraction of the sphere
    volume = frames.volume[0]
    expected = 256**2 / 2 / volume * 4 / 3 * np.pi * 3.0**3
    assert frames.rdf[0].sum() == pytest.approx(expected, rel=0.05)


def test_views_are_read_only_and_not_copies(fluid_instance):
    fluid_instance.commands_string("fix counts all diffsim/counts 2 rdf 40 2.0\nrun 4")
    frames = take(fluid_instance)
    names = ("counts", "virial", "rdf", "energy", "pressure", "temperature", "volume", "step")
    for name in (*names, "atoms", "pairs"):
        array = getattr(frames, name)
        assert array.base is frames
        assert not array.flags.owndata
        assert not array.flags.writeable
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        # asked for twice, it is the same memory
        assert array.ctypes.data == getattr(frames, name).ctypes.data


def test_frames_outlive_lammps(tmp_path):
    with lammps_instance(None, {}) as lammps:
        prepared(lammps, tmp_path).commands_string("fix counts all diffsim/counts 2\nrun 4")
        frames = take(lammps)
        energy = frames.energy.copy()
    counts = frames.counts
    del frames  # the view keeps them
    np.testing.assert_allclose(energies(counts), energy, rtol=1e-10)


def test_two_runs_append_and_taking_empties(fluid_instance):
    lammps = fluid_instance
    lammps.command("fix counts all diffsim/counts 4 rdf 40 2.0")
    assert len(take(lammps)) == 0
    lammps.commands_string("run 10\nrun 10")
    assert lammps.extract_fix("counts", 0, 0) == 5.0
    frames = take(lammps)
    np.testing.assert_array_equal(frames.step, [4, 8, 12, 16, 20])
    np.testing.assert_allclose(energies(frames.counts), frames.energy, rtol=1e-10)
    assert len(frames.rdf) == len(frames.virial) == 5
    assert lammps.extract_fix("counts", 0, 0) == 0.0
    assert len(take(lammps)) == 0
    lammps.command("run 4")
    later = take(lammps)
    np.testing.assert_array_equal(later.step, [24])
    np.testing.assert_allclose(energies(later.counts), later.energy, rtol=1e-10)
    # what was taken before is still there
    np.testing.assert_allclose(energies(frames.counts), frames.energy, rtol=1e-10)


def test_a_run_that_stopped_leaves_nothing_behind(fluid_instance):
    lammps = fluid_instance
    lammps.commands_string(
        "variable now equal step\nfix stop all halt 7 v_now >= 7 error hard\n"
        "fix counts all diffsim/counts 5"
    )
    with pytest.raises(Exception, match="Fix halt"):
        lammps.command("run 20")
    lammps.commands_string(
        "unfix stop\ngroup some id 1:50\ndelete_atoms group some compress no\n"
        "reset_timestep 0\nrun 10"
    )
    frames = take(lammps)
    assert frames.atoms.sum() == 206
    np.testing.assert_array_equal(frames.step, [5, 10])


def test_a_fix_that_does_not_exist(fluid_instance):
    with pytest.raises(KeyError, match="no fix 'other' of style diffsim/counts"):
        take(fluid_instance, "other")
    with pytest.raises(KeyError, match="no fix '1' of style diffsim/counts"):
        take(fluid_instance, "1")  # a fix nve


@pytest.mark.parametrize(
    "output",
    [
        "thermo 1000",
        "thermo 3\nthermo_style custom step temp",
        "fix a all ave/time 1 1 3 c_thermo_pe c_thermo_press",
        "fix a all print 2 '$(pe)'",
        "compute e all pe/atom\ncompute s all stress/atom NULL\ndump 9 all custom 3 a.dump id c_e",
        "run_style respa 1 pair 1",
    ],
)
def test_frames_do_not_depend_on_other_output(output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = []
    for more in ("", output):
        with lammps_instance(None, {}) as lammps:
            prepared(lammps, tmp_path)
            lammps.commands_string(more + "\nfix counts all diffsim/counts 4 rdf 40 2.0\nrun 20")
            found.append(take(lammps))
    expected, frames = found
    np.testing.assert_array_equal(frames.step, [4, 8, 12, 16, 20])
    for name in ("energy", "pressure", "temperature", "counts"):
        np.testing.assert_allclose(getattr(frames, name), getattr(expected, name), rtol=1e-9)


@pytest.mark.parametrize("how", ["run 20 every 10 'print hello'", "run 7\nrun 13", "run 20 upto"])
def test_ways_to_run(how, fluid_instance):
    fluid_instance.commands_string("fix counts all diffsim/counts 5\n" + how)
    frames = take(fluid_instance)
    np.testing.assert_array_equal(frames.step, [5, 10, 15, 20])
    np.testing.assert_allclose(energies(frames.counts), frames.energy, rtol=1e-10)


@pytest.mark.parametrize("how", ["run 10\nrun 10 pre no", "run 20 pre no every 10 'print hello'"])
def test_run_pre_no(how, tmp_path):
    # in a process of its own, for it may not survive
    potential("lj").write(str(tmp_path / "lj.knots"))
    fluid(n_types=2).write(tmp_path / "start.data")
    (tmp_path / "runner.py").write_text(RUNNER)
    script = system_script("orthogonal", "on", "lj", "start.data")
    script += f"fix 1 all nve\nfix counts all diffsim/counts 5\n{how}\n"
    cases = [{"name": "case", "script": script, "fix": "counts"}]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    result = execute([sys.executable, "-W", "ignore", "runner.py", "cases.json"], tmp_path)
    assert result.returncode == 0, result.stderr
    frames = np.load(tmp_path / "case.npz")
    np.testing.assert_array_equal(frames["step"], [5, 10, 15, 20])
    np.testing.assert_allclose(energies(frames["counts"]), frames["energy"], rtol=1e-10)


def test_frames_of_a_rerun(fluid_instance, tmp_path):
    dump = tmp_path / "all.dump"
    fluid_instance.commands_string(
        f"dump 1 all custom 5 {dump} id type x y z\n"
        "dump_modify 1 sort id format float %.17g\n"
        "fix counts all diffsim/counts 5 rdf 40 2.0\nrun 20\nundump 1"
    )
    first = take(fluid_instance)
    fluid_instance.command(f"rerun {dump} first 5 dump x y z")
    again = take(fluid_instance)
    np.testing.assert_array_equal(again.step, [5, 10, 15, 20])
    np.testing.assert_allclose(again.counts, first.counts, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(again.rdf, first.rdf)


def hybrid(tmp_path, first, more):
    return (
        f"pair_style {first}\npair_coeff * * diffsim {tmp_path / 'lj.knots'} A B\n"
        f"pair_coeff * * lj/cut 0.0 1.0\n{more}\n"
    )


@pytest.mark.parametrize("first", ["hybrid/overlay diffsim lj/cut 2.5"])
def test_counts_in_a_hybrid_style(first, tmp_path):
    with lammps_instance(None, {}) as lammps:
        prepared(lammps, tmp_path, extra=hybrid(tmp_path, first, ""))
        lammps.commands_string("fix counts all diffsim/counts 5\nrun 10")
        frames = take(lammps)
    assert (frames.energy < -100.0).all()
    np.testing.assert_allclose(energies(frames.counts), frames.energy, rtol=1e-10)


def test_counts_with_special_weights_of_the_sub_style(tmp_path):
    potential("lj").write(str(tmp_path / "lj.knots"))
    data = configurations()["bonded0"].write(tmp_path / "start.data", n_types=2)
    script = system_script("bonded0", "on", "lj", data).replace("0.0 0.5 1.0", "0.5 0.5 0.5")
    start, end = script.split("pair_style diffsim device cpu\n")
    script = start + hybrid(
        tmp_path,
        "hybrid/overlay diffsim lj/cut 2.5",
        "pair_modify pair diffsim special lj 0.2 0.3 0.4",
    )
    script += end.split("A B\n")[1] + "fix 1 all nve\nfix counts all diffsim/counts 5\nrun 10\n"
    with lammps_instance(None, {}) as lammps:
        lammps.commands_string(script)
        frames = take(lammps)
    np.testing.assert_allclose(energies(frames.counts), frames.energy, rtol=1e-10)


@pytest.mark.parametrize(
    ("first", "more"),
    [
        ("hybrid/scaled 0.5 diffsim 1.0 lj/cut 2.5", ""),
        ("hybrid/overlay diffsim lj/cut 2.5", "pair_modify pair diffsim compute no"),
    ],
    ids=["scaled", "compute-no"],
)
def test_counts_of_a_hybrid_that_does_not_use_all_of_the_energy(first, more, tmp_path):
    # either the counts give LAMMPS's energy, or the fix refuses
    with lammps_instance(None, {}) as lammps:
        prepared(lammps, tmp_path, extra=hybrid(tmp_path, first, more))
        try:
            lammps.commands_string("fix counts all diffsim/counts 5\nrun 10")
        except Exception as error:
            assert "Fix diffsim/counts" in str(error)
            return
        frames = take(lammps)
    np.testing.assert_allclose(energies(frames.counts), frames.energy, rtol=1e-10, atol=1e-10)


# ---- histograms ----


def histogram_of(tmp_path, configuration, bins, reach):
    """Recorded histogram of atoms at rest."""
    with lammps_instance(None, {}) as lammps:
        prepared(lammps, tmp_path, configuration=configuration)
        lammps.commands_string(
            f"unfix 1\nfix counts all diffsim/counts 1 rdf {bins} {reach}\nrun 1"
        )
        return take(lammps).rdf[0]


@pytest.mark.parametrize("start", [0.0, 3.0, 9.45, 9.8])
def test_histogram_of_a_known_configuration(start, tmp_path):
    # three atoms on a line, inside the box or across its border
    x = np.array([[start, 5, 5], [start + 0.75, 5, 5], [start + 2.02, 5, 5]])
    line = Configuration(10.0 * np.eye(3), x % 10.0, np.array([1, 2, 1]))
    found = histogram_of(tmp_path, line, 49, 4.9)
    rows = [np.repeat(np.arange(49), found[p].astype(int)).tolist() for p in range(3)]
    # distances 2.02 of the types 1-1, 0.75 and 1.27 of the types 1-2
    assert rows[1] == [7, 12]
    assert rows[0] == [20]
    assert rows[2] == []


def test_pairs_at_the_edge_of_a_bin_are_not_lost(tmp_path):
    # 9.5 - 10.2 is less than 0.7, 0.2 - (-0.5) is not
    x = np.array([[9.5, 5, 5], [0.2, 5, 5]])
    pair = Configuration(10.0 * np.eye(3), x, np.array([1, 2]))
    assert histogram_of(tmp_path, pair, 49, 4.9).sum() == 1


@pytest.mark.parametrize("every", [1, 7])
def test_histogram_while_atoms_move_between_builds_of_the_list(every, tmp_path):
    # hot atoms, a small skin and frames between the builds: ghosts must reach range + skin
    with lammps_instance(None, {}) as lammps:
        prepared(lammps, tmp_path, configuration=fluid(cells=5, n_types=2))
        dump = tmp_path / "moving.dump"
        lammps.commands_string(
            "neighbor 0.15 bin\nvelocity all create 4.0 8 loop geom\nreset_timestep 0\n"
            f"dump 1 all custom {every} {dump} id type xu yu zu\n"
            "dump_modify 1 sort id format float %.17g\n"
            f"fix counts all diffsim/counts {every} rdf 40 4.0\nrun 21"
        )
        frames = take(lammps)
        box = fluid(cells=5).box
    assert len(frames) == 21 // every
    for f, atoms in list(enumerate(read_dump(dump)[1:]))[:: 20 // every]:
        x = np.stack([atoms["xu"], atoms["yu"], atoms["zu"]], axis=1)
        r, *_ = Configuration(box, x, atoms["type"].astype(int)).pairs(4.0)
        np.testing.assert_array_equal(frames.rdf[f].sum(0), np.histogram(r, 40, (0, 4.0))[0])


def test_a_pair_that_comes_into_range_across_the_border(tmp_path):
    # 4.05 apart when the ghosts are chosen, 3.95 at the end, and no new choice in between
    x = np.array([[0.01, 5, 5], [10.01 - 4.05, 5, 5]])
    pair = Configuration(10.0 * np.eye(3), x, np.ones(2, dtype=int))
    with lammps_instance(None, {}) as lammps:
        prepared(lammps, tmp_path, configuration=pair)
        lammps.commands_string(
            "neighbor 0.3 bin\nvelocity all set 0 0 0\ngroup right id 2\n"
            "velocity right set 2.5 0 0\nreset_timestep 0\n"
            "fix counts all diffsim/counts 2 rdf 40 4.0\nrun 10"
        )
        assert lammps.extract_setting("nlocal") == 2
        frames = take(lammps)
    np.testing.assert_array_equal(frames.rdf[:, 0, 39], [0, 0, 1, 1, 1])
    assert frames.rdf.sum() == 3


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("tilt", [False, True], ids=["orthogonal", "triclinic"])
def test_range_beyond_half_of_the_box_is_refused(tilt, ranks, run_lammps, tmp_path):
    configuration = fluid(cells=4, tilt=tilt, n_types=2)
    configuration.write(tmp_path / "start.data")
    potential("lj").write(str(tmp_path / "lj.knots"))
    # distance of opposite faces, the smallest of the three directions
    widths = 1.0 / np.linalg.norm(np.linalg.inv(configuration.box), axis=0)
    script = system_script("orthogonal", "on", "lj", "start.data")

    def with_range(value):
        return script + f"fix counts all diffsim/counts 1 rdf 10 {value}\nrun 1\n"

    run_lammps(with_range(0.4999 * widths.min()), ranks=ranks)
    result = run_lammps(with_range(0.5001 * widths.min()), ranks=ranks, check=False)
    assert result.returncode != 0
    said = result.log + result.stderr
    assert "Fix diffsim/counts: the range" in said
    assert "exceeds half of the box" in said
    assert "Use a smaller range or a larger box." in said


# ---- intermolecular distribution functions ----

MOLECULES = f"""
{{before}}
variable molecule atom (id<={{last}})*ceil(id/{{size}})
set group all mol v_molecule
velocity all create 1.2 17 loop geom
fix 1 all nve
fix counts all diffsim/counts 5 rdf {BINS} {RANGE} molecule {{molecule}}
dump 1 all custom 5 {{name}}.dump id mol type x y z
dump_modify 1 sort id format float %.17g
run 30
"""
DIMERS = {"last": 400, "size": 2}  # the other hundred atoms are in no molecule
CHAINS = {"last": 500, "size": 5}
INTERMOLECULAR = {
    "dimers": DIMERS,
    "dimers-tilted": DIMERS,
    "chains": CHAINS,
    # without 'ghost yes': ghost atoms do not know their molecules
    "property": {**CHAINS, "before": "fix 2 all property/atom mol"},
    "off": {**DIMERS, "molecule": "off"},
}


@pytest.fixture(scope="module")
def molecule_runs(tmp_path_factory):
    """Frames and dumped atoms of each case, on one process and on two: (ranks, name)."""
    found = {}
    for ranks in RANKS:
        folder = tmp_path_factory.mktemp(f"molecules{ranks}")
        (folder / "runner.py").write_text(RUNNER)
        potential("lj").write(str(folder / "lj.knots"))
        cases = []
        for name, options in INTERMOLECULAR.items():
            configuration = fluid(cells=5, tilt=name.endswith("tilted"), n_types=2, seed=3)
            # so that molecules cross the borders of the box and of the processes
            inverse = np.linalg.inv(configuration.box)
            configuration.x = ((configuration.x - 0.75) @ inverse % 1.0) @ configuration.box
            system = "orthogonal" if name == "property" else "bonded0"
            if system == "bonded0":
                size, last = options["size"], options["last"]
                configuration.bonds = [(k, k + 1) for k in range(last) if k % size != size - 1]
            data = configuration.write(folder / f"{name}.data", n_types=2)
            script = system_script(system, "on", "lj", data.name)
            options = {"before": "", "molecule": "inter", "name": name, **options}
            cases.append(
                {"name": name, "script": script + MOLECULES.format(**options), "fix": "counts"}
            )
        (folder / "cases.json").write_text(json.dumps(cases))
        command = [sys.executable, "-W", "ignore", "runner.py", "cases.json"]
        result = execute(command, folder, ranks=ranks)
        assert result.returncode == 0, result.log + result.stderr
        for name in INTERMOLECULAR:
            dump = read_dump(folder / f"{name}.dump")[1:]
            found[ranks, name] = np.load(folder / f"{name}.npz"), dump
    return found


def brute_force(atoms, box, reach):
    """Histogram (3, BINS) of a dumped frame without pairs within molecules; number of such pairs
    (3,); and of those within reach across the border of the box."""
    x = np.stack([atoms["x"], atoms["y"], atoms["z"]], axis=1)
    here = Configuration(box, x, atoms["type"].astype(int))
    r, _, i, j = here.pairs(reach)
    every = np.triu_indices(len(x), 1)
    molecule = atoms["mol"]

    def within(i, j):
        return (molecule[i] == molecule[j]) & (molecule[i] > 0)

    pair, together = here.types[i] + here.types[j] - 2, within(i, j)
    histogram = [np.histogram(r[~together & (pair == p)], BINS, (0.0, reach))[0] for p in range(3)]
    both = here.types[every[0]] + here.types[every[1]] - 2
    across = np.linalg.norm(x[i] - x[j], axis=1) > reach
    return (
        np.array(histogram),
        np.bincount(both[within(*every)], minlength=3),
        (together & across).sum(),
    )


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("name", [name for name in INTERMOLECULAR if name != "off"])
def test_intermolecular_histogram_is_that_of_brute_force(name, ranks, molecule_runs):
    frames, dump = molecule_runs[ranks, name]
    box = fluid(cells=5, tilt=name.endswith("tilted")).box
    a, b = frames["atoms"]
    for f, atoms in ((0, dump[0]), (5, dump[5])):
        expected, within, across = brute_force(atoms, box, RANGE)
        assert across > 20 and (within > 10).all()
        np.testing.assert_array_equal(frames["rdf"][f], expected)
        np.testing.assert_array_equal(
            frames["pairs"], np.array([a * (a - 1) // 2, a * b, b * (b - 1) // 2]) - within
        )


@pytest.mark.parametrize("ranks", RANKS)
def test_molecules_do_not_change_the_pair_counts(ranks, molecule_runs):
    inter, off = (molecule_runs[ranks, name][0] for name in ("dimers", "off"))
    for name in ("counts", "virial", "energy", "pressure"):
        np.testing.assert_array_equal(inter[name], off[name])
    assert off["rdf"].sum() > inter["rdf"].sum() + 100
    a, b = off["atoms"]
    np.testing.assert_array_equal(off["pairs"], [a * (a - 1) // 2, a * b, b * (b - 1) // 2])


def test_intermolecular_g_of_an_ideal_gas_is_one(tmp_path):
    # three molecules of a hundred atoms anywhere: a third of all pairs is within molecules
    rng = np.random.default_rng(5)
    gas = Configuration(12.0 * np.eye(3), 12.0 * rng.random((300, 3)), rng.integers(1, 3, 300))
    with lammps_instance(None, {}) as lammps:
        prepared(lammps, tmp_path, configuration=gas)
        lammps.commands_string(
            "unfix 1\npair_style zero 2.5\npair_coeff * *\nfix 2 all property/atom mol\n"
            "variable molecule atom ceil(id/100)\nset group all mol v_molecule\n"
            "fix counts all diffsim/counts 1 rdf 6 5.9 molecule inter\nrun 1"
        )
        recorded = take(lammps)
    within = np.triu(np.kron(np.eye(3), np.ones((100, 100))), 1) == 1
    i, j = np.nonzero(np.triu(~within, 1))
    for species in ((0, 1), (0, 0), (-1, 0)):
        frames = by_species(recorded, species, max(species) + 1)
        types = np.array(species)[gas.types - 1]
        for pair, (a, b) in enumerate(species_pairs(max(species) + 1)):
            n_pairs = (np.sort([types[i], types[j]], axis=0) == [[a], [b]]).all(axis=0).sum()
            assert frames.pairs[pair] == n_pairs
            expected = n_pairs * 4.0 / 3.0 * np.pi * np.diff(frames.edges**3) / 12.0**3
            # the statistical error of a number of pairs is its square root
            error = 1.0 / np.sqrt(expected)
            assert error.min() < 0.05
            assert (np.abs(frames.rdf(pair)[0] - 1.0) < 4.0 * error).all()


def prepared_molecules(lammps, tmp_path):
    """Chains, and a fix that records their intermolecular distances."""
    potential("lj").write(str(tmp_path / "lj.knots"))
    data = configurations()["bonded0"].write(tmp_path / "start.data", n_types=2)
    script = system_script("bonded0", "on", "lj", data)
    lammps.commands_string(script.replace("lj.knots", f'"{tmp_path / "lj.knots"}"'))
    lammps.commands_string(
        "variable molecule atom ceil(id/5)\nset group all mol v_molecule\n"
        "fix counts all diffsim/counts 1 rdf 20 2.0 molecule inter"
    )
    return lammps


def test_molecules_that_change_between_runs_are_refused(tmp_path):
    with lammps_instance(None, {}) as lammps:
        prepared_molecules(lammps, tmp_path).commands_string("run 1\nset atom 1*9 mol 2")
        with pytest.raises(Exception, match="the molecule IDs changed since an earlier run"):
            lammps.command("run 1")
        take(lammps)
        lammps.command("run 1")
        assert len(take(lammps)) == 1


def test_molecules_that_change_during_a_run_are_refused(tmp_path):
    def join(lammps, step, *_):
        if step == 2:
            lammps.numpy.extract_atom("molecule")[:] = 1

    with lammps_instance(None, {}) as lammps:
        prepared_molecules(lammps, tmp_path).command("fix join all external pf/callback 1 1")
        lammps.set_fix_external_callback("join", join, lammps)
        with pytest.raises(Exception, match="the molecule IDs changed during the run"):
            lammps.command("run 3")


WHOLE_MESSAGES = since_2025(reason="LAMMPS hands 99 characters of a message to Python")


@pytest.mark.parametrize(
    ("fix", "words"),
    [
        ("fix c all diffsim/counts", "expected 'fix ID all diffsim/counts N'"),
        ("fix c all diffsim/counts 5 rdf 10", "'rdf BINS RANGE'"),
        ("fix c all diffsim/counts 5 pdf 10 2.0", "'rdf BINS RANGE'"),
        ("fix c all diffsim/counts 0", "must be positive, but is 0"),
        ("fix c all diffsim/counts -3", "must be positive, but is -3"),
        ("fix c all diffsim/counts five", "instead of 'five'"),
        pytest.param("fix c all diffsim/counts 5 rdf 0 2.0", "has 0 and 2.0", marks=WHOLE_MESSAGES),
        pytest.param(
            "fix c all diffsim/counts 5 rdf 10 -2.0", "has 10 and -2.0", marks=WHOLE_MESSAGES
        ),
        ("fix c all diffsim/counts 5 rdf 10 nan", "nan"),
        ("fix c all diffsim/counts 5 rdf 10 2.0 molecule", "expected 'fix ID"),
        ("fix c all diffsim/counts 5 rdf 10 2.0 molecule intra", "expected 'fix ID"),
        ("fix c all diffsim/counts 5 molecule inter", "is about the distribution function"),
        ("fix c all diffsim/counts 5 rdf 10 2.0 molecule inter\nrun 1", "needs molecule IDs"),
        ("group g type 1\nfix c g diffsim/counts 5", "the group must be 'all', but is 'g'"),
        (
            "pair_style lj/cut 2.5\npair_coeff * * 1 1\nfix c all diffsim/counts 5\nrun 1",
            "without pair_style diffsim",
        ),
        (
            "pair_style hybrid/overlay diffsim diffsim\n"
            "pair_coeff * * diffsim 1 {knots} A B\npair_coeff * * diffsim 2 {knots} A B\n"
            "fix c all diffsim/counts 5\nrun 1",
            "holds more than one diffsim style",
        ),
    ],
)
def test_bad_fix_commands(fix, words, fluid_instance, tmp_path):
    with pytest.raises(Exception) as error:
        fluid_instance.commands_string(fix.format(knots=tmp_path / "lj.knots"))
    assert words in str(error.value)
    assert str(error.value).startswith("ERROR: ")


def test_new_knots_between_runs_are_refused(fluid_instance, tmp_path):
    other = _core.Knots("lj", ["A", "B"], CUTOFF, list(INNER), np.zeros((3, 50)))
    other.write(str(tmp_path / "few.knots"))
    fluid_instance.commands_string("fix counts all diffsim/counts 5\nrun 5")
    fluid_instance.command(f"pair_coeff * * {tmp_path / 'few.knots'} A B")
    with pytest.raises(Exception, match="or the number of atoms changed"):
        fluid_instance.command("run 5")
