"""The commands of a LAMMPS script as text, before LAMMPS runs them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Command:
    """A command in a script.

    Attributes
    ----------
    file, line
        Where it begins, the line counted from 1.
    words
        The command and its arguments; quotes are kept.
    """

    file: Path
    line: int
    words: tuple[str, ...]


def commands(script: Path, variables: Mapping[str, Any]) -> Iterator[Command]:
    """The commands of a script and of the files that it includes or jumps to.

    The text is not run: loops and conditions are not followed, and a file whose name holds a
    variable that is not given is left out.

    Parameters
    ----------
    script
        The file; one that cannot be read has no commands.
    variables
        Values of variables in the names of files.
    """
    yield from _commands(script, variables, set())


def _commands(file: Path, variables: Mapping[str, Any], seen: set[Path]) -> Iterator[Command]:
    if file.resolve() in seen:
        return
    seen.add(file.resolve())
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return  # LAMMPS says so when it comes there
    number = 0
    while number < len(lines):
        first, text = number + 1, lines[number]
        while text.rstrip().endswith("&") and number + 1 < len(lines):
            number += 1
            text = text.rstrip()[:-1] + " " + lines[number]
        number += 1
        words = _words(text)
        if not words:
            continue
        yield Command(file, first, words)
        if words[0] in ("include", "jump") and len(words) > 1 and words[1] != "SELF":
            name = VARIABLE.sub(lambda v: str(variables.get(v[1], v[0])), words[1].strip("\"'"))
            yield from _commands(Path(name), variables, seen)


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text, comments=True, posix=False))
    except ValueError:  # quotes that go over lines
        return tuple(text.split("#", 1)[0].split())
