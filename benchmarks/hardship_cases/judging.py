"""What is true of a finished training: errors against the truth, and what was said of them.

python -m hardship_cases.judging CASE SEED FOLDER
"""

from __future__ import annotations

import json
import math
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import SEEN, Run, recorded_pressure

from diffsim.knots import choose_grid, core_knots, knot_values
from diffsim.simulation import Frames, Recording, System, simulate
from diffsim.statistics.time_series import standard_error
from diffsim.targets import RDF
from hardship_cases.cases import CASES, Case
from hardship_cases.fluids import FLUIDS, Fluid
from hardship_cases.training import LOG, RESULT, STATUS
from hardship_cases.truths import Array, pairs_of

POINTS = 1000  # of each pair, where potentials are compared
RELAXATION, STEPS, EVERY = 3000, 20_000, 40  # of the fresh simulation, for 1,000 atoms
FEWEST = 6000  # of its steps, where there are more atoms
CELLS = 10  # of it: the size of the box does not matter there
OF_A_STEP = "so that the step was undone"  # in a note that is no word on the result
OF_STATE = r"one per cent more density would change it by (\S+), .* temperature by (\S+) \("


@dataclass(frozen=True)
class Result:
    """A run of a case.

    Attributes
    ----------
    case, seed
        Which.
    status, message
        Exit status of the command, and its last line where that is not zero.
    rms, largest
        Errors of the potential of all pairs where the liquid's g(r) exceeds 0.1, in energy units;
        None without a true potential, or without a learned one.
    uncertainty, chi_square
        Of the last line of the metrics; the first with what was said of a state that is wrong.
    pressure, pressure_error
        In a fresh simulation at the liquid's state, less the truth's; standard error of that. None
        where the potential is judged against a shifted one.
    g
        Root mean square deviation of g(r) there from the undamaged one, of all pairs.
    well, true_well
        Depth and distance of the minimum of the first pair's potential.
    first_loss, last_loss
        Of the first iteration, and of the last one whose step was not undone.
    first_mse, last_mse, noise
        Of the same iterations, mean square deviations of g(r), and what noise adds to the last one.
    md_steps, iterations
        Of the metrics.
    said
        Notes that the command printed from its last iteration on; see `notes`.
    notes
        All of them.
    """

    case: str
    seed: int
    status: int
    message: str = ""
    rms: float | None = None
    largest: float | None = None
    uncertainty: float | None = None
    chi_square: float | None = None
    pressure: float | None = None
    pressure_error: float | None = None
    g: float | None = None
    well: tuple[float, float] | None = None
    true_well: tuple[float, float] | None = None
    first_loss: float | None = None
    last_loss: float | None = None
    first_mse: float | None = None
    last_mse: float | None = None
    noise: float | None = None
    md_steps: int | None = None
    iterations: int = 0
    said: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ratio(self) -> float | None:
        """Error of the potential over its claim; None where either is not known."""
        if self.rms is None or not self.uncertainty:
            return None
        return self.rms / self.uncertainty


