"""Exponents of the Mie potential: numbers, or learned."""

# Without "from __future__ import annotations": torch.jit reads the classes' annotations below and
# cannot resolve them from strings.

import math
from collections.abc import Mapping
from typing import Any

import torch

from diffsim.errors import InputError
from diffsim.potentials.options import check_number

LEAST_GAP = 0.5  # of n - m: the prefactor diverges where they meet
LARGEST_N = 50.0  # the energy stays finite at the smallest distance that is evaluated
RANGE_M = (3.0, 12.0)  # of a learned m; with 3 or less the energy of a fluid would diverge
MARGIN = 0.01  # of a range: a value that is set does not get nearer to an end


def read_exponent(name: str, value: Any, default: float) -> tuple[float, bool]:
    """An exponent and whether it is learned, from a number, ``learn`` or ``{learn: start}``."""
    if isinstance(value, str) and value == "learn":
        return default, True
    if isinstance(value, Mapping):
        if set(value) != {"learn"}:
            raise InputError(
                f"{name} must be a number, 'learn', or {{learn: START}}; found {value!r}."
            )
        return check_number(f"The start of {name}", value["learn"], positive=True), True
    if isinstance(value, str):
        raise InputError(f"{name} must be a number, 'learn', or {{learn: START}}; found {value!r}.")
    return check_number(name, value, positive=True), False


class FixedExponents(torch.nn.Module):
    """The shape ``C (x^n - x^m)`` with x = sigma/r, for n and m that are numbers."""

    def __init__(self, n: float, m: float) -> None:
        super().__init__()
        self.n = n
        self.m = m
        self.prefactor = float(n / (n - m) * (n / m) ** (m / (n - m)))

    def forward(self, x: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Shape at x of pairs; all shapes (n,)."""
        return self.prefactor * (x**self.n - x**self.m)


class LearnedExponents(torch.nn.Module):
    """The same with exponents per pair of species, n or m or both learned.

    With sigmoids s and variables a and b, for any of their values

        m = m_0 + (m_1 - m_0) s(b),    n = n_0 + (n_1 - n_0) s(a),    n_0 >= m + 1/2

    Parameters
    ----------
    n, m
        Exponents to begin with.
    learn_n, learn_m
        Which of them are learned.
    bounds_n, bounds_m
        Their ranges.
    mixing
        Makes values of pairs from those of species, or leaves values of pairs as they are.
    size
        Number of the variables of each: of pairs, or of species with mixing.

    Attributes
    ----------
    raw_n, raw_m : torch.nn.Parameter
        The variables a and b, shape (size,); buffers that do not matter where not learned.

    Raises
    ------
    InputError
        If the ranges leave n no room above m, or do not hold the first values.
    """

    raw_n: torch.Tensor
    raw_m: torch.Tensor

    def __init__(
        self,
        n: float,
        m: float,
        learn_n: bool,
        learn_m: bool,
        bounds_n: tuple[float, float] | None,
        bounds_m: tuple[float, float] | None,
        mixing: torch.nn.Module,
        size: int,
    ) -> None:
        super().__init__()
        self.learn_n = learn_n
        self.learn_m = learn_m
        self.start_n = n
        self.start_m = m
        self.n_low, self.n_high = bounds_n or (0.0, LARGEST_N)
        self.m_low, self.m_high = bounds_m or RANGE_M
        if not learn_n and bounds_m is None:
            self.m_high = min(self.m_high, n - LEAST_GAP)
        largest = self.m_high if learn_m else m
        if self.n_high > LARGEST_N or not (self.n_high if learn_n else n) >= largest + LEAST_GAP:
            raise InputError(
                f"n must have room above m by {LEAST_GAP}, up to {LARGEST_N:g} at most; found n to "
                f"{self.n_high if learn_n else n:g} and m to {largest:g}. Change bounds."
            )
        self.mixing = mixing
        self.gap = LEAST_GAP  # TorchScript knows the constants of a module only
        low = max(self.n_low, m + LEAST_GAP)
        start_m = _variable("m", m, self.m_low, self.m_high, size) if learn_m else None
        start_n = _variable("n", n, low, self.n_high, size) if learn_n else None
        nothing = torch.zeros(size, dtype=torch.float64)
        for name, start in (("raw_m", start_m), ("raw_n", start_n)):
            if start is None:
                self.register_buffer(name, nothing.clone())
            else:
                self.register_parameter(name, torch.nn.Parameter(start))

    def own(self) -> tuple[torch.Tensor, torch.Tensor]:
        """n and m of the variables, shape (size,) each."""
        m = torch.full_like(self.raw_m, self.start_m)
        if self.learn_m:
            m = self.m_low + (self.m_high - self.m_low) * torch.sigmoid(self.raw_m)
        n = torch.full_like(self.raw_n, self.start_n)
        if self.learn_n:
            low = (m + self.gap).clamp(min=self.n_low)
            n = low + (self.n_high - low) * torch.sigmoid(self.raw_n)
        return n, m

    def forward(self, x: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Shape at x of pairs; all shapes (n,)."""
        own_n, own_m = self.own()
        n, m = self.mixing(own_n), self.mixing(own_m)
        prefactor = n / (n - m) * (n / m) ** (m / (n - m))
        result: torch.Tensor = prefactor[pair] * (x ** n[pair] - x ** m[pair])
        return result

    @torch.jit.unused
    def set_n(self, n: float, variable: int) -> None:
        """Set n of one of the variables to the nearest value within its range, if it is learned."""
        if not self.learn_n:
            return
        with torch.no_grad():
            low = max(self.n_low, float(self.own()[1][variable]) + LEAST_GAP)
            share = min(max((n - low) / (self.n_high - low), MARGIN), 1.0 - MARGIN)
            self.raw_n[variable] = math.log(share / (1.0 - share))


def _variable(name: str, value: float, low: float, high: float, size: int) -> torch.Tensor:
    """The variable of a learned exponent, shape (size,), or InputError."""
    if not low < value < high:
        raise InputError(
            f"{name} is learned between {low:g} and {high:g}, and must begin within; found "
            f"{value:g}. Give another start as {name}: {{learn: START}}, or other bounds."
        )
    share = (value - low) / (high - low)
    return torch.full((size,), math.log(share / (1.0 - share)), dtype=torch.float64)
