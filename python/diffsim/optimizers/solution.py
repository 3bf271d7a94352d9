"""The correction of a reference that residuals make most probable, with the errors of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from diffsim.arrays import Array
from diffsim.optimizers.correction import (
    Correction,
    coordinates,
    most_probable_correction,
    prior_variances,
    with_jitter,
)
from diffsim.optimizers.discrepancy import (
    Alternatives,
    Discrepancy,
    Evidence,
    joint_errors,
    most_probable,
)
from diffsim.optimizers.linear_model import SEEN, Design, LinearModel, joint
from diffsim.optimizers.prior import WALL, Prior
from diffsim.optimizers.reference import STRIDE, Reference

NOISE_ITERATIONS = 8  # of the noise, which depends on the step
DISCREPANCY_AT = 4  # of the noise iterations: when the error of the response is known
STEEPEST, USUAL, FLATTEST = -5.0, -0.3, 0.5  # slopes of logarithms that are believed
KNOWN_ERRORS, UNKNOWN_ERRORS = 10.0, 1.0
"""Logarithms of the odds against each part of a misfit. Where errors are known a response that is
not quite linear yet reaches 8 in data without any, and a misfit of 0.003 has 80."""
REACH = 2.0  # kT: root mean square of a step, where pairs are, that the response may speak of
CLEARLY = 3.0  # of the logarithm of the evidence
SETTLED = 5e-3  # of the noise: where it moves by less the solution is found
SWEEPS = 1  # over the parts of the discrepancy
SMOOTH = 0.03  # kT; what of the change so far is less smooth than the prior
FULL_TRUST = 0.55  # kT: standard deviation of a full step
LEAST = 1e-3  # kT^2: amplitude of corrections by which a change is divided among the coordinates


@dataclass(frozen=True)
class Solution:
    """The correction of a reference, and what it was found with.

    Attributes
    ----------
    reference, design, models
        The reference, the corrections of it that were looked at, and the residuals, one per system.
    alternatives
        The corrections for discrepancies that the residuals do not tell apart.
    evidence
        Of the residuals.
    total
        Coordinates of the corrected potential, shape (m,).
    step
        Of these, from the present potential.
    values
        Energies of the corrected parts at the knots, shape (parts, P, K).
    comparable
        Logarithm of the evidence of the reference, to compare it with others by. Of one that has
        followed the noise of the data it is that for the rough misfit of another reference, as it
        shows none itself; less what it is too large by, see `followed`.
    rivals
        Evidence of all references by name.
    """

    reference: Reference
    design: Design
    models: Sequence[LinearModel]
    alternatives: Alternatives
    evidence: Evidence
    total: Array
    step: Array
    values: Array
    comparable: Callable[[Discrepancy], float]
    rivals: dict[str, float] = field(default_factory=dict)

    @property
    def discrepancy(self) -> Discrepancy:
        """The most probable one."""
        return self.alternatives.discrepancy

    def without_trust(self) -> Array:
        """Energies (parts, P, K) of the potential that the residuals ask for, however far it is."""
        correction = self.alternatives.best
        centre = np.zeros(len(self.total))
        centre[len(centre) - correction.parameters :] = self.reference.centre
        residual = np.concatenate([m.residual - m.response @ centre for m in self.models])
        asked = self.design.columns @ (centre + correction.solution @ residual)
        return np.asarray(self.reference.values + asked.reshape(self.values.shape))

    def change_seen(self, present: Array) -> float:
        """Root mean square of the change of the energies (parts, P, K), in bins where pairs are, of
        the system in which it is largest."""
        moved = self.values - present
        return max(
            float(np.sqrt(np.mean(model.change_at_bins(moved)[model.source.g > SEEN] ** 2)))
            for model in self.models
        )

    @property
    def parameters(self) -> Array:
        """Coordinates of the reference's parameters, shape (q,)."""
        return self.total[len(self.total) - self.alternatives.best.parameters :]


