"""Reading columns of numbers from a text file, with errors that name the line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffsim.errors import InputError


def read_columns(
    path: Path, columns: Mapping[int, str]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read a table of numbers separated by commas, semicolons or white space.

    ``#`` starts a comment, lines that start with ``@`` or ``&`` (``.xvg``) are left out, and lines
    of text without any number are allowed above the numbers.

    Parameters
    ----------
    path : Path
        The file.
    columns : mapping from int to str
        The numbers of columns that are allowed, and what they hold.

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
        row = [value for value in numbers if value is not None]
        if len(row) < len(numbers):
            raise InputError(
                f"Line {number} of '{path}' should hold numbers, but "
                f"'{fields[numbers.index(None)]}' was found; put '#' in front of text."
            )
        if len(row) not in columns:
            raise InputError(
                f"Line {number} of '{path}' should have {expected}, but {len(row)} were found."
            )
        if rows and len(row) != len(rows[0]):
            raise InputError(
                f"Line {number} of '{path}' should have {len(rows[0])} columns like the lines "
                f"above it, but {len(row)} were found."
            )
        rows.append(row)
        lines.append(number)
    if not rows:
        raise InputError(f"The file '{path}' should have {expected} of numbers, but it has none.")
    return np.array(rows), np.array(lines)


def _fields(content: str) -> list[str]:
    for separator in ";,":
        if separator in content:
            return [field.strip() for field in content.split(separator)]
    return content.split()


def _number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None
