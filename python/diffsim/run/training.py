"""A training run from a configuration to a folder, with progress on the terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
import yaml

from diffsim import optimizers, potentials
from diffsim.config.schema import Config, dump_config
from diffsim.config.systems import load_systems
from diffsim.errors import InputError, InterruptError, SimulationError, StoppedError
from diffsim.export import write_lammps_table
from diffsim.folder.run_directory import RunDirectory
from diffsim.knots import pair_ranges
from diffsim.pool.aborts import read_aborts
from diffsim.pool.stopping import stop_on_sigterm
from diffsim.pool.tasks import Pool
from diffsim.potentials.model import Model
from diffsim.report.page import write_report
from diffsim.report.plots import plot_loss, plot_potential, plot_rdf
from diffsim.run.progress import Progress
from diffsim.simulation.protocol import Protocol
from diffsim.targets import distributions
from diffsim.training.trainer import Trainer

TABLE_POINTS = 2000
ENTROPIC_SEED = 10**6  # added to the seed of the network of the entropic part

FREE = ("iterations", "accuracy")  # keys of the configuration that a resumed run may change


def build(config: Config, scratch: Path | None, pool: Pool | None = None) -> Trainer:
    """The trainer that a configuration describes.

    Raises
    ------
    InputError, ModelError, SimulationError
        If the parts do not fit together.
    """
    if config.potential.file is not None:
        potential: Model = potentials.load(config.potential.file)
        if potential.units != config.units:
            raise InputError(
                f"The model {config.potential.file} is in '{potential.units}' units, but the "
                f"configuration says units: {config.units}. Make them the same."
            )
    elif config.potential.reference_temperature is not None:
        learned = {system.temperature for system in config.systems if not system.validation}
        potential = potentials.TemperatureDependent(
            _new_potential(config),
            _new_potential(config, ENTROPIC_SEED),
            config.potential.reference_temperature,
            sorted(learned),
        )
    else:
        potential = _new_potential(config)
    return Trainer(
        potential,
        load_systems(config),
        optimizer=optimizers.create(config.optimizer.name, **config.optimizer.options),
        protocol=Protocol(**config.simulation.model_dump()),
        gradient=config.gradient,
        start=config.start,
        tolerance=config.tolerance,
        seed=config.seed,
        scratch=scratch,
        validate_every=config.validate_every,
        accuracy=config.accuracy,
        pool=pool,
        aborts=read_aborts(scratch) if scratch is not None else None,
        reference=_reference(config, potential),
    )


def _reference(config: Config, potential: Model) -> Model | None:
    """The potential that the configuration holds another one to, if it does."""
    if config.reference is None:
        return None
    if config.reference.file is not None:
        return potentials.load(config.reference.file)
    assert config.reference.form is not None  # the schema asks for one of them
    return potentials.create(
        config.reference.form,
        species=list(potential.species),
        cutoff=float(potential.cutoff),
        units=config.units,
        **config.reference.options,
    )


def _new_potential(config: Config, further: int = 0) -> potentials.PairPotential:
    """A potential of the form in the configuration; a network's seed is `further` than said."""
    assert config.potential.form is not None  # the schema asks for it where there is no file
    options = dict(config.potential.options)
    if config.potential.form in ("neural", "embedding"):
        seed = options.get("seed", config.seed)
        # what is no number the form itself refuses
        options["seed"] = seed + further if isinstance(seed, int) else seed
    return potentials.create(
        config.potential.form,
        species=config.potential.species,
        cutoff=config.potential.cutoff,
        units=config.units,
        **options,
    )


