"""The page of a report: records of runs -> one HTML file that needs nothing else."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from diffsim.errors import InputError
from diffsim.report.history_figures import histories, pressure
from diffsim.report.run_record import PROCESSES, RunRecord, read_run
from diffsim.report.structure_figures import curves, potentials
from diffsim.report.system_record import Deviation, SystemRecord
from diffsim.report.unit_names import UNIT_NAMES
from diffsim.report.words import DASH, Cell, duration, number, plain, with_error
from diffsim.training.measurement import NOISE

MOST_EVENTS = 100  # of a run


@dataclass(frozen=True)
class Table:
    """A table of the page; the first cell of each row is its heading."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def write_report(runs: Sequence[Path], output: Path) -> None:
    """Write the report of a run, or the comparison of several.

    Parameters
    ----------
    runs
        Folders of runs, finished or not.
    output
        The HTML file. It appears complete or not at all.

    Raises
    ------
    InputError
        If a folder is not that of a run, a run has not finished its first iteration, a file cannot
        be read or written, or runs to be compared have different units.
    ModelError
        If a model file cannot be read.
    """
    page = render([read_run(path) for path in runs])
    partial = output.with_name(output.name + ".part")
    try:
        partial.write_text(page, encoding="utf-8")
        partial.replace(output)
    except OSError as error:
        raise InputError(
            f"The report cannot be written to {output}: {error.strerror}. Name another file with "
            "--output."
        ) from None


