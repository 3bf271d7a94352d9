"""A target from outside of the package: the mean of 1/r over neighbours, per atom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffsim.records.frames import Frames
from diffsim.targets import Fluctuation, Fluid, Scalar


@dataclass(frozen=True)
class Closeness(Scalar):
    """(1/N) < sum over pairs within R of 1/r >, of all species together, from bins of distance."""

    reach: float = 0.0

    @property
    def counted(self) -> np.ndarray:
        """The one bin that is needed."""
        return np.array([0.0, self.reach])

    def observe(self, frames: Frames, species: Sequence[str]) -> np.ndarray:
        """Of every frame, shape (F, 1)."""
        weights = self._weights(frames.edges)
        return np.asarray((frames.distances.sum(axis=1) @ weights)[:, None] / frames.atoms.sum())

    def fluctuation(self, fluid: Fluid, species: Sequence[str]) -> Fluctuation:
        """A sum over pairs."""
        row = self._weights(fluid.edges) * fluid.counts_per_g / fluid.atoms.sum()
        return Fluctuation(row.reshape(1, -1), np.zeros(1))

    def _weights(self, edges: np.ndarray) -> np.ndarray:
        centres = 0.5 * (edges[1:] + edges[:-1])
        return np.where(edges[1:] <= self.reach + 1e-9, 1.0 / centres, 0.0)
