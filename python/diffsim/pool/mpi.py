"""Pieces of simulation on many processes: one leads, all simulate.

The first process of all leads: it alone learns, reads and writes. The processes are in groups of
those that simulate together; the first of a group takes the group's tasks from the leader, passes
them on, and sends back what became of them. Whoever waits sleeps between looks: a waiting process
shall not take the time of one that computes, where they share a core.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

from diffsim.errors import INTERRUPTED, AbortedError, InterruptError
from diffsim.lammps.devices import device_of_process
from diffsim.pool.aborts import note_abort
from diffsim.pool.binding import crowded, place
from diffsim.pool.stopping import stop_on_sigterm
from diffsim.pool.tasks import Outcome, Round, Task, simulate_task
from diffsim.simulation.layout import Layout, assign
from diffsim.simulation.pieces import Simulator

T = TypeVar("T")
TAG = 1
LAST_WORDS = 2  # tag of a message that a process ends all
SHORTEST, LONGEST = 1e-4, 0.002  # seconds of sleep between two looks
PATIENCE = 10.0  # seconds for which interrupted processes leave it to the first one to end all
FORWARDING = 1.0  # seconds in which mpiexec passes on what was printed, before all are ended
ABORTED = 1  # exit status where some processes had to end the others


class MPIPool:
    """All processes of a communicator, as their first process sees them.

    Parameters
    ----------
    world
        Communicator of mpi4py.
    """

    def __init__(self, world: Any) -> None:
        self.ranks = int(world.Get_size())
        self._member = _Member(world)
        self._costs: dict[tuple[int, int], float] = {}  # seconds per task of (simulator, replica)

    def arrange(self, simulators: Mapping[int, Simulator], layout: Layout) -> None:
        """See `Pool`."""
        self._tell_all(("arrange", dict(simulators), layout))
        self._member.arrange(dict(simulators), layout)
        self._costs = {}

    def run(self, tasks: Sequence[Task], stop_at_error: bool = True) -> Round:
        """See `Pool`.

        All tasks are done, also where one fails: they are done at the same time. They are shared
        out by the seconds that each took the last time; at first by numbers of atoms and steps.
        """
        del stop_at_error
        layout = self._member.layout
        parts = assign([self._cost(task) for task in tasks], layout.groups)
        began = time.perf_counter()
        try:
            found = self._do(tasks, parts)
        except BaseException as error:
            # others have sent, or will, what nobody is left to take
            break_off(
                self._member.world, error, "The first process broke off while others simulated."
            )
        seconds = time.perf_counter() - began
        outcomes = [found[k] for k in range(len(tasks))]
        for task, outcome in zip(tasks, outcomes, strict=True):
            self._costs[task.simulator, task.replica] = outcome.seconds
        busy = sum(outcome.seconds for outcome in outcomes) * layout.ranks_per_simulation
        return Round(outcomes, seconds, max(0.0, seconds - busy / layout.ranks))

    def _do(self, tasks: Sequence[Task], parts: Sequence[Sequence[int]]) -> dict[int, Outcome]:
        """Outcomes by the index of the task, shared out in these parts."""
        member, each = self._member, self._member.layout.ranks_per_simulation
        others = [(group * each, part) for group, part in enumerate(parts) if group and part]
        for rank, part in others:
            member.send(("run", [tasks[k] for k in part]), rank)
        found = dict(zip(parts[0], member.run([tasks[k] for k in parts[0]]), strict=True))
        for rank, part in others:
            found.update(zip(part, member.receive(rank), strict=True))
        return found

    def close(self) -> None:
        """Let the other processes go."""
        self._tell_all(("stop",))

    def _cost(self, task: Task) -> float:
        key = task.simulator, task.replica
        if key in self._costs:
            return self._costs[key]
        simulator = self._member.simulators[task.simulator]
        return float(simulator.atoms * simulator.md_steps(task.state, task.frames))

    def _tell_all(self, message: Any) -> None:
        for rank in range(1, self.ranks):
            self._member.send(message, rank)


class _Member:
    """A process among the others."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.layout = Layout(int(world.Get_size()), 1, 1)
        self._group: Any = None
        self._local_rank = _local_rank(world)
        self.simulators: dict[int, Simulator] = {}

    def arrange(self, simulators: Mapping[int, Simulator], layout: Layout) -> None:
        """Become part of a group; all processes of the world call this together."""
        if self._group is not None:
            self._group.Free()
        self._group = self.world.Split(layout.group(self.world.Get_rank()))
        self.simulators = {index: self._here(each) for index, each in simulators.items()}
        self.layout = layout

    def _here(self, simulator: Simulator) -> Simulator:
        """A simulator with the device of this process."""
        device = device_of_process(simulator.protocol.device, self._local_rank)
        return replace(simulator, protocol=replace(simulator.protocol, device=device))

    def serve(self) -> None:
        """Do what the leader says, until it says stop."""
        rank = self.world.Get_rank()
        while True:
            first = rank - rank % self.layout.ranks_per_simulation
            # the first of a group hears from the leader, the others from it; to arrange and to stop
            # the leader tells everybody
            message = self.receive(*([0] if first == rank else [0, first]))
            if message[0] == "stop":
                return
            if message[0] == "arrange":
                self.arrange(*message[1:])
                continue
            outcomes = self.run(message[1])
            if first == rank:
                self.send(outcomes, 0)

    def run(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Do the group's tasks; all its processes do this together."""
        if self._group.Get_rank() == 0:
            first = self.world.Get_rank()
            # the first process alone reads the state; the others need to know that there is one
            known = [replace(task, state=None if task.state is None else "") for task in tasks]
            for member in range(1, self._group.Get_size()):
                self.send(("run", known), first + member)
        outcomes = []
        for task in tasks:
            simulator = self.simulators[task.simulator]
            try:
                outcomes.append(simulate_task(simulator, task, self._group))
            except AbortedError as error:
                with contextlib.suppress(OSError):  # whatever happens, nobody shall wait
                    note_abort(simulator.scratch, (task.simulator, *task.seed), str(error))
                end_all(self.world, str(error))
            except BaseException as error:
                name = simulator.system.name
                break_off(self.world, error, f"The simulation of '{name}' broke off.")
        return outcomes

    def send(self, message: Any, to: int) -> None:
        """Send a message; returns when it has left."""
        _wait(self.world.isend(message, dest=to, tag=TAG).test)

    def receive(self, *sources: int) -> Any:
        """The next message from one of these processes."""
        while True:
            found = _wait(lambda: _first_of(self.world, sources))
            if found is not None:
                return self.world.recv(source=found, tag=TAG)


def _local_rank(world: Any) -> int:
    """Number of this process among those of its machine; all of them call this together."""
    from mpi4py import MPI

    machine = world.Split_type(MPI.COMM_TYPE_SHARED)
    rank = int(machine.Get_rank())
    machine.Free()
    return rank


def _first_of(world: Any, sources: Sequence[int]) -> tuple[bool, int | None]:
    for source in sources:
        if world.Iprobe(source=source, tag=TAG):
            return True, source
    return False, None


def _wait(look: Callable[[], tuple[bool, T]]) -> T:
    """Look until there is something to see, at longer and longer intervals."""
    pause = SHORTEST
    while True:
        done, value = look()
        if done:
            return value
        time.sleep(pause)
        pause = min(2.0 * pause, LONGEST)


def end_all(world: Any, reason: str) -> NoReturn:
    """End all processes at once, as one of them cannot go on and others wait for it."""
    _end(world, f"diffsim: error: {reason}", ABORTED)


def end_interrupted(world: Any, reason: str) -> NoReturn:
    """End all processes after Ctrl-C."""
    _end(world, f"diffsim: {reason}", INTERRUPTED)


def _end(world: Any, words: str, status: int) -> NoReturn:
    """Say why, if no other process has said so just now, and end all."""
    if not world.Iprobe(tag=LAST_WORDS):
        others = set(range(world.Get_size())) - {world.Get_rank()}
        for other in others:
            world.isend(None, dest=other, tag=LAST_WORDS).test()
        print(words, file=sys.stderr, flush=True)
    time.sleep(FORWARDING)  # mpiexec drops what it has not read when it ends the processes
    world.Abort(status)
    os._exit(status)  # MPICH may return before the process is ended


def break_off(world: Any, error: BaseException, what: str) -> NoReturn:
    """End all processes for an error that nobody foresaw, or an interrupt (Ctrl-C)."""
    if isinstance(error, KeyboardInterrupt):
        # mpiexec interrupts all, and the first process knows what is left
        if world.Get_rank() == 0:
            raise error  # `run_parallel` ends all
        # where LAMMPS keeps it, one of the others speaks: they wake one after the other, and hear
        # of those before them
        time.sleep(PATIENCE * (1.0 + world.Get_rank() / world.Get_size()))
        end_interrupted(world, "The training was stopped by Ctrl-C. What it had finished is kept.")
    traceback.print_exception(error)
    end_all(world, what)


def run_parallel(lead: Callable[[MPIPool], None]) -> None:
    """Call a function on the first process of all, while the others simulate for it.

    Parameters
    ----------
    lead
        Gets the pool, as for a `Trainer`. When it returns, or raises an exception, the other
        processes return from here.

    A process that stops for any other reason ends all of them.
    """
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    places = world.gather(place())
    if world.Get_rank() == 0:
        note = crowded(places or [])
        if note:
            print(f"note: {note}", flush=True)
        pool = MPIPool(world)
        try:
            lead(pool)
        except (KeyboardInterrupt, InterruptError) as stop:
            # others may simulate, and would not hear that they are to go
            end_interrupted(world, str(stop) or "It was stopped by Ctrl-C.")
        finally:
            pool.close()
        return
    try:
        with stop_on_sigterm():  # the first process decides; the others go on until it says so
            _Member(world).serve()
    except BaseException as error:
        break_off(world, error, f"Process {world.Get_rank()} of {world.Get_size()} stopped.")
