"""The radial distribution function of one pair of species as a target of the training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffsim.errors import InputError
from diffsim.species import species_pairs
from diffsim.targets.base import Fluctuation, Fluid, identity_average
from diffsim.targets.columns import read_columns

if TYPE_CHECKING:
    from diffsim.simulation.frames import Frames

FloatArray = NDArray[np.float64]

UNIFORM_TOLERANCE = 1e-4
"""Largest deviation from a uniform grid, in spacings, that counts as the rounding of a file."""


@dataclass(frozen=True, eq=False)
class RDF:
    r"""A target g(r) of one pair of species.

    The average of the pair counts over bin :math:`b`, divided by that of an ideal gas of the same
    density, is compared with :math:`g_b`:

    .. math:: g_b = \frac{V}{N_\mathrm{pairs}}
        \frac{\langle n_b \rangle}{\frac{4}{3} \pi (R_{b+1}^3 - R_b^3)}

    with :math:`R_b` the :attr:`edges`.

    Parameters
    ----------
    r : (n,) array
        Distances in LAMMPS's unit of length, the centres of the bins; positive (the first may be
        zero) and strictly increasing.
    g : (n,) array
        Target values, dimensionless, not negative and not all zero.
    pair : tuple of two str
        The names of the two species.
    error : (n,) array, optional
        Standard errors of ``g``. Zero is allowed where ``g`` is zero and means that the
        simulation's own noise is the only one. None means that the target is exact.
    weight : float
        Weight of this target among all targets of a training; positive.
    bin_weights : (n,) array, optional
        Weights of the bins within this target, not negative and not all zero; None means one for
        every bin.

    Raises
    ------
    InputError
        If the arrays break one of the rules above.
    """

    r: FloatArray
    g: FloatArray
    pair: tuple[str, str]
    error: FloatArray | None = None
    weight: float = 1.0
    bin_weights: FloatArray | None = None
    edges: FloatArray = field(init=False, repr=False)
    """Edges of the bins that ``r`` are the centres of, (n + 1,), unit of length, from >= 0 up.

    On a uniform grid (to 1e-4 of the spacing, as files are rounded) the bins are exactly uniform,
    and a grid whose bins fit on multiples of the (half) spacing gets edges that are these
    multiples to the last bit. On any other grid the edges lie midway between the points and the
    outer bins are symmetric. A grid that starts at r = 0 has its first edge there.
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "pair", _checked_pair(self.pair))
        name = f"The RDF of the pair {self.pair[0]}-{self.pair[1]}"
        for key in ("r", "g", "error", "bin_weights"):
            values = getattr(self, key)
            if values is not None:
                object.__setattr__(self, key, _readonly(values, key, name))
        for key in ("g", "error", "bin_weights"):
            values = getattr(self, key)
            if values is not None and values.shape != self.r.shape:
                raise InputError(
                    f"{name} needs one value of '{key}' for each of its {self.r.size} distances, "
                    f"but {values.size} were given."
                )
        if not (np.isfinite(self.weight) and self.weight > 0.0):
            raise InputError(
                f"{name} needs a positive, finite weight, but {self.weight} was given."
            )
        if self.bin_weights is not None and not (
            np.all(np.isfinite(self.bin_weights))
            and np.all(self.bin_weights >= 0.0)
            and np.any(self.bin_weights > 0.0)
        ):
            raise InputError(
                f"{name} needs bin weights that are finite, not negative and not all zero."
            )
        _check_points(self.r, self.g, self.error, lambda i: f"{name}, point {i + 1},")
        _check_curve(self.r, self.g, name)
        edges = _bin_edges(self.r, name)
        edges.flags.writeable = False
        object.__setattr__(self, "edges", edges)

    @property
    def label(self) -> str:
        """Name with the pair."""
        return f"rdf {'-'.join(self.pair)}"

    @property
    def values(self) -> FloatArray:
        """g, shape (n,)."""
        return self.g

    @property
    def errors(self) -> FloatArray | None:
        """The errors of g, shape (n,), or None."""
        return self.error

    @property
    def value_weights(self) -> FloatArray:
        """The target's weight times those of its bins, shape (n,)."""
        bins = np.ones(len(self.g)) if self.bin_weights is None else self.bin_weights
        return np.asarray(self.weight * bins)

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        pair: tuple[str, str],
        weight: float = 1.0,
        range: tuple[float, float] | None = None,
        bin_weights: ArrayLike | None = None,
    ) -> RDF:
        """Read a target from a text file with the columns r, g and, optionally, the error of g.

        The columns are separated by commas, semicolons or white space. ``#`` starts a comment,
        lines that start with ``@`` or ``&`` (``.xvg``) are left out, and lines of text without
        any number are allowed above the numbers as a header.

        Parameters
        ----------
        path : str or Path
            The file; distances in LAMMPS's unit of length.
        pair, weight
            See :class:`RDF`.
        range : tuple of two float, optional
            Smallest and largest distance (both included) that is kept.
        bin_weights : (n,) array, optional
            See :class:`RDF`; one value for each distance that is kept.

        Raises
        ------
        InputError
            If the file cannot be read or its numbers are no RDF; the message names file and line.
        """
        path = Path(path)
        table, lines = read_columns(path, {2: "r and g", 3: "r, g and the error of g"})
        r, g = table[:, 0], table[:, 1]
        error = table[:, 2] if table.shape[1] == 3 else None
        _check_points(r, g, error, lambda i: f"Line {lines[i]} of '{path}'")
        name = f"The RDF in '{path}'"
        if range is not None:
            low, high = _checked_range(range)
            kept = (r >= low) & (r <= high)
            r, g = r[kept], g[kept]
            error = None if error is None else error[kept]
            name = f"The RDF in '{path}', kept from r = {low:g} to {high:g},"
        _check_curve(r, g, name)
        _bin_edges(r, name)
        return cls(
            r=r,
            g=g,
            pair=pair,
            error=error,
            weight=weight,
            bin_weights=None if bin_weights is None else np.asarray(bin_weights, dtype=np.float64),
        )

    def observe(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """g(r) of every frame in the target's bins, shape (F, n).

        Parameters
        ----------
        frames
            Recorded frames of a system.
        species
            Names of the potential's species, in order.

        Raises
        ------
        InputError
            If the species of the pair are not the potential's, the system has no such pair, or
            pairs were not counted up to the last edge.
        """
        rebin = rebin_matrix(frames.edges, self.edges)
        return frames.rdf(self._pair_index(species), rebin, self.edges)

    def gather(self, edges: FloatArray, species: Sequence[str]) -> FloatArray:
        """Matrix from the g(r) of all pairs in recorded bins to the target's bins, (n, P B)."""
        share = rebin_matrix(edges, self.edges) * np.diff(edges**3)
        share /= np.diff(self.edges**3)[:, None]
        n_bins = len(edges) - 1
        matrix = np.zeros((len(self.g), len(species_pairs(len(species))) * n_bins))
        first = self._pair_index(species) * n_bins
        matrix[:, first : first + n_bins] = share
        return matrix

    def resolution(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """What one pair in one frame adds to each bin on average, shape (n,)."""
        return frames.one_pair(self._pair_index(species), self.edges)

    def explicit(self, frames: Frames) -> None:
        """None: distances do not depend on the potential explicitly."""
        return

    def average(self, means: FloatArray, kt: float) -> tuple[FloatArray, FloatArray]:
        """The averages themselves."""
        return identity_average(means)

    def fluctuation(self, fluid: Fluid, species: Sequence[str]) -> Fluctuation:
        """Numbers of pairs, times the volume."""
        bins = self.gather(fluid.edges, species)
        return Fluctuation(bins, bins @ fluid.g.ravel() / fluid.volume)

    def scale(self, frames: Frames, kt: float) -> float:
        """One, the ideal gas."""
        return 1.0

    def _pair_index(self, species: Sequence[str]) -> int:
        return pair_index(self.pair, species, f"RDF of the pair {'-'.join(self.pair)}")


def pair_index(pair: tuple[str, str], species: Sequence[str], name: str) -> int:
    """Index of the pair of two species.

    Raises
    ------
    InputError
        If a species is not the potential's.
    """
    unknown = [each for each in pair if each not in species]
    if unknown:
        raise InputError(
            f"The {name} names the species {unknown[0]}, but the potential has the species "
            f"{', '.join(species)}."
        )
    a, b = sorted(list(species).index(each) for each in pair)
    return species_pairs(len(species)).index((a, b))


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


def write_rdf(
    path: str | Path,
    r: FloatArray,
    g: FloatArray,
    error: FloatArray | None,
    comments: Sequence[str],
) -> None:
    """Write an RDF as a file that :meth:`RDF.from_file` reads.

    Files of the suffixes ``.xvg`` and ``.dat`` get spaces between their columns, as programs expect
    it of them; all others are CSV.

    Parameters
    ----------
    path : str or Path
        The file; it is replaced if it exists.
    r, g : (n,) array
        Distances (unit of length) and values.
    error : (n,) array or None
        Standard errors of ``g``; None leaves the column out.
    comments : sequence of str
        Lines that are written above the numbers, each behind ``#``.
    """
    columns = [r, g] if error is None else [r, g, error]
    names = ["r", "g", "error"][: len(columns)]
    spaced = Path(path).suffix in (".xvg", ".dat")
    lines = [f"# {comment}" for comment in comments]
    lines.append(f"# {' '.join(names)}" if spaced else ",".join(names))
    separator = " " if spaced else ","
    for row in zip(*columns, strict=True):
        lines.append(separator.join(f"{value:.10g}" for value in row))
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _readonly(values: ArrayLike, key: str, name: str) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    if array.ndim != 1:
        raise InputError(
            f"{name} needs a one-dimensional array '{key}', but its shape is {array.shape}."
        )
    array.flags.writeable = False
    return array


def _checked_pair(pair: Sequence[str]) -> tuple[str, str]:
    if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(s, str) and s for s in pair):
        raise InputError(
            f"The pair of an RDF must be the names of two species, like ('A', 'B'), but {pair!r} "
            f"was given."
        )
    return (pair[0], pair[1])


def _checked_range(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    if not 0.0 <= low < high:
        raise InputError(
            f"The range of an RDF must be two distances, 0 <= smallest < largest, but "
            f"({low}, {high}) was given."
        )
    return low, high


def _check_points(
    r: FloatArray, g: FloatArray, error: FloatArray | None, where: Callable[[int], str]
) -> None:
    """Raise an InputError that says ``where(i)`` the first point ``i`` with a bad value is."""
    for column, values in (("r", r), ("g", g), ("error", error)):
        if values is None:
            continue
        for i in np.flatnonzero(~np.isfinite(values))[:1]:
            raise InputError(
                f"{where(i)} has {column} = {values[i]}, but every value must be a finite number."
            )
        for i in np.flatnonzero(values < 0.0)[:1]:
            raise InputError(
                f"{where(i)} has {column} = {values[i]:g}, but no value of {column} may be "
                f"negative."
            )
    for i in np.flatnonzero(np.diff(r) <= 0.0)[:1] + 1:
        raise InputError(
            f"{where(i)} has r = {r[i]:.10g} after r = {r[i - 1]:.10g}, but r must increase from "
            f"each point to the next; sort the points and keep one curve only."
        )
    if error is not None:
        for i in np.flatnonzero((error == 0.0) & (g > 0.0))[:1]:
            raise InputError(
                f"{where(i)} has an error of zero with g = {g[i]:g}, but an error may be zero only "
                f"where g is zero; leave the column of errors out if they are not known."
            )


def _check_curve(r: FloatArray, g: FloatArray, name: str) -> None:
    if r.size < 3:
        raise InputError(f"{name} must have at least 3 points, but it has {r.size}.")
    if not np.any(g > 0.0):
        raise InputError(
            f"{name} is zero everywhere, so there is nothing to learn from it; check the columns "
            f"of the file and the range."
        )


def _bin_edges(r: FloatArray, name: str) -> FloatArray:
    """Edges (n + 1,) of the bins with the centres ``r``; see :attr:`RDF.edges`."""
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
