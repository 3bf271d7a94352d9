"""Whether the numbers of a training are plausible: functions that return sentences or parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diffsim.arrays import Array

ATMOSPHERE = {
    "real": 1.0,
    "metal": 1.01325,
    "si": 101325.0,
    "cgs": 1.01325e6,
    "electron": 101325.0,
    "micro": 101.325,
    "nano": 0.101325,
}
"""One atmosphere in LAMMPS's unit of pressure, for each style of units that has one."""

HIGH_PRESSURE = 1000.0  # atmospheres
HIGH_RATIO = 15.0  # pressure over that of an ideal gas, where units have no atmosphere
OPEN = 0.25  # of the pressure of an ideal gas: an error that is worth a word
SLOW = 3.0  # variance between pieces over that within; noise alone has 2 in the largest of modes
FLOATED = 0.02  # of a density, relative
PEAK = 3.0  # of a distribution function
SHALLOW = 0.1  # kT: less is no well
MET = 2.0  # standard errors of a number; noise of a curve, as a variance
BLOWN = 10.0  # chi squared
ROSE = 1.5  # loss of the last iteration over that of the first
FALLS = 0.9  # loss of three iterations over that of the three before


def floated(name: str, start: float, end: float) -> str | None:
    """A sentence where the density of a system floated away from that of its script.

    Parameters
    ----------
    name
        Of a system whose density is no target.
    start, end
        Densities as the script makes the atoms, and of the last iteration.
    """
    if not abs(end / start - 1.0) > FLOATED:
        return None
    return (
        f"The density of system '{name}' floated from {start:.4g}, as its script makes it, to "
        f"{end:.4g}, and no target holds it: what was learned belongs to the density at the end. "
        f"If that is not the real one, give it as a target ('density: {start:.4g}'), or train at "
        "constant volume."
    )


def slow(excess: float) -> str | None:
    """A sentence where a fluid relaxes more slowly than a piece of simulation.

    Parameters
    ----------
    excess
        Variance of the averages of pieces, of the slowest mode, over what one piece tells of it.
    """
    if not excess > SLOW:
        return None
    return (
        f"The averages of the pieces of simulation differ by {np.sqrt(excess):.1f} times what one "
        "piece tells of its error (standard deviations): something relaxes more slowly than a "
        "piece is long. The uncertainty contains it, as far as it shows. Simulate longer pieces "
        "('simulation: steps'), and see that the run that the targets come from was long enough."
    )


def of_this_state(
    name: str, by_density: float, by_temperature: float, uncertainty: float
) -> str | None:
    """A sentence where the potential depends on the state more than on the errors of the data.

    Parameters
    ----------
    name
        Of a system at constant volume.
    by_density, by_temperature
        Change of its potential, where g > 0.1, with one per cent of each.
    uncertainty
        Of the potential; all are root mean squares.
    """
    if not max(by_density, by_temperature) > uncertainty:
        return None
    return (
        f"The potential is that of exactly the density and the temperature of system '{name}': one "
        f"per cent more density would change it by {by_density:.2g}, one per cent more temperature "
        f"by {by_temperature:.2g} (rms where g > 0.1). Neither chi squared nor the uncertainty "
        "knows whether they are right."
    )


def undetermined_pressure(name: str, pressure: float, error: float, ideal: float) -> str | None:
    """A sentence where the targets leave the pressure open.

    Parameters
    ----------
    name
        Of a system whose pressure is no target.
    pressure, error
        Of the system, and the standard deviation that the targets leave of it.
    ideal
        That of an ideal gas of its density and temperature.
    """
    if not error > OPEN * ideal:
        return None
    return (
        f"The targets do not determine the pressure of system '{name}' to better than {error:.2g} "
        f"(it is {pressure:.3g} now). If it is known, give it as a target ('pressure: ...', with "
        "its error): it decides about the soft parts of the potential, on which g(r) hardly "
        "depends."
    )


def misfit(rough: float, place: float, smooth: float) -> str | None:
    """A sentence where targets deviate from all smooth potentials by more than noise.

    Parameters
    ----------
    rough, place, smooth
        Standard deviations of curves, as `diffsim.optimizers.discrepancy.Discrepancy` has them.
    """
    parts = []
    if rough > 0.0:
        parts.append(f"{rough:.2g} in every bin by itself")
    if smooth > 0.0:
        parts.append(f"{smooth:.2g} in many bins together")
    if place > 0.0:
        parts.append(f"{place:.2g} contact distances in r")
    if not parts:
        return None
    return (
        "The targets hold more than noise that no potential follows, and it was taken for an "
        f"error of the data: {' and '.join(parts)} (standard deviations). The uncertainty contains "
        "it. If the data should be better than that, look at the length of the run that they come "
        "from, at their norm, range, bins and resolution, at density and temperature of the "
        "script, and at what a pair potential cannot do."
    )


def wrong_by(system: str, label: str, numbers: Mapping[str, float]) -> str | None:
    """A sentence on the factor and the constant that a curve was found to be wrong by.

    Parameters
    ----------
    system, label
        Names of the system and of the target.
    numbers
        Of the optimizer; see `diffsim.optimizers.claims.fitted_errors`.
    """
    parts = []
    for key, words in (("scale", "{} times"), ("offset", "{} above")):
        name = f"{key} {system} {label}"
        if name in numbers:
            parts.append(words.format(f"{numbers[name]:.4f} ± {numbers[f'{name} error']:.1g}"))
    if not parts:
        return None
    return (
        f"The target {label} of system '{system}' was found to be {' and '.join(parts)} what it "
        "should be; the potential is that of the corrected curve."
    )


