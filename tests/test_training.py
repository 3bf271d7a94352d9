"""Training runs: what they leave behind, how they go on, and how they fail."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

import diffsim
from conftest import beside_the_norm, fluid_script, since_2025, without_seconds
from diffsim.config.schema import load_config
from diffsim.errors import InputError, SimulationError
from diffsim.knots import choose_grid, core_knots, knot_values, spline_coefficients
from diffsim.lammps.messages import lammps_message
from diffsim.potentials import LennardJones, load
from diffsim.run.training import run_training
from diffsim.simulation import lammps_instance
from diffsim.statistics.reweighting import energies
from diffsim.targets import RDF

# 125 atoms; the box is 5.64 wide, half of it 2.82
FLUID = fluid_script()
DIMERS = FLUID.replace("lattice", "atom_style bond\nlattice").replace(
    "mass 1 1.0", "mass 1 1.0\nvariable molecule atom ceil(id/2)\nset group all mol v_molecule"
)
MIXTURE = FLUID.replace("create_box 1", "create_box 2").replace(
    "mass 1 1.0", "mass * 1.0\nset type 1 type/fraction 2 0.4 91"
)

CONFIG = {
    "units": "lj",
    "potential": {"form": "neural", "species": ["A"], "cutoff": 1.8, "hidden": [8], "n_basis": 12},
    "systems": [
        {
            "name": "fluid",
            "script": "in.fluid",
            "temperature": 1.0,
            "targets": [{"rdf": "rdf.csv", "pair": ["A", "A"]}],
        }
    ],
    "simulation": {"steps": 400, "every": 20, "equilibration": 200, "relaxation": 40},
    "iterations": 2,
    "seed": 7,
}


def with_keys(changes, config=CONFIG):
    """A configuration with some keys replaced: {"systems.0.temperature": 2.0}; None removes."""
    config = json.loads(json.dumps(config))
    for path, value in changes.items():
        *parents, last = (int(word) if word.isdigit() else word for word in path.split("."))
        section = config
        for parent in parents:
            section = section[parent]
        if value is None:
            del section[last]
        else:
            section[last] = copy.deepcopy(value)  # a later key may change a part of it
    return config


def target_rdf(reach=2.6, width=0.05):
    """Roughly the g(r) of the liquid: a gas with a first shell."""
    r = width * (0.5 + np.arange(round(reach / width)))
    x = np.minimum((1 / r) ** 6, 30.0)
    g = np.exp(-np.minimum(4 * (x * x - x), 700.0)) * (1 - 0.35 * np.exp(-8 * (r - 1.6) ** 2))
    return r, g


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Folder with scripts and a target."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "in.fluid").write_text(FLUID)
    (folder / "in.dimers").write_text(DIMERS)
    (folder / "in.mixture").write_text(MIXTURE)
    r, g = target_rdf()
    np.savetxt(folder / "rdf.csv", np.stack([r, g], axis=1), delimiter=",")
    return folder


def train(inputs, out, resume=False, **changes):
    """Run a training in this process."""
    path = inputs / f"{out.name}.yaml"
    path.write_text(yaml.safe_dump(with_keys(changes.pop("changes", {}))))
    run_training(load_config(path), out, resume)
    return out


def metrics(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def checkpoint(out):
    return torch.load(out / "checkpoint.pt", weights_only=False)


@pytest.fixture(scope="module")
def run(inputs, tmp_path_factory):
    """The folder of a run of two iterations."""
    return train(inputs, tmp_path_factory.mktemp("runs") / "two")


# ---- what a run leaves behind ----


def test_files_of_a_run(run):
    expected = {"config.yaml", "model.pt", "potential.table", "metrics.jsonl", "checkpoint.pt"}
    expected |= {"outcome.json"}
    expected |= {"frames", "lammps", "rdf_fluid_A-A.png", "potential.png", "loss.png"}
    expected |= {"checkpoint_previous.pt", "report.html", "conclusion.txt", ".lock"}
    assert {path.name for path in run.iterdir()} == expected
    assert sorted(path.name for path in (run / "frames").iterdir()) == ["00001.npz", "00002.npz"]
    assert "LAMMPS" in (run / "lammps" / "fluid.log").read_text()
    for picture in run.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 5000


def test_metrics_of_a_run(run):
    records = metrics(run)
    assert [record["iteration"] for record in records] == [1, 2]
    # 200 equilibration + 400, then 40 relaxation + 400
    assert [record["md_steps"] for record in records] == [600, 1040]
    for record in records:
        assert set(record) >= {
            "iteration",
            "loss",
            "systems",
            "ess",
            "md_steps",
            "seconds_simulation",
            "seconds_gradient",
        }
        assert record["loss"] > 0
        assert record["seconds_simulation"] > 0 and record["seconds_gradient"] > 0
        system = record["systems"]["fluid"]
        assert system["loss"] == record["loss"]
        # without weights and error bars the loss is the mean square deviation of g(r)
        assert system["rdf_mse"] == pytest.approx([system["loss"]], rel=1e-12)
        assert 0.7 < system["temperature"] < 1.3 and np.isfinite(system["pressure"])
        assert record["ess"] == system["ess"]
    # 20 frames in the first iteration, all of the potential itself; then 40 frames at most
    assert records[0]["ess"] == pytest.approx(20, rel=1e-9)
    assert 1 <= records[1]["ess"] <= 40


def test_config_of_a_run_is_complete(run, inputs):
    """It has all defaults and absolute paths, and reads as the same configuration."""
    written = load_config(run / "config.yaml")
    assert written == load_config(inputs / "two.yaml")
    plain = yaml.safe_load((run / "config.yaml").read_text())
    assert plain["systems"][0]["script"] == str(inputs / "in.fluid")
    assert plain["tolerance"] == written.tolerance and plain["start"] == "mie"


def lammps_energy(inputs, pair_style, seed=3):
    """Energy and pressure of one configuration of the fluid."""
    with lammps_instance(None, {"temperature": 1.0, "seed": seed}) as lammps:
        lammps.file(str(inputs / "in.fluid"))
        lammps.commands_string(f"displace_atoms all random 0.12 0.12 0.12 11\n{pair_style}\nrun 0")
        return lammps.get_thermo("pe"), lammps.get_thermo("press")


def test_model_and_table_of_a_run_are_the_same_potential(run, inputs):
    """LAMMPS reads the model, the table, and knots made of the model: one energy."""
    model = load(run / "model.pt")
    assert (model.cutoff, model.units, list(model.species)) == (1.8, "lj", ["A"])
    grid, _ = choose_grid(model, 1e-5)
    values = knot_values(model, grid).detach().numpy()
    core_knots(grid, values).write(str(inputs / "model.knots"))
    energy, pressure = lammps_energy(
        inputs, f'pair_style diffsim\npair_coeff * * "{run / "model.pt"}" A'
    )
    assert abs(energy) > 1 and abs(pressure) > 0.1
    by_knots = lammps_energy(
        inputs, f'pair_style diffsim\npair_coeff * * "{inputs / "model.knots"}" A'
    )
    assert by_knots == pytest.approx((energy, pressure), rel=1e-9)
    section = next(
        line
        for line in (run / "potential.table").read_text().splitlines()
        if line and not line.startswith("#")
    )
    by_table = lammps_energy(
        inputs,
        f'pair_style table spline 2000\npair_coeff 1 1 "{run / "potential.table"}" {section} 1.8',
    )
    assert by_table == pytest.approx((energy, pressure), rel=1e-3)


def test_model_of_a_run_is_the_best(run):
    best = checkpoint(run)["best"]["weights"]
    state = load(run / "model.pt").module.state_dict()
    assert best.keys() == state.keys()
    assert all(torch.equal(best[key], state[key]) for key in best)
    # it was learned: not the start
    assert float(best["log_sigma"].exp()) != 0.4 * 1.8


def test_intermolecular_distribution_functions_leave_out_the_pairs_within_molecules(
    inputs, tmp_path
):
    changes = {"iterations": 1, "systems.0.intermolecular": True}
    with pytest.raises(InputError, match="'fluid' are intermolecular, but its atoms have no"):
        train(inputs, tmp_path / "atoms", changes=changes)
    out = train(inputs, tmp_path / "dimers", changes=changes | {"systems.0.script": "in.dimers"})
    frames = np.load(out / "frames" / "00001.npz")
    # 62 dimers and an atom
    assert frames["0_pairs"].tolist() == [125 * 124 // 2 - 62]
    assert metrics(out)[0]["md_steps"] == 600


# ---- going on ----


@pytest.mark.parametrize(
    "optimizer", ["gauss-newton", {"name": "adam", "lr": 0.01, "max_steps": 3, "min_ess": 0.1}]
)
def test_a_resumed_run_repeats_the_numbers_of_an_uninterrupted_one(inputs, tmp_path, optimizer):
    whole = train(inputs, tmp_path / "whole", changes={"optimizer": optimizer, "iterations": 4})
    halves = tmp_path / "halves"
    train(inputs, halves, changes={"optimizer": optimizer, "iterations": 2})
    first = metrics(halves)
    assert len(first) == 2
    train(inputs, halves, resume=True, changes={"optimizer": optimizer, "iterations": 4})

    records = metrics(halves)
    assert records[:2] == first
    assert without_seconds(records) == without_seconds(metrics(whole))
    assert len({record["loss"] for record in records}) == 4
    a, b = checkpoint(whole), checkpoint(halves)
    for one, other in (
        (a["potential"], b["potential"]),
        (a["best"]["weights"], b["best"]["weights"]),
    ):
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert a["best"]["iteration"] == b["best"]["iteration"]
    assert a["states"] == b["states"]
    one, other = (load(folder / "model.pt").module.state_dict() for folder in (whole, halves))
    assert all(torch.equal(one[key], other[key]) for key in one)
    table = "potential.table"
    assert (whole / table).read_bytes() == (halves / table).read_bytes()


def test_resuming_drops_what_the_checkpoint_does_not_know(inputs, tmp_path):
    """A run that was killed between the metrics and the checkpoint of an iteration."""
    out = train(inputs, tmp_path / "killed", changes={"iterations": 1})
    kept = (out / "checkpoint.pt").read_bytes()
    train(inputs, out, resume=True)
    before = metrics(out)
    (out / "checkpoint.pt").write_bytes(kept)
    train(inputs, out, resume=True)
    assert without_seconds(metrics(out)) == without_seconds(before)


def test_resuming_a_finished_run_changes_nothing(run, inputs):
    names = ("metrics.jsonl", "potential.table", "config.yaml")
    before = [(run / name).read_bytes() for name in names]
    train(inputs, run, resume=True)
    assert [(run / name).read_bytes() for name in names] == before


def test_a_folder_that_is_not_empty_is_refused(inputs, run, tmp_path):
    before = metrics(run)
    with pytest.raises(InputError, match=r"not empty.*--resume.*--out"):
        train(inputs, run)
    assert metrics(run) == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        train(inputs, tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]


def test_a_run_that_ended_in_its_first_iteration_leaves_its_folder_free(inputs, tmp_path):
    """Also with another configuration, which may be what mends it."""
    out = tmp_path / "again"
    unstable = {"systems.0.script": "in.unstable", "iterations": 1}
    (inputs / "in.unstable").write_text(FLUID.replace("timestep 0.005", "timestep 5.0"))
    with pytest.raises(SimulationError):
        train(inputs, out, changes=unstable)
    assert (out / "config.yaml").exists() and not (out / "checkpoint.pt").exists()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        train(inputs, out, changes={"iterations": 1})
    (out / "notes.txt").unlink()
    train(inputs, out, changes={"iterations": 1})
    assert len(metrics(out)) == 1


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("where", ["/proc/run", "/proc/run/deeper", "a_file/run"])
def test_a_folder_that_cannot_be_made(inputs, tmp_path, where, resume):
    (tmp_path / "a_file").touch()
    (inputs / "nowhere.yaml").write_text(yaml.safe_dump(with_keys({})))
    config = load_config(inputs / "nowhere.yaml")
    message = "no checkpoint" if resume else r"cannot be made or written to \(N.*\)\. Name another"
    with pytest.raises(InputError, match=message):
        run_training(config, tmp_path / where, resume)


def test_resuming_without_a_checkpoint(inputs, tmp_path):
    with pytest.raises(InputError, match=r"no checkpoint.*without --resume"):
        train(inputs, tmp_path / "nothing", resume=True)
    assert not (tmp_path / "nothing").exists()


def test_a_seed_decides_the_numbers(inputs, run, tmp_path):
    again = train(inputs, tmp_path / "again")
    assert without_seconds(metrics(again)) == without_seconds(metrics(run))
    other = train(inputs, tmp_path / "other", changes={"seed": 8})
    assert metrics(other)[0]["loss"] != metrics(run)[0]["loss"]


# ---- from Python ----


def target(reach=2.6, pair=("A", "A")):
    return RDF(*target_rdf(reach), pair)


PROTOCOL = diffsim.Protocol(steps=200, every=20, equilibration=100, relaxation=20)


def test_the_example_of_the_package(inputs, tmp_path):
    potential = diffsim.potentials.Neural(species=["A"], cutoff=1.8, units="lj", hidden=[8])
    rdf = diffsim.targets.RDF.from_file(inputs / "rdf.csv", pair=("A", "A"))
    system = diffsim.System(inputs / "in.fluid", temperature=1.0, targets=[rdf])
    trainer = diffsim.Trainer(potential, [system], optimizer="gauss-newton", protocol=PROTOCOL)
    seen = []
    records = trainer.fit(iterations=2, after=seen.append)
    assert records == seen and [record.iteration for record in records] == [1, 2]
    assert trainer.md_steps == 300 + 220 == records[-1].md_steps
    assert trainer.fit(iterations=1)[0].md_steps == 740
    # the caller's potential is the one that was trained, and has the best weights
    assert trainer.potential is potential
    best = trainer.best
    assert all(torch.equal(best[key], value) for key, value in potential.state_dict().items())
    potential.save(tmp_path / "lj.pt")
    assert load(tmp_path / "lj.pt").cutoff == 1.8


def test_a_script_finds_its_files_from_any_working_folder(inputs, tmp_path, monkeypatch):
    (inputs / "masses").write_text("mass 1 2.5\n")
    (inputs / "in.heavy").write_text(FLUID.replace("mass 1 1.0", "include ${folder}/masses"))
    monkeypatch.chdir(tmp_path)
    system = diffsim.System(inputs / "in.heavy", 1.0, [target()])
    trainer = diffsim.Trainer(LennardJones(["A"], 1.8), [system], protocol=PROTOCOL)
    trainer.fit(1)


def test_start_from_the_potential_as_it_is(inputs):
    """The first iteration simulates the given potential, not one fitted to the target."""
    system = diffsim.System(inputs / "in.fluid", 1.0, [target()])

    def trainer(start):
        potential = LennardJones(["A"], 1.8, epsilon=0.9)
        return diffsim.Trainer(potential, [system], start=start, protocol=PROTOCOL, seed=3)

    as_it_is = trainer("potential")
    assert as_it_is.potential.log_epsilon.exp().item() == pytest.approx(0.9)
    as_it_is.fit(1)
    frames = as_it_is.latest[0]
    given = LennardJones(["A"], 1.8, epsilon=0.9)
    values = knot_values(given, as_it_is.grid).detach().numpy()
    energy = energies(frames.counts, spline_coefficients(values))
    assert energy == pytest.approx(frames.energy, rel=1e-10)

    fitted = trainer("pmf")
    assert fitted.potential.log_epsilon.exp().item() != pytest.approx(0.9, rel=0.01)
    fitted.fit(1)
    assert fitted.latest[0].energy.mean() != pytest.approx(frames.energy.mean(), rel=0.01)
    with pytest.raises(InputError, match="must be one of mie, hnc, pmf, potential"):
        trainer("zero")


def test_a_run_from_a_model_file(inputs, tmp_path):
    potential = LennardJones(["A"], 1.8, epsilon=0.9)
    potential.save(inputs / "start.pt")
    out = train(
        inputs,
        tmp_path / "from_file",
        changes={
            "potential": {"file": "start.pt"},
            "iterations": 1,
            "optimizer": {"name": "sgd", "lr": 1e-12},
        },
    )
    assert yaml.safe_load((out / "config.yaml").read_text())["start"] == "potential"
    model = load(out / "model.pt").module.state_dict()
    assert model["log_epsilon"].exp().item() == pytest.approx(0.9, rel=1e-6)


def test_two_temperatures_share_a_potential(inputs, tmp_path):
    """One script, two state points; the loss is the weighted mean, the steps are those of both."""
    hot = {
        "name": "hot",
        "script": "in.fluid",
        "temperature": 2.0,
        "weight": 3.0,
        "targets": [{"rdf": "rdf.csv", "pair": ["A", "A"], "range": [0.5, 2.2]}],
    }
    config = with_keys({"systems": [CONFIG["systems"][0], hot], "iterations": 1})
    out = train(inputs, tmp_path / "two", changes=config)
    (record,) = metrics(out)
    fluid, hot = record["systems"]["fluid"], record["systems"]["hot"]
    assert record["md_steps"] == 2 * 600
    assert record["loss"] == pytest.approx((fluid["loss"] + 3 * hot["loss"]) / 4, rel=1e-12)
    assert record["ess"] == min(fluid["ess"], hot["ess"])
    assert fluid["temperature"] == pytest.approx(1.0, abs=0.25)
    assert hot["temperature"] == pytest.approx(2.0, abs=0.5)
    assert {p.name for p in out.glob("rdf_*")} == {"rdf_fluid_A-A.png", "rdf_hot_A-A.png"}


def test_a_mixture(inputs, tmp_path):
    """Two species, whose order in the potential is not that of LAMMPS's types."""
    config = with_keys(
        {
            "potential.species": ["B", "A"],
            "systems.0.script": "in.mixture",
            "systems.0.types": ["A", "B"],
            "systems.0.targets": [
                {"rdf": "rdf.csv", "pair": pair} for pair in (["A", "A"], ["A", "B"], ["B", "B"])
            ],
            "iterations": 1,
        }
    )
    out = train(inputs, tmp_path / "mixture", changes=config)
    (record,) = metrics(out)
    system = record["systems"]["fluid"]
    assert len(system["rdf_mse"]) == 3 and len(set(system["rdf_mse"])) == 3
    assert record["loss"] == pytest.approx(np.mean(system["rdf_mse"]), rel=1e-12)
    with np.load(out / "frames" / "00001.npz") as arrays:
        # type 1 are about 60 % of the atoms, and is the species A, the second one
        b, a = arrays["0_atoms"]
        assert a + b == 125 and 60 < a < 90
        assert arrays["0_counts"].shape[:2] == (20, 3)
        energy = np.einsum("fpb,pb->f", arrays["0_counts"], arrays["coefficients"])
        assert energy == pytest.approx(arrays["0_energy"], rel=1e-10)
    text = (out / "potential.table").read_text()
    assert text.count("N ") == 3
    assert load(out / "model.pt").species == ["B", "A"]


