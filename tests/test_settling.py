"""Pieces of simulation in which the structure changes throughout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffsim.simulation import Frames, part
from diffsim.training.settling import DRIFTS, Drift, drift, said_of_drift, settled

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


def drift_of(*replicas):
    return drift(replicas, replicas)


@pytest.mark.parametrize("inefficiency", [1.0, 3.0, 12.0])
def test_noise_is_no_drift_however_long_it_is_correlated(inefficiency):
    """As far as a piece can tell it: 200 frames find an inefficiency of 12 too low by a third."""
    rng = np.random.default_rng(1)
    found = [drift_of(numbers(rng, inefficiency=inefficiency, frames=400)) for _ in range(20)]
    assert 0.8 < np.mean(found) < 1.0 + inefficiency / 15.0
    assert max(found) < 0.5 * DRIFTS


def test_a_mean_that_moves_is_a_drift():
    """By d standard deviations from end to end: half of it from half to half, so d^2 F / 16 more
    over a variance that has (d / 4)^2 / 3 more within the halves, which are correlated by it."""
    rng = np.random.default_rng(2)
    found = drift_of(*[numbers(rng, step=2.0) for _ in range(20)])
    inside = 1.0 + 1.0 / 12.0
    alone = 1.0 + 0.25 * F / 4.0 * 4.0 / inside
    assert alone / 3.0 < found < alone
    assert found > 1.5 * DRIFTS


def test_replicas_that_drift_to_all_sides_drift():
    rng = np.random.default_rng(3)
    up, down = numbers(rng, step=2.0), numbers(rng, step=-2.0)
    assert drift_of(up, down) > DRIFTS


def test_the_last_quarter_of_each_replica_counts():
    rng = np.random.default_rng(4)
    replicas = [frames_of(numbers(rng, step=3.0, frames=n)) for n in (80, 88)]
    kept, found = settled(replicas)
    assert found is not None and found.size > DRIFTS
    assert [len(frames) for frames in kept] == [20, 22]
    assert np.array_equal(kept[0].energy, np.arange(60, 80))
    assert np.array_equal(kept[1].distances, replicas[1].distances[66:])
    assert np.array_equal(kept[0].atoms, [100])
    assert np.array_equal(found.before.energy, [*range(20), *range(22)])


def test_sixteen_frames_are_kept_at_least():
    replicas = [frames_of(numbers(np.random.default_rng(4), step=4.0, frames=32)) for _ in "ab"]
    kept, found = settled(replicas)
    assert found is not None and [len(frames) for frames in kept] == [8, 8]


@pytest.mark.parametrize(("step", "n"), [(0.0, F), (3.0, 31)])
def test_all_frames_count_where_nothing_drifts_or_frames_are_few(step, n):
    whole = frames_of(numbers(np.random.default_rng(5), step=step, frames=n))
    kept, found = settled([whole])
    assert found is None and kept[0] is whole


def test_replicas_are_as_many_frames_as_all_of_them():
    rng = np.random.default_rng(5)
    assert settled([frames_of(numbers(rng, step=4.0, frames=12)) for _ in range(8)])[1] is not None


def test_a_volume_that_fluctuates_is_no_drift_of_the_structure():
    """All numbers of pairs move with the density, by ten per cent from half to half here."""
    rng = np.random.default_rng(8)
    volume = np.where(np.arange(F) < F // 2, 1.05, 0.95)
    pairs = MEAN / volume[:, None] + 0.5 * rng.normal(size=(F, BINS))
    frames = replace(frames_of(pairs), volume=volume)
    assert drift_of(pairs) > DRIFTS
    assert settled([frames])[1] is None


def test_windows_are_kept():
    frames = frames_of(numbers(np.random.default_rng(9), step=3.0))
    assert settled([replace(frames, motion=np.ones((F, 2)))])[1] is None


def test_bins_that_hold_hardly_a_pair_do_not_count():
    assert drift_of(np.random.default_rng(6).poisson(0.5, size=(F, BINS)).astype(float)) == 0.0


def test_a_part_of_frames():
    few = part(frames_of(numbers(np.random.default_rng(7))), slice(-3, None))
    assert len(few) == 3 and few.energy.tolist() == [97.0, 98.0, 99.0]
    assert few.motion.shape == (0, 0)


def test_the_sentence_has_the_drift_in_standard_deviations():
    assert "differs by 5.0 times the noise" in said_of_drift(
        "melt", Drift(25.0, frames_of(np.zeros((1, BINS))))
    )
