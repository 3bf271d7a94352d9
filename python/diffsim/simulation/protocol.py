"""How long a training simulates, and on how many processes."""

from __future__ import annotations

from dataclasses import dataclass

from diffsim.errors import InputError
from diffsim.simulation.layout import shared_frames


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
