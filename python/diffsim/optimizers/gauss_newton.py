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
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from diffsim.gradients.ensemble import Ensemble, Response
from diffsim.knots import Array, Grid, knot_values, spline_coefficients
from diffsim.optimizers.base import Update, check_option
from diffsim.optimizers.correction import (
    contact_distances,
    correction_basis,
    most_probable_correction,
    prior_magnitude,
)
from diffsim.optimizers.projection import fit_values

FIT_ITERATIONS = 100  # of the projection on the potential's weights
NOISE_ITERATIONS = 12  # of the noise, which depends on the step
NEGLIGIBLE = 0.1  # variance of beta dU over the frames: such a step changes no weight of a frame


@dataclass(frozen=True)
class LinearModel:
    """Residual of one system as a linear function of the correction d, and the errors of both."""

    response: Array
    residual: Array
    covariance: Array
    target_noise: Array
    energy: Array
    independent_frames: float
    worth: float

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
        self._start: Array | None = None  # energies at the knots that the prior was made for
        self._basis: Array | None = None
        self._grid: Grid | None = None

    def update(self, potential: Any, grid: Grid, ensembles: Sequence[Ensemble]) -> Update:
        """Take as many steps as the frames support; see `diffsim.optimizers.base.Optimizer`."""
        kt = min(1.0 / ensemble.beta for ensemble in ensembles)
        values = knot_values(potential, grid).detach().numpy()
        if self._grid is not None and self._grid != grid:  # of another training
            self._start = self._basis = None
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

        steps, seconds = 0, 0.0
        info: dict[str, float] = {}
        began = time.perf_counter()
        while steps < self.max_steps:
            coefficients = spline_coefficients(values)
            states = [ensemble.weighted(coefficients) for ensemble in ensembles]
            if steps and any(
                state.sample_size < self.min_ess * ensemble.latest_length
                for ensemble, state in zip(ensembles, states, strict=True)
            ):
                break
            responses = [
                ensemble.linear_response(state)
                for ensemble, state in zip(ensembles, states, strict=True)
            ]
            # weights are relative: the noise is what it is
            mean = float(np.mean(np.concatenate([part.weights for part in responses])))
            models = [
                self._linear_model(response, ensemble.centres, grid, mean)
                for response, ensemble in zip(responses, ensembles, strict=True)
            ]
            correction, info = self._correction(models, kt)
            change = (self._basis @ correction).reshape(values.shape)
            seconds += time.perf_counter() - began
            fit_values(potential, grid, values + change, kt, FIT_ITERATIONS)
            values = knot_values(potential, grid).detach().numpy()
            steps += 1
            began = time.perf_counter()
            if max(model.energy_spread(correction) for model in models) < NEGLIGIBLE:
                break
        return Update(steps, seconds + time.perf_counter() - began, info)

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
            response.matrix @ at_bins,
            response.residual,
            response.covariance * np.outer(scale, scale),
            response.target_noise * np.outer(scale, scale),
            at_bins.T @ response.energy @ at_bins,
            response.independent_frames,
            response.worth,
        )

    def _correction(
        self, models: Sequence[LinearModel], kt: float
    ) -> tuple[Array, dict[str, float]]:
        response = np.concatenate([model.response for model in models])
        residual = np.concatenate([model.residual for model in models])
        correction, amplitude = np.zeros(response.shape[1]), 0.0
        # the error of the response depends on the step: iterate
        for _ in range(NOISE_ITERATIONS):
            noise = block_diag(*[model.noise(correction) for model in models])
            proposed, amplitude = most_probable_correction(
                response, residual, noise, (self.trust * kt) ** 2
            )
            correction = 0.5 * (correction + proposed)
        return correction, {"prior_amplitude": amplitude}

    def state_dict(self) -> dict[str, Any]:
        """The energies at the knots that fix the prior."""
        return {"start": self._start}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the energies that fix the prior."""
        self._start = state["start"]
        self._basis = None
