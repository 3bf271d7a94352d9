"""Constants in LAMMPS's unit styles."""

from __future__ import annotations

from diffsim import _core

REFERENCE_TEMPERATURE = 300.0  # K, of `_core.reference_energy` in all styles but lj


def boltzmann(units: str) -> float:
    """k_B in the energy unit of a LAMMPS units style per kelvin; 1 in lj units."""
    energy = float(_core.reference_energy(units))
    return energy if units == "lj" else energy / REFERENCE_TEMPERATURE
