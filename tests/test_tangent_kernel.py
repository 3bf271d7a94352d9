"""The tangent kernel of potentials, and the fit of many pairs that rests on it."""

import time

import numpy as np
import pytest
import torch

from diffsim.knots import Grid, knot_values
from diffsim.optimizers.projection import fit_values
from diffsim.potentials import BSpline, Embedding, LennardJones, Neural, Sum, load
from diffsim.potentials.tangent_kernel import points_of_pairs, tangent_kernels
from diffsim.species import species_pairs

CUTOFF = 2.5


def some_weights(potential, seed=3):
    """Weights that are not those of the start, where some derivatives are zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in potential.parameters():
            p += 0.1 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
    return potential


def by_definition(potential, r):
    """J J^T of all points of all pairs, from one dense Jacobian by automatic differentiation."""
    weights = {name: p.detach() for name, p in potential.named_parameters() if p.requires_grad}
    points = points_of_pairs(r, len(potential.species))
    blocks = torch.func.jacrev(lambda w: torch.func.functional_call(potential, w, points))(weights)
    jacobian = torch.cat([blocks[name].reshape(r.numel(), -1) for name in weights], dim=1)
    return (jacobian @ jacobian.T).detach()


class Mixing(torch.nn.Module):
    """Sizes of pairs that are the mean of those of their species: no weight is of one pair only."""

    def __init__(self):
        super().__init__()
        self.species, self.cutoff, self.units = ["A", "B"], CUTOFF, "lj"
        self.sizes = torch.nn.Parameter(torch.tensor([1.0, 0.8], dtype=torch.float64))

    def forward(self, r, type_i, type_j):
        return torch.exp(-r / (self.sizes[type_i] + self.sizes[type_j]))


def neural_with_a_fixed_wall():
    potential = Neural(["A", "B"], CUTOFF, seed=1)
    potential.log_sigma.requires_grad_(False)
    return potential


@pytest.mark.parametrize(
    ("make", "blocks"),
    [
        (lambda: Neural(["A"], CUTOFF, seed=1), 1),
        (lambda: Neural(["A", "B"], CUTOFF, hidden=(8, 5, 7), seed=1), 3),
        (neural_with_a_fixed_wall, 3),
        (lambda: Embedding(["A", "B", "C"], CUTOFF, hidden=(8, 8), seed=1), 1),
        (lambda: BSpline(["A", "B"], CUTOFF, n_knots=12), 3),
        (lambda: LennardJones(["A", "B"], CUTOFF), 3),
        (lambda: LennardJones(["A", "B"], 2.0) + Neural(["A", "B"], CUTOFF, seed=1), 3),
        (lambda: Neural(["A", "B"], 2.0, seed=1) + Embedding(["A", "B"], CUTOFF, seed=1), 1),
        (lambda: Sum(*[Neural(["A", "B"], CUTOFF, seed=1)] * 2), 3),
        (Mixing, 1),
    ],
)
def test_it_is_the_product_of_the_jacobian_with_itself(make, blocks):
    potential = some_weights(make())
    n_pairs = len(species_pairs(len(potential.species)))
    r = torch.linspace(0.8, CUTOFF, 7, dtype=torch.float64) - 0.02 * torch.arange(n_pairs)[:, None]
    kernels = tangent_kernels(potential, r)
    assert len(kernels) == blocks
    whole = kernels[0] if blocks == 1 else torch.block_diag(*kernels)
    exact = by_definition(potential, r)
    assert not kernels.requires_grad
    assert (whole - exact).abs().max() < 1e-12 * exact.abs().max()


def test_that_of_a_loaded_model_is_that_of_the_saved_one(tmp_path):
    potential = some_weights(Neural(["A", "B"], CUTOFF, seed=1))
    potential.save(tmp_path / "model.pt")
    r = torch.linspace(0.9, 2.4, 6, dtype=torch.float64).repeat(3, 1)
    loaded = tangent_kernels(load(tmp_path / "model.pt"), r)
    assert loaded.numpy() == pytest.approx(tangent_kernels(potential, r).numpy(), rel=1e-10)


def lennard_jones(r, epsilon, sigma):
    x = (sigma / r) ** 6
    return 4.0 * epsilon * (x * x - x)


@pytest.mark.parametrize("iterations", [1, 15])
def test_pairs_with_weights_of_their_own_are_fitted_as_if_they_were_alone(iterations):
    """The fit of a mixture is that of its pairs one by one, also where these need more steps."""
    parameters = [(1.0, 1.0, 0.8), (1.5, 0.95, 0.75), (0.5, 0.9, 0.7)]
    inner = tuple(first for _, _, first in parameters)
    grid = Grid(("A", "B"), "lj", CUTOFF, inner, 400)
    values = np.stack([lennard_jones(grid.distances(k), *parameters[k][:2]) for k in range(3)])
    mixture = Neural(["A", "B"], CUTOFF, seed=1)
    alone = [Neural(["A"], CUTOFF, seed=1) for _ in range(3)]
    for single, network in zip(alone, mixture.networks, strict=True):
        single.networks[0].load_state_dict(network.state_dict())
    fit_values(mixture, grid, values, 1.0, iterations)
    found = knot_values(mixture, grid).detach().numpy()
    for k, single in enumerate(alone):
        own = Grid(("A",), "lj", CUTOFF, (inner[k],), 400)
        fit_values(single, own, values[k : k + 1], 1.0, iterations)
        curve = knot_values(single, own).detach().numpy()[0]
        seen = values[k] < 30.0
        assert found[k, seen] == pytest.approx(curve[seen], abs=1e-7)


def test_twenty_one_pairs_are_fitted_in_seconds():
    """Six species; one dense Jacobian of all their networks takes minutes, and 5 GB."""
    species = list("ABCDEF")
    n_pairs = len(species_pairs(6))
    grid = Grid(tuple(species), "lj", CUTOFF, (0.8,) * n_pairs, 200)
    values = np.stack(
        [lennard_jones(grid.distances(k), 1.0 + 0.02 * k, 0.9 + 0.01 * k) for k in range(n_pairs)]
    )
    potential = Neural(species, CUTOFF, seed=1)
    began = time.process_time()
    rest = fit_values(potential, grid, values, 1.0, 15)
    assert rest < 0.02
    assert time.process_time() - began < 20.0  # 1 s
