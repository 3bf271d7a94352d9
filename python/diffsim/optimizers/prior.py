"""What is thought of a potential before anything is known: references, and smooth corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from diffsim.knots import Array, Grid
from diffsim.optimizers.correction import contact_distances, correction_basis, prior_magnitude
from diffsim.optimizers.projection import SOFTENING
from diffsim.optimizers.reference import MieFamily, Reference


@dataclass(frozen=True)
class Prior:
    """What is thought of the potential before anything is known; made once for a training.

    Attributes
    ----------
    start
        Energies of the first potential at the knots, shape (parts, P, K).
    contact
        Contact distances, shape (P,).
    basis
        Smooth corrections of a part at the knots, shape (P K, m).
    weights
        Of the knots, shape (P, K): walls count as little as in the fit of the potential.
    family
        Of the Mie reference.
    anchors
        Other references, by name, shape (parts, P, K) each.
    """

    start: Array
    contact: Sequence[float]
    basis: Array
    weights: Array
    family: MieFamily
    anchors: Mapping[str, Array]

    @classmethod
    def of(
        cls,
        grid: Grid,
        start: Array,
        kt: float,
        length: float,
        anchors: Mapping[str, Array] | None,
    ) -> Prior:
        """The prior about a first potential (parts, P, K), and others (P, K) of its first part."""
        contact = contact_distances(grid, start[0], kt)
        basis = correction_basis(grid, contact, prior_magnitude(start[0], kt), length)
        weights = (1.0 + (np.clip(start[0], 0.0, None) / (SOFTENING * kt)) ** 2) ** -2
        family = MieFamily.of(grid, kt, np.array(contact))
        if anchors is None:
            return cls(start, contact, basis, weights, family, {"start": start})
        whole = {}
        for name, values in anchors.items():
            whole[name] = np.zeros_like(start)
            whole[name][0] = values
        return cls(start, contact, basis, weights, family, whole)

    def at(self, theta: Array) -> Prior:
        """The prior with the reference's parameters where they were found."""
        return replace(self, family=replace(self.family, theta=theta))

    def references(self) -> list[Reference]:
        """Those that are compared."""
        fixed = [
            Reference(name, values, np.zeros((values.size, 0)), np.zeros(0))
            for name, values in self.anchors.items()
        ]
        return [*fixed, self.family.reference(len(self.start))]
