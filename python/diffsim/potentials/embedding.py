"""One neural network for all pairs of species, which are told apart by learned embeddings."""

# Without "from __future__ import annotations": torch.jit reads the classes' annotations below and
# cannot resolve them from strings.

from collections.abc import Sequence
from itertools import combinations_with_replacement

import torch

from diffsim.potentials.neural import (
    BASIS_SQUARES,
    NetworkOnWall,
    basis_centers,
    check_hidden,
    end_at_zero,
    perceptron,
    radial_basis,
)
from diffsim.potentials.options import PairValues, check_count
from diffsim.potentials.tangent_kernel import joined, perceptron_kernel


class Embedding(NetworkOnWall):
    """One network for all pairs of species, on a repulsive wall; see ``NetworkOnWall``.

    Each species a has a learned vector e_a, its embedding. The network of the pair a-b,

    ``f_ab(x) = F(g(x), (e_a + e_b) / sqrt(2), e_a * e_b)``

    with the Gaussians g of ``RadialNetwork`` and the product taken element by element, is symmetric
    in a and b as the sum and the product are. What is seen of one pair moves the weights of
    all: pairs that are rare learn from those that are frequent, and the number of weights grows by
    one vector with each species and by one range of the wall with each pair. The idea of species
    as vectors that are learned: K. T. Schuett et al., J. Chem. Phys. 148, 241722 (2018).

    Parameters
    ----------
    species, cutoff, units
        See ``PairPotential``.
    hidden
        Units of each hidden layer.
    n_basis
        Number of Gaussians between 0 and the cutoff; at least 2.
    size
        Length of the embeddings; at least 1.
    sigma, energy_scale, wall
        See ``NetworkOnWall``.
    seed
        Seed of the initial weights and embeddings. torch's global generator is neither read nor
        advanced.

    Attributes
    ----------
    embeddings : torch.nn.Parameter
        Shape (n_species, size); normal with unit variance at first.
    log_sigma : torch.nn.Parameter
        See ``NetworkOnWall``.

    Raises
    ------
    InputError
        If an argument is not as described.
    """

    centers: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor

    def __init__(
        self,
        species: Sequence[str],
        cutoff: float,
        units: str = "lj",
        hidden: Sequence[int] = (32, 32),
        n_basis: int = 24,
        size: int = 4,
        sigma: PairValues | None = None,
        energy_scale: PairValues | None = None,
        seed: int = 0,
        wall: bool = True,
    ) -> None:
        super().__init__(species, cutoff, units, sigma, energy_scale, wall)
        widths = check_hidden(hidden)
        check_count("n_basis", n_basis, minimum=2)
        check_count("size", size, minimum=1)
        generator = torch.Generator().manual_seed(check_count("seed", seed, minimum=0))
        self.embeddings = torch.nn.Parameter(
            torch.randn(self.n_species, size, generator=generator, dtype=torch.float64)
        )
        pairs = list(combinations_with_replacement(range(self.n_species), 2))
        first, second = torch.tensor(pairs).unbind(1)
        self.register_buffer("first", first)
        self.register_buffer("second", second)
        self.register_buffer("centers", basis_centers(n_basis))
        # the sum and the product of two normal vectors have unit variance in each element
        self.layers = perceptron(n_basis + 2 * size, BASIS_SQUARES + 2 * size, widths, generator)
        if not wall:
            end_at_zero(self.layers)

    def pair_energy(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy of a pair inside the cutoff; see ``PairPotential.pair_energy``."""
        inputs = torch.cat([self.gaussians(r), self.features()[pair]], dim=1)
        return self.on_wall(self.layers(inputs).squeeze(1), r, pair)

    def gaussians(self, r: torch.Tensor) -> torch.Tensor:
        """Gaussians of the distances (n,), shape (n, n_basis)."""
        return radial_basis(r / self.cutoff, self.centers)

    def features(self) -> torch.Tensor:
        """What tells the pairs apart, shape (n_pairs, 2 size)."""
        a, b = self.embeddings[self.first], self.embeddings[self.second]
        return torch.cat([(a + b) * 0.5**0.5, a * b], dim=1)

    @torch.no_grad()
    def tangent_kernels(self, r: torch.Tensor) -> torch.Tensor:
        """One kernel for all pairs; see ``diffsim.potentials.tangent_kernel``."""
        n = r.shape[1]
        by_network, by_wall = self.slopes(r)
        inside = r.reshape(-1).clamp(min=self.core, max=self.cutoff)
        features = self.features().repeat_interleave(n, dim=0)
        inputs = torch.cat([self.gaussians(inside), features], dim=1)
        kernel, by_inputs = perceptron_kernel(self.layers, inputs, by_network.reshape(-1))
        if self.embeddings.requires_grad:
            size = self.embeddings.shape[1]
            by_sum, by_product = by_inputs[:, -2 * size :].reshape(*r.shape, 2, size).unbind(2)
            jacobian = torch.zeros(*r.shape, *self.embeddings.shape, dtype=r.dtype)
            for k, (a, b) in enumerate(zip(self.first.tolist(), self.second.tolist(), strict=True)):
                jacobian[k, :, a] += 0.5**0.5 * by_sum[k] + by_product[k] * self.embeddings[b]
                jacobian[k, :, b] += 0.5**0.5 * by_sum[k] + by_product[k] * self.embeddings[a]
            flat = jacobian.reshape(r.numel(), -1)
            kernel += flat @ flat.T
        return kernel[None] + joined(by_wall[:, :, None] * by_wall[:, None, :])
