"""The bins of a radial distribution function: their edges, weights and sums of finer ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from diffsim.errors import InputError
from diffsim.targets.base import FloatArray

UNIFORM_TOLERANCE = 1e-4
"""Largest deviation from a uniform grid, in spacings, that counts as the rounding of a file."""


def bin_edges(r: FloatArray, name: str) -> FloatArray:
    """Edges (n + 1,) of the bins with the centres ``r``; see :attr:`diffsim.targets.RDF.edges`.

    Raises
    ------
    InputError
        If the first bin would begin below zero; ``name`` is the subject of the sentence.
    """
    n = r.size
    spacing = float(f"{(r[-1] - r[0]) / (n - 1):.12g}")
    if np.max(np.abs(r[0] + spacing * np.arange(n) - r)) <= UNIFORM_TOLERANCE * spacing:
        first = r[0] / spacing - 0.5
        snapped = 0.5 * round(2.0 * first)
        if np.max(np.abs((snapped + 0.5 + np.arange(n)) * spacing - r)) <= (
            UNIFORM_TOLERANCE * spacing
        ):
            first = snapped
        edges: FloatArray = (first + np.arange(n + 1)) * spacing
    else:
        middle = 0.5 * (r[1:] + r[:-1])
        edges = np.concatenate([[2.0 * r[0] - middle[0]], middle, [2.0 * r[-1] - middle[-1]]])
    if r[0] == 0.0:
        edges[0] = 0.0
    if edges[0] < 0.0:
        raise InputError(
            f"{name} starts at r = {r[0]:g}, so that its first bin would start at "
            f"{edges[0]:g}, but r are the centres of the bins and no bin may start below zero; "
            f"leave the first point out or shift r to the centres of the bins."
        )
    return edges


def range_weights(r: FloatArray, ranges: Sequence[tuple[float, float, float]]) -> FloatArray:
    """Weights per bin from weights of ranges of r; one outside of all ranges.

    Parameters
    ----------
    r : (n,) array
        Centres of the bins, unit of length.
    ranges : sequence of (low, high, weight)
        The bins with low <= r <= high get this weight.

    Returns
    -------
    (n,) array

    Raises
    ------
    InputError
        If a range holds no bin, or two ranges hold the same bin.
    """
    weights = np.ones_like(r)
    taken = np.zeros(r.shape, dtype=bool)
    for low, high, weight in ranges:
        inside = (r >= low) & (r <= high)
        if not inside.any():
            raise InputError(
                f"The bin weight {weight:g} is given for r from {low:g} to {high:g}, but the RDF "
                f"has points from {r[0]:g} to {r[-1]:g} and none in that range."
            )
        if np.any(inside & taken):
            raise InputError(
                f"The bin weight {weight:g} is given for r from {low:g} to {high:g}, but "
                f"r = {r[inside & taken][0]:g} already has a weight from another range; let no "
                f"two ranges overlap."
            )
        weights[inside] = weight
        taken |= inside
    return weights


def smearing_matrix(edges: FloatArray, width: float) -> FloatArray:
    r"""Matrix that smears a curve over its bins with a Gaussian of the distance.

    .. math:: S_{bc} \propto \Phi\left(\frac{R_{c+1} - r_b}{w}\right)
        - \Phi\left(\frac{R_c - r_b}{w}\right)

    with the centres r of the bins and the normal distribution :math:`\Phi`, cut off at three widths
    w, and rows that add up to one: a curve that is one everywhere stays so.

    Parameters
    ----------
    edges : (n + 1,) array
        Edges R of the bins, increasing, unit of length.
    width : float
        w, unit of length; 0 leaves curves as they are.

    Returns
    -------
    (n, n) array
    """
    if width == 0.0:
        return np.eye(len(edges) - 1)
    centres = 0.5 * (edges[1:] + edges[:-1])
    places = np.clip((edges[None, :] - centres[:, None]) / width, -3.0, 3.0)
    shares = np.diff(ndtr(places), axis=1)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def rebin_matrix(fine_edges: FloatArray, edges: FloatArray) -> FloatArray:
    r"""Matrix that sums the counts of a fine histogram into the bins of a target.

    A fine bin that lies only in part in a target bin is shared by its fraction of the volume,

    .. math:: M_{bf} = \frac{\min(R_{b+1}, \rho_{f+1})^3 - \max(R_b, \rho_f)^3}
        {\rho_{f+1}^3 - \rho_f^3}

    Edges that agree to 1e-9 of the largest fine edge are taken as equal, so that the entries are
    exactly 0 and 1 where the edges coincide.

    Parameters
    ----------
    fine_edges : (n_fine + 1,) array
        Edges :math:`\rho` of the fine bins, increasing, unit of length.
    edges : (n + 1,) array
        Edges R of the target's bins, increasing, unit of length.

    Returns
    -------
    (n, n_fine) array

    Raises
    ------
    InputError
        If the target's bins reach outside of the fine ones.
    """
    tolerance = 1e-9 * fine_edges[-1]
    if edges[0] < fine_edges[0] - tolerance or edges[-1] > fine_edges[-1] + tolerance:
        raise InputError(
            f"The target's bins reach from r = {edges[0]:g} to {edges[-1]:g}, but pairs are "
            f"counted from r = {fine_edges[0]:g} to {fine_edges[-1]:g} only; count pairs over a "
            f"larger range or restrict the range of the target."
        )
    right = np.clip(np.searchsorted(fine_edges, edges), 1, fine_edges.size - 1)
    nearest = np.where(
        edges - fine_edges[right - 1] < fine_edges[right] - edges,
        fine_edges[right - 1],
        fine_edges[right],
    )
    snapped = np.where(np.abs(edges - nearest) <= tolerance, nearest, edges)
    low = np.maximum(snapped[:-1, None], fine_edges[None, :-1])
    high = np.minimum(snapped[1:, None], fine_edges[None, 1:])
    overlap = np.where(high > low, high**3 - low**3, 0.0)
    matrix: FloatArray = overlap / (fine_edges[1:] ** 3 - fine_edges[:-1] ** 3)
    return matrix
