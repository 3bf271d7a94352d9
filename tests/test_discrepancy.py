"""What is taken for an error of the data, from residuals of which it is known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_array

from diffsim.optimizers.correction import log_evidence, most_probable_correction
from diffsim.optimizers.discrepancy import (
    SIZES,
    Alternatives,
    DataErrors,
    Discrepancy,
    Evidence,
    joint_errors,
    most_probable,
)

N = 120
R = np.linspace(0.9, 3.0, N)
SLOPE = 4.0 * np.cos(6.0 * R) * np.exp(-R)
LENGTH = 0.5
NOISE = 1e-3
DOUBT = 1.0


def errors(given=0.0, common=0.0, from_frames=True):
    """Errors of a curve and of one number behind it."""
    correlated = 0.5 * np.eye(N + 1) + 0.5
    return DataErrors.of(
        np.full(N + 1, given),
        np.append(np.full(N, common), 0.0)[:, None],
        correlated,
        np.full(N + 1, from_frames),
        np.append(np.zeros(N, dtype=int), -1),
        np.append(R, 0.0),
        np.append(SLOPE, 0.0),
        LENGTH,
    )


def found_in(residual, noise=NOISE, doubt=DOUBT):
    data = errors()
    base = noise**2 * np.eye(N + 1)
    return most_probable(
        Discrepancy(),
        Evidence(residual, base, data),
        doubt,
        2,
    )


def test_the_covariance_is_that_of_the_formula():
    data = errors(given=0.01, common=0.002, from_frames=False)
    found = Discrepancy(rough=0.003, place=0.004, smooth=0.005, of_frames=False)
    covariance = data.covariance(found)
    i, j = 10, 17
    apart = (R[i] - R[j]) / LENGTH
    assert covariance[i, j] == pytest.approx(0.002**2 + 0.005**2 * np.exp(-0.5 * apart**2))
    assert covariance[i, i] == pytest.approx(
        0.002**2 + 0.01**2 + 0.003**2 + (0.004 * 2 * LENGTH * SLOPE[i]) ** 2 + 0.005**2
    )
    # a number is what it is said to be
    assert covariance[N, N] == pytest.approx(0.01**2)
    assert not covariance[N, :N].any()
    # with the correlations of frames
    with_frames = data.covariance(Discrepancy())
    assert with_frames[i, j] == pytest.approx(0.002**2 + 0.5 * 0.01**2)
    # which a curve that is known to be from a simulation has in any case
    known = errors(given=0.01).covariance(Discrepancy(of_frames=False))
    assert known[i, j] == pytest.approx(0.5 * 0.01**2)
    scale = np.linspace(0.5, 2.0, N + 1)
    assert data.scaled(scale).covariance(found) == pytest.approx(
        covariance * np.outer(scale, scale)
    )
    both = joint_errors([data, data]).covariance(found)
    assert np.array_equal(both[: N + 1, : N + 1], covariance)
    assert not both[: N + 1, N + 1 :].any()


def test_nothing_is_found_where_there_is_noise_only():
    rng = np.random.default_rng(1)
    nothing = [found_in(NOISE * rng.normal(size=N + 1)) for _ in range(20)]
    assert sum(each == Discrepancy() for each in nothing) >= 15
    assert max(max(each.rough, each.place, each.smooth) for each in nothing) < 1.5 * NOISE


@pytest.mark.parametrize("part", ["rough", "place", "smooth"])
def test_each_part_is_found_for_what_it_is(part):
    """In size within the step of the sizes that are tried, or two."""
    rng = np.random.default_rng(2)
    size = 0.01
    made = errors().covariance(Discrepancy(**{part: size}))
    sizes, others = [], []
    for _ in range(10):
        residual = rng.multivariate_normal(np.zeros(N + 1), made + NOISE**2 * np.eye(N + 1))
        found = found_in(residual)
        sizes.append(getattr(found, part))
        others += [getattr(found, other) for other in {"rough", "place", "smooth"} - {part}]
    assert np.median(sizes) == pytest.approx(size, rel=0.5)
    assert np.median(others) == 0.0


def test_rough_parts_are_at_least_those_of_another():
    small, large = Discrepancy(0.01, 0.0, 0.3, False), Discrepancy(0.004, 0.02, 0.5)
    assert small.at_least(large) == Discrepancy(0.01, 0.02, 0.3, False)
    assert small.at_least(Discrepancy()) == small


def test_known_errors_are_doubted_less_easily():
    """What a discrepancy explains by some e-folds is noise, if the errors are known."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(30):
        residual = 1.25 * NOISE * rng.normal(size=N + 1)
        found.append((found_in(residual).rough, found_in(residual, doubt=5.0).rough))
    unknown, known = np.array(found).T
    assert np.sum(known > 0) < np.sum(unknown > 0)


