"""How much of its full step an optimizer may take."""

from __future__ import annotations

from typing import Any

RETREAT = 0.5  # of the step, where one went too far
RECOVERY = 1.5  # with every update that is not held back


class Trust:
    """A share of the full step: halved by a retreat, and won back with every update after which
    there was neither a retreat nor a reason to hold it."""

    def __init__(self) -> None:
        self.share = 1.0
        self._held = False

    def renew(self) -> None:
        """Call at the beginning of an update."""
        if not self._held:
            self.share = min(1.0, RECOVERY * self.share)
        self._held = False

    def retreat(self) -> None:
        """Halve the share for the next update."""
        self.share *= RETREAT
        self.hold()

    def hold(self) -> None:
        """Keep the share as it is for the next update."""
        self._held = True

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"share": self.share, "held": self._held}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` returned."""
        self.share, self._held = state["share"], state["held"]
