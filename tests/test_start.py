"""The start from the targets by the hypernetted chain approximation."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from conftest import beside_the_norm
from diffsim import Protocol, System, Trainer
from diffsim.knots import choose_grid
from diffsim.optimizers.start import fit_hypernetted_chain, fit_mean_force
from diffsim.potentials import BSpline, LennardJones, Neural, create
from diffsim.response.ensemble import Ensemble
from diffsim.targets import RDF
from diffsim.theory.integral_equation import (
    TAPER,
    hnc_continuation,
    hnc_potential,
    hnc_response,
    indirect_correlation,
)
from test_potentials import energies
from test_statistics import (
    BETA_U,
    CHANGES,
    DENSITY,
    KNOWN,
    TEMPERATURE,
    WIDTH,
    R,
    solve_hnc,
)

EXAMPLE = Path(__file__).parent.parent / "examples" / "lj"
CUTOFF = 2.5
CURVE = RDF.from_file(EXAMPLE / "target.csv", ("A", "A"))


@pytest.fixture(scope="module")
def g():
    """Of Lennard-Jones by an independent solution of the hypernetted chain equations."""
    return solve_hnc(BETA_U, DENSITY)


# ---- the potential of given distribution functions ----


def test_the_limit_of_low_density_is_exact():
    gas = np.exp(-BETA_U[None, :KNOWN])
    found = hnc_potential(WIDTH, gas, np.array([1e-9]))
    assert found[0] == pytest.approx(BETA_U[:KNOWN], abs=1e-7)
    # what comes next is of first order in the density
    second = [np.abs(hnc_potential(WIDTH, gas, np.array([d])) - found).max() for d in (1e-4, 2e-4)]
    assert second[1] / second[0] == pytest.approx(2.0, rel=0.01)


def test_an_ideal_gas_has_no_potential_at_any_density():
    assert not hnc_potential(WIDTH, np.ones((1, KNOWN)), np.array([0.8])).any()


def test_the_potential_of_a_solution_is_the_one_it_was_solved_for(g):
    found = hnc_potential(WIDTH, g[None, :512], np.array([DENSITY]))[0]
    seen = g[:512] > 1e-6
    # measured: 2e-13, the tolerance of the solution
    assert found[seen] == pytest.approx(BETA_U[:512][seen], abs=1e-11)


@pytest.mark.parametrize("name", CHANGES)
def test_it_is_the_inverse_of_the_response(g, name):
    """Along dg = (dg/du) du the derivative of beta u is beta du."""
    density, known = np.array([DENSITY]), g[None, :KNOWN]
    change = CHANGES[name][:KNOWN]
    dg = hnc_response(WIDTH, known, density, change[None, :, None])[:, :, 0]
    step = 1e-4
    up, down = (hnc_potential(WIDTH, known + sign * step * dg, density)[0] for sign in (1, -1))
    # not within the core, where g is zero to many digits, nor where the response tapers h
    checked = (known[0] > 1e-3) & (R[:KNOWN] < TAPER * R[KNOWN - 1])
    assert ((up - down) / (2 * step))[checked] == pytest.approx(change[checked], abs=2e-3)


def test_mixtures_at_low_density_have_the_convolutions_of_gaussians():
    """h - c = sum_c rho_c h_ac * h_cb to first order; of h_ab = A_ab exp(-r^2 / 2), in closed form:
    A_ac A_cb pi^(3/2) exp(-r^2 / 4)."""
    r = (np.arange(200) + 0.5) * WIDTH
    amplitude = np.array([[0.5, -0.3, 0.2], [-0.3, 0.8, 0.4], [0.2, 0.4, -0.6]])
    density = np.array([2e-5, 1e-5, 5e-6])
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    g = np.array([1.0 + amplitude[p] * np.exp(-0.5 * r**2) for p in pairs])
    found = indirect_correlation(WIDTH, g, density)
    product = (amplitude * density) @ amplitude
    expected = np.array([product[p] * np.pi**1.5 * np.exp(-0.25 * r**2) for p in pairs])
    # the next order is smaller by rho h(k = 0), 3e-4
    assert found == pytest.approx(expected, abs=1e-3 * np.abs(expected).max())


# ---- beyond the range of the target ----


def test_the_continuation_is_the_solution_itself(g):
    """Of g to the cutoff, and of the potential that it ends there."""
    bins = 240
    known = (R[:bins] < CUTOFF)[None]
    found = hnc_continuation(WIDTH, g[None, :bins], np.array([DENSITY]), known)
    assert np.abs(g[:bins] - 1.0)[~known[0]].max() > 0.005
    assert found[0, known[0]].tolist() == g[:bins][known[0]].tolist()
    # measured: 2e-10; Newton's method stops at residuals of 1e-8
    assert found[0] == pytest.approx(g[:bins], abs=1e-7)


def test_the_continuation_of_one_species_under_two_names(g):
    bins = 200
    known = (R[:bins] < 3.0)[None]
    alone = hnc_continuation(WIDTH, g[None, :bins], np.array([DENSITY]), known)
    mixture = hnc_continuation(
        WIDTH, np.repeat(g[None, :bins], 3, axis=0), np.array([0.1, 0.2]), np.repeat(known, 3, 0)
    )
    assert mixture == pytest.approx(np.repeat(alone, 3, axis=0), abs=1e-7)


def test_a_target_that_is_no_fluid_has_no_continuation(g):
    """Of a dense liquid only the first peak: the structure factor cannot stay positive."""
    bins = 300
    r = (np.arange(bins) + 0.5) * 0.02
    curve = np.interp(r, CURVE.r, CURVE.g)[None]
    assert hnc_continuation(0.02, curve, np.array([0.7]), (r < 1.5)[None]) is None


# ---- the start of a training ----


def lj(r):
    return 4 * (r**-12.0 - r**-6.0) - 4 * (CUTOFF**-12.0 - CUTOFF**-6.0)


def ensemble(folder, temperature, targets, species=("A",), name="state"):
    (folder / "in.state").write_text("# not simulated\n")
    return Ensemble(
        System(folder / "in.state", temperature, targets, name=name), 1.0, species, CUTOFF
    )


def flexible(species=("A",)):
    wall = LennardJones(list(species), CUTOFF, epsilon=0.3, sigma=0.9)
    return BSpline(list(species), CUTOFF) + wall


def deviation(potential, low):
    r = np.linspace(low, CUTOFF, 300)
    return float(np.sqrt(np.mean((energies(potential, r).detach().numpy() - lj(r)) ** 2)))


@pytest.fixture(scope="module")
def mean_force(tmp_path_factory):
    potential = flexible()
    fit_mean_force(potential, [ensemble(tmp_path_factory.mktemp("pmf"), 1.0, [CURVE])])
    return potential


@pytest.mark.parametrize("reach", [4.0, 2.7])
def test_the_start_in_a_dense_liquid_is_nearer_than_the_potential_of_mean_force(
    tmp_path, mean_force, reach
):
    """Lennard-Jones at rho = 0.7, T = 1. What is left is within the first peak: the theory has its
    error, the bridge function, where particles touch.

    Measured, rms in eps beyond 1.05: 0.28, and 0.09 (reach 4.0) or 0.08 (2.7); beyond 1.1: 0.29,
    and 0.06 or 0.05.
    """
    target = RDF.from_file(EXAMPLE / "target.csv", ("A", "A"), range=(0.0, reach))
    chain = flexible()
    assert fit_hypernetted_chain(chain, [ensemble(tmp_path, 1.0, [target])], [{"A": 0.7}]) == []
    for low, ratio in ((1.05, 0.4), (1.1, 0.25)):
        errors = deviation(mean_force, low), deviation(chain, low)
        print(f"rms error beyond {low}: mean force {errors[0]:.3f}, chain {errors[1]:.3f}")
        assert errors[1] < ratio * errors[0]


def test_systems_are_averaged(tmp_path, g):
    """A liquid at one temperature and a gas at another, of one potential, give that potential."""
    r = R[:KNOWN]
    liquid = RDF(r, g[:KNOWN], ("A", "A"))
    gas = RDF(r, np.exp(-np.minimum(np.where(r < CUTOFF, lj(r), 0.0), 500.0)), ("A", "A"))
    states = [ensemble(tmp_path, TEMPERATURE, [liquid]), ensemble(tmp_path, 1.0, [gas])]
    errors = []
    for density in (DENSITY, 1e-9):
        potential = flexible()
        densities = [{"A": density}, {"A": 1e-9}]
        assert fit_hypernetted_chain(potential, states, densities) == []
        errors.append(deviation(potential, 1.05))
    print("rms errors with the density of the liquid, and with none:", errors)
    assert errors[0] < 0.02
    # half of what the mean force of the liquid alone is wrong by
    assert errors[1] > 0.05


def test_species_that_a_system_does_not_hold_are_not_missed(tmp_path, g):
    results = []
    for species, held in ((["A", "B"], "B"), (["A"], "A")):
        potential = LennardJones(species, CUTOFF, epsilon=0.5, sigma=1.1)
        liquid = RDF(R[:KNOWN], g[:KNOWN], (held, held))
        state = ensemble(tmp_path, TEMPERATURE, [liquid], tuple(species))
        assert fit_hypernetted_chain(potential, [state], [{held: DENSITY}]) == []
        results.append(potential.log_epsilon.exp().tolist())
    assert results[0] == pytest.approx([0.5, 0.5, results[1][0]], rel=1e-3)
    assert abs(results[1][0] - 0.5) > 0.01


@pytest.mark.parametrize(
    ("low", "high", "density", "reason"),
    [
        (0.0, 4.0, {"A": 0.35, "B": 0.35}, "every pair of its species, and A-B has none"),
        (1.0, 4.0, {"A": 0.7}, r"begin where g\(r\) is zero, but it begins at r = 1.01"),
        (0.0, 2.0, {"A": 0.7}, r"reach to the cutoff 2.5 or beyond, but it ends at r = 1.99"),
        (0.0, 2.5, {"A": 0.7}, r"A-A ends at r = 2.49 .*reach to where g has settled .* as 5,"),
    ],
)
def test_what_falls_back_to_the_potential_of_mean_force_says_why(
    tmp_path, low, high, density, reason
):
    kept = (low < CURVE.r) & (high > CURVE.r)
    target = RDF(CURVE.r[kept], CURVE.g[kept], ("A", "A"))
    state = ensemble(tmp_path, 1.0, [target], ("A", "B"))
    chain, mean_force = (BSpline(["A", "B"], CUTOFF) for _ in range(2))
    (event,) = fit_hypernetted_chain(chain, [state], [density])
    assert event.startswith("System 'state' starts from the potential of mean force instead")
    assert event.endswith(".") and "\n" not in event
    assert re.search(reason, event), event
    fit_mean_force(mean_force, [state])
    assert chain.coefficients.tolist() == mean_force.coefficients.tolist()


@pytest.mark.parametrize(("low", "high"), [(0.0, 4.0), (1.0, 4.0), (0.0, 2.0), (0.0, 2.5)])
@pytest.mark.parametrize("form", ["lennard-jones", "mie", "morse", "buckingham"])
def test_a_closed_form_starts_from_the_structure_whatever_the_range(tmp_path, form, low, high):
    """In another unit of length and energy than those of the defaults, and whatever they are."""
    kept = (low < CURVE.r) & (high > CURVE.r)
    length, kt = 3.4, 0.238
    target = RDF(length * CURVE.r[kept], CURVE.g[kept], ("A", "A"))
    state = ensemble(tmp_path, kt, [target])
    given = {"morse": {"d0": 1, "alpha": 1, "r0": 1}, "buckingham": {"a": 1, "rho": 1, "c": 1}}
    potential = create(
        form, species=["A"], cutoff=CUTOFF * length, units="real", **given.get(form, {})
    )
    assert fit_hypernetted_chain(potential, [state], [{"A": 0.7 / length**3}]) == []
    r = np.linspace(0.95, 2.0, 500)
    u = energies(potential, length * r).detach().numpy() / kt
    assert u.min() == pytest.approx(lj(r).min(), rel=0.15)
    assert r[np.argmin(u)] == pytest.approx(2 ** (1 / 6), rel=0.02)
    choose_grid(potential, 1e-3)  # and can be simulated


def test_a_training_knows_the_density_and_reports_in_its_first_iteration(tmp_path):
    script = (EXAMPLE / "in.lj").read_text().replace("0 10 0 10 0 10", "0 5 0 5 0 5")
    (tmp_path / "in.lj").write_text(script)

    def trainer(targets, name, potential=None):
        return Trainer(
            potential or LennardJones(["A"], CUTOFF, epsilon=0.5),
            [System(tmp_path / "in.lj", 1.0, targets, name=name)],
            protocol=Protocol(steps=20, every=10, equilibration=0, relaxation=0),
            optimizer="sgd",
            start="hnc",
        )

    def target(reach):
        kept = reach > CURVE.r
        return RDF(CURVE.r[kept], CURVE.g[kept], ("A", "A"))

    expected = LennardJones(["A"], CUTOFF, epsilon=0.5)
    fit_hypernetted_chain(expected, [ensemble(tmp_path, 1.0, [target(2.8)])], [{"A": 0.7}])
    full = trainer([target(2.8)], "full")
    assert full.potential.log_epsilon.item() == pytest.approx(expected.log_epsilon.item(), abs=1e-6)
    assert not full.fit(1)[0].events[:-1]
    # a closed form would start from the fluid that has the target's structure
    records = trainer([target(2.0)], "short", Neural(["A"], CUTOFF, hidden=[8])).fit(2)
    ends, starts = beside_the_norm(records[0].events)[:2]
    assert "system 'short' ends at r = 2, before the cutoff" in ends
    assert "'short' starts from the potential of mean force" in starts
    assert not any("mean force" in event for event in records[1].events)
