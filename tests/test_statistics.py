"""Statistics of frames: autocorrelation, pooling of potentials, and the response of g(r)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dst
from scipy.signal import lfilter
from scipy.special import logsumexp
from scipy.stats import invwishart

from diffsim.errors import InputError, SimulationError
from diffsim.response.fluctuations import (
    posterior_covariance,
    theoretical_covariance,
    with_variances_of_modes,
)
from diffsim.statistics.reweighting import (
    average_gradient,
    covariance,
    effective_sample_size,
    energies,
    log_weights,
    mbar,
)
from diffsim.statistics.time_series import standard_error, statistical_inefficiency
from diffsim.theory.integral_equation import TAPER, hnc_response

# ---- autocorrelation ----


def autoregressive(a: float, n: int, columns: int, seed: int = 1):
    """Stationary x_t = a x_(t-1) + noise of unit variance: rho(t) = a^t; shape (n, columns)."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, columns)) * np.sqrt(1 - a**2)
    noise[0] /= np.sqrt(1 - a**2)
    return lfilter([1.0], [1.0, -a], noise, axis=0)


@pytest.mark.parametrize("a", [0.3, 0.7, 0.9])
def test_inefficiency_of_an_autoregressive_series(a):
    exact = (1 + a) / (1 - a)
    n, columns = 40_000, 24
    found = statistical_inefficiency(autoregressive(a, n, columns))
    assert found.shape == (columns,)
    # Sokal: var(s) = 2 (2 M + 1) / n s^2 with the window M = 5 s
    error = exact * np.sqrt(2 * (10 * exact + 1) / n)
    assert error < 0.12 * exact
    assert np.all(np.abs(found - exact) < 4.5 * error)
    assert abs(found.mean() - exact) < 4 * error / np.sqrt(columns) + 0.01 * exact


def test_inefficiency_of_white_noise_is_one():
    found = statistical_inefficiency(np.random.default_rng(2).normal(size=(20_000, 30)))
    assert np.all(found < 1.15)
    assert found.mean() == pytest.approx(1.0, abs=0.03)


def test_inefficiency_is_never_below_one():
    # x_t = -0.6 x_(t-1) + noise has the exact value 0.25
    found = statistical_inefficiency(autoregressive(-0.6, 5000, 10))
    assert np.array_equal(found, np.ones(10))
    rng = np.random.default_rng(3)
    for n in (2, 3, 5, 10, 40):
        assert np.all(statistical_inefficiency(rng.normal(size=(n, 200))) >= 1.0)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7e9, 1e-300])
def test_inefficiency_of_a_constant_is_one_and_its_error_zero(value):
    series = np.stack([np.full(300, value), np.arange(300.0)], axis=1)
    found = statistical_inefficiency(series)
    assert found[0] == 1.0 and found[1] > 40
    assert standard_error(series)[0] == pytest.approx(0.0, abs=1e-12 * abs(value))


def test_inefficiency_of_each_column_is_its_own():
    series = np.stack([autoregressive(a, 3000, 2, seed=5) for a in (0.0, 0.8, 0.95)], axis=2)
    found = statistical_inefficiency(series)
    assert found.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        assert found[i, j] == pytest.approx(float(statistical_inefficiency(series[:, i, j])))
    # neither the unit nor the zero of the quantity matters
    assert statistical_inefficiency(1e6 - 40 * series) == pytest.approx(found, rel=1e-6)


def test_inefficiency_needs_two_frames():
    with pytest.raises(InputError, match="at least 2 frames"):
        statistical_inefficiency(np.zeros((1, 3)))


@pytest.mark.parametrize("a", [0.0, 0.6, 0.9])
def test_standard_error_is_the_spread_of_the_mean(a):
    n, columns = 4000, 400
    series = autoregressive(a, n, columns, seed=7)
    # Var(mean) = (1/n) sum_t (1 - |t|/n) a^|t|
    exact = np.sqrt(((1 + a) / (1 - a) - 2 * a * (1 - a**n) / (n * (1 - a) ** 2)) / n)
    found = standard_error(series)
    assert found.shape == (columns,)
    assert np.sqrt(np.mean(found**2)) == pytest.approx(exact, rel=0.03)
    # the true means are zero: the errors are neither too small nor too large for the deviations
    assert np.mean((series.mean(axis=0) / found) ** 2) == pytest.approx(1.0, abs=0.3)


# ---- weights ----


