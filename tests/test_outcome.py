"""The best potential of a training, and the numbers that are said of it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import diffsim
from diffsim.knots import spline_coefficients
from diffsim.optimizers import Update
from diffsim.potentials import LennardJones
from diffsim.response.loss import variance_by_targets
from diffsim.run import training as run_module
from diffsim.statistics.time_series import standard_error
from diffsim.training import accepted
from diffsim.training.accepted import is_better
from diffsim.training.measurement import loss_change
from diffsim.training.outcome import pressure_of, seen_distance
from diffsim.training.steps import LossChange
from test_robust_training import (
    PROTOCOL,
    Fake,
    Scripted,
    epsilon,
    inputs,  # noqa: F401
    measured_losses,
    target,
    train,
)


class Probable(Scripted):
    """As Gauss-Newton: its steps are to the most probable potential, with a claim."""

    uses_references = True
    knows_uncertainty = True

    def update(self, potential, grid, ensembles):
        update = super().update(potential, grid, ensembles)
        numbers = {"uncertainty": 0.03, "correction": 0.1, "chi_square": 1.0 + self.taken}
        known = np.full((1, grid.knots), 0.04)
        return Update(update.steps, 0.0, numbers, known, pressure_errors=[0.5])


def trainer(inputs, optimizer, start=1.0, protocol=PROTOCOL):  # noqa: F811
    system = diffsim.System(inputs / "in.fluid", 1.0, [target(error=0.3)], name="fluid")
    potential = LennardJones(["A"], 1.8, epsilon=start)
    return diffsim.Trainer(potential, [system], optimizer, protocol, start="potential")


@pytest.mark.parametrize("followed", [0.02, 0.1])
def test_errors_of_the_targets_explain_a_difference_of_losses(followed):
    """Its variance over 4000 sets of targets is the formula's."""
    rng = np.random.default_rng(3)
    bins = len(Fake(np.zeros((2, 52)), np.zeros(52), None).weights)
    truth = 1.0 + 0.1 * rng.normal(size=bins)
    change = followed * rng.normal(size=bins)
    series = np.repeat(truth[None], 2, axis=0)
    series[:, :] += 1e-3 * np.array([[1.0], [-1.0]])
    errors = 0.05
    found = []
    for _ in range(4000):
        fake = Fake(series, truth + errors * rng.normal(size=bins), errors)
        found.append(loss_change([fake], [series - change]).rise)
    fake.tolerance = np.zeros(bins)
    assert np.std(found) ** 2 == pytest.approx(variance_by_targets(fake, change), rel=0.1)


def test_of_two_losses_that_differ_by_noise_the_later_potential_of_a_posterior_is_the_better():
    within, beyond = (LossChange(1.0, 1.0 + rise, rise, 0.1, 0.0) for rise in (0.15, 0.25))
    assert is_better(within, most_probable=True) and not is_better(beyond, most_probable=True)
    assert not is_better(within, most_probable=False)
    assert is_better(LossChange(1.0, 0.9, -0.1, 0.2, 0.0), most_probable=False)


def test_what_is_said_is_said_of_the_best_potential(inputs):  # noqa: F811
    """The second step ruins the potential: the first is the best, and the numbers are its own."""
    training = trainer(inputs, Probable([0.98, 4.0]))
    _, second = training.fit(2)
    outcome = training.outcome
    assert second.accepted and not outcome.corrected and outcome.iteration == 2
    assert epsilon(training.potential) == pytest.approx(0.98)
    assert outcome.systems["fluid"]["pressure"] == second.systems["fluid"]["pressure"]
    assert outcome.numbers["chi_square"] == second.optimizer["chi_square"]
    # the claim is that of the last update, whose potential is another one
    r = np.linspace(1.0, 1.7, 200)
    x = r**-6.0
    apart = (4.0 - 0.98) * 4.0 * (x * x - x)
    assert outcome.numbers["uncertainty"] > 10 * np.abs(apart).mean() * 0.03
    assert np.all(training.uncertainty >= 0.04)
    assert training.uncertainty.max() > 1.0


