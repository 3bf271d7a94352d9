"""Trainings that meet failures, steps that make it worse, and systems that are not trained on."""

from __future__ import annotations

import dataclasses
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

import diffsim
from conftest import beside_the_norm, fluid_script, without_seconds
from diffsim.config.schema import load_config
from diffsim.errors import InputError, SimulationError
from diffsim.knots import knot_values
from diffsim.optimizers import FirstOrder, GaussNewton, Optimizer, Update
from diffsim.potentials import BSpline, LennardJones, load
from diffsim.response.loss import error_scale
from diffsim.run import training as run_module
from diffsim.run.training import run_training
from diffsim.statistics.time_series import standard_error
from diffsim.targets import RDF
from diffsim.training.accepted import Best
from diffsim.training.measurement import loss_change, loss_with_error
from diffsim.training.steps import LossChange

# 125 atoms; lost atoms are LAMMPS's error
FLUID = fluid_script() + "thermo 20\nthermo_modify lost error\n"
PROTOCOL = diffsim.Protocol(steps=200, every=20, equilibration=100, relaxation=20)
GOOD = 1.0  # epsilon of a potential that simulates well
DEEP = 1e6  # and of one that pulls the atoms through each other
LOST = "LAMMPS stopped in system 'fluid'"


def target(reach=2.6, width=0.05, error=None):
    """Roughly the g(r) of the liquid."""
    r = width * (0.5 + np.arange(round(reach / width)))
    x = np.minimum((1 / r) ** 6, 30.0)
    g = np.exp(-np.minimum(4 * (x * x - x), 700.0)) * (1 - 0.35 * np.exp(-8 * (r - 1.6) ** 2))
    return RDF(r, g, ("A", "A"), error=None if error is None else np.full(len(r), error))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "in.fluid").write_text(FLUID)
    rdf = target()
    np.savetxt(folder / "rdf.csv", np.stack([rdf.r, rdf.g], axis=1), delimiter=",")
    return folder


class Scripted(Optimizer):
    """An optimizer that sets epsilon to given numbers, and halves its steps at a retreat.

    A step goes from the present epsilon towards the next number of `goals`, by the share that the
    retreats have left, on a scale of logarithms.
    """

    frames = None

    def __init__(self, goals):
        self.goals = list(goals)
        self.share = 1.0
        self.taken = 0
        self.started_from: list[float] = []

    def anchor(self, potentials):
        pass

    def update(self, potential, grid, ensembles):
        present = potential.log_epsilon.item()
        self.started_from.append(math.exp(present))
        goal = self.goals[self.taken] if self.taken < len(self.goals) else GOOD
        with torch.no_grad():
            potential.log_epsilon += self.share * (math.log(goal) - present)
        self.taken += 1
        return Update(1, 0.0)

    def retreat(self):
        self.share *= 0.5

    def state_dict(self):
        return {"share": self.share, "taken": self.taken}

    def load_state_dict(self, state):
        self.share, self.taken = state["share"], state["taken"]


def measured_losses(training, losses):
    """A `loss_change` by the losses of the iterations of a training, all known to 1."""
    of_series = {}

    def change(ensembles, series):
        now = losses[training.iteration - 1]
        before = of_series.setdefault(id(series), now)
        return LossChange(before, now, now - before, 1.0, 0.0)

    return change


def trainer(inputs, goals, system=None, **options):
    system = system or diffsim.System(inputs / "in.fluid", 1.0, [target()], name="fluid")
    potential = LennardJones(["A"], 1.8, epsilon=GOOD)
    return diffsim.Trainer(
        potential,
        system if isinstance(system, list) else [system],
        optimizer=Scripted(goals),
        protocol=PROTOCOL,
        start="potential",
        **options,
    )


def epsilon(potential):
    return potential.log_epsilon.exp().item()


# ---- a failing simulation ----