def test_weights_are_boltzmann_factors():
    change = np.array([0.0, 0.5, -1.0, 2.0])
    expected = np.exp(-change) / np.exp(-change).sum()
    assert np.exp(log_weights(change)) == pytest.approx(expected, rel=1e-14)
    # a constant is no change, however large
    assert np.exp(log_weights(change + 1e6)) == pytest.approx(expected, rel=1e-9)
    assert np.exp(log_weights(change - 1e6)) == pytest.approx(expected, rel=1e-9)
    # where an exponential would underflow, the lowest energy has all the weight
    far = log_weights(np.array([1e5, 3e5, 2e5]))
    assert np.array_equal(np.exp(far), [1.0, 0.0, 0.0]) and np.all(np.isfinite(far))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_of_energies_that_are_not_finite(bad):
    with pytest.raises(SimulationError, match="not finite"):
        log_weights(np.array([0.0, bad, 1.0]))
    with pytest.raises(SimulationError, match="not finite"):
        mbar(np.array([[0.0, 1.0, bad]]), np.array([3.0]))


def test_effective_sample_size():
    assert effective_sample_size(log_weights(np.full(50, 3.0))) == pytest.approx(50, rel=1e-12)
    assert effective_sample_size(log_weights(np.array([0.0, 0.0, 1e4]))) == pytest.approx(2)
    assert effective_sample_size(log_weights(np.array([0.0, 900.0]))) == pytest.approx(1)
    # 1 / (0.5^2 + 0.3^2 + 0.2^2)
    assert effective_sample_size(np.log([0.5, 0.3, 0.2])) == pytest.approx(1 / 0.38, rel=1e-14)


def test_energies_covariance_and_gradient_of_plain_arrays():
    counts = np.array([[[1.0, 0.0, 2.0]], [[0.0, 3.0, 1.0]]])
    assert energies(counts, np.array([[2.0, -1.0, 0.5]])) == pytest.approx([3.0, -2.5])
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 200, 3))
    w = np.full(200, 1 / 200)
    expected = np.cov(x.T, y.T, bias=True)[:3, 3:]
    assert covariance(w, x, y) == pytest.approx(expected, abs=1e-14)
    gradient = average_gradient(0.4, w, x, y[:, 0])
    assert gradient == pytest.approx(-0.4 * expected[:, 0], abs=1e-14)


# ---- pooling of potentials ----

STIFFNESS = np.array([1.0, 2.0, 5.0])
CENTRE = np.array([0.0, 0.4, 0.3])
OFFSET = np.array([0.0, 3.0, -2.0])
N_FRAMES = np.array([300.0, 500.0, 200.0])


def harmonic(x, stiffness, centre=0.0, offset=0.0):
    """Reduced energy k (x - x0)^2 / 2 + constant; its free energy is ln(k) / 2 + constant."""
    return 0.5 * stiffness * (x - centre) ** 2 + offset


def oscillators(seed: int):
    """Exact samples of three oscillators: positions, and energies of all in all (3, N)."""
    rng = np.random.default_rng(seed)
    x = np.concatenate(
        [
            rng.normal(c, 1 / np.sqrt(k), int(n))
            for k, c, n in zip(STIFFNESS, CENTRE, N_FRAMES, strict=True)
        ]
    )
    return x, harmonic(x, STIFFNESS[:, None], CENTRE[:, None], OFFSET[:, None])


def test_mbar_gives_the_free_energies_of_oscillators():
    exact = 0.5 * np.log(STIFFNESS) + OFFSET
    found = np.array([mbar(oscillators(seed)[1], N_FRAMES)[0] for seed in range(60)])
    assert np.all(found[:, 0] == 0.0)
    spread = found.std(axis=0, ddof=1)[1:]
    assert np.all(spread < 0.08)
    deviation = found.mean(axis=0)[1:] - exact[1:]
    assert np.all(np.abs(deviation) < 4 * spread / np.sqrt(60))


def test_mbar_solves_its_equations():
    _, reduced = oscillators(1)
    f, log_mixture = mbar(reduced, N_FRAMES)
    assert f == pytest.approx(-logsumexp(-reduced - log_mixture, axis=1), abs=1e-8)
    assert log_mixture == pytest.approx(
        logsumexp(np.log(N_FRAMES)[:, None] + f[:, None] - reduced, axis=0), abs=1e-8
    )


