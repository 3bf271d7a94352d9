"""Whether the processes of a training have a core each, as far as the system tells."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Set

Place = tuple[str, frozenset[int]]
"""Name of a host, and the cores of it that a process may use."""


def place() -> Place:
    """Where this process is."""
    # macOS tells of no cores
    look = getattr(os, "sched_getaffinity", None)
    return socket.gethostname(), frozenset(look(0)) if look else frozenset()


def crowded(places: Iterable[Place]) -> str | None:
    """A sentence where a host offers fewer cores to its processes than there are processes.

    Too many were started then, or the starter has bound several of them to the same core.

    Parameters
    ----------
    places
        Of all processes.
    """
    hosts: dict[str, list[Set[int]]] = {}
    for host, cores in places:
        hosts.setdefault(host, []).append(cores)
    found = []
    for host, offered in hosts.items():
        number = len(frozenset().union(*offered))
        if 0 < number < len(offered):
            found.append((host, len(offered), number))
    if not found:
        return None
    host, processes, number = found[0]
    share = "1 core" if number == 1 else f"{number} cores"
    others = f" (and so on {len(found) - 1} more)" if len(found) > 1 else ""
    return (
        f"On {host}{others} the {processes} processes share {share} and wait for each other. Start "
        "no more processes than there are cores, or have each bound to a core of its own (srun "
        "--cpu-bind=cores, mpiexec -bind-to core)."
    )
