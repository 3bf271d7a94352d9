"""The record of a simulation: pair counts and distribution functions of every stored frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffsim.errors import InputError
from diffsim.species import species_pairs

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Frames:
    """Frames of one run of one system, per species pair.

    Energy and pressure are linear in the coefficients c of the potential's splines. In any
    potential on the simulated knots, with V the volume and K the `pressure_unit`,

        U = sum_pb c_pb n_pb,    n_pb = sum over pairs of B_b(r^2)
        W = sum_pb c_pb v_pb,    v_pb = sum over pairs of 2 r^2 B_b'(r^2),  W = sum of r u'(r)

    so that a change dc of the coefficients changes the pressure of a frame by -K dc . v / (3 V),
    exactly (the virial equation: Hansen and McDonald, Theory of Simple Liquids, section 2.2). The
    sums weigh bonded pairs as ``special_bonds`` does.

    Attributes
    ----------
    counts
        Pair counts n_b in the basis of the simulated spline, shape (F, P, K + 2): the energy of
        frame f in a potential with coefficients c is sum_pb c[p, b] counts[f, p, b].
    virial
        Virial counts v_b of the same basis, shape (F, P, K + 2); dimensionless like `counts`.
    distances
        Numbers of pairs per bin of distance, each pair once, shape (F, P, B). A pair at the very
        edge of a bin may be halved between two.
    bin_width
        Of `distances`, whose bins begin at r = 0.
    atoms
        Number of atoms of each species, shape (S,).
    pairs
        Number of pairs of atoms that `distances` counts, at whatever distance, shape (P,):
        N (N - 1) / 2 or N_a N_b, less the pairs within molecules where those are left out.
    volume, energy, pressure, temperature
        Of every frame, shape (F,), as LAMMPS computes them: potential energy of the whole system,
        pressure, kinetic temperature.
    pressure_unit
        The pressure, in LAMMPS's unit, of an energy of one in a volume of one (LAMMPS's nktv2p): 1
        in lj units, 68568.415 atm in real units.
    motion
        What the windows that begin with the frames say of targets of the motion, shape (F, M);
        M = 0 where there are none.
    motion_response
        Derivatives of `motion` by the coefficients of the splines along the window, from its
        initial state on, shape (F, M, P (K + 2)).
    """

    counts: Array
    virial: Array
    distances: Array
    bin_width: float
    atoms: NDArray[np.int64]
    pairs: NDArray[np.int64]
    volume: Array
    energy: Array
    pressure: Array
    temperature: Array
    pressure_unit: float
    motion: Array = field(default_factory=lambda: np.empty((0, 0)))
    motion_response: Array = field(default_factory=lambda: np.empty((0, 0, 0)))

    def __len__(self) -> int:
        return len(self.volume)

    @property
    def edges(self) -> Array:
        """Edges of the bins of distance, shape (B + 1,)."""
        return np.arange(self.distances.shape[2] + 1) * self.bin_width

    def rdf(self, pair: int, rebin: Array | None = None, edges: Array | None = None) -> Array:
        """Radial distribution function of each frame, shape (F, bins).

            g(r) = n(r) V / (N_pairs v(r))

        with n the pairs in a bin, v the volume of its shell and N_pairs the number of `pairs`, so
        that an ideal gas has g = 1.

        Parameters
        ----------
        pair
            Index of the species pair.
        rebin, edges
            Matrix (bins, B) that gathers the recorded bins into others, and their edges
            (bins + 1,); the recorded bins by default.

        Raises
        ------
        InputError
            If the system holds no pair of these species that is counted.
        """
        counts = self.distances[:, pair]
        if rebin is not None:
            counts = counts @ rebin.T
        ideal = self._ideal_pairs(pair, self.edges if edges is None else edges)
        return np.asarray(counts * self.volume[:, None] / ideal)

    def has_pairs(self, pair: int) -> bool:
        """Whether the system holds at least one pair of these species that is counted."""
        return bool(self.pairs[pair] > 0)

    def one_pair(self, pair: int, edges: Array) -> Array:
        """What a single pair adds to the g(r) of one frame on average, per bin (bins,)."""
        return np.asarray(self.volume.mean() / self._ideal_pairs(pair, edges))

    def _ideal_pairs(self, pair: int, edges: Array) -> Array:
        """Number of pairs times the volume of the shells."""
        if not self.has_pairs(pair):
            raise InputError(
                "A radial distribution function was asked for a species pair of which the system "
                "has no atoms, or none in different molecules if it is intermolecular. Correct the "
                "species of its types, its molecules or the pair of the target."
            )
        return np.asarray(float(self.pairs[pair]) * 4.0 / 3.0 * np.pi * np.diff(edges**3))


def by_species(recorded: Any, species_of_type: Sequence[int], n_species: int) -> Frames:
    """Sum what LAMMPS recorded per pair of types over the types of each species.

    Parameters
    ----------
    recorded
        Frames of the compiled core, per pair of LAMMPS types.
    species_of_type
        Species index of the LAMMPS types 1, 2, ...; -1 for types that the potential leaves out.
    n_species
        Number of species of the potential.
    """

    def gather(values: NDArray[Any], axis: int = 1) -> NDArray[Any]:
        return sum_over_types(values, species_of_type, n_species, axis)

    of_species = np.asarray(species_of_type)
    atoms = np.zeros(n_species, dtype=np.int64)
    np.add.at(atoms, of_species[of_species >= 0], recorded.atoms[of_species >= 0])
    return Frames(
        counts=gather(recorded.counts),
        virial=gather(recorded.virial),
        distances=gather(recorded.rdf),
        bin_width=recorded.rdf_width,
        atoms=atoms,
        pairs=gather(recorded.pairs, axis=0),
        volume=recorded.volume,
        energy=recorded.energy,
        pressure=recorded.pressure,
        temperature=recorded.temperature,
        pressure_unit=recorded.pressure_unit,
    )


def sum_over_types(
    values: NDArray[Any], species_of_type: Sequence[int], n_species: int, axis: int
) -> NDArray[Any]:
    """Sum numbers of pairs of types, along an axis, over the types of each pair of species.

    Pairs of types that the potential leaves out (-1) are dropped.
    """
    index = {pair: p for p, pair in enumerate(species_pairs(n_species))}
    target = []
    for i, j in species_pairs(len(species_of_type)):
        a, b = sorted((species_of_type[i], species_of_type[j]))
        target.append(index.get((a, b), -1))
    if target == list(range(len(index))):
        return values
    shape = (*values.shape[:axis], len(index), *values.shape[axis + 1 :])
    result = np.zeros(shape, dtype=values.dtype)
    into, of_types = np.moveaxis(result, axis, 0), np.moveaxis(values, axis, 0)
    for source, p in enumerate(target):
        if p >= 0:
            into[p] += of_types[source]
    return result


def concatenate(parts: Sequence[Frames]) -> Frames:
    """Frames of several runs of a system as those of one."""
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in _per_frame(parts[0])
    }
    return replace(parts[0], **joined)


def part(frames: Frames, where: slice) -> Frames:
    """Some of the frames."""
    chosen: dict[str, Any] = {name: getattr(frames, name)[where] for name in _per_frame(frames)}
    return replace(frames, **chosen)


def _per_frame(frames: Frames) -> list[str]:
    """Names of the arrays with an entry for each frame."""
    return [
        entry.name
        for entry in fields(Frames)
        if isinstance(values := getattr(frames, entry.name), np.ndarray)
        and values.ndim > 0
        and entry.name not in ("atoms", "pairs")
    ]
