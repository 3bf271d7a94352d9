"""Whether residuals still fall by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from diffsim.response.linear_response import Response

FALL = 0.5  # of the last mean square: where that is reached, they still fall
OF_KNOWN_ERRORS, OF_UNKNOWN_ERRORS, OF_EXPERIMENT = 2, 1, 0  # updates without a fall


class Standstill:
    """Whether the residuals of curves once stopped to fall.

    As long as they fall, what the response does not explain is that it is not linear. Only what
    stays may be a misfit of the data. One step that went too far leaves such a rest, too. Where the
    errors are known, so that a misfit is the less likely cause, it therefore takes two updates: six
    species were 0.34 wrong with a misfit of the distance that the first large step seemed to show,
    and 0.02 without. A measured curve has a misfit, and must not be followed into it: what began
    with argon's ended at 160 K or at 60 K, as the first steps had it.
    """

    def __init__(self) -> None:
        self.reached = False
        self._last = np.inf  # mean square, in the last update
        self._updates = 0  # in a row, without a fall

    def watch(self, square: float, patience: int) -> None:
        """Take the mean square of the residuals of an update.

        Parameters
        ----------
        square
            Of the residuals of all curves.
        patience
            Updates without a fall that are a standstill.
        """
        self._updates = self._updates + 1 if square > FALL * self._last else 0
        self.reached |= self._updates >= patience
        self._last = square

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"reached": self.reached, "last": self._last, "updates": self._updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` returned."""
        self.reached, self._last = state["reached"], state["last"]
        self._updates = state["updates"]


def patience(responses: Sequence[Response]) -> int:
    """How many updates without a fall are a standstill, by what is known of the targets."""
    if any(part.of_experiment for part in responses):
        return OF_EXPERIMENT
    known = all(part.errors_are_known for part in responses)
    return OF_KNOWN_ERRORS if known else OF_UNKNOWN_ERRORS