def test_an_unknown_pair_keeps_what_the_potential_says(inputs):
    """Targets for A-A alone: training runs, and the other pairs are those of the start."""
    potential = LennardJones(["A", "B"], 1.8, epsilon=0.8)
    system = diffsim.System(inputs / "in.mixture", 1.0, [target()])
    trainer = diffsim.Trainer(potential, [system], optimizer="gauss-newton", protocol=PROTOCOL)
    assert potential.log_epsilon.exp().tolist()[1:] == pytest.approx([0.8, 0.8])
    record = trainer.fit(1)[0]
    assert np.isfinite(record.loss)


def test_another_temperature_than_that_of_the_system_is_reported(inputs):
    (inputs / "in.hot").write_text(
        FLUID.replace("langevin ${temperature} ${temperature}", "langevin 1.6 1.6").replace(
            "create ${temperature}", "create 1.6"
        )
    )
    system = diffsim.System(inputs / "in.hot", 1.0, [target()])
    trainer = diffsim.Trainer(LennardJones(["A"], 1.8), [system], protocol=PROTOCOL, start="pmf")
    record = trainer.fit(1)[0]
    assert record.systems["in"]["temperature"] > 1.3
    (event,) = beside_the_norm(record.events)
    assert "kinetic temperature" in event and "given as 1" in event and "thermostat" in event
    assert "\n" not in event


