"""The coordination number as a target: how many neighbours an atom has within a distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffsim.errors import InputError
from diffsim.targets.base import FloatArray, Fluctuation, Fluid, Scalar
from diffsim.targets.pairs import pair_index
from diffsim.targets.rdf_bins import rebin_matrix

if TYPE_CHECKING:
    from diffsim.records.frames import Frames


@dataclass(frozen=True)
class Coordination(Scalar):
    r"""Mean number of atoms of the second species within a distance R of one of the first.

    .. math:: n_{ab} = \frac{1}{N_a} \Big\langle \sum_{i \in a} \sum_{j \in b, j \neq i}
        \theta(R - r_{ij}) \Big\rangle = \frac{N_b}{V} \int_0^R g_{ab}(r) \, 4 \pi r^2 dr

    A recorded bin of distance that R cuts is shared by the fraction of its volume.

    Parameters
    ----------
    value, error, weight
        See `Scalar`.
    pair
        Names of the two species: neighbours of the second around the first.
    distance
        R, in LAMMPS's unit of length.

    Raises
    ------
    InputError
        If the value or the distance is not positive; from `observe`, if a species is unknown or
        pairs were not counted as far as the distance.
    """

    pair: tuple[str, str] = ("", "")
    distance: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for what, number in (("value", self.value), ("distance", self.distance)):
            if not (np.isfinite(number) and number > 0.0):
                raise InputError(
                    f"The {what} of the target of the {self.label} is {number}; it must be a "
                    "positive number."
                )

    @property
    def label(self) -> str:
        """Name with the pair."""
        return f"coordination {'-'.join(self.pair)} {self.distance:g}"

    @property
    def edges(self) -> FloatArray:
        """The one bin that is counted, shape (2,)."""
        return np.array([0.0, self.distance])

    @property
    def counted(self) -> FloatArray:
        """The same."""
        return self.edges

    @property
    def names(self) -> Sequence[str]:
        """The species of the pair."""
        return self.pair

    def observe(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """Neighbours per atom of the first species in every frame, shape (F, 1)."""
        pair = pair_index(self.pair, species, self.label)
        if frames.atoms[list(species).index(self.pair[0])] == 0:
            raise InputError(
                f"The {self.label} is a target, but the system holds no atom of {self.pair[0]}. "
                "Correct the species of its types or the pair of the target."
            )
        counts = frames.distances[:, pair] @ rebin_matrix(frames.edges, self.edges).T
        return np.asarray(counts * self._per_pair(frames.atoms, species))

    def fluctuation(self, fluid: Fluid, species: Sequence[str]) -> Fluctuation:
        """A sum of pairs."""
        pair = pair_index(self.pair, species, self.label)
        row = np.zeros_like(fluid.g)
        row[pair] = rebin_matrix(fluid.edges, self.edges)[0] * fluid.counts_per_g[pair]
        return Fluctuation(row.reshape(1, -1) * self._per_pair(fluid.atoms, species), np.zeros(1))

    def resolution(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """What a pair adds, shape (1,)."""
        return np.array([self._per_pair(frames.atoms, species)])

    def _per_pair(self, atoms: FloatArray | np.ndarray, species: Sequence[str]) -> float:
        """What a pair adds to the average over the atoms of the first species."""
        first = list(species).index(self.pair[0])
        return (2.0 if self.pair[0] == self.pair[1] else 1.0) / float(atoms[first])
