"""Numbering of pairs of species, the same in every array of the package."""

from __future__ import annotations


def species_pairs(n_species: int) -> list[tuple[int, int]]:
    """Unordered pairs in order: (0, 0), (0, 1), ..., (0, n - 1), (1, 1), ..."""
    return [(a, b) for a in range(n_species) for b in range(a, n_species)]
