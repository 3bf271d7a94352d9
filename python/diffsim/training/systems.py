"""The systems that a configuration describes, with their targets read from their files."""

from __future__ import annotations

from diffsim.simulation import System
from diffsim.training.config import Config


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
