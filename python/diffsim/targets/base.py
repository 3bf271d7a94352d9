"""What the training asks of a target observable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from diffsim.errors import InputError

if TYPE_CHECKING:
    from diffsim.records.frames import Frames

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Fluid:
    """Averages of a system in its present potential, in the recorded bins of distance.

    Attributes
    ----------
    edges
        Of the bins, shape (B + 1,).
    g
        Distribution functions of all species pairs, shape (P, B).
    counts_per_g
        Number of pairs per unit of g in each bin at the mean volume, shape (P, B).
    energies, slopes
        Potentials u and du/dr at the centres of the bins, shape (P, B).
    volume
        Mean volume.
    atoms
        Number of atoms of each species, shape (S,).
    pressure_unit
        Pressure in LAMMPS's unit per energy over volume.
    """

    edges: FloatArray
    g: FloatArray
    counts_per_g: FloatArray
    energies: FloatArray
    slopes: FloatArray
    volume: float
    atoms: NDArray[np.int64]
    pressure_unit: float

    @property
    def centres(self) -> FloatArray:
        """Centres of the bins, shape (B,)."""
        return np.asarray(0.5 * (self.edges[:-1] + self.edges[1:]))


@dataclass(frozen=True)
class Fluctuation:
    """How averages follow from the numbers of pairs, to first order about the present ensemble.

    Attributes
    ----------
    bins
        Change of the averages with g of all pairs at constant volume, shape (M, P B).
    volume
        Their change with the volume at constant numbers of pairs, shape (M,).
    """

    bins: FloatArray
    volume: FloatArray


class Target(Protocol):
    """Observables of one system and the values that they should have.

    The observables are functions of averages over frames, of quantities x_f that may depend on the
    potential explicitly (an energy does), linearly in the coefficients of its spline.
    """

    @property
    def label(self) -> str:
        """Short name for metrics and messages, such as ``rdf A-B``."""
        ...

    @property
    def axis(self) -> FloatArray | None:
        """Distances or times of the values of a curve, shape (n,); None where it is none."""
        ...

    @property
    def values(self) -> FloatArray:
        """Target values, shape (n,)."""
        ...

    @property
    def errors(self) -> FloatArray | None:
        """Standard errors of the values, shape (n,); None means exact."""
        ...

    @property
    def from_frames(self) -> bool:
        """Whether the values are averages over frames of a simulation, as far as is known: errors
        of such averages are correlated as those of the training are."""
        ...

    def common_errors(self, atoms: int) -> FloatArray:
        """Standard errors that all values have together: of a factor, as of an unknown norm, and of
        a constant, shape (n, 2); `atoms` is the number of the simulated ones."""
        ...

    @property
    def value_weights(self) -> FloatArray:
        """Weights of the values in the loss, shape (n,)."""
        ...

    def observe(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """x of every frame in the potential that was simulated, shape (F, M)."""
        ...

    def explicit(self, frames: Frames) -> FloatArray | None:
        """Derivative of x with respect to the coefficients, (F, M, P (K + 2)), or without the M
        where it is one; None where zero."""
        ...

    def average(self, means: FloatArray, kt: float) -> tuple[FloatArray, FloatArray]:
        """Observables from the averages of x (M,), and the Jacobian: shapes (n,) and (n, M)."""
        ...

    def fluctuation(self, fluid: Fluid, species: Sequence[str]) -> Fluctuation | None:
        """How the averages follow from the numbers of pairs; None if that is not known."""
        ...

    def resolution(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """What one pair in one frame adds to each value on average, shape (n,)."""
        ...

    def scale(self, frames: Frames, kt: float) -> float:
        """A deviation that counts as large, the unit of the loss of targets without errors."""
        ...


def identity_average(means: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Observables that are averages themselves."""
    return means, np.eye(len(means))


@dataclass(frozen=True)
class Scalar:
    """A target that is one number.

    Parameters
    ----------
    value
        What the observable should be.
    error
        Its standard error; None means that the value is exact.
    weight
        Among all targets of a training.

    Raises
    ------
    InputError
        If the value is not finite, or the error or the weight not positive.
    """

    value: float
    error: float | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.value):
            raise InputError(
                f"The target of the {self.label} is {self.value}; it must be a finite number."
            )
        for what, number in (("error", self.error), ("weight", self.weight)):
            if number is not None and not (np.isfinite(number) and number > 0.0):
                raise InputError(
                    f"The {what} of the target of the {self.label} is {number}; it must be a "
                    "positive number."
                )

    @property
    def label(self) -> str:
        """Name of the observable."""
        return type(self).__name__.lower()

    def observe(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """See `Target`."""
        raise NotImplementedError

    def fluctuation(self, fluid: Fluid, species: Sequence[str]) -> Fluctuation | None:
        """See `Target`."""
        raise NotImplementedError

    @property
    def axis(self) -> FloatArray | None:
        """None: one number."""
        return None

    @property
    def values(self) -> FloatArray:
        """The value, shape (1,)."""
        return np.array([self.value])

    @property
    def errors(self) -> FloatArray | None:
        """The error, shape (1,), or None."""
        return None if self.error is None else np.array([self.error])

    @property
    def from_frames(self) -> bool:
        """Nothing else is known."""
        return True

    def common_errors(self, atoms: int) -> FloatArray:
        """None beside its own, shape (1, 2)."""
        return np.zeros((1, 2))

    @property
    def value_weights(self) -> FloatArray:
        """The weight, shape (1,)."""
        return np.array([self.weight])

    def explicit(self, frames: Frames) -> FloatArray | None:
        """No explicit dependence on the potential."""
        return None

    def average(self, means: FloatArray, kt: float) -> tuple[FloatArray, FloatArray]:
        """The average itself."""
        return identity_average(means)

    def resolution(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """Not a sum of rare events, shape (1,)."""
        return np.zeros(1)

    def scale(self, frames: Frames, kt: float) -> float:
        """The value."""
        return abs(self.value)