def test_a_thermostat_at_the_temperature_of_the_system_is_not(inputs):
    """The average over a run of a few hundred atoms is within 5 % of it."""
    system = diffsim.System(inputs / "in.fluid", 1.0, [target()])
    protocol = diffsim.Protocol(steps=3000, every=20, equilibration=500)
    trainer = diffsim.Trainer(LennardJones(["A"], 1.8), [system], protocol=protocol, start="pmf")
    assert beside_the_norm(trainer.fit(1)[0].events) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"steps": 205, "every": 20}, ["205", "every 20"]),
        ({"steps": 20, "every": 20}, ["20", "fewer than two frames"]),
        ({"steps": 0}, ["'steps'", "at least 1"]),
        ({"relaxation": -1}, ["'relaxation'", "-1"]),
    ],
)
def test_lengths_that_do_not_fit(values, words):
    with pytest.raises(InputError) as error:
        diffsim.Protocol(**values)
    assert all(word in str(error.value) for word in words)


def test_an_unstable_simulation_is_reported(inputs):
    """Energies of the steps' size lead to an error that says what to do, not to NaN."""
    (inputs / "in.unstable").write_text(FLUID.replace("timestep 0.005", "timestep 0.2"))
    system = diffsim.System(inputs / "in.unstable", 1.0, [target()])
    with pytest.raises(SimulationError) as error:
        diffsim.Trainer(LennardJones(["A"], 1.8), [system], protocol=PROTOCOL).fit(1)
    assert "system 'in'" in str(error.value) and "log is" in str(error.value)


