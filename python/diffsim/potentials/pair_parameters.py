"""Parameters of closed forms: free or fixed, bounded or not, one per pair or mixed from species.

A form keeps the variable that is learned, and a chain of two modules without weights that makes the
parameter's values of it: the first maps the variable to values, the second those of the species to
pairs. So state dicts hold the variables alone, whatever their options.
"""

# Without "from __future__ import annotations": torch.jit reads the classes' annotations below and
# cannot resolve them from strings.

import math
from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

import torch

from diffsim.errors import InputError
from diffsim.potentials.options import check_number

MARGIN = 0.01  # of a bounded range: a value that is set from outside does not get nearer to an end


class Variable(torch.nn.Module):
    """Map from an unbounded variable x to a parameter v, and back.

    ``v = x``, or ``v = exp(x)`` where v is positive. With bounds the identity in this is replaced
    by ``x -> c + h tanh((x - c) / h)``, c the middle and h half the width of the range (of the
    logarithm, where v is positive): v is within its bounds for any x, and in the middle of the
    range x is what it is without.

    Parameters
    ----------
    positive
        Whether v is positive.
    bounds
        Smallest and largest v; both infinite by default.
    """

    def __init__(self, positive: bool = True, bounds: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.positive = positive
        self.bounded = bounds is not None
        low, high = bounds if bounds is not None else (1.0, 1.0)
        if positive:
            low, high = math.log(low), math.log(high)
        self.middle = 0.5 * (low + high)
        self.half_width = 0.5 * (high - low)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values v of variables x; any shape."""
        if self.bounded:
            x = self.middle + self.half_width * torch.tanh((x - self.middle) / self.half_width)
        return x.exp() if self.positive else x

    @torch.jit.unused
    def inverse(self, v: torch.Tensor) -> torch.Tensor:
        """Variables of values v; of those outside of the bounds, the nearest within."""
        x = v.log() if self.positive else v
        if self.bounded:
            inside = ((x - self.middle) / self.half_width).clamp(MARGIN - 1.0, 1.0 - MARGIN)
            x = self.middle + self.half_width * torch.atanh(inside)
        return x


class OwnValues(torch.nn.Module):
    """Every pair has a value of its own."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The values, shape (n_pairs,)."""
        return values


class Mixed(torch.nn.Module):
    """Values of pairs from those of the species: their arithmetic or geometric mean.

    Parameters
    ----------
    n_species
        Number of species.
    geometric
        ``sqrt(v_i v_j)``; otherwise ``(v_i + v_j) / 2``.
    """

    first: torch.Tensor
    second: torch.Tensor

    def __init__(self, n_species: int, geometric: bool) -> None:
        super().__init__()
        self.geometric = geometric
        first, second = torch.tensor(_pairs(n_species)).unbind(1)
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("second", second, persistent=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Values of the pairs, shape (n_pairs,), from those of the species, shape (n_species,)."""
        a, b = values[self.first], values[self.second]
        return (a * b).sqrt() if self.geometric else 0.5 * (a + b)


def like_pairs(n_species: int) -> list[int]:
    """Indices of the pairs (0,0), (1,1), ... in the order of ``pair_index``."""
    return [k for k, (i, j) in enumerate(_pairs(n_species)) if i == j]


def check_mixed(name: str, values: torch.Tensor, mixed: torch.Tensor) -> None:
    """Raise InputError where values (n_pairs,) that were given contradict those of their rule."""
    if not torch.allclose(values, mixed, rtol=1e-6):
        raise InputError(
            f"With mixing, {name} of unlike pairs follows from that of like pairs: expected "
            f"{[float(f'{v:.6g}') for v in mixed.tolist()]} in the order of the pairs, found "
            f"{values.tolist()}. Give numbers that follow the rule, or leave out mixing."
        )


def check_fixed(fixed: Any, names: Sequence[str]) -> list[str]:
    """Return the names of parameters that are not learned, or raise InputError."""
    if isinstance(fixed, str) or not isinstance(fixed, Sequence):
        raise InputError(
            f"fixed must be a list of parameters such as [{names[0]}]; found {fixed!r}."
        )
    for name in fixed:
        _check_name("fixed", name, names)
    return list(fixed)


def check_bounds(bounds: Any, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return the bounds (smallest, largest) by the names of parameters, or raise InputError."""
    if bounds is None:
        return {}
    if not isinstance(bounds, Mapping):
        raise InputError(
            f"bounds must name parameters with their smallest and largest values, such as "
            f"{{{names[0]}: [0.5, 2]}}; found {bounds!r}."
        )
    result = {}
    for name, ends in bounds.items():
        _check_name("bounds", name, names)
        if isinstance(ends, str) or not isinstance(ends, Sequence) or len(ends) != 2:
            raise InputError(
                f"bounds of {name} must be two numbers, the smallest and the largest value; found "
                f"{ends!r}."
            )
        low, high = (check_number(f"bounds of {name}", end) for end in ends)
        if not low < high:
            raise InputError(
                f"The smallest value in bounds of {name} must be below the largest; found {ends!r}."
            )
        result[name] = (low, high)
    return result


def _check_name(option: str, name: Any, names: Sequence[str]) -> None:
    if name not in names:
        raise InputError(
            f"{option} must name parameters of the form, which are {', '.join(names)}; found "
            f"{name!r}."
        )


def _pairs(n_species: int) -> list[tuple[int, int]]:
    return list(combinations_with_replacement(range(n_species), 2))