def test_a_failed_step_is_taken_back_and_made_smaller(inputs):
    """From epsilon 1 towards 1e6, which fails; then half as far on the scale of logarithms."""
    training = trainer(inputs, [DEEP])
    first = training.fit(1)[0]
    training.potential.load_state_dict(LennardJones(["A"], 1.8, epsilon=DEEP).state_dict())
    second = training.fit(1)[0]

    failures = sum("taken back" in event for event in second.events)
    assert 1 <= failures <= 5
    # and a step that makes the loss worse, as the last one may have done, is a retreat too
    rises = sum("loss rose" in event for event in second.events)
    assert training.optimizer.share == 0.5 ** (failures + rises)
    assert all("\n" not in event for event in second.events)
    assert f"1 of at most 5 times in a row): {LOST}" in second.events[0]
    assert "ERROR" in second.events[0] and "The log is" not in second.events[0]
    # every new step starts from the potential of the last piece that went well
    assert training.optimizer.started_from[: 1 + failures] == pytest.approx([GOOD] * (1 + failures))
    # the pieces that failed count, and their frames are not stored
    assert first.md_steps == 300
    assert second.md_steps == 300 + (failures + 1) * 220
    assert len(training.ensembles[0]) == 20
    assert np.isfinite(second.loss) and second.iteration == 2


def test_a_potential_that_failed_is_not_the_best(inputs):
    training = trainer(inputs, [1e100])
    training.fit(1)
    # stored frames may take a potential for the best that no simulation survives
    deep = LennardJones(["A"], 1.8, epsilon=1e100).state_dict()
    training._reached.best = Best(deep, 1, corrected=True)
    training.potential.load_state_dict(deep)
    with pytest.raises(SimulationError, match=r"Iteration 2 was given up.*'fluid'"):
        training.fit(1)
    training.use_best()
    assert epsilon(training.potential) == pytest.approx(GOOD)


def test_nan_in_the_weights_is_a_failed_step(inputs):
    class Broken(Scripted):
        def update(self, potential, grid, ensembles):
            update = super().update(potential, grid, ensembles)
            if self.share == 1.0:
                with torch.no_grad():
                    potential.log_epsilon.fill_(float("nan"))
            return update

    training = trainer(inputs, [])
    training.optimizer = Broken([0.9, 0.8])
    one, two = training.fit(2)
    (event,) = beside_the_norm(one.events)
    assert "taken back and made smaller" in event and "is nan" in event
    assert (training.optimizer.share, one.optimizer["steps"]) == (0.5, 1)
    # nothing was simulated for it
    assert two.md_steps == 520 and np.isfinite(two.loss)


def test_energies_that_are_no_numbers_are_a_failed_simulation(inputs, monkeypatch):
    """LAMMPS does not stop at all of them."""
    from diffsim.simulation import pieces

    real, calls = pieces.simulate, []

    def simulate(*arguments):
        frames, state = real(*arguments)
        calls.append(arguments)
        if len(calls) == 2:
            frames = dataclasses.replace(frames, energy=np.full(len(frames), np.nan))
        return frames, state

    monkeypatch.setattr(pieces, "simulate", simulate)
    training = trainer(inputs, [0.9])
    records = training.fit(2)
    (event,) = records[1].events
    assert "energy of system 'fluid' is not finite in iteration 2" in event
    # from the same atoms, with other random numbers and half the step
    *_, seed_a, state_a, _, _, _ = calls[1]
    *_, seed_b, state_b, _, _, _ = calls[2]
    assert state_a == state_b and seed_a != seed_b
    assert training.optimizer.share == 0.5 and len(calls) == 3


def test_a_temperature_that_runs_away_is_a_failed_simulation(inputs, monkeypatch):
    """Unless it was as wrong before: then it is the script's, and is only reported."""
    from diffsim.simulation import pieces

    real, factors = pieces.simulate, []

    def simulate(*arguments):
        frames, state = real(*arguments)
        return dataclasses.replace(frames, temperature=factors.pop(0) * frames.temperature), state

    monkeypatch.setattr(pieces, "simulate", simulate)
    factors += [1.0, 1.0, 2.0, 1.0]
    records = trainer(inputs, []).fit(3)
    assert not any("taken back" in event for event in records[1].events)
    assert "kinetic temperature of system 'fluid' ended at" in records[2].events[0]
    factors += [2.0, 2.0]
    records = trainer(inputs, []).fit(2)
    for record in records:
        assert any("was" in event and "is given as 1" in event for event in record.events)
        assert not any("taken back" in event for event in record.events)


def test_a_failure_in_the_first_iteration_stops_the_training(inputs):
    training = trainer(inputs, [])
    training.potential.load_state_dict(LennardJones(["A"], 1.8, epsilon=DEEP).state_dict())
    with pytest.raises(SimulationError, match=r"'fluid'.*ERROR.*The log is .*fluid\.log"):
        training.fit(2)
    assert training.iteration == 0 and training.optimizer.started_from == []


# ---- in a run directory ----