# ---- errors ----


def sentence(error):
    """One line; a full sentence, unless its end is the line of input that LAMMPS stopped at."""
    text = str(error)
    assert "\n" not in text and "Traceback" not in text
    assert text.endswith(".") or "Last input line: " in text, text
    return text


def failing(inputs, match, potential=None, kind=InputError, **changes):
    """The text of the error that a trainer of one system makes."""
    options = {"script": inputs / "in.fluid", "temperature": 1.0, "targets": [target()]} | changes
    potential = potential or LennardJones(["A"], 1.8)
    with pytest.raises(kind, match=match) as error:
        diffsim.Trainer(potential, [diffsim.System(**options)], protocol=PROTOCOL)
    return sentence(error.value)


def script(inputs, name, text):
    (inputs / name).write_text(text)
    return inputs / name


@since_2025(reason="LAMMPS hands 99 characters of a message to Python")
def test_a_script_with_an_error(inputs):
    path = script(
        inputs, "in.wrong", FLUID.replace("fix integrate all nve", "fix integrate all nvee")
    )
    text = failing(inputs, "nvee", script=path, name="wrong", kind=SimulationError)
    # LAMMPS's own message and the line of input
    assert "Unrecognized fix style 'nvee'" in text
    assert "fix integrate all nvee" in text
    assert "'wrong'" in text and str(path) in text


