"""The most probable correction of a potential, and its prior, against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import null_space
from scipy.sparse import csr_array

from diffsim.knots import Grid
from diffsim.optimizers.correction import (
    AMPLITUDES,
    coordinates,
    gains,
    highest,
    most_probable_correction,
)
from diffsim.optimizers.correction_basis import (
    contact_distances,
    correction_basis,
    prior_magnitude,
)

# ---- the most probable correction ----

N_DATA, N_MODES, TRUE_AMPLITUDE = 60, 15, 0.01
KT = 1.3
UNBOUND = 1e9  # a step prior so wide that it says nothing


def covariance_like(rng, n, scale=0.02):
    """A covariance of errors of about `scale`, all of them correlated."""
    a = rng.normal(size=(n, 2 * n)) * scale
    return a @ a.T / (2 * n)


def linear_problem(rng, amplitude, n_data=N_DATA):
    """Response, covariance of the noise, true correction and a noisy residual."""
    response = rng.normal(size=(n_data, N_MODES)) * np.geomspace(3, 0.02, N_MODES)
    noise = covariance_like(rng, n_data)
    truth = np.sqrt(amplitude) * rng.normal(size=N_MODES)
    residual = response @ truth + rng.multivariate_normal(np.zeros(n_data), noise)
    return response, noise, truth, residual


def log_evidence(response, noise, residual, a):
    matrix = noise + a * response @ response.T
    _, determinant = np.linalg.slogdet(matrix)
    return -0.5 * residual @ np.linalg.solve(matrix, residual) - 0.5 * determinant


@pytest.mark.parametrize("n_data", [N_DATA, 8])
@pytest.mark.parametrize("trust", [1e-4, 0.05, 10.0])
def test_correction_is_the_most_probable_one(n_data, trust):
    """Normal equations of both priors and the data, which may be fewer than the modes."""
    rng = np.random.default_rng(1)
    response, noise, _, residual = linear_problem(rng, TRUE_AMPLITUDE, n_data)
    present = 0.2 * rng.normal(size=N_MODES)
    found = most_probable_correction(response, residual, noise, present, KT, trust)
    a = found.amplitude
    weighted = np.linalg.solve(noise, response)  # S^-1 M
    matrix = response.T @ weighted + (1 / a + 1 / trust) * np.eye(N_MODES)
    expected = np.linalg.solve(matrix, weighted.T @ residual + present / trust)
    assert found.total == pytest.approx(expected, rel=1e-4, abs=1e-6)
    # what the data do not tell stays, as far as the prior of all corrections lets it
    untold = null_space(response).T
    assert len(untold) == max(N_MODES - n_data, 0)
    assert untold @ found.total == pytest.approx(untold @ present * a / (a + trust), abs=1e-9)


def test_amplitude_has_the_largest_evidence():
    """Of all within the range that is tried; the evidence is relative to that of no correction."""
    rng = np.random.default_rng(5)
    for amplitude in (1e-4, 1e-2, 1.0):
        response, noise, _, residual = linear_problem(rng, amplitude)
        found = most_probable_correction(response, residual, noise, np.zeros(N_MODES), KT, 0.3)
        tried = np.geomspace(AMPLITUDES[0], AMPLITUDES[-1], 3001) * KT**2
        values = [log_evidence(response, noise, residual, a) for a in tried]
        assert found.amplitude == pytest.approx(tried[np.argmax(values)], rel=0.02)
        none = log_evidence(response, noise, residual, 0.0)
        assert found.evidence == pytest.approx(max(values) - none, rel=1e-3)


def test_gains_of_a_stiff_matrix_are_numbers():
    """Rounding of a response that is nearly exact leaves no negative eigenvalue."""
    rng = np.random.default_rng(12)
    root = 1e9 * rng.normal(size=(40, 12))
    pull = root @ rng.normal(size=12)
    found = gains(root @ root.T, pull, AMPLITUDES)
    assert np.isfinite(found).all()
    modest = 1e-9 * root
    gram, pull = modest @ modest.T, 3.0 * modest[:, 0]
    a = AMPLITUDES[30]
    matrix = np.eye(40) + a * gram
    expected = 0.5 * a * pull @ np.linalg.solve(matrix, pull) - 0.5 * np.linalg.slogdet(matrix)[1]
    assert gains(gram, pull, AMPLITUDES)[30] == pytest.approx(expected, rel=1e-9)


def test_the_highest_point_of_a_parabola():
    x = np.linspace(-2.0, 3.0, 11)
    assert highest(x, 4.0 - 3.0 * (x - 0.3) ** 2) == pytest.approx((0.3, 4.0))
    assert highest(x, x) == (3.0, 3.0) and highest(x, -x) == (-2.0, 2.0)
    assert highest(x, np.ones(11)) == (-2.0, 1.0)


def test_amplitude_does_not_depend_on_the_present_potential():
    """The data are those of the first potential, wherever the training is."""
    rng = np.random.default_rng(6)
    response, noise, _, residual = linear_problem(rng, TRUE_AMPLITUDE)
    here, there = (
        most_probable_correction(response, residual, noise, present, KT, trust)
        for present, trust in ((np.zeros(N_MODES), 0.3), (rng.normal(size=N_MODES), 1e-3))
    )
    assert (here.amplitude, here.evidence) == (there.amplitude, there.evidence)
    identity = np.eye(N_MODES)
    assert np.array_equal(
        here.standard_deviation(csr_array(identity), noise, here.amplitude),
        there.standard_deviation(csr_array(identity), noise, there.amplitude),
    )


def test_standard_deviation_is_that_of_the_posterior():
    """With the noise that the correction was solved with; the step's prior is not in it."""
    rng = np.random.default_rng(7)
    basis = rng.normal(size=(20, N_MODES))
    for n_data in (N_DATA, 8):
        response, noise, _, residual = linear_problem(rng, TRUE_AMPLITUDE, n_data)
        found = most_probable_correction(response, residual, noise, np.zeros(N_MODES), KT, 1e-3)
        precision = response.T @ np.linalg.solve(noise, response)
        precision += np.eye(N_MODES) / found.amplitude
        expected = np.sqrt(np.diag(basis @ np.linalg.solve(precision, basis.T)))
        assert found.standard_deviation(csr_array(basis), noise, found.amplitude) == pytest.approx(
            expected, rel=1e-4
        )