def test_mbar_weights_to_another_potential():
    k, centre = 3.0, 0.2  # not one of the sampled ones
    averages = []
    for seed in range(60):
        x, reduced = oscillators(seed)
        _, log_mixture = mbar(reduced, N_FRAMES)
        w = np.exp(log_weights(harmonic(x, k, centre) + log_mixture))
        averages.append([w @ x, w @ (x - centre) ** 2])
    mean, spread = np.mean(averages, axis=0), np.std(averages, axis=0, ddof=1)
    assert np.all(spread < 0.05)
    assert np.all(np.abs(mean - [centre, 1 / k]) < 4 * spread / np.sqrt(60))
    # as good as about as many frames of that potential itself
    assert spread[0] < 1.6 * np.sqrt(1 / k / N_FRAMES.sum())


def test_mbar_of_one_potential_is_plain_reweighting():
    x = np.random.default_rng(4).normal(size=400)
    f, log_mixture = mbar(harmonic(x, 1.0)[None, :], np.array([400.0]))
    assert f == pytest.approx([0.0], abs=1e-12)
    pooled = log_weights(harmonic(x, 2.0) + log_mixture)
    assert pooled == pytest.approx(log_weights(harmonic(x, 2.0) - harmonic(x, 1.0)), abs=1e-10)


def test_mbar_of_twice_the_same_potential_is_one_sample():
    x = np.random.default_rng(4).normal(size=400)
    u = harmonic(x, 1.0)
    f, log_mixture = mbar(np.array([u, u]), np.array([150.0, 250.0]))
    assert f == pytest.approx([0.0, 0.0], abs=1e-10)
    assert np.exp(log_weights(u + log_mixture)) == pytest.approx(np.full(400, 1 / 400), rel=1e-9)


def test_mbar_with_huge_energies():
    x, reduced = oscillators(2)
    target = harmonic(x, 3.0)
    f, log_mixture = mbar(reduced, N_FRAMES)
    weights = np.exp(log_weights(target + log_mixture))
    # of a potential: its free energy changes, no weight does
    shift = np.array([1e6, -1e6, 3e6])
    f_shifted, mixture_shifted = mbar(reduced + shift[:, None], N_FRAMES)
    assert f_shifted - f == pytest.approx(shift - shift[0], rel=1e-12, abs=1e-8)
    assert np.exp(log_weights(target + mixture_shifted)) == pytest.approx(weights, rel=1e-7)
    # of a frame, in all potentials alike (what the learned potential does not change)
    common = 1e6 * np.random.default_rng(5).normal(size=len(x))
    f_common, mixture_common = mbar(reduced + common, N_FRAMES)
    assert f_common == pytest.approx(f, abs=1e-7)
    assert np.exp(log_weights(target + common + mixture_common)) == pytest.approx(weights, rel=1e-7)


@pytest.mark.parametrize("gap", [50.0, 1e3, 1e6])
def test_mbar_of_potentials_that_have_nothing_in_common(gap):
    """Frames of one potential have no weight in the other, and nothing fails."""
    rng = np.random.default_rng(6)
    n = np.array([40.0, 60.0])
    reduced = rng.normal(size=(2, 100))
    reduced[0, 40:] += gap
    reduced[1, :40] += gap
    f, log_mixture = mbar(reduced, n)
    assert np.all(np.isfinite(f)) and np.all(np.isfinite(log_mixture))
    first = np.exp(log_weights(reduced[0] + log_mixture))
    second = np.exp(log_weights(reduced[1] + log_mixture))
    assert first == pytest.approx(np.where(np.arange(100) < 40, 1 / 40, 0), abs=1e-9)
    assert second == pytest.approx(np.where(np.arange(100) < 40, 0, 1 / 60), abs=1e-9)


@pytest.mark.parametrize("stiffness", [100.0, 1e4])
def test_mbar_of_a_much_harder_potential(stiffness):
    """Most old frames are 1e3 kT up in the new potential, a few are typical of it."""
    rng = np.random.default_rng(2)
    n = np.array([100.0, 100.0])
    k = np.array([1.0, stiffness])
    x = np.concatenate([rng.normal(size=100) / np.sqrt(each) for each in k])
    reduced = harmonic(x, k[:, None])
    f, log_mixture = mbar(reduced, n)
    assert f == pytest.approx(-logsumexp(-reduced - log_mixture, axis=1), abs=1e-6)
    # the frames of the soft potential alone tell its average
    weights = np.exp(log_weights(reduced[0] + log_mixture))
    assert weights @ x**2 == pytest.approx(np.mean(x[:100] ** 2), rel=0.05)


# ---- response of g(r) in the hypernetted chain approximation ----

