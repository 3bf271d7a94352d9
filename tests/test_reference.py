"""References of the prior: what they are parametrised by, and which of them the evidence takes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from diffsim.knots import Grid, knot_values
from diffsim.optimizers.prior import Prior
from diffsim.optimizers.reference import (
    ATTRACTION,
    PRIOR,
    SPREAD,
    MieFamily,
    Reference,
    mie,
)
from diffsim.optimizers.solution import consistent, followed, most_evident, short_of
from diffsim.potentials import Mie

KT = 0.8
GRID = Grid(("A", "B"), "lj", 2.5, (0.85, 0.8, 0.9), 300)
CONTACT = np.array([0.97, 0.92, 1.01])


def test_a_mie_potential_is_that_of_the_learned_form():
    grid = Grid(("A",), "lj", 2.5, (0.85,), 300)
    model = Mie(["A"], 2.5, epsilon=1.3, sigma=1.02, n=14, m=6)
    expected = knot_values(model, grid).detach().numpy()[0]
    found = mie(grid.distances(0), np.array([1.3, 1.02, 14.0, 6.0]), 2.5)
    assert found == pytest.approx(expected, rel=1e-12)
    assert found[-1] == 0.0


def test_the_middle_of_the_prior_is_kt_at_contact():
    """Lennard-Jones of the depth kT, whose energy is kT where the first potential is kT."""
    values = MieFamily.of(GRID, KT, CONTACT).energies(1)[0]
    for pair, contact in enumerate(CONTACT):
        r = GRID.distances(pair)
        shift = mie(np.array([2.5]), np.array([KT, 1.0, 12.0, 6.0]), 1e9)[0]
        assert np.interp(contact, r, values[pair]) == pytest.approx(KT, abs=abs(shift) + 0.02)
        assert values[pair].min() == pytest.approx(-KT, abs=0.05)


def test_tangents_are_the_derivatives_and_centre_is_where_the_prior_is():
    """A step of one coordinate by kT is one standard deviation of its parameter."""
    family = MieFamily.of(GRID, KT, CONTACT).moved(KT * 0.3 * np.ones(9))
    assert family.theta == pytest.approx(PRIOR + 0.3 * SPREAD * np.ones((3, 1)))
    reference = family.reference(2)
    assert reference.values.shape == (2, 3, 300) and not reference.values[1].any()
    assert reference.centre == pytest.approx(np.full(9, -0.3 * KT))
    step, tangents = 1e-4 * KT, reference.tangents.toarray()
    for k in range(9):
        coordinates = step * np.eye(9)[k]
        change = reference.at(coordinates) - reference.at(-coordinates)
        expected = tangents[:, k] * 2 * step
        seen = np.abs(reference.values.ravel()) < 5 * KT
        assert change.ravel()[seen] == pytest.approx(expected[seen], rel=2e-2, abs=1e-6)
    # of its own pair only, and of the first part only
    assert not tangents[900:].any()
    assert not tangents[300:900, :3].any()


def test_parameters_stay_where_they_make_sense():
    family = MieFamily.of(GRID, KT, CONTACT).moved(np.full(9, 1e6))
    assert family.theta[:, 2].max() == 40.0 and np.isfinite(family.energies(1)).all()
    assert MieFamily.of(GRID, KT, CONTACT).moved(np.full(9, -1e6)).theta[:, 2].min() > ATTRACTION


def test_a_theory_may_be_wrong_along_smooth_functions_and_a_given_potential_not():
    start = MieFamily.of(GRID, KT, CONTACT).energies(1)
    prior = Prior.of(GRID, start, KT, 0.12, {"hnc": start[0] + 0.1, "given": start[0]})
    theory, given, family = prior.references()
    assert [each.name for each in (theory, given, family)] == ["hnc", "given", "mie"]
    assert given.tangents.shape[1] == 0 and np.array_equal(given.at(np.zeros(0)), given.values)
    # the standard deviation is half of kT everywhere but at the cutoff, where it is zero
    spread = KT * np.sqrt(theory.tangents.power(2).sum(axis=1)).reshape(3, 300)
    assert spread[:, 100] == pytest.approx(np.full(3, 0.5 * KT), rel=0.1)
    assert np.abs(spread[:, -1]).max() < 1e-9
    coordinates = np.ones(theory.tangents.shape[1])
    change = (theory.at(coordinates) - theory.values).ravel()
    assert change == pytest.approx(theory.tangents.sum(axis=1))


def test_a_reference_beyond_the_reach_of_the_response_is_not_chosen():
    """Whatever its evidence, as it is that of a linear response; unless there is no other."""

    def solution(name, change):
        reference = SimpleNamespace(name=name)
        return SimpleNamespace(reference=reference, change_seen=lambda values: change)

    near, far = solution("hnc", 0.3), solution("mie", 12.0)
    evidence = {"hnc": 100.0, "mie": 190.0}
    assert most_evident([near, far], evidence, np.zeros(1), 1.0, None) is near
    assert most_evident([near, far], evidence, np.zeros(1), 10.0, None) is far
    assert most_evident([far], evidence, np.zeros(1), 1.0, None) is far
    # the present one stays unless another is clearly better
    evidence = {"hnc": 100.0, "mie": 102.0}
    assert most_evident([near, far], evidence, np.zeros(1), 10.0, "hnc") is near


def test_what_a_theory_follows_of_the_noise_of_the_data():
    """A curve all of it, a network fitted to it some; one of few weights, or a potential
    that the user gave, none."""
    start = MieFamily.of(GRID, KT, CONTACT).energies(1)
    anchors = {"hnc": start[0] + 0.1, "pmf": start[0], "given": start[0] + 0.2}
    prior = Prior.of(GRID, start, KT, 0.12, anchors)
    assert [each.follows for each in prior.references()] == [1.0, 0.3, 0.0, 0.0]
    prior = Prior.of(GRID, start, KT, 0.12, {"pmf": start[0]}, few_weights=True)
    assert [each.follows for each in prior.references()] == [0.0, 0.0]


def test_evidence_of_residuals_that_followed_the_data():
    """What the mean of other data of the same system would lose, over many draws of the noise."""
    random = np.random.default_rng(3)
    expected = np.diag(np.linspace(0.5, 2.0, 30))
    data = 0.7 * np.exp(-0.5 * (np.subtract.outer(np.arange(30), np.arange(30)) / 2.0) ** 2)
    averages, noise, other = (
        random.multivariate_normal(np.zeros(30), each, size=20_000)
        for each in (expected, data, data)
    )
    inverse = np.linalg.inv(expected + data)

    def log_likelihood(y):
        return -0.5 * np.mean(np.sum((y @ inverse) * y, axis=1))

    # the potential has followed its own noise, and has it against other data
    gain = log_likelihood(averages) - log_likelihood(averages + noise - other)
    assert followed(expected, data) == pytest.approx(gain, rel=0.02)


def test_without_anchors_the_first_potential_is_one():
    start = MieFamily.of(GRID, KT, CONTACT).energies(1) + 0.05
    first, _ = Prior.of(GRID, start, KT, 0.12, None).references()
    assert isinstance(first, Reference) and first.name == "start"
    assert np.array_equal(first.values, start)


@pytest.mark.parametrize("power", [0.0, 0.4, 1.0, 2.5, 4.0])
def test_spreads_that_answer_to_themselves_are_found_in_few_steps(power):
    """Steps become smaller the larger the spreads are thought to be, at first slowly; each system's
    answer depends on the guesses of both."""

    def answer(x):
        both = 1.0 + 0.5 * x[0] / 20.0 + 0.5 * x[1] / 0.5
        return np.array([300.0, 0.02]) / both**power

    history = [(np.array([2.0, 0.1]), answer(np.array([2.0, 0.1])))]
    for _ in range(7):
        tried = consistent(history)
        history.append((tried, answer(tried)))
    assert answer(tried) == pytest.approx(tried, rel=5e-2)


def test_an_answer_that_jumps_is_closed_in_on():
    """Where the amplitude changes from one maximum to another no guess answers to itself."""

    def answer(x):
        return np.where(x < 7.0, 15.0 - 0.1 * x, 1e-4)

    history = [(np.array([1.5]), answer(np.array([1.5])))]
    for _ in range(20):
        tried = consistent(history)
        history.append((tried, answer(tried)))
    assert tried[0] == pytest.approx(7.0, rel=0.05)


def test_a_spread_of_nothing_is_no_reason_to_fail():
    one, none = np.array([1.0]), np.array([0.0])
    assert np.isfinite(consistent([(one, none)])).all()
    assert np.isfinite(consistent([(one, none), (0.1 * one, none)])).all()


# ---- short steps ----


def test_a_full_step_leaves_nothing_and_none_leaves_all():
    rng = np.random.default_rng(2)
    corrected, present, values = 20.0 * rng.normal(size=(3, 1, 40))
    assert np.array_equal(short_of(corrected, present, values, KT, 0.0), corrected)
    assert short_of(present, present, values, KT, 1.0) == pytest.approx(values)


@pytest.mark.parametrize("energy", [-1.0, 0.5, 2.0 * KT, 4.0 * KT])
def test_where_pairs_are_ripples_stay_and_all_of_a_step_is_taken(energy):
    corrected, present, values = energy + np.array([[0.3], [0.0], [0.1]])
    expected = values + (corrected - present) - 0.2 * 0.1
    assert short_of(corrected, present, values, KT, 0.8) == pytest.approx(expected, abs=0.01)


def test_a_wall_that_the_coordinates_miss_does_not_become_a_hole():
    """517 kT that the coordinates take for 1130, and the next wall is one of 271: not -254."""
    found = short_of(*np.array([[271.0], [1130.0], [517.0]]), 1.0, 0.86)
    assert found == pytest.approx([0.86 * 517.0 + 0.14 * 271.0], rel=1e-3)