def test_standard_deviation_for_other_errors_than_those_solved_with():
    """The scatter of x about the truth, over 4000 draws of both with the covariance that is."""
    rng = np.random.default_rng(8)
    response, noise, _, residual = linear_problem(rng, TRUE_AMPLITUDE)
    other = covariance_like(rng, N_DATA, scale=0.05)
    found = most_probable_correction(response, residual, noise, np.zeros(N_MODES), KT, UNBOUND)
    assert found.total == pytest.approx(found.solution @ residual, rel=1e-6)

    draws = 4000
    truth = np.sqrt(found.amplitude) * rng.normal(size=(draws, N_MODES))
    errors = rng.multivariate_normal(np.zeros(N_DATA), other, size=draws)
    deviation = (truth @ response.T + errors) @ found.solution.T - truth
    scatter = np.mean(deviation**2, axis=0)
    identity = np.eye(N_MODES)
    # sqrt(2 / 4000) is the standard error of a ratio: 4.5 of it
    ratio = scatter / found.standard_deviation(csr_array(identity), other, found.amplitude) ** 2
    assert ratio == pytest.approx(np.ones(N_MODES), abs=0.1)
    # the covariance that was solved with claims too much of the modes that the data tell
    claimed = scatter / found.standard_deviation(csr_array(identity), noise, found.amplitude) ** 2
    assert claimed[:8].min() > 2.0


def test_correction_recovers_a_known_one():
    """Its errors are those that it claims, in modes and together, with the amplitude it finds."""
    rng = np.random.default_rng(2)
    chi, found, share, spread = [], [], [], []
    for _ in range(100):
        response, noise, truth, residual = linear_problem(rng, TRUE_AMPLITUDE)
        correction = most_probable_correction(
            response, residual, noise, np.zeros(N_MODES), KT, UNBOUND
        )
        x, a = correction.total, correction.amplitude
        claimed = correction.standard_deviation(
            csr_array(np.eye(N_MODES)), noise, correction.amplitude
        )
        spread.append(np.mean(((x - truth) / claimed) ** 2))
        precision = response.T @ np.linalg.solve(noise, response) + np.eye(N_MODES) / a
        chi.append((x - truth) @ precision @ (x - truth))
        found.append(a)
        well = slice(0, 8)  # the modes that the data determine
        share.append(np.linalg.norm((x - truth)[well]) / np.linalg.norm(truth[well]))
    assert np.mean(chi) == pytest.approx(N_MODES, rel=0.15)
    assert np.exp(np.mean(np.log(found))) == pytest.approx(TRUE_AMPLITUDE, rel=0.3)
    assert np.mean(share) < 0.1
    assert np.mean(spread) == pytest.approx(1.0, rel=0.1)


