"""Windows of a trajectory: (script, knots, state, seed) -> (frames, state).

Each window begins with a frame and has every step recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from diffsim import _core
from diffsim.arrays import Array
from diffsim.lammps.engine import FIX_ID, Recording, started
from diffsim.lammps.processes import on_first
from diffsim.lammps.script import Script
from diffsim.records.frames import Frames, concatenate

TRAJECTORY_ID = "diffsim_trajectory"

Analysis = Callable[[Any, Sequence[int]], tuple[Array, Array]]
"""(trajectory, species of its types) -> observables (M,), their derivatives (M, P (K + 2))."""


def simulate_windows(
    system: Script,
    knots: Any,
    recording: Recording,
    length: int,
    seed: int,
    start: str | None,
    scratch: Path,
    analyse: Analysis,
    processes: Any = None,
    device: str = "cpu",
) -> tuple[Frames, str]:
    """Simulate windows of a trajectory, and analyse each as soon as it is there.

    Parameters
    ----------
    system, knots, seed, start, scratch, processes, device
        As of `simulate`.
    recording
        Of the frames that windows begin with: a window follows each of them, so that `every` is the
        number of steps from the end of a window to the next frame.
    length
        Steps of a window.
    analyse
        What is kept of a window: a trajectory of a thousand atoms and a thousand steps takes 48 MB.

    Returns
    -------
    frames, state
        The frames that windows begin with, and what `analyse` says of the windows in `motion` and
        `motion_response`; the last configuration.

    Raises
    ------
    SimulationError
        With LAMMPS's own message, if LAMMPS stops, or cannot differentiate the simulation.
    AbortedError, InputError
        As `simulate`.
    """
    frames: list[Frames] = []
    with started(system, knots, seed, start, scratch, processes, device) as run:
        if recording.relaxation:
            run.commands(f"run {recording.relaxation}")
        for _ in range(recording.steps // recording.every):
            run.commands("reset_timestep 0", recording.fix(), f"run {recording.every}")
            frame = run.take_frames()
            run.commands(
                f"unfix {FIX_ID}",
                f"fix {TRAJECTORY_ID} all diffsim/trajectory",
                f"run {length}",
            )
            trajectories = _core.take_trajectories(run.lammps.lmp.value, TRAJECTORY_ID)
            run.commands(f"unfix {TRAJECTORY_ID}")
            # the first process has the states of all atoms
            motion, response = on_first(
                processes, partial(_of_the_only, trajectories, analyse, run.species_of_type)
            )
            frames.append(replace(frame, motion=motion[None], motion_response=response[None]))
        return concatenate(frames), run.state()


def _of_the_only(
    trajectories: Sequence[Any], analyse: Analysis, species_of_type: Sequence[int]
) -> tuple[Array, Array]:
    (trajectory,) = trajectories
    return analyse(trajectory, species_of_type)