@pytest.mark.parametrize(
    ("said", "sentences"),
    [
        (
            "ERROR: Lost atoms: original 256 current 3\n"
            "For more information see https://docs.lammps.org/err0008 (src/src/thermo.cpp:526)",
            "ERROR: Lost atoms: original 256 current 3. For more information see "
            "https://docs.lammps.org/err0008",
        ),
        (
            "ERROR: Fix foo is unknown. (src/modify.cpp:841)\nLast input line: fix 1 all foo \n"
            "                        ^^^",
            "ERROR: Fix foo is unknown. Last input line: fix 1 all foo",
        ),
        (
            "ERROR on proc 0: Cannot open a.b.c (really) (input.h:1)\n",
            "ERROR on proc 0: Cannot open a.b.c (really)",
        ),
    ],
)
def test_messages_of_lammps_are_sentences(said, sentences):
    assert lammps_message(Exception(said)) == sentences


def test_a_number_of_processes_in_the_script(inputs):
    script(inputs, "in.processors", "processors 2 1 1\n" + FLUID)
    error = failing(
        inputs, "Specified processors", kind=SimulationError, script=inputs / "in.processors"
    )
    assert "write stars" in str(error) and "processors * 1 1" in str(error)
    assert ".cpp" not in str(error)


def test_an_error_that_appears_in_the_run(inputs):
    """A variable that LAMMPS evaluates when it runs only."""
    path = script(inputs, "in.late", FLUID + "fix late all ave/time 1 1 1 v_missing\n")
    system = diffsim.System(path, 1.0, [target()], name="late")
    with pytest.raises(SimulationError) as error:
        diffsim.Trainer(LennardJones(["A"], 1.8), [system], protocol=PROTOCOL).fit(1)
    text = sentence(error.value)
    assert "missing" in text and "'late'" in text


