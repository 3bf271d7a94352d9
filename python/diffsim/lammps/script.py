"""What LAMMPS has to know of a system: its script, and the values of the script's variables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol


class Script(Protocol):
    """A LAMMPS script of a state point, as `diffsim.simulation.System` has it."""

    @property
    def script(self) -> Path:
        """The file."""

    @property
    def name(self) -> str:
        """For sentences and names of files."""

    @property
    def temperature(self) -> float:
        """In the script's units."""

    @property
    def types(self) -> Sequence[str] | None:
        """Species of the LAMMPS types 1, 2, ...; the potential's species in order by default."""

    @property
    def intermolecular(self) -> bool:
        """Whether pairs within a molecule are left out of distribution functions."""

    def script_variables(self, seed: int) -> dict[str, Any]:
        """The values of all variables that the script can use."""
