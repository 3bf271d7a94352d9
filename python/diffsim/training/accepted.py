"""What a training has reached: the potential that was accepted last, the way back, the best one."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from diffsim.arrays import Array
from diffsim.knots import Grid, knot_values_at, spline_coefficients
from diffsim.optimizers import Optimizer
from diffsim.response.ensemble import Ensemble
from diffsim.response.loss import loss
from diffsim.training.measurement import latest_series, loss_change
from diffsim.training.simulations import Simulations
from diffsim.training.steps import LossChange

JUDGED = 0.5  # frames of the latest piece that must be effective for a loss to be trusted


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
        Weights of the best potential that had been simulated.
    """

    iteration: int
    potential: dict[str, Any]
    optimizer: dict[str, Any]
    atoms: list[list[str | None]]
    best: dict[str, Any]


@dataclass(frozen=True)
class Lowest:
    """The accepted piece of lowest loss: its iteration, observables per system, and weights."""

    iteration: int
    series: list[Array]
    weights: dict[str, Any]


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
        Weights of the best potential so far, as a state_dict; None before the first piece.
    """

    def __init__(
        self,
        potential: Any,
        simulations: Simulations,
        ensembles: Sequence[Ensemble],
        grid: Grid,
    ) -> None:
        self._potential, self._simulations = potential, simulations
        self._ensembles, self.grid = ensembles, grid
        self.best: dict[str, Any] | None = None
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
        present: dict[str, Any] = copy.deepcopy(self._potential.state_dict())
        lowest = self._lowest
        if keep_atoms:
            assert self._back is not None
            self._simulations.start_from(self._back.atoms)
            self._drifts = True
            # of atoms that had not settled even a low loss says nothing
            if lowest is not None and lowest.iteration == self._back.iteration:
                lowest = None
        self._measure()
        if lowest is None or self._change_from(lowest.series).rise < 0.0:
            lowest = Lowest(iteration, self._series, present)
        self.best = lowest.weights if self._drifts else self._best_simulated(present)
        self._lowest = lowest
        self._back = Snapshot(
            iteration,
            present,
            copy.deepcopy(optimizer.state_dict()),
            self._simulations.states,
            self.best,
        )

    def _measure(self) -> None:
        self._series = [latest_series(ensemble) for ensemble in self._ensembles]
        self._loss = self._change_from(self._series).now

    def _best_simulated(self, present: dict[str, Any]) -> dict[str, Any]:
        """The weights of the latest piece, or those of an earlier one that is better.

        All frames judge where they can tell of both. Else the later one is the better one, unless
        its measured loss is higher, by more than the noise, than the lowest one of all.
        """
        if self._back is None or self._lowest is None:
            return present
        self.best = self._back.best
        with self.at_best():
            earlier = self.pooled_loss()
        later = self.pooled_loss()
        if earlier is None or later is None:
            risen = self._change_from(self._lowest.series).is_rise
        else:
            risen = earlier <= later
        return self._back.best if risen else present

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

    def judge_unsimulated(self) -> None:
        """Keep the present weights as the best if all frames say so."""
        if self._drifts:
            return
        value = self.pooled_loss()
        if value is None:
            return
        with self.at_best():
            best = self.pooled_loss()
        if best is not None and value < best:
            self.best = copy.deepcopy(self._potential.state_dict())

    def use_best(self) -> None:
        """Give the potential its best weights."""
        if self.best is not None:
            self._potential.load_state_dict(self.best)

    @contextmanager
    def at_best(self) -> Iterator[None]:
        """Give the potential its best weights for a while."""
        present = copy.deepcopy(self._potential.state_dict())
        self.use_best()
        try:
            yield
        finally:
            self._potential.load_state_dict(present)

    def values(self) -> list[Array]:
        """Energies of the present potential at the knots, for each system (P, K)."""
        temperatures = [ensemble.system.temperature for ensemble in self._ensembles]
        values = knot_values_at(self._potential, self.grid, temperatures)
        return [energies.detach().numpy() for energies in values]

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {
            "best": self.best,
            "back": None if self._back is None else dict(vars(self._back)),
            "lowest": None if self._lowest is None else dict(vars(self._lowest)),
            "drifts": self._drifts,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state; the ensembles' latest pieces are the accepted ones then."""
        self.best, back = state["best"], state["back"]
        self._back = None if back is None else Snapshot(**back)
        lowest, self._drifts = state["lowest"], state["drifts"]
        self._lowest = None if lowest is None else Lowest(**lowest)
        if self._back is not None:
            self._measure()

    def pooled_loss(self, coefficients: Sequence[Array] | None = None) -> float | None:
        """Loss of the systems' splines over all stored frames; None where too few are effective.

        The splines are those of the present weights, if no others are given.
        """
        if coefficients is None:
            coefficients = [spline_coefficients(energies) for energies in self.values()]
        total = 0.0
        for ensemble, c in zip(self._ensembles, coefficients, strict=True):
            state = ensemble.weighted(c)
            if not state.sample_size >= JUDGED * ensemble.latest_length:
                return None
            total += ensemble.system.weight * loss(ensemble, state)[0]
        return total / sum(ensemble.system.weight for ensemble in self._ensembles)
