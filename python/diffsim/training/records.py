"""What a training is told and what it tells: lengths of simulations, and a line of the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from diffsim.errors import InputError
from diffsim.knots import Array
from diffsim.simulation import Frames
from diffsim.training.layout import shared_frames


@dataclass(frozen=True)
class Protocol:
    """Lengths in MD steps.

    Attributes
    ----------
    steps
        Sampled in every iteration, at most; a multiple of `every`.
    every
        Steps between frames.
    equilibration
        Not sampled, before the first iteration.
    relaxation
        Not sampled, at the start of every later iteration.
    windows
        In every iteration, for targets of the motion.
    spacing
        From the end of a window to the beginning of the next.
    window
        Length of a window, where no target of the motion says it.
    replicas
        Independent simulations of each system, which share the frames or windows of an iteration;
        None for as many as make use of all processes.
    ranks_per_simulation
        MPI processes of each simulation; None to choose.
    device
        ``"cpu"``, ``"cuda"`` or ``"cuda:N"``, as of pair_style diffsim.
    """

    steps: int = 2500
    every: int = 20
    equilibration: int = 2000
    relaxation: int = 250
    windows: int = 20
    spacing: int = 100
    window: int = 100
    replicas: int | None = None
    ranks_per_simulation: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, lowest in (
            ("steps", 1),
            ("every", 1),
            ("equilibration", 0),
            ("relaxation", 0),
            ("windows", 2),
            ("spacing", 1),
            ("window", 1),
        ):
            if getattr(self, name) < lowest:
                what = "windows" if name == "windows" else "MD steps"
                raise InputError(
                    f"The number of {what} '{name}' is {getattr(self, name)}; it must be at "
                    f"least {lowest}."
                )
        for name in ("replicas", "ranks_per_simulation"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"The number '{name}' is {value}; it must be at least 1.")
        if self.steps % self.every or self.steps < 2 * self.every:
            raise InputError(
                f"An iteration of {self.steps} steps with a frame every {self.every} steps does "
                "not end on a frame or has fewer than two frames; make 'steps' a larger multiple "
                "of 'every'."
            )

    def sampled(self, frames: int | None) -> int:
        """Steps of each replica in an iteration for which the optimizer asks for a number of
        frames; None for as many as are allowed."""
        most = self.steps // self.every
        wanted = most if frames is None else min(most, max(frames, 2))
        return shared_frames(wanted, self.replicas or 1) * self.every

    @property
    def shared_windows(self) -> int:
        """Windows of each replica in an iteration."""
        return shared_frames(self.windows, self.replicas or 1)


@dataclass(frozen=True)
class Piece:
    """What an iteration simulated.

    Attributes
    ----------
    frames
        Of each system.
    coefficients
        Of the spline of each system, (P, K + 2).
    """

    frames: Sequence[Frames]
    coefficients: Sequence[Array]


@dataclass(frozen=True)
class Iteration:
    """What an iteration measured, of the potential that it simulated.

    Attributes
    ----------
    iteration
        From 1.
    loss
        Mean over systems of the weighted mean square deviation from the targets, of these frames.
    systems
        Per system that is trained on: loss, rdf_mse and noise (see `measurement.measured`),
        pressure, temperature, ess (effective number of all stored frames under this potential), and
        seconds (wall time of its simulations, all replicas together).
    ess
        Smallest of the systems'.
    md_steps
        Of the training so far: all systems that are trained on, equilibration counted, and pieces
        of simulation that failed, as a whole.
    seconds_simulation, seconds_gradient, seconds_update
        Wall time: in LAMMPS; from frames to gradient or linear response; fitting weights.
    seconds_idle
        Wall time for which a process had nothing to do while others simulated, averaged over the
        processes; part of `seconds_simulation`.
    ranks, ranks_per_simulation, replicas
        Numbers of processes, of those of each simulation, and of simulations of each system.
    optimizer
        Number of steps, and further numbers of the optimizer.
    events
        Sentences about what the user should know.
    predicted_loss
        What the frames before this iteration said that `loss` would be, by reweighting, or where
        too few of them were effective, by the optimizer's linear response; None where that says
        nothing either, and in the first iteration.
    accepted
        Whether the potential was kept as the one from which the next step is taken; if not, its
        loss rose beyond the noise, and potential, optimizer and atoms went back to the last one
        that was accepted.
    validation
        Per validation system, where they were simulated after this iteration, with the best
        potential so far: loss, rdf_mse, noise, pressure, temperature.
    validation_md_steps
        Of all validation systems so far.
    """

    iteration: int
    loss: float
    systems: dict[str, dict[str, Any]]
    ess: float
    md_steps: int
    seconds_simulation: float
    seconds_gradient: float
    seconds_update: float
    seconds_idle: float = 0.0
    ranks: int = 1
    ranks_per_simulation: int = 1
    replicas: int = 1
    optimizer: dict[str, float] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    predicted_loss: float | None = None
    accepted: bool = True
    validation: dict[str, dict[str, Any]] = field(default_factory=dict)
    validation_md_steps: int = 0
