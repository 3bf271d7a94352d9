"""The training loop: simulate, add to the ensembles, update the potential.

A step that leads to a simulation that fails, or to a loss that is higher beyond the noise, is
undone: weights, optimizer and atoms go back to those of the accepted piece (`training.accepted`),
and a smaller step is taken from there. What decides is in `training.steps`.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from diffsim import optimizers
from diffsim.arrays import Array
from diffsim.errors import InputError
from diffsim.lammps.devices import check_device
from diffsim.optimizers import Optimizer
from diffsim.pool.aborts import Aborts
from diffsim.pool.tasks import Pool, SerialPool
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble
from diffsim.simulation import Frames, System
from diffsim.simulation.layout import Layout
from diffsim.simulation.protocol import Protocol
from diffsim.training.accepted import Accepted
from diffsim.training.attempts import Attempts
from diffsim.training.checks import (
    check_accuracy,
    check_gradient,
    check_protocol,
    check_reference,
    check_systems,
    check_weights,
)
from diffsim.training.conclusion import time_events
from diffsim.training.iterations import Iteration, Piece
from diffsim.training.measurement import measured_piece, noise_event
from diffsim.training.outcome import Outcome
from diffsim.training.preparation import check_start, prepare
from diffsim.training.results import Results
from diffsim.training.simulations import Simulations
from diffsim.training.validation import Validation
from diffsim.units import boltzmann


class Trainer:
    """Learns one potential from any number of systems.

    Parameters
    ----------
    potential
        A `torch.nn.Module` that keeps the model contract, or a
        `diffsim.potentials.TemperatureDependent`, of which every system has the one of its
        temperature; changed in place.
    systems
        State points with targets; those with `validation` are simulated and reported only.
    optimizer
        ``"gauss-newton"``, the name of a class of torch.optim, or an object of `optimizers`.
    protocol
        Lengths of the simulations.
    start
        One of `diffsim.training.preparation.STARTS`, which says where each of them begins.
    tolerance
        Of the simulated spline against the potential, relative, as in ``pair_style diffsim``. The
        gradient is that of the spline itself, whatever the tolerance.
    seed
        Of all random numbers.
    scratch
        Folder for LAMMPS's files; a temporary one by default.
    validate_every
        Iterations between simulations of the validation systems; only at the end by default.
    accuracy
        Standard deviation of the potential, in units of energy, at which the training ends: see
        `fit`. Only Gauss-Newton knows it.
    gradient
        One of `diffsim.training.checks.GRADIENTS`, which says what each of them sees.
    pool
        Who simulates: this process alone by default, or the processes of
        `diffsim.pool.mpi.run_parallel`.
    aborts
        Simulations of this training that are known to end all processes: they count as failed.
    reference
        A potential that stays where the targets say nothing (gauss-newton only); by default the
        most probable one of a Mie potential and that of the theory of liquids.

    Raises
    ------
    InputError
        If the systems do not fit the potential or each other, or the optimizer not the potential.
    SimulationError
        If a script has an error.
    """

    def __init__(
        self,
        potential: Model,
        systems: Sequence[System],
        optimizer: str | Optimizer = "gauss-newton",
        protocol: Protocol | None = None,
        start: str = "mie",
        tolerance: float = 1e-4,
        seed: int = 1,
        scratch: Path | None = None,
        validate_every: int | None = None,
        accuracy: float | None = None,
        gradient: str = "auto",
        pool: Pool | None = None,
        aborts: Aborts | None = None,
        reference: Model | None = None,
    ) -> None:
        check_systems(systems, validate_every)
        check_protocol(protocol)
        check_start(start)
        check_weights(potential)
        self.optimizer = optimizers.create(optimizer) if isinstance(optimizer, str) else optimizer
        check_gradient(gradient, self.optimizer)
        check_accuracy(accuracy, self.optimizer)
        check_reference(reference, potential, self.optimizer)
        self.protocol = protocol or Protocol()
        check_device(self.protocol.device)
        self._temporary = tempfile.TemporaryDirectory() if scratch is None else None
        self.scratch = Path(self._temporary.name) if self._temporary else Path(scratch or "")
        self.potential, self.accuracy, self.seed = potential, accuracy, seed
        ready = prepare(
            potential,
            systems,
            self.optimizer,
            self.protocol,
            start,
            gradient,
            tolerance,
            self.scratch,
            reference,
        )
        self.grid, self.spline_error = ready.grid, ready.spline_error
        self.optimizer.anchor(ready.anchors)
        self._from_structure = ready.from_structure
        self.systems = [simulator.system for simulator in ready.simulators]
        k_b, species = boltzmann(potential.units), tuple(potential.species)
        along = gradient == "adjoint"
        self.ensembles = [Ensemble(s, k_b, species, potential.cutoff, along) for s in self.systems]
        pool, aborts = pool or SerialPool(), aborts or {}
        self._simulations = Simulations(ready.simulators, ready.tested, self.protocol, pool, aborts)
        self.validation = Validation(
            ready.tested, validate_every, pool, len(ready.simulators), aborts
        )
        self._reached = Accepted(potential, self._simulations, self.ensembles, self.grid)
        self.iteration = 0
        self.latest: Sequence[Frames] = []  # of the accepted piece, per system
        self.newest: Piece | None = None  # the same, or one that was rejected since
        self._attempts = Attempts(potential, self.ensembles, self._simulations, self._reached, seed)
        self._attempts.events.tell(*ready.said)
        self._chaotic = False
        self.converged = False
        # sentences on what the end of the last call of `steps` leaves open
        self.conclusion: list[str] = []
        self._results = Results(potential, self._reached)

    @property
    def layout(self) -> Layout:
        """How the simulations are shared out over processes."""
        return self._simulations.layout

    @property
    def uncertainty(self) -> Array | None:
        """Standard deviation of the best potential at the knots, (P, K), of one that depends on
        temperature at its reference temperature; None where the optimizer does not know it.

        The one of the potential that the last update made, with its distance from the best one.
        """
        known = self._attempts.uncertainty
        return None if known is None else np.hypot(known, self._results.apart.at_knots)

    @property
    def md_steps(self) -> int:
        """MD steps so far, without those of validation systems."""
        return self._simulations.md_steps

    def tell(self, event: str | None) -> None:
        """Add a sentence, if there is one, to the events of the next iteration."""
        self._attempts.events.tell(event)

    def fit(
        self, iterations: int, after: Callable[[Iteration], None] | None = None
    ) -> list[Iteration]:
        """Run iterations; afterwards the potential has the best weights found.

        Parameters
        ----------
        iterations
            As of `steps`, which it runs to their end.
        after
            Called after each iteration with what it measured.

        Returns
        -------
        What each iteration measured.
        """
        records = []
        for record in self.steps(iterations):
            records.append(record)
            if after:
                after(record)
        return records

    def steps(self, iterations: int, stop: Callable[[], bool] | None = None) -> Iterator[Iteration]:
        """Run iterations one by one; after the last the potential has the best weights found.

        Parameters
        ----------
        iterations
            How many further iterations. With an `accuracy` they end where the rest is noise: where
            the residual's chi squared is below 1.5, a correction smaller than the standard
            deviation that the frames leave of the potential, and that smaller than the accuracy,
            both root mean squares where g > 0.1.
        stop
            Called after each iteration: whether to leave the others for another time.

        Yields
        ------
        What each iteration measured, when it is complete.

        Raises
        ------
        SimulationError
            If a simulation fails in the first iteration, or in a later one `MOST_FAILURES` times
            in a row. Then the potential has the weights of a still smaller step, with which
            another call goes on; those of `use_best` are the best so far.
        """
        done, stopped = 0, False
        while done < iterations and not self.converged and not stopped:
            record = self._iterate()
            done += 1
            last = done == iterations or self.converged
            stopped = stop is not None and stop() and not last
            if not stopped and self.validation.is_due(self.iteration, last=last):
                with self.at_best():
                    record = self.validation.added_to(record, self.potential, self.grid, self.seed)
                stopped = stop is not None and stop() and not last
            if last:
                densities = self._simulations.densities
                self.conclusion = self._results.conclusion(self.ensembles, self.latest, densities)
            yield record
        self.use_best()

    def use_best(self) -> None:
        """Give the potential the best weights: see `diffsim.training.accepted.is_better`."""
        self._reached.use_best()

    @contextmanager
    def at_best(self) -> Iterator[None]:
        """Give the potential its best weights for a while."""
        with self._reached.at_best():
            yield

    @property
    def best(self) -> dict[str, Any]:
        """The best weights, as a state_dict."""
        best = self._reached.best
        return best.weights if best is not None else self.potential.state_dict()

    @property
    def outcome(self) -> Outcome | None:
        """The best potential and its numbers; None before the first iteration."""
        return self._results.outcome(self.ensembles, self.latest)

    def _iterate(self) -> Iteration:
        began = time.perf_counter()
        idle = self._simulations.seconds_idle
        newest, predicted, retries = self._attempts.simulate(self.iteration + 1, self.optimizer)
        self.iteration += 1
        self._add(newest)
        simulated = time.perf_counter()
        total = sum(system.weight for system in self.systems)
        entries = self._measure(newest)
        value = sum(s.weight * entries[s.name]["loss"] for s in self.systems) / total
        accepted, predicted = self._attempts.decide(self.iteration, self.optimizer, predicted)
        if accepted:
            self.latest = newest.frames
        pooled = time.perf_counter()
        update = self._attempts.next_step(self.optimizer)
        for entry, error in zip(entries.values(), update.pressure_errors or (), strict=False):
            entry["pressure_error"] = error
        self._results.note(entries if accepted else None, update, self.latest)
        # a step that was cut short is not small for lack of anything to correct, and what is not
        # known along chaotic windows an optimizer may take for exact
        settled = accepted and not self._chaotic
        reached = noise_event(update.info, self.accuracy) if settled else None
        if reached:
            self.converged = True
            self.tell(reached)
        updated = time.perf_counter()
        return Iteration(
            iteration=self.iteration,
            loss=value,
            systems=entries,
            ess=min(entry["ess"] for entry in entries.values()),
            md_steps=self.md_steps,
            seconds_simulation=simulated - began - retries,
            seconds_gradient=pooled - simulated + update.seconds_gradient,
            seconds_update=updated - pooled - update.seconds_gradient + retries,
            seconds_idle=self._simulations.seconds_idle - idle,
            **asdict(self.layout),
            optimizer={"steps": update.steps, **update.info},
            events=self._attempts.events.take(),
            predicted_loss=predicted,
            accepted=accepted,
            validation_md_steps=self.validation.md_steps,
        )

    def _add(self, piece: Piece) -> None:
        self.newest = piece
        for ensemble, frames, c in zip(
            self.ensembles, piece.frames, piece.coefficients, strict=True
        ):
            ensemble.add(frames, c)

    def _measure(self, newest: Piece) -> dict[str, dict[str, Any]]:
        entries, said, self._chaotic = measured_piece(
            self.ensembles, newest, self._simulations.seconds
        )
        self._attempts.events.tell(*said)
        if self._from_structure and self.iteration == 1:
            self._attempts.events.tell(*time_events(self.systems, newest.frames, self.grid.species))
        return entries

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs, except the stored frames."""
        return {
            "iteration": self.iteration,
            **self._simulations.state_dict(),
            "potential": self.potential.state_dict(),
            **self._reached.state_dict(),
            "accepted": self._reached.iteration,
            **self._attempts.state_dict(),
            "converged": self.converged,
            **self._results.state_dict(),
            "accuracy": self.accuracy,
            "optimizer": self.optimizer.state_dict(),
            "grid": self.grid,
            "lengths": {s.name: [len(t.values) for t in s.targets] for s in self.systems},
            "data_errors": [(each.tolerance, each.misfit) for each in self.ensembles],
            "validation": self.validation.state_dict(),
        }

    def load_state_dict(
        self, state: dict[str, Any], pieces: Sequence[tuple[Sequence[Frames], Any]]
    ) -> None:
        """Continue where another trainer stopped.

        Parameters
        ----------
        state
            From `state_dict`.
        pieces
            For every iteration so far, or the latest `MOST_PIECES` of them: the frames of each
            system, and the coefficients of the splines (systems, P, K + 2) that they were
            simulated with.
        """
        try:
            self._take_up(state, pieces)
        except KeyError as error:
            raise InputError(
                f"The checkpoint is that of another version of diffsim: it has no {error.args[0]}. "
                "Finish the run with that version, or start a new one from its model.pt."
            ) from None

    def _take_up(
        self, state: dict[str, Any], pieces: Sequence[tuple[Sequence[Frames], Any]]
    ) -> None:
        self.iteration = state["iteration"]
        self._simulations.load_state_dict(state)
        self.potential.load_state_dict(state["potential"])
        self._attempts.load_state_dict(state)
        self._results.load_state_dict(state)
        # to another accuracy it may not be
        self.converged = state["converged"] and state["accuracy"] == self.accuracy
        self.optimizer.load_state_dict(state["optimizer"])
        self.grid = self._reached.grid = state["grid"]
        for ensemble, (tolerance, misfit) in zip(self.ensembles, state["data_errors"], strict=True):
            ensemble.tolerance, ensemble.misfit = tolerance, misfit
        self.validation.load_state_dict(state["validation"])
        first = self.iteration - len(pieces) + 1
        for number, (frames, coefficients) in enumerate(pieces, first):
            self._add(Piece(frames, coefficients))
            if number <= state["accepted"]:
                self.latest = frames
            else:
                for ensemble in self.ensembles:
                    ensemble.take_back()
        self._reached.load_state_dict(state)