def test_no_correction_for_noise():
    rng = np.random.default_rng(3)
    zero = np.zeros(N_MODES)
    size, amplitude = [], []
    for _ in range(100):
        response, noise, _, _ = linear_problem(rng, TRUE_AMPLITUDE)
        residual = rng.multivariate_normal(np.zeros(N_DATA), noise)
        found = most_probable_correction(response, residual, noise, zero, KT, 0.3)
        size.append(np.linalg.norm(found.total))
        amplitude.append(found.amplitude)
        # a residual of zero asks for nothing
        nothing = most_probable_correction(response, 0 * residual, noise, zero, KT, 0.3)
        assert not nothing.total.any()
        assert nothing.amplitude == pytest.approx(AMPLITUDES[0] * KT**2)
        assert nothing.evidence < 0.0
    # against 0.39 for a correction of the true amplitude above
    typical = np.sqrt(N_MODES * TRUE_AMPLITUDE)
    assert np.median(amplitude) == pytest.approx(AMPLITUDES[0] * KT**2)
    # noise of unit variance becomes s / (s^2 + 1/a) of a mode, at most sqrt(a) / 2
    assert np.median(size) < 0.5 * np.sqrt(N_MODES * AMPLITUDES[0] * KT**2)
    assert np.quantile(size, 0.9) < 0.05 * typical


def test_a_step_stays_in_the_trust_region():
    """From the present potential, wherever it is; data that ask for more move it by what it has."""
    rng = np.random.default_rng(4)
    response, noise, truth, residual = linear_problem(rng, 1.0)
    present = rng.normal(size=N_MODES)
    full = np.linalg.norm(truth - present)
    steps = []
    for trust in (1e-12, 1e-8, 1e-6, 1e-4, 1e-2, UNBOUND):
        found = most_probable_correction(response, residual, noise, present, KT, trust)
        steps.append(np.linalg.norm(found.total - present) / full)
        # the price |step|^2 / t is never above what is gained
        gained = (residual - response @ present) @ np.linalg.solve(
            noise, residual - response @ present
        ) + present @ present / found.amplitude
        assert np.linalg.norm(found.total - present) ** 2 <= trust * gained
    assert steps[0] < 1e-4 and np.all(np.diff(steps) > 0)
    # without it the present potential does not matter, and the well known modes are the truth
    assert found.total == pytest.approx(found.solution @ residual, abs=1e-6)
    assert found.total[:8] == pytest.approx(truth[:8], rel=0.02, abs=0.02)


# ---- the prior ----

GRID = Grid(("A", "B"), "lj", 2.5, (0.8, 0.75, 0.85), 400)
CONTACT = (0.95, 0.9, 1.0)


def correlation_length(r, sigma, length):
    """`length` contact distances from 1.1 of them on, half of it inside of 1.0375."""
    return length * sigma * np.clip(1.0 - 8.0 * (1.1 - r / sigma), 0.5, 1.0)


def test_corrections_vanish_at_the_cutoff_and_are_smooth_beyond_contact():
    """The covariance exp(-x^2/2) of the integral x of 1 / l(r), known to be zero at the cutoff."""
    length = 0.12
    basis = correction_basis(GRID, CONTACT, np.ones((3, 400)), length).toarray()
    basis = basis.reshape(3, 400, -1)
    covariance = np.einsum("pkm,plm->pkl", basis, basis)
    for pair, sigma in enumerate(CONTACT):
        r = GRID.distances(pair)
        assert np.abs(basis[pair, -1]).max() < 1e-12
        chosen = np.arange(0, 400, 7)
        kinks = [1.0375 * sigma, 1.1 * sigma]
        x = np.array(
            [
                quad(lambda s: 1 / correlation_length(s, sigma, length), b, 2.5, points=kinks)[0]  # noqa: B023
                for b in r[chosen]
            ]
        )
        expected = np.exp(-0.5 * (x[:, None] - x) ** 2) - np.exp(-0.5 * (x[:, None] ** 2 + x**2))
        # the nodes of the process are half a correlation length apart
        assert np.abs(covariance[pair][np.ix_(chosen, chosen)] - expected).max() < 0.02
        # it is the same process everywhere beyond contact, and another inside
        reach = length * sigma
        near, far, inside = (int(np.argmin(np.abs(r - c * sigma))) for c in (1.15, 1.6, 0.9))
        correlations = []
        for k in (near, far, inside):
            m = int(np.argmin(np.abs(r - r[k] - 0.5 * reach)))
            correlations.append(covariance[pair, k, m] ** (1 / ((r[m] - r[k]) / reach) ** 2))
        assert correlations[0] == pytest.approx(np.exp(-0.5), abs=0.02)
        assert correlations[1] == pytest.approx(np.exp(-0.5), abs=0.02)
        assert correlations[2] == pytest.approx(np.exp(-2.0), abs=0.02)


