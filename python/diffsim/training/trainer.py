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
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffsim import optimizers
from diffsim.errors import InputError, ModelError, SimulationError
from diffsim.gradients.ensemble import Ensemble
from diffsim.knots import Array, choose_grid, spline_coefficients
from diffsim.optimizers import Optimizer, Update
from diffsim.optimizers.first_potential import begin
from diffsim.simulation import Frames, System
from diffsim.simulation.devices import check_device
from diffsim.targets import RDF
from diffsim.training.aborts import Aborts
from diffsim.training.accepted import Accepted
from diffsim.training.checks import (
    check_accuracy,
    check_gradient,
    check_protocol,
    check_ranges,
    check_species,
    check_systems,
    check_temperatures,
)
from diffsim.training.conclusion import concluding_events
from diffsim.training.fine_bins import with_merged_bins
from diffsim.training.finite_size import at_simulated_size
from diffsim.training.layout import Layout
from diffsim.training.measurement import (
    chaos_event,
    measured,
    noise_event,
    temperature_event,
)
from diffsim.training.pieces import Simulator
from diffsim.training.pool import Pool, SerialPool
from diffsim.training.records import Iteration, Piece, Protocol
from diffsim.training.simulations import Simulations
from diffsim.training.steps import (
    MOST_REJECTED,
    Verdict,
    said_of_rejected,
    said_of_repeated,
    said_of_shortened,
    verdict,
)
from diffsim.training.validation import Validation
from diffsim.training.windows import WindowSimulator, is_of_motion, separate
from diffsim.units import boltzmann

