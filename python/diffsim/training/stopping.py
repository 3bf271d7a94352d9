"""A training that is asked to stop, as batch systems do before the time is over."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.made = False

    def __call__(self) -> bool:
        """Whether it was asked."""
        return self.made


@contextmanager
def stop_on_sigterm() -> Iterator[StopRequest]:
    """While it lasts, the first SIGTERM is a request; a second one ends the process at once."""
    request = StopRequest()

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        request.made = True
        signal.signal(number, signal.SIG_DFL)

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)
