"""What a piece of simulation says of the loss, and how well it knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diffsim.arrays import Array
from diffsim.response.ensemble import Ensemble, Weighted
from diffsim.response.loss import loss, loss_weights, unexplained, variance_by_targets
from diffsim.simulation import Frames, System
from diffsim.statistics.shrinkage import share_along
from diffsim.statistics.time_series import standard_error, statistical_inefficiency
from diffsim.targets import distributions, shortened
from diffsim.training.iterations import Piece
from diffsim.training.plausibility import largest_deviation
from diffsim.training.steps import LossChange

TEMPERATURE_TOLERANCE = 0.05  # of the kinetic temperature, relative
SCATTER = 4.0  # standard errors of a temperature
TOLD = 0.5  # share of a derivative that is signal
NOISE = 1.5  # chi squared per residual: a form that cannot follow, or steps cut short, show above


def latest_series(ensemble: Ensemble, others: Frames | None = None) -> Array:
    """Observables of the frames of the latest piece of simulation, shape (F, O).

    Observables that are functions of averages are linearised about those of the piece.

    Parameters
    ----------
    ensemble
        The frames of a system.
    others
        Other frames of the potential of that piece, in place of its own.
    """
    latest, own = ensemble.latest(), ensemble.observables[ensemble.latest_piece]
    x = own if others is None else ensemble.observe(others)
    return np.asarray(latest.observables + (x - own.mean(axis=0)) @ latest.jacobian.T)


def loss_with_error(ensemble: Ensemble, series: Array) -> tuple[float, float, float]:
    """Loss of the averages over the frames of a piece of simulation, its standard error and noise.

    With averages that deviate by d from the targets and have errors of the covariance C, and with
    W = diag(w_b / (e_b^2 sum w)), the loss L = d W d has the variance

        Var(L) = 4 d0 W C W d0 + 2 tr (W C W C)

    for the deviation d0 without errors; the measured d contains errors, by which the first term
    comes out too large by twice the second. From a piece of few frames the second term is too
    large by a share of about (number of independent bins) / (number of independent frames).

    The noise, tr (W C), is what errors add to the loss on average.

    Parameters
    ----------
    ensemble
        Targets, weights and scale of the loss.
    series
        Observables of consecutive frames, shape (F, O).

    Source: moments of a quadratic form of Gaussian variables.
    """
    return _loss_and_variances(ensemble, series)[:3]


def _loss_and_variances(ensemble: Ensemble, series: Array) -> tuple[float, float, float, Array]:
    """`loss_with_error`, and the variances of the averages themselves, (O,)."""
    weights = loss_weights(ensemble)
    deviation = unexplained(ensemble, series.mean(axis=0) - ensemble.target, weights)
    linear = float(standard_error(series @ (2.0 * weights * deviation))) ** 2
    n = len(series)
    correlated = (series - series.mean(axis=0)) * np.sqrt(statistical_inefficiency(series))
    variances = np.sum(correlated**2, axis=0) / (n * (n - 1))
    scaled = correlated * np.sqrt(weights)
    quadratic = 2.0 * float(np.sum((scaled @ scaled.T / (n * (n - 1))) ** 2))
    error = float(np.sqrt(max(linear - quadratic, quadratic)))
    return float(weights @ deviation**2), error, float(weights @ variances), variances


def loss_change(ensembles: Sequence[Ensemble], previous: Sequence[Array]) -> LossChange:
    """Compare the latest piece of simulation with an earlier one.

    Both losses are in units of the latest piece's errors, where targets have error bars, so that
    only their averages differ. What noise adds to them differs between pieces of different lengths.
    The error of the difference contains the errors of the targets, which a potential may follow.

    Parameters
    ----------
    ensembles
        One per system.
    previous
        `latest_series` of each, as it was when the earlier piece was the latest.
    """
    total = sum(ensemble.system.weight for ensemble in ensembles)
    before, now, rise, variance, noise = 0.0, 0.0, 0.0, 0.0, 0.0
    for ensemble, series in zip(ensembles, previous, strict=True):
        share = ensemble.system.weight / total
        old, old_error, old_noise, old_variances = _loss_and_variances(ensemble, series)
        latest = latest_series(ensemble)
        new, new_error, new_noise, new_variances = _loss_and_variances(ensemble, latest)
        change = latest.mean(axis=0) - series.mean(axis=0)
        # the errors above have the product of these variances and those of the targets in them
        known = old_variances + new_variances
        followed = max(0.0, variance_by_targets(ensemble, change, known=known))
        before += share * old
        now += share * new
        rise += share * (new - new_noise - old + old_noise)
        noise += share * new_noise
        variance += share**2 * (old_error**2 + new_error**2 + followed)
    return LossChange(before, now, rise, float(np.sqrt(variance)), noise)


def pooled_change(
    ensembles: Sequence[Ensemble], before: Sequence[Weighted], now: Sequence[Weighted]
) -> LossChange:
    """Compare two potentials by the same stored frames.

    Parameters
    ----------
    ensembles
        One per system.
    before, now
        The frames of each under the two potentials. Their noise is nearly the same in both: its
        variance in the difference is that of errors of the targets of its size.
    """
    total = sum(ensemble.system.weight for ensemble in ensembles)
    old, new = mean_loss(ensembles, before), mean_loss(ensembles, now)
    variance = 0.0
    for ensemble, first, last in zip(ensembles, before, now, strict=True):
        change = last.observables - first.observables
        of_system = variance_by_targets(ensemble, change, ensemble.latest_error)
        variance += (ensemble.system.weight / total) ** 2 * of_system
    return LossChange(old, new, new - old, float(np.sqrt(variance)), 0.0)


def mean_loss(ensembles: Sequence[Ensemble], states: Sequence[Weighted]) -> float:
    """Loss of weighted frames, averaged over the systems with their weights."""
    total = sum(ensemble.system.weight for ensemble in ensembles)
    losses = (
        ensemble.system.weight * loss(ensemble, state)[0]
        for ensemble, state in zip(ensembles, states, strict=True)
    )
    return sum(losses) / total


def change_within(ensemble: Ensemble, before: Frames) -> LossChange:
    """From the first frames of the latest piece to those of it that count."""
    return loss_change([ensemble], [latest_series(ensemble, before)])


def split_by_target(ensemble: Ensemble, values: Array) -> list[Array]:
    """Values of all observables (O,) as one array per target."""
    ends = np.cumsum([len(target.values) for target in ensemble.system.targets])[:-1]
    return np.split(values, ends)


def measured_piece(
    ensembles: Sequence[Ensemble], piece: Piece, seconds: Sequence[float]
) -> tuple[dict[str, dict[str, Any]], list[str | None], bool]:
    """What a piece of simulation says of every system, which its ensemble has taken in.

    Parameters
    ----------
    ensembles
        One per system.
    piece
        Frames and splines of the systems.
    seconds
        Wall time of their simulations.

    Returns
    -------
    entries, said, chaotic
        By the names of the systems, see `measured`, with `ess` and `seconds`; sentences; whether
        the derivatives along the windows of a system are chaotic.
    """
    entries: dict[str, dict[str, Any]] = {}
    said: list[str | None] = []
    chaotic = False
    for ensemble, frames, c, time in zip(
        ensembles, piece.frames, piece.coefficients, seconds, strict=True
    ):
        present = ensemble.weighted(c)
        chaos = chaos_event(ensemble, present.weights)
        chaotic |= chaos is not None
        entry = measured(ensemble, frames) | {"ess": present.sample_size, "seconds": time}
        entries[ensemble.system.name] = entry
        said += [temperature_event(ensemble.system, frames), chaos]
    return entries, said, chaotic


def measured(ensemble: Ensemble, frames: Frames) -> dict[str, Any]:
    """What the latest piece of simulation of a system says, for the metrics.

    Returns
    -------
    dict
        loss; rdf_mse: mean square deviation from each target g(r), unweighted, less what is fitted
        of it (`diffsim.response.loss.unexplained`); noise: what rdf_mse
        would be on average if the potential were perfect, from the standard errors of the averages
        and of the targets; values: of every target that is a number, its value and standard error;
        curves: mse and noise of every other function, such as a velocity autocorrelation;
        largest: of every function, where it deviates most and by how many standard errors;
        density, where the volume fluctuates, and its standard error;
        longest_derivative and shortened, of windows that were differentiated; pressure;
        temperature.
    """
    series = latest_series(ensemble)
    result: dict[str, Any] = {
        "loss": loss_with_error(ensemble, series)[0],
        "rdf_mse": [],
        "noise": [],
        "values": {},
        "curves": {},
        "largest": {},
        "misfit": {},
    }
    averages = series.mean(axis=0)
    left = unexplained(ensemble, averages - ensemble.target, ensemble.weights)
    for target, values, deviation, errors, misfit in zip(
        ensemble.system.targets,
        split_by_target(ensemble, averages),
        split_by_target(ensemble, left),
        split_by_target(ensemble, standard_error(series)),
        split_by_target(ensemble, ensemble.misfit),
        strict=True,
    ):
        if len(values) == 1:
            result["values"][target.label] = [float(values[0]), float(errors[0])]
            continue
        given = 0.0 if target.errors is None else target.errors
        mse, noise = float(np.mean(deviation**2)), float(np.mean(errors**2 + given**2))
        if np.any(misfit > 0.0):
            result["misfit"][target.label] = float(np.mean(misfit**2))
        if target.abscissa is not None:
            of_target = np.hypot(given, misfit)
            _add_largest(result, target.label, target.abscissa[1], deviation, errors, of_target)
        if distributions([target]):
            result["rdf_mse"].append(mse)
            result["noise"].append(noise)
        else:
            result["curves"][target.label] = {"mse": mse, "noise": noise}
    return result | {
        **_chaos(frames),
        **_density(frames),
        "pressure": float(frames.pressure.mean()),
        "temperature": float(frames.temperature.mean()),
    }


def _add_largest(
    result: dict[str, Any], label: str, where: Array, deviation: Array, errors: Array, given: Any
) -> None:
    """Add where a curve deviates most, in units of its error, if it has errors."""
    found = largest_deviation(where, deviation, np.hypot(errors, given))
    if found is not None:
        result["largest"][label] = list(found)


def _density(frames: Frames) -> dict[str, list[float]]:
    """Number of atoms per volume and its standard error, where the volume fluctuates."""
    if np.ptp(frames.volume) == 0.0:
        return {}
    density = frames.atoms.sum() / frames.volume
    return {"density": [float(density.mean()), float(standard_error(density))]}


def _chaos(frames: Frames) -> dict[str, float]:
    """Of windows that were differentiated: the longest derivative of an observable over the median,
    and the share of derivatives that were shortened (`diffsim.targets.shortened`)."""
    response = frames.motion_response
    if not response.size:
        return {}
    length = np.linalg.norm(response, axis=2)
    median = np.median(length, axis=0)
    return {
        "longest_derivative": float(np.max(length / np.where(median > 0.0, median, 1.0))),
        "shortened": shortened(response)[1],
    }


def chaos_event(ensemble: Ensemble, weights: Array) -> str | None:
    """A sentence where most derivatives along weighted windows are lost in their scatter."""
    if not ensemble.of_windows:
        return None
    n_pairs = len(ensemble.latest_coefficients)
    shares = {
        column: share_along(weights, derivatives, n_pairs)
        for column, derivatives in ensemble.explicit_derivatives.items()
    }
    lost = sum(share < TOLD for share in shares.values())
    if 2 * lost <= len(shares):
        return None
    return (
        f"Of {len(shares)} derivatives along the windows of system '{ensemble.system.name}' {lost} "
        "are not known, as they scatter too much, and hardly count. Windows so long are chaotic, "
        "or so few do not tell: leave out the longest times, or simulate more windows."
    )


def noise_event(info: Mapping[str, float], accuracy: float | None) -> str | None:
    """A sentence where what is left of the residuals is noise, and the potential known as asked.

    Parameters
    ----------
    info
        Numbers of the optimizer: the last `correction`, the `chi_square` of the residual before
        it, and the `uncertainty` of the potential.
    accuracy
        That is asked for.
    """
    if accuracy is None or "uncertainty" not in info:
        return None
    correction, uncertainty = info["correction"], info["uncertainty"]
    if not info["chi_square"] < NOISE:
        return None
    if not correction <= uncertainty <= accuracy:  # written so that NaN is no end
        return None
    return (
        f"The rest is noise: the last correction, {correction:.2g}, is smaller than the standard "
        f"deviation that the frames leave of the potential, {uncertainty:.2g}, and that is below "
        f"the accuracy asked for, {accuracy:g} (root mean squares where g > 0.1)."
    )


def temperature_event(system: System, frames: Frames) -> str | None:
    """A sentence where the kinetic temperature of a system is not the one that is given.

    A few frames of a few atoms scatter by more than the tolerance.
    """
    name, given, found = system.name, system.temperature, float(frames.temperature.mean())
    scatter = SCATTER * float(standard_error(frames.temperature))
    if abs(found - given) <= max(TEMPERATURE_TOLERANCE * given, scatter):
        return None
    return (
        f"The kinetic temperature of system '{name}' was {found:.4g} on average, but its "
        f"temperature is given as {given:.4g}. If it does not settle, the thermostat of the script "
        "holds another one, and the gradient is wrong."
    )
