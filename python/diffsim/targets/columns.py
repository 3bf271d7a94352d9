"""Reading columns of numbers from a text file, with errors that name the line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffsim.errors import InputError

FLAGS = ("i", "o", "u")
"""In the last column of VOTCA's files: in range, out of range, undefined."""

IN_RANGE = "i"

DECIMAL_COMMA = re.compile(r"[-+]?\d+(,\d+)?([eE][-+]?\d+)?")
"""A number without a decimal point."""


def read_columns(
    path: Path, columns: Mapping[int, str], chosen: Sequence[int] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read a table of numbers separated by commas, semicolons or white space.

    ``#`` starts a comment, lines that start with ``@`` or ``&`` (``.xvg``) are left out, and lines
    of text without any number are allowed above the numbers. Decimal commas are understood where
    the columns are separated by semicolons or white space. Two or three long rows in place of
    columns are transposed. Rows that end with VOTCA's flag are read without it: those of ``i`` (in
    range) are kept, those of ``o`` and ``u`` (out of range, undefined) left out.

    Parameters
    ----------
    path : Path
        The file.
    columns : mapping from int to str
        The numbers of columns that are allowed, and what they hold.
    chosen : sequence of int, optional
        Which columns of the file, counted from 1, are these; by default it has no others.

    Returns
    -------
    table : (n_rows, n_columns) array
    lines : (n_rows,) array
        Number of the line that each row came from.

    Raises
    ------
    InputError
        If the file cannot be read, holds no numbers, text among the numbers, or a number of
        columns that is not allowed or changes.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"The file '{path}' does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The file '{path}' cannot be read as text: {error}.") from error
    expected = " or ".join(f"{count} columns ({names})" for count, names in columns.items())
    rows: list[list[float]] = []
    lines: list[int] = []
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.split("#", 1)[0].strip()
        if not content or content[0] in "@&":
            continue
        fields = _fields(content)
        numbers = [_number(field) for field in fields]
        if not rows and all(value is None for value in numbers):
            continue
        if len(fields) > 2 and fields[-1] in FLAGS:
            if fields.pop() != IN_RANGE:
                continue
            numbers.pop()
        row = [value for value in numbers if value is not None]
        if len(row) < len(numbers):
            raise InputError(
                f"Line {number} of '{path}' should hold numbers, but "
                f"'{fields[numbers.index(None)]}' was found; put '#' in front of text."
            )
        if rows and len(row) != len(rows[0]):
            _check_number(len(rows[0]), columns, chosen, path, lines[0])
            raise InputError(
                f"Line {number} of '{path}' should have {len(rows[0])} columns like the lines "
                f"above it, but {len(row)} were found.{_of_vector(rows, row)}"
            )
        rows.append(row)
        lines.append(number)
    if not rows:
        expected = _expected(columns)
        raise InputError(f"The file '{path}' should have {expected} of numbers, but it has none.")
    table = np.array(rows)
    if chosen is None and len(rows) in columns and table.shape[1] > max(*columns, len(rows)):
        return table.T, np.full(table.shape[1], lines[0])
    _check_number(table.shape[1], columns, chosen, path, lines[0])
    if chosen is not None:
        table = table[:, [column - 1 for column in chosen]]
    return table, np.array(lines)


def _of_vector(rows: Sequence[Sequence[float]], row: Sequence[float]) -> str:
    """What to do with a file that LAMMPS's fix ave/time wrote in mode vector: blocks of rows, each
    under a line with a step and their number."""
    if len(rows) > 1 or len(rows[0]) != 2 or row[0] != 1.0:
        return ""
    return (
        " It looks like a file of LAMMPS's 'fix ave/time ... mode vector': keep the rows of its "
        "last block, without the line of the step above them, and name the columns of r and g(r), "
        "as 'columns: [2, 3]'; 'ave running' makes the last block the average of all."
    )


def _expected(columns: Mapping[int, str]) -> str:
    return " or ".join(f"{count} columns ({names})" for count, names in columns.items())


def _check_number(
    found: int, columns: Mapping[int, str], chosen: Sequence[int] | None, path: Path, line: int
) -> None:
    """Raise InputError if rows of so many numbers do not hold the columns that are asked for."""
    if chosen is None:
        if found not in columns:
            raise InputError(
                f"Line {line} of '{path}' should have {_expected(columns)}, but {found} were found."
            )
    elif len(chosen) not in columns or not all(1 <= column <= found for column in chosen):
        raise InputError(
            f"The columns {list(chosen)} of '{path}' should be {_expected(columns)}, each a number "
            f"from 1 to the {found} that the file has."
        )


def _fields(content: str) -> list[str]:
    words = content.split()
    if len(words) > 1 and "," in content and all(map(DECIMAL_COMMA.fullmatch, words)):
        return [word.replace(",", ".") for word in words]
    if ";" in content:
        return [field.strip().replace(",", ".") for field in content.split(";")]
    if "," in content:
        return [field.strip() for field in content.split(",")]
    return words


def _number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None