EMPTY = "units lj\nregion box block 0 5 0 5 0 5\ncreate_box 1 box\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("units lj\n", ["made no atoms", "create_atoms"]),
        (EMPTY, ["made no atoms", "read_data"]),
        # LAMMPS itself may notice before
        (FLUID.replace("create_atoms 1 box", ""), ["Velocity command with no atoms existing"]),
    ],
)
def test_a_script_without_atoms(inputs, text, words):
    found = failing(
        inputs,
        "no atoms",
        script=script(inputs, "in.empty", text),
        kind=(InputError, SimulationError),
    )
    assert all(word in found for word in words)


def test_a_wrong_number_of_types(inputs):
    text = failing(inputs, "2 atom types", script=inputs / "in.mixture")
    assert "species for 1 (A)" in text and "'types'" in text
    failing(inputs, "1 atom types", types=["A", "A"])
    failing(inputs, "leaves a type out", types=["NULL"])


def test_other_units_in_the_script(inputs):
    text = failing(inputs, "units", LennardJones(["A"], 1.8, units="real"))
    assert "'units lj'" in text and "'real'" in text


def test_a_target_beyond_half_the_box_is_compared_up_to_there(inputs):
    """And that is said; a number of neighbours that far cannot be counted."""
    whole = target(3.0)
    system = diffsim.System(inputs / "in.fluid", 1.0, [whole], name="s")
    trainer = diffsim.Trainer(LennardJones(["A"], 1.8), [system], protocol=PROTOCOL)
    half = 2.5 * 0.7 ** (-1 / 3)  # 5 lattice constants, halved
    (kept,) = trainer.systems[0].targets
    assert kept.edges[-1] <= half < kept.edges[-1] + (whole.r[1] - whole.r[0])
    (record,) = trainer.fit(1)
    assert any("it is compared up to" in event for event in record.events)
    far = diffsim.targets.Coordination(12.0, None, 1.0, ("A", "A"), 3.0)
    text = failing(inputs, "half", targets=[target(), far])
    assert "r = 3," in text and f"{half:.6g}" in text