def read_result(path: Path) -> Result:
    """A result as it was written."""
    values = json.loads(path.read_text())
    return Result(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def judge(case: Case, seed: int, folder: Path) -> Result:
    """Measure everything that can be measured of a run, finished or not."""
    log = (folder / LOG).read_text(errors="replace")
    found: dict[str, Any] = status_of(log)
    found["said"], found["notes"] = notes(log)
    if not (folder / "run" / "model.pt").exists():
        return Result(case.name, seed, **found)
    run = Run(folder / "run")
    numbers = run.numbers
    of_state = said_of_the_state(case, found["notes"])
    kept = [record for record in run.metrics if record.get("accepted", True)][-1]
    found |= {
        "uncertainty": finite(math.hypot(numbers.get("uncertainty", math.nan), of_state)),
        "chi_square": finite(numbers.get("chi_square")),
        "first_loss": finite(run.metrics[0]["loss"]),
        "last_loss": finite(kept["loss"]),
        "first_mse": finite(mean_over_curves(run.metrics[0], "rdf_mse")),
        "last_mse": finite(mean_over_curves(kept, "rdf_mse")),
        "noise": finite(mean_over_curves(kept, "noise")),
        "md_steps": run.md_steps,
        "iterations": len(run.metrics),
    }
    fluid = case.fluid
    if fluid.truth is not None:
        errors, well, true_well = compared(run, case)
        found |= {
            "rms": finite(np.sqrt(np.mean(errors**2))),
            "largest": finite(np.abs(errors).max()),
            "well": well,
            "true_well": true_well,
        }
    if not case.shift:  # larger atoms have another pressure, which nobody measured
        found |= deviations(fluid, fresh(run, fluid, seed))
    return Result(case.name, seed, **found)


def mean_over_curves(record: Mapping[str, Any], key: str) -> float:
    """Mean of a number of every g(r) in an iteration."""
    return float(np.mean([value for s in record["systems"].values() for value in s[key]]))


def compared(run: Run, case: Case) -> tuple[Array, tuple[float, float], tuple[float, float]]:
    """Errors of all pairs at evenly spaced points where g > 0.1; wells of the first pair."""
    fluid, truth = case.fluid, case.fluid.truth
    assert truth is not None
    interacting = FLUIDS[fluid.interacts] if fluid.interacts else fluid
    errors, wells = [], []
    for (a, b), pair in zip(pairs_of(len(fluid.species)), fluid.pairs, strict=True):
        target = RDF.from_file(interacting.target(pair), pair)
        r = seen(target, fluid.cutoff, case.shift)
        learned, true = run.energies(r, a, b), truth(r - case.shift, a, b)
        errors.append(learned - true)
        wells.append([depth(r, learned), depth(r, true)])
    return np.concatenate(errors), wells[0][0], wells[0][1]


def said_of_the_state(case: Case, notes: Sequence[str]) -> float:
    """By how much, in the words of a run, its potential is wrong for the state that it was told.

    That the density or the temperature is wrong is nothing that a g(r) tells; but what it would do
    is said for one per cent of each. Zero where the state is right, or nothing was said.
    """
    fluid = case.fluid
    percent = {"density": 0.0, "temperature": 0.0}
    if "density" in case.variables:
        percent["density"] = 100.0 * (case.variables["density"] / fluid.variables["density"] - 1.0)
    if case.temperature is not None:
        percent["temperature"] = 100.0 * (case.temperature / fluid.temperature - 1.0)
    total = 0.0
    for note in notes:
        found = re.search(OF_STATE, note)
        if found:
            total += abs(percent["density"]) * float(found[1])
            total += abs(percent["temperature"]) * float(found[2])
    return total


def seen(target: RDF, cutoff: float, shift: float = 0.0) -> Array:
    """Distances from where g first exceeds 0.1 to the cutoff; the true curve may be shifted."""
    low = float(target.r[np.argmax(target.g > SEEN)]) + shift
    return np.linspace(low, cutoff, POINTS)


def depth(r: Array, energy: Array) -> tuple[float, float]:
    """Depth and distance of the lowest point: zero and the cutoff without a well."""
    lowest = int(np.argmin(energy))
    return float(-energy[lowest]), float(r[lowest])


def fresh(run: Run, fluid: Fluid, seed: int) -> Frames:
    """Frames of a new simulation with the learned potential at the liquid's true state."""
    variables = dict(fluid.variables)
    if "cells" in variables:
        variables["cells"] = CELLS
    targets = [RDF.from_file(fluid.target(pair), pair) for pair in fluid.pairs]
    system = System(
        fluid.script,
        fluid.temperature,
        targets,
        variables={**variables, "timestep": fluid.timestep},
        intermolecular=fluid.intermolecular,
    )
    grid, _ = choose_grid(run.potential, 1e-4)
    knots = core_knots(grid, knot_values(run.potential, grid).detach().numpy())
    bins = round(min(fluid.reach, 5.0 if fluid.units == "lj" else 12.0) / fluid.width)
    with tempfile.TemporaryDirectory() as scratch:

        def simulated(steps: int, relaxation: int, start: str | None) -> tuple[Frames, str]:
            recording = Recording(
                relaxation, steps, EVERY, bins, bins * fluid.width, fluid.intermolecular
            )
            return simulate(system, knots, recording, 987 + seed, start, Path(scratch))

        first, state = simulated(EVERY, RELAXATION, None)
        steps = max(FEWEST, round(STEPS * min(1.0, 1000.0 / first.atoms.sum())))
        frames, _ = simulated(steps // EVERY * EVERY, 0, state)
    return frames


def deviations(fluid: Fluid, frames: Frames) -> dict[str, float | None]:
    """What a simulation at the liquid's state says of pressure and g(r)."""
    truth, error = recorded_pressure(fluid.target(fluid.pairs[0]))
    squares = []
    for index, pair in enumerate(fluid.pairs):
        target = RDF.from_file(fluid.target(pair), pair)
        g = frames.rdf(index).mean(axis=0)
        rows = min(len(g), len(target.g))
        squares.append((g[:rows] - target.g[:rows]) ** 2)
    return {
        "pressure": finite(frames.pressure.mean() - truth),
        "pressure_error": finite(math.hypot(error, float(standard_error(frames.pressure)))),
        "g": finite(np.sqrt(np.mean(np.concatenate(squares)))),
    }


def status_of(log: str) -> dict[str, Any]:
    """Exit status of the command, and its last words where it failed."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    status = int(lines[-1].removeprefix(STATUS))
    return {"status": status, "message": lines[-2] if status and len(lines) > 1 else ""}


def notes(log: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Notes of the last lines of a run, from the line of its last iteration on, and all notes.

    A run that is said to end without a result, or not to meet a target, says a word too; that the
    last step was undone is none. Nor is how the potential depends on the state, which is said of
    right states and wrong ones: see `said_of_the_state`.
    """
    lines = [line.strip() for line in log.splitlines()]
    rows = [i for i, line in enumerate(lines) if is_iteration(line)]
    begin = rows[-1] if rows else 0

    def among(some: Sequence[str]) -> tuple[str, ...]:
        return tuple(
            line.removeprefix("note: ")
            for line in some
            if line.startswith(("note: ", "ended after ")) or "not met: " in line
        )

    said = tuple(
        text
        for text in among(lines[begin:])
        if OF_A_STEP not in text and not re.search(OF_STATE, text)
    )
    return said, among(lines)


def is_iteration(line: str) -> bool:
    """Whether a line is the row of an iteration: its number, loss, and four more numbers."""
    words = line.split()
    return len(words) > 5 and words[0].isdigit() and all(map(is_number, words[1:6]))


def is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return word == "-"
    return True


def finite(value: Any) -> float | None:
    """A number as JSON knows it; None for what is none."""
    return float(value) if value is not None and math.isfinite(value) else None


def main() -> None:
    name, seed, folder = sys.argv[1:]
    result = judge(CASES[name], int(seed), Path(folder))
    (Path(folder) / RESULT).write_text(json.dumps(asdict(result), indent=1) + "\n")


if __name__ == "__main__":
    main()
