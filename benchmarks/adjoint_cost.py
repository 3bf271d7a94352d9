"""What a step of the adjoint's backward sweep costs, next to a step of LAMMPS."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from lammps_runs import RunError, interleaved

from diffsim import _core
from diffsim.lammps.engine import lammps_instance

STEPS = {1000: 200, 4096: 100}
"""Steps timed at each number of atoms."""

QUICK_STEPS = 5
INTEGRATORS = {
    "nve": ["fix integrate all nve"],
    "langevin": ["fix integrate all nve", "fix thermostat all langevin 1.0 1.0 0.5 4711"],
    "nvt": ["fix integrate all nvt temp 1.0 1.0 0.5"],
}
CUTOFF, INNER, KNOTS = 2.5, 0.8, 250
DENSITY, MELTING = 0.7, 300  # MELTING is a number of steps

Variant = tuple[str, str]
"""Integrator and instruction set."""


@dataclass(frozen=True)
class Times:
    """Processor time in seconds per step, and memory.

    Attributes
    ----------
    plain, recording
        A step of LAMMPS, without and with fix diffsim/trajectory.
    backward
        A step of the sweep.
    bytes
        Of the recorded trajectory, per atom and step.
    """

    plain: float
    recording: float
    backward: float
    bytes: float


def measure(
    folder: Path, atoms: int, kernels: Sequence[str], rounds: int, quick: bool
) -> dict[Variant, list[Times]]:
    """Times of all integrators and instruction sets, in every round.

    Every variant is an instance of LAMMPS that lives as long as the measurement and simulates on.
    A round times all of them, in a new order; forward and backward are timed one right after the
    other, so that their ratio does not see how fast the machine is at the time.
    """
    steps = QUICK_STEPS if quick else STEPS[atoms]
    knots = folder / "smooth.knots"
    r = np.sqrt(np.linspace(INNER**2, CUTOFF**2, KNOTS))
    energy = 4.0 * (r**-12 - r**-6) * (1.0 - (r / CUTOFF) ** 2) ** 3
    _core.Knots("lj", ["A"], CUTOFF, [INNER], energy[None]).write(str(knots))
    with contextlib.ExitStack() as stack:
        variants = {}
        for integrator in INTEGRATORS:
            for kernel in kernels:
                log = folder / f"{integrator}-{kernel}-{atoms}.log"
                lammps = stack.enter_context(_melted(log, atoms, integrator, kernel, knots))
                if f"Pair style diffsim: {kernel} kernels, 1 thread" not in log.read_text():
                    raise RunError(f"LAMMPS does not say that it uses the {kernel} kernels.")
                variants[integrator, kernel] = partial(_time, lammps, kernel, steps)
        interleaved(1, variants)  # what is slow only the first time
        return interleaved(rounds, variants)


@contextlib.contextmanager
def _melted(log: Path, atoms: int, integrator: str, kernel: str, knots: Path) -> Iterator[Any]:
    """LAMMPS with a fluid near equilibrium and the fixes that integrate it."""
    cells = round(atoms ** (1.0 / 3.0))
    os.environ["DIFFSIM_INSTRUCTIONS"] = kernel  # read when the pair style is made
    try:
        with lammps_instance(log, {}) as lammps:
            lammps.commands_list(
                [
                    "units lj",
                    f"lattice sc {DENSITY}",
                    f"region box block 0 {cells} 0 {cells} 0 {cells}",
                    "create_box 1 box",
                    "create_atoms 1 box",
                    "mass 1 1.0",
                    "velocity all create 1.0 12345",
                    "timestep 0.005",
                    "pair_style diffsim",
                    f"pair_coeff * * {knots} A",
                    "thermo_modify flush yes",
                    *INTEGRATORS["langevin"],
                    f"run {MELTING}",
                    "unfix integrate",
                    "unfix thermostat",
                    *INTEGRATORS[integrator],
                ]
            )
            yield lammps
    finally:
        os.environ.pop("DIFFSIM_INSTRUCTIONS", None)


def _time(lammps: Any, kernel: str, steps: int) -> Times:
    lammps.command("run 0 post no")  # the set-up is no part of a step
    plain = _seconds(lambda: lammps.command(f"run {steps} pre no post no"))
    lammps.command("fix record all diffsim/trajectory")
    recording = _seconds(lambda: lammps.command(f"run {steps} post no"))
    (trajectory,) = _core.take_trajectories(lammps.lmp.value, "record")
    lammps.command("unfix record")
    derivatives = np.zeros(trajectory.v.shape)
    derivatives[-1] = trajectory.v[0]
    backward = _seconds(lambda: _core.adjoint(trajectory, None, derivatives, instructions=kernel))
    size = trajectory.nbytes / derivatives[..., 0].size
    return Times(plain / steps, recording / steps, backward / steps, size)


def _seconds(action: Any) -> float:
    """Processor time, which does not count what other programs take of the machine."""
    begin = time.process_time()
    action()
    return time.process_time() - begin
