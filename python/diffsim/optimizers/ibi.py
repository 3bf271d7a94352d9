"""Iterative Boltzmann inversion (IBI), for one state or several.

    du(r) = a sum_s w_s kT_s ln(g_s(r) / g*_s(r)) / sum_s w_s

over the systems s that have a target for the pair. It is the change of the potential of mean force,
and the right one where the density is low. Each pair of species is changed for itself: what the
change of one pair does to another, and of one distance to another, is left to the next iterations.

Sources: Reith, Puetz and Mueller-Plathe, J. Comput. Chem. 24, 1624 (2003); for several states
Moore, Iacovella and McCabe, J. Chem. Phys. 140, 224104 (2014).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from diffsim.arrays import Array
from diffsim.knots import Grid
from diffsim.optimizers.base import Update, check_option
from diffsim.optimizers.structure import Classical, apply_change, measured_curves
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble


class IBI(Classical):
    """One change per piece of simulation; see the module's text.

    Parameters
    ----------
    rate
        The factor a, at most 1; less where the iteration oscillates.

    Raises
    ------
    InputError
        If the option is not as described.
    """

    def __init__(self, rate: float = 1.0) -> None:
        check_option("ibi", "rate", rate, 1.0)
        super().__init__()
        self.rate = rate

    def update(self, potential: Model, grid: Grid, ensembles: Sequence[Ensemble]) -> Update:
        """See `diffsim.optimizers.base.Optimizer`."""
        began = time.perf_counter()
        rate = self.next_rate()
        change = rate * boltzmann_inversion(grid, ensembles)
        return apply_change(potential, grid, ensembles, change, began)


def boltzmann_inversion(grid: Grid, ensembles: Sequence[Ensemble]) -> Array:
    """The weighted mean of kT ln(g / g*) at the knots, shape (P, K), in units of energy.

    Interpolated between the bins' centres, and of each system shifted to zero at the cutoff, or at
    the target's last bin if that comes first. Constant inside of the first bin in which target
    and simulation see pairs: a wall keeps its shape. Zero for pairs without a target.

    Raises
    ------
    InputError
        If a target is not a g(r), or sees no pairs where the simulation does.
    """
    total, norm = np.zeros((2, len(grid.inner), grid.knots))
    for ensemble in ensembles:
        for curve in measured_curves("ibi", ensemble, grid.cutoff):
            seen = (curve.model > 0) & (curve.target > 0)
            r = curve.r[seen]
            change = np.log(curve.model[seen] / curve.target[seen]) / ensemble.beta
            change -= np.interp(grid.cutoff, r, change)
            knots = grid.distances(curve.pair)
            weight = np.interp(knots, r, curve.weights[seen])
            total[curve.pair] += weight * np.interp(knots, r, change)
            norm[curve.pair] += weight
    return np.asarray(total / np.where(norm > 0, norm, 1.0))
