"""Energies of pairs in bins of distance, from energies at the knots."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from diffsim.knots import Grid
from diffsim.optimizers.linear_model import means_in_bins

GRID = Grid(("A", "B"), "lj", 2.5, (0.8, 0.82, 0.85), 900)
EDGES = 0.04 * np.arange(71)  # beyond the cutoff too


def lennard_jones(r):
    x = r**-6.0
    return 4.0 * (x * x - x)


@pytest.fixture(scope="module")
def means():
    beta_u = np.array([lennard_jones(GRID.distances(pair)) for pair in range(3)])
    return means_in_bins(GRID, EDGES, beta_u)


def mean(value, low, high):
    """Over the pairs of an ideal gas in the potential."""

    def weight(r):
        return r * r * np.exp(-lennard_jones(r))

    return quad(lambda r: value(r) * weight(r), low, high)[0] / quad(weight, low, high)[0]


@pytest.mark.parametrize("low", [0.92, 1.0, 1.12, 2.0])
def test_they_are_means_over_pairs(means, low):
    """At a wall these sit at the outer edge of a bin, where the energy is lower."""
    k = round(low / 0.04)
    bins = len(EDGES) - 1
    values = np.concatenate([lennard_jones(GRID.distances(pair)) for pair in range(3)])
    found = (means @ values)[[k, bins + k, 2 * bins + k]]
    assert found == pytest.approx(mean(lennard_jones, low, low + 0.04), rel=2e-3, abs=1e-4)


def test_a_constant_is_a_constant_up_to_the_cutoff(means):
    ones = (means @ np.ones(3 * 900)).reshape(3, -1)
    inside = (EDGES[:-1] >= 0.9) & (EDGES[1:] <= 2.48)
    assert ones[:, inside] == pytest.approx(1.0, abs=1e-12)
    assert not ones[:, EDGES[:-1] >= 2.52].any()


def test_pairs_do_not_mix(means):
    of_second = np.concatenate([np.zeros(900), np.ones(900), np.zeros(900)])
    found = (means @ of_second).reshape(3, -1)
    assert found[1].any() and not found[[0, 2]].any()
