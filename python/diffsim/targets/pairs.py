"""Pairs of species by their names."""

from __future__ import annotations

from collections.abc import Sequence

from diffsim.errors import InputError
from diffsim.species import species_pairs


def pair_index(pair: tuple[str, str], species: Sequence[str], name: str) -> int:
    """Index of the pair of two species.

    Raises
    ------
    InputError
        If a species is not the potential's.
    """
    unknown = [each for each in pair if each not in species]
    if unknown:
        raise InputError(
            f"The {name} names the species {unknown[0]}, but the potential has the species "
            f"{', '.join(species)}."
        )
    a, b = sorted(list(species).index(each) for each in pair)
    return species_pairs(len(species)).index((a, b))
