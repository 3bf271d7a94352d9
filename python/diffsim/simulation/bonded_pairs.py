"""Whether targets and simulations count the same pairs of atoms, where atoms are bonded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffsim.errors import InputError
from diffsim.simulation import Frames, System
from diffsim.targets import distributions

SHELL = (0.8, 1.25)  # of the bond length: where bonded pairs are
LIKE_BONDS = 0.3  # relative deviation of a number of pairs from that of the bonds


def check_pairs(system: System, frames: Frames, bonds: int, species: Sequence[str]) -> None:
    """Raise InputError where targets lack bonded pairs that the simulation counts, or the other way
    round; see `other_pairs`."""
    found = other_pairs(system, frames, bonds, species)
    if found is not None:
        raise InputError(found)


def other_pairs(system: System, frames: Frames, bonds: int, species: Sequence[str]) -> str | None:
    """A sentence where the simulation counts bonded pairs and the targets do not, or they alone.

    The numbers of pairs that the distribution functions of targets and of the simulation say differ
    in one shell by the number of bonds, and not inside of it.

    Parameters
    ----------
    system, frames
        What is simulated, and its frames.
    bonds
        Number of bonds of the system.
    species
        Of the potential.
    """
    rdfs = distributions(system.targets)
    if not rdfs or not bonds:
        return None
    edges = frames.edges
    centres, shells = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges**3) * 4.0 / 3.0 * np.pi
    more = np.zeros(len(centres))  # pairs that the simulation counts and the targets do not
    for target in rdfs:
        index = target.pair_index(species)
        ideal = frames.pairs[index] * shells * np.mean(1.0 / frames.volume)
        wanted = np.interp(centres, target.r, target.g, left=0.0) * ideal
        difference = frames.distances[:, index].mean(axis=0) - wanted
        more += np.where(centres < target.edges[-1], difference, 0.0)
    length = centres[int(np.argmax(np.abs(more)))]
    low, high = (np.searchsorted(centres, factor * length) for factor in SHELL)
    within = float(more[low:high].sum())
    if not abs(abs(within) / bonds - 1.0) < LIKE_BONDS:
        return None
    if not abs(float(more[:low].sum())) < LIKE_BONDS * bonds:
        return None
    which = "rdf " + ", ".join("-".join(target.pair) for target in rdfs)
    if within > 0.0:
        return (
            f"The targets of system '{system.name}' ({which}) lack about {within:.0f} pairs near "
            f"r = {length:.3g} that the simulation counts, and the system has {bonds} bonds: the "
            "targets leave bonded pairs out, as LAMMPS's compute rdf does where special_bonds are "
            "0. Count all pairs with `diffsim rdf`; or, where all pairs within molecules were left "
            "out, give the system 'intermolecular: true'."
        )
    return (
        f"The targets of system '{system.name}' ({which}) hold about {-within:.0f} pairs near "
        f"r = {length:.3g} that the simulation does not count, and the system has {bonds} bonds: "
        "the targets hold bonded pairs. Leave out 'intermolecular: true'; or count them with "
        "`diffsim rdf --intermolecular`."
    )
