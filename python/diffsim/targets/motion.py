"""Targets of the motion of single atoms: velocity autocorrelation, displacement and diffusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from diffsim.errors import InputError
from diffsim.targets.base import FloatArray
from diffsim.targets.columns import read_columns
from diffsim.targets.time_axis import stretched
from diffsim.targets.window import StateDerivatives, Window, WindowTarget

KNOWN = 1e-3  # how far rounding may take a file's value at the time zero from its definition


@dataclass(frozen=True, eq=False)
class _Curve(WindowTarget):
    """A function of time for the atoms of one species.

    Parameters
    ----------
    time : (n,) array
        In LAMMPS's unit of time; positive, increasing, multiples of the time step.
    value : (n,) array
        Target values.
    species : str
        Name of the species.
    error : (n,) array, optional
        Standard errors of the values, positive; None means exact.
    weight : float
        Among all targets of a training; positive.

    Raises
    ------
    InputError
        If the arrays break one of the rules above.
    """

    time: FloatArray
    value: FloatArray
    species: str
    error: FloatArray | None = None
    weight: float = 1.0

    AT_ZERO: ClassVar[float]  # the value at the time zero
    REMEDY: ClassVar[str]  # for a file that says something else

    def __post_init__(self) -> None:
        for name in ("time", "value", "error"):
            given = getattr(self, name)
            if given is None:
                continue
            array = np.array(given, dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
            if array.shape != self.time.shape or array.ndim != 1 or not array.size:
                raise InputError(
                    f"The {self.label} needs one number '{name}' for each of its times, but has "
                    f"{array.size} for {self.time.size} times."
                )
            if not np.all(np.isfinite(array)):
                raise InputError(f"The {self.label} has numbers '{name}' that are not finite.")
        if not (self.time[0] > 0.0 and np.all(np.diff(self.time) > 0.0)):
            raise InputError(f"The times of the {self.label} must be positive and increase.")
        if self.error is not None and not np.all(self.error > 0.0):
            raise InputError(f"The errors of the {self.label} must be positive.")
        if not (np.isfinite(self.weight) and self.weight > 0.0):
            raise InputError(
                f"The weight of the {self.label} is {self.weight}; it must be a positive number."
            )

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        species: str,
        weight: float = 1.0,
        range: tuple[float, float] | None = None,
    ) -> Self:
        """Read a target from a text file with the columns time, value and, optionally, its error.

        Parameters
        ----------
        path
            The file; times in LAMMPS's unit.
        species, weight
            See the class.
        range
            Smallest and largest time (both included) that is kept.

        Raises
        ------
        InputError
            If the file cannot be read or its numbers are no such curve.
        """
        names = {2: "time and value", 3: "time, value and the error of the value"}
        table, _ = read_columns(Path(path), names)
        # at the time zero the value is known
        now = table[:, 0] == 0.0
        if not np.all(np.abs(table[now, 1] - cls.AT_ZERO) <= KNOWN):  # so that NaN is refused
            raise InputError(
                f"The file '{path}' has the value {table[now, 1][0]:g} at the time zero, where the "
                f"{cls.__name__.lower()} is {cls.AT_ZERO:g} by its definition. {cls.REMEDY}"
            )
        table = table[~now]
        if not len(table):
            raise InputError(
                f"The file '{path}' has no line for a time other than zero, where nothing can be "
                "learned; give the curve at later times."
            )
        if range is not None:
            first, last = table[0, 0], table[-1, 0]
            table = table[(table[:, 0] >= range[0]) & (table[:, 0] <= range[1])]
            if not len(table):
                raise InputError(
                    f"The file '{path}' has times from {first:g} to {last:g}, but none in the "
                    f"range from {range[0]:g} to {range[1]:g} that is to be kept."
                )
        return cls(
            table[:, 0],
            table[:, 1],
            species,
            table[:, 2] if table.shape[1] == 3 else None,
            weight,
        )

    @property
    def label(self) -> str:
        """Name with the species."""
        return f"{type(self).__name__.lower()} {self.species}"

    @property
    def values(self) -> FloatArray:
        """The values, shape (n,)."""
        return self.value

    @property
    def errors(self) -> FloatArray | None:
        """Their errors, shape (n,), or None."""
        return self.error

    @property
    def value_weights(self) -> FloatArray:
        """The weight of the target for each time, shape (n,)."""
        return np.full(len(self.time), self.weight)

    @property
    def names(self) -> Sequence[str]:
        """The species."""
        return (self.species,)

    @property
    def times(self) -> Sequence[float]:
        """The times."""
        return [float(time) for time in self.time]

    @property
    def abscissa(self) -> tuple[str, FloatArray]:
        """The times, shape (n,)."""
        return "t", self.time


class VACF(_Curve):
    r"""The velocity autocorrelation function of a species, one at time zero.

    .. math:: Z(t) = \frac{m}{3 k T} \langle v_i(0) \cdot v_i(t) \rangle

    over atoms and windows that begin at time zero. Divided by the kinetic energy of
    equipartition, not the measured one, it is an average.
    """

    AT_ZERO = 1.0
    REMEDY = (
        "Divide the file's values by that one, which is 3 k T / m on average: LAMMPS's compute "
        "vacf does not."
    )

    def observe_window(self, window: Window, species: Sequence[str]) -> FloatArray:
        """Z at the target's times, shape (n,)."""
        atoms, unit = self._atoms(window, species)
        steps = [window.step(t, self.label) for t in self.time]
        v = window.v[:, atoms]
        return np.array([np.sum(v[0] * v[n] * unit) for n in steps])

    def derivatives(self, window: Window, species: Sequence[str], index: int) -> StateDerivatives:
        """Of Z at one time."""
        atoms, unit = self._atoms(window, species)
        n = window.step(self.time[index], self.label)
        dv = np.zeros((n + 1, *window.v.shape[1:]))
        dv[0, atoms] = unit * window.v[n, atoms]
        dv[n, atoms] = unit * window.v[0, atoms]
        return StateDerivatives(None, dv)

    def _atoms(self, window: Window, species: Sequence[str]) -> tuple[NDArray[np.intp], FloatArray]:
        """Numbers of the atoms, and m / 3 kT over their number, (n, 1)."""
        atoms = window.atoms(self.species, species, self.label)
        unit = window.mass[atoms] * window.mvv_to_energy / (3.0 * window.kt * len(atoms))
        return atoms, unit[:, None]

    def doubt(self, averages: FloatArray) -> str | None:
        """Whether it would agree with another time axis."""
        return stretched(self.label, self.time, self.values, averages)

    def scale(self) -> float:
        """One."""
        return 1.0


