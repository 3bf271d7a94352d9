"""What a training begins with: simulators, knots, and a potential fitted to the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from diffsim import _core
from diffsim.arrays import Array
from diffsim.errors import InputError
from diffsim.knots import Grid, choose_grid, knot_values
from diffsim.optimizers import Optimizer
from diffsim.optimizers.first_potential import Begin, begin
from diffsim.optimizers.gauss_newton import GIVEN
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble
from diffsim.simulation import System
from diffsim.simulation.pieces import Simulator, said_of_ends
from diffsim.simulation.protocol import Protocol
from diffsim.targets import distributions
from diffsim.training.checks import check_ranges, check_species, check_temperatures
from diffsim.training.fine_bins import with_merged_bins
from diffsim.training.finite_size import at_simulated_size
from diffsim.training.windows import WindowSimulator, is_of_motion, separate
from diffsim.units import boltzmann

STARTS = ("mie", "hnc", "pmf", "potential")
"""Where the potential begins. ``mie``: at the Mie potential whose fluid has the structure of the
targets, or where there is none as ``hnc``: at the potential of the hypernetted chain approximation,
fitted to the potential, or where a system has none at that of mean force; ``pmf``: at that of mean
force; ``potential``: as it is."""


@dataclass(frozen=True)
class Prepared:
    """What is there before the first simulation; the potential has been fitted to the targets.

    Attributes
    ----------
    simulators, tested
        Of the systems that are trained on, with their targets as they are compared, and of the
        validation systems.
    grid, spline_error
        The knots, and by how much the spline misses the potential.
    anchors
        Potentials at the knots to which corrections may be anchored, by name, (P, K) each.
    from_structure
        Whether the potential starts from what the theory of liquids says of the targets.
    said
        Sentences about what was done to the targets, and where the training starts.
    """

    simulators: Sequence[Simulator]
    tested: Sequence[Simulator]
    grid: Grid
    spline_error: _core.SplineError
    anchors: Mapping[str, Array]
    from_structure: bool
    said: Sequence[str]


def prepare(
    potential: Model,
    systems: Sequence[System],
    optimizer: Optimizer,
    protocol: Protocol,
    start: str,
    gradient: str,
    tolerance: float,
    scratch: Path,
    reference: Model | None,
) -> Prepared:
    """Bring targets and simulations together, and fit the potential; see `Trainer`.

    Raises
    ------
    InputError
        If the systems do not fit the potential or each other.
    SimulationError
        If a script has an error.
    """
    cutoff = float(potential.cutoff)
    systems, sizes = at_simulated_size(systems, potential, scratch)
    systems, merged = with_merged_bins(systems, optimizer, cutoff)
    given = [system for system in systems if not system.validation]
    systems = separate(systems, gradient, cutoff)
    trained = [system for system in systems if not system.validation]
    check_temperatures(potential, trained, optimizer)
    ranges = check_ranges(given, cutoff)
    ordered = trained + [system for system in systems if system.validation]
    simulators = simulators_of(ordered, potential, protocol, scratch)
    ends = said_of_ends(ordered, [simulator.system for simulator in simulators])
    first = fit_start(start, potential, given, simulators, reference)
    grid, spline_error = choose_grid(
        potential, tolerance, [system.temperature for system in ordered]
    )
    return Prepared(
        simulators[: len(trained)],
        simulators[len(trained) :],
        grid,
        spline_error,
        {name: curve(grid) for name, curve in first.anchors.items()},
        start != "potential" and bool(first.anchors),
        ranges + sizes + merged + ends + first.events,
    )


def check_start(start: str) -> None:
    """Raise InputError unless a start is one of `STARTS`."""
    if start not in STARTS:
        raise InputError(f"The start is '{start}'; it must be one of {', '.join(STARTS)}.")


def simulators_of(
    systems: Sequence[System], potential: Model, protocol: Protocol, scratch: Path
) -> list[Simulator]:
    """One for each system, in their order.

    Raises
    ------
    InputError
        If a system has species that the potential does not have.
    SimulationError
        If a script has an error.
    """
    result = []
    for index, system in enumerate(systems):
        check_species(system, tuple(potential.species))
        kind = WindowSimulator if is_of_motion(system) else Simulator
        result.append(kind.of(system, index, potential, replace(protocol, replicas=1), scratch))
    return result


def fit_start(
    start: str,
    potential: Model,
    systems: Sequence[System],
    simulators: Sequence[Simulator],
    reference: Model | None = None,
) -> Begin:
    """Fit a potential to what the targets say before anything is simulated.

    Parameters
    ----------
    start
        One of `STARTS`.
    potential
        Changed in place.
    systems
        Those that are trained on, as they were given.
    simulators
        They know the density of each system, by its name.
    reference
        A potential that corrections are anchored to, in place of what the structure says.
    """
    density = {simulator.system.name: simulator.density for simulator in simulators}
    k_b, species = boltzmann(potential.units), tuple(potential.species)
    known = [
        (Ensemble(system, k_b, species, potential.cutoff), density[system.name])
        for system in systems
        if distributions(system.targets)
    ]
    first = begin(
        potential, [ensemble for ensemble, _ in known], [density for _, density in known], start
    )
    if reference is not None:

        def energies(grid: Grid) -> Array:
            return np.asarray(knot_values(reference, grid).detach().numpy())

        first = replace(first, anchors={GIVEN: energies})
    if known or start == "potential":
        return first
    return replace(
        first,
        events=[
            "No system has a distribution function as a target: the training starts from the "
            "potential as it is."
        ],
    )
