"""Statistical errors from several short pieces of simulation, and of averages in their modes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.signal import lfilter

from diffsim.errors import InputError
from diffsim.response.ensemble import Ensemble
from diffsim.response.linear_response import error_of_averages
from diffsim.statistics.time_series import (
    pooled_inefficiency,
    slowness,
    statistical_inefficiency,
)


def autoregressive(a, n, columns, seed):
    """Stationary x_t = a x_(t-1) + noise of unit variance: rho(t) = a^t; shape (n, columns)."""
    noise = np.random.default_rng(seed).normal(size=(n, columns)) * np.sqrt(1 - a**2)
    noise[0] /= np.sqrt(1 - a**2)
    return lfilter([1.0], [1.0, -a], noise, axis=0)


def exact(a):
    return (1 + a) / (1 - a)


# ---- the inefficiency of several short pieces ----


# windows of three inefficiencies, 2 M + 1 frames, fit in half a piece
@pytest.mark.parametrize(
    ("a", "frames"), [(0.3, 50), (0.5, 50), (0.3, 125), (0.5, 125), (0.7, 125), (0.75, 125)]
)
def test_short_pieces_together_have_no_bias(a, frames):
    """40 pieces that each are too short for themselves."""
    pieces, columns = 40, 300
    series = [autoregressive(a, frames, columns, seed) for seed in range(pieces)]
    found = pooled_inefficiency(series, np.ones(pieces))
    assert found.shape == (columns,)
    # Sokal: var(s) = 2 (2 M + 1) / n s^2 with the window M = 3 s
    error = exact(a) * np.sqrt(2 * (6 * exact(a) + 1) / (pieces * frames))
    assert found.mean() == pytest.approx(exact(a), rel=0.03)
    assert np.all(np.abs(found - exact(a)) < 6 * error)
    # what a piece says of itself is too low by more than is allowed here
    assert statistical_inefficiency(series[0]).mean() < 0.93 * exact(a)


@pytest.mark.parametrize(("a", "frames"), [(0.3, 50), (0.5, 50), (0.5, 125), (0.7, 125)])
def test_few_short_pieces(a, frames):
    """Of two pieces the choice of a window from noise adds about a tenth: measured 1.04 to 1.11."""
    series = [autoregressive(a, frames, 2000, seed) for seed in (1, 2)]
    found = pooled_inefficiency(series, np.ones(2))
    assert found.mean() == pytest.approx(exact(a), rel=0.15)


def test_pieces_that_are_too_short_give_what_they_can():
    """(1 + a) / (1 - a) = 39 of 50 frames: too low, but more than each piece says of itself."""
    series = [autoregressive(0.95, 50, 200, seed) for seed in range(8)]
    found = pooled_inefficiency(series, np.ones(8))
    own = np.mean([statistical_inefficiency(piece) for piece in series], axis=0)
    assert 2 * own.mean() < found.mean() < exact(0.95)


def test_one_long_piece_is_as_the_other_estimate():
    series = autoregressive(0.6, 40_000, 20, 3)
    found = pooled_inefficiency([series], np.ones(1))
    assert found == pytest.approx(statistical_inefficiency(series), rel=0.15)
    assert found.mean() == pytest.approx(exact(0.6), rel=0.03)


def test_weights_of_the_pieces():
    """A piece without weight counts for nothing, however long; only ratios of weights matter."""
    one, other = autoregressive(0.5, 125, 50, 1), autoregressive(0.5, 50, 50, 2)
    foreign = 100.0 * autoregressive(0.99, 1000, 50, 3)
    both = pooled_inefficiency([one, other], np.array([125.0, 50.0]))
    with_it = pooled_inefficiency([one, foreign, other], np.array([125.0, 0.0, 50.0]))
    assert with_it == pytest.approx(both, rel=1e-12)
    scaled = pooled_inefficiency([one, other], np.array([1.25, 0.5]))
    assert scaled == pytest.approx(both, rel=1e-12)
    alone = pooled_inefficiency([one], np.ones(1))
    assert pooled_inefficiency([one, other], np.array([1.0, 0.0])) == pytest.approx(
        alone, rel=1e-12
    )
    assert np.abs(both - alone).max() > 0.1


def test_weights_mix_pieces_of_different_correlation():
    """Equal variances: the autocovariance, and with it the inefficiency, is the mean of both."""
    series = [autoregressive(0.2, 2000, 200, 4), autoregressive(0.7, 2000, 200, 5)]
    for share in (0.25, 0.75):
        found = pooled_inefficiency(series, np.array([1 - share, share])).mean()
        assert found == pytest.approx((1 - share) * exact(0.2) + share * exact(0.7), rel=0.05)


def test_means_of_the_pieces_do_not_matter():
    """Simulations of different potentials have different averages; units do not matter either."""
    series = [autoregressive(0.5, 125, 50, seed) for seed in (1, 2, 3)]
    expected = pooled_inefficiency(series, np.ones(3))
    shifted = [1e3 * piece + 7e4 * k for k, piece in enumerate(series)]
    assert pooled_inefficiency(shifted, np.ones(3)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7e9])
def test_constant_columns_have_one(value):
    varying = autoregressive(0.8, 200, 1, 1)
    constant = np.full((200, 1), value)
    pieces = [np.hstack([constant, varying, constant]), np.hstack([constant, varying, varying])]
    found = pooled_inefficiency(pieces, np.array([1.0, 0.0]))
    # the last column varies where there is no weight
    assert found[[0, 2]].tolist() == [1.0, 1.0] and found[1] > 2
    # and here in one of two pieces
    assert pooled_inefficiency(pieces, np.ones(2))[2] == pytest.approx(found[1], rel=0.5)


def test_a_piece_of_next_to_no_weight_is_no_division_by_zero():
    """It is the only one in which a column varies, and its share rounds to zero."""
    constant, varying = np.zeros((50, 1)), autoregressive(0.5, 50, 1, 2)
    with np.errstate(all="raise", under="ignore"):
        found = pooled_inefficiency([constant, 1e-3 * varying], np.array([1.0, 5e-324]))
    assert found.tolist() == [1.0]


def test_inefficiency_is_never_below_one():
    assert np.array_equal(
        pooled_inefficiency([autoregressive(-0.5, 400, 9, k) for k in (1, 2)], np.ones(2)),
        np.ones(9),
    )
    rng = np.random.default_rng(3)
    for n in (2, 3, 5, 10):
        found = pooled_inefficiency([rng.normal(size=(n, 100)), rng.normal(size=(4, 100))], [1, 2])
        assert np.all(found >= 1.0) and np.all(np.isfinite(found))


def test_a_piece_of_one_frame_has_none():
    with pytest.raises(InputError, match="at least 2 frames"):
        pooled_inefficiency([np.zeros((5, 2)), np.zeros((1, 2))], np.ones(2))


# ---- relaxation that is slower than a piece ----


def of_pieces(pieces):
    weights = [np.ones(len(piece)) for piece in pieces]
    return slowness(pieces, weights, pooled_inefficiency(pieces, np.ones(len(pieces))))


def test_pieces_that_are_long_enough_are_not_slow():
    pieces = [autoregressive(0.5, 125, 1000, seed) for seed in range(10)]
    found = of_pieces(pieces)
    # (K - 1) R is chi squared with K - 1 degrees of freedom; only what is above one is kept
    assert found.min() == 1.0
    assert found.mean() < 1.2
    assert np.mean(found > 2.0) < 0.01


@pytest.mark.parametrize("drift", [1.0, 3.0])
def test_means_that_differ_show_a_slow_relaxation(drift):
    """Noise of unit variance in pieces of 125, about means that scatter: R = 1 + 125 drift^2."""
    random = np.random.default_rng(5)
    means = drift * random.normal(size=(20, 300)) / np.sqrt(125.0)
    pieces = [mean + random.normal(size=(125, 300)) for mean in means]
    expected = (10.0 + 19.0 * (1.0 + drift**2)) / 29.0
    assert of_pieces(pieces).mean() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("frames", [125, 1000])
def test_a_potential_that_changes_is_no_slow_relaxation(frames):
    """Harmonic potentials x^2 / 2 + c x of pieces one after the other, weighted to the last one."""
    c = 0.5 * np.array([3.0, 2.2, 1.5, 1.0, 0.6, 0.3, 0.1, 0.0])
    x = [np.random.default_rng([frames, k]).normal(size=frames) - ck for k, ck in enumerate(c)]
    ensemble, at = ensemble_of([frames] * len(c))
    ensemble._counts = np.concatenate(x)[:, None]
    ensemble._reduced = c[:, None] * ensemble._counts[:, 0]
    found = ensemble.slowness(np.stack([ensemble._counts[:, 0]] * 2, axis=1), at, np.ones(2))
    assert np.all(found < 1.5)
    # which they would be if each were taken as it is
    alone = slowness([part[:, None] for part in x], [np.ones(frames)] * len(c), np.ones(1))
    assert alone > 10.0


def test_pieces_of_other_potentials_do_not_show_in_it():
    """Of 125 frames of the fourth piece two count, and the fifth has no weight at all."""
    random = np.random.default_rng(6)
    pieces = [shift + random.normal(size=(125, 4)) for shift in (0.0, 0.0, 0.0, 5.0, 50.0)]
    few = np.zeros(125)
    few[:2] = 0.5
    weights = [*[np.ones(125)] * 3, few, np.zeros(125)]
    assert slowness(pieces, weights, np.ones(4)).tolist() == [1.0] * 4
    weights[3] = np.ones(125)
    assert slowness(pieces, weights, np.ones(4)).min() > 100.0
    constant = [np.full((50, 2), 3.0)] * 5
    assert slowness(constant, [np.ones(50)] * 5, np.ones(2)).tolist() == [1.0] * 2


# ---- errors of averages over correlated modes ----

BINS = 6
SPREAD = np.array([3.0, 0.1, 1.0, 20.0, 0.5, 1.0])
CORRELATION = np.exp(-0.5 * np.abs(np.arange(BINS)[:, None] - np.arange(BINS)))
COVARIANCE = CORRELATION * np.outer(SPREAD, SPREAD)
VARIANCES, MODES = np.linalg.eigh(CORRELATION)  # the weakest first
SLOW = np.array([0.75, 0.6, 0.5, 0.3, 0.0, 0.0])  # and it is the one that is correlated longest


def ensemble_of(lengths):
    """Pieces of these lengths of one potential, all of whose frames have the same weight."""
    ensemble = Ensemble.__new__(Ensemble)
    n = sum(lengths)
    ensemble.beta, ensemble._lengths = 1.0, list(lengths)
    ensemble._coefficients = [np.zeros(1)] * len(lengths)
    ensemble._counts, ensemble._reduced = np.zeros((n, 1)), np.zeros((len(lengths), n))
    return ensemble, SimpleNamespace(
        weights=np.full(n, 1 / n), sample_size=float(n), coefficients=np.zeros(1)
    )


def series_of(lengths, correlations, seed):
    """Frames with COVARIANCE whose modes are AR(1), shape (F, BINS)."""
    amplitudes = []
    for piece, n in enumerate(lengths):
        rng = np.random.default_rng([seed, piece])
        noise = rng.normal(size=(n, BINS)) * np.sqrt(1 - correlations**2)
        noise[0] /= np.sqrt(1 - correlations**2)
        amplitudes.append(
            np.stack(
                [lfilter([1.0], [1.0, -a], noise[:, k]) for k, a in enumerate(correlations)], axis=1
            )
        )
    return np.concatenate(amplitudes) * np.sqrt(VARIANCES) @ MODES.T * SPREAD


def test_errors_of_independent_frames():
    """C / n, times what the estimate of the inefficiency is off by; to rounding if it is one."""
    lengths = (4000, 4000)
    ensemble, at = ensemble_of(lengths)
    found, _ = error_of_averages(ensemble, at, series_of(lengths, np.zeros(BINS), 1), COVARIANCE)
    assert found == pytest.approx(found.T, rel=1e-12)
    ratios = np.linalg.eigvals(np.linalg.solve(COVARIANCE / at.sample_size, found))
    # never below one, 4.5 times sqrt(2 (2 M + 1) / n) above
    assert ratios.min() > 1 - 1e-9 and ratios.max() < 1 + 4.5 * np.sqrt(2 * 7 / 8000)
    # anticorrelated frames count as independent ones
    series = series_of(lengths, np.full(BINS, -0.3), 1)
    found, _ = error_of_averages(ensemble, at, series, COVARIANCE)
    assert found == pytest.approx(COVARIANCE / at.sample_size, rel=1e-9)


def test_errors_where_modes_are_correlated_differently():
    """The exact covariance of the average, and not that of the mean correlation of the bins."""
    lengths = [125] * 40
    n = sum(lengths)
    ensemble, at = ensemble_of(lengths)
    found, _ = error_of_averages(ensemble, at, series_of(lengths, SLOW, 2), COVARIANCE)
    inefficiency = exact(SLOW)
    expected = MODES * (VARIANCES * inefficiency) @ MODES.T * np.outer(SPREAD, SPREAD) / n
    error = np.sqrt(2 * (6 * inefficiency + 1) / n)  # of each inefficiency, relative
    # in the modes themselves, which are uncorrelated
    scaled = found / np.outer(SPREAD, SPREAD)
    in_modes = MODES.T @ scaled @ MODES * n / VARIANCES
    assert np.all(np.abs(np.diag(in_modes) / inefficiency - 1) < 4 * error)
    assert np.abs(found - expected).max() < 4 * error.max() * np.abs(expected).max()
    # which the bins do not show: they are mostly the modes that are not correlated
    bins = ensemble.inefficiency(series_of(lengths, SLOW, 2), at.weights)
    assert bins.max() < 0.4 * np.diag(in_modes)[0]


def test_errors_are_those_of_the_averages():
    """chi^2 of the averages of 300 short simulations, with the errors that each one claims.

    A covariance whose modes are known to some per cent makes chi^2 too large by about as much.
    """
    lengths = [125] * 4
    ensemble, at = ensemble_of(lengths)
    chi, naive = [], []
    for seed in range(300):
        series = series_of(lengths, SLOW, 100 + seed)
        mean = series.mean(axis=0)
        covariance, _ = error_of_averages(ensemble, at, series, COVARIANCE)
        chi.append(mean @ np.linalg.solve(covariance, mean))
        naive.append(mean @ np.linalg.solve(COVARIANCE / at.sample_size, mean))
    assert np.mean(chi) == pytest.approx(BINS, rel=0.2)
    assert np.mean(naive) > 2 * BINS