def render(runs: Sequence[RunRecord]) -> str:
    """The HTML page of the report of a run, or of the comparison of several.

    Raises
    ------
    InputError
        If runs to be compared have different units.
    """
    runs = _named_apart(runs)
    first = runs[0]
    for run in runs:
        if run.config.units != first.config.units:
            raise InputError(
                f"The runs {first.path} and {run.path} cannot be drawn on the same axes: their "
                f"units are {first.config.units} and {run.config.units}. Compare runs of the same "
                "units."
            )
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("diffsim.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = dict.fromkeys(system.name for run in runs for system in run.systems)
    alone = len(runs) == 1
    return environment.get_template("page.html.j2").render(
        title=first.name if alone else f"{len(runs)} runs compared",
        runs=runs,
        facts=facts(first) if alone else [],
        tables=[systems_table(first), *numbers_table(first)] if alone else [comparison(runs)],
        differences=[] if alone else differences(runs),
        potentials=potentials(runs),
        doubts=[text for run in runs for text in _doubt(run, alone)],
        histories=histories(runs),
        systems=[(name, _pictures_of(runs, name)) for name in names],
        events=[(run.name, run.events[-MOST_EVENTS:], len(run.events)) for run in runs],
        configurations=[(run.name, (run.path / "config.yaml").read_text()) for run in runs],
        made=datetime.datetime.now(tz=datetime.timezone.utc),
    )


def _pictures_of(runs: Sequence[RunRecord], system: str) -> list[Any]:
    pictures = [*curves(runs, system), pressure(runs, system)]
    return [picture for picture in pictures if picture is not None]


def _named_apart(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Runs whose folders have the same name are called by their paths."""
    names = [run.name for run in runs]
    return [replace(run, name=str(run.path)) if names.count(run.name) > 1 else run for run in runs]


# ---- numbers and words ----


def _lines(cells: Sequence[Cell]) -> Cell:
    return Markup("<br>").join(cells) if cells else DASH


def state(run: RunRecord) -> str:
    """How far a run has come, in words."""
    last, asked = int(run.iterations[-1]), run.config.iterations
    # a run that is resumed may be asked for fewer than it has had
    done = f"{last} iterations" if last > asked else f"{last} of {asked} iterations"
    return f"{run.state}: {done}" + (", or stopped" if run.state == "under way" else "")


def form(run: RunRecord) -> str:
    """The potential that is learned, in words."""
    potential = run.config.potential
    if potential.file is not None:
        return f"from {potential.file.name}"
    words = f"{potential.form}; species {', '.join(potential.species or [])}; cutoff "
    words += f"{potential.cutoff:g} {UNIT_NAMES[run.config.units].length}"
    if potential.reference_temperature is not None:
        words += f"; linear in temperature about {potential.reference_temperature:g}"
    return words


def _doubt(run: RunRecord, alone: bool) -> Iterator[str]:
    """What the run leaves open, and a sentence where the uncertainty of the potential does not
    hold."""
    yield from (text if alone else f"{run.name}: {text}" for text in run.conclusion)
    chi_square = run.number("chi_square")
    if chi_square is not None and chi_square > NOISE:
        where = "" if alone else f" of {run.name}"
        yield (
            f"Chi squared of the residual{where} is {plain(chi_square, 3)}: there is more in it "
            "than noise, and the potential is less certain than its band says."
        )


# ---- tables ----


def facts(run: RunRecord) -> list[tuple[str, Cell]]:
    """What is said of a run above everything else: names and values."""
    result: list[tuple[str, Cell]] = [
        ("Potential", form(run)),
        ("Systems", ", ".join(_described(run, system) for system in run.systems)),
        ("State", state(run)),
        ("Optimizer", run.config.optimizer.name),
        ("MD steps", number(int(run.md_steps[-1]))),
        *_processes(run),
        ("Wall time", duration(run.wall_time)),
        ("Last iteration", f"{run.written:%Y-%m-%d %H:%M} UTC"),
        ("Loss", number(float(run.loss[run.kept]))),
        ("Effective sample size", number(float(run.ess[run.kept]))),
    ]
    if run.validation_md_steps:
        result.insert(5, ("MD steps of validation", number(run.validation_md_steps)))
    energy = UNIT_NAMES[run.config.units].energy
    if run.outcome is not None:
        result.append(("Best potential", run.outcome.words))
    known, chi_square = run.number("uncertainty"), run.number("chi_square")
    if known is not None:
        result.append(("Its uncertainty", number(known, energy)))
    if chi_square is not None:
        result.append(("Its chi squared", number(chi_square)))
    return result


def _processes(run: RunRecord) -> Iterator[tuple[str, Cell]]:
    """The layout of the last iteration, if the metrics say it."""
    if len(run.processes) == len(PROCESSES):
        ranks, each, replicas = (run.processes[key] for key in PROCESSES)
        yield (
            "Processes",
            f"{ranks}, each simulation on {each}; replicas of each system: {replicas}",
        )


def _described(run: RunRecord, system: SystemRecord) -> str:
    unit = UNIT_NAMES[run.config.units].temperature
    what = ", validation" if system.validation else ""
    return f"{system.name} (T = {system.temperature:g} {unit}{what})"


def systems_table(run: RunRecord) -> Table:
    """A row for each system, as the last iteration or validation found it."""
    units = UNIT_NAMES[run.config.units]
    head = (
        "system",
        "iteration",
        "loss",
        "target",
        "mean square deviation",
        "noise alone",
        "ESS",
        f"pressure ({units.pressure})",
        f"T ({units.temperature})",
        "T given",
    )
    rows = []
    for system in run.systems:
        found = system.deviations
        rows.append(
            [
                _lines([system.name, *(["(validation)"] if system.validation else [])]),
                number(int(system.iterations[system.place]))
                if len(system.iterations)
                else "not yet",
                _latest(system, system.loss),
                _lines([each.label for each in found]),
                _lines([number(each.mse) for each in found]),
                _lines([number(each.noise) for each in found]),
                _latest(system, system.ess),
                _latest(system, system.pressure),
                _latest(system, system.kinetic_temperature),
                number(float(system.temperature)),
            ]
        )
    return Table("Systems and the functions that are their targets", head, rows)


def _latest(system: SystemRecord, values: Any) -> Cell:
    return number(float(values[system.place]) if len(values) else math.nan)


def numbers_table(run: RunRecord) -> Iterator[Table]:
    """A row for each target that is a number, if there are any."""
    rows = [
        [
            f"{system.name}: {each.label}",
            with_error(each.value, each.error),
            with_error(each.target, each.target_error),
            number(each.deviation),
        ]
        for system in run.systems
        for each in system.numbers
    ]
    if rows:
        head = ("target", "simulated", "given", "deviation in standard errors")
        yield Table("Targets that are numbers", head, rows)


def comparison(runs: Sequence[RunRecord]) -> Table:
    """A column for each run."""
    columns = [dict(_comparable(run)) for run in runs]
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [[key, *(column.get(key, DASH) for column in columns)] for key in keys]
    return Table("The runs", ["", *(run.name for run in runs)], rows)


def _comparable(run: RunRecord) -> Iterator[tuple[str, Cell]]:
    """Names and values of what can be compared between runs."""
    for name, value in facts(run):
        if name not in ("Systems", "Last iteration"):
            yield name, value
    for part, seconds in run.seconds.items():
        if seconds.any():
            yield f"Seconds: {part}", number(float(seconds.sum()))
    for system in run.systems:
        for each in system.deviations:
            yield f"{system.name}: {each.label}", _beside_noise(each)
        for target in system.numbers:
            yield f"{system.name}: {target.label}", with_error(target.value, target.error)
        if system.target_pressure is None:
            yield f"{system.name}: pressure", _latest(system, system.pressure)


def _beside_noise(deviation: Deviation) -> Cell:
    return Markup("{} (noise {})").format(number(deviation.mse), number(deviation.noise))


def differences(runs: Sequence[RunRecord]) -> list[Table]:
    """The keys of the configurations that differ, if any do: a column for each run."""
    columns = [dict(_flat(run.settings)) for run in runs]
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [
        [key, *(column.get(key, DASH) for column in columns)]
        for key in keys
        if len({column.get(key) for column in columns}) > 1
    ]
    head = ["key", *(run.name for run in runs)]
    return [Table("Keys of the configuration that differ", head, rows)] if rows else []


def _flat(settings: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Paths of all values, as ``systems.fluid.targets.1.rdf``; systems go by their names."""
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            yield from _flat(value, f"{path}.{key}".lstrip("."))
    elif isinstance(settings, list) and any(isinstance(each, Mapping | list) for each in settings):
        for index, value in enumerate(settings, start=1):
            name = value.get("name", index) if isinstance(value, Mapping) else index
            yield from _flat(value, f"{path}.{name}")
    else:
        yield path, settings if isinstance(settings, str) else json.dumps(settings)
