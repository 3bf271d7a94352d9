"""Pair potentials: the physics of each form, and what holds for all of them."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement

import pytest
import torch

from diffsim.errors import InputError
from diffsim.potentials import (
    FORMS,
    BSpline,
    Buckingham,
    LennardJones,
    Mie,
    Morse,
    Neural,
    Sum,
    Yukawa,
    create,
    pair_index,
)

CUTOFF = 2.5

OPTIONS = {
    "neural": {},
    "embedding": {},
    "bspline": {"n_knots": 20, "inner": 0.8},
    "mie": {"n": 14, "m": 7},
    "lennard-jones": {},
    "morse": {"d0": 1.0, "alpha": 5.0, "r0": 1.1},
    "yukawa": {"a": 2.0, "kappa": 1.5},
    "buckingham": {"a": 1e5, "rho": 0.09, "c": 4.0},
    "sum": {
        "terms": [
            {"form": "neural", "seed": 3},
            {"form": "yukawa", "cutoff": 2.0, "a": -1.0, "kappa": 1.0},
        ]
    },
}


def make(form, n_species=2):
    """A potential of each form, with parameters that differ from pair to pair."""
    potential = create(form, species=list("ABC")[:n_species], cutoff=CUTOFF, **OPTIONS[form])
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in potential.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.05 * noise)
    return potential


def energies(potential, r, i=0, j=0):
    r = torch.as_tensor(r, dtype=torch.float64)
    types = torch.zeros(r.shape, dtype=torch.int64)
    return potential(r, types + i, types + j)


def energy(potential, r, i=0, j=0):
    return energies(potential, [r], i, j).item()


def derivatives(potential, r, i=0, j=0):
    """First and second derivative of the energy by autograd."""
    r = torch.as_tensor(r, dtype=torch.float64).requires_grad_()
    (first,) = torch.autograd.grad(energies(potential, r, i, j).sum(), r, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), r)
    return first.detach(), second


# ---- what holds for every form ----


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


@pytest.mark.parametrize("n_species", [1, 2, 3])
def test_symmetric_in_the_types_and_distinct_for_each_pair(form, n_species):
    potential = make(form, n_species)
    r = torch.linspace(0.5, 2.4, 40)
    seen = []
    for i, j in combinations_with_replacement(range(n_species), 2):
        u = energies(potential, r, i, j)
        assert u.dtype == torch.float64
        assert torch.equal(u, energies(potential, r, j, i))
        assert all((u - other).abs().max() > 1e-4 for other in seen)
        seen.append(u)


def test_rows_of_different_pairs_do_not_mix(form):
    potential = make(form, 3)
    generator = torch.Generator().manual_seed(0)
    r = 0.6 + 2.2 * torch.rand(50, generator=generator, dtype=torch.float64)
    i = torch.randint(3, (50,), generator=generator)
    j = torch.randint(3, (50,), generator=generator)
    together = potential(r, i, j)
    one_by_one = torch.cat([potential(r[k : k + 1], i[k : k + 1], j[k : k + 1]) for k in range(50)])
    torch.testing.assert_close(together, one_by_one, rtol=1e-12, atol=1e-14)


def test_zero_at_and_beyond_the_cutoff(form):
    potential = make(form)
    u = energies(potential, [CUTOFF, math.nextafter(CUTOFF, 3), 3.0, 1e6], 0, 1)
    assert torch.equal(u, torch.zeros(4, dtype=torch.float64))
    assert abs(energy(potential, CUTOFF - 1e-9, 0, 1)) < 1e-7


def test_derivatives_agree_with_finite_differences(form):
    potential = make(form)
    r = torch.linspace(0.81, 2.47, 60, dtype=torch.float64)
    h = 1e-5
    first, second = derivatives(potential, r, 0, 1)
    up, down = energies(potential, r + h, 0, 1), energies(potential, r - h, 0, 1)
    torch.testing.assert_close(first, ((up - down) / (2 * h)).detach(), rtol=1e-6, atol=1e-6)
    up, down = derivatives(potential, r + h, 0, 1)[0], derivatives(potential, r - h, 0, 1)[0]
    torch.testing.assert_close(second, (up - down) / (2 * h), rtol=1e-4, atol=1e-4)


def test_gradients_are_never_nan(form):
    potential = make(form)
    r = torch.tensor([0.0, 1e-300, 1e-9, 1e-3, 0.1, 1.0, CUTOFF, 2.6, 1e9], dtype=torch.float64)
    assert not energies(potential, r).isnan().any()
    first, second = derivatives(potential, r)
    assert torch.isfinite(first).all()
    assert torch.isfinite(second).all()
    for gradient in torch.autograd.grad(energies(potential, r).sum(), list(potential.parameters())):
        assert not gradient.isnan().any()


def test_no_distances_give_no_energies(form):
    assert energies(make(form), []).shape == (0,)


def test_all_parameters_are_float64(form):
    parameters = list(make(form).parameters())
    assert parameters
    assert all(p.dtype == torch.float64 and p.requires_grad for p in parameters)


def test_scripted_equals_eager(form):
    potential = make(form)
    scripted = potential.script()
    r = torch.linspace(0.0, 3.0, 101)
    for _ in range(3):  # the profiling executor compiles after the first calls
        torch.testing.assert_close(
            energies(scripted, r, 0, 1), energies(potential, r, 0, 1), rtol=1e-12, atol=1e-14
        )
    first, second = derivatives(potential, r[1:], 0, 1)
    torch.testing.assert_close(derivatives(scripted, r[1:], 0, 1), (first, second))


def test_pairs_are_numbered_by_rows_of_the_upper_triangle():
    for n in (1, 2, 3, 5):
        pairs = list(combinations_with_replacement(range(n), 2))
        i, j = torch.tensor(pairs).T
        assert pair_index(i, j, n).tolist() == list(range(len(pairs)))
        assert pair_index(j, i, n).tolist() == list(range(len(pairs)))


# ---- the physics of the closed forms ----


def test_lennard_jones_minimum():
    lj = LennardJones(["A"], CUTOFF)
    shift = 4 * (2.5**-12 - 2.5**-6)
    assert shift == pytest.approx(-0.016316891136)
    assert energy(lj, 2 ** (1 / 6)) == pytest.approx(-1 - shift, abs=1e-12)
    assert energy(lj, 1.0) == pytest.approx(-shift, abs=1e-12)
    first, second = derivatives(lj, [2 ** (1 / 6)])
    assert first.item() == pytest.approx(0.0, abs=1e-11)
    assert second.item() == pytest.approx(57.1464378708551, rel=1e-10)  # 72 / 2^(1/3)


def test_mie_prefactor_and_well():
    assert Mie(["A"], CUTOFF, n=12, m=6).prefactor == pytest.approx(4.0, rel=1e-14)
    assert Mie(["A"], CUTOFF, n=9, m=6).prefactor == pytest.approx(6.75, rel=1e-14)
    mie = Mie(["A"], 1e4, epsilon=0.7, sigma=3.0, n=14, m=7)
    minimum = 3.0 * (14 / 7) ** (1 / 7)
    assert energy(mie, minimum) == pytest.approx(-0.7, rel=1e-12)
    assert derivatives(mie, [minimum])[0].item() == pytest.approx(0.0, abs=1e-12)


def test_morse_well():
    morse = Morse(["A"], 10.0, "metal", d0=0.35, alpha=1.4, r0=2.9)
    tail = 0.35 * ((1 - math.exp(-1.4 * 7.1)) ** 2 - 1)
    assert energy(morse, 2.9) == pytest.approx(-0.35 - tail, abs=1e-13)
    first, second = derivatives(morse, [2.9])
    assert first.item() == pytest.approx(0.0, abs=1e-13)
    assert second.item() == pytest.approx(2 * 0.35 * 1.4**2, rel=1e-12)


def test_yukawa_screens_and_may_attract():
    a = [[2.0, -3.0], [-3.0, 1.0]]
    yukawa = Yukawa(["A", "B"], 4.0, a=a, kappa=0.5)
    shape = math.exp(-0.5) - math.exp(-2.0) / 4.0
    assert energy(yukawa, 1.0, 0, 0) == pytest.approx(2.0 * shape)
    assert energy(yukawa, 1.0, 0, 1) == pytest.approx(-3.0 * shape)
    assert energy(yukawa, 1.0, 1, 1) == pytest.approx(shape)


def test_buckingham_value():
    buck = Buckingham(["O"], 10.0, "metal", a=22764.0, rho=0.149, c=27.88)  # O-O, Catlow (1977)
    shift = 22764.0 * math.exp(-10 / 0.149) - 27.88e-6
    expected = 22764.0 * math.exp(-3 / 0.149) - 27.88 / 729 - shift
    assert energy(buck, 3.0) == pytest.approx(expected, rel=1e-12)


def test_matrices_give_each_pair_its_own_parameters():
    epsilon = [[1.0, 0.5, 0.2], [0.5, 2.0, 0.3], [0.2, 0.3, 3.0]]
    lj = LennardJones(["A", "B", "C"], 100.0, epsilon=epsilon)
    for i in range(3):
        for j in range(3):
            assert energy(lj, 2 ** (1 / 6), i, j) == pytest.approx(-epsilon[i][j], rel=1e-9)


# ---- B-spline ----


def test_bspline_is_c2_at_its_knots_and_vanishes_smoothly():
    spline = make("bspline", 1)
    knots = torch.linspace(0.8, CUTOFF, 20, dtype=torch.float64)[:-1]
    before, after = derivatives(spline, knots - 1e-9), derivatives(spline, knots + 1e-9)
    torch.testing.assert_close(before[0], after[0], rtol=0, atol=1e-7)
    torch.testing.assert_close(before[1], after[1], rtol=0, atol=1e-4)
    first, second = derivatives(spline, [CUTOFF - 1e-7])
    assert abs(first.item()) < 1e-9
    assert abs(second.item()) < 1e-4


def test_bspline_continues_as_a_line_below_its_first_knot():
    spline = make("bspline", 1)
    u = energies(spline, [0.2, 0.5, 0.8])
    assert (u[0] - u[1]).item() == pytest.approx((u[1] - u[2]).item(), rel=1e-10)
    first, second = derivatives(spline, [0.3, 0.8 - 1e-9, 0.8 + 1e-9])
    torch.testing.assert_close(first, first[2].expand(3), rtol=0, atol=1e-6)
    assert second[0].item() == 0.0


def test_bspline_has_the_energy_of_its_basis():
    """Alone, a coefficient is the uniform cubic B-spline: 2/3 at its knot, 1/6 at the next."""
    spline = BSpline(["A"], 3.0, n_knots=11, inner=1.0)
    assert energies(spline, torch.linspace(0.0, 3.0, 20)).abs().max() == 0.0
    with torch.no_grad():
        spline.coefficients[0, 3] = 6.0  # centred on the knot of index 3, at 1.6
    assert energies(spline, [1.2, 1.4, 1.6, 1.8, 2.0]).tolist() == pytest.approx(
        [0.0, 1.0, 4.0, 1.0, 0.0], abs=1e-12
    )


# ---- neural network ----


def test_neural_fits_lennard_jones():
    r = torch.linspace(0.9, 2.5, 161, dtype=torch.float64)
    target = energies(LennardJones(["A"], CUTOFF), r).detach()
    neural = Neural(["A"], CUTOFF, hidden=(32, 32), seed=0)
    optimizer = torch.optim.LBFGS(
        neural.parameters(),
        max_iter=300,
        history_size=50,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-12,
        tolerance_change=1e-14,
    )

    def closure():
        optimizer.zero_grad()
        loss = (energies(neural, r) - target).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    rms = (energies(neural, r) - target).square().mean().sqrt().item()
    assert rms < 0.003
    below, _ = derivatives(neural, torch.linspace(0.01, 0.9, 90))
    assert (below < 0).all()  # the wall holds where there were no data


def test_neural_wall_beats_any_network():
    neural = Neural(["A"], CUTOFF, seed=5)
    with torch.no_grad():
        for parameter in neural.networks.parameters():
            parameter.mul_(30.0)
    r = torch.linspace(1e-3, 0.15, 100)
    assert (derivatives(neural, r)[0] < 0).all()
    assert (energies(neural, r) > 0).all()


def test_neural_ends_with_zero_slope_and_curvature():
    first, second = derivatives(make("neural", 1), [CUTOFF - 1e-6])
    assert abs(first.item()) < 1e-9
    assert abs(second.item()) < 1e-4


def test_neural_seed_is_reproducible_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    first, second = Neural(["A"], CUTOFF, seed=7), Neural(["A"], CUTOFF, seed=7)
    other = Neural(["A"], CUTOFF, seed=8)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    third = Neural(["A"], CUTOFF, seed=7)
    r = torch.linspace(0.5, 2.4, 30)
    assert torch.equal(energies(first, r), energies(second, r))
    assert torch.equal(energies(first, r), energies(third, r))
    assert not torch.equal(energies(first, r), energies(other, r))


def test_neural_scales_with_its_units():
    """The same potential in other units: energies in k_B 300 K, lengths in cutoffs."""
    in_lj = Neural(["A"], 2.5, "lj", seed=1)
    in_real = Neural(["A"], 10.0, "real", seed=1)
    ratio = energies(in_real, [2.0, 4.0, 8.0]) / energies(in_lj, [0.5, 1.0, 2.0])
    assert ratio.tolist() == pytest.approx([0.5962] * 3, rel=1e-10)


# ---- sums ----


def test_sum_adds_terms_and_takes_the_largest_cutoff():
    lj, yukawa = LennardJones(["A"], 2.5), Yukawa(["A"], 4.0, a=1.0, kappa=1.0)
    total = lj + yukawa
    assert isinstance(total, Sum)
    assert total.cutoff == 4.0
    r = torch.linspace(0.9, 5.0, 50)
    torch.testing.assert_close(energies(total, r), energies(lj, r) + energies(yukawa, r))
    assert energy(total, 3.0) == energy(yukawa, 3.0)


def test_sum_rejects_terms_that_do_not_fit():
    lj = LennardJones(["A"], 2.5)
    with pytest.raises(InputError, match="at least one potential"):
        Sum()
    with pytest.raises(InputError, match="same species; found \\['A'\\] and \\['B'\\]"):
        lj + LennardJones(["B"], 2.5)
    with pytest.raises(InputError, match="same units; found 'lj' and 'real'"):
        lj + LennardJones(["A"], 2.5, "real")
    with pytest.raises(InputError, match="must be a PairPotential; found Linear"):
        Sum(lj, torch.nn.Linear(1, 1))
    with pytest.raises(TypeError):
        lj + 1.0
