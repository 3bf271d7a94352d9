"""Gauss-Newton in function space, with a Gaussian process prior for the correction.

One step solves for the change du(r) of the potential, not of the network's weights. Linear
response,

    g* - g = J du + noise,    J = -beta Cov(g, g) c

(`diffsim.gradients.fluctuations`), gives the likelihood; a smooth correction is more probable than
a rough one: du is a Gaussian process with a squared exponential covariance a k(r, r'). The
amplitude a maximises the evidence of the residual under an upper bound, the trust region: without
it the first step would leave the range in which the response is linear. The most probable
correction is

    du = a k J^T (S + a J k J^T)^-1 (g* - g)

with S the covariance of the errors of average, target and response. The potential is then fitted to
u + du at the knots. Why not Newton in the weights: the residual constrains the function along some
directions only, and along the others a network's Jacobian asks for changes of its weights that are
far too large for it to be linear.

Sources: Lyubartsev and Laaksonen, Phys. Rev. E 52, 3730 (1995) (inverse Monte Carlo); Shell, J.
Chem. Phys. 129, 144108 (2008) (relative entropy, of which this is the Newton step where g
determines u).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from diffsim.gradients.ensemble import Ensemble, Weighted
from diffsim.gradients.linear_response import Response, linear_response
from diffsim.knots import Array, Grid, knot_values, spline_coefficients
from diffsim.optimizers.base import Update, check_option
from diffsim.optimizers.correction import (
    Correction,
    contact_distances,
    correction_basis,
    most_probable_correction,
    prior_magnitude,
)
from diffsim.optimizers.projection import fit_values
from diffsim.optimizers.trust import Trust

FIT_ITERATIONS = 100  # of the projection on the potential's weights
NOISE_ITERATIONS = 12  # of the noise, which depends on the step
SEEN = 0.1  # of g: bins that count in what is reported
NEGLIGIBLE = 0.1  # variance of beta dU over the frames: such a step changes no weight of a frame


@dataclass(frozen=True)
class LinearModel:
    """Residual of one system as a linear function of the correction d, and the errors of both.

    `at_bins` d is the change of the potential in the bins where g is `g`.
    """

    response: Array
    residual: Array
    covariance: Array
    target_noise: Array
    energy: Array
    independent_frames: float
    worth: float
    at_bins: Array
    g: Array

    def energy_spread(self, correction: Array) -> float:
        """Variance of beta dU over the frames: what a step costs in effective sample size."""
        return float(correction @ self.energy @ correction)

    def noise(self, correction: Array) -> Array:
        """Covariance of the residual's error, shape (O, O), for a step.

        To the error of the averages comes that of the response: a covariance with the change of the
        energy, known from `worth` samples.
        """
        frames = 1.0 / self.independent_frames + self.energy_spread(correction) / self.worth
        return self.target_noise + frames * self.covariance


class GaussNewton:
    """See the module's text.

    Parameters
    ----------
    trust
        Largest standard deviation of the prior, in kT: the trust region of one step.
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

    def __init__(
        self,
        trust: float = 0.55,
        length: float = 0.1,
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
        self._start: Array | None = None  # energies at the knots that the prior was made for
        self._basis: Array | None = None  # corrections at the knots, (P K, m)
        self._basis_coefficients = np.empty((0, 0))  # of their splines, (P (K + 2), m)
        self._grid: Grid | None = None
        self._amplitude = 0.0  # the largest of all corrections

    def update(self, potential: Any, grid: Grid, ensembles: Sequence[Ensemble]) -> Update:
        """Take as many steps as the frames support; see `diffsim.optimizers.base.Optimizer`.

        The numbers for the metrics: `prior_amplitude` and `evidence` of the last correction,
        `chi_square` of the residual before it (about one: nothing but noise), `correction` (root
        mean square where g > 0.1) and `uncertainty` (the same mean of the standard deviation that
        the frames leave), both in units of energy, and `trust`.
        """
        self._trust.renew()
        kt = min(1.0 / ensemble.beta for ensemble in ensembles)
        values = knot_values(potential, grid).detach().numpy()
        self._prepare(grid, values, kt)
        assert self._basis is not None

        steps, seconds = 0, 0.0
        began = time.perf_counter()
        while True:
            coefficients = spline_coefficients(values)
            states = [ensemble.weighted(coefficients) for ensemble in ensembles]
            if steps and any(
                state.sample_size < self.min_ess * ensemble.latest_length
                for ensemble, state in zip(ensembles, states, strict=True)
            ):
                break
            models = self._linear_models(ensembles, states, grid)
            correction = self._correction(models, kt)
            change = (self._basis @ correction.mean).reshape(values.shape)
            self._amplitude = max(self._amplitude, correction.amplitude)
            seconds += time.perf_counter() - began
            fit_values(potential, grid, values + change, kt, FIT_ITERATIONS)
            values = knot_values(potential, grid).detach().numpy()
            steps += 1
            began = time.perf_counter()
            spread = max(model.energy_spread(correction.mean) for model in models)
            if spread < NEGLIGIBLE or steps == self.max_steps:
                break
        info, uncertainty = self._report(models, correction)
        return Update(
            steps, seconds + time.perf_counter() - began, info, uncertainty.reshape(values.shape)
        )

    def _prepare(self, grid: Grid, values: Array, kt: float) -> None:
        """The prior, which is made once for a training."""
        if self._grid is not None and self._grid != grid:  # of another training
            self._start = self._basis = None
            self._amplitude = 0.0
        self._grid = grid
        if self._start is None:
            self._start = values
        if self._basis is None:
            self._basis = correction_basis(
                grid,
                contact_distances(grid, self._start, kt),
                prior_magnitude(self._start, kt),
                self.length,
            )
            self._basis_coefficients = np.stack(
                [
                    spline_coefficients(np.ascontiguousarray(column.reshape(values.shape))).ravel()
                    for column in self._basis.T
                ],
                axis=1,
            )

    def _linear_models(
        self, ensembles: Sequence[Ensemble], states: Sequence[Weighted], grid: Grid
    ) -> list[LinearModel]:
        responses = [
            linear_response(ensemble, state, grid)
            for ensemble, state in zip(ensembles, states, strict=True)
        ]
        # weights are relative: the noise is what it is
        mean = float(np.mean(np.concatenate([part.weights for part in responses])))
        return [
            self._linear_model(response, ensemble.centres, grid, mean)
            for response, ensemble in zip(responses, ensembles, strict=True)
        ]

    def _report(
        self, models: Sequence[LinearModel], correction: Correction
    ) -> tuple[dict[str, float], Array]:
        """Numbers for the metrics, and the standard deviation of the potential at the knots.

        The prior of what is not known is that of the largest correction of the training: that the
        last one was small says little of the directions that the frames do not see.
        """
        assert self._basis is not None
        seen = np.concatenate([model.at_bins[model.g > SEEN] for model in models])
        left = correction.standard_deviation(seen, self._amplitude)
        info = {
            "prior_amplitude": correction.amplitude,
            "trust": self.trust * self._trust.share,
            "evidence": correction.evidence,
            "chi_square": correction.chi_square,
            "correction": float(np.sqrt(np.mean((seen @ correction.mean) ** 2))),
            "uncertainty": float(np.sqrt(np.mean(left**2))),
        }
        return info, correction.standard_deviation(self._basis, self._amplitude)

    def _linear_model(
        self, response: Response, centres: Array, grid: Grid, mean_weight: float
    ) -> LinearModel:
        assert self._basis is not None
        blocks = self._basis.reshape(-1, grid.knots, self._basis.shape[1])
        at_bins = np.concatenate(
            [
                [np.interp(centres, grid.distances(pair), column, right=0.0) for column in block.T]
                for pair, block in enumerate(blocks)
            ],
            axis=1,
        ).T[response.bins]
        scale = np.sqrt(mean_weight / response.weights)
        return LinearModel(
            response.matrix @ at_bins + response.explicit @ self._basis_coefficients,
            response.residual,
            response.covariance * np.outer(scale, scale),
            response.target_noise * np.outer(scale, scale),
            at_bins.T @ response.energy @ at_bins,
            response.independent_frames,
            response.worth,
            at_bins,
            response.g,
        )

    def _correction(self, models: Sequence[LinearModel], kt: float) -> Correction:
        response = np.concatenate([model.response for model in models])
        residual = np.concatenate([model.residual for model in models])
        mean = np.zeros(response.shape[1])
        # the error of the response depends on the step: iterate
        for _ in range(NOISE_ITERATIONS):
            noise = block_diag(*[model.noise(mean) for model in models])
            proposed = most_probable_correction(
                response, residual, noise, (self.trust * self._trust.share * kt) ** 2
            )
            mean = 0.5 * (mean + proposed.mean)
        return replace(proposed, mean=mean)

    def retreat(self) -> None:
        """Halve the trust; every later update without a retreat gives back a factor of 1.5."""
        self._trust.retreat()

    def state_dict(self) -> dict[str, Any]:
        """What fixes the prior, and what is left of the trust."""
        return {
            "start": self._start,
            "amplitude": self._amplitude,
            "trust": self._trust.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` returned."""
        self._start, self._amplitude = state["start"], state["amplitude"]
        self._trust.load_state_dict(state["trust"])
        self._grid = None
        self._basis = None
