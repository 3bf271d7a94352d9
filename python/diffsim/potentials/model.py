"""What the package asks of a potential, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch

from diffsim.arrays import Array, Integers


class Model(Protocol):
    """A potential that learns: a `torch.nn.Module` that keeps the contract of the model file.

    Called with distances r (n,), float64, and 0-based species (n,) each, int64, it returns the
    energies of the pairs (n,), float64, with their graph. A
    `diffsim.potentials.TemperatureDependent` is one as well, but has no energies without a
    temperature: `diffsim.potentials.at_temperatures` tells the two apart.

    Attributes
    ----------
    cutoff
        Distance at and beyond which energies are zero.
    species
        Names, in the order of the indices.
    units
        LAMMPS's style of units.
    """

    @property
    def cutoff(self) -> float:
        """See the class."""

    @property
    def species(self) -> Sequence[str]:
        """See the class."""

    @property
    def units(self) -> str:
        """See the class."""

    def __call__(
        self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor, /
    ) -> torch.Tensor:
        """Energies of pairs."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """The weights."""

    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """The weights with their names."""

    def state_dict(self) -> dict[str, Any]:
        """The weights, and what else the module keeps."""

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> Any:
        """Take up the weights of `state_dict`."""


def with_weights(
    potential: Model,
    weights: Mapping[str, torch.Tensor],
    points: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """Energies of a potential with other weights, at (r, type_i, type_j)."""
    module = cast(torch.nn.Module, potential)
    energies: torch.Tensor = torch.func.functional_call(module, dict(weights), points)
    return energies


@runtime_checkable
class HasSlopes(Protocol):
    """A potential that knows its slopes by itself, so that no graph of its energies is needed."""

    def energies_and_slopes(self, r: Array, a: Integers, b: Integers) -> tuple[Array, Array]:
        """u and du/dr of pairs of the species a and b at distances r, shape (n,) each."""
