"""The MPI processes that simulate together: what only the first of them does.

A communicator of mpi4py, or None for this process alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def size(processes: Any) -> int:
    """Number of processes."""
    return 1 if processes is None else int(processes.Get_size())


def is_first(processes: Any) -> bool:
    """Whether this is the first of the processes."""
    return processes is None or processes.Get_rank() == 0


def on_first(processes: Any, work: Callable[[], T]) -> T:
    """What a function returns on the first process, on all of them.

    Where it raises an exception there, all processes raise it: none waits for one that gave up.
    """
    if size(processes) == 1:
        return work()
    result: T | None = None
    error: Exception | None = None
    if is_first(processes):
        try:
            result = work()
        except Exception as caught:
            error = caught
    result, error = processes.bcast((result, error))
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # what the first process found