CONFIG = {
    "units": "lj",
    "potential": {"form": "lennard-jones", "species": ["A"], "cutoff": 1.8, "epsilon": GOOD},
    "systems": [
        {
            "name": "fluid",
            "script": "in.fluid",
            "temperature": 1.0,
            "targets": [{"rdf": "rdf.csv", "pair": ["A", "A"]}],
        }
    ],
    "simulation": {"steps": 200, "every": 20, "equilibration": 100, "relaxation": 20},
    "start": "potential",
    "iterations": 4,
    "seed": 7,
}


def train(inputs, out, resume=False, **changes):
    path = inputs / f"{out.name}.yaml"
    path.write_text(yaml.safe_dump(CONFIG | changes))
    run_training(load_config(path), out, resume)
    return out


def metrics(out):
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return without_seconds(records)


@pytest.mark.parametrize(
    "optimizer", [{"name": "sgd", "lr": 5.0, "max_steps": 1}, {"name": "gauss-newton"}]
)
def test_a_resumed_run_with_failures_repeats_the_numbers(inputs, tmp_path, monkeypatch, optimizer):
    """Failures before and after the places where it was stopped."""
    if optimizer["name"] == "gauss-newton":
        fail_sometimes(monkeypatch)
    whole = train(inputs, tmp_path / "whole", optimizer=optimizer)
    halves = tmp_path / "halves"
    train(inputs, halves, optimizer=optimizer, iterations=1)
    train(inputs, halves, resume=True, optimizer=optimizer, iterations=3)
    train(inputs, halves, resume=True, optimizer=optimizer)
    records = metrics(whole)
    assert metrics(halves) == records
    failed = [any("taken back" in event for event in record["events"]) for record in records]
    assert any(failed), failed
    one, other = (
        torch.load(folder / "checkpoint.pt", weights_only=False) for folder in (whole, halves)
    )
    assert one["states"] == other["states"]
    assert str(one["back"]) == str(other["back"]) and str(one["optimizer"]) == str(
        other["optimizer"]
    )


def fail_sometimes(monkeypatch):
    """Fail the first attempt of iterations 2 and 4, as the seed says: resuming changes nothing."""
    from diffsim.simulation import pieces

    real = pieces.Simulator.piece

    def piece(self, knots, state, usual, seed, *others):
        if seed[1] in (2, 4) and seed[2] == 0:
            raise SimulationError("LAMMPS stopped in system 'fluid': ERROR: Lost atoms.")
        return real(self, knots, state, usual, seed, *others)

    monkeypatch.setattr(pieces.Simulator, "piece", piece)


def test_a_run_that_fails_too_often_stops_and_can_be_resumed(inputs, tmp_path, monkeypatch):
    """Towards epsilon 1e100, not even the fifth half of the step can be simulated."""
    monkeypatch.setattr(
        run_module.optimizers, "create", lambda *_, **__: Scripted([GOOD] + 20 * [1e100])
    )
    out = tmp_path / "stopped"
    with pytest.raises(SimulationError) as error:
        train(inputs, out)
    text = str(error.value)
    assert text.startswith("Iteration 3 was given up after 5 simulations in a row that failed")
    assert LOST in text and f"The folder {out} holds the best potential" in text
    assert "--resume" in text and "\n" not in text
    before = metrics(out)
    assert len(before) == 2
    assert load(out / "model.pt").module.log_epsilon.exp().item() == pytest.approx(GOOD)

    # the run goes on with the sixth half, and so on, until the simulation is stable
    while len(metrics(out)) == 2:
        try:
            train(inputs, out, resume=True, iterations=3)
        except SimulationError as again:
            assert "Iteration 3 was given up" in str(again)
    records = metrics(out)
    assert records[:2] == before and len(records) == 3
    failures = sum("taken back" in event for event in records[2]["events"])
    assert failures > 5
    assert records[2]["md_steps"] == 520 + (failures + 1) * 220


# ---- optimizers ----


@pytest.fixture(scope="module")
def sampled(inputs):
    """Grid and ensembles of one piece of simulation."""
    training = trainer(inputs, [])
    training.fit(1)
    return training.grid, training.ensembles