STARTS = ("mie", "hnc", "pmf", "potential")
MOST_FAILURES = 5  # in a row, each after a smaller step


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
        ``"mie"``: from the Mie potential whose fluid has the structure of the targets, or where
        there is none as ``"hnc"``: from the potential of the hypernetted chain approximation,
        fitted to the potential, or where a system has none from that of mean force; ``"pmf"``: from
        that of mean force; ``"potential"``: as it is.
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
        ``"reweighting"``: by the fluctuations of the frames, which see no motion; ``"adjoint"``:
        along windows of the trajectory, from initial states that are held fixed; ``"auto"``: what
        does not move by reweighting, what does by both, which is exact.
    pool
        Who simulates: this process alone by default, or the processes of
        `diffsim.training.run_parallel`.
    aborts
        Simulations of this training that are known to end all processes: they count as failed.

    Raises
    ------
    InputError
        If the systems do not fit the potential or each other, or the optimizer not the potential.
    SimulationError
        If a script has an error.
    """

    def __init__(
        self,
        potential: Any,
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
    ) -> None:
        check_systems(systems, validate_every)
        check_protocol(protocol)
        check_gradient(gradient, optimizer)
        self.optimizer = optimizers.create(optimizer) if isinstance(optimizer, str) else optimizer
        self._temporary = tempfile.TemporaryDirectory() if scratch is None else None
        self.scratch = Path(self._temporary.name) if self._temporary else Path(scratch or "")
        systems, sizes = at_simulated_size(systems, potential, self.scratch)
        systems, merged = with_merged_bins(systems, self.optimizer, float(potential.cutoff))
        given = [s for s in systems if not s.validation]
        systems = separate(systems, gradient, float(potential.cutoff))
        if start not in STARTS:
            raise InputError(f"The start is '{start}'; it must be one of {', '.join(STARTS)}.")
        self.potential = potential
        self.systems = [system for system in systems if not system.validation]
        check_accuracy(accuracy, self.optimizer)
        check_temperatures(potential, self.systems, self.optimizer)
        ranges = check_ranges(given, float(potential.cutoff))
        self.accuracy = accuracy
        self.protocol = protocol or Protocol()
        check_device(self.protocol.device)
        self.seed = seed

        species = tuple(potential.species)
        k_b = boltzmann(potential.units)
        along = gradient == "adjoint"
        self.ensembles = [Ensemble(s, k_b, species, potential.cutoff, along) for s in self.systems]
        ordered = self.systems + [system for system in systems if system.validation]
        simulators = []
        for index, system in enumerate(ordered):
            check_species(system, species)
            kind = WindowSimulator if is_of_motion(system) else Simulator
            alone = replace(self.protocol, replicas=1)
            simulators.append(kind.of(system, index, potential, alone, self.scratch))
        simulators, tested = simulators[: len(self.systems)], simulators[len(self.systems) :]
        pool, aborts = pool or SerialPool(), aborts or {}
        self._simulations = Simulations(simulators, tested, self.protocol, pool, aborts)
        self.validation = Validation(tested, validate_every, pool, len(simulators), aborts)
        self._events = ranges + sizes + merged  # for the next record
        # standard deviation of the potential at the knots, where the optimizer knows it, (P, K);
        # of one that depends on temperature at its reference temperature
        self.uncertainty: Array | None = None
        density = {simulator.system.name: simulator.density for simulator in simulators}
        known = [
            (Ensemble(system, k_b, species, potential.cutoff), density[system.name])
            for system in given
            if any(isinstance(target, RDF) for target in system.targets)
        ]
        if not known and start != "potential":
            self._events.append(
                "No system has a distribution function as a target: the training starts from the "
                "potential as it is."
            )
        first = begin(
            potential, [ensemble for ensemble, _ in known], [density for _, density in known], start
        )
        self._events += first.events
        temperatures = [system.temperature for system in ordered]
        self.grid, self.spline_error = choose_grid(potential, tolerance, temperatures)
        self.optimizer.anchor({name: curve(self.grid) for name, curve in first.anchors.items()})
        self._reached = Accepted(potential, self._simulations, self.ensembles, self.grid)
        self.iteration = 0
        self.latest: Sequence[Frames] = []  # of the accepted piece, per system
        self.newest: Piece | None = None  # the same, or one that was rejected since
        self._failures = 0  # since the newest piece
        self._rejected = 0  # in a row
        self._repeats = False  # whether the next piece is one of the accepted potential again
        self._predicted_decrease: float | None = None  # of the loss, by the last step
        self._chaotic = False
        self.converged = False

    @property
    def layout(self) -> Layout:
        """How the simulations are shared out over processes."""
        return self._simulations.layout

    @property
    def md_steps(self) -> int:
        """MD steps so far, without those of validation systems."""
        return self._simulations.md_steps

    def tell(self, event: str | None) -> None:
        """Add a sentence, if there is one, to the events of the next iteration."""
        if event:
            self._events.append(event)

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
                record = self._validate(record)
                stopped = stop is not None and stop() and not last
            if last:
                record = self._conclude(record)
            yield record
        self.use_best()

    def use_best(self) -> None:
        """Give the potential the best weights: of those that were simulated, and the last ones if
        the frames can tell of them, those of lowest loss."""
        self._reached.use_best()

    @contextmanager
    def at_best(self) -> Iterator[None]:
        """Give the potential its best weights for a while."""
        with self._reached.at_best():
            yield

    @property
    def best(self) -> dict[str, Any]:
        """Weights of lowest loss, as a state_dict."""
        best = self._reached.best
        return best if best is not None else self.potential.state_dict()

    def _iterate(self) -> Iteration:
        began = time.perf_counter()
        idle = self._simulations.seconds_idle
        newest, predicted, retries = self._simulate()
        simulated = time.perf_counter()
        total = sum(system.weight for system in self.systems)
        entries = self._measure(newest)
        value = sum(s.weight * entries[s.name]["loss"] for s in self.systems) / total
        accepted, predicted = self._decide(predicted)
        if accepted:
            self.latest = newest.frames
        pooled = time.perf_counter()
        self._repeats = self._rejected >= MOST_REJECTED
        update = self._no_step() if self._repeats else self._step()
        # a step that was cut short is not small for lack of anything to correct, and what is not
        # known along chaotic windows an optimizer may take for exact
        settled = accepted and not self._chaotic
        reached = noise_event(update.info, self.accuracy) if settled else None
        if reached:
            self.converged = True
            self._events.append(reached)
        updated = time.perf_counter()
        events, self._events = self._events, []
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
            ranks=self.layout.ranks,
            ranks_per_simulation=self.layout.ranks_per_simulation,
            replicas=self.layout.replicas,
            optimizer={"steps": update.steps, **update.info},
            events=events,
            predicted_loss=predicted,
            accepted=accepted,
            validation_md_steps=self.validation.md_steps,
        )

    def _decide(self, predicted: float | None) -> tuple[bool, float | None]:
        """Accept the newest piece of simulation, or undo the step that led to it.

        Parameters
        ----------
        predicted
            Its loss by reweighting, if that is known.

        Returns
        -------
        Whether it was accepted, and the loss that was predicted, if any was.
        """
        change, last = self._reached.change(), self._reached.iteration
        if change is None or last is None:
            self._reached.accept(self.iteration, self.optimizer)
            return True, None
        decrease = self._predicted_decrease
        if predicted is None and decrease is not None:
            predicted = change.predicted(decrease)
        if self._repeats:
            if change.is_rise:
                self._events.append(said_of_repeated(change, last))
            self._rejected = 0
            self._reached.accept(self.iteration, self.optimizer, keep_atoms=change.is_rise)
            return True, predicted
        found = verdict(change.rise, change.error, decrease)
        if found is Verdict.UNDO:
            self._rejected += 1
            again = self._rejected == MOST_REJECTED
            self._events.append(said_of_rejected(change, predicted, last, again))
            self._reached.reject(self.optimizer)
            return False, predicted
        if found is Verdict.SHORTEN and decrease is not None:
            self._events.append(said_of_shortened(change, decrease))
            self.optimizer.retreat()
        elif found is Verdict.HOLD:
            self.optimizer.hold()
        self._rejected = 0
        self._reached.accept(self.iteration, self.optimizer)
        return True, predicted

    def _simulate(self) -> tuple[Piece, float | None, float]:
        """Simulate all systems, and add their frames to the ensembles.

        Where that fails, take the last step back, take a smaller one and try again.

        Returns
        -------
        newest, predicted, seconds
            What was simulated at last; its loss as reweighting foresees it; wall time of the
            smaller steps.
        """
        number = self.iteration + 1
        seconds, failures = 0.0, 0
        while True:
            try:
                values = self._reached.values()
                coefficients = [spline_coefficients(energies) for energies in values]
                predicted = self._reached.pooled_loss(coefficients) if self.latest else None
                seed = (self.seed, number, self._failures)
                frames = self._simulations.run(self.grid, values, seed, self.optimizer.frames)
                break
            except (SimulationError, ModelError) as error:
                if self._reached.iteration is None:
                    raise
                failures += 1
                began = time.perf_counter()
                self._retreat()
                self._events.append(
                    "The last step was taken back and made smaller, as a simulation failed "
                    f"({failures} of at most {MOST_FAILURES} times in a row): {_cause(error)}"
                )
                self._step()
                seconds += time.perf_counter() - began
                if failures == MOST_FAILURES:
                    raise SimulationError(
                        f"Iteration {number} was given up after {failures} simulations in a row "
                        f"that failed, each after a smaller step; the last one so: {error}"
                    ) from None
        self.iteration = number
        self._failures = 0
        self.newest = Piece(frames, coefficients)
        self._add(self.newest)
        return self.newest, predicted, seconds

    def _add(self, piece: Piece) -> None:
        for ensemble, frames, c in zip(
            self.ensembles, piece.frames, piece.coefficients, strict=True
        ):
            ensemble.add(frames, c)

    def _retreat(self) -> None:
        """Put weights, optimizer and atoms back to before the last step; ask for smaller ones."""
        self._failures += 1
        self._repeats = False
        self._reached.go_back(self.optimizer)

    def _step(self) -> Update:
        """Update the potential and judge it; make a step to infinite energies smaller."""
        for _ in range(MOST_FAILURES):
            try:
                update = self.optimizer.update(self.potential, self.grid, self.ensembles)
                self._reached.judge_unsimulated()
                self.uncertainty = update.uncertainty
                self._predicted_decrease = update.predicted_decrease
                return update
            except (SimulationError, ModelError) as error:
                self._retreat()
                self._events.append(f"A step was taken back and made smaller: {error}")
        return self._no_step()

    def _no_step(self) -> Update:
        """Leave the potential as it is."""
        self._predicted_decrease = None
        return Update(0, 0.0)

    def _measure(self, newest: Piece) -> dict[str, dict[str, Any]]:
        result = {}
        self._chaotic = False
        for ensemble, frames, c, seconds in zip(
            self.ensembles,
            newest.frames,
            newest.coefficients,
            self._simulations.seconds,
            strict=True,
        ):
            system = ensemble.system
            entry = measured(ensemble, frames)
            present = ensemble.weighted(c)
            entry["ess"] = present.sample_size
            entry["seconds"] = seconds
            result[system.name] = entry
            self.tell(temperature_event(system, frames))
            self.tell(chaos := chaos_event(ensemble, present.weights))
            self._chaotic |= chaos is not None
        return result

    def _validate(self, record: Iteration) -> Iteration:
        """Simulate the validation systems with the best weights, and add what they say."""
        with self.at_best():
            entries, events = self.validation.run(
                self.potential, self.grid, self.seed, self.iteration
            )
        return replace(
            record,
            validation=entries,
            validation_md_steps=self.validation.md_steps,
            events=record.events + events,
        )

    def _conclude(self, record: Iteration) -> Iteration:
        """Add what is to be said of the end of a training."""
        with self.at_best():
            events = concluding_events(
                self.potential,
                self.grid,
                self.systems,
                self.latest,
                record.systems,
                self._simulations.densities,
            )
        return replace(record, events=record.events + events)

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs, except the stored frames."""
        return {
            "iteration": self.iteration,
            **self._simulations.state_dict(),
            "potential": self.potential.state_dict(),
            **self._reached.state_dict(),
            "accepted": self._reached.iteration,
            "failures": self._failures,
            "rejected": self._rejected,
            "repeats": self._repeats,
            "predicted_decrease": self._predicted_decrease,
            "events": list(self._events),
            "uncertainty": self.uncertainty,
            "converged": self.converged,
            "accuracy": self.accuracy,
            "optimizer": self.optimizer.state_dict(),
            "grid": self.grid,
            "tolerances": [ensemble.tolerance for ensemble in self.ensembles],
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
        for known, what in (
            (all(isinstance(replicas, list) for replicas in state["states"]), "replicas"),
            ("accepted" in state, "steps that are undone"),
        ):
            if not known:
                raise InputError(
                    "The checkpoint is that of an earlier version of diffsim, which knew no "
                    f"{what}. Finish the run with that version, or start a new one from its "
                    "model.pt."
                )
        self.iteration = state["iteration"]
        self._simulations.load_state_dict(state)
        self.potential.load_state_dict(state["potential"])
        self._failures = state["failures"]
        self._rejected, self._repeats = state["rejected"], state["repeats"]
        self._predicted_decrease = state["predicted_decrease"]
        self._events = list(state["events"])
        self.uncertainty = state["uncertainty"]
        # to another accuracy it may not be
        self.converged = state["converged"] and state["accuracy"] == self.accuracy
        self.optimizer.load_state_dict(state["optimizer"])
        self.grid = self._reached.grid = state["grid"]
        for ensemble, tolerance in zip(self.ensembles, state["tolerances"], strict=True):
            ensemble.tolerance = tolerance
        self.validation.load_state_dict(state["validation"])
        first = self.iteration - len(pieces) + 1
        for number, (frames, coefficients) in enumerate(pieces, first):
            self.newest = Piece(frames, coefficients)
            self._add(self.newest)
            if number <= state["accepted"]:
                self.latest = frames
            else:
                for ensemble in self.ensembles:
                    ensemble.take_back()
        self._reached.load_state_dict(state)


def _cause(error: Exception) -> str:
    """The text of an error without the log, which the next simulation overwrites."""
    return str(error).split(" The log is ")[0]
