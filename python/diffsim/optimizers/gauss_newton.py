"""Gauss-Newton in function space, with a Gaussian process prior for the correction.

One step solves for the change du(r) of the potential, not of the network's weights:

    g* - g = J du + noise,    J = -beta Cov(g, n) C

is linear response, with the covariance over the pooled frames and C from values at the knots to
coefficients of the spline. A smooth correction is more probable than a rough one: du is a Gaussian
process with a squared exponential covariance a k(r, r'). Its amplitude a maximises the evidence of the
residual given the noise of model and target, under an upper bound that is the trust region: without
it the first step would leave the range in which the response is linear. The most probable du is

    du = a K J^T (S + a J K J^T)^-1 (g* - g)

and the potential is then fitted to u + du at the knots. Why not Newton in the weights: the residual
constrains the function along some directions only, and along the others a network's Jacobian asks for
weight changes far too large for it to be linear.

Sources: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapters 2 and 5;
Lyubartsev and Laaksonen, Phys. Rev. E 52, 3730 (1995) for the response (inverse Monte Carlo).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import block_diag, cholesky, solve_triangular

from diffsim.gradients.ensemble import Ensemble, Weighted
from diffsim.gradients.reweighting import covariance
from diffsim.knots import Array, Grid, knot_values, spline_coefficients
from diffsim.optimizers.base import Update
from diffsim.optimizers.projection import fit_values

AMPLITUDES = np.geomspace(1e-6, 1.0, 49)  # tried, relative to the upper bound
FIT_ITERATIONS = 100
NOISE_ITERATIONS = 12
DEBUG=False
INF=1.0;GMIN=0.05;LOG=False;MAG=3.0
ETA=0.2
JITTER = 1e-8  # relative, keeps the prior's factorisation stable


def correction_basis(
    grid: Grid, contact: Sequence[float], magnitude: Array, length: float
) -> Array:
    """Smooth corrections that vanish at the cutoff: values at the knots du = basis d, d ~ N(0, a 1).

    The squared exponential covariance exp(-(x - x')^2 / 2) acts on a warped distance x(r) with dx/dr =
    1 / l(r): the correlation length is `length` times the contact distance outside of contact and
    shrinks to a third of it inside, where potentials are steep.

    Parameters
    ----------
    grid
        The knots.
    contact
        Contact distance of each species pair: where its atoms begin to meet, shape (P,).
    length
        Correlation length at and beyond contact, in contact distances.

    Returns
    -------
    Shape (P K, m).
    """
    blocks = []
    for pair, sigma in enumerate(contact):
        r = grid.distances(pair)
        fine = np.linspace(r[0], r[-1], 2000)
        local = length * sigma * np.clip(1.0 - 4.0 * (sigma - fine) / sigma, 1.0 / 3.0, 1.0)
        warped = np.concatenate(
            [[0.0], np.cumsum(np.diff(fine) * 0.5 * (1 / local[1:] + 1 / local[:-1]))]
        )
        x = np.interp(r, fine, warped)
        nodes = np.linspace(0.0, x[-1], int(np.ceil(2.0 * x[-1])) + 1)[:-1]
        # conditioning on a zero at the cutoff is done by subtraction of its projection
        kernel = _kernel(nodes, nodes) - np.outer(_kernel(nodes, x[-1:]), _kernel(nodes, x[-1:]))
        cross = _kernel(x, nodes) - np.outer(_kernel(x, x[-1:]), _kernel(nodes, x[-1:]))
        factor = cholesky(kernel + JITTER * np.eye(len(nodes)), lower=True)
        blocks.append(magnitude[pair][:, None] * solve_triangular(factor, cross.T, lower=True).T)
    return np.asarray(block_diag(*blocks))


def _kernel(x: Array, y: Array) -> Array:
    return np.asarray(np.exp(-0.5 * (x[:, None] - y[None, :]) ** 2))


def most_probable_correction(
    response: Array, residual: Array, noise: Array, amplitude_bound: float
) -> tuple[Array, float]:
    """Whitened correction d of maximal probability, and the amplitude of maximal evidence.

        ln p(y | a) = -y^T A^-1 y / 2 - ln det A / 2,   A = S + a M M^T,   d = a M^T A^-1 y

    Parameters
    ----------
    response
        M = J times the prior's basis, shape (B, m).
    residual
        y = target minus model, shape (B,).
    noise
        S, covariance of the residual's error, shape (B, B).
    amplitude_bound
        Largest a.

    Returns
    -------
    d (m,), a
    """
    factor = cholesky(noise, lower=True)
    y = solve_triangular(factor, residual, lower=True)
    left, singular, right = np.linalg.svd(
        solve_triangular(factor, response, lower=True), full_matrices=False
    )
    projected = left.T @ y
    rest = float(y @ y - projected @ projected)

    amplitudes = AMPLITUDES * amplitude_bound
    variances = 1.0 + amplitudes[:, None] * singular**2
    evidence = -0.5 * (projected**2 / variances + np.log(variances)).sum(axis=1) - 0.5 * rest
    a = float(amplitudes[int(np.argmax(evidence))])
    return right.T @ (a * singular / (1.0 + a * singular**2) * projected), a


class GaussNewton:
    """See the module's text.

    Parameters
    ----------
    trust
        Largest standard deviation of the prior, in kT: the trust region of one step.
    length
        Correlation length of corrections, in contact distances.
    min_sample_size
        Steps without new simulation go on while the effective number of frames, in frames of the
        latest piece, stays above this fraction.
    max_steps
        Most steps between two pieces of simulation.
    """

    def __init__(
        self,
        trust: float = 0.55,
        length: float = 0.12,
        min_sample_size: float = 0.5,
        max_steps: int = 4,
    ) -> None:
        self.trust = trust
        self.length = length
        self.min_sample_size = min_sample_size
        self.max_steps = max_steps
        self._contact: list[float] | None = None
        self._basis: Array | None = None
        self._coefficients: Array | None = None

    def update(self, potential: Any, grid: Grid, ensembles: Sequence[Ensemble]) -> Update:
        """Take as many steps as the frames support; see `diffsim.optimizers.base.Optimizer`."""
        kt = min(1.0 / ensemble.beta for ensemble in ensembles)
        values = knot_values(potential, grid).detach().numpy()
        if self._basis is None:
            self._set_prior(grid, self._contact or contact_distances(grid, values, kt), np.sqrt(1.0 + np.clip(values/kt, 0.0, MAG)**2))
        assert self._basis is not None and self._coefficients is not None

        steps, seconds, info = 0, 0.0, {}
        began = time.perf_counter()
        features = [ensemble.counts @ self._coefficients for ensemble in ensembles]
        while steps < self.max_steps:
            coefficients = spline_coefficients(values)
            states = [ensemble.weighted(coefficients) for ensemble in ensembles]
            if steps and any(
                state.sample_size < self.min_sample_size * ensemble.latest_length
                for ensemble, state in zip(ensembles, states, strict=True)
            ):
                break
            correction, amplitude = self._correction(ensembles, states, features, kt)
            change = (self._basis @ correction).reshape(values.shape)
            seconds += time.perf_counter() - began
            fit_values(potential, grid, values + change, kt, FIT_ITERATIONS)
            values = knot_values(potential, grid).detach().numpy()
            info = {"prior_amplitude": amplitude}
            steps += 1
            began = time.perf_counter()
        return Update(steps, seconds + time.perf_counter() - began, info)

    def _set_prior(self, grid: Grid, contact: Sequence[float], magnitude: Array) -> None:
        self._contact = list(contact)
        self._basis = correction_basis(grid, contact, magnitude, self.length)
        n_pairs = len(contact)
        self._coefficients = np.array(
            [
                spline_coefficients(np.ascontiguousarray(column.reshape(n_pairs, -1))).ravel()
                for column in self._basis.T
            ]
        ).T

    def _correction(
        self,
        ensembles: Sequence[Ensemble],
        states: Sequence[Weighted],
        features: Sequence[Array],
        kt: float,
    ) -> tuple[Array, float]:
        response, residual, noise, target_noise, features_covariance = [], [], [], [], []
        for ensemble, state, feature in zip(ensembles, states, features, strict=True):
            g = state.observables
            sampled, given = ensemble.noise(state)
            kept = (ensemble.weights > 0) & (np.minimum(g,ensemble.target) > GMIN)
            observables = ensemble.observables[:, kept]
            y=(ensemble.target-g)[kept]
            scale = 1.0 / g[kept] if LOG else np.ones(kept.sum())
            if LOG: y=np.log(ensemble.target[kept]/g[kept])
            response.append(scale[:, None] * -ensemble.beta * covariance(state.weights, observables, feature))
            residual.append(y)
            sqw=1.0/np.sqrt(ensemble.weights[kept])
            for blocks, matrix in ((noise, sampled), (target_noise, given)):
                blocks.append(matrix[np.ix_(kept, kept)] * np.outer(scale*sqw, scale*sqw))
            target_noise[-1]=target_noise[-1]+np.diag((ETA*y*sqw)**2)
            features_covariance.append(ensemble.beta**2 * covariance(state.weights, feature, feature))

        # The response is itself estimated from the frames. The error of a covariance with the
        # change of the energy is that of the average times the spread of that change, in kT, so the
        # noise depends on the step: iterate.
        inflation = np.zeros(len(ensembles))
        for _ in range(NOISE_ITERATIONS):
            total = block_diag(
                *[
                    given + (1.0 + excess) * sampled
                    for given, sampled, excess in zip(target_noise, noise, inflation, strict=True)
                ]
            )
            correction, amplitude = most_probable_correction(
                np.concatenate(response),
                np.concatenate(residual),
                np.asarray(total),
                (self.trust * kt) ** 2,
            )
            spread = np.array([correction @ matrix @ correction for matrix in features_covariance])
            if DEBUG: print("   spread", spread, amplitude)
            inflation = 0.5*(INF*spread+inflation)
        return correction, amplitude

    def state_dict(self) -> dict[str, Any]:
        """The contact distances, which fix the prior."""
        return {"contact": self._contact}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the contact distances."""
        self._contact = state["contact"]


def contact_distances(grid: Grid, values: Array, kt: float) -> list[float]:
    """Where the energy of each pair, coming from inside, first falls to kT.

    A potential that never reaches kT has no contact; half of the cutoff stands for it.
    """
    result = []
    for pair, u in enumerate(values):
        below = np.flatnonzero(u <= kt)
        soft = len(below) == 0 or below[0] == 0
        result.append(0.5 * grid.cutoff if soft else float(grid.distances(pair)[below[0]]))
    return result
