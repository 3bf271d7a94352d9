"""The radial distribution function in the windows of a trajectory, in smooth bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from diffsim.errors import InputError
from diffsim.targets.base import FloatArray
from diffsim.targets.pairs import pair_index
from diffsim.targets.rdf import RDF
from diffsim.targets.window import StateDerivatives, Window, WindowTarget

WALL = 1e-3  # part of a bin: one of which less is above the innermost knot holds no pairs
FINE = 4000  # points of the integrals over the bins


@dataclass(frozen=True, eq=False)
class WindowRDF(WindowTarget):
    r"""g(r) of one pair of species as a function that can be differentiated along a trajectory.

    Bins are cubic B-splines S_b of the distance, :math:`width` apart, so that positions have a
    derivative:

    .. math:: g_b = \frac{V}{N_\mathrm{pairs}}
        \frac{\langle \sum_{i<j} S_b(r_{ij}) \rangle}{\int S_b(r) \, 4 \pi r^2 dr}

    averaged over states of the later half of the window. The target is smoothed by the same
    functions: compared with bins of its own it would be biased.

    Parameters
    ----------
    target
        The known g(r); its errors become those of the smooth bins.
    cutoff
        Of the potential: bins end there.
    width
        From bin to bin, in LAMMPS's unit of length.
    states
        How many of a window count.

    Raises
    ------
    InputError
        If a number is out of its range, or fewer than three bins lie in the target's range.
    """

    target: RDF
    cutoff: float
    width: float
    states: int = 5

    def __post_init__(self) -> None:
        if not (self.width > 0.0 and self.states > 0):
            raise InputError(
                f"The smooth bins of the {self.target.label} need a positive width and number of "
                f"states, but have {self.width:g} and {self.states}."
            )
        if len(self.r) < 3:
            raise InputError(
                f"The {self.target.label} holds {len(self.r)} smooth bins of the width "
                f"{self.width:g} where g is not zero below the cutoff {self.cutoff:g}; it needs at "
                "least 3. Make the bins narrower, or give a target that reaches further."
            )

    @property
    def label(self) -> str:
        """That of the target, and how it is measured."""
        return f"{self.target.label} in windows"

    @property
    def names(self) -> Sequence[str]:
        """Those of the pair."""
        return self.target.pair

    @property
    def times(self) -> Sequence[float]:
        """None: windows of any length will do."""
        return ()

    @property
    def r(self) -> FloatArray:
        """Centres of the bins, shape (n,): in the range of the target below the cutoff."""
        edges, g = self.target.edges, self.target.g
        # a target that begins with pairs says nothing of those that are nearer
        first = edges[0] + 2.0 * self.width if g[0] > 0.0 else self.target.r[g > 0.0][0]
        last = min(self.cutoff, float(edges[-1])) - 2.0 * self.width
        number = int(np.floor((last - first) / self.width + 1e-9)) + 1
        return np.asarray(first + self.width * np.arange(max(number, 0)))

    def _bins(self, r: FloatArray) -> FloatArray:
        """S_b at distances, shape (n, len(r))."""
        x = np.abs(r - self.r[:, None]) / self.width
        inner = 2.0 / 3.0 - x**2 + 0.5 * x**3
        return np.where(x < 1.0, inner, np.where(x < 2.0, (2.0 - x) ** 3 / 6.0, 0.0))

    def _smooth(self) -> tuple[FloatArray, FloatArray]:
        """Matrix from the target's g to that of the smooth bins (n, B), and their volumes (n,)."""
        edges = self.target.edges
        fine = np.linspace(0.0, self.cutoff, FINE + 1)
        r = 0.5 * (fine[1:] + fine[:-1])
        shells = self._bins(r) * 4.0 / 3.0 * np.pi * np.diff(fine**3)
        within = np.searchsorted(edges, r, side="right") - 1
        matrix = np.zeros((len(shells), len(edges) - 1))
        known = (within >= 0) & (within < len(edges) - 1)
        np.add.at(matrix.T, within[known], shells[:, known].T)
        volumes = shells.sum(axis=1)
        return matrix / volumes[:, None], volumes

    @property
    def abscissa(self) -> tuple[str, FloatArray]:
        """Centres of the bins, shape (n,)."""
        return "r", self.r

    @property
    def values(self) -> FloatArray:
        """Of the target in the smooth bins, shape (n,)."""
        return np.asarray(self._smooth()[0] @ self.target.g)

    @property
    def errors(self) -> FloatArray | None:
        """Of the target in the smooth bins, if its errors are independent, shape (n,)."""
        if self.target.error is None:
            return None
        return np.asarray(np.sqrt(self._smooth()[0] ** 2 @ self.target.error**2))

    @property
    def value_weights(self) -> FloatArray:
        """Of the target in the smooth bins, shape (n,)."""
        return np.asarray(self._smooth()[0] @ self.target.value_weights)

    def observe_window(self, window: Window, species: Sequence[str]) -> FloatArray:
        """g of the smooth bins, shape (n,)."""
        functions, unit = self._functions(window, species)
        assert window.pairs is not None
        states = self._states(window)
        return np.array(
            [
                scale * np.mean([window.pairs.sum(n, values)[0] for n in states])
                for values, scale in zip(functions, unit, strict=True)
            ]
        )

    def derivatives(self, window: Window, species: Sequence[str], index: int) -> StateDerivatives:
        """Of one smooth bin."""
        functions, unit = self._functions(window, species)
        assert window.pairs is not None
        states = self._states(window)
        dx = np.zeros((states[-1] + 1, *window.x.shape[1:]))
        for n in states:
            dx[n] = unit[index] / len(states) * window.pairs.sum(n, functions[index])[1]
        return StateDerivatives(dx, None)

    def scale(self) -> float:
        """One, the ideal gas."""
        return 1.0

    def _states(self, window: Window) -> list[int]:
        last = len(window.x) - 1
        return sorted({round(n) for n in np.linspace(last / 2, last, self.states)})

    def _functions(self, window: Window, species: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Values of S_b at the knots of all pairs (n, P, K), and g for one pair of atoms (n,)."""
        assert window.pairs is not None
        pair = pair_index(self.target.pair, species, self.target.label)
        first, second = (
            np.sum(window.species == list(species).index(name)) for name in self.target.pair
        )
        same = self.target.pair[0] == self.target.pair[1]
        n_pairs = first * (first - 1) / 2 if same else first * second
        if not n_pairs:
            raise InputError(
                f"The {self.target.label} is a target, but the system holds no such pair of atoms. "
                "Correct the species of its types or the pair of the target."
            )
        r = window.pairs.distances
        functions = np.zeros((len(self.r), *r.shape))
        functions[:, pair] = self._bins(r[pair])
        # what the splines hold, which between coarse knots are not quite the functions
        fine = np.linspace(r[pair, 0], self.cutoff, FINE)
        splines = CubicSpline(r[pair] ** 2, functions[:, pair], axis=1)(fine**2)
        volumes = np.trapezoid(splines * 4.0 * np.pi * fine**2, fine, axis=1)
        # in the wall, below all knots, there are no pairs to count
        reached = volumes > WALL * self._smooth()[1]
        unit = np.zeros(len(volumes))
        unit[reached] = window.volume / (n_pairs * volumes[reached])
        return functions, unit
