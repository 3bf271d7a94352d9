"""Formats of files that hold a potential; which one it is the file itself says.

To add a format, write a function that knows it by the first bytes of a file and one that reads it,
and add a line to `FORMATS`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from diffsim.errors import ModelError
from diffsim.potentials.base import PairPotential
from diffsim.potentials.model_file import read_model_file
from diffsim.potentials.tabulated import is_knots_file, read_knots_file

HEAD = 4096  # bytes of a file that its format is known by

Reader = Callable[[str | os.PathLike[str], bool], PairPotential]
FORMATS: list[tuple[Callable[[bytes], bool], Reader]] = [
    (is_knots_file, read_knots_file),
    (lambda head: True, read_model_file),
]
"""How a format is known and read, in the order in which they are tried; what is no other one should
be TorchScript, and is told what is wrong with it."""


def load(path: str | os.PathLike[str], ends_at_zero: bool = True) -> PairPotential:
    """Read a potential, whoever wrote it: a model file (TorchScript) or a knots file.

    Parameters
    ----------
    path
        File that keeps the contract of the model file, or a knots file.
    ends_at_zero
        Whether the energy must go to zero at the cutoff; see `diffsim.potentials.check_model`.

    Returns
    -------
    PairPotential
        That of a model file is ready to be trained further; that of a knots file has no weights.

    Raises
    ------
    ModelError
        If the file is missing or is of no such format, or the model breaks the contract.
    """
    if not Path(path).is_file():
        raise ModelError(f"The model file {path} does not exist; check the path.")
    with Path(path).open("rb") as file:
        head = file.read(HEAD)
    return next(read for knows, read in FORMATS if knows(head))(path, ends_at_zero)
