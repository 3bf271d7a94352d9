"""What a run has said so far of one of its systems."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffsim.arrays import Array
from diffsim.errors import InputError
from diffsim.simulation import Frames, System
from diffsim.statistics.time_series import standard_error
from diffsim.targets import distributions

Averages = Sequence[tuple[Array, Array | None] | None]
"""Of each target of a system: averages and their standard errors, where they are known."""


@dataclass(frozen=True)
class Curve:
    """A function that is a target, and the same in the latest simulation.

    Attributes
    ----------
    label
        Name of the target, as ``rdf A-B``.
    variable
        ``r`` or ``t``.
    x, target, measured
        Shape (n,).
    target_error, error
        Standard errors of the target and of `measured`, shape (n,); None where they are not known.
    """

    label: str
    variable: str
    x: Array
    target: Array
    target_error: Array | None
    measured: Array
    error: Array | None

    @property
    def residual(self) -> Array:
        """What is measured less the target, shape (n,)."""
        return self.measured - self.target

    @property
    def mse(self) -> float:
        """Mean square deviation from the target, unweighted, as in the metrics."""
        return float(np.mean(self.residual**2))


@dataclass(frozen=True)
class Deviation:
    """Mean square deviation of a function from its target, and what noise alone would make."""

    label: str
    mse: float
    noise: float


@dataclass(frozen=True)
class Number:
    """A target that is a number, and the same in the latest simulation, with standard errors.

    `target_error` is zero where the target is exact.
    """

    label: str
    value: float
    error: float
    target: float
    target_error: float

    @property
    def deviation(self) -> float:
        """From the target, in standard errors of the difference; NaN where there is no error."""
        error = math.hypot(self.error, self.target_error)
        return (self.value - self.target) / error if error > 0.0 else math.nan


@dataclass(frozen=True)
class SystemRecord:
    """A system of a run.

    Attributes
    ----------
    name
        As in the metrics: targets of the motion are those of a system NAME-motion.
    temperature
        That it is given.
    validation
        Whether nothing is learned from it.
    targets
        Names of its targets.
    iterations, loss, ess, pressure, kinetic_temperature
        Of every iteration after which it was simulated, shape (n,); NaN where a number is missing.
    rdf_mse, rdf_noise
        Means over its distribution functions, shape (n,); NaN where it has none.
    deviations, numbers
        Of its targets in the iteration at `place`.
    curves
        Functions in the simulation of the iteration `curves_of`.
    """

    name: str
    temperature: float
    validation: bool
    targets: Sequence[str]
    iterations: Array
    loss: Array
    ess: Array
    pressure: Array
    kinetic_temperature: Array
    rdf_mse: Array
    rdf_noise: Array
    deviations: Sequence[Deviation]
    numbers: Sequence[Number]
    curves: Sequence[Curve]
    curves_of: int | None

    @property
    def place(self) -> int:
        """Of the last iteration whose step was not undone, among `iterations`."""
        known = self.iterations.tolist()
        return known.index(self.curves_of) if self.curves_of in known else len(known) - 1

    @property
    def target_pressure(self) -> Number | None:
        """The target that is the pressure, if there is one."""
        return next((number for number in self.numbers if number.label == "pressure"), None)


def averages_of_frames(system: System, frames: Frames, species: Sequence[str]) -> Averages:
    """Averages and standard errors of the functions that are targets of a system.

    Parameters
    ----------
    system
        With targets of one kind, see `diffsim.training.windows.separate`.
    frames
        Of its latest simulation.
    species
        Names of the potential's species.
    """
    averages: list[tuple[Array, Array | None] | None] = []
    for target in system.targets:
        if _is_number(target):
            averages.append(None)
            continue
        series = target.observe(frames, species)  # type: ignore[union-attr]
        averages.append((series.mean(axis=0), standard_error(series)))
    return averages


def system_record(
    system: System,
    records: Sequence[tuple[int, Mapping[str, Any]]],
    averages: Averages | None,
    curves_of: int | None,
) -> SystemRecord:
    """Put together what the metrics, and what averages of the latest simulation say of a system.

    Parameters
    ----------
    system
        As `diffsim.training.windows.separate` makes it.
    records
        Iterations, and what their metrics say of all systems of its kind.
    averages
        Of its targets in the latest simulation; None where it is not known yet.
    curves_of
        The iteration of that simulation, if it is known.

    Raises
    ------
    InputError
        If a target has another length than it had in the run.
    """
    entries = [(number, of[system.name]) for number, of in records if system.name in of]
    # later pieces of simulation than that of the curves were taken back
    of_curves = [entry for number, entry in entries if number == curves_of]
    last: Mapping[str, Any] = (of_curves or [entry for _, entry in entries] or [{}])[-1]

    def history(key: str) -> Array:
        return np.array([entry.get(key, np.nan) for _, entry in entries], dtype=np.float64)

    def mean(key: str) -> Array:
        return np.array([np.mean(e[key]) if e.get(key) else np.nan for _, e in entries])

    return SystemRecord(
        name=system.name,
        temperature=system.temperature,
        validation=system.validation,
        targets=[target.label for target in system.targets],
        iterations=np.array([number for number, _ in entries], dtype=np.int64),
        loss=history("loss"),
        ess=history("ess"),
        pressure=history("pressure"),
        kinetic_temperature=history("temperature"),
        rdf_mse=mean("rdf_mse"),
        rdf_noise=mean("noise"),
        deviations=_deviations(system, last),
        numbers=_numbers(system, last.get("values", {})),
        curves=_curves(system, averages or ()),
        curves_of=curves_of,
    )


def _is_number(target: Any) -> bool:
    """Whether the metrics have a target among their `values`."""
    return len(target.values) == 1


def _numbers(system: System, values: Mapping[str, Any]) -> list[Number]:
    numbers = []
    for target in system.targets:
        if _is_number(target) and target.label in values:
            value, error = values[target.label]
            given = 0.0 if target.errors is None else float(target.errors[0])
            numbers.append(Number(target.label, value, error, float(target.values[0]), given))
    return numbers


def _deviations(system: System, last: Mapping[str, Any]) -> list[Deviation]:
    rdfs = [target.label for target in distributions(system.targets)]
    found = [
        Deviation(*each)
        for each in zip(rdfs, last.get("rdf_mse", ()), last.get("noise", ()), strict=False)
    ]
    curves = last.get("curves", {})
    return found + [Deviation(label, of["mse"], of["noise"]) for label, of in curves.items()]


def _curves(system: System, averages: Averages) -> list[Curve]:
    curves = []
    for target, average in zip(system.targets, averages, strict=False):
        if target.abscissa is None or _is_number(target) or average is None:
            continue
        measured, error = average
        if len(measured) != len(target.values):
            raise InputError(
                f"The target {target.label} of system '{system.name}' has {len(target.values)} "
                f"values, but in the run it had {len(measured)}. Put back the file that the run "
                "was started with."
            )
        variable, x = target.abscissa
        curves.append(
            Curve(target.label, variable, x, target.values, target.errors, measured, error)
        )
    return curves
