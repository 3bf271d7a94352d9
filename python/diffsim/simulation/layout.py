"""How processes are shared out: over simulations at the same time, and within each of them."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from diffsim.errors import InputError

FEWEST_FRAMES = 10  # of a replica: fewer tell nothing of how correlated they are
FEWEST_SHARED = 2  # frames of a replica, where the user chooses their number
FEWEST_ATOMS = 100  # of a process, where the processes of a simulation are to be chosen
MOST_RELAXATION = 0.5  # of the sampled steps of a replica
HALO, LATENCY = 2.0, 50.0  # of a step, against the work for one atom: see `step_cost`


@dataclass(frozen=True)
class Work:
    """The simulations of a system in an iteration.

    Attributes
    ----------
    atoms
        Their number.
    frames
        Of an iteration, of all replicas together.
    every
        MD steps from frame to frame.
    relaxation
        MD steps of a replica that are not sampled.
    """

    atoms: int
    frames: int
    every: int
    relaxation: int

    @property
    def most_replicas(self) -> int:
        """As many as have at least 10 frames each and relax for at most half as long as they are
        sampled; at least one."""
        sampled = max(FEWEST_FRAMES * self.every, self.relaxation / MOST_RELAXATION)
        return max(1, int(self.frames * self.every / sampled))

    def steps(self, replicas: int) -> int:
        """MD steps of a replica."""
        return self.relaxation + shared_frames(self.frames, replicas) * self.every


@dataclass(frozen=True)
class Layout:
    """Processes of a training.

    Attributes
    ----------
    ranks
        Their number.
    ranks_per_simulation
        Those that simulate together, by LAMMPS's domain decomposition.
    replicas
        Independent simulations of each system.
    """

    ranks: int
    ranks_per_simulation: int
    replicas: int

    @property
    def groups(self) -> int:
        """Groups of processes that may simulate at the same time."""
        return self.ranks // self.ranks_per_simulation

    def at_once(self, systems: int) -> int:
        """Simulations at the same time: one for each group, but no more than there are."""
        return min(self.groups, systems * self.replicas)

    def needed(self, systems: int) -> int:
        """Processes that have something to do: the first ones."""
        return self.at_once(systems) * self.ranks_per_simulation

    def unused(self, systems: int) -> int:
        """Processes that have nothing to do: the last ones."""
        return self.ranks - self.needed(systems)

    def group(self, rank: int) -> int:
        """Group of a process; `groups` if it is in none."""
        return rank // self.ranks_per_simulation


def shared_frames(frames: int, replicas: int) -> int:
    """Frames of each replica, at least two."""
    return max(FEWEST_SHARED, -(-frames // replicas))


def step_cost(atoms: int, ranks: int) -> float:
    r"""Time of an MD step against that of one atom on one process: a rough model.

    .. math:: t(n, p) = n / p + [p > 1] \, (2 (n / p)^{2/3} + 50)

    The second term is for atoms near the faces of a process's part of the box, the third for the
    messages, of about 50 microseconds where an atom takes one.
    """
    own = atoms / ranks
    return own if ranks == 1 else own + HALO * own ** (2.0 / 3.0) + LATENCY


def choose_layout(
    works: Sequence[Work],
    ranks: int,
    ranks_per_simulation: int | None = None,
    replicas: int | None = None,
) -> Layout:
    """The layout with which an iteration takes least time, as far as `step_cost` knows.

    Parameters
    ----------
    works
        One for each system.
    ranks
        Number of processes.
    ranks_per_simulation, replicas
        As the user wants them; None to choose.

    Raises
    ------
    InputError
        If there are fewer processes than a simulation is to have, or more replicas than their share
        of the frames allows.
    """
    if ranks_per_simulation is not None and ranks_per_simulation > ranks:
        raise InputError(
            f"A simulation is to run on ranks_per_simulation = {ranks_per_simulation} processes, "
            f"but the training has {ranks}. Start it with 'mpiexec -n {ranks_per_simulation}' or a "
            "multiple of that, or make 'ranks_per_simulation' smaller."
        )
    possible = max(1, min(work.frames for work in works) // FEWEST_SHARED)
    if replicas is not None and replicas > possible:
        raise InputError(
            "The replicas of a system share the frames or windows of an iteration, at least two "
            f"for each, but replicas = {replicas}: at most {possible} are possible. Make "
            "'replicas' smaller, or 'steps' ('windows', for targets of the motion) larger."
        )
    most = min(work.most_replicas for work in works)
    atoms = min(work.atoms for work in works)
    shares = [ranks_per_simulation] if ranks_per_simulation else _shares(ranks, atoms)
    numbers = [replicas] if replicas else range(1, min(most, ranks) + 1)
    candidates = [Layout(ranks, share, number) for share in shares for number in numbers]
    # of equals the one of fewest replicas, which relax least, and of fewest processes together
    return min(candidates, key=lambda c: (_time(works, c), c.replicas, c.ranks_per_simulation))


def _shares(ranks: int, atoms: int) -> list[int]:
    """Numbers of processes per simulation that leave as few unused as any smaller one does, as long
    as a process has atoms enough."""
    shares = {ranks // groups for groups in range(1, ranks + 1)}
    return sorted(share for share in shares if share == 1 or atoms >= FEWEST_ATOMS * share)


def _time(works: Sequence[Work], layout: Layout) -> float:
    costs = [
        work.steps(layout.replicas) * step_cost(work.atoms, layout.ranks_per_simulation)
        for work in works
        for _ in range(layout.replicas)
    ]
    return max(sum(costs[k] for k in part) for part in assign(costs, layout.groups))


def assign(costs: Sequence[float], groups: int) -> list[list[int]]:
    """Share out tasks so that the group with most to do has little: the most expensive task first,
    each to the group with least so far (R. L. Graham, SIAM J. Appl. Math. 17, 416 (1969): at most a
    third above the best).

    Parameters
    ----------
    costs
        Of the tasks.
    groups
        Their number.

    Returns
    -------
    Indices of the tasks of each group.
    """
    parts: list[list[int]] = [[] for _ in range(groups)]
    sums = [(0.0, group) for group in range(min(groups, len(costs)))]
    for task in sorted(range(len(costs)), key=lambda k: -costs[k]):
        least, group = heapq.heappop(sums)
        parts[group].append(task)
        heapq.heappush(sums, (least + costs[task], group))
    return parts