WIDTH = 0.05
DENSITY, TEMPERATURE = 0.3, 2.0
SOLVED = 1024  # bins of the solution, far beyond the range of all correlations
KNOWN = 160  # bins that the response is given: to r = 8


def lennard_jones(r):
    return np.where(r < 2.5, 4 * (r**-12.0 - r**-6.0) - 4 * (2.5**-12.0 - 2.5**-6.0), 0.0)


def solve_hnc(beta_u, density):
    """g(r) at the centres of bins by Picard iteration of closure and Ornstein-Zernike equation."""
    r = (np.arange(len(beta_u)) + 0.5) * WIDTH
    k = (np.arange(len(beta_u)) + 0.5) * np.pi / (len(beta_u) * WIDTH)
    gamma = np.zeros_like(r)
    for _ in range(2000):
        c = np.exp(-beta_u + gamma) - 1 - gamma
        c_k = 2 * np.pi * WIDTH / k * dst(r * c, type=4)
        gamma_k = density * c_k**2 / (1 - density * c_k)
        dk = np.pi / (len(r) * WIDTH)
        new = dk / (4 * np.pi**2) / r * dst(k * gamma_k, type=4)
        change = np.abs(new - gamma).max()
        gamma = 0.5 * (gamma + new)
        if change < 1e-13:
            return np.exp(-beta_u + gamma)
    raise AssertionError("the Picard iteration did not converge")


R = (np.arange(SOLVED) + 0.5) * WIDTH
BETA_U = np.minimum(lennard_jones(R) / TEMPERATURE, 500.0)
CHANGES = {
    "core": np.exp(-0.5 * ((R - 1.0) / 0.1) ** 2),
    "well": np.exp(-0.5 * ((R - 1.4) / 0.2) ** 2),
    "tail": np.where(R < 2.5, (1 - (R / 2.5) ** 2) ** 2, 0.0),
}


@pytest.fixture(scope="module")
def liquid():
    """g(r) of Lennard-Jones, and its derivative along CHANGES by central differences."""
    step = 1e-3
    differences = {
        name: (
            solve_hnc(BETA_U + step * change, DENSITY) - solve_hnc(BETA_U - step * change, DENSITY)
        )
        / (2 * step)
        for name, change in CHANGES.items()
    }
    return solve_hnc(BETA_U, DENSITY), differences


def test_the_solution_of_the_test_is_a_fluid(liquid):
    g, _ = liquid
    assert g[:15].max() < 1e-3 and 1.5 < g.max() < 2.2  # r < 0.75, first peak
    assert np.abs(g[KNOWN:] - 1).max() < 1e-3


@pytest.mark.parametrize("name", CHANGES)
def test_response_is_the_finite_difference_of_a_solution(liquid, name):
    g, differences = liquid
    response = hnc_response(
        WIDTH, g[None, :KNOWN], np.array([DENSITY]), CHANGES[name][None, :KNOWN, None]
    )[0, :, 0]
    untouched = R[:KNOWN] < TAPER * R[KNOWN - 1]
    difference = differences[name][:KNOWN]
    largest = np.abs(difference).max()
    assert largest > 0.3
    assert np.abs(response - difference)[untouched].max() < 0.01 * largest
    # the many-body part alone, apart from -g beta du
    direct = -g[:KNOWN] * CHANGES[name][:KNOWN]
    indirect = np.abs(difference - direct)[untouched]
    assert indirect.max() > 0.1 * largest
    assert np.abs(response - difference)[untouched].max() < 0.04 * indirect.max()


def test_response_of_a_dilute_gas(liquid):
    g = np.exp(-BETA_U[:KNOWN])[None, :]
    change = CHANGES["well"][None, :KNOWN, None]
    for density, tolerance in ((1e-9, 1e-7), (1e-3, 2e-2)):
        response = hnc_response(WIDTH, g, np.array([density]), change)
        assert response == pytest.approx(-g[:, :, None] * change, abs=tolerance)
    # the deviation is of first order in the density: the gas is not treated as ideal throughout
    deviation = [
        np.abs(hnc_response(WIDTH, g, np.array([d]), change) + g[:, :, None] * change).max()
        for d in (1e-4, 2e-4)
    ]
    assert deviation[1] / deviation[0] == pytest.approx(2.0, rel=0.02)


def test_response_of_an_ideal_gas_at_any_density():
    change = CHANGES["well"][None, :KNOWN, None]
    response = hnc_response(WIDTH, np.ones((1, KNOWN)), np.array([0.8]), change)
    assert response == pytest.approx(-change, abs=1e-12)


