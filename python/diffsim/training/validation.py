"""Systems that are simulated and reported, but from which nothing is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from diffsim.arrays import Array
from diffsim.errors import SimulationError
from diffsim.knots import Grid, knot_values_at, spline_coefficients
from diffsim.pool.aborts import Aborts
from diffsim.pool.tasks import Outcome, Pool, Task
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble
from diffsim.simulation.pieces import Simulator
from diffsim.training.iterations import Iteration
from diffsim.training.measurement import latest_series, measured, split_by_target, temperature_event
from diffsim.units import boltzmann


class Validation:
    """Validation systems, and what was measured of them last.

    Every validation starts from the atoms as the script makes them, and equilibrates: its numbers
    depend on the potential and the iteration, not on the validations before.

    Parameters
    ----------
    simulators
        One per validation system; may be empty.
    every
        Iterations between validations; None for the end of the training only.
    pool
        Who simulates.
    first
        Index of the first of them in the pool; the others follow.
    aborts
        Simulations that are known to end all processes.

    Attributes
    ----------
    md_steps
        Of all validations so far.
    averages
        Per system, the averages of each target's observables in the latest validation.
    """

    def __init__(
        self,
        simulators: Sequence[Simulator],
        every: int | None,
        pool: Pool,
        first: int,
        aborts: Aborts,
    ) -> None:
        self._pool, self._first, self._aborts = pool, first, aborts
        self.simulators = list(simulators)
        self.every = every
        self.md_steps = 0
        self.averages: dict[str, list[Array]] = {}

    def is_due(self, iteration: int, last: bool) -> bool:
        """Whether to simulate after an iteration, the last one of a training or not."""
        regular = self.every is not None and iteration % self.every == 0
        return bool(self.simulators) and (last or regular)

    def added_to(self, record: Iteration, potential: Model, grid: Grid, seed: int) -> Iteration:
        """Simulate all validation systems with a potential, and add what they say to a record.

        That is per system what `measurement.measured` says, and sentences about what the user
        should know. A simulation that fails is one of them, and is not among the systems.
        """
        temperatures = [simulator.system.temperature for simulator in self.simulators]
        of_systems = knot_values_at(potential, grid, temperatures)
        values = [energies.detach().numpy() for energies in of_systems]
        tasks = [
            Task(self._first + index, grid, energies, None, None, (seed, record.iteration), None)
            for index, energies in enumerate(values)
        ]
        known = [self._aborts.get((task.simulator, *task.seed)) for task in tasks]
        # one that fails does not keep the others from being simulated
        todo = [task for task, reason in zip(tasks, known, strict=True) if reason is None]
        done = iter(self._pool.run(todo, stop_at_error=False).outcomes)
        outcomes = [
            next(done) if reason is None else Outcome(None, None, SimulationError(reason), 0.0)
            for reason in known
        ]
        result: dict[str, dict[str, Any]] = {}
        events = []
        for simulator, energies, outcome in zip(self.simulators, values, outcomes, strict=True):
            system = simulator.system
            self.averages.pop(system.name, None)
            self.md_steps += simulator.md_steps(None)
            if isinstance(outcome.error, SimulationError):
                events.append(f"The validation of system '{system.name}' failed: {outcome.error}")
                continue
            frames, _ = outcome.piece()
            ensemble = Ensemble(
                system, boltzmann(grid.units), tuple(grid.species), potential.cutoff
            )
            ensemble.add(frames, spline_coefficients(energies))
            result[system.name] = measured(ensemble, frames)
            average = latest_series(ensemble).mean(axis=0)
            self.averages[system.name] = split_by_target(ensemble, average)
            event = temperature_event(system, frames)
            if event:
                events.append(event)
        return replace(
            record,
            validation=result,
            validation_md_steps=self.md_steps,
            events=record.events + events,
        )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {"md_steps": self.md_steps, "averages": self.averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` returned."""
        self.md_steps = state["md_steps"]
        self.averages = dict(state["averages"])
