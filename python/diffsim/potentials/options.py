"""Checks of the constructors' arguments: every message names the option and what was found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations_with_replacement
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import torch

from diffsim.errors import InputError

PairValues: TypeAlias = float | Sequence[Sequence[float]] | np.ndarray
"""One value for all pairs of species, or a symmetric (n_species, n_species) array of values."""

UNITS: dict[str, float] = {
    "lj": 1.0,
    "real": 0.5962,
    "metal": 0.02585,
    "si": 4.142e-21,
    "cgs": 4.142e-14,
    "electron": 9.500e-4,
    "micro": 4.142e-6,
    "nano": 4.142,
}
"""LAMMPS's units styles, each with the energy natural to it: k_B 300 K, and epsilon for lj.

Source: https://docs.lammps.org/units.html.
"""


def check_species(species: Any) -> list[str]:
    """Return the names of the species as a list, or raise InputError."""
    if isinstance(species, str) or not isinstance(species, Sequence):
        raise InputError(f"species must be a list of names such as ['A', 'B']; found {species!r}.")
    if not species:
        raise InputError("species must name at least one species; found an empty list.")
    for name in species:
        if not isinstance(name, str) or not name or any(c.isspace() for c in name):
            raise InputError(
                "Each name in species must be a non-empty string without blanks, because LAMMPS "
                f"reads it as one word; found {name!r}."
            )
        if list(species).count(name) > 1:
            raise InputError(f"species must name each species once; found {name!r} twice.")
    return list(species)


def check_units(units: Any) -> str:
    """Return the name of a LAMMPS units style, or raise InputError."""
    if not isinstance(units, str) or units not in UNITS:
        raise InputError(
            f"units must be one of LAMMPS's units styles ({', '.join(UNITS)}); found {units!r}."
        )
    return units


def check_number(name: str, value: Any, positive: bool = False) -> float:
    """Return a finite number as a float, or raise InputError."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or (positive and value <= 0):
        kind = "a positive finite number" if positive else "a finite number"
        raise InputError(f"{name} must be {kind}; found {value!r}.")
    return float(value)


def check_count(name: str, value: Any, minimum: int) -> int:
    """Return an integer not below ``minimum``, or raise InputError."""
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_integer or value < minimum:
        raise InputError(f"{name} must be an integer not below {minimum}; found {value!r}.")
    return int(value)


def pair_values(name: str, values: Any, n_species: int, positive: bool = True) -> torch.Tensor:
    """Read the values of a parameter for each unordered pair of species.

    Parameters
    ----------
    name
        Name of the option, for the error message.
    values
        A number for all pairs, or a symmetric array-like of shape (n_species, n_species).
    n_species
        Number of species.
    positive
        Whether every value has to be greater than zero.

    Returns
    -------
    torch.Tensor
        Values in the order of ``pair_index``, shape (n_pairs,), float64.

    Raises
    ------
    InputError
        If ``values`` is neither, not symmetric, not finite, or not positive where it has to be.
    """
    pairs = list(combinations_with_replacement(range(n_species), 2))
    if isinstance(values, Real):
        number = check_number(name, values, positive)
        return torch.full((len(pairs),), number, dtype=torch.float64)
    try:
        matrix = np.asarray(values)
    except ValueError:  # rows of different lengths
        matrix = np.empty(0)
    if matrix.shape != (n_species, n_species) or matrix.dtype.kind not in "iuf":
        raise InputError(
            f"{name} must be a number, or a symmetric {n_species} x {n_species} array with a "
            f"number for each pair of species; found {values!r}."
        )
    for i, j in pairs:
        check_number(f"{name}[{i}][{j}]", float(matrix[i, j]), positive)
        if matrix[i, j] != matrix[j, i]:
            raise InputError(
                f"{name} must be symmetric, as A-B and B-A are one pair; found {matrix[i, j]} "
                f"at [{i}][{j}] and {matrix[j, i]} at [{j}][{i}]."
            )
    return torch.tensor([float(matrix[i, j]) for i, j in pairs], dtype=torch.float64)
