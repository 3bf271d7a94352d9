"""What a training begins with: simulators, and a potential fitted to the targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from diffsim.arrays import Array
from diffsim.errors import InputError
from diffsim.knots import Grid, knot_values
from diffsim.optimizers.first_potential import Begin, begin
from diffsim.optimizers.gauss_newton import GIVEN
from diffsim.response.ensemble import Ensemble
from diffsim.simulation import System
from diffsim.simulation.pieces import Simulator
from diffsim.simulation.protocol import Protocol
from diffsim.targets import RDF
from diffsim.training.checks import check_species
from diffsim.training.windows import WindowSimulator, is_of_motion
from diffsim.units import boltzmann

STARTS = ("mie", "hnc", "pmf", "potential")


def check_start(start: str) -> None:
    """Raise InputError unless a start is one of `STARTS`."""
    if start not in STARTS:
        raise InputError(f"The start is '{start}'; it must be one of {', '.join(STARTS)}.")


def simulators_of(
    systems: Sequence[System], potential: Any, protocol: Protocol, scratch: Path
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
    potential: Any,
    systems: Sequence[System],
    simulators: Sequence[Simulator],
    reference: Any = None,
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
        if any(isinstance(target, RDF) for target in system.targets)
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
