"""g(r) of boxes of different numbers of atoms: exact limits, consistency, and targets that move."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffsim.errors import InputError
from diffsim.potentials import LennardJones
from diffsim.simulation import System
from diffsim.species import species_pairs
from diffsim.targets import RDF
from diffsim.theory.finite_size import (
    at_density,
    correction,
    difference,
    first_order,
    limiting_structure,
    of_all_pairs,
    ratio,
)
from diffsim.theory.integral_equation import hnc_continuation, hnc_potential
from diffsim.training.finite_size import at_simulated_size

WIDTH, BINS = 0.1, 80
R = (np.arange(BINS) + 0.5) * WIDTH
LIQUID = Path(__file__).parents[1] / "examples" / "lj" / "target.csv"  # of 1000 atoms


def fluid(density, beta_u):
    """g of a mixture in the hypernetted chain approximation, grown from low density."""
    g = np.exp(-beta_u)
    for share in np.linspace(0.1, 1.0, 10):
        change = at_density(WIDTH, g, np.maximum(share - 0.1, 1e-9) * density, share * density)
        assert change is not None
        g = g * np.exp(change)
    return g


def soft(epsilon=1.0, sigma=1.0, r=R):
    """A purely repulsive potential, which ends smoothly at 2.5 sigma."""
    x = r / sigma
    return np.where(x < 2.5, epsilon * np.exp(4.0 * (1.0 - x)) * (1.0 - x / 2.5) ** 2, 0.0)


@pytest.fixture(scope="module")
def one():
    """A fluid of one species."""
    density = np.array([0.5])
    return density, fluid(density, soft()[None])


@pytest.fixture(scope="module")
def two():
    """A mixture of one part A and three parts B, of another size."""
    density = np.array([0.1, 0.3])
    return density, fluid(density, np.array([soft(), soft(1.2, 0.9), soft(0.8, 0.8)]))


def test_a_fluid_at_another_density_has_the_same_potential(one, two):
    for density, g in (one, two):
        other = density * np.linspace(1.06, 0.97, len(density))
        moved = g * np.exp(at_density(WIDTH, g, density, other))
        np.testing.assert_allclose(
            hnc_potential(WIDTH, moved, other), hnc_potential(WIDTH, g, density), atol=1e-7
        )
        assert np.abs(moved - g).max() > 1e-3


def test_an_ideal_gas_is_the_same_in_every_box():
    for density in ([0.7], [0.2, 0.5]):
        ideal = np.ones((len(species_pairs(len(density))), BINS))
        np.testing.assert_allclose(
            limiting_structure(WIDTH, ideal, np.array(density)), np.eye(len(density)), atol=1e-12
        )
        np.testing.assert_allclose(first_order(WIDTH, ideal, np.array(density)), 0.0, atol=1e-9)
    # N^2 pairs: 1 - 1/N
    np.testing.assert_allclose((1.0 - 1.0 / 40) * of_all_pairs(40.0), 1.0)


def test_a_dilute_gas_to_first_order_in_the_density():
    # S(0) = 1 - 2 B2 rho and g = exp(-beta u) (1 + rho f * f), so that D = 2 rho (B2 - f * f)
    rho = 1e-3
    f = np.exp(-soft()) - 1.0
    b2 = -2.0 * np.pi * WIDTH * np.sum(f * R**2)
    # f * f in bipolar coordinates, 2 pi / r int s f(s) int_|r - s|^(r + s) t f(t) dt ds
    inner = np.concatenate([[0.0], np.cumsum(R * f) * WIDTH])
    edges = np.arange(BINS + 1) * WIDTH
    upper = np.interp(R[:, None] + R, edges, inner)
    lower = np.interp(np.abs(R[:, None] - R), edges, inner)
    overlap = 2.0 * np.pi * WIDTH / R * ((upper - lower) @ (R * f))

    g = (np.exp(-soft()) * (1.0 + rho * overlap))[None]
    density = np.array([rho])
    assert limiting_structure(WIDTH, g, density)[0, 0] == pytest.approx(
        1.0 - 2.0 * b2 * rho, abs=3.0 * (b2 * rho) ** 2
    )
    expected = 2.0 * rho * (b2 - overlap)
    np.testing.assert_allclose(
        first_order(WIDTH, g, density)[0], expected, atol=0.02 * np.abs(expected).max()
    )


def test_compressibility_is_the_answer_of_the_pressure(one):
    # S(0)^-1 = d(beta P) / d rho at fixed potential, with P of the virial equation; in a fluid as
    # thin as this one the hypernetted chain approximation has one equation of state
    density, rho = one[0], 0.05
    g = one[1] * np.exp(at_density(WIDTH, one[1], density, np.array([rho])))
    step = 1e-4
    slope = (soft(1.0, 1.0, R + step) - soft(1.0, 1.0, R - step)) / (2.0 * step)

    def pressure(other):
        present = g[0] * np.exp(at_density(WIDTH, g, np.array([rho]), np.array([other]))[0])
        return other - 2.0 / 3.0 * np.pi * other**2 * WIDTH * np.sum(present * slope * R**3)

    stiffness = (pressure(1.02 * rho) - pressure(0.98 * rho)) / (0.04 * rho)
    assert stiffness > 1.2
    found = limiting_structure(WIDTH, g, np.array([rho]))[0, 0]
    assert 1.0 / found == pytest.approx(stiffness, rel=0.01)


def test_tails_are_those_of_the_fluctuations(one, two):
    # each pair: 1 - h(k = 0) / V, that is N times (delta / N_a - S_ab(0) / sqrt(N_a N_b))
    for density, g in (one, two):
        structure = limiting_structure(WIDTH, g, density)
        share = density / density.sum()
        found = first_order(WIDTH, g, density)
        for curve, (a, b) in zip(found, species_pairs(len(density)), strict=True):
            expected = (a == b) / share[a] - structure[a, b] / np.sqrt(share[a] * share[b])
            assert curve[-20:] == pytest.approx(expected, abs=2e-3)


def test_a_mixture_of_equal_species_is_one_fluid(one):
    density, g = one
    same = np.repeat(g, 3, axis=0)
    found = first_order(WIDTH, same, density[0] * np.array([0.3, 0.7]))
    alone = first_order(WIDTH, g, density)
    np.testing.assert_allclose(found, np.repeat(alone, 3, axis=0), atol=1e-3)


def test_average_over_boxes_is_the_large_fluid(one):
    # <n2_N> over a normal distribution of N, as the boxes of a grand canonical ensemble
    density, g = one
    volume, rho = 2000.0, density[0]
    deviation = np.sqrt(rho * limiting_structure(WIDTH, g, density)[0, 0] / volume)
    total = np.zeros(BINS)
    for shift in (-1.0, 1.0):  # two points have the mean and variance of the distribution
        present = np.array([rho + shift * deviation])
        curve = g * np.exp(at_density(WIDTH, g, density, present))
        n = present[0] * volume
        box = curve * (1.0 + first_order(WIDTH, curve, present) / n)
        total += 0.5 * box[0] * n * (n - 1.0) / volume**2
    seen = g[0] > 1e-3
    uncorrected = 1.0 / (rho * volume)
    np.testing.assert_allclose(total[seen] / (rho**2 * g[0][seen]), 1.0, atol=0.02 * uncorrected)


def test_there_and_back_again(two):
    density, g = two
    known = np.broadcast_to(R < 4.5, g.shape)  # half of the box of 500
    box = g * ratio(first_order(WIDTH, g, density), np.inf, 500)
    there = difference(WIDTH, box, density, known, 500, 4000)
    back = difference(WIDTH, box + there, density, known, 4000, 500)
    assert np.abs(there).max() > 1e-3
    np.testing.assert_allclose(there + back, 0.0, atol=1e-5)
    # the way does not matter
    through = difference(WIDTH, box, density, known, 500, np.inf)
    onward = difference(WIDTH, box + through, density, known, np.inf, 4000)
    np.testing.assert_allclose(through + onward, there, atol=1e-5)


def test_the_large_fluid_is_found_from_a_box(two):
    density, g = two
    exact = first_order(WIDTH, g, density)
    box = g * ratio(exact, np.inf, 500)
    known = np.broadcast_to(R < 4.5, g.shape)
    found = correction(WIDTH, box, density, known, 500)
    np.testing.assert_allclose(found[:, R < 4.5], exact[:, R < 4.5], atol=0.02)


def test_liquids_are_nearly_incompressible():
    target = RDF.from_file(LIQUID, ("A", "A"))
    g = np.interp(R, target.r, target.g)[None]
    known = (target.edges[-1] >= R)[None]
    found = correction(WIDTH, g, np.array([0.7]), known, 1000)
    large = hnc_continuation(WIDTH, g * ratio(found, 1000, np.inf), np.array([0.7]), known)
    structure = limiting_structure(WIDTH, large, np.array([0.7]))
    assert 0.0 < structure[0, 0] < 0.2
    # as the curve is not that of 60 atoms, no fluid has it
    assert correction(WIDTH, g, np.array([0.7]), known, 60) is None


# ---- in a training -------------------------------------------------------------------------------


SCRIPT = """\
units lj
{style}
lattice sc 0.7
region box block 0 5 0 5 0 5
create_box 2 box
create_atoms 1 box
set group all type/subset 2 25 4711
mass * 1.0
{more}
"""


def moved(tmp_path, targets, species=("A",), style="atom_style atomic", more="", **options):
    """Targets of 125 atoms (100 A and 25 B, or one species) at that size, and the events."""
    script = tmp_path / "in.fluid"
    script.write_text(SCRIPT.format(style=style, more=more))
    types = ["A", "B"] if len(species) == 2 else ["A", "A"]
    system = System(script, 1.0, targets, types=types, **options)
    (found,), events = at_simulated_size([system], LennardJones(list(species), 2.5), tmp_path)
    return found.targets, events


def curve(pair=("A", "A"), **box):
    """Of a gas of small hard spheres, which the integral equation knows."""
    r = 0.05 * (np.arange(50) + 0.5)
    return RDF(r, np.where(r > 0.5, 1.0, 0.0), pair, **box)


def test_targets_of_the_same_box_stay_as_they_are(tmp_path):
    for box in ({"atoms": 125, "norm": "N-1"}, {"atoms": {"A": 125.0}, "norm": "N-1"}):
        target = curve(**box)
        (found,), events = moved(tmp_path, [target])
        assert found is target and events == []


def test_targets_of_an_unknown_box_stay_as_they_are(tmp_path):
    target = curve()
    (found,), (event,) = moved(tmp_path, [target])
    assert found is target
    assert "(A-A) do not say how many atoms its box held, nor how pairs were counted" in event
    assert "'atoms' and 'norm' of the target" in event
    for box, words in (
        ({"atoms": 1000}, "how many atoms its box held but not its norm"),
        ({"norm": "N"}, "its norm but not how many atoms"),
    ):
        target = curve(**box)
        (found,), (event,) = moved(tmp_path, [target])
        assert found is target and words in event and "'atoms' and 'norm'" in event


def test_a_target_is_brought_to_the_simulated_number_of_atoms(tmp_path):
    target = curve(atoms=np.inf)
    (found,), (event,) = moved(tmp_path, [target])
    assert found.atoms == 125 and found.norm == "N-1" and found.norm_is_known
    volume, rho = 4.0 / 3.0 * np.pi * 0.5**3, 0.7  # of the hollow sphere about an atom
    tail = found.g[-1] - 1.0
    # 1 + (1 - S)/N with 1/S = 1 + rho v at least: c is more negative than h where others press
    assert rho * volume / (1.0 + rho * volume) / 125 < tail < 0.5 / 125
    assert np.all(found.g[target.g == 0.0] == 0.0)
    assert "infinitely many" in event and "125 atoms" in event and "integral equation" in event


def test_pairs_counted_as_n_squared(tmp_path):
    (like, unlike), (event,) = moved(
        tmp_path,
        [curve(atoms=125, norm="N"), curve(("A", "B"), atoms=125, norm="N")],
        species=("A", "B"),
    )
    # of 100 atoms A the share 1/100 was counted of an atom with itself, of A and B none
    assert like.g[-1] == pytest.approx(1.0 / (1.0 - 1.0 / 100))
    assert unlike.g[-1] == pytest.approx(1.0)
    assert "N^2 pairs" in event and "B-B has no target" in event and "incompressible" in event


def test_numbers_of_one_species_are_held_against_those_of_the_system(tmp_path):
    pair = [curve(("A", "B"), atoms={"A": 400.0, "B": 100.0}, norm="N-1")]
    (found,), _ = moved(tmp_path, pair, species=("A", "B"))
    assert found.g[-1] == pytest.approx((1.0 + 1.0 / 125) / (1.0 + 1.0 / 500))
    swapped = [curve(("A", "B"), atoms={"A": 100.0, "B": 400.0}, norm="N-1")]
    with pytest.raises(InputError, match=r"100 A and 400 B.*another mixture"):
        moved(tmp_path, swapped, species=("A", "B"))


def test_between_molecules_they_are_what_counts(tmp_path):
    groups = [
        f"group m{i} id {5 * i - 4}:{5 * i}\nset group m{i} mol {i}" for i in range(1, 26)
    ]  # of 5
    (found,), (event,) = moved(
        tmp_path,
        [curve(atoms=np.inf)],
        style="atom_style molecular",
        more="\n".join(groups),
        intermolecular=True,
    )
    assert found.g[-1] == pytest.approx(1.0 + 1.0 / 25)
    assert "25 molecules" in event and "no bonds" in event
