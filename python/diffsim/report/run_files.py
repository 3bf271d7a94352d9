"""The files of a run, read while the run may still be writing them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from diffsim.errors import InputError, first_line
from diffsim.folder import run_lock
from diffsim.knots import Grid
from diffsim.simulation import Frames
from diffsim.training.outcome import Outcome

REQUIRED = (
    "iteration",
    "loss",
    "systems",
    "ess",
    "md_steps",
    "seconds_simulation",
    "seconds_gradient",
    "seconds_update",
)
"""Keys without which a line of the metrics says nothing."""

LEFT = (run_lock.NAME, "lammps", "metrics.jsonl")
"""What each run leaves, or the last of which a copy of one has: a configuration alone is no run."""

CHECKPOINTS = ("checkpoint.pt", "checkpoint_previous.pt")

LEFT_OUT = ("counts", "virial", "motion_response")
"""Arrays of frames that no observable needs, and that are nearly all of their file."""


def check_run_folder(path: Path) -> None:
    """Raise InputError unless a path is a folder that a training has begun to fill."""
    advice = "Name the folder of a run, as `diffsim train` makes it."
    if not path.exists():
        raise InputError(f"The folder {path} does not exist. {advice}")
    if not path.is_dir():
        raise InputError(f"{path} is a file. {advice}")
    if not any((path / name).exists() for name in LEFT):
        raise InputError(
            f"The folder {path} is no run: none of {', '.join(LEFT)} is in it. {advice}"
        )
    if not (path / "config.yaml").is_file():
        if not (path / "metrics.jsonl").exists():
            _check_begun(path)
        raise InputError(f"The folder {path} is no run: no config.yaml is in it. {advice}")


def _check_begun(path: Path) -> None:
    """Raise InputError for a run without metrics if nobody trains in its folder any more."""
    if run_lock.is_free(path):
        raise InputError(
            f"The run in {path} ended in its first iteration, so that there is nothing to report. "
            f"LAMMPS's logs are in {path / 'lammps'}; train again to see the error."
        )


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl in the folder of a run, at least one.

    A last line that is half written is left out: the run is adding it.

    Raises
    ------
    InputError
        If no iteration has finished, or another line is not that of an iteration.
    """
    file = path / "metrics.jsonl"
    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The metrics {file} cannot be read ({error}). Check the permissions of the file, and "
            "whether it is the one that the run wrote."
        ) from None
    records = []
    lines = text.split("\n")  # the last one is empty, or still being written
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            records.append(_record(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise InputError(
                f"Line {number} of {file} is not that of an iteration: {error}. Put back the line "
                "that the run wrote, or remove it."
            ) from None
    if not records:
        _check_begun(path)
        raise InputError(
            f"The run in {path} has not finished its first iteration, so that there is nothing to "
            "report yet. Ask again when it has."
        )
    return records


def read_conclusion(path: Path) -> list[str]:
    """What the run in a folder said at its end, if it has ended."""
    file = path / "conclusion.txt"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def read_outcome(path: Path) -> Outcome | None:
    """The best potential of the run in a folder; None in folders of earlier versions."""
    file = path / "outcome.json"
    return Outcome(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def _record(line: str) -> dict[str, Any]:
    """The mapping that a line holds; ValueError if it is not that of an iteration."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos + 1}") from None
    if not isinstance(record, dict):
        raise ValueError(f"a mapping was expected, but {line[:40]!r} was found")
    missing = [key for key in REQUIRED if key not in record]
    if missing:
        raise ValueError(f"the key '{missing[0]}' is missing")
    return record


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """What the checkpoint in the folder of a run holds; None where there is none yet.

    While a run replaces its checkpoint, there may be the one of the iteration before only; that is
    taken too where the last one cannot be read, as for a run that is resumed. Nothing but arrays,
    numbers and text is read: a file that would run code is refused.

    Raises
    ------
    InputError
        If there are files, and none can be read.
    """
    problems = []
    for name in CHECKPOINTS:
        file = path / name
        try:
            with torch.serialization.safe_globals(_array_classes()):
                return cast(dict[str, Any], torch.load(file, weights_only=True))
        except FileNotFoundError:
            continue
        except Exception as error:  # torch's own, or of the archive, or of the disk
            problems.append(f"{file} cannot be read ({_first_clause(error)})")
    if not problems:
        return None
    raise InputError(
        f"The checkpoint {'; '.join(problems)}. Copy the run again; or take the files away, to "
        "have a report without them."
    )


def _first_clause(error: Exception) -> str:
    """The beginning of a message: torch's go on for paragraphs."""
    return first_line(error).split(". ")[0].rstrip(".")


def _array_classes() -> list[Any]:
    """What pickles of arrays and grids refer to, also those of the other major version of numpy."""
    array, number = np.zeros(1), np.float64(0.0)
    functions = [array.__reduce__()[0], number.__reduce__()[0]]
    modules = ("numpy.core.multiarray", "numpy._core.multiarray")
    named: list[Any] = [
        (function, f"{module}.{function.__name__}")  # type: ignore[union-attr]
        for function in functions
        for module in modules
    ]
    kinds = [type(np.dtype(kind)) for kind in (np.float64, np.int64, np.bool_)]
    return [Grid, np.ndarray, np.dtype, *kinds, *named]


def read_latest_frames(
    path: Path, systems: int, iteration: int
) -> tuple[int, Sequence[Frames]] | None:
    """The newest frames in the folder of a run, without the arrays of `LEFT_OUT`.

    Parameters
    ----------
    path
        The folder.
    systems
        Number of systems that are trained on.
    iteration
        The last one of which there are metrics. Frames of later ones, which a run that was
        stopped may leave, do not count.

    Returns
    -------
    Their iteration, and the frames of each system; None where there are none yet.

    Raises
    ------
    InputError
        If the file cannot be read, or holds other systems.
    """
    pieces = {int(p.stem): p for p in (path / "frames").glob("*.npz") if p.stem.isdecimal()}
    of_metrics = [number for number in pieces if number <= iteration]
    if not of_metrics:
        return None
    number = max(of_metrics)
    try:
        with np.load(pieces[number]) as arrays:
            return number, [_frames(arrays, index) for index in range(systems)]
    except Exception as error:  # of the archive, of an array in it, or of the disk
        raise InputError(
            f"The frames {pieces[number]} cannot be read, or are not those of the {systems} "
            f"systems in config.yaml ({error}). Copy the run again, or take the file away."
        ) from None


def _frames(arrays: Any, index: int) -> Frames:
    values: dict[str, Any] = {name: np.empty((0, 0, 0)) for name in LEFT_OUT}
    for entry in fields(Frames):
        key = f"{index}_{entry.name}"
        if entry.name not in LEFT_OUT and (entry.name != "motion" or key in arrays):
            array = arrays[key]
            values[entry.name] = array if array.ndim else array.item()
    return Frames(**values)