def solve_about(
    prior: Prior,
    reference: Reference,
    design: Design,
    models: Sequence[LinearModel],
    values: Array,
    kt: float,
    trust: float,
    usual: float,
    first: Discrepancy,
    search: bool,
) -> Solution:
    """The most probable correction of a reference, with the discrepancy of most evidence.

    Parameters
    ----------
    prior, reference
        The reference is one of the prior's.
    design
        Corrections of all parts, the reference's parameters included.
    models
        Residuals of the reference, one per system.
    values
        Energies of the present parts at the knots, shape (parts, P, K).
    kt
        Thermal energy.
    trust
        Variance that is allowed to a step, the square of an energy.
    usual
        Amplitude of corrections in earlier updates.
    first, search
        Discrepancy that the search begins with, and whether there is one.
    """
    n, q = design.columns.shape[1], reference.tangents.shape[1]
    amplitude = max(usual, LEAST * kt**2)
    change = (values - reference.values).ravel()
    weights = np.tile(prior.weights.ravel(), len(values))
    present = coordinates(
        design.columns,
        change,
        weights,
        SMOOTH,
        kt,
        prior_variances(n, q, amplitude, kt) * kt**2 / amplitude,
    )
    # a step of the reference's parameters is as long as the change that it makes
    size = np.sqrt(design.columns.power(2).T @ weights / weights.sum())
    bound = np.full(n, trust)
    bound[n - q :] /= np.maximum(size[n - q :], 1e-9) ** 2
    bound[n - q :] = np.minimum(bound[n - q :], (STRIDE * kt) ** 2)
    response = np.concatenate([model.response for model in models])
    residual = np.concatenate([model.residual for model in models])
    centre = reference.centre if q else None
    smooth, of_parameters = response[:, : n - q], response[:, n - q :]
    of_smooth, known = smooth @ smooth.T, kt**2 * of_parameters @ of_parameters.T
    deviation = residual - of_parameters @ reference.centre

    known_errors = all(model.source.errors_are_known for model in models)
    doubt = KNOWN_ERRORS if known_errors else UNKNOWN_ERRORS
    # weights of the targets are in the errors
    scale = np.concatenate([model.scale for model in models])
    data = joint_errors([model.data_errors for model in models]).scaled(scale)

    def of_averages(spreads: Array) -> Array:
        parts = [model.error_of_averages(x) for model, x in zip(models, spreads, strict=True)]
        return joint(parts) * np.outer(scale, scale)

    def solved(averages: Array, discrepancy: Discrepancy) -> Correction:
        noise = averages + data.covariance(discrepancy)
        return most_probable_correction(response, residual, noise, present, kt, bound, centre)

    discrepancy = first
    sought = not search
    # the error of the response depends on the step: iterate
    tried = spread = np.array([model.usual_spread for model in models])
    history: list[tuple[Array, Array]] = []
    least = np.inf
    for iteration in range(NOISE_ITERATIONS):
        if history:
            tried = consistent(history)
        noise = of_averages(tried)
        solution = solved(noise, discrepancy)
        answered = np.array([model.energy_spread(solution.total - present) for model in models])
        history.append((tried, answered))
        # by how much the noise moves; the solution moves by less
        mismatch = float(np.max(np.abs(answered - tried) / (spread + tried)))
        if mismatch <= least:
            least, averages, found = mismatch, noise, solution
        if not sought and (least <= SETTLED or iteration == DISCREPANCY_AT):
            expected = averages + known + found.amplitude * of_smooth
            evidence = Evidence(deviation, expected, data)
            other = most_probable(discrepancy, evidence, doubt, SWEEPS)
            sought = True
            if other != discrepancy:  # the same guess again
                discrepancy, history, least = other, [], np.inf
        if least <= SETTLED:
            break
    expected = averages + known + found.amplitude * of_smooth
    evidence = Evidence(deviation, expected, data)

    def correction(other: Discrepancy) -> Correction:
        return found if other == discrepancy else solved(averages, other)

    alternatives = Alternatives.of(discrepancy, evidence, correction, doubt, search)

    def comparable(other: Discrepancy) -> float:
        found = alternatives.log_evidence
        if reference.follows == 0.0:
            return found
        noise = alternatives.discrepancy.at_least(other)
        if noise != alternatives.discrepancy:
            found = min(found, evidence(noise))
        return found - reference.follows * followed(expected, data.covariance(noise))

    total = alternatives.total

    def energies(coordinates: Array) -> Array:
        corrections = design.columns @ np.append(coordinates[: n - q], np.zeros(q))
        return np.asarray(reference.at(coordinates[n - q :]) + corrections.reshape(values.shape))

    stays = 1.0 - min(1.0, trust / (FULL_TRUST * kt) ** 2)
    return Solution(
        reference,
        design,
        models,
        alternatives,
        evidence,
        total,
        total - present,
        short_of(energies(total), energies(present), values, kt, stays),
        comparable,
    )


