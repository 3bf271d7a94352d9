"""One network for all pairs: what species share, and what tells them apart."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch

from diffsim.knots import Grid
from diffsim.optimizers.projection import fit_values
from diffsim.potentials import Embedding, Neural, load
from diffsim.species import species_pairs
from test_potentials import CUTOFF, derivatives, energies

R = torch.linspace(0.7, 2.45, 60, dtype=torch.float64)
TEN = list("ABCDEFGHIJ")


def test_species_under_exchanged_names_are_the_same_mixture():
    """A's vector given to B and B's to A: A-A becomes B-B, and A-B stays what it was."""
    potential, exchanged = Embedding(["A", "B"], CUTOFF, seed=2), Embedding(["A", "B"], CUTOFF)
    exchanged.load_state_dict(potential.state_dict())
    with torch.no_grad():
        exchanged.embeddings.copy_(potential.embeddings.flip(0))
    assert (energies(potential, R, 0, 0) - energies(potential, R, 1, 1)).abs().max() > 0.01
    for i, j in ((0, 0), (0, 1), (1, 1)):
        assert torch.equal(energies(exchanged, R, i, j), energies(potential, R, 1 - i, 1 - j))


def test_species_with_one_vector_are_one_species():
    potential = Embedding(["A", "B", "C"], CUTOFF, seed=3)
    with torch.no_grad():
        potential.embeddings[1] = potential.embeddings[0]
    for i, j in ((0, 1), (1, 1)):
        torch.testing.assert_close(energies(potential, R, i, j), energies(potential, R))
    torch.testing.assert_close(energies(potential, R, 1, 2), energies(potential, R, 0, 2))
    assert (energies(potential, R, 0, 2) - energies(potential, R)).abs().max() > 0.01


@pytest.mark.parametrize(("form", "shared"), [(Embedding, True), (Neural, False)])
def test_what_is_learned_of_one_pair_changes_the_others(form, shared):
    """And does not where every pair has a network of its own."""
    potential = form(["A", "B"], CUTOFF, seed=1)
    before = energies(potential, R, 1, 1).detach()
    (energies(potential, R, 0, 0) - 1.0).square().mean().backward()
    with torch.no_grad():
        for parameter in potential.parameters():
            parameter -= 0.01 * parameter.grad
    change = (energies(potential, R, 1, 1) - before).abs().max().item()
    assert change > 1e-3 if shared else change == 0.0


def test_it_ends_with_zero_slope_and_curvature():
    first, second = derivatives(Embedding(["A", "B"], CUTOFF), [CUTOFF - 1e-6], 0, 1)
    assert abs(first.item()) < 1e-9
    assert abs(second.item()) < 1e-4


def test_the_wall_beats_any_network():
    potential = Embedding(["A", "B"], CUTOFF, seed=5)
    with torch.no_grad():
        for parameter in potential.layers.parameters():
            parameter.mul_(30.0)
        potential.embeddings.mul_(30.0)
    r = torch.linspace(1e-3, 0.15, 100)
    assert (derivatives(potential, r, 0, 1)[0] < 0).all()
    assert (energies(potential, r, 0, 1) > 0).all()


def test_ten_species(tmp_path):
    """55 pairs, each with an energy of its own, in the file too; weights of a few networks."""
    potential = Embedding(TEN, CUTOFF, seed=4)
    potential.save(tmp_path / "ten.pt")
    loaded = load(tmp_path / "ten.pt")
    assert loaded.species == TEN
    pairs = list(combinations_with_replacement(range(10), 2))
    # all pairs in one call, and one after the other from the file
    i, j = (torch.tensor(pairs)[:, side].repeat_interleave(len(R)) for side in (0, 1))
    together = potential(R.repeat(len(pairs)), i, j).reshape(len(pairs), len(R))
    assert torch.isfinite(together).all()
    for row, (a, b) in zip(together, pairs, strict=True):
        torch.testing.assert_close(energies(loaded, R, b, a), row, rtol=1e-12, atol=1e-13)
    distance = (together[:, None] - together[None]).abs().amax(dim=2)
    assert distance[~torch.eye(len(pairs), dtype=torch.bool)].min() > 1e-3

    def weights(species):
        return sum(p.numel() for p in Embedding(species, CUTOFF).parameters())

    # a vector of 4 for each species and a range of the wall for each pair
    assert weights(TEN) - weights(["A"]) == 9 * 4 + 54


def test_its_seed_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    first, second = Embedding(["A"], CUTOFF, seed=7), Embedding(["A"], CUTOFF, seed=7)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(energies(first, R), energies(second, R))
    assert not torch.equal(energies(first, R), energies(Embedding(["A"], CUTOFF, seed=8), R))


# Kob and Andersen, Phys. Rev. E 51, 4626 (1995)
EPSILON = {(0, 0): 1.0, (0, 1): 1.5, (1, 1): 0.5}
SIGMA = {(0, 0): 1.0, (0, 1): 0.8, (1, 1): 0.88}


@pytest.mark.parametrize("seed", [0, 1])
def test_it_fits_the_three_pairs_of_kob_and_andersen(seed):
    """Measured, seeds 0 to 4: at most 0.0072 eps; Neural, with 2.6 times the weights: 0.0074."""
    grid = Grid(("A", "B"), "lj", CUTOFF, (0.8, 0.65, 0.7), 600)

    def lennard_jones(r, pair):
        x, end = (SIGMA[pair] / r) ** 6, (SIGMA[pair] / CUTOFF) ** 6
        return 4.0 * EPSILON[pair] * (x * x - x - end * end + end)

    values = [lennard_jones(grid.distances(k), pair) for k, pair in enumerate(species_pairs(2))]
    potential = Embedding(["A", "B"], CUTOFF, seed=seed)
    fit_values(potential, grid, np.array(values), 1.0, 300)
    errors = []
    for i, j in species_pairs(2):
        r = np.linspace(0.95 * SIGMA[i, j], CUTOFF, 200)
        deviation = energies(potential, r, i, j).detach().numpy() - lennard_jones(r, (i, j))
        errors.append(float(np.sqrt(np.mean(deviation**2))))
    print("rms error of A-A, A-B, B-B:", *(f"{error:.4f}" for error in errors))
    assert max(errors) < 0.015