def test_gauss_newton_regains_its_trust(sampled):
    grid, ensembles = sampled
    optimizer = GaussNewton(max_steps=1)
    potential = LennardJones(["A"], 1.8, epsilon=GOOD) + BSpline(["A"], 1.8)

    def trust():
        return optimizer.update(potential, grid, ensembles).info["trust"] / optimizer.trust

    assert trust() == 1.0
    optimizer.retreat()
    optimizer.retreat()
    state = optimizer.state_dict()
    assert [trust() for _ in range(5)] == pytest.approx([0.25, 0.375, 0.5625, 0.84375, 1.0])
    # how far it retreated is in its state
    optimizer.load_state_dict(state)
    assert trust() == 0.25


def test_a_smaller_trust_makes_a_smaller_step(sampled):
    grid, ensembles = sampled

    def change(retreats):
        """Root mean square of the potential's change beyond contact."""
        optimizer = GaussNewton(max_steps=1)
        for _ in range(retreats):
            optimizer.retreat()
        potential = BSpline(["A"], 1.8) + LennardJones(["A"], 1.8, epsilon=GOOD)
        before = knot_values(potential, grid).detach().numpy()
        optimizer.update(potential, grid, ensembles)
        after = knot_values(potential, grid).detach().numpy()
        return np.sqrt(np.mean((after - before)[0, grid.distances(0) > 1.0] ** 2))

    changes = [change(retreats) for retreats in (0, 3, 6, 7)]
    assert changes[0] > 1.5 * changes[1] and changes[1] > 1.5 * changes[2]
    # where the trust alone decides, the step goes with its square
    assert changes[3] == pytest.approx(changes[2] / 4, rel=0.1)


def test_first_order_halves_its_rate_for_good(sampled):
    """A step of plain gradient descent is proportional to the rate."""
    grid, ensembles = sampled
    optimizer = FirstOrder("sgd", lr=1e-3, max_steps=1)

    def step():
        potential = LennardJones(["A"], 1.8, epsilon=GOOD)
        optimizer.load_state_dict(optimizer.state_dict())
        optimizer.update(potential, grid, ensembles)
        return potential.log_epsilon.item()

    whole = step()
    assert abs(whole) > 1e-6
    optimizer.retreat()
    assert [step(), step()] == pytest.approx([whole / 2] * 2, rel=1e-9)
    optimizer.retreat()
    assert step() == pytest.approx(whole / 4, rel=1e-9)


# ---- a step that makes it worse ----


def test_a_step_that_makes_the_loss_worse_is_undone(inputs):
    """Epsilon 3 instead of 1 freezes the liquid; its frames are kept in the pool all the same."""
    training = trainer(inputs, [3.0, 3.0])
    one, two = training.fit(2)
    assert two.loss > 2 * one.loss
    (event,) = [event for event in two.events if "loss rose" in event]
    assert f"from {one.loss:.4g} to {two.loss:.4g}" in event and "step was undone" in event
    assert "iteration 1 left" in event and "predicted" not in event  # nobody did
    assert (one.accepted, two.accepted) == (True, False)
    assert training.optimizer.share == 0.5
    assert len(training.ensembles[0]) == 20 and two.md_steps == 520
    # the best weights are still those of the first piece
    assert epsilon(training.potential) == pytest.approx(GOOD)


def test_a_step_that_changes_nothing_is_no_reason_to_retreat(inputs):
    """Ten pieces of one potential: their losses differ by noise."""
    training = trainer(inputs, [])
    records = training.fit(10)
    # 2 standard errors are exceeded upwards by 2 % of Gaussian numbers
    assert sum("loss rose" in event for record in records for event in record.events) <= 1


def test_the_prediction_is_the_reweighted_loss(inputs):
    """A step too small to change a weight: the loss of all frames; a large one: none."""
    same, far = trainer(inputs, []), trainer(inputs, [2.0])
    records = same.fit(2)
    assert records[0].predicted_loss is None
    assert records[1].predicted_loss == pytest.approx(records[0].loss, rel=1e-9)
    assert far.fit(2)[1].predicted_loss is None


class Fake:
    """What the loss needs of an ensemble."""

    def __init__(self, series, goal, error):
        rdf = target(error=error)
        self.system = diffsim.System(__file__, 1.0, [rdf])
        self.targets = self.system.targets
        self.weights = np.linspace(0.5, 1.5, series.shape[1])
        self.target = goal
        self.latest_error = standard_error(series)
        self.tolerance = self.misfit = np.zeros(len(goal))
        self.observables, self.latest_piece = series, slice(None)
        self.latest_frames, self.beta = None, 1.0

    def latest(self):
        return SimpleNamespace(
            observables=self.observables.mean(axis=0), jacobian=np.eye(self.observables.shape[1])
        )


