"""The training loop: simulate, add to the ensembles, update the potential."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from diffsim import optimizers
from diffsim.errors import InputError, SimulationError
from diffsim.gradients.ensemble import Ensemble, Weighted
from diffsim.gradients.loss import loss
from diffsim.knots import choose_grid, core_knots, knot_values, spline_coefficients
from diffsim.optimizers import Optimizer
from diffsim.optimizers.start import fit_mean_force
from diffsim.simulation import Frames, Recording, System, inspect, rdf_bins, simulate
from diffsim.units import boltzmann

JUDGED = 0.5  # frames of the latest piece that must be effective for a loss to be trusted
TEMPERATURE_TOLERANCE = 0.05  # of the kinetic temperature, relative


@dataclass(frozen=True)
class Protocol:
    """Lengths in MD steps.

    Attributes
    ----------
    steps
        Sampled in every iteration; a multiple of `every`.
    every
        Steps between frames.
    equilibration
        Not sampled, before the first iteration.
    relaxation
        Not sampled, at the start of every later iteration.
    """

    steps: int = 2500
    every: int = 20
    equilibration: int = 2000
    relaxation: int = 250

    def __post_init__(self) -> None:
        for name in ("steps", "every", "equilibration", "relaxation"):
            lowest = 1 if name in ("steps", "every") else 0
            if getattr(self, name) < lowest:
                raise InputError(
                    f"The number of MD steps '{name}' is {getattr(self, name)}; it must be at "
                    f"least {lowest}."
                )
        if self.steps % self.every or self.steps < 2 * self.every:
            raise InputError(
                f"An iteration of {self.steps} steps with a frame every {self.every} steps does "
                "not end on a frame or has fewer than two frames; make 'steps' a larger multiple "
                "of 'every'."
            )


@dataclass(frozen=True)
class Iteration:
    """What an iteration measured, of the potential that it simulated.

    Attributes
    ----------
    iteration
        From 1.
    loss
        Mean over systems of the weighted mean square deviation from the targets, of these frames.
    systems
        Per system: loss, rdf_mse (mean square deviation of each target's g(r), unweighted), ess
        (effective number of all stored frames under this potential), pressure, temperature.
    ess
        Smallest of the systems'.
    md_steps
        Of all systems and iterations so far, equilibration counted.
    seconds_simulation, seconds_gradient, seconds_update
        Wall time: in LAMMPS; from frames to gradient or linear response; fitting weights.
    optimizer
        Number of steps, and further numbers of the optimizer.
    events
        Sentences about what the user should know.
    """

    iteration: int
    loss: float
    systems: dict[str, dict[str, Any]]
    ess: float
    md_steps: int
    seconds_simulation: float
    seconds_gradient: float
    seconds_update: float
    optimizer: dict[str, float] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)


class Trainer:
    """Learns one potential from any number of systems.

    Parameters
    ----------
    potential
        A `torch.nn.Module` that keeps the model contract; changed in place.
    systems
        State points with targets.
    optimizer
        ``"gauss-newton"``, the name of a class of torch.optim, or an object of `optimizers`.
    protocol
        Lengths of the simulations.
    start
        ``"pmf"``: from the potential of mean force, fitted to the potential; ``"potential"``: as
        it is.
    tolerance
        Of the simulated spline against the potential, relative, as in ``pair_style diffsim``. The
        gradient is that of the spline itself, whatever the tolerance.
    seed
        Of all random numbers.
    scratch
        Folder for LAMMPS's files; a temporary one by default.

    Raises
    ------
    InputError
        If the systems do not fit the potential or each other.
    SimulationError
        If a script has an error.
    """

    def __init__(
        self,
        potential: Any,
        systems: Sequence[System],
        optimizer: str | Optimizer = "gauss-newton",
        protocol: Protocol | None = None,
        start: str = "pmf",
        tolerance: float = 1e-4,
        seed: int = 1,
        scratch: Path | None = None,
    ) -> None:
        if not systems:
            raise InputError("A training needs at least one system.")
        names = [system.name for system in systems]
        if len(set(names)) != len(names):
            raise InputError(
                f"The names of the systems ({', '.join(names)}) are not unique; name them apart."
            )
        if start not in ("pmf", "potential"):
            raise InputError(f"The start is '{start}'; it must be 'pmf' or 'potential'.")
        self.potential = potential
        self.systems = list(systems)
        self.optimizer = optimizers.create(optimizer) if isinstance(optimizer, str) else optimizer
        self.protocol = protocol or Protocol()
        self.seed = seed
        self._temporary = tempfile.TemporaryDirectory() if scratch is None else None
        self.scratch = Path(self._temporary.name) if self._temporary else Path(scratch or "")

        species = tuple(potential.species)
        k_b = boltzmann(potential.units)
        self.ensembles = [Ensemble(s, k_b, species, potential.cutoff) for s in self.systems]
        self._bins = []
        for system in self.systems:
            self._check_species(system)
            box = inspect(system, potential.units, system.types or species, self._log(system))
            self._bins.append(rdf_bins(system, potential.cutoff, box))
        if start == "pmf":
            fit_mean_force(potential, self.ensembles)
        self.grid, self.spline_error = choose_grid(potential, tolerance)
        self.states: list[str | None] = [None] * len(self.systems)
        self.iteration = 0
        self.md_steps = 0
        self.latest: list[Frames] = []
        self._best: dict[str, Any] | None = None

    def fit(
        self, iterations: int, after: Callable[[Iteration], None] | None = None
    ) -> list[Iteration]:
        """Run iterations; afterwards the potential has the best weights found.

        Parameters
        ----------
        iterations
            How many further iterations.
        after
            Called after each iteration with what it measured.

        Returns
        -------
        What each iteration measured.

        Raises
        ------
        SimulationError
            If LAMMPS stops.
        """
        records = []
        for _ in range(iterations):
            record = self._iterate()
            records.append(record)
            if after:
                after(record)
        self.use_best()
        return records

    def use_best(self) -> None:
        """Give the potential the weights of lowest loss among those that frames can judge."""
        if self._best is not None:
            self.potential.load_state_dict(self._best)

    @property
    def best(self) -> dict[str, Any]:
        """Weights of lowest loss, as a state_dict."""
        return self._best if self._best is not None else self.potential.state_dict()

    def _iterate(self) -> Iteration:
        self.iteration += 1
        values = knot_values(self.potential, self.grid).detach().numpy()
        coefficients = spline_coefficients(values)
        knots = core_knots(self.grid, values)
        began = time.perf_counter()
        self.latest = [self._simulate(index, knots) for index in range(len(self.systems))]
        simulated = time.perf_counter()
        for ensemble, frames in zip(self.ensembles, self.latest, strict=True):
            ensemble.add(frames, coefficients)
        measured, events = self._measure(coefficients)
        self._judge()
        pooled = time.perf_counter()
        update = self.optimizer.update(self.potential, self.grid, self.ensembles)
        updated = time.perf_counter()
        self._judge()
        total = sum(system.weight for system in self.systems)
        return Iteration(
            iteration=self.iteration,
            loss=sum(s.weight * measured[s.name]["loss"] for s in self.systems) / total,
            systems=measured,
            ess=min(entry["ess"] for entry in measured.values()),
            md_steps=self.md_steps,
            seconds_simulation=simulated - began,
            seconds_gradient=pooled - simulated + update.seconds_gradient,
            seconds_update=updated - pooled - update.seconds_gradient,
            optimizer={"steps": update.steps, **update.info},
            events=events,
        )

    def _simulate(self, index: int, knots: Any) -> Frames:
        system, state = self.systems[index], self.states[index]
        bins, reach = self._bins[index]
        protocol = self.protocol
        relaxation = protocol.equilibration if state is None else protocol.relaxation
        recording = Recording(
            relaxation, protocol.steps, protocol.every, bins, reach, system.intermolecular
        )
        # a new, reproducible seed for every piece of simulation; LAMMPS wants a positive int
        sequence = np.random.SeedSequence([self.seed, self.iteration, index])
        seed = int(sequence.generate_state(1)[0] % 900_000_000) + 1
        frames, self.states[index] = simulate(system, knots, recording, seed, state, self.scratch)
        if not np.all(np.isfinite(frames.energy)):
            raise SimulationError(
                f"The energy of system '{system.name}' is not finite in iteration "
                f"{self.iteration}: its simulation is unstable. Use a smaller time step or a "
                f"smaller trust region. The log is {self._log(system)}."
            )
        self.md_steps += relaxation + protocol.steps
        return frames

    def _measure(self, coefficients: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
        measured: dict[str, dict[str, Any]] = {}
        events = []
        for system, ensemble, frames in zip(self.systems, self.ensembles, self.latest, strict=True):
            latest = ensemble.observables[-len(frames) :].mean(axis=0)
            state = Weighted(np.full(len(frames), 1.0 / len(frames)), len(frames), latest)
            deviation = (state.observables - ensemble.target) ** 2
            ends = np.cumsum([len(target.g) for target in system.targets])[:-1]
            temperature = float(frames.temperature.mean())
            measured[system.name] = {
                "loss": loss(ensemble, state)[0],
                "rdf_mse": [float(part.mean()) for part in np.split(deviation, ends)],
                "ess": ensemble.weighted(coefficients).sample_size,
                "pressure": float(frames.pressure.mean()),
                "temperature": temperature,
            }
            if abs(temperature / system.temperature - 1.0) > TEMPERATURE_TOLERANCE:
                events.append(
                    f"The kinetic temperature of system '{system.name}' was {temperature:.4g} on "
                    f"average, but its temperature is given as {system.temperature:.4g}. If it "
                    "does not settle, the thermostat of the script holds another one, and the "
                    "gradient is wrong."
                )
        return measured, events

    def _judge(self) -> None:
        """Keep the present weights if all frames say that they are the best so far."""
        present = copy.deepcopy(self.potential.state_dict())
        value = self._pooled_loss()
        if value is None:
            return
        if self._best is not None:
            self.potential.load_state_dict(self._best)
            best = self._pooled_loss()
            self.potential.load_state_dict(present)
            if best is not None and best <= value:
                return
        self._best = present

    def _pooled_loss(self) -> float | None:
        """Loss of the present weights over all stored frames; None where too few are effective."""
        coefficients = spline_coefficients(knot_values(self.potential, self.grid).detach().numpy())
        total = 0.0
        for ensemble in self.ensembles:
            state = ensemble.weighted(coefficients)
            if state.sample_size < JUDGED * ensemble.latest_length:
                return None
            total += ensemble.system.weight * loss(ensemble, state)[0]
        return total

    def _check_species(self, system: System) -> None:
        known = list(self.potential.species)
        errors = [target.error is None for target in system.targets]
        if any(errors) and not all(errors):
            raise InputError(
                f"Some targets of system '{system.name}' have error bars and some have none, so "
                "that they cannot be weighed against each other. Give errors to all or to none."
            )
        for name in system.types or []:
            if name == "NULL":
                raise InputError(
                    f"System '{system.name}' leaves a type out of the potential (NULL), but "
                    "this version "
                    "cannot give its pairs another potential. Name a species for every type."
                )
            if name not in known:
                raise InputError(
                    f"System '{system.name}' has the species {name} among its types, but the "
                    f"potential has {', '.join(known)}."
                )
        for target in system.targets:
            for name in target.pair:
                if name not in known:
                    raise InputError(
                        f"A target of system '{system.name}' is for the pair "
                        f"{'-'.join(target.pair)}, but the potential has the species "
                        f"{', '.join(known)}."
                    )

    def _log(self, system: System) -> Path:
        return self.scratch / f"{system.name}.log"

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs, except the stored frames."""
        return {
            "iteration": self.iteration,
            "md_steps": self.md_steps,
            "potential": self.potential.state_dict(),
            "best": self._best,
            "optimizer": self.optimizer.state_dict(),
            "grid": self.grid,
            "states": list(self.states),
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
            For every iteration so far: the frames of each system, and the coefficients of the
            spline (P, K + 2) that they were simulated with.
        """
        self.iteration = state["iteration"]
        self.md_steps = state["md_steps"]
        self.potential.load_state_dict(state["potential"])
        self._best = state["best"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.grid = state["grid"]
        self.states = list(state["states"])
        for frames, coefficients in pieces:
            self.latest = list(frames)
            for ensemble, piece in zip(self.ensembles, frames, strict=True):
                ensemble.add(piece, coefficients)
