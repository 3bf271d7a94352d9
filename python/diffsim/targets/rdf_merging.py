"""Bins of a distribution function that are finer than what it can tell, merged into wider ones.

The cost of the linear response grows with the square and the cube of the number of bins. What is
learned of a potential is smooth on a correlation length l; bins of a sixth of it lose nothing, and
finer ones hold more noise in each, of the same structure. Bins of two fifths of it lose so little
that no error of a potential shows it (docs/results.md): mixtures of many species, whose curves have
more than a thousand bins together, get these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from diffsim.targets.rdf import RDF

FloatArray = NDArray[np.float64]

BINS_PER_LENGTH = 6.0  # the correlation length of what is learned
OF_MANY = 2.4  # the same, where there are many bins
MANY = 1000  # bins of a system, below the cutoff
CONTACT = np.exp(-1.0)  # of g: where it first is that large the energy is about kT
UNIFORM = 1e-6  # relative deviation of the bins' widths that is rounding


def width_that_tells(targets: Sequence[RDF], length: float, cutoff: float) -> float:
    """Widest bins that lose nothing: a sixth of the correlation length of the smallest atoms, two
    fifths where there are many.

    Parameters
    ----------
    targets
        Distribution functions of one system.
    length
        Correlation length of what is learned, in contact distances.
    cutoff
        Of the potential.
    """
    contact = min(float(target.r[np.argmax(target.g >= CONTACT)]) for target in targets)
    width = length * contact / BINS_PER_LENGTH
    spacings = [max(float(np.diff(target.edges).mean()), width) for target in targets]
    many = (cutoff - contact) * sum(1.0 / spacing for spacing in spacings) > MANY
    return length * contact / OF_MANY if many else width


def merge_bins(target: RDF, width: float, cutoff: float) -> RDF:
    """The same distribution function in bins of at most a width, where its own are half of it.

    The new bins are a whole number of old ones wide and begin at multiples of their width. Their g
    is the mean over their volume: numbers of pairs are conserved. Where an old bin lies in two new
    ones, its pairs are shared as the cubic spline through the running number of pairs says. Errors
    of old bins are taken as independent, as fine bins hold mostly shot noise. Weights of bins are
    averaged.

    Parameters
    ----------
    target
        A target; it comes back as it is where its bins are not uniform, wide enough, or do not
        begin where g is zero.
    width
        At most, unit of length.
    cutoff
        Of the potential: a target that reaches to it still does.
    """
    edges, g = target.edges, target.g
    spacing = float(np.diff(edges)[1:].mean())
    uniform = np.abs(np.diff(edges)[1:] / spacing - 1.0).max() < UNIFORM
    if not uniform or (g[0] > 0.0 and edges[0] > 0.0):
        return target
    end = min(float(edges[-1]), cutoff) * (1.0 - 1e-9)
    for merged in range(int(width / spacing * (1.0 + 1e-9)), 1, -1):
        wide = merged * spacing
        first, last = (int(np.floor(edge / wide + 1e-6)) for edge in (edges[0], edges[-1]))
        if last * wide >= end and last - first >= 3:
            return _in_bins(target, np.asarray(np.arange(first, last + 1) * wide, np.float64))
    return target


def _in_bins(target: RDF, edges: FloatArray) -> RDF:
    """The target in other bins, within its own or where it is zero."""
    volumes = np.diff(target.edges**3)
    running = np.concatenate([[0.0], np.cumsum(target.g * volumes)])
    spline = CubicSpline(target.edges, running)
    # on an old edge the number of pairs is known as it is
    nearest = np.abs(target.edges[:, None] - edges).argmin(axis=0)
    known = np.abs(target.edges[nearest] - edges) < 1e-6 * (edges[1] - edges[0])
    number = np.where(known, running[nearest], spline(np.maximum(edges, target.edges[0])))
    wide = np.diff(edges**3)
    low = np.maximum(edges[:-1, None], target.edges[:-1])
    high = np.minimum(edges[1:, None], target.edges[1:])
    share = np.clip(high**3 - low**3, 0.0, None) * (high > low) / wide[:, None]
    return replace(
        target,
        r=0.5 * (edges[:-1] + edges[1:]),
        # between two edges with nothing the spline swings about zero
        g=np.maximum(np.diff(number) / wide, 0.0) * (share @ target.g > 0.0),
        error=None if target.error is None else np.sqrt(share**2 @ target.error**2),
        bin_weights=None if target.bin_weights is None else _means(share, target.bin_weights),
    )


def _means(share: FloatArray, values: FloatArray) -> FloatArray:
    return np.asarray(share @ values / np.maximum(share.sum(axis=1), np.finfo(float).tiny))
