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

from diffsim.arrays import Array
from diffsim.knots import Grid
from diffsim.response.ensemble import Ensemble

NARROW = 1e-6  # of a distance of knots: stands for a place
MOVED = 0.5  # of the pairs within a bin, or the distance of two knots: may be counted elsewhere
FEW = 0.5  # of a pair, in a frame: as many may interact besides, or may not


def interacting_pairs(ensemble: Ensemble, grid: Grid) -> Array | None:
    """Numbers of pairs that interact, of all frames in the recorded bins, shape (F, P, B); None
    where they are those that the distribution functions count.

    Of a species pair whose counted pairs are those that interact they are what was counted, and so
    they are beyond the cutoff, where no pair interacts.
    """
    frames, width = ensemble.latest_piece, float(ensemble.edges[1])
    pairs = ensemble.pairs[frames].mean(axis=0)
    means = _by_pair(ensemble.counts[frames], grid).mean(axis=1)
    others = [
        pair
        for pair, counts in enumerate(means)
        if counts_others(pairs[pair], counts, width, grid, pair)
    ]
    if not others:
        return None
    result = ensemble.pairs.copy()
    of_pairs = _by_pair(ensemble.counts, grid)
    for pair in others:
        shares = _shares(grid, pair, width, _inside(width, result.shape[2], grid.cutoff))
        result[:, pair, : shares.shape[1]] = of_pairs[pair] @ shares
    return result


def counts_others(pairs: Array, counts: Array, width: float, grid: Grid, pair: int) -> bool:
    """Whether a distribution function counts other pairs than those that interact.

    The numbers of both up to a distance r differ nowhere by more than the pairs that are as near to
    r as bins and knots are to each other. Bonds that are counted and do not interact, or the other
    way round, make a difference that stays from their length on.

    Parameters
    ----------
    pairs
        Mean numbers of counted pairs in the bins, shape (B,).
    counts
        Mean counts of the splines, shape (K + 2,).
    width
        Of the bins.
    grid, pair
        The knots, and which species pair it is.
    """
    inside = _inside(width, len(pairs), grid.cutoff)
    interacting = counts @ _shares(grid, pair, width, inside)
    counted = pairs[:inside]
    difference = np.abs(np.cumsum(interacting - counted))
    knots = grid.distances(pair)
    apart = np.interp((np.arange(inside) + 1) * width, knots[1:], np.diff(knots))
    reach = np.ceil(np.maximum(apart, width) / width).astype(int)
    up_to = np.concatenate([[0.0], np.cumsum(np.maximum(counted, interacting))])
    place = np.arange(inside) + 1
    near = up_to[np.minimum(place + reach, inside)] - up_to[np.maximum(place - reach, 0)]
    return bool(np.any(difference > MOVED * near + FEW))


def _by_pair(counts: Array, grid: Grid) -> Array:
    """Counts of the splines, (F, P (K + 2)) -> (P, F, K + 2)."""
    return np.moveaxis(counts.reshape(len(counts), -1, grid.basis_size), 1, 0)


def _inside(width: float, bins: int, cutoff: float) -> int:
    """Number of bins that end before the cutoff."""
    return min(bins, int(cutoff / width * (1.0 + 1e-9)))


@lru_cache(maxsize=64)
def _shares(grid: Grid, pair: int, width: float, bins: int) -> Array:
    """How much of each spline is in each bin, shape (K + 2, bins).

    Splines are centred at the knots in r^2, one more at either end; each is taken as the interval
    about its centre. Where knots are closer than bins hardly a pair is shared by two of these.
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
