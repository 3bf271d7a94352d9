"""Gauss-Newton in function space, with a Gaussian process prior for the correction.

One step solves for the change du(r) of the potential, not of the network's weights. Linear
response,

    g* - g = J du + noise,    J = -beta Cov(g, g) c

(`diffsim.response.fluctuations`), gives the likelihood; a smooth correction is more probable than
a rough one: the difference du of the potential from a reference is a Gaussian process with a
squared exponential covariance a k(r, r'), whose amplitude a maximises the evidence. So is the step
from the present difference du_0, with the amplitude t of the trust region: without it the first
step would leave the range in which the response is linear. The most probable du minimises

    (y - J du)^T S^-1 (y - J du) + |du|^2 / a + |du - du_0|^2 / t,    y = g* - g + J du_0

with the norm that belongs to k, and S the covariance of the errors of average, target and response,
taken as proportional to Cov(g, g): then the errors of J and S cancel, as in maximum likelihood, of
which this is the Newton step. That weak collective modes stay correlated over more frames than the
rest enters the standard deviation of du (`Correction.standard_deviation`), but not its mean: with
it in S the mean would be taken from fast modes, through what J says of them only approximately.

References are a Mie potential, whose parameters are found with du, and those that the training may
begin with (`diffsim.optimizers.reference`); the one of most evidence is corrected. Where curves
deviate from all smooth potentials by more than noise, S gets the discrepancy of most evidence
(`diffsim.optimizers.discrepancy`).

The potential is then fitted to the corrected reference at the knots; one of few weights, which is
not any curve, mostly where the frames know it. Why not Newton in the weights: the residual
constrains the function along some directions only, and along the others a network's Jacobian asks
for changes of its weights that are far too large for it to be linear.

A potential that is linear in parts, u_s = sum_p f_ps u_p at the state of system s, as one that
depends on temperature is, has a du of each part, all with the same prior. The unknowns are those of
all parts, the response of a system to part p is f_ps J, and every part is fitted to its own
corrected reference. Any other potential is a single part with factor one.

Sources: Lyubartsev and Laaksonen, Phys. Rev. E 52, 3730 (1995) (inverse Monte Carlo); Shell, J.
Chem. Phys. 129, 144108 (2008) (relative entropy, of which this is the Newton step where g
determines u).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from diffsim.arrays import Array
from diffsim.errors import ModelError
from diffsim.knots import Grid, knot_values, spline_coefficients
from diffsim.optimizers.base import Optimizer, Update, check_option
from diffsim.optimizers.claims import claimed, fitted_errors
from diffsim.optimizers.discrepancy import Discrepancy
from diffsim.optimizers.linear_model import Design, LinearModel, errors_of_targets, means_in_bins
from diffsim.optimizers.prediction import predicted_decrease
from diffsim.optimizers.prior import Prior
from diffsim.optimizers.projection import fit_values, has_few_weights
from diffsim.optimizers.solution import FULL_TRUST, Solution, most_evident, solve_about
from diffsim.optimizers.standstill import Standstill, patience
from diffsim.optimizers.trust import Trust
from diffsim.potentials import linear_parts
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble, Weighted
from diffsim.response.linear_response import linear_response

FIT_ITERATIONS = 15  # of the projection on the potential's weights
UNFITTED = 0.5  # kT: a form of many weights that misses a correction by more has not followed it
FIRST_FRAMES = 25  # of a training
MOST_FRAMES = 10**9
GROWTH = 1.3  # of the number of frames with every update, at least
SHARE = 0.3  # of the last correction: the error that the next piece of simulation may have
HOPELESS = 30.0  # of the logarithm of the evidence: a reference that is so far behind is left out
# that the last residual was small says little of what the frames do not see
FLOOR = 0.2  # kT: what a reference may be wrong by where the data say nothing
SMOOTH_ERROR = 0.5  # contact distances: correlation length of a smooth discrepancy
GIVEN = "reference"  # name of an anchor of the user's own
NEGLIGIBLE = 0.1  # variance of beta dU over the frames: such a step changes no weight of a frame


class GaussNewton(Optimizer):
    """See the module's text.

    Parameters
    ----------
    trust
        Standard deviation of a step before the residuals are known, in kT: the trust region.
    length
        Correlation length of corrections, in contact distances.
    min_ess
        Steps without new simulation go on while the effective number of frames, in frames of the
        latest piece, stays above this fraction.
    max_steps
        Most steps between two pieces of simulation.

    Raises
    ------
    InputError
        If an option is not a positive number.
    """

    length: float
    knows_uncertainty = True
    uses_references = True
    uses_windows = True
    knows_parts = True

    def __init__(
        self,
        trust: float = FULL_TRUST,
        length: float = 0.12,
        min_ess: float = 0.5,
        max_steps: int = 4,
    ) -> None:
        for name, value, upper in (
            ("trust", trust, np.inf),
            ("length", length, np.inf),
            ("min_ess", min_ess, 1.0),
            ("max_steps", max_steps, np.inf),
        ):
            check_option("gauss-newton", name, value, upper)
        self.trust = trust
        self.length = length
        self.min_ess = min_ess
        self.max_steps = max_steps
        self._trust = Trust()
        self._start: Array | None = None  # energies of the first potential, (parts, P, K)
        self._prior: Prior | None = None
        self._grid: Grid | None = None
        self._frames = FIRST_FRAMES
        self._amplitude = 0.0  # the largest of all updates
        self._discrepancies: dict[str, Discrepancy] = {}  # found last, by the reference's name
        self._theta: Array | None = None  # of the Mie reference
        self._reference: str | None = None  # that was chosen last
        self._beaten: set[str] = set()  # references that are no longer compared
        self._standstill = Standstill()
        self._anchors: dict[str, Array] | None = None  # other references, (P, K); the start if None

    def anchor(self, potentials: Mapping[str, Array]) -> None:
        """References beside the Mie potentials; the first potential by default.

        With one that is named ``reference``, which the user gave, no Mie potential is compared.
        """
        self._anchors = dict(potentials)

    @property
    def frames(self) -> int:
        """Frames of the next piece of simulation.

        An early correction, in which the response is not quite linear, is wrong by a good part of
        itself whatever the noise. So many frames are enough that the noise of the potential is
        `SHARE` of the last correction. They grow by `GROWTH` in any case, and are doubled by a
        retreat: large corrections that lead nowhere come from noise, or from a theory that needs
        frames to correct it.
        """
        return self._frames

    def update(self, potential: Model, grid: Grid, ensembles: Sequence[Ensemble]) -> Update:
        """Take as many steps as the frames support; see `diffsim.optimizers.base.Optimizer`.

        The numbers for the metrics: `prior_amplitude` and `evidence` of the last step,
        `chi_square` of the residual before it (about one: nothing but noise), `correction` by all
        steps (root mean square where g > 0.1) and `uncertainty` (the same mean of the standard
        deviation that the frames leave), both in units of energy, and `trust`. `rough_misfit`,
        `misfit_of_place` and `smooth_misfit` are the sizes of the discrepancy of curves,
        `independent_errors` is one where their given errors are taken as independent,
        `slowest_mode` is the variance between pieces of simulation over that within, and
        `evidence_NAME` is the logarithm of the evidence for each reference.
        """
        self._trust.renew()
        kt = min(1.0 / ensemble.beta for ensemble in ensembles)
        temperatures = [ensemble.system.temperature for ensemble in ensembles]
        parts, of_parts = zip(*linear_parts(potential, temperatures), strict=True)
        factors = np.array(of_parts).T  # (systems, parts)
        values = _part_values(parts, grid)
        self._prepare(grid, values, kt, has_few_weights(parts[0]))
        assert self._prior is not None

        steps, seconds = 0, 0.0
        decrease = 0.0
        before = previous = values
        chosen: str | None = None
        began = time.perf_counter()
        while True:
            states = [
                ensemble.weighted(spline_coefficients(np.tensordot(factor, values, 1)))
                for ensemble, factor in zip(ensembles, factors, strict=True)
            ]
            if steps and any(
                state.sample_size < self.min_ess * ensemble.latest_length
                for ensemble, state in zip(ensembles, states, strict=True)
            ):
                break
            # windows are as many as they are; the optimizer asks for frames of the others
            asked = [
                state.sample_size
                for ensemble, state in zip(ensembles, states, strict=True)
                if not ensemble.of_windows
            ]
            sample_size = min(asked or [state.sample_size for state in states])
            solution = self._solve(ensembles, states, grid, values, factors, kt, chosen)
            corrected, chosen = solution.values, solution.reference.name
            seconds += time.perf_counter() - began
            for part, energies, of_systems in zip(parts, corrected, factors.T, strict=True):
                told = None
                if has_few_weights(part):
                    told = np.concatenate(
                        [
                            factor * model.told(grid, solution.step, solution.discrepancy)
                            for model, factor in zip(solution.models, of_systems, strict=True)
                        ]
                    )
                left = fit_values(part, grid, energies, kt, FIT_ITERATIONS, told=told)
                if left > UNFITTED and not has_few_weights(part):
                    raise ModelError(
                        "The correction of the potential cannot be followed by its form: the fit "
                        f"leaves {left:.2g} kT (root mean square, walls weighted less)."
                    )
            values = _part_values(parts, grid)
            steps += 1
            began = time.perf_counter()
            # to the potential as it was fitted, which its form may have kept from the correction
            for ensemble, model in zip(ensembles, solution.models, strict=True):
                ensemble.tolerance = model.tolerance(len(ensemble.target), solution.discrepancy)
                ensemble.misfit = model.misfit(len(ensemble.target), solution.discrepancy)
            asked_for = solution.without_trust()
            decrease += predicted_decrease(ensembles, solution.models, asked_for, previous, values)
            previous = values
            spread = max(model.energy_spread(solution.step) for model in solution.models)
            if spread < NEGLIGIBLE or steps == self.max_steps:
                break
        self._amplitude = max(self._amplitude, solution.alternatives.best.amplitude)
        amplitude = max(self._amplitude, (FLOOR * kt) ** 2)
        claim = claimed(solution, corrected - before, kt, amplitude)
        info = {"trust": self.trust * self._trust.share, **claim.numbers}
        info |= fitted_errors(solution, ensembles)
        # where nothing was corrected, as many as there may be; written so that NaN is nothing too
        found = info["correction"] > 0.0
        share = info["uncertainty"] / (SHARE * info["correction"]) if found else np.inf
        least = np.ceil(GROWTH * self._frames)
        self._frames = int(np.clip(sample_size * share**2, least, MOST_FRAMES))
        seconds += time.perf_counter() - began
        uncertainty = claim.at_knots.reshape(values.shape[1:])
        return Update(steps, seconds, info, uncertainty, decrease, claim.pressures)

    def _prepare(self, grid: Grid, values: Array, kt: float, few_weights: bool) -> None:
        """The prior, which is made once for a training; that of the first part is that of all."""
        other = self._start is not None and self._start.shape != values.shape
        if self._grid is not None and (self._grid != grid or other):  # of another training
            self._start = self._prior = self._theta = None
            self._amplitude, self._frames = 0.0, FIRST_FRAMES
            self._discrepancies, self._reference = {}, None
            self._standstill, self._beaten = Standstill(), set()
        self._grid = grid
        if self._start is None:
            self._start = values
        if self._prior is None:
            self._prior = Prior.of(grid, self._start, kt, self.length, self._anchors, few_weights)
            if GIVEN in (self._anchors or {}):
                self._prior = replace(self._prior, family=None)
            if self._theta is not None:
                self._prior = self._prior.at(self._theta)

    def _solve(
        self,
        ensembles: Sequence[Ensemble],
        states: Sequence[Weighted],
        grid: Grid,
        values: Array,
        factors: Array,
        kt: float,
        chosen: str | None,
    ) -> Solution:
        """The correction of the reference that the residuals make more probable.

        With the name of a reference that was chosen, on the same frames, references are not
        compared again.
        """
        assert self._prior is not None
        responses = [
            linear_response(ensemble, state, grid)
            for ensemble, state in zip(ensembles, states, strict=True)
        ]
        mean = float(np.mean(np.concatenate([part.weights for part in responses])))
        if chosen is None:
            squares = [part.residual[part.curve >= 0] ** 2 for part in responses]
            square = float(np.mean(np.concatenate([*squares, np.zeros(1)])))
            self._standstill.watch(square, patience(responses))
        length = SMOOTH_ERROR * float(min(self._prior.contact))
        errors = [errors_of_targets(each, each.covariance, length) for each in responses]
        to_bins = [
            means_in_bins(grid, ensemble.edges, ensemble.beta * np.tensordot(factor, values, 1))
            for ensemble, factor in zip(ensembles, factors, strict=True)
        ]
        solutions = []
        for reference in self._prior.references():
            if chosen not in (None, reference.name) or reference.name in self._beaten:
                continue
            tangents = Design.of(reference.tangents, grid)
            design = self._prior.basis.of_parts(len(values), tangents)
            models = [
                LinearModel.of(
                    response,
                    bins,
                    design,
                    factor,
                    values - reference.values,
                    mean,
                    length,
                    of_targets,
                )
                for response, of_targets, bins, factor in zip(
                    responses, errors, to_bins, factors, strict=True
                )
            ]
            first = self._discrepancies.get(reference.name, Discrepancy())
            trust = (self.trust * self._trust.share * kt) ** 2
            solutions.append(
                solve_about(
                    self._prior,
                    reference,
                    design,
                    models,
                    values,
                    kt,
                    trust,
                    self._amplitude,
                    first,
                    self._standstill.reached,
                )
            )
        # errors of the data are those that a reference finds that has not followed them
        independent = [each.discrepancy for each in solutions if each.reference.follows == 0.0]
        known = independent[0] if independent else Discrepancy()
        evidence = {each.reference.name: each.comparable(known) for each in solutions}
        best = most_evident(solutions, evidence, values, kt, self._reference)
        self._reference = best.reference.name
        # as long as the residuals are those of a response that is not linear they speak for nobody
        if self._standstill.reached:
            beaten = evidence[best.reference.name] - HOPELESS
            self._beaten |= {name for name, value in evidence.items() if value < beaten}
        for each in solutions:
            self._discrepancies[each.reference.name] = each.discrepancy
            if each.reference.moved is not None:
                self._theta = each.reference.moved(each.parameters).theta
                self._prior = self._prior.at(self._theta)
        return replace(best, rivals=evidence)

    def retreat(self) -> None:
        """Halve the trust, and ask for twice as many frames.

        Every later update without a retreat gives back a factor of 1.5 of the trust.
        """
        self._trust.retreat()
        self._frames = min(2 * self._frames, MOST_FRAMES)

    def hold(self) -> None:
        """Keep the trust as it is for the next update."""
        self._trust.hold()

    def state_dict(self) -> dict[str, Any]:
        """What fixes the prior, how long to simulate, and what is left of the trust."""
        return {
            "start": self._start,
            "amplitude": self._amplitude,
            "frames": self._frames,
            "discrepancies": {name: asdict(each) for name, each in self._discrepancies.items()},
            "theta": self._theta,
            "anchors": self._anchors,
            "reference": self._reference,
            "beaten": sorted(self._beaten),
            "standstill": self._standstill.state_dict(),
            "trust": self._trust.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` returned."""
        self._start, self._frames = state["start"], state["frames"]
        self._amplitude = state["amplitude"]
        self._discrepancies = {
            name: Discrepancy(**each) for name, each in state["discrepancies"].items()
        }
        self._theta = state["theta"]
        self._anchors = state["anchors"]
        self._reference = state["reference"]
        self._beaten = set(state["beaten"])
        self._standstill.load_state_dict(state["standstill"])
        self._trust.load_state_dict(state["trust"])
        self._grid = None
        self._prior = None


def _part_values(parts: Sequence[Any], grid: Grid) -> Array:
    """Energies of the parts of a potential at the knots, shape (parts, P, K)."""
    return np.array([knot_values(part, grid).detach().numpy() for part in parts])
