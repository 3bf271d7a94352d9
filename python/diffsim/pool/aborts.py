"""Simulations that ended all processes: what a resumed training must know of them.

Where LAMMPS stops on some of the processes that simulate together, the others wait for ever, and
all are ended. The step that led there can then be taken back only by the run that resumes. A line
of JSON for each such simulation is kept among LAMMPS's files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

FILE = "aborted.jsonl"

Aborts = dict[tuple[int, ...], str]
"""Why a simulation ended all processes, by the index of its simulator and its seed: that of the
training, iteration and, of what is learned from, attempt."""


def note_abort(scratch: Path, task: Sequence[int], reason: str) -> None:
    """Add a line; several processes may."""
    with (scratch / FILE).open("a") as file:
        known = f"{reason} (As {scratch / FILE} says; to try it again, remove that.)"
        file.write(json.dumps({"task": list(task), "reason": known}) + "\n")


def read_aborts(scratch: Path) -> Aborts:
    """What was noted in a folder; nothing if there is no file."""
    file = scratch / FILE
    if not file.is_file():
        return {}
    result: Aborts = {}
    for line in file.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # the process was ended while it wrote; others wrote the same
        result.setdefault(tuple(entry["task"]), entry["reason"])
    return result


def forget_aborts(scratch: Path) -> None:
    """Remove the file of an earlier training."""
    (scratch / FILE).unlink(missing_ok=True)
