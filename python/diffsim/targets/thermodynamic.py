"""Thermodynamic targets: potential energy, pressure, density and isothermal compressibility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffsim.errors import InputError
from diffsim.targets.base import FloatArray, Fluctuation, Fluid, Scalar

if TYPE_CHECKING:
    from diffsim.records.frames import Frames


@dataclass(frozen=True)
class Energy(Scalar):
    r"""The potential energy per atom, with all that the LAMMPS script adds to the learned pairs.

    .. math:: e = \langle U \rangle / N

    It depends on the potential explicitly, with :math:`dU/dc = n`, the pair counts.
    """

    def observe(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """U / N of every frame, shape (F, 1)."""
        return np.asarray(frames.energy[:, None] / frames.atoms.sum())

    def explicit(self, frames: Frames) -> FloatArray:
        """The pair counts per atom, shape (F, P (K + 2))."""
        return np.asarray(frames.counts.reshape(len(frames), -1) / frames.atoms.sum())

    def fluctuation(self, fluid: Fluid, species: Sequence[str]) -> Fluctuation:
        """Every pair of a bin adds u."""
        per_atom = fluid.counts_per_g / fluid.atoms.sum()
        return Fluctuation(
            (per_atom * fluid.energies).reshape(1, -1),
            np.zeros(1),
        )

    def scale(self, frames: Frames, kt: float) -> float:
        """kT."""
        return kt


@dataclass(frozen=True)
class Pressure(Scalar):
    r"""The pressure as LAMMPS computes it, in its unit.

    .. math:: P = \left\langle \frac{N k T}{V} - \frac{1}{3 V} \sum_{i<j} r_{ij} u'(r_{ij}) +
        \ldots \right\rangle

    with the contributions of all other interactions of the script. It depends on the potential
    explicitly, :math:`dP/dc = -v / 3 V` with v the virial counts.

    Raises
    ------
    InputError
        From `observe`, if the volume fluctuates.
    """

    def observe(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """Pressure of every frame, shape (F, 1)."""
        if np.ptp(frames.volume) > 0.0:
            raise InputError(
                "The pressure is a target, but a barostat of the script imposes it: no potential "
                "can change it. Keep the volume constant, or make the density the target."
            )
        return np.asarray(frames.pressure[:, None])

    def explicit(self, frames: Frames) -> FloatArray:
        """-v / 3 V in LAMMPS's unit of pressure, shape (F, P (K + 2))."""
        factor = -frames.pressure_unit / (3.0 * frames.volume)
        return np.asarray(frames.virial.reshape(len(frames), -1) * factor[:, None])

    def fluctuation(self, fluid: Fluid, species: Sequence[str]) -> Fluctuation:
        """Every pair of a bin adds -r u' / 3 V."""
        factor = -fluid.pressure_unit / (3.0 * fluid.volume) * fluid.centres * fluid.counts_per_g
        return Fluctuation(
            (factor * fluid.slopes).reshape(1, -1),
            np.zeros(1),
        )

    def scale(self, frames: Frames, kt: float) -> float:
        """That of the ideal gas."""
        return float(frames.pressure_unit * frames.atoms.sum() * kt / frames.volume.mean())


@dataclass(frozen=True)
class Density(Scalar):
    r"""The number density of a system whose volume fluctuates, :math:`N \langle 1 / V \rangle`.

    Of all atoms, per volume in LAMMPS's unit.

    Raises
    ------
    InputError
        If the value is not positive; from `observe`, if the volume does not fluctuate.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive(self)

    def observe(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """N / V of every frame, shape (F, 1)."""
        _check_volume(frames, self.label)
        return np.asarray(frames.atoms.sum() / frames.volume[:, None])

    def fluctuation(self, fluid: Fluid, species: Sequence[str]) -> Fluctuation:
        """It follows from the volume."""
        return Fluctuation(
            np.zeros((1, fluid.g.size)), np.array([-fluid.atoms.sum() / fluid.volume**2])
        )


@dataclass(frozen=True)
class Compressibility(Scalar):
    r"""The isothermal compressibility of a system whose volume fluctuates.

    .. math:: \kappa_T = \frac{\langle V^2 \rangle - \langle V \rangle^2}{k T \langle V \rangle}

    in the inverse of LAMMPS's unit of pressure. It needs long simulations: the relative error of a
    variance from n independent frames is :math:`\sqrt{2 / n}`.

    Raises
    ------
    InputError
        If the value is not positive; from `observe`, if the volume does not fluctuate.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive(self)

    def observe(self, frames: Frames, species: Sequence[str]) -> FloatArray:
        """V and V^2 of every frame, in units that make kT the only factor, shape (F, 2)."""
        _check_volume(frames, self.label)
        volume = frames.volume / frames.pressure_unit
        return np.stack([volume, volume**2], axis=1)

    def average(self, means: FloatArray, kt: float) -> tuple[FloatArray, FloatArray]:
        """The variance over kT and the mean."""
        mean, square = means
        value = (square - mean**2) / (kt * mean)
        return np.array([value]), np.array([[-2.0 / kt - value / mean, 1.0 / (kt * mean)]])

    def fluctuation(self, fluid: Fluid, species: Sequence[str]) -> None:
        """A third moment, which no theory here gives."""
        return


def _check_positive(target: Scalar) -> None:
    if target.value <= 0.0:
        raise InputError(
            f"The target of the {target.label} is {target.value}; it must be a positive number."
        )


def _check_volume(frames: Frames, label: str) -> None:
    if np.ptp(frames.volume) == 0.0:
        raise InputError(
            f"The {label} is a target, but the volume of the system does not change. Use fix npt "
            "or another barostat in its script, or the pressure as the target."
        )
