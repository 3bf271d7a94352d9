"""A training that is asked to stop, as batch systems do before the time is over.

The first request waits for the end of the iteration. A second one must not: handlers in Python run
only when LAMMPS returns, so that a thread ends the process. It can, as LAMMPS runs without Python's
lock.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

KINDS = (signal.SIGTERM, signal.SIGINT)
"""Signals of which the second one ends the process at once."""

SAME = 1.0  # seconds: starters may hand on a signal that the process has already got
END = 0  # no signal has this number


class StopRequest:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self.made = False

    def __call__(self) -> bool:
        """Whether it was asked."""
        return self.made


@contextmanager
def stop_on_sigterm() -> Iterator[StopRequest]:
    """While it lasts, the first SIGTERM is a request; a second one, more than a second later, ends
    the process at once, with the status 128 + its number. So does a second SIGINT (Ctrl-C).

    In another thread than the main one, where Python allows no handlers, nothing is done.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        request.made = True

    before = signal.signal(signal.SIGTERM, ask)
    try:
        with _second_ends():
            yield request
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _second_ends() -> Iterator[None]:
    """End the process at the second signal of a kind, whatever the main thread does."""
    coming, arriving = os.pipe()
    os.set_blocking(arriving, False)  # as Python wants it: it is written to within a signal
    watcher = threading.Thread(target=_watch, args=(coming,), daemon=True)
    before = signal.set_wakeup_fd(arriving, warn_on_full_buffer=False)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.write(arriving, bytes([END]))
        watcher.join()
        os.close(arriving)
        os.close(coming)


def _watch(pipe: int) -> None:
    """Read the numbers of signals, a byte each, until there comes `END`."""
    first: dict[int, float] = {}
    while END not in first:
        for number in os.read(pipe, 64):
            now = time.monotonic()
            if number in KINDS and now - first.get(number, now) > SAME:
                os._exit(128 + number)
            first.setdefault(number, now)
