"""Which steps of a training stay, and what goes back with one that is undone."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import diffsim
from diffsim.errors import InputError
from diffsim.knots import knot_values, spline_coefficients
from diffsim.optimizers import Update
from diffsim.optimizers.prediction import predicted_decrease
from diffsim.optimizers.standstill import (
    OF_EXPERIMENT,
    OF_KNOWN_ERRORS,
    OF_UNKNOWN_ERRORS,
    Standstill,
    patience,
)
from diffsim.optimizers.trust import Trust
from diffsim.potentials import LennardJones
from diffsim.run import training as run_module
from diffsim.simulation import part, pieces
from diffsim.training import accepted, attempts, simulations
from diffsim.training.measurement import change_within, loss_with_error
from diffsim.training.settling import Drift
from diffsim.training.steps import LossChange, Verdict, verdict
from test_robust_training import (
    GOOD,
    PROTOCOL,
    Scripted,
    epsilon,
    inputs,  # noqa: F401
    measured_losses,
    metrics,
    target,
    train,
)

BAD = 3.0  # epsilon of a potential that freezes the liquid

# ---- the rules ----


@pytest.mark.parametrize(
    ("rise", "error", "predicted", "found"),
    [
        # 1 was predicted, and the noise is small: the ratios are -0.5, 0.2, 0.5, 0.8, 3
        (0.5, 0.01, 1.0, Verdict.UNDO),
        (-0.2, 0.01, 1.0, Verdict.SHORTEN),
        (-0.5, 0.01, 1.0, Verdict.HOLD),
        (-0.8, 0.01, 1.0, Verdict.EXTEND),
        (-3.0, 0.01, 1.0, Verdict.EXTEND),
        # a rise within two standard errors stays
        (0.5, 0.26, None, Verdict.EXTEND),
        (0.5, 0.24, None, Verdict.UNDO),
        (0.01, 0.01, 1.0, Verdict.SHORTEN),
        # a low ratio that may be an accident
        (-0.2, 0.03, 1.0, Verdict.HOLD),
        (-0.2, 0.3, 1.0, Verdict.EXTEND),
        (-0.7, 0.03, 1.0, Verdict.EXTEND),
        # noise hides what was predicted, or nobody predicted
        (0.0, 0.5, 0.9, Verdict.EXTEND),
        (0.0, 0.01, -1.0, Verdict.EXTEND),
        (-0.1, 0.01, None, Verdict.EXTEND),
        (math.nan, 0.01, 1.0, Verdict.UNDO),
    ],
)
def test_what_follows_from_a_step(rise, error, predicted, found):
    assert verdict(rise, error, predicted) is found


def test_a_prediction_includes_the_noise():
    """0.3 with noise 0.1, then 0.45 with noise 0.2: a rise of 0.05; a fall by 0.12 was told."""
    change = LossChange(before=0.3, now=0.45, rise=0.05, error=0.01, noise=0.2)
    assert change.is_rise
    assert change.predicted(0.12) == pytest.approx(0.3 - 0.1 - 0.12 + 0.2)
    assert change.predicted(5.0) == 0.2  # no loss is lower than its noise


def test_the_trust_is_halved_held_and_won_back():
    trust = Trust()
    shares = []
    for told in (None, trust.retreat, trust.retreat, None, trust.hold, None, None, None):
        if told is not None:
            told()
        trust.renew()
        shares.append(trust.share)
    assert shares == [1.0, 0.5, 0.25, 0.375, 0.375, 0.5625, 0.84375, 1.0]


def test_the_predicted_decrease_is_that_of_the_signal():
    """By hand: of the deviations (0.2, -0.1) a part (0.1, -0.05) is signal."""
    rdf = diffsim.targets.RDF(np.array([1.0, 2.0, 3.0]), np.ones(3), ("A", "A"))
    ensemble = SimpleNamespace(
        system=SimpleNamespace(weight=3.0),
        targets=[rdf],
        weights=np.array([3.0, 6.0, 3.0]),
        latest_frames=None,
        beta=1.0,
    )
    model = SimpleNamespace(
        source=SimpleNamespace(observables=np.array([0, 2]), weights=np.array([3.0, 3.0])),
        change=lambda energies: np.array([[1.0, 0.0], [0.0, 2.0]]) @ energies,
    )
    # the most probable potential, by which the deviations change by their signal
    start, whole = np.zeros(2), np.array([0.1, -0.025])

    def decrease(after):
        return predicted_decrease([ensemble], [model], whole, start, after)

    assert decrease(whole) == pytest.approx((0.1**2 + 0.05**2) / 4)
    assert decrease(0.5 * whole) == pytest.approx(0.75 * decrease(whole))
    assert decrease(start) == 0.0
    assert decrease(3.0 * whole) < 0.0  # beyond the minimum by more than it was away


# ---- what goes back ----


class Stubborn(Scripted):
    """Goes to the same bad potential whatever it is told."""

    def __init__(self):
        super().__init__([])

    def update(self, potential, grid, ensembles):
        self.started_from.append(epsilon(potential))
        with torch.no_grad():
            potential.log_epsilon.fill_(math.log(BAD))
        return Update(1, 0.0)


def trainer(inputs, optimizer, replicas=None):  # noqa: F811
    return diffsim.Trainer(
        LennardJones(["A"], 1.8, epsilon=GOOD),
        [diffsim.System(inputs / "in.fluid", 1.0, [target()], name="fluid")],
        optimizer=optimizer,
        protocol=diffsim.Protocol(
            steps=PROTOCOL.steps, every=20, equilibration=100, relaxation=20, replicas=replicas
        ),
        start="potential",
    )


@pytest.mark.parametrize("replicas", [None, 2])
def test_atoms_weights_and_optimizer_go_back_with_a_step(inputs, monkeypatch, replicas):  # noqa: F811
    """From epsilon 1 to 3, which freezes the liquid; then half as far, from the liquid's atoms."""
    begun = []
    real = pieces.simulate

    def simulate(*arguments):
        begun.append(arguments[4])
        return real(*arguments)

    monkeypatch.setattr(pieces, "simulate", simulate)
    training = trainer(inputs, Scripted([BAD, BAD]), replicas)
    several = training.layout.replicas
    assert several == (replicas or 1)
    steps = training.steps(3)
    assert next(steps).accepted
    left = training._simulations.states
    assert len(left[0]) == several and None not in left[0]

    assert not next(steps).accepted
    assert training._simulations.states == left
    assert training.optimizer.started_from == pytest.approx([GOOD, GOOD])
    assert epsilon(training.potential) == pytest.approx(BAD**0.5)  # half as far, in logarithms
    (ensemble,) = training.ensembles
    assert len(ensemble) == 20 and ensemble.latest_piece == slice(0, 10)
    assert ensemble.latest_frames is training.latest[0] is not training.newest.frames[0]
    values = knot_values(LennardJones(["A"], 1.8, epsilon=GOOD), training.grid).detach().numpy()
    assert ensemble.latest_coefficients == pytest.approx(spline_coefficients(values), rel=1e-9)
    assert ensemble.latest().observables == pytest.approx(
        ensemble.observables[:10].mean(axis=0), rel=1e-12
    )
    # the pool knows both pieces, whichever is the latest
    own = ensemble.weighted(ensemble.latest_coefficients)
    assert own.sample_size > 9.0
    frozen = ensemble.weighted(training.newest.coefficients[0])
    assert frozen.weights[10:].sum() > 0.9

    next(steps)
    assert begun == [None] * several + left[0] * 2