class MSD(_Curve):
    r"""The mean square displacement of a species in LAMMPS's unit of length squared.

    .. math:: \langle |x_i(t) - x_i(0)|^2 \rangle

    over atoms and windows that begin at time zero. The motion of the centre of mass is in it.
    """

    AT_ZERO = 0.0
    REMEDY = "Give the mean square of the displacement from where an atom was at the time zero."

    def observe_window(self, window: Window, species: Sequence[str]) -> FloatArray:
        """At the target's times, shape (n,)."""
        atoms = window.atoms(self.species, species, self.label)
        steps = [window.step(t, self.label) for t in self.time]
        d = window.x[steps][:, atoms] - window.x[0, atoms]
        return np.asarray(np.sum(d * d, axis=(1, 2)) / len(atoms))

    def derivatives(self, window: Window, species: Sequence[str], index: int) -> StateDerivatives:
        """At one time."""
        atoms = window.atoms(self.species, species, self.label)
        n = window.step(self.time[index], self.label)
        return StateDerivatives(_displacement(window, atoms, n, 1.0), None)


@dataclass(frozen=True)
class Diffusion(WindowTarget):
    r"""The diffusion coefficient of a species, from the slope of its mean square displacement.

    .. math:: D = \frac{\mathrm{MSD}(t_2) - \mathrm{MSD}(t_1)}{6 (t_2 - t_1)}

    (A. Einstein, Ann. Phys. 322, 549 (1905)), with times long enough for the motion to be
    diffusive.

    Parameters
    ----------
    value : float
        Unit of length squared over unit of time.
    species : str
        Name of the species.
    between : tuple of two float
        t_1 and t_2.
    error : float, optional
        Standard error of the value; None means exact.
    weight : float
        Among all targets of a training.

    Raises
    ------
    InputError
        If a number is out of its range.
    """

    value: float
    species: str
    between: tuple[float, float]
    error: float | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        for name in ("value", "error", "weight"):
            number = getattr(self, name)
            if number is not None and not (np.isfinite(number) and number > 0.0):
                raise InputError(
                    f"The {name} of the {self.label} is {number}; it must be a positive number."
                )
        first, last = self.between
        if not 0.0 <= first < last < np.inf:
            raise InputError(
                f"The {self.label} is to be taken between the times {first:g} and {last:g}; the "
                "second must be after the first, and none negative."
            )

    @property
    def label(self) -> str:
        """Name with the species."""
        return f"diffusion {self.species}"

    @property
    def values(self) -> FloatArray:
        """The value, shape (1,)."""
        return np.array([self.value])

    @property
    def errors(self) -> FloatArray | None:
        """The error, shape (1,), or None."""
        return None if self.error is None else np.array([self.error])

    @property
    def value_weights(self) -> FloatArray:
        """The weight, shape (1,)."""
        return np.array([self.weight])

    @property
    def names(self) -> Sequence[str]:
        """The species."""
        return (self.species,)

    @property
    def times(self) -> Sequence[float]:
        """t_1 and t_2."""
        return self.between

    def observe_window(self, window: Window, species: Sequence[str]) -> FloatArray:
        """D, shape (1,)."""
        atoms = window.atoms(self.species, species, self.label)
        first, last = (window.step(t, self.label) for t in self.between)
        d = window.x[[first, last]][:, atoms] - window.x[0, atoms]
        msd = np.sum(d * d, axis=(1, 2)) / len(atoms)
        return np.array([(msd[1] - msd[0]) / self._six_times])

    def derivatives(self, window: Window, species: Sequence[str], index: int) -> StateDerivatives:
        """Of D."""
        atoms = window.atoms(self.species, species, self.label)
        first, last = (window.step(t, self.label) for t in self.between)
        dx = _displacement(window, atoms, last, 1.0 / self._six_times)
        dx[: first + 1] -= _displacement(window, atoms, first, 1.0 / self._six_times)
        return StateDerivatives(dx, None)

    def scale(self) -> float:
        """The value."""
        return self.value

    @property
    def _six_times(self) -> float:
        return 6.0 * (self.between[1] - self.between[0])


def _displacement(window: Window, atoms: NDArray[np.intp], n: int, factor: float) -> FloatArray:
    """Derivative of the factor times the mean square displacement after n steps, (n + 1, N, 3)."""
    dx = np.zeros((n + 1, *window.x.shape[1:]))
    slope = 2.0 * factor / len(atoms) * (window.x[n, atoms] - window.x[0, atoms])
    dx[n, atoms] += slope
    dx[0, atoms] -= slope
    return dx
