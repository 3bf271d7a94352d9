"""What a solution says of the potential, and how well it claims to know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, vstack

from diffsim.arrays import Array
from diffsim.optimizers.discrepancy import Discrepancy
from diffsim.optimizers.linear_model import SEEN, chi_square, joint
from diffsim.optimizers.reference import ERROR_OF_THEORY
from diffsim.optimizers.solution import Solution
from diffsim.response.ensemble import Ensemble
from diffsim.response.loss import fitted_columns


@dataclass(frozen=True)
class Claim:
    """Numbers of an update.

    Attributes
    ----------
    numbers
        For the metrics.
    at_knots
        Standard deviations of the first part, shape (P K,).
    pressures
        Standard deviations of the systems' pressures at constant volume.
    """

    numbers: dict[str, float]
    at_knots: Array
    pressures: list[float]


def claimed(solution: Solution, moved: Array, kt: float, amplitude: float) -> Claim:
    """The claim of a solution, with everything that its errors come from.

    A reference that was made of the data is as wrong as they are wherever it followed them, and
    says nothing of its own: the prior about it is as wide as the error of its theory.

    Parameters
    ----------
    solution
        Of the last step.
    moved
        Change of the parts in the whole update, shape (parts, P, K).
    kt
        Thermal energy.
    amplitude
        Of the prior of what is not known, the square of an energy.
    """
    models, correction = solution.models, solution.alternatives.best
    seen = vstack([model.at_bins[model.source.g > SEEN] for model in models])
    changes = np.concatenate(
        [model.change_at_bins(moved)[model.source.g > SEEN] for model in models]
    )

    def noise(discrepancy: Discrepancy) -> Array:
        return joint([model.noise(solution.step, discrepancy) for model in models])

    knots = moved[0].size
    of_pressures = csr_array(np.array([model.pressure for model in models]))
    rows = csr_array(vstack([seen, solution.design.columns[:knots], of_pressures], format="csr"))
    if solution.reference.follows > 0.0:
        amplitude = max(amplitude, (ERROR_OF_THEORY * kt) ** 2)
    found = solution.alternatives.standard_deviation(rows, noise, amplitude)
    left, at_knots, pressures = np.split(found, [seen.shape[0], seen.shape[0] + knots])
    numbers = {
        "prior_amplitude": correction.amplitude,
        "evidence": correction.evidence,
        "chi_square": chi_square(models, solution.discrepancy, correction.followed),
        "correction": _mean(changes),
        "uncertainty": _mean(left),
        "rough_misfit": solution.discrepancy.rough,
        "independent_errors": float(not solution.discrepancy.of_frames),
        "misfit_of_place": solution.discrepancy.place,
        "smooth_misfit": solution.discrepancy.smooth,
        "slowest_mode": max(model.source.slowest for model in models),
        **{f"evidence_{name}": value for name, value in solution.rivals.items()},
    }
    return Claim(numbers, at_knots, pressures.tolist())


def fitted_errors(solution: Solution, ensembles: Sequence[Ensemble]) -> dict[str, float]:
    """By what factors and constants curves were found to be wrong, where that was asked for.

    Returns
    -------
    For the metrics: ``scale SYSTEM TARGET``, g over what it should be, ``offset SYSTEM TARGET``,
    and the standard deviations of both with ``error`` behind them.
    """
    columns, fitted = [], []
    models = solution.models
    starts = np.cumsum([0, *(len(model.scale) for model in models)])
    for ensemble, model, start in zip(ensembles, models, starts[:-1], strict=True):
        for label, each, shape in fitted_columns(ensemble):
            seen = shape[model.source.observables]
            if not seen.any():
                continue
            column = np.zeros(starts[-1])
            column[start : start + len(seen)] = model.scale * each.error * seen
            columns.append(column)
            fitted.append((f"{each.name} {ensemble.system.name} {label}", each.error, each.about))
    if not columns:
        return {}
    causes = solution.evidence.causes(solution.discrepancy, np.stack(columns, axis=1))
    result: dict[str, float] = {}
    for (label, size, about), found, error in zip(fitted, *causes, strict=True):
        result[label] = about + size * float(found)
        result[f"{label} error"] = size * float(error)
    return result


def _mean(values: Array) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(values**2)))