def high_pressure(name: str, units: str, pressure: float, ideal: float) -> str | None:
    """A sentence where the pressure of a system is that of no ordinary liquid.

    Parameters
    ----------
    name
        Of a system whose pressure is no target.
    units
        LAMMPS's style of units.
    pressure, ideal
        Of the system, and that of an ideal gas of its density and temperature.
    """
    if units in ATMOSPHERE:
        atmospheres = pressure / ATMOSPHERE[units]
        if not abs(atmospheres) > HIGH_PRESSURE:
            return None
        found = f"{atmospheres:,.0f} atm"
    else:
        if not abs(pressure) > HIGH_RATIO * ideal:
            return None
        found = f"{pressure:.4g}, {pressure / ideal:.0f} times that of an ideal gas"
    return (
        f"The pressure of system '{name}' is {found}. A g(r) hardly determines it: if the real one "
        "is another, give it as a target ('pressure: ...')."
    )


def without_well(pair: str, u: Array, g: Array, kt: float) -> str | None:
    """A sentence where a potential attracts nowhere, though g(r) has a peak of a dense liquid.

    Parameters
    ----------
    pair
        Names of the species.
    u
        The potential at increasing distances up to the cutoff, where it is zero, (K,).
    g
        The target, (n,).
    kt
        Thermal energy.
    """
    if not g.max() >= PEAK or u.min() < -SHALLOW * kt:
        return None
    return (
        f"The potential of {pair} attracts nowhere, though g(r) has a peak of {g.max():.2g}. Dense "
        "repulsive particles have such a g(r), and so has a liquid whose attraction g(r) did not "
        "tell: give the pressure as a target to know."
    )


def still_falls(losses: Sequence[float]) -> bool:
    """Whether the losses of consecutive iterations still fall at their end.

    Judged by the last three against the three before; of fewer than six by the last two.
    """
    if len(losses) < 2:
        return True
    last = min(3, len(losses) // 2)
    now, before = losses[-last:], losses[-2 * last : -last]
    return bool(np.mean(now) < FALLS * np.mean(before))


def blown_up(losses: Sequence[float], chi_square: float | None, met: bool) -> str | None:
    """Why the end of a training is no result, as a clause; None where it may be one.

    Parameters
    ----------
    losses
        Of all iterations whose step stayed; of a resumed run there may be none.
    chi_square
        Of the residual, where the optimizer knows it.
    met
        Whether all targets are met within noise. Then the loss is noise too, which goes up and down
        by factors where modes are slow.
    """
    if losses and not np.isfinite(losses[-1]):
        return "the last loss is not finite"
    if chi_square is not None and not chi_square < BLOWN:
        return f"chi squared of the residual is {chi_square:.3g} instead of 1"
    if losses and losses[-1] > ROSE * losses[0] and not met:
        return f"the loss ended at {losses[-1]:.3g}, above the {losses[0]:.3g} that it began with"
    return None


def largest_deviation(where: Array, deviation: Array, error: Array) -> tuple[float, float] | None:
    """Place and size, in standard errors, of the largest deviation of a curve.

    Parameters
    ----------
    where, deviation, error
        Places, deviations from the target, and their standard errors, each (n,). Places of no
        error, as inside of the core, do not count.

    Returns
    -------
    The place and the signed deviation over its error; None if no place counts.
    """
    known = error > 0.0
    if not known.any():
        return None
    ratio = deviation[known] / error[known]
    at = int(np.argmax(np.abs(ratio)))
    return float(where[known][at]), float(ratio[at])


def misfits(entry: Mapping[str, Any], targets: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Targets of a system that are met and those that are not, each in words.

    A curve is met within the noise and the misfit that was taken for an error of the data.

    Parameters
    ----------
    entry
        What `measurement.measured` says of the system.
    targets
        The system's.

    Returns
    -------
    met, missed
    """
    met: list[str] = []
    missed: list[str] = []
    curves = iter(zip(entry["rdf_mse"], entry["noise"], strict=True))
    for target in targets:
        label = target.label
        if label in entry["values"]:
            value, error = entry["values"][label]
            wanted, given = float(target.values[0]), target.errors
            error = float(np.hypot(error, 0.0 if given is None else given[0]))
            fits = abs(value - wanted) <= MET * error
            words = f"{label} {value:.4g} (target {wanted:.4g}, error {error:.2g})"
        else:
            curve = entry["curves"].get(label)
            mse, noise = (curve["mse"], curve["noise"]) if curve else next(curves)
            doubt = entry.get("misfit", {}).get(label, 0.0)
            fits = mse <= MET * (noise + doubt)
            errors = f"noise {noise**0.5:.2g}"
            if doubt:
                errors += f", misfit of the data {doubt**0.5:.2g}"
            words = f"{label} off by {mse**0.5:.2g} ({errors})"
            largest = entry.get("largest", {}).get(label)
            if largest and not fits:
                words += f", most at {largest[0]:.4g}: {largest[1]:+.1f} errors"
        (met if fits else missed).append(words)
    return met, missed
