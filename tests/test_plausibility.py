"""What is said of the end of a training: functions of numbers, and a run that floats away."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from conftest import fluid_script
from diffsim import Protocol, System, Trainer
from diffsim.potentials import LennardJones
from diffsim.run.progress import Progress
from diffsim.targets import RDF, Density, Pressure
from diffsim.targets.time_axis import stretched
from diffsim.training.iterations import Iteration
from diffsim.training.outcome import Outcome
from diffsim.training.plausibility import (
    blown_up,
    floated,
    high_pressure,
    largest_deviation,
    misfit,
    misfits,
    of_this_state,
    slow,
    still_falls,
    undetermined_pressure,
    without_well,
    wrong_by,
)


def test_a_density_that_floats():
    assert floated("a", 0.70, 0.71) is None
    words = floated("a", 0.70, 0.41)
    assert words and "from 0.7" in words and "to 0.41" in words and "density: 0.7'" in words


@pytest.mark.parametrize(
    ("units", "pressure", "ideal", "said"),
    [
        ("real", 900.0, 250.0, None),
        ("real", 33_000.0, 250.0, "33,000 atm"),
        ("metal", -4000.0, 250.0, "-3,948 atm"),
        ("si", 1.0e5, 1.0e5, None),
        ("lj", 5.0, 0.9, None),
        ("lj", 111.0, 0.7, "111, 159 times"),
    ],
)
def test_pressures(units, pressure, ideal, said):
    words = high_pressure("a", units, pressure, ideal)
    assert words is None if said is None else said in words


def test_pieces_that_are_shorter_than_the_relaxation():
    assert slow(2.9) is None
    assert "differ by 3.0 times" in slow(9.0) and "'simulation: steps'" in slow(9.0)


def test_how_much_a_potential_depends_on_its_state():
    assert of_this_state("a", 0.003, 0.002, 0.004) is None
    words = of_this_state("a", 0.033, 0.0054, 0.004)
    assert "density would change it by 0.033, one per cent more temperature by 0.0054" in words
    assert "'a'" in words


def test_a_pressure_that_the_targets_leave_open():
    """A quarter of that of an ideal gas is worth a word."""
    assert undetermined_pressure("a", 500.0, 60.0, 246.0) is None
    words = undetermined_pressure("a", 500.0, 330.0, 246.0)
    assert "pressure of system 'a' to better than 3.3e+02 (it is 500 now)" in words
    assert "'pressure: ...'" in words


def test_what_a_curve_was_found_to_be_wrong_by():
    assert wrong_by("argon", "rdf A-A", {"scale argon rdf B-B": 1.0}) is None
    numbers = {"scale argon rdf A-A": 0.9981, "scale argon rdf A-A error": 4e-4}
    assert "'argon' was found to be 0.9981 ± 0.0004 times what" in wrong_by(
        "argon", "rdf A-A", numbers
    )
    numbers |= {"offset argon rdf A-A": -0.0123, "offset argon rdf A-A error": 2e-3}
    assert " and -0.0123 ± 0.002 above" in wrong_by("argon", "rdf A-A", numbers)


def test_a_misfit_in_words():
    assert misfit(0.0, 0.0, 0.0) is None
    words = misfit(0.002, 0.004, 0.0)
    assert "0.002 in every bin by itself and 0.004 contact distances in r" in words
    assert "many bins together" not in words
    assert "0.01 in many bins together" in misfit(0.0, 0.0, 0.01)


def test_potentials_without_a_well():
    u, g = np.array([5.0, 1.0, 0.1, 0.0]), np.array([0.0, 3.1, 1.0])
    assert "attracts nowhere" in (without_well("A-A", u, g, 1.0) or "")
    assert without_well("A-A", u, 0.7 * g, 1.0) is None
    assert without_well("A-A", np.array([5.0, -0.5, 0.0]), g, 1.0) is None


def test_a_time_axis_in_another_unit():
    t = 0.02 * np.arange(1, 41)
    z = np.exp(-2.0 * t) * np.cos(6.0 * t)
    slower = np.exp(-t) * np.cos(3.0 * t)  # its times are twice as long
    assert "multiplied by about 0.5" in (stretched("vacf A", t, slower, z) or "")
    assert "multiplied by about 2" in (stretched("vacf A", t, z, slower) or "")
    assert stretched("vacf A", t, z, np.exp(-2.2 * t) * np.cos(6.1 * t)) is None
    assert stretched("vacf A", t, np.exp(-8.0 * t), z) is None  # another shape


def test_losses_that_fall_and_those_that_do_not():
    assert still_falls([1.0])
    assert still_falls([1.0, 0.5]) and not still_falls([1.0, 0.95])
    assert still_falls([9, 8, 7, 3, 2, 1]) and not still_falls([9, 8, 1, 1.0, 1.1, 0.9, 1, 1, 1])


def test_what_is_no_result():
    assert blown_up([2.0, 1.0, 0.5], 1.2, False) is None
    assert blown_up([2.0, 1.0, 0.5], None, False) is None
    assert "114 instead of 1" in (blown_up([2.0, 0.5], 114.0, True) or "")
    assert "nan" not in (blown_up([2.0, np.nan], None, True) or "nan")
    assert "above the 2" in (blown_up([2.0, 350.0], None, False) or "")
    assert blown_up([0.7, 2.1], 0.6, True) is None  # noise
    assert blown_up([], 1.0, False) is None


def test_the_largest_deviation_in_units_of_its_error():
    where, deviation = np.array([1.0, 2.0, 3.0]), np.array([5.0, 0.25, -0.5])
    assert largest_deviation(where, deviation, np.array([0.0, 0.25, 0.25])) == (3.0, -2.0)
    assert largest_deviation(where, deviation, np.zeros(3)) is None


def test_targets_that_are_met_and_those_that_are_not():
    r = np.array([0.5, 1.0, 1.5])
    rdfs = [RDF(r, np.array([0.0, 2.0, 1.0]), ("A", each)) for each in "AB"]
    targets = [rdfs[0], Pressure(0.5, 0.1), rdfs[1], Density(0.7)]
    entry = {
        "rdf_mse": [1e-4, 4e-4],
        "noise": [1e-4, 1e-6],
        "values": {"pressure": [0.6, 0.05], "density": [0.5, 0.001]},
        "curves": {},
        "largest": {"rdf A-B": [1.0, -20.0]},
        "misfit": {},
    }
    met, missed = misfits(entry, targets)
    assert met[0].startswith("rdf A-A off") and met[1].startswith("pressure 0.6")
    assert missed[0] == "rdf A-B off by 0.02 (noise 0.001), most at 1: -20.0 errors"
    assert missed[1].startswith("density 0.5 (target 0.7")
    # what was taken for an error of the data is one
    met, _ = misfits({**entry, "misfit": {"rdf A-B": 4e-4}}, targets)
    assert met[2] == "rdf A-B off by 0.02 (noise 0.001, misfit of the data 0.02)"


def record(loss: float, chi_square: float) -> Iteration:
    entry = {
        "rdf_mse": [1e-2],
        "noise": [1e-6],
        "values": {},
        "curves": {},
        "largest": {"rdf A-A": [1.0, 90.0]},
        "misfit": {},
        "pressure": 33.0,
        "seconds": 1.0,
    }
    numbers = {"uncertainty": 0.01, "chi_square": chi_square}
    return Iteration(1, loss, {"s": entry}, 10.0, 100, 1.0, 1.0, 1.0, optimizer=numbers)


def finished(losses, chi_square, capsys) -> str:
    target = RDF(np.array([0.5, 1.0, 1.5]), np.array([0.0, 2.0, 1.0]), ("A", "A"))
    progress = Progress(len(losses), 0)
    progress._systems = [SimpleNamespace(name="s", targets=[target])]
    for loss in losses:
        progress.show(record(loss, chi_square))
    last = record(losses[-1], chi_square)
    progress.finish(Path("run"), 878.0, (), Outcome(1, False, last.systems, last.optimizer))
    return " ".join(capsys.readouterr().out.split())


def test_done_is_not_said_of_a_run_that_blew_up(capsys):
    said = finished([5.0, 4.0, 4.1, 4.0, 4.1, 4.0, 4.1], 114.0, capsys)
    assert "done" not in said and "chi squared of the residual is 114 instead of 1" in said
    assert "More iterations may help" not in said
    assert "s: not met: rdf A-A off by 0.1 (noise 0.001), most at 1: +90.0 errors" in said
    said = finished([5.0, 2.0, 1.0, 0.5], 2.0, capsys)
    assert "done in 878 s" in said and "More iterations may help" in said


def test_the_verdict_is_that_of_the_potential_that_is_written(capsys):
    """And not of a step that was undone."""
    target = RDF(np.array([0.5, 1.0, 1.5]), np.array([0.0, 2.0, 1.0]), ("A", "A"))
    progress = Progress(2, 0)
    progress._systems = [SimpleNamespace(name="s", targets=[target])]
    progress.show(record(9.0, 3.0))
    entry = {**record(1.0, 1.0).systems["s"], "rdf_mse": [1e-6], "pressure_error": 4.0}
    numbers = {"uncertainty": 0.03, "chi_square": 1.1}
    progress.finish(Path("run"), 10.0, (), Outcome(4, True, {"s": entry}, numbers))
    said = capsys.readouterr().out
    assert "s: met within noise: rdf A-A off by 0.001" in said
    assert "pressure, no target: 33 +- 4" in said
    assert "chi squared of the residual: 1.10; uncertainty of the potential: 0.03" in said
    assert "run/model.pt, as it was corrected after iteration 4" in said
    simulated = Outcome(2, False, {"s": {**entry, "misfit": {"rdf A-A": 0.1}}}, numbers)
    progress.finish(Path("run"), 10.0, (), simulated)
    said = capsys.readouterr().out
    assert "run/model.pt, as it was simulated in iteration 2" in said
    assert "s: met within noise and misfit: rdf A-A" in said


def test_a_density_that_nothing_holds_is_in_table_metrics_and_events(tmp_path, capsys):
    script = tmp_path / "in.npt"
    text = re.sub("fix integrate.*\n|fix thermostat.*\n", "", fluid_script())
    script.write_text(text + "fix i all npt temp 1.0 1.0 0.2 iso 0.05 0.05 0.3\n")
    r = 0.05 * (0.5 + np.arange(36))
    target = RDF(r, np.exp(-4 * (r**-12 - r**-6) * (r < 1.8)), ("A", "A"))
    system = System(script, 1.0, [target], name="s")
    protocol = Protocol(steps=100, every=10, equilibration=600, relaxation=20)
    potential = LennardJones(["A"], 1.8)
    trainer = Trainer(potential, [system], protocol=protocol, start="potential", scratch=tmp_path)
    (done,) = trainer.fit(1)
    density, error = done.systems["s"]["density"]
    frames = trainer.latest[0]
    assert density == pytest.approx(np.mean(125 / frames.volume), rel=1e-12)
    assert abs(density / 0.7 - 1.0) > 0.02 and 0.0 < error < 0.1
    assert any("floated from 0.7, as its script" in event for event in trainer.conclusion)
    progress = Progress(1, 0)
    progress.start(trainer)
    progress.show(done)
    assert "pressure; density" in capsys.readouterr().out
