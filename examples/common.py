"""What the examples share: targets from fluids of known potential, and errors against the truth.

The scripts of an example import it from the folder above their own.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import diffsim
from diffsim import _core
from diffsim.config.schema import Config, SystemConfig, load_config
from diffsim.knots import choose_grid, core_knots, knot_values
from diffsim.records.frames import by_species
from diffsim.simulation import Frames, Recording, System, lammps_instance, simulate
from diffsim.species import species_pairs
from diffsim.statistics.time_series import standard_error
from diffsim.targets import RDF, write_rdf

Array = NDArray[np.float64]
Truth = Callable[[Array, int, int], Array]
"""The known potential: (distances, species, species) -> energies, zero from the cutoff on."""

WIDTH, RANGE = 0.02, 4.0  # of the bins of every g(r), and of most of them
EQUILIBRATION, EVERY = 20_000, 50  # of a target's run, in MD steps
TIMESTEP = 0.005  # of runs for targets and comparisons, shorter than that of a training
FRESH_RELAXATION, FRESH_STEPS, FRESH_EVERY = 6000, 40_000, 40  # of a simulation for comparison
SEEN = 0.1  # of g: a fluid tells of the potential where it has pairs
POINTS = 1000  # where the potentials are compared

# ---- targets -------------------------------------------------------------------------------------


def simulate_truth(
    script: Path,
    variables: Mapping[str, Any],
    commands: Sequence[str],
    species: int,
    steps: int,
    reach: float = RANGE,
    options: str = "",
) -> Frames:
    """Frames of a long run with the known potential.

    Parameters
    ----------
    script
        LAMMPS script without a pair style.
    variables
        Those of the script, temperature and seed among them.
    commands
        LAMMPS commands that set the pair style.
    species
        Number of species; type i is species i - 1.
    steps
        MD steps; 20,000 more come before.
    reach
        Range of g(r), in bins of 0.02.
    options
        Further words of ``fix diffsim/counts``.
    """
    counts = f"{EVERY} rdf {round(reach / WIDTH)} {reach} {options}"
    with lammps_instance(None, {**variables, "timestep": TIMESTEP}) as lammps:
        lammps.file(str(script))
        lammps.commands_list(
            [
                *commands,
                f"run {EQUILIBRATION}",
                f"fix counts all diffsim/counts {counts}",
                f"run {steps}",
            ]
        )
        recorded = _core.take_frames(lammps.lmp.value, "counts")
    return by_species(recorded, range(species), species)


def write_target(path: Path, frames: Frames, pair: int, comments: Sequence[str]) -> None:
    """Write g(r) of a pair of species with its standard errors, the size of the box and, in a
    comment, the pressure."""
    g = frames.rdf(pair)
    pressure, error = frames.pressure.mean(), float(standard_error(frames.pressure))
    write_rdf(
        path,
        0.5 * (frames.edges[:-1] + frames.edges[1:]),
        g.mean(axis=0),
        standard_error(g),
        comments=[*comments, f"pressure of that run: {pressure:.4f} +- {error:.4f}"],
        atoms=int(frames.atoms.sum()),
        norm="N-1",
    )


def recorded_pressure(path: Path) -> tuple[float, float]:
    """Pressure of the run that made a target, and its standard error."""
    found = re.search(r"pressure of that run: (\S+) \+- (\S+)", path.read_text())
    if found is None:
        raise ValueError(f"{path} does not say the pressure of its run; make it again.")
    return float(found[1]), float(found[2])


# ---- a finished training -------------------------------------------------------------------------


class Run:
    """The folder of a finished training.

    Attributes
    ----------
    config
        Its configuration.
    potential
        The learned potential.
    metrics
        A record for each iteration.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: Config = load_config(folder / "config.yaml")
        self.potential = diffsim.potentials.load(folder / "model.pt")
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        self.metrics: list[dict[str, Any]] = [json.loads(line) for line in lines]

    @property
    def name(self) -> str:
        """That of the folder."""
        return self.folder.resolve().name

    @property
    def md_steps(self) -> int:
        """Of the whole training."""
        return int(self.metrics[-1]["md_steps"])

    @property
    def numbers(self) -> dict[str, float]:
        """Of the optimizer, as they are said of the best potential."""
        found: dict[str, float] = json.loads((self.folder / "outcome.json").read_text())["numbers"]
        return found

    @property
    def uncertainty(self) -> float | None:
        """Standard deviation of the potential that the training reports, if any."""
        found = self.numbers.get("uncertainty")
        return None if found is None else float(found)

    def energies(self, r: Array, a: int, b: int) -> Array:
        """Learned energies at distances r (n,) for two species."""
        types = torch.zeros(len(r), dtype=torch.int64)
        with torch.no_grad():
            return np.asarray(self.potential(torch.tensor(r), types + a, types + b))

    def seen(self, pair: int) -> tuple[float, float]:
        """From where the targets of a pair of species exceed 0.1, to the cutoff."""
        a, b = species_pairs(len(self.potential.species))[pair]
        names = {self.potential.species[a], self.potential.species[b]}
        targets = [
            target
            for system in self.config.systems
            if not system.validation
            for target in rdfs(system)
            if set(target.pair) == names
        ]
        inner = min(float(target.r[np.argmax(target.g > SEEN)]) for target in targets)
        return inner, float(self.potential.cutoff)

    def fresh(self, system: SystemConfig, reach: float | None = None, **variables: float) -> Frames:
        """Frames of a new simulation of one of the systems with the learned potential.

        Its g(r) is that of the first target's bins, or of those that end at `reach`, where the
        target goes beyond half of the box.  Variables of the script may be set beside those of the
        system.
        """
        grid, _ = choose_grid(self.potential, 1e-4)
        targets = [target if reach is None else target.within(reach) for target in rdfs(system)]
        described = System(
            script=system.script,
            temperature=system.temperature,
            targets=targets,
            name=system.name,
            types=system.types,
            variables={**system.variables, **variables},
            intermolecular=system.intermolecular,
        )
        recording = Recording(
            FRESH_RELAXATION,
            FRESH_STEPS,
            FRESH_EVERY,
            rdf_bins=len(targets[0].r),
            rdf_range=float(targets[0].edges[-1]),
            intermolecular=system.intermolecular,
        )
        with tempfile.TemporaryDirectory() as scratch:
            frames, _ = simulate(
                described,
                core_knots(grid, knot_values(self.potential, grid).detach().numpy()),
                recording,
                seed=987 + self.config.seed,
                start=None,
                scratch=Path(scratch),
            )
        return frames


