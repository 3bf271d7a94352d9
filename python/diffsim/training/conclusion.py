"""What the last iteration of a training says of its systems and its potential, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from diffsim.knots import Grid, knot_values_at
from diffsim.simulation import Frames, System
from diffsim.species import species_pairs
from diffsim.targets import RDF, Density, Pressure
from diffsim.training.plausibility import floated, high_pressure, without_well
from diffsim.units import boltzmann


def concluding_events(
    potential: Any,
    grid: Grid,
    systems: Sequence[System],
    latest: Sequence[Frames],
    entries: Mapping[str, Mapping[str, Any]],
    densities: Mapping[str, float],
) -> list[str]:
    """Sentences about densities, pressures and potentials that are hardly those of the target.

    Parameters
    ----------
    potential, grid
        With its best weights, and the knots of the training.
    systems, latest, entries
        Systems that are trained on, and of each the frames and the numbers of the last iteration.
    densities
        Number density of each system as its script makes it.
    """
    sentences: list[str | None] = []
    temperatures = [system.temperature for system in systems]
    values = knot_values_at(potential, grid, temperatures)
    k_b = boltzmann(grid.units)
    pairs = species_pairs(len(grid.species))
    for system, frames, energies in zip(systems, latest, values, strict=True):
        entry, kt = entries[system.name], k_b * system.temperature
        holds = {type(target) for target in system.targets}
        if "density" in entry and Density not in holds:
            start = densities[system.name]
            sentences.append(floated(system.name, start, entry["density"][0]))
        if Pressure not in holds and "density" not in entry:
            ideal = frames.atoms.sum() * kt / frames.volume.mean() * frames.pressure_unit
            sentences.append(
                high_pressure(system.name, grid.units, entry["pressure"], float(ideal))
            )
            for target in system.targets:
                if isinstance(target, RDF):
                    names = sorted(target.pair, key=list(grid.species).index)
                    a, b = (list(grid.species).index(name) for name in names)
                    u = energies[pairs.index((a, b))].detach().numpy()
                    sentences.append(without_well("-".join(names), u, target.g, kt))
    return list(dict.fromkeys(sentence for sentence in sentences if sentence))