def test_a_run_whose_every_step_is_bad_ends_with_the_first_weights(inputs):  # noqa: F811
    training = trainer(inputs, Stubborn())
    records = training.fit(5)
    assert [record.accepted for record in records] == [True, False, False, True, False]
    # after two steps that were undone the accepted potential is simulated again
    assert [record.optimizer["steps"] for record in records] == [1, 1, 0, 1, 1]
    assert training.optimizer.started_from == pytest.approx([GOOD] * 4)
    rises = [sum("loss rose" in event for event in record.events) for record in records]
    assert rises == [0, 1, 1, 0, 1]
    assert not any("unknown" in event for record in records for event in record.events)
    assert records[3].loss < 2 * records[0].loss < records[4].loss * 2
    assert epsilon(training.potential) == pytest.approx(GOOD)


def test_a_loss_that_rises_by_itself_is_the_loss_of_the_potential(inputs, monkeypatch):  # noqa: F811
    """Steps are no longer compared with the first measurement, but begin with its atoms."""
    monkeypatch.setattr(
        accepted, "loss_change", lambda ensembles, series: LossChange(0.1, 0.5, 0.4, 0.01, 0.0)
    )
    training = trainer(inputs, Scripted([]))
    steps = training.steps(4)
    next(steps)
    left, first = training._simulations.states, training._reached._series
    assert [next(steps).accepted for _ in range(3)] == [False, False, True]
    assert training._simulations.states == left
    assert training._reached._series is not first and training._reached.iteration == 4
    assert training.optimizer.share == 0.25