def run_training(config: Config, out: Path, resume: bool, pool: Pool | None = None) -> None:
    """Train as a configuration says and leave a run directory.

    Parameters
    ----------
    config
        The configuration.
    out
        Folder of the run; see `diffsim.folder.run_directory`.
    resume
        Whether to continue the run in it.
    pool
        Who simulates; this process alone by default.

    Raises
    ------
    InputError
        If the parts of the configuration do not fit together, or the folder is in use.
    SimulationError
        If LAMMPS stops.
    StoppedError
        If a SIGTERM asked to stop; the iteration under way is finished and kept before.
    InterruptError
        After Ctrl-C.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # the tensors are small: threads would cost more than they give
    directory = RunDirectory(out, resume, dump_config(config))
    with directory.used(), stop_on_sigterm() as stop:
        try:
            _train(config, directory, resume, pool, stop)
        except KeyboardInterrupt:
            left = (
                f"The iterations that it finished are kept; go on with --out {out} --resume."
                if directory.is_resumable
                else "It had not finished an iteration, so that nothing of it is kept."
            )
            raise InterruptError(f"The training was stopped by Ctrl-C. {left}") from None


def _train(
    config: Config,
    directory: RunDirectory,
    resume: bool,
    pool: Pool | None,
    stop: Callable[[], bool],
) -> None:
    out = directory.path
    if resume:
        _check_resumable(config, directory.read_config())
    trainer = build(config, directory.lammps, pool)
    if resume:
        trainer.tell(directory.load_checkpoint(trainer))
    directory.write_config()

    began = time.perf_counter()
    with Progress(config.iterations, trainer.iteration) as progress:
        progress.start(trainer)

        def keep() -> None:
            directory.write_checkpoint(trainer)
            write_potential(directory, trainer)

        try:
            for record in trainer.steps(config.iterations - trainer.iteration, stop):
                directory.append_metrics(record)
                keep()
                progress.show(record)
        except SimulationError as error:
            if not trainer.iteration:
                raise
            keep()
            write_plots(directory, trainer)
            raise SimulationError(
                f"{error} The folder {out} holds the best potential so far; --resume continues the "
                "run in it with smaller steps."
            ) from None
    write_potential(directory, trainer)
    directory.write_conclusion(trainer.conclusion)
    write_plots(directory, trainer)
    if stop() and trainer.iteration < config.iterations and not trainer.converged:
        raise StoppedError(
            f"The training was asked to stop and did so after iteration {trainer.iteration} of "
            f"{config.iterations}, which is kept. Go on with --out {out} --resume."
        )
    progress.finish(out, time.perf_counter() - began, trainer.conclusion, trainer.outcome)


def _check_resumable(config: Config, text: str) -> None:
    """Refuse to continue a run with another configuration: its frames belong to the old one."""
    new, old = (yaml.safe_load(part) for part in (dump_config(config), text))
    for part in (new, old):  # on other numbers of processes it may go on
        for key in ("ranks_per_simulation", "device"):
            part["simulation"].pop(key, None)
    if not all("replicas" in part["simulation"] for part in (new, old)):
        for part in (new, old):  # the checkpoint knows how many there are
            part["simulation"].pop("replicas", None)
    for key, (before, now) in _differences(old, new):
        if key not in FREE:
            raise InputError(
                f"The run was started with another '{key}' than the configuration has now: it was "
                f"{_said(before)}, and is {_said(now)}. Only 'iterations', 'accuracy', "
                "'ranks_per_simulation' and 'device' may change with --resume; start a new run for "
                "other changes."
            )


def _said(value: Any) -> str:
    return "not given" if value is None else str(value)


def _differences(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Keys, as in ``systems.0.temperature``, with their two values; whole lists where the lengths
    differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(set(old) | set(new))
        pairs = [(name, old.get(name), new.get(name)) for name in names]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(str(k), a, b) for k, (a, b) in enumerate(zip(old, new, strict=True))]
    else:
        if old != new:
            yield key, (old, new)
        return
    for name, a, b in pairs:
        yield from _differences(a, b, f"{key}.{name}" if key else name)


def write_potential(directory: RunDirectory, trainer: Trainer) -> None:
    """Write the best potential as a model file and as a table, and which it is.

    One that depends on temperature is written at its reference temperature and at those of all
    systems.
    """
    with trainer.at_best():
        potential = _at_reference(trainer)
        files = [(potential, directory.model, directory.table)]
        if isinstance(trainer.potential, potentials.TemperatureDependent):
            systems = trainer.systems + [s.system for s in trainer.validation.simulators]
            for temperature in sorted({system.temperature for system in systems}):
                at = trainer.potential.at(temperature)
                files.append((at, *directory.at_temperature(temperature)))
        for present, model, table in files:
            present.save(model)
            write_lammps_table(table, present, pair_ranges(present), TABLE_POINTS)
    outcome = trainer.outcome
    if outcome is not None:
        directory.write_outcome(outcome)


def _at_reference(trainer: Trainer) -> potentials.PairPotential:
    """The potential, at its reference temperature if it depends on temperature."""
    potential = trainer.potential
    if isinstance(potential, potentials.TemperatureDependent):
        return potential.at(potential.reference_temperature)
    return cast(potentials.PairPotential, potential)  # as configurations have them


def write_plots(directory: RunDirectory, trainer: Trainer) -> None:
    """Plots of every system's g(r), of the potential and of the loss."""
    for system, ensemble, frames in zip(
        trainer.systems, trainer.ensembles, trainer.latest, strict=True
    ):
        for target in distributions(system.targets):
            measured = target.observe(frames, ensemble.species).mean(axis=0)
            name = f"rdf_{system.name}_{'-'.join(target.pair)}.png"
            plot_rdf(directory.path / name, target, measured, system.name)
    for simulator in trainer.validation.simulators:
        system = simulator.system
        averages = trainer.validation.averages.get(system.name, [])
        for observable, average in zip(system.targets, averages, strict=False):
            for curve in distributions([observable]):
                name = f"rdf_{system.name}_{'-'.join(curve.pair)}.png"
                plot_rdf(directory.path / name, curve, average, f"{system.name} (validation)")
    with trainer.at_best():
        plot_potential(
            directory.path / "potential.png",
            _at_reference(trainer),
            trainer.grid,
            uncertainty=trainer.uncertainty,
        )
    plot_loss(directory.path / "loss.png", directory.metrics)
    write_report([directory.path], directory.path / "report.html")
