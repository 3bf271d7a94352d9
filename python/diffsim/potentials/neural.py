"""A neural network per pair of species, with a repulsive wall and a smooth end."""

# Without "from __future__ import annotations": torch.jit reads the classes' annotations below and
# cannot resolve them from strings.

import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch

from diffsim.errors import InputError
from diffsim.potentials.base import PairPotential
from diffsim.potentials.options import UNITS, PairValues, check_count, pair_values
from diffsim.potentials.tangent_kernel import perceptron_kernel

BASIS_SQUARES = math.pi**0.5
"""Sum of the squares of Gaussians as wide as their spacing, at any distance."""


class RadialNetwork(torch.nn.Module):
    """Multilayer perceptron on Gaussians of the distance.

    ``f(x) = W_L tanh(... tanh(W_1 g(x) + b_1) ...) + b_L`` with
    ``g_k(x) = exp(-(x - x_k)^2 / (2 w^2))`` on a uniform grid of x_k in [0, 1], w its
    spacing. Gaussians rather than x itself, so that the first layer sees where a pair is and a
    change of the potential at one distance hardly moves it elsewhere. They and tanh are bounded
    and infinitely differentiable: so is f.

    Parameters
    ----------
    hidden
        Units of each hidden layer.
    n_basis
        Number of Gaussians.
    generator
        Source of the initial weights.
    """

    centers: torch.Tensor

    def __init__(self, hidden: Sequence[int], n_basis: int, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("centers", basis_centers(n_basis))
        self.layers = perceptron(n_basis, BASIS_SQUARES, hidden, generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Evaluate f at x = r/cutoff, shape (n,), float64; returns shape (n,), float64."""
        value: torch.Tensor = self.layers(radial_basis(x, self.centers))
        return value.squeeze(1)

    def tangent_kernel(self, x: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
        """See ``perceptron_kernel``: of energies with derivatives du/df at x, all of shape (n,)."""
        return perceptron_kernel(self.layers, radial_basis(x, self.centers), slopes)[0]


class NetworkOnWall(PairPotential):
    """What potentials made of networks share: the repulsive wall and the smooth end.

    ``u(r) = E s(r/cutoff) [f(r/cutoff) + (sigma/r)^12]`` with

    - f a network, for the subclass to evaluate: bounded, so that the wall wins at small r whatever
      f has learned and where there are no data to learn from;
    - sigma > 0 learnable;
    - E a fixed energy that makes f of order one, which first- and second-order optimizers want;
    - ``s(x) = 1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2)`` with p = 6: one at
      small r, zero at the cutoff with its first and second derivative (J. Gasteiger, J. Gross,
      S. Guennemann, ICLR 2020, arXiv:2003.03123, eq. 8).

    Parameters
    ----------
    species, cutoff, units
        See ``PairPotential``.
    sigma
        Initial range of the wall, in distance units: a positive number, or a symmetric array-like
        of shape (n_species, n_species). 0.4 of the cutoff by default.
    energy_scale
        E, in energy units: likewise. By default epsilon in lj units and k_B 300 K in others.
    wall
        False leaves out (sigma/r)^12, and makes the network zero at first: a correction to another
        potential, in a sum that has a wall already.

    Attributes
    ----------
    log_sigma : torch.nn.Parameter
        Natural logarithm of sigma, shape (n_pairs,), in the order of ``pair_index``; without a wall
        an empty buffer.

    Raises
    ------
    InputError
        If an argument is not as described.
    """

    energy_scale: torch.Tensor
    log_sigma: torch.Tensor

    def __init__(
        self,
        species: Sequence[str],
        cutoff: float,
        units: str,
        sigma: PairValues | None,
        energy_scale: PairValues | None,
        wall: bool,
    ) -> None:
        super().__init__(species, cutoff, units)
        if not isinstance(wall, bool):
            raise InputError(f"wall must be true or false; found {wall!r}.")
        if not wall and sigma is not None:
            raise InputError(
                f"sigma is the range of the wall, which wall: false leaves out; found {sigma!r}. "
                "Leave out one of the two."
            )
        self.wall = wall
        sigma = 0.4 * self.cutoff if sigma is None else sigma
        energy_scale = UNITS[self.units] if energy_scale is None else energy_scale
        log_sigma = pair_values("sigma", sigma, self.n_species).log()
        if wall:
            self.log_sigma = torch.nn.Parameter(log_sigma)
        else:
            self.register_buffer("log_sigma", torch.empty(0, dtype=torch.float64))
        self.register_buffer(
            "energy_scale", pair_values("energy_scale", energy_scale, self.n_species)
        )

    def on_wall(self, network: torch.Tensor, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energies u from values f of the network; all shapes (n,), see ``pair_energy``."""
        if self.wall:
            network = network + (self.log_sigma.exp()[pair] / r) ** 12
        return self.energy_scale[pair] * _envelope(r / self.cutoff) * network

    def slopes(self, r: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Derivatives of the energies by f and by ln sigma at distances r of each pair; all of
        shape (n_pairs, n)."""
        inside = r.clamp(min=self.core, max=self.cutoff)
        by_network = (
            self.energy_scale[:, None] * _envelope(inside / self.cutoff) * (r < self.cutoff)
        )
        by_wall = by_network * 12.0 * (self.log_sigma.exp()[:, None] / inside) ** 12
        return by_network, by_wall * float(self.log_sigma.requires_grad)


class Neural(NetworkOnWall):
    """Neural network per unordered pair of species on a repulsive wall; see ``NetworkOnWall``.

    Parameters
    ----------
    species, cutoff, units
        See ``PairPotential``.
    hidden
        Units of each hidden layer.
    n_basis
        Number of Gaussians between 0 and the cutoff; at least 2.
    sigma, energy_scale, wall
        See ``NetworkOnWall``.
    seed
        Seed of the initial weights. torch's global generator is neither read nor advanced.

    Attributes
    ----------
    log_sigma : torch.nn.Parameter
        See ``NetworkOnWall``.
    networks : torch.nn.ModuleList
        One ``RadialNetwork`` per unordered pair of species, in the order of ``pair_index``.

    Raises
    ------
    InputError
        If an argument is not as described.
    """

    def __init__(
        self,
        species: Sequence[str],
        cutoff: float,
        units: str = "lj",
        hidden: Sequence[int] = (32, 32),
        n_basis: int = 24,
        sigma: PairValues | None = None,
        energy_scale: PairValues | None = None,
        seed: int = 0,
        wall: bool = True,
    ) -> None:
        super().__init__(species, cutoff, units, sigma, energy_scale, wall)
        widths = check_hidden(hidden)
        check_count("n_basis", n_basis, minimum=2)
        generator = torch.Generator().manual_seed(check_count("seed", seed, minimum=0))
        self.networks = torch.nn.ModuleList(
            RadialNetwork(widths, n_basis, generator) for _ in range(self.n_pairs)
        )
        if not wall:
            end_at_zero(self.networks)

    def pair_energy(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy of a pair inside the cutoff; see ``PairPotential.pair_energy``."""
        x = r / self.cutoff
        value = torch.zeros_like(r)
        for k, network in enumerate(self.networks):
            rows = torch.nonzero(pair == k).squeeze(1)
            value = value.index_add(0, rows, network(x[rows]))
        return self.on_wall(value, r, pair)

    @torch.no_grad()
    def tangent_kernels(self, r: torch.Tensor) -> torch.Tensor:
        """One kernel for each pair; see ``diffsim.potentials.tangent_kernel``."""
        by_network, by_wall = self.slopes(r)
        kernels = by_wall[:, :, None] * by_wall[:, None, :]
        for k, network in enumerate(cast(Iterable[RadialNetwork], self.networks)):
            x = r[k].clamp(min=self.core, max=self.cutoff) / self.cutoff
            kernels[k] += network.tangent_kernel(x, by_network[k])
        return kernels


def basis_centers(n_basis: int) -> torch.Tensor:
    """Centres x_k of the Gaussians of ``RadialNetwork``, shape (n_basis,), float64."""
    return torch.linspace(0.0, 1.0, n_basis, dtype=torch.float64)


def radial_basis(x: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Gaussians g_k of ``RadialNetwork`` at x = r/cutoff, shape (n, n_basis) (scriptable)."""
    offset = (x.unsqueeze(1) - centers) * float(centers.numel() - 1)
    return torch.exp(-0.5 * offset * offset)


def perceptron(
    n_in: int, squares: float, hidden: Sequence[int], generator: torch.Generator
) -> torch.nn.Sequential:
    """Multilayer perceptron with tanh between its layers and one output, in float64.

    Parameters
    ----------
    n_in
        Number of inputs.
    squares
        Sum of the squares of the inputs, as typical: the initial weights give unit variance in
        front of each tanh.
    hidden
        Units of each hidden layer.
    generator
        Source of the initial weights.
    """
    layers: list[torch.nn.Module] = []
    for n_out in hidden:
        layers += [_linear(n_in, n_out, squares**-0.5, generator), torch.nn.Tanh()]
        n_in, squares = n_out, float(n_out)
    layers.append(_linear(n_in, 1, 0.1 * squares**-0.5, generator))
    return torch.nn.Sequential(*layers)


def end_at_zero(networks: torch.nn.Module) -> None:
    """Make perceptrons zero: the weights of their last layers, whose biases are zero already."""
    for module in networks.modules():
        if isinstance(module, torch.nn.Linear) and module.out_features == 1:
            torch.nn.init.zeros_(module.weight)


def check_hidden(hidden: Any) -> list[int]:
    """Return the widths of the hidden layers, or raise InputError."""
    if isinstance(hidden, str) or not isinstance(hidden, Sequence) or not hidden:
        raise InputError(
            f"hidden must be a list of layer widths such as [32, 32]; found {hidden!r}."
        )
    return [check_count("Each width in hidden", width, minimum=1) for width in hidden]


def _envelope(x: torch.Tensor) -> torch.Tensor:
    """s(x) of ``NetworkOnWall``, p = 6: above 0.85 up to half the cutoff."""
    return 1.0 - x**6 * (28.0 - 48.0 * x + 21.0 * x**2)


def _linear(n_in: int, n_out: int, scale: float, generator: torch.Generator) -> torch.nn.Linear:
    """Linear layer in float64 with normal weights of standard deviation ``scale``, bias zero."""
    # skip_init, because torch.nn.Linear would draw its weights from the global generator.
    layer: torch.nn.Linear = torch.nn.utils.skip_init(  # type: ignore[no-untyped-call]
        torch.nn.Linear, n_in, n_out, dtype=torch.float64
    )
    torch.nn.init.normal_(layer.weight, std=scale, generator=generator)
    torch.nn.init.zeros_(layer.bias)
    return layer
