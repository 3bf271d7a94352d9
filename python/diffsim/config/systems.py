"""The systems that a configuration describes, with their targets read from their files."""

from __future__ import annotations

from collections.abc import Sequence

from diffsim import optimizers
from diffsim.config.schema import Config
from diffsim.simulation import System
from diffsim.training.fine_bins import with_merged_bins


def load_systems(config: Config) -> list[System]:
    """One system for each of the configuration, in its order.

    Raises
    ------
    InputError
        If the file of a target cannot be read, or is none.
    """
    return [
        System(
            script=system.script,
            temperature=system.temperature,
            targets=[target.load() for target in system.targets],
            name=system.name,
            types=system.types,
            variables=system.variables,
            weight=system.weight,
            intermolecular=system.intermolecular,
            validation=system.validation,
        )
        for system in config.systems
    ]


def as_trained(systems: Sequence[System], config: Config, cutoff: float) -> list[System]:
    """Systems that a configuration describes, with the bins that its training has."""
    optimizer = optimizers.create(config.optimizer.name, **config.optimizer.options)
    return with_merged_bins(systems, optimizer, cutoff)[0]
