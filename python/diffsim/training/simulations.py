"""The simulations that a training learns from: shared out over processes, and where they ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from diffsim.arrays import Array
from diffsim.errors import InputError, SimulationError
from diffsim.knots import Grid
from diffsim.pool.aborts import Aborts
from diffsim.pool.tasks import Pool, Task
from diffsim.simulation import Frames, concatenate
from diffsim.simulation.bonded_pairs import check_pairs
from diffsim.simulation.layout import choose_layout
from diffsim.simulation.pieces import Simulator, final_temperature
from diffsim.simulation.protocol import Protocol
from diffsim.training.settling import Drift, settled


class Simulations:
    """All replicas of all systems, iteration after iteration.

    Parameters
    ----------
    simulators
        One per system.
    others
        Simulators of validation systems: the pool knows them by the indices that follow.
    protocol
        Lengths of the simulations, and how they are to be shared out.
    pool
        Who simulates.
    aborts
        Simulations that are known to end all processes: they count as failed.

    Attributes
    ----------
    layout
        How they are shared out.
    md_steps
        So far. A piece that failed counts as a whole: how far it came is not known.
    seconds_idle
        Time so far in which a process had nothing to simulate, averaged over the processes.
    seconds
        Wall time of the latest piece of each system, all its replicas together.
    drifts
        Of the systems whose structure changed throughout the latest piece, by their names.
    """

    def __init__(
        self,
        simulators: Sequence[Simulator],
        others: Sequence[Simulator],
        protocol: Protocol,
        pool: Pool,
        aborts: Aborts,
    ) -> None:
        self._simulators, self._others = list(simulators), list(others)
        self._works = [simulator.work() for simulator in simulators]
        self._protocol, self._pool, self._aborts = protocol, pool, aborts
        self.md_steps = 0
        self.seconds_idle = 0.0
        self.seconds = [0.0] * len(self._simulators)
        self.drifts: dict[str, Drift] = {}
        self._usual: list[float] = []  # temperatures of the first frames, per system
        self._arrange(protocol.replicas)
        # where they ended, for each system and replica
        self._states: list[list[str | None]] = [
            [None] * self.layout.replicas for _ in self._simulators
        ]

    @property
    def densities(self) -> dict[str, float]:
        """Number density of each system as its script makes it, without types that are left out."""
        return {
            simulator.system.name: sum(
                density for name, density in simulator.density.items() if name != "NULL"
            )
            for simulator in self._simulators
        }

    def _arrange(self, replicas: int | None) -> None:
        """Choose the layout, tell the pool of it, and the simulators of their share of the frames;
        validation systems have no replicas."""
        share = self._protocol.ranks_per_simulation
        self.layout = choose_layout(self._works, self._pool.ranks, share, replicas)
        protocol = replace(self._protocol, replicas=self.layout.replicas)
        self._simulators = [replace(s, protocol=protocol) for s in self._simulators]
        self._pool.arrange(dict(enumerate([*self._simulators, *self._others])), self.layout)

    def run(
        self, grid: Grid, values: Sequence[Array], seed: tuple[int, int, int], frames: int | None
    ) -> list[Frames]:
        """Simulate a piece of each replica, from where the last one ended.

        Parameters
        ----------
        grid, values
            The knots, and the energies at them for each system (P, K).
        seed
            Of the training, the iteration and the attempt.
        frames
            How many to take of each system, if it is less than what the protocol allows.

        Returns
        -------
        The frames of each system that count, those of its replicas one after the other.

        Raises
        ------
        SimulationError
            If a simulation fails, or is known to end all processes.
        InputError
            If replicas are one and the same simulation, or targets leave out bonded pairs that are
            counted, or the other way round.
        """
        tasks = self._tasks(grid, values, seed, frames)
        done = self._pool.run(tasks)
        self.seconds_idle += done.idle
        for task, _ in zip(tasks, done.outcomes, strict=False):
            self.md_steps += self._simulators[task.simulator].md_steps(task.state, frames)
        pieces = done.pieces()
        self.seconds = [0.0] * len(self._simulators)
        for task, outcome in zip(tasks, done.outcomes, strict=True):
            self.seconds[task.simulator] += outcome.seconds
        replicas = self.layout.replicas
        parts = [pieces[first : first + replicas] for first in range(0, len(pieces), replicas)]
        recorded = [[frames for frames, _ in part] for part in parts]
        for simulator, several in zip(self._simulators, recorded, strict=True):
            _check_independence(simulator, several)
        self._states = [[state for _, state in part] for part in parts]
        result, self.drifts = [], {}
        for simulator, several in zip(self._simulators, recorded, strict=True):
            counted, drift = settled(several)
            if drift is not None:
                self.drifts[simulator.system.name] = drift
            result.append(concatenate(counted))
        if not self._usual:  # the first pieces
            for simulator, of_system in zip(self._simulators, result, strict=True):
                check_pairs(simulator.system, of_system, simulator.bonds, grid.species)
        self._usual = self._usual or [final_temperature(frames) for frames in result]
        return result

    @property
    def states(self) -> list[list[str | None]]:
        """Where the latest pieces ended, for each system and replica; None before the first."""
        return [list(replicas) for replicas in self._states]

    def start_from(self, states: Sequence[Sequence[str | None]]) -> None:
        """Let the next pieces begin where others ended than the latest ones."""
        self._states = [list(replicas) for replicas in states]

    def _tasks(
        self, grid: Grid, values: Sequence[Array], seed: tuple[int, int, int], frames: int | None
    ) -> list[Task]:
        for index in range(len(self._simulators)):
            reason = self._aborts.get((index, *seed))
            if reason is not None:
                raise SimulationError(reason)
        usual: Sequence[float | None] = self._usual or [None] * len(self._simulators)
        return [
            Task(index, grid, values[index], state, usual[index], seed, frames, replica)
            for index, states in enumerate(self._states)
            for replica, state in enumerate(states)
        ]

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {
            "md_steps": self.md_steps,
            "usual": list(self._usual),
            "states": self.states,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where others stopped, with as many replicas.

        Raises
        ------
        InputError
            If another number of them was asked for.
        KeyError
            If something is missing in the state.
        """
        if not all(isinstance(replicas, list) for replicas in state["states"]):
            raise KeyError("replicas")  # it was written by a version that had none
        present, wanted = len(state["states"][0]), self._protocol.replicas
        if wanted not in (None, present):
            raise InputError(
                f"The run has {present} replicas of each system, but 'replicas' is {wanted} now. "
                f"Leave it out or set it to {present}; start a new run for other numbers."
            )
        self.md_steps = state["md_steps"]
        self._usual = list(state["usual"])
        self.start_from(state["states"])
        self._arrange(present)


def _check_independence(simulator: Simulator, replicas: Sequence[Frames]) -> None:
    """Refuse replicas that are one and the same simulation."""
    first, *others = replicas
    if any(np.array_equal(first.energy, frames.energy) for frames in others):
        system = simulator.system
        raise InputError(
            f"Two of the {len(replicas)} replicas of system '{system.name}' have the same "
            f"energies: its script {system.script} does not use ${{seed}}, so that they are one "
            "simulation. Use it for velocities and thermostats, or set 'replicas' to 1."
        )