def test_corrections_of_the_pairs_are_independent_and_follow_the_magnitude():
    magnitude = np.random.default_rng(1).uniform(1, 3, (3, 400))
    basis = correction_basis(GRID, CONTACT, magnitude, 0.15).toarray()
    plain = correction_basis(GRID, CONTACT, np.ones((3, 400)), 0.15).toarray()
    assert basis == pytest.approx(magnitude.ravel()[:, None] * plain, rel=1e-12)
    covariance = basis @ basis.T
    for p in range(3):
        for q in range(p):
            block = covariance[p * 400 : (p + 1) * 400, q * 400 : (q + 1) * 400]
            assert not block.any()


def test_contact_and_magnitude_of_the_prior():
    r = GRID.distances(0)
    values = np.array([4 * ((s / r) ** 12 - (s / r) ** 6) for s in (1.0, 0.95, 0.2)])
    # 4 (x^2 - x) = 1: x = (1 + sqrt 2) / 2; the last one has no wall on the grid
    expected = ((1 + np.sqrt(2)) / 2) ** (-1 / 6)
    found = contact_distances(Grid(("A", "B"), "lj", 2.5, (0.8, 0.8, 0.8), 400), values, 1.0)
    spacing = np.diff(r).max()
    assert found[0] == pytest.approx(expected, abs=spacing)
    assert found[1] == pytest.approx(0.95 * expected, abs=spacing)
    assert found[2] == 1.25
    magnitude = prior_magnitude(np.array([[-1.0, 0.0, 1.5, 6.0, 900.0]]), 2.0)
    assert magnitude[0] ** 4 == pytest.approx([1, 1, 1 + 0.75**2, 10, 901])


# ---- coordinates of a change that the potential has made ----


@pytest.fixture(scope="module")
def basis():
    return correction_basis(GRID, CONTACT, np.ones((3, 400)), 0.12).toarray()


def test_coordinates_minimise_what_they_say(basis):
    """Dense least squares of the two terms on top of each other; with unequal weights."""
    rng = np.random.default_rng(9)
    change = rng.normal(size=len(basis))
    weights = rng.uniform(0.0, 1.0, len(basis))
    e, m = 0.3, basis.shape[1]
    rows = np.sqrt(weights * m / weights.sum()) / e
    stacked = np.concatenate([rows[:, None] * basis, np.eye(m)])
    expected = np.linalg.lstsq(stacked, np.concatenate([rows * change, np.zeros(m)]))[0]
    assert coordinates(csr_array(basis), change, weights, e, 1.0) == pytest.approx(
        expected, rel=1e-6, abs=1e-9
    )


def test_coordinates_of_a_smooth_change_are_its_own(basis):
    """As well as the knots tell; what the weights leave out may be anything."""
    rng = np.random.default_rng(10)
    change = basis @ rng.normal(size=basis.shape[1])
    weights = np.ones(len(basis))
    weights[:40] = 0.0  # a wall
    broken = np.where(weights > 0.0, change, 1e6)
    found = basis @ coordinates(csr_array(basis), broken, weights, 1e-3, 1.0)
    assert found[weights > 0.0] == pytest.approx(change[weights > 0.0], abs=5e-3)
    assert np.sqrt(np.mean(change**2)) > 0.5


def test_a_rough_change_has_no_large_coordinates(basis):
    """Noise from knot to knot of the size e of the tolerance is not taken for a correction.

    With the weight w = m / (n e^2) of n knots, and s^2 of a coordinate in them, it becomes
    w s e / (w s^2 + 1), at most e sqrt(w) / 2 each.
    """
    rng = np.random.default_rng(11)
    e, (n, m) = 0.03, basis.shape
    change = e * rng.normal(size=n)
    found = coordinates(csr_array(basis), change, np.ones(n), e, 1.0)
    limit = m / (2 * np.sqrt(n))
    assert np.linalg.norm(found) < limit
    # without the second term the coordinates that hardly show would be large
    assert np.linalg.norm(np.linalg.lstsq(basis, change)[0]) > 1.5 * limit
    # m coordinates fit n numbers: the noise that passes is e sqrt(m / n), less for the second term
    passed = np.sqrt(np.mean((basis @ found) ** 2))
    assert passed < 1.1 * e * np.sqrt(m / n)
