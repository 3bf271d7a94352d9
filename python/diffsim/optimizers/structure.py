"""What the classical inversions of structure share: curves, tents, and how a change is applied.

These methods look at the latest piece of simulation only, and at no other targets than g(r).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffsim.arrays import Array
from diffsim.errors import InputError
from diffsim.knots import Grid, knot_values, spline_coefficients
from diffsim.optimizers.base import Optimizer, Update
from diffsim.optimizers.projection import fit_values
from diffsim.optimizers.start import SEEN
from diffsim.optimizers.trust import Trust
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble
from diffsim.targets import RDF, distributions

FIT_ITERATIONS = 100  # of the projection on the potential's weights
FEWEST_BINS = 3  # seen by simulation and target below the cutoff


@dataclass(frozen=True)
class Curve:
    """A target g(r) beside that of the latest piece of simulation.

    Only bins of positive weight, from the first peak's innermost one in which both curves exceed
    0.05 outwards: further inside, a measured g is mostly noise.

    Attributes
    ----------
    pair
        Index of the species pair.
    columns
        Of the bins among the ensemble's observables, shape (n,).
    r
        Centres of the bins, shape (n,).
    model, target
        The two curves, shape (n,).
    weights
        System's times target's times bin's weight, shape (n,).
    """

    pair: int
    columns: NDArray[np.intp]
    r: Array
    model: Array
    target: Array
    weights: Array

    def below(self, cutoff: float) -> NDArray[np.intp]:
        """Indices of the bins whose centres lie below the cutoff."""
        return np.flatnonzero(self.r < cutoff)


def target_columns(name: str, ensemble: Ensemble) -> list[tuple[int, RDF, NDArray[np.intp]]]:
    """Index of the pair, the target, and its bins of positive weight, for each target.

    Parameters
    ----------
    name
        Of the optimizer, for the message.
    ensemble
        The frames of a system.

    Raises
    ------
    InputError
        If a target is not a g(r).
    """
    curves = distributions(ensemble.system.targets)
    for target in ensemble.system.targets:
        if target not in curves:
            raise InputError(
                f"The optimizer {name} learns from RDFs only, but system "
                f"'{ensemble.system.name}' has the target {target.label}. Leave it out, or use "
                "gauss-newton."
            )
    result, first = [], 0
    for curve in curves:
        columns = first + np.arange(len(curve.g))
        first += len(curve.g)
        known = columns[ensemble.weights[columns] > 0]
        result.append((curve.pair_index(ensemble.species), curve, known))
    return result


def measured_curves(name: str, ensemble: Ensemble, cutoff: float) -> list[Curve]:
    """The curves of all targets of a system; see `Curve`.

    Raises
    ------
    InputError
        If a target is not a g(r), or has fewer than three bins below the cutoff in which both the
        target and the simulation see pairs.
    """
    latest = ensemble.observables[ensemble.latest_piece].mean(axis=0)
    curves, first = [], 0
    for pair, target, columns in target_columns(name, ensemble):
        bins = columns - first
        first += len(target.g)
        r, model, wanted = target.r[bins], latest[columns], target.g[bins]
        common = np.where(r < cutoff, np.minimum(model, wanted), 0.0)
        if np.sum(common > SEEN) < FEWEST_BINS:
            raise InputError(
                f"The g(r) of {'-'.join(target.pair)} of system '{ensemble.system.name}' exceeds "
                f"{SEEN} in the target and in the simulation at {np.sum(common > SEEN)} common "
                f"distances below the cutoff {cutoff:g}, and {name} needs at least {FEWEST_BINS}. "
                "Check the unit of length of the target, or start from the potential of mean force "
                "(start: pmf)."
            )
        hollow = np.flatnonzero(common[: int(np.argmax(common))] <= SEEN)
        kept = slice(int(hollow[-1]) + 1 if len(hollow) else 0, None)
        curves.append(
            Curve(
                pair,
                columns[kept],
                r[kept],
                model[kept],
                wanted[kept],
                ensemble.weights[columns[kept]],
            )
        )
    return curves


def tent_basis(grid: Grid, curves: Sequence[Curve]) -> Array:
    """Changes of the potential that are one at a bin and zero at its neighbours and the cutoff.

    Of each pair of species the curve with most bins below the cutoff gives the nodes. Inside of the
    first node a change is constant, so that a wall keeps its shape. Pairs without a curve do not
    change.

    Parameters
    ----------
    grid
        The knots.
    curves
        Of all systems.

    Returns
    -------
    Values of the m functions at the knots, shape (P, K, m).
    """
    blocks = []
    n_pairs = len(grid.inner)
    for pair in range(n_pairs):
        known = [curve.r[curve.below(grid.cutoff)] for curve in curves if curve.pair == pair]
        if not known:
            continue
        nodes = np.append(max(known, key=len), grid.cutoff)
        block = np.zeros((n_pairs, grid.knots, len(nodes) - 1))
        for column, unit in enumerate(np.eye(len(nodes))[:-1]):
            block[pair, :, column] = np.interp(grid.distances(pair), nodes, unit)
        blocks.append(block)
    return np.concatenate(blocks, axis=2)


def latest_counts(ensemble: Ensemble, basis: Array) -> Array:
    """Derivative of each latest frame's energy with respect to the weights of functions, (F, m).

        U(u + sum_j x_j phi_j) = U(u) + sum_j x_j n_j

    exactly, for the splines through the functions' values (P, K, m) at the knots.
    """
    coefficients = np.stack(
        [
            spline_coefficients(np.ascontiguousarray(basis[:, :, column])).ravel()
            for column in range(basis.shape[2])
        ],
        axis=1,
    )
    return np.asarray(ensemble.counts[ensemble.latest_piece] @ coefficients)


def latest_covariance(x: Array, y: Array) -> Array:
    """Covariance of two sets of columns over frames of equal weight, (F, A), (F, B) -> (A, B)."""
    return np.asarray((x - x.mean(axis=0)).T @ (y - y.mean(axis=0)) / len(x))


def apply_change(
    potential: Model, grid: Grid, ensembles: Sequence[Ensemble], change: Array, began: float
) -> Update:
    """Fit a potential to itself plus a change (P, K) at the knots.

    Parameters
    ----------
    potential
        Changed in place.
    grid, ensembles
        As in `diffsim.optimizers.base.Optimizer.update`.
    change
        Energies, shape (P, K).
    began
        When the work on the change began, by time.perf_counter.
    """
    seconds = time.perf_counter() - began
    values = knot_values(potential, grid).detach().numpy()
    kt = min(1.0 / ensemble.beta for ensemble in ensembles)
    fit_values(potential, grid, values + change, kt, FIT_ITERATIONS)
    return Update(1, seconds)


class Classical(Optimizer):
    """What the optimizers have in common: a rate, of which a retreat takes a part away.

    Else they remember nothing: a step depends on the latest piece of simulation only.
    """

    rate: float

    def __init__(self) -> None:
        self._trust = Trust()

    def next_rate(self) -> float:
        """The rate for the update that begins."""
        self._trust.renew()
        return self.rate * self._trust.share

    def retreat(self) -> None:
        """Halve the rate; every later update without a retreat gives back a factor of 1.5."""
        self._trust.retreat()

    def hold(self) -> None:
        """Keep the rate as it is for the next update."""
        self._trust.hold()

    def state_dict(self) -> dict[str, Any]:
        """What is left of the rate."""
        return self._trust.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` returned."""
        self._trust.load_state_dict(state)
