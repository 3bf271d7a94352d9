"""The radial distribution function of one pair of species as a target of the training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffsim.errors import InputError
from diffsim.species import species_pairs
from diffsim.targets.base import Fitted, FloatArray, Fluctuation, Fluid, Target
from diffsim.targets.columns import read_columns
from diffsim.targets.pairs import pair_index
from diffsim.targets.rdf_bins import bin_edges, rebin_matrix, smearing_matrix
from diffsim.targets.rdf_checks import (
    FEWEST_POINTS,
    check_curve,
    check_points,
    check_size,
    check_weights,
    checked_pair,
    checked_range,
    readonly,
)
from diffsim.targets.rdf_curve import (
    check_error,
    check_kind,
    in_order,
    tail,
    tail_note,
    without_floor,
)
from diffsim.targets.rdf_file import Norm, check_box, numbers_of, read_box

if TYPE_CHECKING:
    from diffsim.records.frames import Frames

NORM_OF_EXPERIMENT = 1e-3  # relative standard error
FITTED_SCALE, FITTED_OFFSET = 0.05, 0.05  # what is left open where they are fitted
ROUNDING = 1e-9  # of g
LEFT_OUT = 0.01  # of a smeared g(r): pairs of rare bins that it may hold
ERROR_OF_TAIL = 0.004  # of what a g(r) tends to, as its tail tells it


@dataclass(frozen=True, eq=False)
class RDF(Target):
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
    atoms : float or mapping from str to float, optional
        Number of atoms of the whole box that ``g`` was counted in, as the simulated system counts
        them (beads, where it has beads), at least 2; infinity for an experiment. Or the numbers of
        single species, those of the pair among them. In a box of N atoms g does not tend to one, so
        that curves are comparable at the same N only
        (:mod:`diffsim.theory.finite_size`). None: not known.
    norm : {'N-1', 'N'}, optional
        Whether the pairs of one species were counted as N (N - 1), as here and in LAMMPS's compute
        rdf, or as N^2, as in GROMACS and VOTCA. None: not known.
    scale_error, offset_error : float
        Standard deviations of an unknown factor of ``g`` about one, and of an unknown constant in
        it, not negative: with `FITTED_SCALE` and `FITTED_OFFSET` they are all but free.
    smearing : float
        Standard deviation of the Gaussian of the distance that ``g`` was smeared with, as by the
        resolution of a measurement; the simulation's g(r) is smeared alike. Unit of length.
    is_experiment : bool
        Whether ``g`` was measured, even if it has been brought to the number of atoms of a
        simulation; true where ``atoms`` is infinite.
    notes : tuple of str
        What was done to the points of a file, or what is strange in them; a training says it.

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
    atoms: float | Mapping[str, float] | None = None
    norm: Norm | None = None
    scale_error: float = 0.0
    offset_error: float = 0.0
    smearing: float = 0.0
    is_experiment: bool = False
    notes: tuple[str, ...] = ()
    edges: FloatArray = field(init=False, repr=False)
    """Edges of the bins that ``r`` are the centres of, (n + 1,), unit of length, from >= 0 up.

    On a uniform grid (to 1e-4 of the spacing, as files are rounded) the bins are exactly uniform,
    and a grid whose bins fit on multiples of the (half) spacing gets edges that are these
    multiples to the last bit. On any other grid the edges lie midway between the points and the
    outer bins are symmetric. A grid that starts at r = 0 has its first edge there.
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "pair", checked_pair(self.pair))
        name = f"The RDF of the pair {self.pair[0]}-{self.pair[1]}"
        for key in ("r", "g", "error", "bin_weights"):
            values = getattr(self, key)
            if values is not None:
                object.__setattr__(self, key, readonly(values, key, name))
        for key in ("g", "error", "bin_weights"):
            values = getattr(self, key)
            if values is not None and values.shape != self.r.shape:
                raise InputError(
                    f"{name} needs one value of '{key}' for each of its {self.r.size} distances, "
                    f"but {values.size} were given."
                )
        check_weights(self.weight, self.bin_weights, name)
        for key in ("scale_error", "offset_error", "smearing"):
            check_size(getattr(self, key), key, name)
        check_box(self.atoms, self.norm, self.pair, name)
        measured = self.is_experiment or bool(np.isinf(numbers_of(self.atoms)).any())
        object.__setattr__(self, "is_experiment", measured)
        check_points(self.r, self.g, self.error, lambda i: f"{name}, point {i + 1},")
        check_curve(self.r, self.g, name)
        edges = bin_edges(self.r, name)
        edges.flags.writeable = False
        object.__setattr__(self, "edges", edges)

    def within(self, reach: float) -> RDF:
        """The same without bins that end beyond a distance; with all if fewer than three stayed."""
        kept = int(np.sum(self.edges[1:] <= reach))
        return self if kept < FEWEST_POINTS else self.first(kept)

    def first(self, kept: int) -> RDF:
        """The same with the first bins only."""
        if kept >= len(self.r):
            return self
        return replace(
            self,
            r=self.r[:kept],
            g=self.g[:kept],
            error=None if self.error is None else self.error[:kept],
            bin_weights=None if self.bin_weights is None else self.bin_weights[:kept],
        )

    @property
    def label(self) -> str:
        """Name with the pair."""
        return f"rdf {'-'.join(self.pair)}"

    @property
    def axis(self) -> FloatArray:
        """The distances, shape (n,)."""
        return self.r

    @property
    def values(self) -> FloatArray:
        """g, shape (n,)."""
        return self.g

    @property
    def errors(self) -> FloatArray | None:
        """The errors of g, shape (n,), or None."""
        return self.error

    @property
    def names(self) -> Sequence[str]:
        """The species of the pair."""
        return self.pair

    @property
    def counted(self) -> FloatArray:
        """`edges`."""
        return self.edges

    @property
    def fitted(self) -> list[Fitted]:
        """A factor and a constant, where they are not known."""
        scale = Fitted("scale", self.scale_error, 1.0, self.g)
        offset = Fitted("offset", self.offset_error, 0.0, np.ones(len(self.g)))
        return [each for each in (scale, offset) if each.error > 0.0]

    @property
    def from_frames(self) -> bool:
        """Whether the number of atoms is known, and that of no experiment."""
        return self.atoms is not None and not self.is_experiment

    def common_errors(self, atoms: int) -> FloatArray:
        """Of a factor, which is g times a relative error, and of a constant, shape (n, 2).

        The relative error is that of the norm, or `scale_error` where that is larger: 1 / N where
        the number of atoms or the way to count pairs is not known, or as much as the tail of g
        tells that it is wrong by; a thousandth for an experiment, which knows it no better.
        """
        norm = NORM_OF_EXPERIMENT if self.is_experiment else 0.0
        if not self.norm_is_known:
            norm = max(1.0 / atoms, self._error_of_norm)
        constant = np.full(len(self.g), self.offset_error)
        return np.stack([self.g * max(norm, self.scale_error), constant], axis=1)

    @cached_property
    def _error_of_norm(self) -> float:
        """As the tail tells it, whatever the number of atoms; asked for in every step."""
        level = abs(tail(self.r, self.g) or 0.0)
        return level if level > ERROR_OF_TAIL else 0.0

    @property
    def value_weights(self) -> FloatArray:
        """The target's weight times those of its bins, shape (n,)."""
        bins = np.ones(len(self.g)) if self.bin_weights is None else self.bin_weights
        return np.asarray(self.weight * bins)

    @property
    def norm_is_known(self) -> bool:
        """Whether it is known what g tends to: of how many atoms it is, and how pairs were counted.

        With infinitely many atoms the two ways to count are one. Where it is not known, g may be
        wrong by a factor of about 1 + 1/N.
        """
        known = numbers_of(self.atoms)
        return bool(known) and (self.norm is not None or bool(np.isinf(known).all()))

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        pair: tuple[str, str],
        weight: float = 1.0,
        range: tuple[float, float] | None = None,
        bin_weights: ArrayLike | None = None,
        atoms: float | Mapping[str, float] | None = None,
        norm: Norm | None = None,
        columns: Sequence[int] | None = None,
    ) -> RDF:
        """Read a target from a text file with the columns r, g and, optionally, the error of g.

        The columns are separated by commas, semicolons or white space. ``#`` starts a comment,
        lines that start with ``@`` or ``&`` (``.xvg``) are left out, and lines of text without
        any number are allowed above the numbers as a header. The comments ``# atoms: 1000`` (or
        ``infinite``, or numbers of species as ``A 800, B 200``) and ``# norm: N-1`` (or ``N``) say
        how many atoms the box held and how pairs were counted; see :class:`RDF`.

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
        atoms, norm
            See :class:`RDF`; what is given here overrides what the file says.
        columns : sequence of two or three int, optional
            Which columns, counted from 1, hold r, g and the error of g. By default the file has no
            others.

        Points of a digitised curve that are slightly out of order are sorted, and numbers inside of
        the core that no density of pairs can be are taken as zero (:mod:`rdf_curve`); `notes` say
        so.

        Raises
        ------
        InputError
            If the file cannot be read or its numbers are no RDF; the message names file and line.
        """
        path = Path(path)
        pair = checked_pair(pair)
        names = {2: "r and g", 3: "r, g and the error of g"}
        table, lines = read_columns(path, names, columns)
        name = f"The RDF in '{path}'"
        if range is not None:
            low, high = checked_range(range)
            kept = (table[:, 0] >= low) & (table[:, 0] <= high)
            table, lines = table[kept], lines[kept]
            name = f"The RDF in '{path}', kept from r = {low:g} to {high:g},"
        r, g = table[:, 0], table[:, 1]
        error = table[:, 2] if table.shape[1] == 3 else None
        r, g, error, lines, notes = in_order(r, g, error, lines)
        if columns is None and error is not None:
            check_error(r, g, error, path)
        check_kind(r, g, path)
        g, zeroed = without_floor(r, g)
        check_points(r, g, error, lambda i: f"Line {lines[i]} of '{path}'")
        check_curve(r, g, name)
        bin_edges(r, name)
        notes += zeroed + tail_note(r, g)
        in_file = read_box(path, pair)
        return cls(
            r=r,
            g=g,
            pair=pair,
            error=error,
            weight=weight,
            bin_weights=None if bin_weights is None else np.asarray(bin_weights, dtype=np.float64),
            atoms=in_file[0] if atoms is None else atoms,
            norm=in_file[1] if norm is None else norm,
            notes=tuple(f"In '{path}': {note}." for note in notes),
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
        series = frames.rdf(self.pair_index(species), rebin, self.edges)
        return series @ smearing_matrix(self.edges, self.smearing).T if self.smearing else series

    def gather(self, edges: FloatArray, species: Sequence[str]) -> FloatArray:
        """Matrix from the g(r) of all pairs in recorded bins to the target's bins, (n, P B)."""
        share = rebin_matrix(edges, self.edges) * np.diff(edges**3)
        share /= np.diff(self.edges**3)[:, None]
        if self.smearing:
            share = smearing_matrix(self.edges, self.smearing) @ share
        n_bins = len(edges) - 1
        matrix = np.zeros((len(self.g), len(species_pairs(len(species))) * n_bins))
        first = self.pair_index(species) * n_bins
        matrix[:, first : first + n_bins] = share
        return matrix

    def resolution(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """What one pair in one frame adds to each bin on average, shape (n,)."""
        return frames.one_pair(self.pair_index(species), self.edges)

    def fluctuation(self, fluid: Fluid, species: Sequence[str]) -> Fluctuation:
        """Numbers of pairs, times the volume."""
        bins = self.gather(fluid.edges, species)
        return Fluctuation(bins, bins @ fluid.g.ravel() / fluid.volume)

    @property
    def is_sum_of_pairs(self) -> bool:
        """Yes."""
        return True

    def usable(
        self, known: Fluctuation, fluid: Fluid, bins: NDArray[np.intp], species: Sequence[str]
    ) -> NDArray[np.bool_]:
        """Values all of whose pairs are in bins with enough of them.

        Bins without pairs add nothing to a value that is smeared over them; values further inside
        are those of the same bins again, and have no noise of their own.
        """
        g = fluid.g.ravel()
        values = known.bins @ g
        left_out = np.abs(values - known.bins[:, bins] @ g[bins])
        if self.smearing == 0.0:
            return np.asarray(left_out < ROUNDING)
        sharp = replace(self, smearing=0.0).gather(fluid.edges, species)
        return np.asarray(sharp[:, bins].any(axis=1) & (left_out <= LEFT_OUT * values))

    def scale(self, frames: Frames, kt: float) -> float:
        """One, the ideal gas."""
        return 1.0

    def pair_index(self, species: Sequence[str]) -> int:
        """Index of its pair among those of the species; raises InputError if one is not there."""
        return pair_index(self.pair, species, f"RDF of the pair {'-'.join(self.pair)}")


def distributions(targets: Iterable[Any]) -> list[RDF]:
    """Those of the targets that are a g(r): the theory of liquids and classical methods need it."""
    return [target for target in targets if isinstance(target, RDF)]
