"""Numbers of the pairs that the learned potential acts on, in bins of distance.

An intermolecular distribution function leaves out pairs within molecules. Where these interact by
the learned potential as well, as the beads of a long chain do, the energy is no function of the
numbers that the distribution function counts: what is lost between chains is found within them, and
the response of the first without the second is far too large. The numbers of all pairs that
interact, bonded ones weighed as LAMMPS weighs them, are in the counts of the splines.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from diffsim.gradients.ensemble import Ensemble
from diffsim.knots import Array, Grid

POINTS = 8  # of a bin, at which its indicator is fitted
NEGLIGIBLE = 0.01  # of the pairs between molecules: fewer pairs that interact within them


def interacting_pairs(ensemble: Ensemble, grid: Grid) -> Array:
    """Numbers of pairs that interact, of all frames in the recorded bins, shape (F, P, B).

    Beyond the cutoff, where no pair does, they are those of the distribution functions. Next to a
    bin with many pairs a frame may have a little less than none.
    """
    if not acts_within_molecules(ensemble):
        return ensemble.pairs
    result = ensemble.pairs.copy()
    inside = int(np.sum(ensemble.edges[1:] <= ensemble.cutoff * (1.0 + 1e-9)))
    width = float(ensemble.edges[1])
    for pair, counts in enumerate(_counts(ensemble)):
        result[:, pair, :inside] = counts @ _indicators(grid, pair, width, inside)
    return result


def acts_within_molecules(ensemble: Ensemble) -> bool:
    """Whether pairs interact that the distribution functions leave out."""
    if not ensemble.system.intermolecular:
        return False
    inside = ensemble.edges[1:] <= ensemble.cutoff * (1.0 + 1e-9)
    between = ensemble.pairs[:, :, inside].sum(axis=(1, 2)).mean()
    # the splines of a pair add up to one at any distance
    interacting = ensemble.counts.sum(axis=1).mean()
    last = 0.0 if inside.all() else ensemble.pairs[:, :, int(inside.sum())].sum(axis=1).mean()
    return bool(interacting > (1.0 + NEGLIGIBLE) * (between + last))


def _counts(ensemble: Ensemble) -> Array:
    """Counts of the splines, shape (P, F, K + 2)."""
    n_pairs = ensemble.pairs.shape[1]
    return np.moveaxis(ensemble.counts.reshape(len(ensemble), n_pairs, -1), 1, 0)


@lru_cache(maxsize=64)
def _indicators(grid: Grid, pair: int, width: float, bins: int) -> Array:
    """Coefficients of the splines next to one within a bin and zero elsewhere, (K + 2, bins).

    The knots are closer than the bins, so that only pairs at an edge are shared by two bins.
    """
    r = (np.arange(POINTS * bins) + 0.5) * width / POINTS
    seen = r >= grid.inner[pair]
    of_bin = np.repeat(np.eye(bins), POINTS, axis=0)
    return np.asarray(np.linalg.lstsq(grid.basis(pair, r[seen]), of_bin[seen], rcond=1e-6)[0])
