"""Sentences about what the user should know, until the next record of an iteration takes them."""

from __future__ import annotations

from collections.abc import Iterable


class Events:
    """Sentences that wait, in their order."""

    def __init__(self) -> None:
        self._waiting: list[str] = []

    def tell(self, *sentences: str | None) -> None:
        """Add sentences; None is none."""
        self._waiting += [sentence for sentence in sentences if sentence]

    def take(self) -> list[str]:
        """All that wait; none does afterwards."""
        taken, self._waiting = self._waiting, []
        return taken

    def state(self) -> list[str]:
        """For a checkpoint."""
        return list(self._waiting)

    def load_state(self, sentences: Iterable[str]) -> None:
        """Take up what `state` returned."""
        self._waiting = list(sentences)
