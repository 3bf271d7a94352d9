"""Inner products of the derivatives of energies by the weights: what least squares needs of them.

The tangent kernel of a potential u(r; w) is

    K_kl = sum_j (du_k / dw_j) (du_l / dw_j)

over the points k and l. With it the step of least squares with more weights than points is found
in the space of the points, and the Jacobian itself, of which a network's has thousands of columns,
need not exist. In one layer of a perceptron, y = W x + b, the derivative of u_k by W is the outer
product of its derivative by y and of x, so that

    K_kl = (du/dy_k . du/dy_l) (x_k . x_l + 1)

costs as much as a layer, not as much as its weights.

Source: Jacot, Gabriel and Hongler, Neural Tangent Kernel, NeurIPS 31 (2018); Goodfellow,
arXiv:1510.01799 (2015) for the layers.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch

from diffsim.potentials.model import Model, with_weights
from diffsim.species import species_pairs


@runtime_checkable
class HasTangentKernels(Protocol):
    """A potential that knows its tangent kernels better than automatic differentiation does."""

    def tangent_kernels(self, r: torch.Tensor) -> torch.Tensor:
        """See the function of the same name."""


def tangent_kernels(potential: Model, r: torch.Tensor) -> torch.Tensor:
    """Tangent kernels of a potential, one for each set of pairs of species that share weights.

    Parameters
    ----------
    potential
        A `torch.nn.Module` (r, type_i, type_j) -> u with an attribute species.
    r
        Distances of the points of each pair of species, shape (P, n), unit of length.

    Returns
    -------
    Shape (P, n, n), the kernel of every pair, if no weight belongs to two pairs; else (1, P n, P n)
    for all points together. Only weights that are learned (`requires_grad`) count. In energy
    squared over the unit of the weights squared.
    """
    if isinstance(potential, HasTangentKernels):
        return potential.tangent_kernels(r)
    return kernels_by_autograd(potential, r)


def points_of_pairs(
    r: torch.Tensor, n_species: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Arguments (r, type_i, type_j), shape (P n,) each, of a potential at distances r (P, n)."""
    pairs = torch.tensor(species_pairs(n_species)).repeat_interleave(r.shape[1], dim=0)
    return r.reshape(-1), pairs[:, 0].contiguous(), pairs[:, 1].contiguous()


def kernels_by_autograd(potential: Model, r: torch.Tensor) -> torch.Tensor:
    """`tangent_kernels` of any module.

    Pairs whose weights are found to be their own are differentiated together, in as many passes as
    one pair has points: a weight then has derivatives of one pair only (Curtis, Powell and Reid,
    IMA J. Appl. Math. 13, 117 (1974)).
    """
    weights = {name: p.detach() for name, p in potential.named_parameters() if p.requires_grad}
    points = points_of_pairs(r, len(potential.species))

    def energies(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        return with_weights(potential, weights, points).reshape(r.shape)

    def flat(parts: dict[str, torch.Tensor]) -> torch.Tensor:
        columns = [parts[name].reshape(-1, w.numel()) for name, w in weights.items()]
        # where one term of a sum has vanished its derivative is 0 * inf
        return torch.cat(columns, dim=1).detach().nan_to_num(posinf=0.0, neginf=0.0)

    owned = torch.ones(1, 1, dtype=torch.bool)
    if len(r) > 1:
        # of no combination of points that could cancel but by chance
        some = torch.cos(torch.arange(r.shape[1], dtype=r.dtype))
        by_pair = torch.func.jacrev(lambda w: energies(w) @ some)(weights)
        owned = flat(by_pair) != 0.0
    if bool((owned.sum(dim=0) > 1).any()):
        jacobian = flat(torch.func.jacrev(lambda w: energies(w).reshape(-1))(weights))
        return (jacobian @ jacobian.T)[None]
    jacobian = flat(torch.func.jacrev(lambda w: energies(w).sum(dim=0))(weights))
    blocks = [jacobian if len(r) == 1 else jacobian[:, columns] for columns in owned]
    return torch.stack([block @ block.T for block in blocks])


def joined(kernels: torch.Tensor) -> torch.Tensor:
    """Kernels (P, n, n) of pairs as one of all points, (1, P n, P n); that as it is."""
    return kernels if len(kernels) == 1 else torch.block_diag(*kernels)[None]  # type: ignore[no-untyped-call]


def sum_of_kernels(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Kernels of the sum of two potentials with weights of their own."""
    if first.shape == second.shape:
        return first + second
    return joined(first) + joined(second)


def perceptron_kernel(
    layers: torch.nn.Sequential, inputs: torch.Tensor, slopes: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tangent kernel of energies that are functions of a perceptron's output.

    Parameters
    ----------
    layers
        Linear layers with tanh between them.
    inputs
        Of the first one, shape (n, m).
    slopes
        Derivatives du/df of the energies by the output, shape (n,).

    Returns
    -------
    kernel, derivatives
        Shape (n, n), and those of the energies by the inputs, shape (n, m).
    """
    values = [inputs]
    for layer in layers:
        values.append(layer(values[-1]))
    kernel = inputs.new_zeros(len(inputs), len(inputs))
    derivative = slopes[:, None]
    for layer, before, after in zip(
        reversed(layers), reversed(values[:-1]), reversed(values[1:]), strict=True
    ):
        if isinstance(layer, torch.nn.Linear):
            by_layer = before @ before.T if layer.weight.requires_grad else torch.zeros_like(kernel)
            if layer.bias.requires_grad:
                by_layer = by_layer + 1.0
            kernel += (derivative @ derivative.T) * by_layer
            derivative = derivative @ layer.weight
        else:
            derivative = derivative * (1.0 - after**2)
    return kernel, derivative
