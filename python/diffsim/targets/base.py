"""What the training asks of a target observable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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


@dataclass(frozen=True)
class Fitted:
    """Something of a curve that is found with the potential: by what it is wrong, times a shape.

    Attributes
    ----------
    name
        Such as ``scale``.
    error
        Its standard deviation before anything is known.
    about
        Its value where the curve is right.
    shape
        Change of the values with it, shape (n,).
    """

    name: str
    error: float
    about: float
    shape: FloatArray


class Goal(ABC):
    """Values that observables should have, and what is known of them."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Short name for metrics and messages, such as ``rdf A-B``."""

    @property
    @abstractmethod
    def values(self) -> FloatArray:
        """Target values, shape (n,)."""

    @property
    def errors(self) -> FloatArray | None:
        """Standard errors of the values, shape (n,); None means exact."""
        return None

    @property
    def value_weights(self) -> FloatArray:
        """Weights of the values in the loss, shape (n,)."""
        return np.ones(len(self.values))

    @property
    def abscissa(self) -> tuple[str, FloatArray] | None:
        """Name and places of the axis of a curve, for metrics and pictures; None of numbers."""
        return None

    @property
    def names(self) -> Sequence[str]:
        """Species that it is about; none where it is about all atoms."""
        return ()


class Target(Goal):
    """Observables of one system and the values that they should have.

    The observables are functions of averages over frames, of quantities x_f that may depend on the
    potential explicitly (an energy does), linearly in the coefficients of its spline. A target says
    itself all that a training, its metrics and its report have to know of it; what most targets
    have in common is the default here.
    """

    @abstractmethod
    def observe(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """x of every frame in the potential that was simulated, shape (F, M)."""

    # ---- what else is known of the values

    @property
    def axis(self) -> FloatArray | None:
        """Places of the values of a curve that may have a misfit, shape (n,); None if there is
        nothing but noise between the values and their targets."""
        return None

    @property
    def abscissa(self) -> tuple[str, FloatArray] | None:
        """Name and places of the axis of a curve, for metrics and pictures; None of numbers."""
        return None if self.axis is None else ("r", self.axis)

    @property
    def from_frames(self) -> bool:
        """Whether the values are averages over frames of a simulation, as far as is known: errors
        of such averages are correlated as those of the training are."""
        return True

    @property
    def is_experiment(self) -> bool:
        """Whether the values were measured, and are those of no potential but for noise."""
        return False

    def common_errors(self, atoms: int) -> FloatArray:
        """Standard errors that all values have together: of a factor, as of an unknown norm, and of
        a constant, shape (n, 2); `atoms` is the number of the simulated ones."""
        return np.zeros((len(self.values), 2))

    @property
    def fitted(self) -> Sequence[Fitted]:
        """What of the values is found with the potential."""
        return ()

    def doubt(self, frames: Frames, species: Sequence[str]) -> str | None:
        """A sentence if a simulation speaks against the target's axis."""
        return None

    # ---- its average, and how that depends on the potential

    def average(self, means: FloatArray, kt: float) -> tuple[FloatArray, FloatArray]:
        """Observables from the averages of x (M,), and the Jacobian: shapes (n,) and (n, M)."""
        return identity_average(means)

    def explicit(self, frames: Frames) -> FloatArray | None:
        """Derivative of x with respect to the coefficients, (F, M, P (K + 2)), or without the M
        where it is one; None where zero."""
        return None

    def fluctuation(self, fluid: Fluid, species: Sequence[str]) -> Fluctuation | None:
        """How the averages follow from the numbers of pairs; None if that is not known."""
        return None

    @property
    def is_sum_of_pairs(self) -> bool:
        """Whether x is `fluctuation` times the numbers of counted pairs, in every frame."""
        return False

    def usable(
        self, known: Fluctuation, fluid: Fluid, bins: NDArray[np.intp], species: Sequence[str]
    ) -> NDArray[np.bool_]:
        """Which averages the pairs in bins with enough of them determine, shape (M,).

        Parameters
        ----------
        known
            From `fluctuation`.
        fluid
            The present averages.
        bins
            Indices of these bins, of all pairs of species.
        species
            Names of the potential's species.
        """
        return np.ones(len(known.bins), dtype=bool)

    def resolution(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """What one pair in one frame adds to each value on average, shape (n,)."""
        return np.zeros(len(self.values))

    def scale(self, frames: Frames, kt: float) -> float:
        """A deviation that counts as large, the unit of the loss of targets without errors."""
        return float(np.abs(self.values).max())

    # ---- what has to be recorded, and how far the simulation can follow

    @property
    def counted(self) -> FloatArray | None:
        """Edges of the bins of distance in which it counts pairs, shape (b + 1,); None of none."""
        return None

    def within(self, reach: float) -> Target:
        """The same up to a distance, beyond which the simulation knows nothing."""
        return self

    def first(self, kept: int) -> Target:
        """The same with the first values only, where the others were not compared."""
        return self


def identity_average(means: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Observables that are averages themselves."""
    return means, np.eye(len(means))


@dataclass(frozen=True)
class Scalar(Target):
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
