"""What a training is told and what it tells: lengths of simulations, and a line of the metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from diffsim.errors import InputError


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
    """

    steps: int = 2500
    every: int = 20
    equilibration: int = 2000
    relaxation: int = 250
    windows: int = 20
    spacing: int = 100
    window: int = 100

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
        if self.steps % self.every or self.steps < 2 * self.every:
            raise InputError(
                f"An iteration of {self.steps} steps with a frame every {self.every} steps does "
                "not end on a frame or has fewer than two frames; make 'steps' a larger multiple "
                "of 'every'."
            )

    def sampled(self, frames: int | None) -> int:
        """Steps of an iteration for which the optimizer asks for a number of frames."""
        return self.steps if frames is None else min(self.steps, max(frames, 2) * self.every)


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
        pressure, temperature, and ess (effective number of all stored frames under this potential).
    ess
        Smallest of the systems'.
    md_steps
        Of the training so far: all systems that are trained on, equilibration counted, and pieces
        of simulation that failed, as a whole.
    seconds_simulation, seconds_gradient, seconds_update
        Wall time: in LAMMPS; from frames to gradient or linear response; fitting weights.
    optimizer
        Number of steps, and further numbers of the optimizer.
    events
        Sentences about what the user should know.
    predicted_loss
        What the frames before this iteration said that `loss` would be, by reweighting; None where
        too few of them were effective, and in the first iteration.
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
    optimizer: dict[str, float] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    predicted_loss: float | None = None
    validation: dict[str, dict[str, Any]] = field(default_factory=dict)
    validation_md_steps: int = 0
