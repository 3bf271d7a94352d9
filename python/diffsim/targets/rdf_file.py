"""The file of a radial distribution function, and what it says of the box that was counted in."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from diffsim.errors import InputError
from diffsim.targets.base import FloatArray

Norm: TypeAlias = Literal["N-1", "N"]
"""How pairs of one species are counted: N (N - 1) or N^2; both for each atom of a pair."""

FEWEST = 2.0
"""Atoms that make a pair."""

INFINITE = "infinite"
"""In place of a number of atoms: an experiment."""


def write_rdf(
    path: str | Path,
    r: FloatArray,
    g: FloatArray,
    error: FloatArray | None,
    comments: Sequence[str],
    atoms: float | Mapping[str, float] | None = None,
    norm: Norm | None = None,
) -> None:
    """Write an RDF as a file that :meth:`diffsim.targets.RDF.from_file` reads.

    Files of the suffixes ``.xvg`` and ``.dat`` get spaces between their columns, as programs expect
    it of them; all others are CSV.

    Parameters
    ----------
    path : str or Path
        The file; it is replaced if it exists.
    r, g : (n,) array
        Distances (unit of length) and values.
    error : (n,) array or None
        Standard errors of ``g``; None leaves the column out.
    comments : sequence of str
        Lines that are written above the numbers, each behind ``#``.
    atoms, norm
        As of :class:`diffsim.targets.RDF`; a comment each, none for None.
    """
    columns = [r, g] if error is None else [r, g, error]
    names = ["r", "g", "error"][: len(columns)]
    spaced = Path(path).suffix in (".xvg", ".dat")
    lines = [f"# {comment}" for comment in comments]
    if atoms is not None:
        lines.append(f"# atoms: {_text(atoms)}")
    if norm is not None:
        lines.append(f"# norm: {norm}")
    lines.append(f"# {' '.join(names)}" if spaced else ",".join(names))
    separator = " " if spaced else ","
    for row in zip(*columns, strict=True):
        lines.append(separator.join(f"{value:.10g}" for value in row))
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_box(
    path: Path, pair: tuple[str, str]
) -> tuple[float | Mapping[str, float] | None, Norm | None]:
    """Number of atoms and norm that the comments of a file say, None where they do not.

    Numbers of species (``# atoms: A 800, B 200``) that have other names in the file (LAMMPS's
    types, say) are taken as those of the pair, in its order.

    Raises
    ------
    InputError
        If a line is not understood.
    """
    atoms: float | Mapping[str, float] | None = None
    norm: Norm | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        found = re.fullmatch(r"\s*#\s*(atoms|norm):\s*(.*?)\s*", line)
        if found is None:
            continue
        key, text = found.groups()
        if key == "norm":
            norm = next((known for known in get_args(Norm) if known == text), None)
            if norm is None:
                raise InputError(
                    f"Line {number} of '{path}' should say '# norm: N-1' or '# norm: N', but "
                    f"'{text}' was found; correct it or take the line out."
                )
        else:
            atoms = _atoms(text, pair)
            if atoms is None:
                raise InputError(
                    f"Line {number} of '{path}' should say the number of atoms of the box, as "
                    f"'# atoms: 1000', '# atoms: {INFINITE}' or '# atoms: A 800, B 200', but "
                    f"'{text}' was found; correct it or take the line out."
                )
    return atoms, norm


def check_box(
    atoms: float | Mapping[str, float] | None, norm: str | None, pair: tuple[str, str], name: str
) -> None:
    """Raise an InputError unless number of atoms and norm are possible; ``name`` is its subject."""
    if norm is not None and norm not in get_args(Norm):
        raise InputError(f"{name} needs the norm 'N-1' or 'N', but {norm!r} was given.")
    if atoms is None:
        return
    numbers = atoms if isinstance(atoms, Mapping) else {"": atoms}
    for species, number in numbers.items():
        if not number >= FEWEST:
            of = f" of {species}" if species else ""
            raise InputError(
                f"{name} needs a number of atoms{of} of at least {FEWEST:g}, but {number!r} was "
                "given; leave it out if it is not known."
            )
    missing = [each for each in pair if each not in numbers] if isinstance(atoms, Mapping) else []
    if missing:
        raise InputError(
            f"{name} needs the number of atoms of {missing[0]} beside that of "
            f"{', '.join(numbers)}; or give one number, that of all atoms."
        )
    if len({math.isinf(number) for number in numbers.values()}) > 1:
        raise InputError(
            f"{name} has a finite number of atoms of one species and infinitely many of another; "
            "in one box both are finite or both are not."
        )


def _atoms(text: str, pair: tuple[str, str]) -> float | Mapping[str, float] | None:
    """Numbers of atoms as `write_rdf` writes them; None if the text is not understood."""
    single = _number(text)
    if single is not None:
        return single
    numbers: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.strip().rpartition(" ")
        number = _number(value)
        if not name or number is None:
            return None
        numbers[name] = number
    names = list(dict.fromkeys(pair))
    if all(name in numbers for name in names):
        return numbers
    if len(numbers) == len(names):
        return dict(zip(names, numbers.values(), strict=True))
    return None


def _number(text: str) -> float | None:
    if text == INFINITE:
        return math.inf
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _text(atoms: float | Mapping[str, float]) -> str:
    if isinstance(atoms, Mapping):
        return ", ".join(f"{name} {_text(number)}" for name, number in atoms.items())
    return INFINITE if math.isinf(atoms) else f"{atoms:.15g}"


def numbers_of(atoms: float | Mapping[str, float] | None) -> list[float]:
    """The numbers of atoms that are known, of all or of species."""
    if atoms is None:
        return []
    return list(atoms.values()) if isinstance(atoms, Mapping) else [atoms]