@pytest.mark.parametrize("rises", [False, True])
def test_a_loss_that_rises_within_a_piece_undoes_its_step(inputs, monkeypatch, rises):  # noqa: F811
    """As where a mixture begins to demix: its last frames are the best that will be of it."""
    pieces_so_far = []

    def settled(replicas):
        pieces_so_far.append(replicas)
        if len(pieces_so_far) != 2:
            return list(replicas), None
        first = part(replicas[0], slice(0, 4))
        return [part(replicas[0], slice(-4, None))], Drift(30.0, first)

    now = 0.4 if rises else 0.1
    change = LossChange(0.2, now, now - 0.2, 0.02, 0.0)
    monkeypatch.setattr(simulations, "settled", settled)
    monkeypatch.setattr(attempts, "change_within", lambda ensemble, before: change)
    monkeypatch.setattr(accepted, "loss_change", lambda *_: LossChange(0.3, 0.2, -0.1, 0.01, 0.0))
    training = trainer(inputs, Scripted([0.9, 0.8]))
    first, second = training.fit(2)
    assert first.accepted and second.accepted is not rises
    assert len(training.newest.frames[0]) == 4
    assert any("g(r) of its two halves differs by 5.5 times" in each for each in second.events)
    said = [each for each in second.events if "rose from 0.2 to 0.4 while it was" in each]
    assert len(said) == rises and all("that iteration 1 left" in each for each in said)


def test_the_loss_of_the_first_frames_is_theirs(inputs):  # noqa: F811
    training = trainer(inputs, Scripted([]))
    training.fit(1)
    (ensemble,), whole = training.ensembles, training.latest[0]
    first = part(whole, slice(0, 4))
    change = change_within(ensemble, first)
    assert change.before == pytest.approx(
        loss_with_error(ensemble, ensemble.observables[:4])[0], rel=1e-9
    )
    assert change.now == pytest.approx(loss_with_error(ensemble, ensemble.observables)[0])


def test_of_frames_that_drift_the_lowest_measured_loss_tells_the_best(inputs, monkeypatch):  # noqa: F811
    """Not the pool, in which later potentials look good; and what rose by itself does not count."""
    training = trainer(inputs, Scripted([0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6]))
    losses = [5.0, 4.0, 20.0, 20.0, 15.0, 15.5, 80.0, 80.0, 60.0]
    monkeypatch.setattr(accepted, "loss_change", measured_losses(training, losses))
    kept = []
    for record in training.steps(9):
        kept.append((record.accepted, epsilon(training.potential)))
    assert [each for each, _ in kept] == [True, True, False, False, True, True, False, False, True]
    assert epsilon(training.potential) == pytest.approx(0.9)  # that of iteration 2, measured twice


def test_the_best_is_the_accepted_one_where_frames_cannot_judge(inputs, monkeypatch):  # noqa: F811
    """As with many atoms: no weights but those that were simulated are returned."""
    training = trainer(inputs, Scripted([0.9, 0.8]))
    monkeypatch.setattr(training._reached, "_effective", lambda coefficients: None)
    training.fit(2)
    changes = training._reached
    assert changes.iteration in (1, 2)
    assert epsilon(training.potential) == pytest.approx([GOOD, 0.9][changes.iteration - 1])


