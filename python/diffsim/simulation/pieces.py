"""A piece of simulation: its seed, its lengths, and whether it can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from diffsim.errors import SimulationError
from diffsim.potentials.model import Model
from diffsim.simulation import Frames, Recording, System, inspect, rdf_bins, simulate
from diffsim.simulation.layout import Work
from diffsim.simulation.protocol import Protocol
from diffsim.targets import distributions

FAR = 0.25  # of the temperature: no thermostat that works is so far off
FLUCTUATIONS = 4.0  # standard deviations of the temperature of a few atoms


@dataclass(frozen=True)
class Simulator:
    """Simulates pieces of one system.

    Attributes
    ----------
    system
        What is simulated; its g(r) end at half of the box.
    index
        Of the system in the training: its random numbers are its own.
    bins, reach
        In which distances are counted.
    atoms
        Their number.
    density
        Number density of each species, as the script makes the atoms.
    bonds
        Number of bonds.
    protocol
        Lengths of the pieces.
    scratch
        Folder for LAMMPS's files.
    """

    system: System
    index: int
    bins: int
    reach: float
    atoms: int
    density: Mapping[str, float]
    bonds: int
    protocol: Protocol
    scratch: Path

    @classmethod
    def of(
        cls, system: System, index: int, potential: Model, protocol: Protocol, scratch: Path
    ) -> Simulator:
        """Run the script of a system once, to find its mistakes and the size of its box.

        Raises
        ------
        InputError, SimulationError
            As `diffsim.simulation.inspect` and `rdf_bins`.
        """
        types = system.types or tuple(potential.species)
        box = inspect(system, potential.units, types, scratch / f"{system.name}.log")
        system = within_half(system, box.half_width)
        bins, reach = rdf_bins(system, potential.cutoff, box)
        known = (bins, reach, box.atoms, box.density, box.bonds)
        return cls(system, index, *known, protocol, scratch)

    def md_steps(self, state: str | None, frames: int | None = None) -> int:
        """MD steps of a piece that starts from a state, or from the script."""
        return self._relaxation(state) + self._sampled(frames)[0]

    def _sampled(self, frames: int | None) -> tuple[int, int]:
        """MD steps that are sampled, and from frame to frame."""
        return self.protocol.sampled(frames), self.protocol.every

    def piece(
        self,
        knots: Any,
        state: str | None,
        usual: float | None,
        seed: tuple[int, ...],
        frames: int | None = None,
        replica: int = 0,
        processes: Any = None,
    ) -> tuple[Frames, str]:
        """Simulate a piece.

        Parameters
        ----------
        knots
            The potential.
        state
            Where an earlier piece ended; None for the atoms as the script makes them.
        usual
            Temperature at the end of the first piece, if this is a later one: where it is as wrong
            as that of this one, the script holds it, and it is no failure.
        seed
            Of the training, iteration and attempt.
        frames
            How many to take of all replicas, if it is less than what the protocol allows.
        replica
            Which of the independent simulations of the system this is: it has random numbers and
            files of its own.
        processes
            MPI communicator of those that simulate together; None is this process alone.

        Returns
        -------
        frames, state
            As `diffsim.simulation.simulate`.

        Raises
        ------
        SimulationError
            If LAMMPS stops, an energy is not finite, or the temperature at the end is far from
            both the system's and `usual`.
        """
        recording = Recording(
            self._relaxation(state),
            *self._sampled(frames),
            self.bins,
            self.reach,
            self.system.intermolecular,
        )
        # a new, reproducible seed for every piece; LAMMPS wants a positive int
        training, iteration, *attempt = seed
        words = [training, iteration, self.index, *attempt]
        sequence = np.random.SeedSequence(words, spawn_key=(replica,) if replica else ())
        number = int(sequence.generate_state(1)[0] % 900_000_000) + 1
        scratch = self.scratch / f"replica{replica + 1}" if replica else self.scratch
        scratch.mkdir(parents=True, exist_ok=True)  # on another machine there may be none
        recorded, end = self._simulate(knots, recording, number, state, scratch, processes)
        advice = (
            f"in iteration {iteration}: its simulation is unstable. Use a smaller time step or "
            f"smaller steps of the optimizer. The log is {scratch / self.system.name}.log."
        )
        if not np.all(np.isfinite(recorded.energy)):
            raise SimulationError(
                f"The energy of system '{self.system.name}' is not finite {advice}"
            )
        if usual is not None and self._too_far(recorded, usual):
            raise SimulationError(
                f"The kinetic temperature of system '{self.system.name}' ended at "
                f"{final_temperature(recorded):.4g}, where {self.system.temperature:.4g} is given, "
                f"{advice}"
            )
        return recorded, end

    def _simulate(
        self,
        knots: Any,
        recording: Recording,
        seed: int,
        state: str | None,
        scratch: Path,
        processes: Any,
    ) -> tuple[Frames, str]:
        device = self.protocol.device
        return simulate(self.system, knots, recording, seed, state, scratch, processes, device)

    def work(self) -> Work:
        """What an iteration asks for."""
        steps, every = self._sampled(None)
        return Work(self.atoms, steps // every, every, self.protocol.relaxation)

    def _relaxation(self, state: str | None) -> int:
        return self.protocol.equilibration if state is None else self.protocol.relaxation

    def _too_far(self, frames: Frames, usual: float) -> bool:
        # Var(T) = 2 T^2 / (3 N) in one frame: an average over frames varies no more than that
        atoms = max(int(frames.atoms.sum()), 1)
        allowed = max(FAR, FLUCTUATIONS * np.sqrt(2.0 / (3.0 * atoms)))
        final = final_temperature(frames)
        # written so that NaN is too far
        return not any(
            abs(final / value - 1.0) <= allowed for value in (self.system.temperature, usual)
        )


def within_half(system: System, half_width: float) -> System:
    """A system whose distribution functions end at half of the width of its box: beyond, those of
    the simulation are not defined."""
    return replace(system, targets=[target.within(half_width) for target in system.averages])


def said_of_ends(given: Sequence[System], simulated: Sequence[System]) -> list[str]:
    """Sentences about distribution functions that are not compared to their ends."""
    sentences = []
    for before, after in zip(given, simulated, strict=True):
        pairs = zip(distributions(before.targets), distributions(after.targets), strict=True)
        for whole, kept in pairs:
            if len(kept.r) < len(whole.r):
                sentences.append(
                    f"The target g(r) of {'-'.join(whole.pair)} of system '{before.name}' reaches "
                    f"to r = {whole.edges[-1]:.4g}; it is compared up to {kept.edges[-1]:.4g}, as "
                    "half of the box is not wider. The start knows all of it."
                )
    return sentences


def final_temperature(frames: Frames) -> float:
    """Kinetic temperature, averaged over the later half of a piece."""
    return float(frames.temperature[len(frames) // 2 :].mean())
