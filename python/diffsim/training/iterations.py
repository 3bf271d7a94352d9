"""What an iteration of a training simulated, and what it tells: a line of the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from diffsim.arrays import Array
from diffsim.simulation import Frames


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
