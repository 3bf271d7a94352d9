"""What the training asks of a target that is about the motion in a window of a trajectory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from diffsim.errors import InputError
from diffsim.targets.base import FloatArray, Goal, Target

if TYPE_CHECKING:
    from diffsim.records.frames import Frames

OUTLIER = 3.0  # medians: a response of a window that is longer is cut to that
WHOLE = 1e-6  # of a time step: how far a time may be from a whole number of them


class PairSums(Protocol):
    """Sums over the pairs in the states of a window."""

    @property
    def distances(self) -> FloatArray:
        """Knots of each pair of species, between which functions are cubic splines, (P, K)."""
        ...

    def sum(self, state: int, values: FloatArray) -> tuple[float, FloatArray]:
        """Of functions with values (P, K) at the knots, zero beyond the last; and its derivative by
        the positions (N, 3)."""
        ...


@dataclass(frozen=True)
class Window:
    """Every state of a stretch of trajectory that began in equilibrium.

    Attributes
    ----------
    x, v
        Positions, not wrapped into the box, and velocities in LAMMPS's units, (T + 1, N, 3).
    species
        Index of each atom's species, shape (N,).
    mass
        Of each atom, shape (N,).
    dt
        Time from state to state.
    kt
        Thermal energy.
    mvv_to_energy
        The energy of mass times velocity squared of one.
    volume
        Of the box.
    pairs
        To sum functions of the distance over the pairs; None where no target needs it.
    """

    x: FloatArray
    v: FloatArray
    species: NDArray[np.int64]
    mass: FloatArray
    dt: float
    kt: float
    mvv_to_energy: float
    volume: float = 0.0
    pairs: PairSums | None = None

    def step(self, time: float, label: str) -> int:
        """The number of the state at a time.

        Raises
        ------
        InputError
            If the time is no whole number of time steps, or after the window.
        """
        n = whole_steps(time, self.dt, label)
        if n >= len(self.x):
            raise InputError(
                f"The time {time:g} of the {label} is longer than the window of "
                f"{(len(self.x) - 1) * self.dt:g}."
            )
        return n

    def atoms(self, name: str, species: Sequence[str], label: str) -> NDArray[np.intp]:
        """Numbers of the atoms of a species.

        Raises
        ------
        InputError
            If the potential does not know the species, or there is no such atom.
        """
        if name not in species:
            raise InputError(
                f"The {label} names the species {name}, but the potential has the species "
                f"{', '.join(species)}."
            )
        chosen = np.flatnonzero(self.species == list(species).index(name))
        if not len(chosen):
            raise InputError(
                f"The {label} is a target, but the system holds no atom of {name}. Correct the "
                "species of its types or that of the target."
            )
        return chosen


@dataclass(frozen=True)
class StateDerivatives:
    """Derivatives of an observable by the first states of a window, each by itself.

    Attributes
    ----------
    x, v
        Shape (states, N, 3); None where it does not depend on positions or velocities.
    """

    x: FloatArray | None
    v: FloatArray | None


class WindowTarget(Goal):
    """Observables of the motion, averages over windows, and the values that they should have."""

    @property
    @abstractmethod
    def times(self) -> Sequence[float]:
        """From the beginning of a window, at which it needs states, in LAMMPS's unit of time."""

    @abstractmethod
    def observe_window(self, window: Window, species: Sequence[str]) -> FloatArray:
        """Observables of a window, shape (n,)."""

    @abstractmethod
    def derivatives(self, window: Window, species: Sequence[str], index: int) -> StateDerivatives:
        """Of one of the observables."""

    def doubt(self, averages: FloatArray) -> str | None:
        """A sentence if averages (n,) of a simulation speak against the target's axis."""
        return None

    def scale(self) -> float:
        """A deviation that counts as large, the unit of the loss of targets without errors."""
        return float(np.abs(self.values).max())


@dataclass(frozen=True)
class WindowAverage(Target):
    """A target of the motion, as the average over frames that windows begin with.

    What a window says depends on the potential in two ways: through its initial state, as all
    averages do, and explicitly through the forces along it. The first is reweighted like any
    other; the second, which the adjoint of the trajectory gives, is `explicit`. Only the sum is
    the derivative of the average.

    Attributes
    ----------
    target
        Of the motion.
    columns
        Of the target in `Frames.motion`.
    """

    target: WindowTarget
    columns: slice

    @property
    def label(self) -> str:
        """That of the target."""
        return self.target.label

    @property
    def abscissa(self) -> tuple[str, FloatArray] | None:
        """That of the target; no `axis`, as nothing but noise is expected between the motion and
        its targets."""
        return self.target.abscissa

    @property
    def names(self) -> Sequence[str]:
        """Species of the target."""
        return self.target.names

    def doubt(self, frames: Frames, species: Sequence[str]) -> str | None:
        """That of the target."""
        return self.target.doubt(self.observe(frames, species).mean(axis=0))

    @property
    def values(self) -> FloatArray:
        """Those of the target, shape (n,)."""
        return self.target.values

    @property
    def errors(self) -> FloatArray | None:
        """Those of the target, shape (n,), or None."""
        return self.target.errors

    @property
    def value_weights(self) -> FloatArray:
        """Those of the target, shape (n,)."""
        return self.target.value_weights

    def observe(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """What the windows say, shape (F, n)."""
        return np.asarray(frames.motion[:, self.columns])

    def explicit(self, frames: Frames) -> FloatArray | None:
        """The derivative along the windows, (F, n, P (K + 2)); None where it was not asked for.

        Without outliers; see `shortened`.
        """
        if not frames.motion_response.size:
            return None
        return shortened(frames.motion_response[:, self.columns])[0]

    def scale(self, frames: Frames, kt: float) -> float:
        """That of the target."""
        return self.target.scale()


def whole_steps(time: float, dt: float, label: str) -> int:
    """Number of time steps in a time of what `label` says; InputError if it is not whole."""
    n = round(time / dt)
    if abs(time / dt - n) > WHOLE * max(1, n):
        raise InputError(
            f"The time {time:g} of the {label} is no multiple of the time step {dt:g}. Give a "
            "target at such times, or change the time step of the script."
        )
    return n


def shortened(response: FloatArray) -> tuple[FloatArray, float]:
    """Derivatives of windows without the outliers of chaos, and the share of what was shortened.

    The derivative of a chaotic trajectory grows exponentially, and how fast depends on the window:
    that of a few windows can be larger than of all others together, and an average over windows is
    then theirs. A derivative longer than `OUTLIER` times the median over the windows, for the same
    observable, is shortened to that. The price is a bias, small as long as few are.

    Parameters
    ----------
    response
        Shape (F, n, C).
    """
    length = np.linalg.norm(response, axis=2)
    most = OUTLIER * np.median(length, axis=0)
    factor = np.minimum(1.0, most / np.where(length > 0.0, length, 1.0))
    return response * factor[:, :, None], float(np.mean(factor < 1.0))


def window_averages(targets: Sequence[WindowTarget]) -> list[WindowAverage]:
    """The targets of one system, one after the other in the columns of `Frames.motion`."""
    ends = np.cumsum([len(target.values) for target in targets])
    return [
        WindowAverage(target, slice(int(end) - len(target.values), int(end)))
        for target, end in zip(targets, ends, strict=True)
    ]


def motions(targets: Iterable[Any]) -> list[WindowTarget]:
    """Targets of the motion among those of a system: what its `WindowAverage` are averages of."""
    return [target.target for target in targets if isinstance(target, WindowAverage)]