def rdfs(system: SystemConfig) -> list[RDF]:
    """The distribution functions among the targets of a system."""
    return [target.load() for target in system.targets if target.rdf is not None]


def rdf_file(system: SystemConfig) -> Path:
    """The file of the first of them."""
    return next(target.rdf for target in system.targets if target.rdf is not None)


# ---- errors --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """g(r) of a fresh simulation beside the truth's.

    Attributes
    ----------
    system, validation
        Name of the system, and whether it was left out of the training.
    target
        The truth's g(r).
    g, error
        That of the simulation in the target's bins, and its standard errors.
    """

    system: str
    validation: bool
    target: RDF
    g: Array
    error: Array

    @property
    def noise(self) -> Array:
        """Standard errors of the difference of the two curves."""
        known = self.target.error if self.target.error is not None else 0.0
        return np.asarray(np.hypot(self.error, known))

    @property
    def ratio(self) -> float:
        """Mean squared difference over that of the noise: one where nothing but noise is left."""
        return float(np.mean((self.g - self.target.g) ** 2) / np.mean(self.noise**2))


@dataclass(frozen=True)
class Case:
    """Errors of one learned pair potential: a row of the table.

    Attributes
    ----------
    name
        Of the run, and of the pair where the run has several.
    rms, largest
        Errors of the potential in `interval`, in energy units.
    uncertainty
        What the training says of the rms error, of all pairs where g > 0.1; None if the optimizer
        does not know.
    pressure
        Deviation in fresh simulations from the truth's; of all systems, the largest one.
    held_out
        `Curve.ratio` of the pair in the systems that were not trained on, the largest; None
        without such systems.
    md_steps
        Of the training.
    goals
        Upper bounds of these numbers by their names.
    """

    name: str
    rms: float
    largest: float
    uncertainty: float | None
    pressure: float
    held_out: float | None
    md_steps: int
    interval: tuple[float, float]
    goals: Mapping[str, float] = field(default_factory=dict)

    def missed(self, key: str) -> bool:
        """Whether a number is known and above its goal."""
        value = getattr(self, key)
        return key in self.goals and value is not None and abs(value) > self.goals[key]


def compare(
    run: Run,
    truth: Truth,
    goals: Mapping[str, float],
    interval: tuple[float, float] | None = None,
) -> tuple[list[Case], list[Curve]]:
    """Errors of a run's potential, of its pressures and of its g(r) in fresh simulations.

    Parameters
    ----------
    run
        A finished training.
    truth
        The potential that the targets came from.
    goals
        Upper bounds of the errors; see `Case`.
    interval
        Where potentials are compared; by default `Run.seen` of each pair.

    Returns
    -------
    cases, curves
        Per pair of species; per target of every system.
    """
    curves, deviations = [], []
    for system in run.config.systems:
        print(f"{run.name}: simulating {system.name}", file=sys.stderr)
        frames = run.fresh(system, timestep=TIMESTEP)
        true_pressure, _ = recorded_pressure(rdf_file(system))
        deviations.append(float(frames.pressure.mean()) - true_pressure)
        for target in rdfs(system):
            g = target.observe(frames, run.potential.species)
            curves.append(
                Curve(system.name, system.validation, target, g.mean(axis=0), standard_error(g))
            )
    species = run.potential.species
    pairs = species_pairs(len(species))
    cases = []
    for index, (a, b) in enumerate(pairs):
        low, high = run.seen(index) if interval is None else interval
        r = np.linspace(low, high, POINTS)
        error = run.energies(r, a, b) - truth(r, a, b)
        held_out = [
            curve.ratio
            for curve in curves
            if curve.validation and set(curve.target.pair) == {species[a], species[b]}
        ]
        pair = "" if len(pairs) == 1 else f" {species[a]}-{species[b]}"
        cases.append(
            Case(
                name=run.name + pair,
                rms=float(np.sqrt(np.mean(error**2))),
                largest=float(np.abs(error).max()),
                uncertainty=run.uncertainty,
                pressure=max(deviations, key=abs),
                held_out=max(held_out, default=None),
                md_steps=run.md_steps,
                interval=(low, high),
                goals=goals,
            )
        )
    write_cases(run.folder, cases)
    return cases, curves


def write_cases(folder: Path, cases: Sequence[Case]) -> None:
    """Write comparison.json, which ``benchmarks/accuracy.py`` reads."""
    text = json.dumps([asdict(case) for case in cases], indent=1)
    (folder / "comparison.json").write_text(text + "\n")


def print_cases(cases: Sequence[Case]) -> bool:
    """Print the table of errors, ``!`` where a goal is missed; whether all are met."""
    width = max(len(case.name) for case in cases)
    head = ("rms", "largest", "pressure", "held-out g(r)", "MD steps")
    print(" " * width + "".join(f"{name:>15}" for name in head))
    for case in cases:
        values = {
            "rms": f"{case.rms:.4f}",
            "largest": f"{case.largest:.4f}",
            "pressure": f"{case.pressure:+.3f}",
            "held_out": "-" if case.held_out is None else f"{case.held_out:.2f}",
            "md_steps": str(case.md_steps),
        }
        cells = (text + ("!" if case.missed(key) else " ") for key, text in values.items())
        print(f"{case.name:{width}}" + "".join(f"{cell:>15}" for cell in cells))
    print(
        "Errors of the potential in energy units; pressure: off by, in the worst system; g(r): mean"
        "\nsquared error over that of the noise, in systems not trained on; !: more than the goal."
    )
    return not any(case.missed(key) for case in cases for key in case.goals)
