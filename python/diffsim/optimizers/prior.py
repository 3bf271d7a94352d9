"""What is thought of a potential before anything is known: references, and smooth corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from diffsim.arrays import Array
from diffsim.knots import Grid
from diffsim.optimizers.correction_basis import (
    contact_distances,
    correction_basis,
    prior_magnitude,
)
from diffsim.optimizers.linear_model import Design
from diffsim.optimizers.projection import SOFTENING
from diffsim.optimizers.reference import (
    ERROR_OF_THEORY,
    FOLLOWED_BY_CURVE,
    FOLLOWED_BY_NETWORK,
    SMOOTHNESS_OF_ERROR,
    THEORIES,
    MieFamily,
    Reference,
)

WALL = 10.0  # kT: no pair climbs as high; without such a wall atoms sit on top of each other


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
        Smooth corrections of a part, m of them.
    soft
        What a theory may be wrong by at the knots of a part, for coordinates of variance kT^2,
        shape (P K, q).
    weights
        Of the knots, shape (P, K): walls count as little as in the fit of the potential.
    family
        Of the Mie reference, if there is one.
    anchors
        Other references, by name, shape (parts, P, K) each.
    follows
        How much of the noise of the targets each of them has followed, if it is of a theory.
    """

    start: Array
    contact: Sequence[float]
    basis: Design
    soft: csr_array
    weights: Array
    family: MieFamily | None
    anchors: Mapping[str, Array]
    follows: Mapping[str, float]

    @classmethod
    def of(
        cls,
        grid: Grid,
        start: Array,
        kt: float,
        length: float,
        anchors: Mapping[str, Array] | None,
        few_weights: bool = False,
    ) -> Prior:
        """The prior about a first potential (parts, P, K), which may be one of few weights, and
        others (P, K) of its first part."""
        contact = contact_distances(grid, start[0], kt)
        smooth = correction_basis(grid, contact, prior_magnitude(start[0], kt), length)
        basis = Design.of(smooth, grid)
        weights = (1.0 + (np.clip(start[0], 0.0, None) / (SOFTENING * kt)) ** 2) ** -2
        soft = ERROR_OF_THEORY * correction_basis(
            grid, contact, np.ones_like(start[0]), SMOOTHNESS_OF_ERROR
        )
        # atoms that overlap, or parts that depend on temperature, are those of no Mie potential
        walls = np.all(start[0].max(axis=1) > WALL * kt)
        family = MieFamily.of(grid, kt, np.array(contact)) if walls and len(start) == 1 else None
        if anchors is None:
            return cls(start, contact, basis, soft, weights, family, {"start": start}, {})
        whole, follows = {}, {}
        for name, values in anchors.items():
            whole[name] = np.zeros_like(start)
            whole[name][0] = values
            if not np.array_equal(values, start[0]):
                follows[name] = FOLLOWED_BY_CURVE
            else:  # the first potential was fitted to the theory's
                follows[name] = 0.0 if few_weights else FOLLOWED_BY_NETWORK
        return cls(start, contact, basis, soft, weights, family, whole, follows)

    def at(self, theta: Array) -> Prior:
        """The prior with the reference's parameters where they were found."""
        assert self.family is not None
        return replace(self, family=replace(self.family, theta=theta))

    def references(self) -> list[Reference]:
        """Those that are compared."""
        fixed = []
        for name, values in self.anchors.items():
            # next to parts that depend on temperature all have to earn their corrections alike
            of_theory = name in THEORIES
            soft = of_theory and len(self.start) == 1
            tangents = self.soft if soft else csr_array((values.size, 0))
            centre = np.zeros(tangents.shape[1])
            follows = self.follows[name] if of_theory else 0.0
            fixed.append(Reference(name, values, tangents, centre, follows=follows))
        return fixed if self.family is None else [*fixed, self.family.reference(len(self.start))]
