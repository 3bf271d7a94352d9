"""The Mie potential that a distribution function suggests, and the theory behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffsim.errors import InputError
from diffsim.optimizers.family import MieParameters, mie_from_rdf
from diffsim.targets import RDF
from diffsim.theory.mie_structure import POINTS, SPACING, R, mie_shape, mie_structure

EXAMPLES = Path(__file__).parent.parent / "examples"
CUTOFF = 2.5
LIQUID = RDF.from_file(EXAMPLES / "lj" / "target.csv", ("A", "A"))
STATES = {  # file: density, temperature, and where the theory is least good
    "lj/target.csv": (0.7, 1.0, 0.03),
    "lj_states/dense.csv": (0.85, 1.2, 0.06),
    "lj_states/supercritical.csv": (0.5, 1.5, 0.015),
}


def lennard_jones(r, depth=1.0, n=12.0):
    """u / epsilon, shifted to zero at the cutoff."""
    u = mie_shape(r, n, 6.0) - mie_shape(np.array([CUTOFF]), n, 6.0)
    return np.where(r < CUTOFF, depth * u, 0.0)


# ---- the integral equation ----


@pytest.mark.parametrize("name", STATES)
def test_the_theory_has_the_structure_that_a_simulation_finds(name):
    density, temperature, error = STATES[name]
    simulated = RDF.from_file(EXAMPLES / name, ("A", "A"))
    found = mie_structure(1.0 / temperature, 12.0, 6.0, density, CUTOFF)
    g = np.interp(simulated.r, found.r, found.g)
    assert np.abs(g - simulated.g).max() < error
    assert g.max() == pytest.approx(simulated.g.max(), rel=0.02)


def test_a_dilute_gas_follows_boltzmann():
    exact = np.exp(-lennard_jones(R, 1.4))
    deviation = [
        np.abs(mie_structure(1.4, 12.0, 6.0, density, CUTOFF).g - exact).max()
        for density in (1e-4, 2e-4)
    ]
    assert deviation[0] < 2e-3
    # what comes next is of first order in the density
    assert deviation[1] / deviation[0] == pytest.approx(2.0, rel=0.01)


def test_a_solution_solves_the_ornstein_zernike_equation():
    """h(r) = c(r) + rho int c(r') h(|r - r'|) dr', checked in space by bipolar coordinates."""
    density = 0.6
    found = mie_structure(0.8, 12.0, 6.0, density, CUTOFF)
    h = found.g - 1.0
    c = h - found.gamma
    # int c h = 2 pi / r int_0^inf s c(s) int_|r-s|^(r+s) t h(t) dt ds
    inner = np.concatenate([[0.0], np.cumsum(SPACING * R * h) - 0.5 * SPACING * R * h])
    for k in (40, 54, 75, 110):
        r, s = R[k], R[: POINTS - k - 2]
        upper = np.interp(r + s, [0.0, *R], inner)
        lower = np.interp(np.abs(r - s), [0.0, *R], inner)
        convolved = 2.0 * np.pi / r * np.sum(s * c[: len(s)] * (upper - lower)) * SPACING
        assert density * convolved == pytest.approx(found.gamma[k], abs=0.01)


def test_a_start_nearby_ends_at_the_same_solution():
    first = mie_structure(0.9, 12.0, 6.0, 0.7, CUTOFF)
    fresh = mie_structure(1.0, 12.0, 6.0, 0.7, CUTOFF)
    warm = mie_structure(1.0, 12.0, 6.0, 0.7, CUTOFF, first.gamma)
    assert warm.g == pytest.approx(fresh.g, abs=1e-5)


def test_there_is_no_fluid_between_gas_and_liquid():
    assert mie_structure(1.0 / 0.75, 12.0, 6.0, 0.3, CUTOFF) is None
    assert mie_structure(1.0 / 0.72, 12.0, 6.0, 0.85, CUTOFF) is not None
    assert mie_structure(1.0 / 1.3, 12.0, 6.0, 0.3, CUTOFF) is not None


# ---- the parameters ----


def test_the_form_is_the_one_of_the_potentials():
    p = MieParameters(0.7, 1.1, 14.0)
    assert p.energy(np.array([1.1]), 1e6)[0] == pytest.approx(0.0, abs=1e-12)
    assert p.energy(np.array([p.minimum]), 1e6)[0] == pytest.approx(-0.7)
    assert p.energy(np.array([2.5, 3.0]), 2.5).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_lennard_jones_comes_out_of_its_liquids(name, noise):
    density, temperature, _ = STATES[name]
    curve = RDF.from_file(EXAMPLES / name, ("A", "A"))
    g = curve.g + noise * np.random.default_rng(1).normal(size=len(curve.g))
    found = mie_from_rdf(curve.r, g, temperature, CUTOFF, density=density)
    assert found.source == "structure"
    assert found.epsilon == pytest.approx(1.0, rel=0.2)
    assert found.sigma == pytest.approx(1.0, rel=0.015)
    assert found.n == pytest.approx(12.0, abs=1.0)


