"""How much of its full step an optimizer may take."""

from __future__ import annotations

from typing import Any

RETREAT = 0.5  # of the step, where one went too far
RECOVERY = 1.5  # with every update that follows no retreat


class Trust:
    """A share of the full step: halved by a retreat, won back with every update that needs none."""

    def __init__(self) -> None:
        self.share = 1.0
        self._retreated = False

    def renew(self) -> None:
        """Call at the beginning of an update."""
        if not self._retreated:
            self.share = min(1.0, RECOVERY * self.share)
        self._retreated = False

    def retreat(self) -> None:
        """Halve the share for the next update."""
        self.share *= RETREAT
        self._retreated = True

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"share": self.share, "retreated": self._retreated}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` returned."""
        self.share, self._retreated = state["share"], state["retreated"]
