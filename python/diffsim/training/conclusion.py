"""What the last iteration of a training says of its systems and its potential, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from diffsim.arrays import Array
from diffsim.knots import Grid, knot_values_at
from diffsim.potentials.model import Model
from diffsim.response.interacting_pairs import counts_others
from diffsim.simulation import Frames, System
from diffsim.targets import Density, Pressure, distributions
from diffsim.theory.state_point import change_with_density
from diffsim.training.measurement import temperature_event
from diffsim.training.outcome import SEEN, Outcome, seen_energies
from diffsim.training.plausibility import (
    floated,
    high_pressure,
    misfit,
    of_this_state,
    slow,
    undetermined_pressure,
    without_well,
    wrong_by,
)
from diffsim.units import boltzmann


def concluding_events(
    potential: Model,
    grid: Grid,
    systems: Sequence[System],
    latest: Sequence[Frames],
    outcome: Outcome,
    densities: Mapping[str, float],
) -> list[str]:
    """Sentences about densities, pressures and potentials that are hardly those of the target.

    Parameters
    ----------
    potential, grid
        With its best weights, and the knots of the training.
    systems, latest
        Systems that are trained on, and of each the frames of the last accepted iteration.
    outcome
        The best potential, and its numbers.
    densities
        Number density of each system as its script makes it.
    """
    numbers = outcome.numbers
    sentences: list[str | None] = []
    temperatures = [system.temperature for system in systems]
    values = knot_values_at(potential, grid, temperatures)
    k_b = boltzmann(grid.units)
    for system, frames, energies in zip(systems, latest, values, strict=True):
        entry, kt = outcome.systems[system.name], k_b * system.temperature
        holds = {type(target) for target in system.targets}
        if "density" in entry and Density not in holds:
            start = densities[system.name]
            sentences.append(floated(system.name, start, entry["density"][0]))
        if distributions(system.targets) and "density" not in entry and "uncertainty" in numbers:
            changes = changes_with_state(grid, energies.detach().numpy(), frames, kt)
            if changes is not None:
                sentences.append(of_this_state(system.name, *changes, numbers["uncertainty"]))
        if Pressure not in holds and "density" not in entry:
            ideal = frames.atoms.sum() * kt / frames.volume.mean() * frames.pressure_unit
            sentences.append(
                high_pressure(system.name, grid.units, entry["pressure"], float(ideal))
            )
            if "pressure_error" in entry:
                error = entry["pressure_error"]
                sentences.append(
                    undetermined_pressure(system.name, entry["pressure"], error, float(ideal))
                )
            for target in distributions(system.targets):
                names = sorted(target.pair, key=list(grid.species).index)
                u = energies[target.pair_index(grid.species)].detach().numpy()
                sentences.append(without_well("-".join(names), u, target.g, kt))
        sentences.append(temperature_event(system, frames))
        sentences += [wrong_by(system.name, each.label, numbers) for each in system.targets]
    sizes = (
        numbers.get(name, 0.0) for name in ("rough_misfit", "misfit_of_place", "smooth_misfit")
    )
    sentences.append(misfit(*sizes))
    sentences.append(slow(numbers.get("slowest_mode", 1.0)))
    sentences += time_events(systems, latest, grid.species)
    return list(dict.fromkeys(sentence for sentence in sentences if sentence))


def changes_with_state(
    grid: Grid, energies: Array, frames: Frames, kt: float
) -> tuple[float, float] | None:
    """Change of a system's potential with one per cent of density and of temperature.

    With the temperature it changes in proportion, as g(r) is a function of u / kT; with the density
    see `diffsim.theory.state_point`. Nothing of molecules, whose g(r) is not that of a fluid of
    atoms, and where a species is missing.

    Parameters
    ----------
    grid, energies
        The knots, and the potential there, shape (P, K).
    frames
        Of the last iteration.
    kt
        Thermal energy.

    Returns
    -------
    Root mean squares over the recorded bins where g > 0.1, below the cutoff.
    """
    pairs = range(len(energies))
    centres = 0.5 * (frames.edges[:-1] + frames.edges[1:])
    inside = centres < grid.cutoff
    pairs_of = frames.distances.mean(axis=0)
    counts = frames.counts.mean(axis=0)
    if frames.atoms.min() == 0 or not all(frames.has_pairs(pair) for pair in pairs):
        return None
    width = frames.bin_width
    if any(counts_others(pairs_of[pair], counts[pair], width, grid, pair) for pair in pairs):
        return None
    g = np.array([frames.rdf(pair).mean(axis=0) for pair in pairs])
    density = frames.atoms / float(frames.volume.mean())
    seen = (g > SEEN) & inside
    by_density = kt * change_with_density(width, g, density)[seen]
    u = seen_energies(grid, energies, frames)
    return 0.01 * float(np.sqrt(np.mean(by_density**2))), 0.01 * float(np.sqrt(np.mean(u**2)))


def time_events(
    systems: Sequence[System], latest: Sequence[Frames], species: Sequence[str]
) -> list[str]:
    """Sentences about targets whose axis is not that of the simulation."""
    sentences = [
        target.doubt(frames, species)
        for system, frames in zip(systems, latest, strict=True)
        for target in system.averages
    ]
    return [sentence for sentence in sentences if sentence]