def correlated_series(rng, frames, bins):
    """AR(1) in time with a correlation of 0.6, and a correlation of neighbouring bins."""
    white = rng.normal(size=(frames + 50, bins + 4))
    white = sum(white[:, k : k + bins] for k in range(5)) / np.sqrt(5)
    series = np.zeros_like(white)
    for frame in range(1, len(white)):
        series[frame] = 0.6 * series[frame - 1] + 0.8 * white[frame]
    return series[50:]


@pytest.mark.parametrize("deviation", [0.0, 0.3])
def test_the_standard_error_of_a_loss_is_its_scatter(deviation):
    """Over 400 repetitions, with the noise alone and with a deviation that exceeds it."""
    rng = np.random.default_rng(5)
    bins = len(target().g)
    found = []
    for _ in range(400):
        series = correlated_series(rng, 200, bins)
        found.append(loss_with_error(Fake(series, np.full(bins, deviation), None), series))
    losses, errors, noises = np.array(found).T
    # its own relative error is 1 / sqrt(2 * 400), more for the tails of a quadratic form; the
    # autocorrelation from a finite series is too low by some per cent
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(losses.std(), rel=0.25)
    # what errors add to the loss on average
    fake = Fake(series, np.full(bins, deviation), None)
    without = fake.weights @ (deviation / error_scale(fake)) ** 2 / fake.weights.sum()
    statistical = losses.std() / np.sqrt(len(losses))
    assert abs(losses.mean() - without - noises.mean()) < 4.0 * statistical + 0.1 * noises.mean()


def test_a_rise_of_the_loss_needs_two_standard_errors():
    """Two pieces of one distribution differ by more in a few per cent of all cases."""
    rng = np.random.default_rng(6)
    bins = len(target().g)
    goal = np.full(bins, 0.2)
    rises = 0
    for _ in range(200):
        before, now = (correlated_series(rng, 200, bins) for _ in range(2))
        rises += loss_change([Fake(now, goal, None)], [before]).is_rise
    # 2.3 % of Gaussian numbers: 4.6 of 200, and 4 standard errors of that
    assert rises <= 13
    worse = correlated_series(rng, 200, bins) - 0.3
    assert loss_change([Fake(worse, goal, None)], [before]).is_rise
    assert not loss_change([Fake(before, goal, None)], [worse]).is_rise


# ---- validation ----


@pytest.fixture(scope="module")
def validated(inputs, tmp_path_factory):
    """A run of three iterations with a validation after the second and at the end."""
    out = tmp_path_factory.mktemp("validated") / "run"
    return train(inputs, out, **with_validation(), iterations=3, validate_every=2)


def with_validation():
    hot = CONFIG["systems"][0] | {"name": "hot", "temperature": 2.0, "validation": True}
    return {"systems": [hot, *CONFIG["systems"]]}


def test_a_validation_system_changes_nothing_in_the_training(inputs, validated, tmp_path):
    """Weights, losses and MD steps are those of a training without it."""
    alone = train(inputs, tmp_path / "alone", iterations=3)
    report = {"validation", "validation_md_steps"}
    with_it, without = (
        [{k: v for k, v in record.items() if k not in report} for record in metrics(out)]
        for out in (validated, alone)
    )
    for records, systems in ((with_it, 2), (without, 1)):  # a word on each of their targets
        records[0]["events"] = beside_the_norm(records[0]["events"], systems)
    assert with_it == without
    assert list(with_it[0]["systems"]) == ["fluid"]
    assert (validated / "potential.table").read_bytes() == (alone / "potential.table").read_bytes()


def test_what_a_validation_reports(validated):
    records = metrics(validated)
    assert [list(record["validation"]) for record in records] == [[], ["hot"], ["hot"]]
    # equilibration and sampling, each time
    assert [record["validation_md_steps"] for record in records] == [0, 300, 600]
    for record in records[1:]:
        entry = record["validation"]["hot"]
        assert set(entry) == {
            "loss",
            "rdf_mse",
            "noise",
            "values",
            "curves",
            "largest",
            "misfit",
            "pressure",
            "temperature",
        }
        assert 1.6 < entry["temperature"] < 2.4
        assert entry["noise"][0] > 0 and entry["rdf_mse"][0] > 0
    assert (validated / "rdf_hot_A-A.png").stat().st_size > 5000