def test_response_is_linear(liquid):
    g = liquid[0][None, :KNOWN]
    changes = np.stack([CHANGES[name][:KNOWN] for name in CHANGES], axis=1)[None]
    response = hnc_response(WIDTH, g, np.array([DENSITY]), changes)
    assert response.shape == (1, KNOWN, 3)
    factors = np.array([0.3, -2.0, 11.0])
    together = hnc_response(WIDTH, g, np.array([DENSITY]), (changes @ factors)[..., None])
    assert together[..., 0] == pytest.approx(response @ factors, abs=1e-11)


def test_response_of_identical_particles_under_two_names(liquid):
    g = liquid[0][None, :KNOWN]
    change = CHANGES["tail"][None, :KNOWN, None]
    alone = hnc_response(WIDTH, g, np.array([DENSITY]), change)
    mixture = hnc_response(
        WIDTH, np.repeat(g, 3, axis=0), np.array([0.1, 0.2]), np.repeat(change, 3, axis=0)
    )
    for pair in range(3):
        assert mixture[pair] == pytest.approx(alone[0], abs=1e-10)


def test_response_of_a_tagged_particle(liquid):
    """At vanishing concentration of B, changes of its potentials do not reach A-A."""
    g = liquid[0][None, :KNOWN]
    change = np.zeros((3, KNOWN, 1))
    change[1, :, 0] = change[2, :, 0] = CHANGES["well"][:KNOWN]
    response = hnc_response(WIDTH, np.repeat(g, 3, axis=0), np.array([DENSITY, 1e-10]), change)
    assert np.abs(response[0]).max() < 1e-8
    # A-B responds directly and through A around B
    assert np.abs(response[1]).max() > 0.5
    assert np.abs(response[1] + g[0][:, None] * change[1]).max() > 0.02


def test_response_of_a_mixture_is_symmetric(liquid):
    """d<n_a>/du_b = -beta Cov(n_a, n_b) = d<n_b>/du_a for the numbers n of pairs, any species."""
    g = np.array([liquid[0][:KNOWN], np.roll(liquid[0], 2)[:KNOWN], np.roll(liquid[0], 5)[:KNOWN]])
    density = np.array([0.1, 0.15])
    size = 3 * KNOWN
    response = hnc_response(WIDTH, g, density, np.eye(size).reshape(3, KNOWN, size))
    r = R[:KNOWN]
    pairs = np.array([0.5 * density[0] ** 2, density[0] * density[1], 0.5 * density[1] ** 2])
    numbers = (pairs[:, None] * 4 * np.pi * r**2 * WIDTH).ravel()
    matrix = numbers[:, None] * response.reshape(size, size)
    # the factor of two between like and unlike pairs is in it: A-A on A-B and the other way round
    block = np.abs(matrix[:KNOWN, KNOWN : 2 * KNOWN]).max()
    assert block > 1e-3 * np.abs(matrix).max()
    assert np.abs(matrix - matrix.T).max() < 1e-9 * np.abs(matrix).max()
    assert np.abs((matrix - matrix.T)[:KNOWN, KNOWN : 2 * KNOWN]).max() < 1e-9 * block


# ---- covariance of g(r) ----


def test_theory_gives_shot_noise_for_an_ideal_gas():
    counts_per_g = 50 * R[None, :40] ** 2
    kept = np.arange(5, 40)
    found = theoretical_covariance(WIDTH, np.ones((1, 40)), np.array([0.7]), counts_per_g, kept)
    assert found == pytest.approx(np.diag(1 / counts_per_g[0, kept]), abs=1e-12)


def test_theory_gives_a_covariance(liquid):
    counts_per_g = 50 * R[None, :KNOWN] ** 2
    kept = np.arange(17, 50)
    found = theoretical_covariance(
        WIDTH, liquid[0][None, :KNOWN], np.array([DENSITY]), counts_per_g, kept
    )
    assert found == pytest.approx(found.T, abs=1e-15 * found.max())
    assert np.linalg.eigvalsh(found).min() > 0
    unit = np.zeros((1, KNOWN, 1))
    unit[0, 25] = 1.0
    response = hnc_response(WIDTH, liquid[0][None, :KNOWN], np.array([DENSITY]), unit)
    expected = -response[0, kept, 0] / counts_per_g[0, 25]
    assert found[:, 25 - 17] == pytest.approx(expected, abs=1e-6 * found.max())


def random_covariance(p: int, rng):
    a = rng.normal(size=(p, 2 * p))
    return a @ a.T / (2 * p)


