"""How a potential depends on the density that goes with its g(r)."""

from __future__ import annotations

import numpy as np
import pytest

from diffsim.theory.state_point import change_with_density

WIDTH = 0.02
R = WIDTH * (0.5 + np.arange(300))


def mayer(beta_epsilon):
    """exp(-beta u) - 1 of a soft repulsion of range one."""
    return np.expm1(-beta_epsilon * np.exp(-((R / 0.5) ** 2)))


def test_a_dilute_gas_has_the_potential_that_its_g_says():
    """To first order in the density beta u = -ln g + rho int f f, so that at fixed g it changes by
    rho int f(|r - r'|) f(r') dr', here for a weak Gaussian f in closed form."""
    weak, density = 1e-3, 1e-4
    g = (1.0 + mayer(weak))[None]
    found = change_with_density(WIDTH, g, np.array([density]))[0]
    width = 0.5 / np.sqrt(2.0)  # of the Gaussian; that of the convolution is larger by sqrt(2)
    volume = (2.0 * np.pi * width**2) ** 1.5
    convolved = volume * np.exp(-(R**2) / (4.0 * width**2)) / 2.0**1.5
    assert found == pytest.approx(density * weak**2 * convolved, abs=1e-3 * density * weak**2)


def test_a_mixture_of_equal_atoms_is_the_fluid_itself():
    g = (1.0 + mayer(1.0))[None]
    alone = change_with_density(WIDTH, g, np.array([0.4]))
    mixed = change_with_density(WIDTH, np.repeat(g, 3, axis=0), np.array([0.1, 0.3]))
    assert np.abs(alone).max() > 0.02
    assert mixed == pytest.approx(np.repeat(alone, 3, axis=0), abs=1e-10)
