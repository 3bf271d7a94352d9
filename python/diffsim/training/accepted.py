"""What a training has reached: the potential that was accepted last, the way back, the best one."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffsim.arrays import Array
from diffsim.knots import Grid, knot_values, knot_values_at, spline_coefficients
from diffsim.optimizers import Optimizer
from diffsim.potentials import linear_parts
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble, Weighted
from diffsim.simulation import Frames
from diffsim.training.measurement import (
    latest_series,
    loss_change,
    mean_loss,
    pooled_change,
)
from diffsim.training.outcome import Distance, seen_distance
from diffsim.training.simulations import Simulations
from diffsim.training.steps import SIGNIFICANT, LossChange

JUDGED = 0.5  # frames of the latest piece that must be effective for a loss to be trusted


@dataclass(frozen=True)
class Best:
    """The best potential so far.

    Attributes
    ----------
    weights
        As a state_dict.
    iteration
        In which it was simulated, or after which it was corrected.
    corrected
        Whether it is the correction of what was simulated then, and was not simulated itself.
    """

    weights: dict[str, Any]
    iteration: int
    corrected: bool = False


@dataclass
class Snapshot:
    """All that an accepted piece of simulation left.

    Attributes
    ----------
    iteration
        Of the piece.
    potential
        Weights that were simulated.
    optimizer
        Its state before it made the next step, with the retreats since.
    atoms
        Where the simulations ended, for each system and replica.
    best
        The best potential that had been simulated.
    """

    iteration: int
    potential: dict[str, Any]
    optimizer: dict[str, Any]
    atoms: list[list[str | None]]
    best: Best


@dataclass(frozen=True)
class Lowest:
    """The accepted piece of lowest loss: its potential, and its observables per system."""

    potential: Best
    series: list[Array]


class Accepted:
    """The accepted piece of simulation and the best potential of a training.

    Parameters
    ----------
    potential
        Changed in place.
    simulations
        Their atoms go back too.
    ensembles
        One per system.
    grid
        The knots.

    Attributes
    ----------
    best
        The best potential so far; None before the first piece.
    """

    def __init__(
        self,
        potential: Model,
        simulations: Simulations,
        ensembles: Sequence[Ensemble],
        grid: Grid,
    ) -> None:
        self._potential, self._simulations = potential, simulations
        self._ensembles, self.grid = ensembles, grid
        self.best: Best | None = None
        self._back: Snapshot | None = None
        self._series: list[Array] = []  # observables of the accepted piece, per system
        self._loss = 0.0  # its loss in units of its own errors
        self._lowest: Lowest | None = None
        # whether an accepted potential's own loss was found to rise: then the pool is that of no
        # ensemble, and cannot tell which potential is the best one
        self._drifts = False

    @property
    def iteration(self) -> int | None:
        """Of the accepted piece; None before the first."""
        return None if self._back is None else self._back.iteration

    @property
    def candidates(self) -> list[int]:
        """Iterations whose potential is the best one, or may be it later."""
        known = [] if self.best is None else [self.best]
        if self._back is not None:
            known.append(self._back.best)
        if self._lowest is not None:
            known.append(self._lowest.potential)
        accepted = [] if self.iteration is None else [self.iteration]
        return sorted({*accepted, *(each.iteration for each in known)})

    def change(self) -> LossChange | None:
        """From the accepted piece to the one that was added last; None for the first."""
        return self._change_from(self._series) if self._series else None

    def in_units_of(self, change: LossChange, decrease: float) -> float:
        """A decrease that was told of the accepted piece, in units of the errors in a change.

        Where targets have error bars, a loss is in units of the latest piece's errors too, and its
        later pieces are longer.
        """
        return decrease * change.before / self._loss if self._loss > 0.0 else decrease

    def _change_from(self, series: Sequence[Array]) -> LossChange:
        return loss_change(self._ensembles, series)

    def accept(self, iteration: int, optimizer: Optimizer, keep_atoms: bool = False) -> None:
        """Take the latest piece and the present potential, which it was simulated with.

        Parameters
        ----------
        iteration
            Of the piece.
        optimizer
            Before it makes the next step.
        keep_atoms
            Whether the next pieces begin where the piece that was accepted before ended, as this
            one is of the same potential and its loss has risen.
        """
        present = Best(copy.deepcopy(self._potential.state_dict()), iteration)
        lowest = self._lowest
        if keep_atoms:
            assert self._back is not None
            self._simulations.start_from(self._back.atoms)
            self._drifts = True
            # of atoms that had not settled even a low loss says nothing
            if lowest is not None and lowest.potential.iteration == self._back.iteration:
                lowest = None
        self._measure()
        measured = None if lowest is None else self._change_from(lowest.series)
        if lowest is None or measured is None or measured.rise < 0.0:
            lowest = Lowest(present, self._series)
        self.best = (
            lowest.potential
            if self._drifts
            else self._best_simulated(present, measured, optimizer.uses_references)
        )
        self._lowest = lowest
        self._back = Snapshot(
            iteration,
            present.weights,
            copy.deepcopy(optimizer.state_dict()),
            self._simulations.states,
            self.best,
        )

    def _measure(self) -> None:
        self._series = [latest_series(ensemble) for ensemble in self._ensembles]
        self._loss = self._change_from(self._series).now

    def _best_simulated(
        self, present: Best, measured: LossChange | None, most_probable: bool
    ) -> Best:
        """The potential of the latest piece, or an earlier one that is better.

        All frames judge where they can tell of both. Where they cannot the measured losses do, and
        also of steps to the most probable potential: many of them, each of which makes it worse
        within the noise, do not add up to a better potential.

        Parameters
        ----------
        present
            That of the latest piece.
        measured
            From the piece of lowest loss to the latest one; None for the first.
        most_probable
            See `is_better`.
        """
        if self._back is None or measured is None:
            return present
        pooled = self._pooled_change(self._back.best)
        if pooled is not None and not is_better(pooled, most_probable):
            return self._back.best
        if (pooled is None or most_probable) and measured.is_rise:
            return self._back.best
        return present

    def go_back(self, optimizer: Optimizer) -> None:
        """Put potential, optimizer and atoms back to those of the accepted piece.

        The optimizer is asked for smaller steps.
        """
        assert self._back is not None
        self._potential.load_state_dict(self._back.potential)
        self.best = self._back.best
        self._simulations.start_from(self._back.atoms)
        optimizer.load_state_dict(copy.deepcopy(self._back.optimizer))
        optimizer.retreat()
        self._back.optimizer = copy.deepcopy(optimizer.state_dict())

    def reject(self, optimizer: Optimizer) -> None:
        """Undo the step that led to the latest piece; its frames stay in the ensembles' pools."""
        for ensemble in self._ensembles:
            ensemble.take_back()
        self.go_back(optimizer)

    def judge_unsimulated(self, most_probable: bool) -> None:
        """Keep the present weights as the best if all frames say so.

        Parameters
        ----------
        most_probable
            Whether the optimizer steps to the most probable potential, see `is_better`.
        """
        if self._drifts or self.best is None or self._back is None:
            return
        change = self._pooled_change(self.best)
        if change is not None and is_better(change, most_probable):
            weights = copy.deepcopy(self._potential.state_dict())
            self.best = Best(weights, self._back.iteration, corrected=True)

    def _pooled_change(self, earlier: Best) -> LossChange | None:
        """From an earlier potential to the present one, by all stored frames; None where too few of
        them are effective for one of the two."""
        with self._with(earlier.weights):
            before = self._pooled()
        now = self._pooled()
        if before is None or now is None:
            return None
        return pooled_change(self._ensembles, before, now)

    def use_best(self) -> None:
        """Give the potential its best weights."""
        if self.best is not None:
            self._potential.load_state_dict(self.best.weights)

    @contextmanager
    def at_best(self) -> Iterator[None]:
        """Give the potential its best weights for a while."""
        present = self._potential.state_dict()
        with self._with(present if self.best is None else self.best.weights):
            yield

    @contextmanager
    def _with(self, weights: dict[str, Any]) -> Iterator[None]:
        present = copy.deepcopy(self._potential.state_dict())
        self._potential.load_state_dict(weights)
        try:
            yield
        finally:
            self._potential.load_state_dict(present)

    def distance(self, latest: Sequence[Frames]) -> Distance:
        """Of the best potential from the present one.

        Parameters
        ----------
        latest
            Frames of each system, which say where there are pairs.
        """
        # a correction that is the best one is that of the last update, and present
        if self.best is None or self.best.corrected:
            return Distance()
        first, of_systems = self._first_part(), self.values()
        with self.at_best():
            best = self.values()
            apart = first - self._first_part()
        differences = [now - then for now, then in zip(of_systems, best, strict=True)]
        return Distance(apart, seen_distance(self.grid, differences, latest))

    def _first_part(self) -> Array:
        temperatures = [ensemble.system.temperature for ensemble in self._ensembles]
        parts = linear_parts(self._potential, temperatures)[0][0]
        return np.asarray(knot_values(parts, self.grid).detach().numpy())

    def values(self) -> list[Array]:
        """Energies of the present potential at the knots, for each system (P, K)."""
        temperatures = [ensemble.system.temperature for ensemble in self._ensembles]
        values = knot_values_at(self._potential, self.grid, temperatures)
        return [energies.detach().numpy() for energies in values]

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        back, lowest = self._back, self._lowest
        return {
            "best": None if self.best is None else dict(vars(self.best)),
            "back": None if back is None else dict(vars(back)) | {"best": dict(vars(back.best))},
            "lowest": None
            if lowest is None
            else dict(vars(lowest)) | {"potential": dict(vars(lowest.potential))},
            "drifts": self._drifts,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state; the ensembles' latest pieces are the accepted ones then."""
        best, back, lowest = state["best"], state["back"], state["lowest"]
        self.best = None if best is None else Best(**best)
        self._back = None if back is None else Snapshot(**back | {"best": Best(**back["best"])})
        self._lowest = (
            None if lowest is None else Lowest(Best(**lowest["potential"]), lowest["series"])
        )
        self._drifts = state["drifts"]
        if self._back is not None:
            self._measure()

    def pooled_loss(self, coefficients: Sequence[Array]) -> float | None:
        """Loss of the systems' splines over all stored frames; None where too few are effective."""
        states = self._effective(coefficients)
        return None if states is None else mean_loss(self._ensembles, states)

    def _pooled(self) -> list[Weighted] | None:
        """All stored frames under the present potential; None where too few are effective."""
        return self._effective([spline_coefficients(energies) for energies in self.values()])

    def _effective(self, coefficients: Sequence[Array]) -> list[Weighted] | None:
        states = []
        for ensemble, c in zip(self._ensembles, coefficients, strict=True):
            state = ensemble.weighted(c)
            if not state.sample_size >= JUDGED * ensemble.latest_length:
                return None
            states.append(state)
        return states


def is_better(change: LossChange, most_probable: bool) -> bool:
    """Whether the later one of two potentials is the better one.

    Parameters
    ----------
    change
        From the earlier to the later one.
    most_probable
        Whether the later one is a step to the most probable potential. Of two whose losses differ
        by noise that is the better one: it was made with more frames, and a lower loss may be the
        noise that the other one follows. Without a prior the lower loss decides.
    """
    # written so that NaN is not better
    return change.rise <= SIGNIFICANT * change.error if most_probable else change.rise < 0.0