def test_validation_is_at_the_end_by_default(inputs, tmp_path):
    out = train(inputs, tmp_path / "end", **with_validation(), iterations=2)
    assert [list(record["validation"]) for record in metrics(out)] == [[], ["hot"]]
    # a finished run that is resumed has nothing to add
    before = (out / "metrics.jsonl").read_bytes()
    (out / "rdf_hot_A-A.png").unlink()
    train(inputs, out, resume=True, **with_validation(), iterations=2)
    assert (out / "metrics.jsonl").read_bytes() == before
    assert (out / "rdf_hot_A-A.png").is_file()


def test_a_resumed_run_with_validations_repeats_the_numbers(inputs, validated, tmp_path):
    out = tmp_path / "halves"
    options = with_validation() | {"validate_every": 2}
    train(inputs, out, **options, iterations=2)
    train(inputs, out, resume=True, **options, iterations=3)
    assert metrics(out) == metrics(validated)


def test_a_validation_that_fails_is_reported_and_no_more(inputs):
    (inputs / "in.unstable").write_text(FLUID.replace("timestep 0.005", "timestep 0.2"))
    systems = [
        diffsim.System(inputs / "in.fluid", 1.0, [target()], name="fluid"),
        diffsim.System(inputs / "in.unstable", 1.0, [target()], name="wild", validation=True),
    ]
    (record,) = trainer(inputs, [], systems).fit(1)
    (event,) = beside_the_norm(record.events, 2)
    assert event.startswith("The validation of system 'wild' failed: ") and "ERROR" in event
    assert record.validation == {} and record.validation_md_steps == 300


def test_the_noise_is_the_deviation_of_a_perfect_potential(inputs):
    """Targets from the same potential: the mean square deviation is the noise, of both."""
    protocol = diffsim.Protocol(steps=2000, every=20, equilibration=500)

    def measured(seed, rdf):
        system = diffsim.System(inputs / "in.fluid", 1.0, [rdf], name="fluid")
        training = diffsim.Trainer(
            LennardJones(["A"], 1.8, epsilon=GOOD),
            [system],
            optimizer=Scripted([]),
            protocol=protocol,
            start="potential",
            seed=seed,
        )
        (record,) = training.fit(1)
        return record.systems["fluid"], training.ensembles[0].observables

    rdf = target()
    frames = [measured(seed, rdf)[1] for seed in (1, 2, 3)]
    series = np.concatenate(frames)
    errors = np.sqrt(sum(standard_error(part) ** 2 for part in frames)) / 3
    average = series.mean(axis=0)
    errors = np.where(average > 0, np.maximum(errors, 1e-6), 0.0)
    own = RDF(rdf.r, average, ("A", "A"), error=errors)
    ratios = []
    for seed in (4, 5, 6):
        entry, _ = measured(seed, own)
        ratios.append(entry["rdf_mse"][0] / entry["noise"][0])
    # a few dozen independent bins in each of three pieces that share the target
    assert 0.5 < np.mean(ratios) < 2.0


def test_systems_that_cannot_make_a_training(inputs):
    def system(name, validation):
        return diffsim.System(
            inputs / "in.fluid", 1.0, [target()], name=name, validation=validation
        )

    with pytest.raises(InputError, match=r"at least one system to learn from.*a, b.*validation"):
        trainer(inputs, [], [system("a", True), system("b", True)])
    with pytest.raises(InputError, match=r"every 3 iterations, but none.*\(a\)"):
        trainer(inputs, [], [system("a", False)], validate_every=3)
    with pytest.raises(InputError, match=r"validate_every, is 0; it must be at least 1"):
        trainer(inputs, [], [system("a", False), system("b", True)], validate_every=0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"systems": [CONFIG["systems"][0] | {"validation": True}]},
            "systems should have at least one system to learn from, but all have",
        ),
        ({"validate_every": 2}, "validate_every should be left out, because no system has"),
        (with_validation() | {"validate_every": 0}, "validate_every should be greater than 0"),
        ({"systems": [CONFIG["systems"][0] | {"validation": "yes"}]}, "systems[0].validation"),
    ],
)
def test_configurations_that_cannot_be(inputs, changes, words):
    path = inputs / "wrong.yaml"
    path.write_text(yaml.safe_dump(CONFIG | changes))
    with pytest.raises(InputError) as error:
        load_config(path)
    assert words in str(error.value) and str(error.value)[-1] in ".?"