def test_unknown_species(inputs):
    assert "A" in failing(inputs, "species X", types=["X"])
    assert "X-A" in failing(inputs, "pair X-A", targets=[target(pair=("X", "A"))])


def test_systems_with_one_name(inputs):
    systems = [diffsim.System(inputs / "in.fluid", t, [target()], name="s") for t in (1.0, 2.0)]
    with pytest.raises(InputError, match="not unique") as error:
        diffsim.Trainer(LennardJones(["A"], 1.8), systems, protocol=PROTOCOL)
    assert "s, s" in sentence(error.value)
    with pytest.raises(InputError, match="at least one system"):
        diffsim.Trainer(LennardJones(["A"], 1.8), [], protocol=PROTOCOL)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"script": "in.missing"}, "does not exist"),
        ({"temperature": 0.0}, "temperature.*positive"),
        ({"temperature": float("nan")}, "temperature.*positive"),
        ({"targets": []}, "no targets"),
        ({"variables": {"seed": 3}}, "'seed'.*set by diffsim"),
        ({"variables": {"folder": "."}}, "'folder'.*set by diffsim"),
    ],
)
def test_systems_that_cannot_be(inputs, changes, match):
    failing(inputs, match, **changes)


def test_targets_that_end_before_the_cutoff(inputs):
    """Another unit of length is found out; a short range is said."""
    failing(inputs, "ends at r = 0.25.*cutoff 1.8.*unit of length", targets=[target(0.25)])
    system = diffsim.System(inputs / "in.fluid", 1.0, [target(1.5)], name="s")
    trainer = diffsim.Trainer(LennardJones(["A"], 1.8), [system], protocol=PROTOCOL, start="pmf")
    (event,) = beside_the_norm(trainer.fit(1)[0].events)
    assert "g(r) of A-A of system 's' ends at r = 1.5, before the cutoff 1.8" in event


