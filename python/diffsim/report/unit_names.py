"""Names of LAMMPS's units, for the axes of plots."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class UnitNames:
    """Of the quantities that a report shows, in one of LAMMPS's unit styles."""

    length: str
    energy: str
    time: str
    pressure: str
    temperature: str = "K"


UNIT_NAMES = {
    "lj": UnitNames("σ", "ε", "τ", "ε/σ³", "ε/k"),  # noqa: RUF001
    "real": UnitNames("Å", "kcal/mol", "fs", "atm"),
    "metal": UnitNames("Å", "eV", "ps", "bar"),
    "si": UnitNames("m", "J", "s", "Pa"),
    "cgs": UnitNames("cm", "erg", "s", "dyn/cm²"),
    "electron": UnitNames("Bohr", "Hartree", "fs", "Pa"),
    "micro": UnitNames("µm", "pg µm²/µs²", "µs", "pg/(µm µs²)"),
    "nano": UnitNames("nm", "ag nm²/ns²", "ns", "ag/(nm ns²)"),
}
"""For every unit style of `diffsim.potentials.UNITS`."""