def test_a_correction_that_was_not_simulated_has_the_pressure_of_weighted_frames(inputs):  # noqa: F811
    training = trainer(inputs, Probable([0.98, 0.97]))
    _, second = training.fit(2)
    outcome = training.outcome
    assert outcome.corrected and outcome.iteration == 2
    assert epsilon(training.potential) == pytest.approx(0.97)
    assert outcome.numbers["uncertainty"] == 0.03 and training.uncertainty.max() == 0.04
    found = outcome.systems["fluid"]["pressure"]
    assert found != second.systems["fluid"]["pressure"]
    # a fresh run of that potential
    long = dataclasses.replace(PROTOCOL, steps=4000)
    fresh = trainer(inputs, Scripted([]), 0.97, long)
    fresh.fit(1)
    pressure, frames = fresh.latest[0].pressure, training.latest[0]
    error = np.hypot(standard_error(frames.pressure), standard_error(pressure))
    assert abs(found - pressure.mean()) < 4.0 * error


def test_the_pressure_of_the_simulated_potential_is_the_measured_one(inputs):  # noqa: F811
    training = trainer(inputs, Scripted([]))
    training.fit(1)
    (frames,), (ensemble,) = training.latest, training.ensembles
    c = ensemble.latest_coefficients
    assert pressure_of(frames, c, c, ensemble.beta) == pytest.approx(frames.pressure.mean())
    # to first order by the virial and the fluctuation: -beta Cov(P, n) + dP/dc
    rng = np.random.default_rng(1)
    step = spline_coefficients(1e-4 * rng.normal(size=(1, training.grid.knots)))
    counts = frames.counts.reshape(len(frames), -1) @ step.ravel()
    explicit = diffsim.targets.Pressure(0.0).explicit(frames) @ step.ravel()
    slope = explicit.mean() - ensemble.beta * np.cov(frames.pressure, counts, bias=True)[0, 1]
    ahead, behind = (pressure_of(frames, c, c + s * step, ensemble.beta) for s in (1.0, -1.0))
    assert 0.5 * (ahead - behind) == pytest.approx(slope, rel=1e-3)


def test_the_distance_counts_where_there_are_pairs(inputs):  # noqa: F811
    training = trainer(inputs, Scripted([]))
    training.fit(1)
    grid, latest = training.grid, training.latest
    one = np.ones((1, grid.knots))
    assert seen_distance(grid, [one], latest) == pytest.approx(1.0)
    inside = np.where(grid.distances(0) < 0.8, 1.0, 0.0)[None]
    assert seen_distance(grid, [inside], latest) == 0.0


def test_a_resumed_run_knows_its_best_potential(inputs, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(run_module.optimizers, "create", lambda *_, **__: Probable([0.98, 4.0]))
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    train(inputs, whole, iterations=3)
    train(inputs, parts, iterations=2)
    train(inputs, parts, resume=True, iterations=3)
    found, expected = (json.loads((out / "outcome.json").read_text()) for out in (parts, whole))
    for each in (found, expected):
        del each["systems"]["fluid"]["seconds"]
    assert found == expected and expected["iteration"] < 3


def test_the_numbers_of_the_lowest_loss_are_kept_for_a_potential_that_drifts_later(
    inputs,  # noqa: F811
    monkeypatch,
):
    """The best one is the latest, until the accepted potential's own loss rises."""
    training = trainer(inputs, Probable([0.99, 0.98, 0.97, 0.96, 0.95, 0.94]))
    losses = [5.0, 4.0, 4.5, 20.0, 20.0, 15.0]
    monkeypatch.setattr(accepted, "loss_change", measured_losses(training, losses))
    seen = []
    for _ in training.steps(6):
        seen.append(training.outcome.iteration)
    assert seen[:3] == [1, 2, 3] and seen[-1] == 2
    assert epsilon(training.potential) == pytest.approx(0.99)