def test_posterior_without_samples_is_the_prior():
    rng = np.random.default_rng(1)
    prior, sample = random_covariance(6, rng), random_covariance(6, rng)
    found, worth = posterior_covariance(prior, sample, 1e-9)
    assert found == pytest.approx(prior, abs=1e-8)
    assert worth >= 1.0


def test_posterior_of_many_samples_is_theirs():
    rng = np.random.default_rng(2)
    truth, wrong = random_covariance(12, rng), 5 * np.eye(12)
    n = 20_000
    x = rng.multivariate_normal(np.zeros(12), truth, size=n)
    sample = x.T @ x / n
    found, worth = posterior_covariance(wrong, sample, n)
    assert np.abs(found - sample).max() < 0.02 * np.abs(sample).max()
    assert n < worth < 1.01 * n
    # fewer samples than columns do not make the estimate singular
    few, _ = posterior_covariance(wrong, x[:5].T @ x[:5] / 5, 5)
    assert np.linalg.eigvalsh(few).min() > 0


def test_posterior_trusts_a_right_prior():
    rng = np.random.default_rng(3)
    truth = random_covariance(20, rng)
    x = rng.multivariate_normal(np.zeros(20), truth, size=60)
    sample = x.T @ x / 60
    found, worth = posterior_covariance(truth, sample, 60)
    assert np.linalg.norm(found - truth) < 0.15 * np.linalg.norm(sample - truth)
    assert worth > 600


@pytest.mark.parametrize("strength", [30.0, 300.0])
def test_posterior_finds_the_strength_of_the_prior(strength):
    """Covariances drawn from the prior itself, of which 400 samples each are seen."""
    rng = np.random.default_rng(4)
    p, n = 15, 400
    prior = random_covariance(p, rng)
    found = []
    for _ in range(30):
        truth = invwishart.rvs(strength + p + 1, strength * prior, random_state=rng)
        x = rng.multivariate_normal(np.zeros(p), truth, size=n)
        found.append(posterior_covariance(prior, x.T @ x / n, n)[1] - n)
    assert np.exp(np.mean(np.log(found))) == pytest.approx(strength, rel=0.25)


def test_a_prior_that_was_fitted_to_the_samples_is_judged_as_it_was():
    """Theory with wrong correlations: its strength must not come from what the frames mended."""
    rng = np.random.default_rng(20)
    p, n = 30, 300
    mixing = np.eye(p) + 0.4 * rng.normal(size=(p, p)) / np.sqrt(p)
    true = mixing @ mixing.T
    theory = np.eye(p) + 0.3 * np.diag(np.ones(p - 1), 1) + 0.3 * np.diag(np.ones(p - 1), -1)
    x = rng.multivariate_normal(np.zeros(p), true, size=n)
    sample = x.T @ x / n
    prior, _ = with_variances_of_modes(theory, sample, n)
    _, trusted = posterior_covariance(prior, sample, n)
    judged, worth = posterior_covariance(prior, sample, n, theory)
    assert worth < trusted
    assert judged == pytest.approx(((worth - n) * prior + n * sample) / worth)


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_variances_of_collective_modes_are_those_of_the_frames(factor):
    """A theory whose weakest mode is wrong by a factor, and right otherwise."""
    rng = np.random.default_rng(21)
    p, n = 20, 400
    modes, _ = np.linalg.qr(rng.normal(size=(p, p)))
    variances = np.where(np.arange(p) == 0, 0.02, np.where(np.arange(p) == 1, 2.0, 1.0))
    theory = (modes * variances) @ modes.T
    spread = np.sqrt(np.diag(theory))
    values, vectors = np.linalg.eigh(theory / np.outer(spread, spread))
    weakest = vectors[:, 0] / spread  # of the correlations; its variance in theory is values[0]
    true = theory + (factor - 1.0) * values[0] * np.outer(vectors[:, 0], vectors[:, 0]) * np.outer(
        spread, spread
    )
    x = rng.multivariate_normal(np.zeros(p), true, size=n)
    found, worth = with_variances_of_modes(theory, x.T @ x / n, n)
    right = weakest @ true @ weakest
    assert weakest @ found @ weakest == pytest.approx(right, rel=4.0 * np.sqrt(2.0 / n))
    assert n < worth
    # bins that fluctuate as those of an ideal gas are left to the theory
    ideal = np.diag([1.0, 2.0, 3.0])
    assert with_variances_of_modes(ideal, 2.0 * ideal, n)[0] is ideal