@pytest.mark.parametrize("name", ["rough", "smooth"])
def test_the_evidence_of_all_sizes_is_that_of_each(name):
    """Those of a smooth part come from one factorisation, of the few columns that it needs."""
    data = errors(given=2e-3)
    residual = np.random.default_rng(3).normal(size=N + 1) * 5e-3
    base = NOISE**2 * np.eye(N + 1)
    found = Discrepancy(rough=0.002, place=0.001)
    expected = [
        log_evidence(residual, base + data.covariance(found.with_size(name, float(size))))
        for size in SIZES
    ]
    assert Evidence(residual, base, data).of_sizes(found, name) == pytest.approx(expected, abs=1e-3)
    assert data.root.shape[1] < N // 2
    assert data.root @ data.root.T == pytest.approx(data.smooth, abs=1e-12)


def test_a_common_cause_of_deviations_is_found_with_its_error():
    """A factor of 0.03 of a curve; 200 draws of the noise and of the prior's correction."""
    rng = np.random.default_rng(9)
    curve = np.append(1.0 + 0.3 * np.cos(6.0 * R), 0.0)
    data = replace(errors(), of_frames=0.05**2 * np.outer(curve, curve))
    modes = np.array([np.exp(-R) * np.cos(k * R) for k in (5, 7, 9)])
    expected = NOISE**2 * np.eye(N + 1)
    expected[:N, :N] += 0.01 * modes.T @ modes
    evidence = partial(Evidence, expected=expected, data=data)
    ratios = []
    for _ in range(200):
        factor = 0.05 * rng.normal()
        deviation = factor * curve + rng.multivariate_normal(np.zeros(N + 1), expected)
        found, error = evidence(deviation).causes(Discrepancy(), 0.05 * curve[:, None])
        ratios.append((0.05 * found[0] - factor) / (0.05 * error[0]))
        assert 0.05 * error[0] < 1e-3
    assert np.sqrt(np.mean(np.square(ratios))) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("name", ["rough", "place", "smooth"])
def test_the_highest_evidence_is_found_without_trying_all_sizes(name):
    data, rng = errors(given=2e-3), np.random.default_rng(8)
    fewer = 0
    for size in (0.0, 5e-4, 3e-3, 2e-2):
        covariance = NOISE**2 * np.eye(N + 1) + data.covariance(Discrepancy().with_size(name, size))
        residual = rng.multivariate_normal(np.zeros(N + 1), covariance)
        evidence = Evidence(residual, NOISE**2 * np.eye(N + 1), data)
        every = evidence.of_sizes(Discrepancy(), name)
        found = evidence.about_highest(Discrepancy(), name)
        assert max(found.values()) == pytest.approx(every.max(), abs=1e-3)
        assert found[0] == pytest.approx(every[0], abs=1e-3)
        fewer += len(SIZES) - len(found)
    assert fewer >= 20 or name == "smooth"


def correction_problem(rng, smooth):
    """Residuals of a correction of four modes, with a smooth misfit or without."""
    modes = np.array([np.exp(-R) * np.cos(k * R) for k in (5, 7, 9, 11)]).T
    response = np.concatenate([modes, np.zeros((1, 4))])
    truth = 0.1 * rng.normal(size=4)
    covariance = errors().covariance(Discrepancy(smooth=smooth)) + NOISE**2 * np.eye(N + 1)
    residual = response @ truth + rng.multivariate_normal(np.zeros(N + 1), covariance)
    return response, truth, residual


@pytest.mark.parametrize("smooth", [0.0, 0.01])
def test_alternatives_claim_what_they_are_wrong_by(smooth):
    """Over 60 draws; corrections and claims are means over what the residuals do not tell apart."""
    rng = np.random.default_rng(4)
    data, ratios = errors(), []
    for _ in range(60):
        response, truth, residual = correction_problem(rng, smooth)

        def solve(each, response=response, residual=residual):
            noise = NOISE**2 * np.eye(N + 1) + data.covariance(each)
            return most_probable_correction(response, residual, noise, np.zeros(4), 1.0, 1e9)

        prior = NOISE**2 * np.eye(N + 1) + 0.01 * response @ response.T
        evidence = Evidence(residual, prior, data)
        best = most_probable(Discrepancy(), evidence, DOUBT, 1)
        alternatives = Alternatives.of(best, evidence, solve, DOUBT, True)
        assert alternatives.weights.sum() == pytest.approx(1.0)
        assert alternatives.discrepancy.smooth in SIZES

        def noise_of(each):
            return NOISE**2 * np.eye(N + 1) + data.covariance(each)

        claimed = alternatives.standard_deviation(csr_array(np.eye(4)), noise_of, 0.01)
        ratios.append((alternatives.total - truth) / claimed)
    assert np.sqrt(np.mean(np.array(ratios) ** 2)) == pytest.approx(1.0, abs=0.3)