def diffsim_train(inputs, changes, *options):
    """`diffsim train` of a configuration in a process of its own."""
    (inputs / "error.yaml").write_text(yaml.safe_dump(with_keys(changes)))
    command = [sys.executable, "-m", "diffsim.cli.main", "train", "error.yaml", *options]
    return subprocess.run(command, cwd=inputs, capture_output=True, text=True, timeout=120)


FAR_NEIGHBOURS = {"coordination": 12.0, "pair": ["A", "A"], "distance": 3.0}


@pytest.mark.parametrize(
    ("script_text", "changes", "words"),
    [
        (
            FLUID.replace("timestep 0.005", "timestap 0.005"),
            {},
            ["Unknown command: timestap 0.005", "'fluid'", "in.error"],
        ),
        (EMPTY, {}, ["made no atoms"]),
        (FLUID, {"systems.0.types": ["A", "X"]}, ["systems[0].types[1]", "'X'", "A"]),
        (FLUID, {"units": "real"}, ["'units lj'", "'real'"]),
        (FLUID, {"systems.0.targets": [FAR_NEIGHBOURS]}, ["r = 3,", "half", "2.81"]),
    ],
)
def test_the_command_says_what_is_wrong(inputs, tmp_path, script_text, changes, words):
    script(inputs, "in.error", script_text)
    changes = {"systems.0.script": "in.error"} | changes
    done = diffsim_train(inputs, changes, "--out", str(tmp_path / "out"))
    # LAMMPS's own errors are failures, as they may be in any later iteration
    assert done.returncode == (1 if "LAMMPS stopped" in done.stderr else 2)
    assert done.stderr.startswith("diffsim: error: ") and done.stderr.count("\n") == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert done.stdout == ""


def test_the_command_names_systems_with_one_name(inputs, tmp_path):
    systems = [CONFIG["systems"][0] | {"name": "same"} for _ in range(2)]
    done = diffsim_train(inputs, {"systems": systems}, "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    # a sentence for each of the keys
    first, second = done.stderr.splitlines()
    assert "systems[0].name should be unique" in first and first.startswith("diffsim: error: ")
    assert "systems[1].name should be unique" in second
    assert "Traceback" not in done.stderr


def test_the_command_trains(inputs, tmp_path):
    out = tmp_path / "out"
    done = diffsim_train(inputs, {"iterations": 1}, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "systems: fluid (T = 1)" in done.stdout and str(out / "model.pt") in done.stdout
    assert len(metrics(out)) == 1
    resumed = diffsim_train(inputs, {"iterations": 2}, "--out", str(out), "--resume")
    assert resumed.returncode == 0 and len(metrics(out)) == 2
    assert "nothing to do" not in resumed.stdout
    again = diffsim_train(inputs, {"iterations": 2}, "--out", str(out), "--resume")
    assert (
        again.returncode == 0
        and "has had 2 iterations, and 2 are asked for, so that" in again.stdout
    )
