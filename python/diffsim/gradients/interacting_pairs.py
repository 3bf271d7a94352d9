"""Numbers of the pairs that the learned potential acts on, in bins of distance.

In a fluid of molecules a distribution function may count other pairs than those that interact. One
between molecules leaves out pairs within them, which do interact in a long chain: what is lost
between chains is found within them. One of all pairs counts bonds, which ``special_bonds`` leaves
out of the energy. The energy is no function of what is counted then, and a response made of that
alone is far from the true one. The pairs that interact, weighed as LAMMPS weighs them, are in the
counts of the splines.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from diffsim.gradients.ensemble import Ensemble
from diffsim.knots import Array, Grid

NARROW = 1e-6  # of a distance of knots: stands for a place
NEGLIGIBLE = 0.01  # of the pairs that are counted: as many may interact besides, or may not


def interacting_pairs(ensemble: Ensemble, grid: Grid) -> Array:
    """Numbers of pairs that interact, of all frames in the recorded bins, shape (F, P, B).

    Beyond the cutoff, where no pair does, they are those of the distribution functions.
    """
    if not counts_others(ensemble):
        return ensemble.pairs
    result = ensemble.pairs.copy()
    inside = _inside(ensemble)
    width = float(ensemble.edges[1])
    n_pairs = result.shape[1]
    of_pairs = np.moveaxis(ensemble.counts.reshape(len(ensemble), n_pairs, -1), 1, 0)
    for pair, counts in enumerate(of_pairs):
        result[:, pair, :inside] = counts @ _shares(grid, pair, width, inside)
    return result


def counts_others(ensemble: Ensemble) -> bool:
    """Whether the distribution functions count other pairs than those that interact."""
    inside = _inside(ensemble)
    least = ensemble.pairs[:, :, :inside].sum(axis=(1, 2)).mean()
    most = ensemble.pairs[:, :, : inside + 1].sum(axis=(1, 2)).mean()
    # the splines of a pair add up to one at any distance
    interacting = ensemble.counts.sum(axis=1).mean()
    return not bool((1.0 - NEGLIGIBLE) * least <= interacting <= (1.0 + NEGLIGIBLE) * most)


def _inside(ensemble: Ensemble) -> int:
    """Number of bins that end before the cutoff."""
    return int(np.sum(ensemble.edges[1:] <= ensemble.cutoff * (1.0 + 1e-9)))


@lru_cache(maxsize=64)
def _shares(grid: Grid, pair: int, width: float, bins: int) -> Array:
    """How much of each spline is in each bin, shape (K + 2, bins).

    Splines are centred at the knots in r^2, one more at either end; each is taken as the interval
    about its centre. Knots are closer than bins, so that hardly a pair is shared by two of these.
    """
    square = grid.distances(pair) ** 2
    step = square[1] - square[0]
    low = square[0] + step * (np.arange(grid.basis_size) - 1.5)
    # what is beyond an end belongs to the bin there
    low = np.clip(low, square[0], square[-1] - NARROW * step)[:, None]
    high = np.clip(low + step, low + NARROW * step, square[-1])
    edges = (np.arange(bins + 1) * width) ** 2
    overlap = np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])
    return np.asarray(np.maximum(overlap, 0.0) / (high - low))
