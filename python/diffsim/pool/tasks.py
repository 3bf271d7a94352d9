"""Pieces of simulation that have to be done, and who does them: this process alone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from diffsim.arrays import Array
from diffsim.errors import DiffSimError, InputError, ModelError, SimulationError
from diffsim.knots import Grid, core_knots
from diffsim.simulation import Frames
from diffsim.simulation.layout import Layout
from diffsim.simulation.pieces import Simulator

RECOVERABLE = (SimulationError, ModelError, InputError)
"""Errors after which the processes are as they were before the task."""


@dataclass(frozen=True)
class Task:
    """A piece of simulation.

    A piece is a function of its task and of the number of processes that simulate together: it does
    not matter which of them do it, and when.

    Attributes
    ----------
    simulator
        Index of the system's simulator in the pool.
    grid, energies
        The potential: its knots, and energies at them (P, K).
    state, usual, seed, frames, replica
        See `Simulator.piece`.
    """

    simulator: int
    grid: Grid
    energies: Array
    state: str | None
    usual: float | None
    seed: tuple[int, ...]
    frames: int | None
    replica: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes
    ----------
    frames, state
        As `Simulator.piece` returns them; None if it failed.
    error
        Why it failed, if it did.
    seconds
        Wall time.
    """

    frames: Frames | None
    state: str | None
    error: DiffSimError | None
    seconds: float

    def piece(self) -> tuple[Frames, str]:
        """Frames and end of the piece; raises the error if it failed."""
        if self.error is not None:
            raise self.error
        assert self.frames is not None
        assert self.state is not None
        return self.frames, self.state


@dataclass(frozen=True)
class Round:
    """What became of several tasks.

    Attributes
    ----------
    outcomes
        In the order of the tasks; fewer if one failed and the others were not begun.
    seconds
        Wall time from the first task's beginning to the last one's end.
    idle
        Part of it for which a process had nothing to do, averaged over the processes, in seconds.
    """

    outcomes: list[Outcome]
    seconds: float
    idle: float

    def pieces(self) -> list[tuple[Frames, str]]:
        """Frames and end of every piece.

        Raises
        ------
        DiffSimError
            If one failed: the error of the first one.
        """
        return [outcome.piece() for outcome in self.outcomes]


class Pool(Protocol):
    """Those who simulate."""

    ranks: int

    def arrange(self, simulators: Mapping[int, Simulator], layout: Layout) -> None:
        """Take up the simulators, by the index that tasks name them by, and a layout."""

    def run(self, tasks: Sequence[Task], stop_at_error: bool = True) -> Round:
        """Simulate; after one that fails, the tasks that were not begun may be left out."""


def simulate_task(simulator: Simulator, task: Task, processes: Any = None) -> Outcome:
    """Do a task; an error that concerns it is part of the outcome.

    Raises
    ------
    AbortedError
        If LAMMPS stops on some of the processes only.
    """
    began = time.perf_counter()
    try:
        frames, state = simulator.piece(
            core_knots(task.grid, task.energies),
            task.state,
            task.usual,
            task.seed,
            task.frames,
            task.replica,
            processes,
        )
    except RECOVERABLE as error:
        return Outcome(None, None, error, time.perf_counter() - began)
    return Outcome(frames, state, None, time.perf_counter() - began)


class SerialPool:
    """This process alone, one task after the other."""

    ranks = 1

    def __init__(self) -> None:
        self._simulators: dict[int, Simulator] = {}

    def arrange(self, simulators: Mapping[int, Simulator], layout: Layout) -> None:
        """See `Pool`."""
        del layout  # there is one only
        self._simulators = dict(simulators)

    def run(self, tasks: Sequence[Task], stop_at_error: bool = True) -> Round:
        """See `Pool`."""
        began = time.perf_counter()
        outcomes: list[Outcome] = []
        for task in tasks:
            outcomes.append(simulate_task(self._simulators[task.simulator], task))
            if stop_at_error and outcomes[-1].error is not None:
                break
        return Round(outcomes, time.perf_counter() - began, 0.0)
