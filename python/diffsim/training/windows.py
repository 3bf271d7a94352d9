"""Targets of the motion in a training: their systems, and the simulation of windows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from diffsim.arrays import Array
from diffsim.errors import InputError
from diffsim.lammps.devices import gpu_number
from diffsim.potentials.model import Model
from diffsim.response.adjoint import motion, motion_response, window_of
from diffsim.simulation import Frames, Recording, System, inspect, rdf_bins, simulate_windows
from diffsim.simulation.layout import Work
from diffsim.simulation.pieces import Simulator, within_half
from diffsim.simulation.protocol import Protocol
from diffsim.targets import WindowRDF, WindowTarget, distributions, motions, window_averages
from diffsim.targets.window import whole_steps
from diffsim.units import boltzmann

SUFFIX = "motion"  # of the system that holds the targets of the motion
RECORDED_BYTES = 104  # of an atom and step, while a window is recorded and taken
SMOOTH_BINS = 30  # to the cutoff


def separate(systems: Sequence[System], gradient: str, cutoff: float) -> list[System]:
    """Systems of which each is simulated in one way: frames of a run, or windows.

    Targets of the motion are simulated in windows of their own; they become a system
    NAME-motion, unless there are no others. With the gradient ``adjoint`` all systems are simulated
    in windows.

    Raises
    ------
    InputError
        If a system of that name is there already, or a target does not go with the gradient.
    """
    result = []
    for system in systems:
        moving: list[Any] = [t for t in system.targets if hasattr(t, "observe_window")]
        static: list[Any] = [t for t in system.targets if not hasattr(t, "observe_window")]
        if gradient == "reweighting" and moving:
            raise InputError(
                f"The {moving[0].label} of system '{system.name}' is a target, but reweighting "
                "cannot see the motion. Use 'gradient: auto', or leave the target out."
            )
        if gradient == "adjoint" and not system.validation:
            moving = [_in_windows(target, system, cutoff) for target in static] + moving
            static = []
        if static:
            result.append(replace(system, targets=static))
        if moving:
            name = f"{system.name}-{SUFFIX}" if static else system.name
            if static and any(other.name == name for other in systems):
                raise InputError(
                    f"The targets of the motion of system '{system.name}' make up a system "
                    f"'{name}', but there is another of that name. Rename it."
                )
            result.append(replace(system, name=name, targets=window_averages(moving)))
    return result


def _in_windows(target: Any, system: System, cutoff: float) -> WindowTarget:
    found = distributions([target])
    if not found:
        raise InputError(
            f"The {target.label} of system '{system.name}' is a target, but of what does not move "
            "only distribution functions can be differentiated along a trajectory. Use "
            "'gradient: auto', or leave the target out."
        )
    if system.intermolecular:
        raise InputError(
            f"The {target.label} of system '{system.name}' is intermolecular, which cannot be "
            "differentiated along a trajectory. Use 'gradient: auto'."
        )
    return WindowRDF(found[0], cutoff, cutoff / SMOOTH_BINS)


def is_of_motion(system: System) -> bool:
    """Whether the targets of a system that `separate` made are of the motion."""
    return bool(motions(system.targets))


@dataclass(frozen=True)
class WindowSimulator(Simulator):
    """Simulates windows of one system.

    Attributes
    ----------
    length
        Steps of a window.
    kt
        Thermal energy.
    species
        Names of the potential's species.
    """

    length: int = 0
    kt: float = 0.0
    species: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, system: System, index: int, potential: Model, protocol: Protocol, scratch: Path
    ) -> WindowSimulator:
        """As `Simulator.of`; raises InputError if a time is no whole number of steps."""
        types = system.types or tuple(potential.species)
        box = inspect(system, potential.units, types, scratch / f"{system.name}.log")
        system = within_half(system, box.half_width)
        bins, reach = rdf_bins(system, potential.cutoff, box)
        steps = [
            whole_steps(time, box.timestep, f"{target.label} of system '{system.name}'")
            for target in motions(system.targets)
            for time in target.times
        ]
        length = max(steps, default=protocol.window)
        _check_memory(system, box.atoms, length)
        kt = boltzmann(potential.units) * system.temperature
        species = tuple(potential.species)
        known = (bins, reach, box.atoms, box.density, box.bonds)
        return cls(system, index, *known, protocol, scratch, length, kt, species)

    def md_steps(self, state: str | None, frames: int | None = None) -> int:
        """MD steps of a piece, windows and what is between them."""
        return super().md_steps(state, frames) + self.protocol.shared_windows * self.length

    def _sampled(self, frames: int | None) -> tuple[int, int]:
        return self.protocol.shared_windows * self.protocol.spacing, self.protocol.spacing

    def _simulate(
        self,
        knots: Any,
        recording: Recording,
        seed: int,
        state: str | None,
        scratch: Path,
        processes: Any,
    ) -> tuple[Frames, str]:
        return simulate_windows(
            self.system,
            knots,
            recording,
            self.length,
            seed,
            state,
            scratch,
            self._analyse,
            processes,
            self.protocol.device,
        )

    def work(self) -> Work:
        """As `Simulator.work`; a window counts as long as it is, and what is before it."""
        every = self.protocol.spacing + self.length
        return Work(self.atoms, self.protocol.windows, every, self.protocol.relaxation)

    def _analyse(self, trajectory: Any, species_of_type: Sequence[int]) -> tuple[Array, Array]:
        window = window_of(trajectory, species_of_type, len(self.species), self.kt)
        targets = motions(self.system.targets)
        observed = motion(window, targets, self.species)
        if self.system.validation:
            return observed, np.empty((0, 0))
        # a list gives the numbers for nested regions
        threads = int(os.environ.get("OMP_NUM_THREADS", "1").split(",")[0] or 1)
        return observed, motion_response(
            trajectory,
            window,
            targets,
            self.species,
            species_of_type,
            threads,
            gpu_number(self.protocol.device),
        )


def _check_memory(system: System, atoms: int, length: int) -> None:
    needed = RECORDED_BYTES * atoms * length
    present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > present:
        raise InputError(
            f"The targets of the motion of system '{system.name}' ask for windows of {length} "
            f"steps of {atoms} atoms, which take {needed / 1e9:.0f} GB, but this machine has "
            f"{present / 1e9:.0f} GB. Check the unit of time of the targets, and leave out their "
            "longest times."
        )
