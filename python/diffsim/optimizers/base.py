"""What the trainer asks of an optimizer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from diffsim.arrays import Array
from diffsim.errors import InputError
from diffsim.knots import Grid
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble


@dataclass(frozen=True)
class Update:
    """What an optimizer did between two pieces of simulation.

    Attributes
    ----------
    steps
        Number of changes of the potential.
    seconds_gradient
        Wall time of the gradient: from the stored frames to what the update of the weights needs.
    info
        Further numbers for the metrics.
    uncertainty
        Standard deviation of the potential at the knots that the frames leave, shape (P, K), at the
        reference temperature of one that depends on it; None where the optimizer knows none.
    predicted_decrease
        By how much the loss should be lower than that of the latest piece, both without what noise
        adds to them; None where the optimizer does not say.
    pressure_errors
        Standard deviation of the pressure of each system at constant volume that the targets leave;
        None where the optimizer knows none.
    """

    steps: int
    seconds_gradient: float
    info: Mapping[str, float] = field(default_factory=dict)
    uncertainty: Array | None = None
    predicted_decrease: float | None = None
    pressure_errors: Sequence[float] | None = None


class Optimizer(ABC):
    """Changes the weights of a potential so that the ensembles come closer to their targets.

    Attributes
    ----------
    length
        Correlation length of what it learns, in contact distances, up to which bins of targets may
        be merged; None where they stay what they are.
    knows_uncertainty
        Whether its updates say how well the potential is known.
    uses_references
        Whether what the targets do not say stays where a reference has it, see `anchor`.
    uses_windows
        Whether it can follow the derivatives along trajectories.
    knows_parts
        Whether it can learn a potential that depends on temperature, which has two parts.
    """

    length: float | None = None
    knows_uncertainty: ClassVar[bool] = False
    uses_references: ClassVar[bool] = False
    uses_windows: ClassVar[bool] = False
    knows_parts: ClassVar[bool] = False

    @property
    def frames(self) -> int | None:
        """How many frames of each system the next piece of simulation should have; None for as many
        as the protocol allows."""
        return None

    def anchor(self, potentials: Mapping[str, Array]) -> None:
        """Take note of potentials that the data may leave in place where they say nothing.

        Called once, before the first update.

        Parameters
        ----------
        potentials
            Energies at the knots by name, shape (P, K).
        """
        return

    @abstractmethod
    def update(self, potential: Model, grid: Grid, ensembles: Sequence[Ensemble]) -> Update:
        """Change the potential in place, as far as the stored frames support it.

        Parameters
        ----------
        potential
            A `torch.nn.Module` that keeps the model contract, or a
            `diffsim.potentials.TemperatureDependent`; the ensembles' latest frames were simulated
            with it. They are not those that were added last where these were taken back.
        grid
            Knots, the same as the ensembles'.
        ensembles
            One per system.
        """

    @abstractmethod
    def retreat(self) -> None:
        """Make the next steps smaller: the last one led to a failure, to a worse loss, or to much
        less than it promised.

        Where the last step is taken back, the trainer calls `load_state_dict` with the state from
        before that step first. How far the optimizer has retreated is part of its state.
        """

    def hold(self) -> None:
        """Do not make the next step larger: the last one kept a part of what it promised only.

        Asked only of an optimizer whose updates say what they promise (`Update`).
        """
        return

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold for the optimizer to continue to the same numbers."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` returned."""


def check_option(optimizer: str, name: str, value: Any, largest: float) -> None:
    """Raise InputError unless an option is a positive number not above `largest`."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value <= largest or value == float("inf"):
        limit = "" if largest == float("inf") else f" not above {largest:g}"
        raise InputError(
            f"The option '{name}' of the optimizer {optimizer} must be a positive "
            f"number{limit}, but is "
            f"{value!r}."
        )
