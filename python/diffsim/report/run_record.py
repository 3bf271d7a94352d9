"""What a run has said so far, as numbers and arrays: all that a report shows."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing

from diffsim import potentials
from diffsim.arrays import Array
from diffsim.config.schema import Config, load_config
from diffsim.config.systems import as_trained, load_systems
from diffsim.config.yaml_file import read_yaml
from diffsim.errors import InputError
from diffsim.knots import Grid, numpy_model
from diffsim.potentials.model import Model
from diffsim.report.run_files import (
    check_run_folder,
    read_checkpoint,
    read_conclusion,
    read_latest_frames,
    read_metrics,
    read_outcome,
)
from diffsim.report.system_record import SystemRecord, averages_of_frames, system_record
from diffsim.simulation import Frames, System
from diffsim.species import species_pairs
from diffsim.training.outcome import Outcome
from diffsim.training.windows import separate

SEEN = 0.1  # of g: where the uncertainty of the potential is reported, as in the metrics
GAP = 0.1  # of the distances of a potential: shorter ones without pairs are scatter
POINTS = 400  # of a potential

SECONDS = ("simulation", "idle", "gradient", "update")
"""What the wall time of an iteration is made of, here without overlap."""

PROCESSES = ("ranks", "ranks_per_simulation", "replicas")


@dataclass(frozen=True)
class PairCurve:
    """The potential of one pair of species.

    Attributes
    ----------
    pair
        Names of the species.
    r, u
        Distances and energies, shape (n,).
    seen
        Where g(r) of a system that is trained on is above 0.1 in the latest frames, shape (n,).
    error
        Standard deviation of u that the frames leave, shape (n,); None where it is not known.
    at_temperatures
        u at the temperatures of the systems, if it depends on temperature; then `u` and `error` are
        those of the reference temperature.
    """

    pair: tuple[str, str]
    r: Array
    u: Array
    seen: NDArray[np.bool_]
    error: Array | None
    at_temperatures: Mapping[float, Array]


@dataclass(frozen=True)
class RunRecord:
    """A run, finished or not.

    Attributes
    ----------
    name
        Of the folder.
    path
        The folder.
    config
        The configuration of the run.
    settings
        The same as plain mappings and lists.
    converged
        Whether the accuracy that was asked for is reached.
    written
        When the last iteration was written.
    iterations, loss, predicted_loss, ess, md_steps
        Of every iteration, shape (N,); NaN where no loss was predicted.
    kept
        Place of the last iteration whose step was not undone.
    seconds
        Wall time of every iteration (N,) in LAMMPS, idle, for the gradient and for the update.
    processes
        Of the last iteration: ``ranks``, ``ranks_per_simulation`` and ``replicas``, as far as the
        metrics say them.
    optimizer
        Numbers of the optimizer after every iteration, shape (N,); NaN where there is none.
    validation_md_steps
        Of all validation systems.
    conclusion
        Sentences on what the run leaves open.
    outcome
        The best potential and its numbers; None of runs of earlier versions.
    events
        Iterations and sentences, in order.
    systems
        Those that are trained on, then those for validation.
    potential
        The best potential so far, a curve for each pair; empty where no model is written yet.
    """

    name: str
    path: Path
    config: Config
    settings: Mapping[str, Any]
    converged: bool
    written: datetime.datetime
    iterations: Array
    loss: Array
    predicted_loss: Array
    ess: Array
    md_steps: Array
    kept: int
    seconds: Mapping[str, Array]
    processes: Mapping[str, int]
    optimizer: Mapping[str, Array]
    validation_md_steps: int
    events: Sequence[tuple[int, str]]
    conclusion: Sequence[str]
    outcome: Outcome | None
    systems: Sequence[SystemRecord]
    potential: Sequence[PairCurve]

    def number(self, name: str) -> float | None:
        """A number of the optimizer that is said of the best potential, if there is one.

        Of a run of an earlier version, the last one.
        """
        if self.outcome is not None:
            return self.outcome.numbers.get(name)
        return float(self.optimizer[name][-1]) if name in self.optimizer else None

    @property
    def state(self) -> str:
        """Whether it is ``converged``, ``finished``, or still ``under way`` (or stopped)."""
        if self.converged:
            return "converged"
        return "finished" if self.iterations[-1] >= self.config.iterations else "under way"

    @property
    def wall_time(self) -> float:
        """Seconds of all iterations together, without start-up and validation."""
        return float(sum(np.sum(part) for part in self.seconds.values()))


def read_run(path: Path) -> RunRecord:
    """Read the folder of a run, which may be under way.

    A run writes the metrics of an iteration before its frames, these before the checkpoint and the
    model: what is not there yet is left out, or that of the iteration before.

    Parameters
    ----------
    path
        The folder.

    Raises
    ------
    InputError
        If it is not the folder of a run, no iteration has finished, or a file cannot be read.
    ModelError
        If model.pt cannot be read.
    """
    check_run_folder(path)
    try:
        config = load_config(path / "config.yaml")
        given = load_systems(config)
    except InputError as error:
        if "there is no file" not in str(error):
            raise
        raise InputError(
            f"{error} A run that was copied needs its scripts and targets where {path}/config.yaml "
            "says: copy them too, or change the paths."
        ) from None
    checkpoint = read_checkpoint(path) or {}
    records = read_metrics(path)
    species, cutoff = _species_and_cutoff(config)
    systems = separate(as_trained(given, config, cutoff), config.gradient, cutoff)
    lengths = checkpoint.get("lengths", {})
    trained = [
        _compared(system, lengths.get(system.name)) for system in systems if not system.validation
    ]
    tests = [system for system in systems if system.validation]
    # runs of earlier versions kept every piece
    kept = [n for n, record in enumerate(records) if record.get("accepted", True)][-1]
    found = read_latest_frames(path, len(trained), int(records[kept]["iteration"]))
    number, frames = (None, []) if found is None else found
    averages = checkpoint.get("validation", {}).get("averages", {})
    described = [
        system_record(
            system,
            [(record["iteration"], record["systems"]) for record in records],
            averages_of_frames(system, frames[index], species) if frames else None,
            number,
        )
        for index, system in enumerate(trained)
    ]
    described += [
        system_record(
            system,
            [(record["iteration"], record.get("validation", {})) for record in records],
            [(values, None) for values in averages[system.name]]
            if system.name in averages
            else None,
            None,
        )
        for system in tests
    ]
    return RunRecord(
        name=path.resolve().name,
        path=path,
        config=config,
        settings=read_yaml(path / "config.yaml"),
        converged=bool(checkpoint.get("converged", False)),
        written=datetime.datetime.fromtimestamp(
            (path / "metrics.jsonl").stat().st_mtime, tz=datetime.timezone.utc
        ),
        iterations=_history(records, "iteration"),
        loss=_history(records, "loss"),
        predicted_loss=_history(records, "predicted_loss"),
        ess=_history(records, "ess"),
        md_steps=_history(records, "md_steps"),
        kept=kept,
        seconds=_seconds(records),
        processes={key: int(records[-1][key]) for key in PROCESSES if key in records[-1]},
        optimizer=_optimizer(records),
        validation_md_steps=int(records[-1].get("validation_md_steps", 0)),
        events=[
            (record["iteration"], text) for record in records for text in record.get("events", [])
        ],
        conclusion=read_conclusion(path),
        outcome=read_outcome(path),
        systems=described,
        potential=_potential(path, config, checkpoint, frames),
    )


def _compared(system: System, lengths: Sequence[int] | None) -> System:
    """A system whose g(r) end where the simulation compared them, at half of its box."""
    if lengths is None or len(lengths) != len(system.targets):
        return system
    targets = [
        target.first(length) for target, length in zip(system.averages, lengths, strict=True)
    ]
    return replace(system, targets=targets)


def _species_and_cutoff(config: Config) -> tuple[Sequence[str], float]:
    if config.potential.file is not None:
        potential = potentials.load(config.potential.file)
        return potential.species, potential.cutoff
    assert config.potential.species is not None and config.potential.cutoff is not None
    return config.potential.species, config.potential.cutoff


def _history(records: Sequence[Mapping[str, Any]], key: str) -> Array:
    """A number of every iteration, NaN where it is missing or null, shape (N,)."""
    return np.array([np.nan if record.get(key) is None else record[key] for record in records])


def _seconds(records: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    seconds = {part: np.nan_to_num(_history(records, f"seconds_{part}")) for part in SECONDS}
    # processes that wait for others wait while those simulate
    seconds["simulation"] = np.maximum(seconds["simulation"] - seconds["idle"], 0.0)
    return seconds


def _optimizer(records: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    numbers = [record.get("optimizer", {}) for record in records]
    return {key: _history(numbers, key) for key in dict.fromkeys(k for n in numbers for k in n)}


def _potential(
    path: Path, config: Config, checkpoint: Mapping[str, Any], frames: Sequence[Frames]
) -> list[PairCurve]:
    """The potential in model.pt, at its reference temperature if it has one, and at others."""
    model = path / "model.pt"
    grid: Grid | None = checkpoint.get("grid")
    if grid is None or not model.exists():
        return []
    at: dict[float, Any] = {}
    if config.potential.reference_temperature is None:
        potential: Model = potentials.load(model)
    else:
        whole = potentials.TemperatureDependent.load(model)
        potential = whole.at(whole.reference_temperature)
        at = {t: whole.at(t) for t in sorted({system.temperature for system in config.systems})}
    uncertainty = checkpoint.get("uncertainty")
    if uncertainty is not None and "apart" in checkpoint:
        uncertainty = np.hypot(uncertainty, checkpoint["apart"]["at_knots"])
    curves = []
    for index, (a, b) in enumerate(species_pairs(len(grid.species))):
        r = np.linspace(grid.inner[index], grid.cutoff, POINTS)
        known = None if uncertainty is None else uncertainty[index]
        curves.append(
            PairCurve(
                (grid.species[a], grid.species[b]),
                r,
                _energies(potential, r, a, b),
                _seen(frames, index, r),
                None if known is None else np.interp(r, grid.distances(index), known),
                {t: _energies(each, r, a, b) for t, each in at.items()},
            )
        )
    return curves


def _energies(potential: Model, r: Array, a: int, b: int) -> Array:
    energies, _ = numpy_model(potential)(r, np.full(len(r), a), np.full(len(r), b))
    return energies


def _seen(frames: Sequence[Frames], pair: int, r: Array) -> NDArray[np.bool_]:
    """Where g(r) of a pair is above `SEEN` in the frames of any system, shape (n,).

    Gaps that are short, as the scatter of few atoms makes them, are closed.
    """
    seen = np.zeros(len(r), dtype=bool)
    for each in frames:
        if each.has_pairs(pair):
            centres = 0.5 * (each.edges[1:] + each.edges[:-1])
            seen |= np.interp(r, centres, each.rdf(pair).mean(axis=0)) > SEEN
    return np.asarray(seen | binary_closing(seen, np.ones(round(GAP * len(r)))))