def test_a_resumed_run_repeats_steps_that_were_undone(inputs, tmp_path, monkeypatch):  # noqa: F811
    """Stopped after the first and the second of two, and after the piece that repeats."""
    monkeypatch.setattr(run_module.optimizers, "create", lambda *_, **__: Stubborn())
    whole = train(inputs, tmp_path / "whole", iterations=6)
    parts = tmp_path / "parts"
    for number in (2, 3, 4, 6):
        train(inputs, parts, resume=number > 2, iterations=number)
    records = metrics(whole)
    assert [r["accepted"] for r in records] == [True, False, False, True, False, False]
    assert metrics(parts) == records
    one, other = (
        torch.load(folder / "checkpoint.pt", weights_only=False) for folder in (whole, parts)
    )
    assert one["states"] == other["states"] and str(one["back"]) == str(other["back"])
    assert (parts / "potential.table").read_bytes() == (whole / "potential.table").read_bytes()


def test_a_checkpoint_from_before_steps_were_undone(inputs, tmp_path, monkeypatch):  # noqa: F811
    out = train(inputs, tmp_path / "old", iterations=1)
    state = torch.load(out / "checkpoint.pt", weights_only=False)
    del state["accepted"]
    torch.save(state, out / "checkpoint.pt")
    with pytest.raises(InputError, match=r"another version.*no accepted.*model\.pt"):
        train(inputs, out, resume=True, iterations=2)


# ---- when residuals have stopped to fall ----


def standstill_of(squares, patience):
    """After updates whose residuals have these mean squares."""
    standstill = Standstill()
    for square in squares:
        standstill.watch(square, patience)
    return standstill.reached


@pytest.mark.parametrize("patience", [OF_KNOWN_ERRORS, OF_UNKNOWN_ERRORS])
def test_residuals_that_fall_are_not_at_a_standstill(patience):
    assert not standstill_of([8.0, 3.0, 1.0, 0.4], patience)


@pytest.mark.parametrize("squares", [[8.0, 11.0], [8.0, 5.0], [8.0, 3.0, 2.0]])
def test_one_step_that_went_too_far_is_no_misfit_of_known_errors(squares):
    assert not standstill_of(squares, OF_KNOWN_ERRORS)
    assert standstill_of(squares, OF_UNKNOWN_ERRORS)


def test_residuals_that_rose_once_and_fall_again_are_not_at_a_standstill():
    assert not standstill_of([8.0, 11.0, 1.3, 1.1, 0.4], OF_KNOWN_ERRORS)


def test_a_standstill_lasts():
    assert standstill_of([8.0, 7.0, 6.0], OF_KNOWN_ERRORS)
    assert standstill_of([8.0, 7.0, 6.0, 1.0, 0.1], OF_KNOWN_ERRORS)


def test_a_measured_curve_has_a_misfit_from_the_beginning():
    assert standstill_of([8.0], OF_EXPERIMENT)


def test_what_is_known_of_the_targets_decides():
    known, unknown, measured = (
        SimpleNamespace(of_experiment=experiment, errors_are_known=errors)
        for experiment, errors in ((False, True), (False, False), (True, True))
    )
    assert patience([known, known]) == OF_KNOWN_ERRORS
    assert patience([known, unknown]) == OF_UNKNOWN_ERRORS
    assert patience([known, measured]) == OF_EXPERIMENT


def test_a_standstill_survives_a_checkpoint():
    standstill = Standstill()
    standstill.watch(8.0, OF_KNOWN_ERRORS)
    standstill.watch(7.0, OF_KNOWN_ERRORS)
    other = Standstill()
    other.load_state_dict(standstill.state_dict())
    assert not other.reached
    other.watch(6.0, OF_KNOWN_ERRORS)
    assert other.reached


def test_a_checkpoint_from_before_there_were_replicas(inputs, tmp_path, monkeypatch):  # noqa: F811
    out = train(inputs, tmp_path / "old", iterations=1)
    state = torch.load(out / "checkpoint.pt", weights_only=False)
    state["states"] = [replicas[0] for replicas in state["states"]]
    torch.save(state, out / "checkpoint.pt")
    with pytest.raises(InputError, match=r"another version.*no replicas.*model\.pt"):
        train(inputs, out, resume=True, iterations=2)