def short_of(corrected: Array, present: Array, values: Array, kt: float, stays: float) -> Array:
    """A corrected potential of which a short step leaves something undone.

    What is not smooth in the present potential, as the ripples of a network, goes with a full step,
    and stays with one that is hardly allowed. High walls are known to nobody: there the difference
    of the present one from its coordinates, added to another wall, may be a hole (of -250 kT, found
    by noise of 0.01 in g(r)), and the potential goes part of the way from wall to wall. Where pairs
    are, all of a step is taken, or it would be another one.

    Parameters
    ----------
    corrected, present
        Energies by the coordinates of the corrected and of the present potential, of any shape.
    values
        Those of the present potential itself.
    kt
        Thermal energy.
    stays
        From zero for a full step to one for none.
    """
    height = np.maximum(np.minimum(values, corrected), 0.0) / (WALL * kt)
    in_wall = 1.0 - 1.0 / (1.0 + height**4)
    ripples, wall = values - present, values - corrected
    return np.asarray(corrected + stays * ((1.0 - in_wall) * ripples + in_wall * wall))


def consistent(history: Sequence[tuple[Array, Array]]) -> Array:
    """The next guess for spreads of energy that answer to themselves, by secants of logarithms.

    The larger a step is thought to be, the larger is the error of the response, and the smaller is
    the step that is found. Each system's answer depends on the guesses of all: the slope along the
    last change is taken for that of all. With one system the guess stays between the largest that
    was too small and the smallest that was too large, as answers may jump where an amplitude does.

    Parameters
    ----------
    history
        What was put in and came out, shape (S,) each, of all guesses so far.
    """
    tiny = np.finfo(np.float64).tiny
    x, y = (np.log(np.maximum(np.array(part), tiny)) for part in zip(*history, strict=True))
    slope = USUAL
    if len(x) > 1:
        dx, dy = x[-1] - x[-2], y[-1] - y[-2]
        if dx @ dx > SETTLED**2:
            slope = float(np.clip(dx @ dy / (dx @ dx), STEEPEST, FLATTEST))
    guess = x[-1] + (y[-1] - x[-1]) / (1.0 - slope)
    if x.shape[1] == 1:
        low = np.max(x[y > x], initial=-np.inf)
        high = np.min(x[y < x], initial=np.inf)
        if np.isfinite(low) and np.isfinite(high) and not low < guess[0] < high:
            guess = np.array([0.5 * (low + high)])
    return np.asarray(np.exp(guess))


def most_evident(
    solutions: Sequence[Solution],
    evidence: Mapping[str, float],
    values: Array,
    kt: float,
    present: str | None,
) -> Solution:
    """The solution about the reference of most evidence.

    Evidence by linear response counts only within its reach: a reference whose wall is far from the
    present one, where there are pairs, is not chosen, unless all are.

    Parameters
    ----------
    solutions, evidence
        Of all references; the logarithms by their names.
    values
        Energies of the present parts at the knots, shape (parts, P, K).
    kt
        Thermal energy.
    present
        Name of the reference that was chosen before. It stays unless another one is clearly better.
    """
    within = [each for each in solutions if each.change_seen(values) <= REACH * kt]
    return max(
        within or solutions,
        key=lambda each: (
            evidence[each.reference.name] + (CLEARLY if each.reference.name == present else 0.0)
        ),
    )


def followed(expected: Array, data: Array) -> float:
    r"""By how much the residuals of a reference that followed the data look too probable.

    Noise of the data with covariance C is not in the residuals of a potential that has followed it,
    though any other data of the same system would be as far from its g(r) again. With the
    covariance A that is expected of residuals, C included, the logarithm of the evidence is larger
    than the mean one of other data by (as in the criterion of Akaike)

    .. math:: \operatorname{tr} A^{-1} C

    Parameters
    ----------
    expected, data
        A - C and C, shape (B, B) each.

    Source: H. Akaike, IEEE Trans. Autom. Control 19, 716 (1974).
    """
    return float(np.trace(np.linalg.solve(with_jitter(expected + data), data)))
