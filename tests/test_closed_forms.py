"""Options of the closed forms: learned exponents, fixed, bounded and mixed parameters, sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffsim.errors import InputError
from diffsim.knots import Grid
from diffsim.optimizers.projection import fit_values
from diffsim.potentials import LennardJones, Mie, create, load
from test_potentials import CUTOFF, derivatives, energies, energy

OPTIONS = {
    "learned n": {"form": "mie", "n": "learn"},
    "learned n and m": {"form": "mie", "n": {"learn": 14}, "m": "learn"},
    "learned m": {"form": "mie", "n": 14, "m": {"learn": 7}},
    "bounded n": {"form": "mie", "n": {"learn": 10}, "bounds": {"n": [9, 16]}},
    "fixed": {"form": "lennard-jones", "fixed": ["sigma"]},
    "bounded": {"form": "lennard-jones", "bounds": {"epsilon": [0.1, 2], "sigma": [0.9, 1.2]}},
    "mixed": {"form": "lennard-jones", "mixing": "lorentz-berthelot"},
    "all": {"form": "mie", "n": "learn", "mixing": "geometric", "bounds": {"epsilon": [0.1, 2]}},
    "yukawa": {"form": "yukawa", "a": 2, "kappa": 1.5, "bounds": {"a": [-3, 3]}},
    "morse": {"form": "morse", "d0": 1, "alpha": 5, "r0": 1.1, "fixed": ["r0"]},
    "buckingham": {"form": "buckingham", "a": 1e5, "rho": 0.09, "c": 4, "bounds": {"c": [1, 9]}},
}


def make(name, scale=0.05, seed=11):
    """A potential of two species whose weights are moved at random."""
    potential = create(species=["A", "B"], cutoff=CUTOFF, **OPTIONS[name])
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in potential.parameters():
            if p.requires_grad:
                p.add_(scale * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return potential


@pytest.mark.parametrize("name", OPTIONS)
def test_derivatives_script_and_file(name, tmp_path):
    potential = make(name)
    r = torch.linspace(0.85, 2.4, 30, dtype=torch.float64)
    h = 1e-5
    first, _ = derivatives(potential, r, 0, 1)
    up, down = energies(potential, r + h, 0, 1), energies(potential, r - h, 0, 1)
    torch.testing.assert_close(first, ((up - down) / (2 * h)).detach(), rtol=1e-6, atol=1e-6)
    potential.save(tmp_path / "model.pt")
    read = load(tmp_path / "model.pt")
    torch.testing.assert_close(energies(read, r, 0, 1), energies(potential, r, 0, 1))
    learned = {n for n, p in potential.named_parameters() if p.requires_grad}
    assert {n.removeprefix("module.") for n, p in read.named_parameters() if p.requires_grad} == (
        learned
    )


@pytest.mark.parametrize("name", ["learned n", "learned n and m", "learned m", "bounded n", "all"])
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_exponents_keep_their_order_and_the_well_its_depth_for_any_weights(name, scale):
    for seed in range(5):
        potential = make(name, 0.05)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for p in potential.shape.parameters():
                p.copy_(scale * torch.randn(p.shape, generator=generator, dtype=p.dtype))
        n, m = (potential.shape.mixing(own) for own in potential.shape.own())
        assert (n >= m + 0.5 - 1e-9).all() and (m > 0).all() and (n <= 50.0).all()
        if name == "bounded n":
            assert (n >= 9).all() and (n <= 16).all()
        epsilon = potential.epsilon_of(potential.log_epsilon)[1].item()
        sigma = potential.sigma_of(potential.log_sigma)[1].item()
        ratio = (n[1] / m[1]).item() ** (1.0 / (n[1] - m[1]).item())
        at = torch.tensor([sigma * ratio], dtype=torch.float64)
        depth = potential.formula(at, torch.tensor([1])).item()
        assert depth == pytest.approx(-epsilon, rel=1e-9)
        core = torch.tensor([0.0, 1e-6], dtype=torch.float64)
        assert torch.isfinite(energies(potential, core)).all()


def test_a_learned_exponent_begins_where_it_is_told():
    r = torch.linspace(0.9, 2.4, 20)
    for n, m in ((12, 6), (9, 6), (49.9, 11.9)):
        learned = Mie(["A"], CUTOFF, n={"learn": n}, m={"learn": m})
        torch.testing.assert_close(energies(learned, r), energies(Mie(["A"], CUTOFF, n=n, m=m), r))
    first = Mie(["A"], CUTOFF, n="learn")
    torch.testing.assert_close(energies(first, r), energies(LennardJones(["A"], CUTOFF), r))


def test_a_fit_finds_the_exponent():
    truth = Mie(["A"], CUTOFF, epsilon=0.8, sigma=1.03, n=9.5)
    grid = Grid(("A",), "lj", CUTOFF, (0.85,), 400)
    values = energies(truth, grid.distances(0)).detach().numpy()[None, :]
    potential = Mie(["A"], CUTOFF, n="learn")
    assert fit_values(potential, grid, values, 1.0, 200) < 1e-5
    n, _ = potential.shape.own()
    assert n.item() == pytest.approx(9.5, rel=1e-4)
    assert potential.log_epsilon.exp().item() == pytest.approx(0.8, rel=1e-4)


def test_fixed_parameters_stay_and_bounds_hold_in_a_fit():
    grid = Grid(("A",), "lj", CUTOFF, (0.85,), 400)
    values = energies(LennardJones(["A"], CUTOFF, epsilon=3.0), grid.distances(0))
    values = values.detach().numpy()[None, :]
    fixed = LennardJones(["A"], CUTOFF, sigma=1.04, fixed=["sigma"])
    fit_values(fixed, grid, values, 1.0, 100)
    assert fixed.log_sigma.exp().item() == pytest.approx(1.04, rel=1e-12)
    assert fixed.log_epsilon.exp().item() != pytest.approx(1.0, rel=0.1)
    bounded = LennardJones(["A"], CUTOFF, bounds={"epsilon": [0.5, 2.0]})
    fit_values(bounded, grid, values, 1.0, 100)
    found = bounded.epsilon_of(bounded.log_epsilon).item()
    assert 1.9 < found <= 2.0


def test_mixing_rules():
    like = {"epsilon": [[1.0, 0.6], [0.6, 0.36]], "sigma": [[1.0, 1.25], [1.25, 1.5]]}
    mixed = LennardJones(["A", "B"], 10.0, mixing="lorentz-berthelot", **like)
    assert mixed.log_epsilon.shape == mixed.log_sigma.shape == (2,)
    assert mixed.epsilon_of(mixed.log_epsilon).tolist() == pytest.approx([1.0, 0.6, 0.36])
    assert mixed.sigma_of(mixed.log_sigma).tolist() == pytest.approx([1.0, 1.25, 1.5])
    shift = 4 * 0.6 * (0.125**12 - 0.125**6)
    assert energy(mixed, 1.25 * 2 ** (1 / 6), 0, 1) == pytest.approx(-0.6 - shift, rel=1e-9)
    like["sigma"] = [[1.0, 2.0], [2.0, 4.0]]
    geometric = LennardJones(["A", "B"], 10.0, mixing="geometric", **like)
    assert geometric.sigma_of(geometric.log_sigma).tolist() == pytest.approx([1.0, 2.0, 4.0])
    with pytest.raises(InputError, match="sigma of unlike pairs follows from that of like pairs"):
        LennardJones(["A", "B"], 10.0, mixing="lorentz-berthelot", **like)


def test_state_dicts_of_before_fit():
    """Without options the weights are those that they always were."""
    assert set(Mie(["A"], CUTOFF).state_dict()) == {"log_epsilon", "log_sigma"}
    old = {"log_epsilon": torch.tensor([np.log(0.7)]), "log_sigma": torch.tensor([0.0])}
    lj = LennardJones(["A"], 1e4)
    lj.load_state_dict(old)
    assert energy(lj, 2 ** (1 / 6)) == pytest.approx(-0.7)


@pytest.mark.parametrize("network", ["neural", "embedding"])
def test_a_network_beside_lennard_jones_is_zero_at_first(network):
    terms = [{"form": network}, {"form": "lennard-jones", "epsilon": 0.7}]
    total = create("sum", species=["A"], cutoff=CUTOFF, terms=terms)
    r = torch.linspace(0.0, 2.6, 50)
    assert torch.equal(energies(total, r), energies(LennardJones(["A"], CUTOFF, epsilon=0.7), r))
    loss = energies(total, r[20:]).square().sum()
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in total.terms[0].parameters())
    walled = create(
        "sum", species=["A"], cutoff=CUTOFF, terms=[{"form": network, "wall": True}, terms[1]]
    )
    assert energy(walled, 1.0) > energy(total, 1.0) + 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": "lern"}, "n must be a number, 'learn', or {learn: START}; found 'lern'"),
        ({"n": {"start": 3}}, "n must be a number, 'learn', or {learn: START}"),
        ({"n": {"learn": 60}}, "n is learned between 6.5 and 50, and must begin within; found 60"),
        ({"m": {"learn": 2}}, "m is learned between 3 and .*; found 2"),
        ({"fixed": "sigma"}, r"fixed must be a list of parameters such as \[epsilon\]"),
        ({"fixed": ["sgma"]}, "fixed must name parameters of the form, which are epsilon, sigma"),
        ({"n": "learn", "fixed": ["n"]}, "n cannot be learned and fixed"),
        ({"bounds": {"n": [9, 14]}}, "bounds of n need an exponent that is learned"),
        ({"bounds": {"epsilon": [2, 3]}}, "epsilon must begin within its bounds, 2.0 to 3.0"),
        ({"bounds": {"epsilon": [3, 2]}}, "smallest value in bounds of epsilon must be below"),
        ({"bounds": {"epsilon": [0, 2]}}, "smallest value in bounds of epsilon must be positive"),
        ({"bounds": {"epsilon": 2}}, "bounds of epsilon must be two numbers"),
        ({"bounds": [1, 2]}, "bounds must name parameters"),
        ({"mixing": "kong"}, "mixing must be one of lorentz-berthelot, geometric; found 'kong'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError, match=message):
        Mie(["A", "B"], CUTOFF, **options)