@pytest.mark.parametrize("temperature", [0.72, 0.8, 1.0])
def test_the_triple_point_liquid_of_the_theory_gives_back_its_potential(temperature):
    structure = mie_structure(1.0 / temperature, 12.0, 6.0, 0.85, CUTOFF)
    unit = 3.4  # nothing depends on the unit of length
    found = mie_from_rdf(
        unit * R, structure.g, temperature, CUTOFF * unit, density=0.85 / unit**3, n=12.0
    )
    assert found.epsilon == pytest.approx(1.0, rel=0.03)
    assert found.sigma == pytest.approx(unit, rel=0.003)
    assert found.misfit < 2e-3


def test_exponents_that_are_given_stay():
    found = mie_from_rdf(LIQUID.r, LIQUID.g, 1.0, CUTOFF, density=0.7, n=14.0, m=7.0)
    assert (found.n, found.m) == (14.0, 7.0)


def test_a_gas_without_a_density():
    r = np.arange(0.0125, 4.0, 0.025)
    found = mie_from_rdf(r, np.exp(-lennard_jones(r, 1.4)), 1.0, CUTOFF)
    assert found.source == "peak"
    assert found.epsilon == pytest.approx(1.4, rel=0.04)  # the average over noise lowers a peak
    assert found.sigma == pytest.approx(1.0, rel=0.01)


def test_an_estimate_of_the_potential_refines():
    r = LIQUID.r
    estimate = np.where(r > 0.9, lennard_jones(r, 1.3, n=10.0) + 0.1, np.nan)
    found = mie_from_rdf(r, LIQUID.g, 1.0, CUTOFF, estimate)
    assert found.source == "estimate"
    assert found.epsilon == pytest.approx(1.3, rel=0.1)
    assert found.sigma == pytest.approx(1.0, rel=0.01)
    assert found.n < 11.5


@pytest.mark.parametrize("wrong", ["a hill", "no well", "another contact"])
def test_an_estimate_that_is_nonsense_is_not_believed(wrong):
    r = LIQUID.r
    estimate = {
        "a hill": lennard_jones(r) + 5.0 * np.exp(-(((r - 1.6) / 0.2) ** 2)),
        "no well": np.minimum(r**-12.0, 50.0),
        "another contact": lennard_jones(r / 1.5, 3.0),
    }[wrong]
    found = mie_from_rdf(r, LIQUID.g, 1.0, CUTOFF, estimate)
    assert found == mie_from_rdf(r, LIQUID.g, 1.0, CUTOFF)
    assert found.source == "peak"


RNG = np.random.default_rng(3)
HOSTILE = {
    "floor in the core": np.maximum(LIQUID.g, 0.05),
    "noise in the core": LIQUID.g + np.where(LIQUID.r < 0.8, 0.3 * RNG.random(len(LIQUID.r)), 0.0),
    "too small": 0.9 * LIQUID.g,
    "negative": LIQUID.g - 0.02,
    "holes": np.where(np.arange(len(LIQUID.r)) % 3, LIQUID.g, np.nan),
    "a spike": LIQUID.g + 5.0 * (np.abs(LIQUID.r - 0.3) < 0.01),
}


@pytest.mark.parametrize("density", [None, 0.7])
@pytest.mark.parametrize("name", HOSTILE)
def test_faults_of_a_curve_do_no_harm(name, density):
    found = mie_from_rdf(LIQUID.r, HOSTILE[name], 1.0, CUTOFF, density=density)
    assert 0.5 < found.epsilon < 1.3
    assert 0.95 < found.sigma < 1.05


def test_a_curve_cut_within_its_peak():
    seen = LIQUID.r > 1.02
    found = mie_from_rdf(LIQUID.r[seen], LIQUID.g[seen], 1.0, CUTOFF)
    assert 0.9 < found.sigma < 1.02


@pytest.mark.parametrize("density", [1e-4, 0.3, 0.9])
@pytest.mark.parametrize("name", ["nothing", "noise", "hard wall", "one bin"])
def test_whatever_the_curve_the_bounds_hold(name, density):
    r = np.arange(0.05, 5.0, 0.05)
    g = {
        "nothing": np.ones_like(r),
        "noise": np.abs(RNG.normal(size=len(r))),
        "hard wall": np.where(r > 1.0, 1.0, 0.0),
        "one bin": np.where(np.abs(r - 1.0) < 0.01, 80.0, 0.0),
    }[name]
    found = mie_from_rdf(r, g, 1.0, CUTOFF, density=density)
    assert 0.19 < found.epsilon < 3.01
    assert 0.0 < found.sigma < CUTOFF
    assert 8.0 <= found.n <= 20.0


def test_a_curve_without_pairs_is_refused():
    with pytest.raises(InputError, match="Check the unit of length"):
        mie_from_rdf(10.0 * LIQUID.r, LIQUID.g, 1.0, CUTOFF)
    with pytest.raises(InputError, match="found 0 distances"):
        mie_from_rdf(LIQUID.r, np.full(len(LIQUID.r), np.nan), 1.0, CUTOFF)
