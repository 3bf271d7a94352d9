"""Trainings on several processes: the same numbers, and no hang where one of them fails."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import pytest

from conftest import execute, fluid_script, without_seconds
from diffsim.config.schema import load_config
from diffsim.errors import InputError
from diffsim.pool.aborts import read_aborts
from diffsim.pool.binding import crowded
from diffsim.run.progress import shared, waited
from diffsim.run.training import run_training
from diffsim.simulation.layout import Layout, Work, assign, choose_layout, step_cost
from test_training import CONFIG, inputs, metrics, with_keys  # noqa: F401

TRAIN = [sys.executable, "-m", "diffsim.cli.main", "train"]
SYSTEMS = [
    {**CONFIG["systems"][0], "name": "cool"},
    {**CONFIG["systems"][0], "name": "warm", "temperature": 1.3},
    {**CONFIG["systems"][0], "name": "held_out", "temperature": 1.1, "validation": True},
]
SHORT = {"systems": SYSTEMS, "simulation.steps": 200, "simulation.equilibration": 100}


def train(folder, changes, out, ranks, *options):
    """Run `diffsim train` on some processes."""
    file = folder / f"{out.name}.yaml"
    file.write_text(json.dumps(with_keys({**SHORT, **changes})))
    return execute([*TRAIN, str(file), "--out", str(out), *options], folder, ranks=ranks)


def numbers(out):
    return [
        {k: v for k, v in record.items() if k != "ranks"}
        for record in without_seconds(metrics(out))
    ]


# ---- the same numbers ----


def test_two_processes_simulate_what_one_does(inputs, tmp_path):  # noqa: F811
    """Each of two systems on one process: to the last digit the same as one after the other."""
    done = train(inputs, {}, tmp_path / "two", 2)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "processes: 2, for 2 simulations at the same time on 1 each" in done.log
    assert "idle" in done.log
    run_training(load_config(inputs / "two.yaml"), tmp_path / "one", resume=False)
    assert numbers(tmp_path / "two") == numbers(tmp_path / "one")
    for record in metrics(tmp_path / "two"):
        assert (record["ranks"], record["ranks_per_simulation"], record["replicas"]) == (2, 1, 1)
        seconds = [entry["seconds"] for entry in record["systems"].values()]
        assert 0.0 < max(seconds) <= record["seconds_simulation"]
        assert 0.0 < record["seconds_idle"] < record["seconds_simulation"]


def test_domains_and_replicas_on_more_processes_than_cores(inputs, tmp_path):  # noqa: F811
    """With the same domains the same numbers on 4 and on 8 processes; with others the same physics.

    A piece is a function of its task: where and when it is simulated does not matter.
    """
    changes = {"simulation.ranks_per_simulation": 2, "simulation.replicas": 2}
    for ranks in (4, 8):
        done = train(inputs, changes, tmp_path / str(ranks), ranks)
        assert done.returncode == 0, done.stderr[-3000:]
        cores = len(os.sched_getaffinity(0))
        assert ("processes share" in done.log) == (ranks > cores)
        assert f"for {ranks // 2} simulations at the same time on 2 each" in done.log
    assert numbers(tmp_path / "4") == numbers(tmp_path / "8")

    # on one process the trajectories are others after some hundred steps, but not their averages
    alone = {**changes, "simulation.ranks_per_simulation": 1}
    (inputs / "alone.yaml").write_text(json.dumps(with_keys({**SHORT, **alone})))
    run_training(load_config(inputs / "alone.yaml"), tmp_path / "alone", resume=False)
    few, one = metrics(tmp_path / "4")[0], metrics(tmp_path / "alone")[0]
    assert few["md_steps"] == one["md_steps"] == 2 * 2 * (100 + 100)
    for name in ("cool", "warm"):
        a, b = few["systems"][name], one["systems"][name]
        assert abs(a["pressure"] - b["pressure"]) < 1.0  # 0.25 is the error of either
        assert a["rdf_mse"][0] < 0.1
        assert b["rdf_mse"][0] < 0.1


def test_a_run_goes_on_with_another_number_of_processes(inputs, tmp_path):  # noqa: F811
    """The replicas stay; where each is simulated does not matter."""
    changes = {"simulation.replicas": 2, "iterations": 1}
    out, whole = tmp_path / "parts", tmp_path / "whole"
    assert train(inputs, changes, out, 2).returncode == 0
    changes["iterations"] = 2
    (inputs / "parts.yaml").write_text(json.dumps(with_keys({**SHORT, **changes})))
    run_training(load_config(inputs / "parts.yaml"), out, resume=True)
    run_training(load_config(inputs / "parts.yaml"), whole, resume=False)
    (first, second), (_, expected) = metrics(out), metrics(whole)
    assert (first["ranks"], second["ranks"]) == (2, 1)
    second, expected = without_seconds([second, expected])
    for key in ("loss", "systems", "md_steps"):
        assert second[key] == expected[key]


def test_replicas_stay_as_many_as_they_were(inputs, tmp_path):  # noqa: F811
    """Whether their number is given or not; another one is refused."""
    out = tmp_path / "run"
    file = inputs / "replicas.yaml"

    def go_on(iterations, replicas):
        changes = {**SHORT, "iterations": iterations, "simulation.replicas": replicas}
        changes = {key: value for key, value in changes.items() if value is not None}
        file.write_text(json.dumps(with_keys(changes)))
        run_training(load_config(file), out, resume=iterations > 1)

    go_on(1, 2)
    go_on(2, None)
    go_on(3, 2)
    assert [record["replicas"] for record in metrics(out)] == [2, 2, 2]
    with pytest.raises(InputError, match=r"'simulation\.replicas'.*it was 2, and is 3"):
        go_on(4, 3)
    go_on(4, None)  # config.yaml does not say it now
    with pytest.raises(InputError, match="has 2 replicas of each system, but 'replicas' is 3 now"):
        go_on(5, 3)
    assert len(metrics(out)) == 4


# ---- failures ----


def test_atoms_that_are_lost_on_one_of_four_processes(inputs, tmp_path):  # noqa: F811
    """LAMMPS tells all processes of the simulation: an error that names the system, and no hang."""
    (inputs / "in.kick").write_text(
        fluid_script() + "group one id 1\nfix kick one addforce 1e5 0 0\nthermo 10\n"
    )
    broken = [SYSTEMS[0], {**SYSTEMS[1], "script": "in.kick"}]
    done = train(inputs, {"systems": broken}, tmp_path / "lost", 4)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if "diffsim: error" in line]
    assert "'warm'" in line
    assert "Lost atoms" in line or "Non-numeric" in line
    assert line.endswith("that do not overlap.") and ".cpp" not in line


def test_an_error_that_only_one_of_four_processes_sees(inputs, tmp_path):  # noqa: F811
    """The others wait for it within LAMMPS: all are ended, and a run that resumes knows why."""
    bonds = " bond/types 1 extra/bond/per/atom 4 extra/special/per/atom 9"
    (inputs / "in.bonds").write_text(
        # slices so thin that an atom may be beyond what the process of its partner knows
        "newton on off\nprocessors * 1 1\natom_style bond\n"
        + fluid_script(cells=9).replace("create_box 1 box", f"create_box 1 box{bonds}")
        + "bond_style harmonic\nbond_coeff 1 0.0 1.0\nspecial_bonds lj 1.0 1.0 1.0\n"
        "create_bonds single/bond 1 1 2\n"
        "group one id 1\nfix kick one addforce 1e3 0.0 0.0\n"
    )
    broken = [{**SYSTEMS[0], "script": "in.bonds"}]
    changes = {"systems": broken, "simulation.ranks_per_simulation": 4}
    done = train(inputs, changes, tmp_path / "aborted", 4)
    assert done.returncode != 0
    ((task, reason),) = read_aborts(tmp_path / "aborted" / "lammps").items()
    assert task == (0, 7, 1, 0)
    assert reason.startswith("LAMMPS stopped in system 'cool'")
    assert "missing on proc" in reason
    if done.stderr:  # rarely, mpiexec drops all that was printed there, its own line too
        assert "diffsim: error: LAMMPS stopped in system 'cool'" in done.stderr
        assert "missing on proc" in done.stderr


def test_a_step_that_ended_all_processes_is_taken_back(inputs, tmp_path):  # noqa: F811
    out = tmp_path / "run"
    file = inputs / "taken_back.yaml"
    file.write_text(json.dumps(with_keys({**SHORT, "iterations": 1})))
    run_training(load_config(file), out, resume=False)
    line = {"task": [0, 7, 2, 0], "reason": "LAMMPS stopped in system 'cool': Bond atoms missing."}
    (out / "lammps" / "aborted.jsonl").write_text(json.dumps(line) + "\n" + '{"seed": [7, 3')
    file.write_text(json.dumps(with_keys({**SHORT, "iterations": 2})))
    run_training(load_config(file), out, resume=True)
    (event,) = [e for e in metrics(out)[1]["events"] if "taken back" in e]
    assert "Bond atoms missing" in event
    # a new run in another folder knows nothing of it
    run_training(load_config(file), tmp_path / "new", resume=False)
    assert not [e for e in metrics(tmp_path / "new")[1]["events"] if "taken back" in e]


def test_a_mistake_in_the_configuration_ends_all_processes(inputs, tmp_path):  # noqa: F811
    done = train(inputs, {"systems.0.temperature": -1.0}, tmp_path / "wrong", 3)
    assert done.returncode == 2
    assert done.stderr.count("diffsim: error") == 1


# ---- how processes are shared out ----

LIQUID = Work(atoms=1000, frames=125, every=20, relaxation=250)


@pytest.mark.parametrize(
    ("systems", "ranks", "expected"),
    [
        (1, 1, Layout(1, 1, 1)),
        (2, 2, Layout(2, 1, 1)),
        (1, 2, Layout(2, 1, 2)),
        (2, 4, Layout(4, 1, 2)),
        (3, 3, Layout(3, 1, 1)),
        (1, 5, Layout(5, 1, 5)),
        (1, 10, Layout(10, 5, 2)),  # more replicas relax longer in all
    ],
)
def test_automatic_layout(systems, ranks, expected):
    assert choose_layout([LIQUID] * systems, ranks) == expected


def test_large_systems_get_domains_before_they_get_replicas_that_relax_for_nothing():
    large = Work(atoms=200_000, frames=125, every=20, relaxation=1000)
    layout = choose_layout([large], 16)
    assert layout.ranks_per_simulation >= 8
    small = Work(atoms=100, frames=1250, every=20, relaxation=250)
    assert choose_layout([small], 16).ranks_per_simulation == 1


def test_ten_thousand_processes():
    layout = choose_layout([LIQUID] * 20, 10_000)
    assert layout.ranks_per_simulation == 10  # no fewer than a hundred atoms each
    assert layout.groups >= 20 * layout.replicas


def test_wishes_are_kept():
    layout = choose_layout([LIQUID], 8, ranks_per_simulation=3, replicas=4)
    assert (layout.ranks_per_simulation, layout.replicas) == (3, 4)
    assert (layout.groups, layout.unused(systems=1)) == (2, 2)
    with pytest.raises(InputError, match=r"ranks_per_simulation = 16.*has 8.*smaller"):
        choose_layout([LIQUID], 8, ranks_per_simulation=16)


@pytest.mark.parametrize(
    ("layout", "systems", "words"),
    [
        # more groups than simulations: the last ones are idle
        (Layout(128, 10, 4), 1, "4 simulations at the same time on 10 each; replicas of each "
         "system: 4; 88 processes have nothing to do, 40 would be enough"),
        (Layout(8, 3, 4), 1, "2 simulations at the same time on 3 each; replicas of each system: "
         "4; 2 processes have nothing to do, 6 would be enough"),
        (Layout(3, 2, 1), 1, "1 simulation at a time on 2; replicas of each system: 1; 1 process "
         "has nothing to do, 2 would be enough"),
        (Layout(4, 1, 2), 2, "4 simulations at the same time on 1 each; replicas of each system: "
         "2"),
    ],
)  # fmt: skip
def test_processes_that_have_nothing_to_do_are_counted(layout, systems, words):
    assert shared(layout, systems) == f"processes: {layout.ranks}, for {words}"


def test_the_slowest_system_is_named_where_others_wait_for_it():
    systems = {"cool": 30.0, "warm": 10.0}
    assert "'cool' took longest, 75 % of the" in waited(2, 0.2, 0.1, systems)
    assert "took longest" not in waited(2, 0.05, 0.3, systems)
    assert "took longest" not in waited(2, 0.2, 0.1, {"cool": 30.0})


def test_processes_without_a_core_of_their_own_are_noted():
    two, pinned = frozenset({0, 1}), frozenset({0})
    assert crowded([("a", two), ("a", two), ("b", pinned)]) is None
    assert crowded([("a", frozenset())] * 2) is None  # the system does not tell
    four = crowded([("a", two)] * 4)
    assert four is not None and "On a the 4 processes share 2 cores" in four
    same = crowded([("b", two), ("a", pinned), ("a", pinned)])
    assert same is not None and "On a the 2 processes share 1 core and" in same
    hosts = crowded([(host, pinned) for host in "aabbcc"])
    assert hosts is not None and "On a (and so on 2 more)" in hosts


def test_more_replicas_than_frames_are_refused():
    assert choose_layout([LIQUID], 1, replicas=62).replicas == 62
    with pytest.raises(InputError, match=r"replicas = 63: at most 62 are possible.*'steps'"):
        choose_layout([LIQUID], 1, replicas=63)


def test_the_most_expensive_tasks_are_spread():
    costs = [3.0, 3.0, 2.0, 2.0, 2.0, 5.0, 1.0]
    parts = assign(costs, 3)
    assert sorted(k for part in parts for k in part) == list(range(7))
    loads = [sum(costs[k] for k in part) for part in parts]
    assert max(loads) <= 7.0  # 18 / 3 = 6 is the least that is possible
    assert assign([1.0], 4) == [[0], [], [], []]


def test_cost_of_a_step():
    assert step_cost(1000, 1) == 1000
    np.testing.assert_allclose(step_cost(1000, 8), 125 + 2 * 25 + 50)


# ---- what a review found ----


def test_replicas_that_are_one_simulation_are_refused(inputs, tmp_path):  # noqa: F811
    """The script takes a fixed number where ${seed} belongs."""
    (inputs / "in.fixed").write_text(fluid_script().replace("${seed}", "4711"))
    fixed = {"systems": [{**SYSTEMS[0], "script": "in.fixed"}], "simulation.replicas": 2}
    file = inputs / "fixed.yaml"
    file.write_text(json.dumps(with_keys({**SHORT, **fixed})))
    with pytest.raises(InputError, match=r"2 replicas of system 'cool'.*\$\{seed\}"):
        run_training(load_config(file), tmp_path / "fixed", resume=False)


def test_a_validation_is_as_long_with_replicas_as_without(inputs, tmp_path):  # noqa: F811
    found = []
    for replicas in (1, 2):
        file = inputs / f"validation{replicas}.yaml"
        changes = {"simulation.replicas": replicas, "iterations": 1}
        file.write_text(json.dumps(with_keys({**SHORT, **changes})))
        out = tmp_path / str(replicas)
        run_training(load_config(file), out, resume=False)
        found.append(metrics(out)[-1]["validation_md_steps"])
    assert found == [100 + 200, 100 + 200]


def test_an_aborted_validation_counts_as_failed(inputs, tmp_path):  # noqa: F811
    file = inputs / "validated.yaml"
    file.write_text(json.dumps(with_keys({**SHORT, "iterations": 1})))
    run_training(load_config(file), tmp_path / "run", resume=False)
    reason = "LAMMPS stopped in system 'held_out': Bond atoms missing."
    (tmp_path / "run" / "lammps" / "aborted.jsonl").write_text(
        json.dumps({"task": [2, 7, 2], "reason": reason}) + "\n"
    )
    file.write_text(json.dumps(with_keys({**SHORT, "iterations": 2})))
    run_training(load_config(file), tmp_path / "run", resume=True)
    last = metrics(tmp_path / "run")[1]
    assert last["validation"] == {}
    assert any("validation of system 'held_out' failed" in event for event in last["events"])


def test_a_configuration_of_the_user_is_not_overwritten(inputs, tmp_path):  # noqa: F811
    """Even in a folder that looks as if a run had ended before its first checkpoint."""
    (tmp_path / "lammps").mkdir()
    (tmp_path / "config.yaml").write_text("# mine\n")
    file = inputs / "mine.yaml"
    file.write_text(json.dumps(with_keys(SHORT)))
    with pytest.raises(InputError, match="not empty"):
        run_training(load_config(file), tmp_path, resume=False)
    assert (tmp_path / "config.yaml").read_text() == "# mine\n"
