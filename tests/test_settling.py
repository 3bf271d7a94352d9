"""Pieces of simulation in which the structure changes throughout."""

from __future__ import annotations

import numpy as np
import pytest

from diffsim.simulation import Frames, last_frames
from diffsim.training.settling import DRIFTS, drift, said_of_drift, settled

F, BINS = 100, 60
MEAN = 40.0  # pairs in a bin


def numbers(rng, step=0.0, inefficiency=1.0, frames=F):
    """Numbers of pairs whose mean moves by some standard deviations from the first frame to the
    last, with an autocorrelation that decays exponentially."""
    a = (inefficiency - 1.0) / (inefficiency + 1.0)
    noise = rng.normal(size=(frames, BINS))
    for k in range(1, frames):
        noise[k] = a * noise[k - 1] + np.sqrt(1.0 - a * a) * noise[k]
    return MEAN + np.sqrt(MEAN) * (noise + step * np.linspace(-0.5, 0.5, frames)[:, None])


def frames_of(pairs) -> Frames:
    n = len(pairs)
    return Frames(
        counts=np.zeros((n, 1, 4)),
        virial=np.zeros((n, 1, 4)),
        distances=pairs[:, None, :],
        bin_width=0.05,
        atoms=np.array([100]),
        pairs=np.array([4950]),
        volume=np.full(n, 120.0),
        energy=np.arange(n, dtype=float),
        pressure=np.ones(n),
        temperature=np.ones(n),
        pressure_unit=1.0,
    )


@pytest.mark.parametrize("inefficiency", [1.0, 3.0])
def test_frames_of_one_structure_have_the_drift_of_their_correlation(inefficiency):
    rng = np.random.default_rng(1)
    found = [drift([numbers(rng, inefficiency=inefficiency)]) for _ in range(20)]
    assert np.mean(found) == pytest.approx(inefficiency, rel=0.15)
    assert max(found) < DRIFTS


def test_a_mean_that_moves_is_a_drift():
    """By d standard deviations from end to end: half of it from half to half, so d^2 F / 16 more
    over a variance that has (d / 4)^2 / 3 more within the halves."""
    rng = np.random.default_rng(2)
    found = drift([numbers(rng, step=2.0) for _ in range(20)])
    inside = 1.0 + 1.0 / 12.0
    assert found == pytest.approx(1.0 + 0.25 * F / 4.0 * 4.0 / inside, rel=0.1)


def test_replicas_that_drift_to_all_sides_drift():
    rng = np.random.default_rng(3)
    up, down = numbers(rng, step=2.0), numbers(rng, step=-2.0)
    assert drift([up, down]) > DRIFTS


def test_the_last_quarter_of_each_replica_counts():
    rng = np.random.default_rng(4)
    replicas = [frames_of(numbers(rng, step=3.0, frames=n)) for n in (40, 44)]
    kept, found = settled(replicas)
    assert found is not None and found > DRIFTS
    assert [len(frames) for frames in kept] == [10, 11]
    assert np.array_equal(kept[0].energy, np.arange(30, 40))
    assert np.array_equal(kept[1].distances, replicas[1].distances[33:])
    assert np.array_equal(kept[0].atoms, [100])


@pytest.mark.parametrize(("step", "n"), [(0.0, F), (3.0, 15)])
def test_all_frames_count_where_nothing_drifts_or_frames_are_few(step, n):
    whole = frames_of(numbers(np.random.default_rng(5), step=step, frames=n))
    kept, found = settled([whole])
    assert found is None and kept[0] is whole


def test_bins_that_hold_hardly_a_pair_do_not_count():
    assert drift([np.random.default_rng(6).poisson(0.5, size=(F, BINS)).astype(float)]) == 0.0


def test_the_last_frames():
    few = last_frames(frames_of(numbers(np.random.default_rng(7))), 3)
    assert len(few) == 3 and few.energy.tolist() == [97.0, 98.0, 99.0]
    assert few.motion.shape == (0, 0)


def test_the_sentence_has_the_drift_in_standard_deviations():
    assert "differs by 5.0 times the noise" in said_of_drift("melt", 25.0)
