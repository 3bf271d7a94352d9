"""Progress of a training on the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console

from diffsim.simulation import System
from diffsim.simulation.layout import Layout
from diffsim.training.iterations import Iteration
from diffsim.training.measurement import NOISE
from diffsim.training.outcome import Outcome
from diffsim.training.plausibility import blown_up, misfits, still_falls
from diffsim.training.trainer import Trainer

NOTABLE = 0.1  # of the time that processes are idle: the user may want to know why


class Progress:
    """A line for each iteration, and while one runs, a status with the time left.

    Parameters
    ----------
    iterations
        Of the whole run.
    done
        Iterations of an earlier part of the run.
    """

    def __init__(self, iterations: int, done: int) -> None:
        self._console = Console(soft_wrap=True)
        self._iterations = iterations
        self._first = done
        self._began = time.perf_counter()
        self._steps = 0
        self._last: Iteration | None = None
        self._losses: list[float] = []
        self._systems: Sequence[System] = ()
        self._of_systems: dict[str, float] = {}  # seconds of their simulations
        self._simulating = self._waiting = self._leading = 0.0  # seconds; of one process
        self._status = self._console.status("simulating")

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status.stop()

    def start(self, trainer: Trainer) -> None:
        """Say what is about to be trained."""
        self._steps = trainer.md_steps
        self._systems = trainer.systems
        error = trainer.spline_error
        tests = [simulator.system for simulator in trainer.validation.simulators]
        names, held_out = (
            ", ".join(f"{s.name} (T = {s.temperature:g})" for s in systems)
            for systems in (trainer.systems, tests)
        )
        weights = sum(p.numel() for p in trainer.potential.parameters() if p.requires_grad)
        self._console.print(f"systems: {names}" + (f"; validation: {held_out}" if tests else ""))
        self._console.print(
            f"potential: {weights} weights, {trainer.grid.knots} knots per pair, spline error "
            f"{error.energy:.1e} (energy) {error.force:.1e} (force)"
        )
        if trainer.layout.ranks > 1 or trainer.layout.replicas > 1:
            self._console.print(shared(trainer.layout, len(trainer.systems)))
        finished = self._why_finished(trainer)
        if finished:
            self._console.print(f"note: {finished}", style="yellow")
            return
        self._status.start()

    def _head(self, record: Iteration) -> None:
        """The head of the table, once it is known whether volumes fluctuate."""
        floats = any("density" in entry for entry in record.systems.values())
        several = len(record.systems) > 1 or any(
            len(entry["rdf_mse"]) > 1 for entry in record.systems.values()
        )
        loss, mse = ("mean loss", "worst mse") if several else ("loss", "rdf mse")
        self._console.print(
            f"{'iteration':>9} {loss:>11} {mse:>11} {'ess':>7} "
            f"{'MD steps':>9} {'steps/s':>8}  pressure{'; density' if floats else ''}",
            style="bold",
        )

    def _why_finished(self, trainer: Trainer) -> str | None:
        """A sentence where a resumed run has nothing left to do."""
        if trainer.converged:
            return (
                f"The accuracy that was asked for is reached after {self._first} iterations, so "
                "that there is nothing to do. To go on, ask for another 'accuracy'."
            )
        if self._first >= self._iterations:
            return (
                f"The run has had {self._first} iterations, and {self._iterations} are asked for, "
                "so that there is nothing to do. To go on, ask for more 'iterations'."
            )
        return None

    def show(self, record: Iteration) -> None:
        """Add the line of an iteration."""
        if self._last is None:
            self._head(record)
        self._last = record
        if record.accepted:
            self._losses.append(record.loss)
        self._simulating += record.seconds_simulation
        self._waiting += record.seconds_idle
        self._leading += record.seconds_gradient + record.seconds_update
        for name, entry in record.systems.items():
            self._of_systems[name] = self._of_systems.get(name, 0.0) + entry["seconds"]
        # a system may have numbers as targets only
        errors = [mse for entry in record.systems.values() for mse in entry["rdf_mse"]]
        mse = f"{max(errors):.3g}" if errors else "-"
        pressures = ", ".join(f"{entry['pressure']:.4g}" for entry in record.systems.values())
        densities = [e["density"][0] for e in record.systems.values() if "density" in e]
        if densities:
            pressures += f"; {', '.join(f'{density:.4g}' for density in densities)}"
        speed = self._speed(record)
        self._console.print(
            f"{record.iteration:>9} {record.loss:>11.4g} {mse:>11} {record.ess:>7.0f} "
            f"{record.md_steps:>9} {speed:>8.0f}  {pressures}"
        )
        for name, entry in record.validation.items():
            found = [
                f"rdf mse {mse:.3g} (noise {noise:.2g})"
                for mse, noise in zip(entry["rdf_mse"], entry["noise"], strict=True)
            ]
            found += [f"{label} {value:.4g}" for label, (value, _) in entry["values"].items()]
            found += [
                f"{label}: error {curve['mse'] ** 0.5:.2g} (noise {curve['noise'] ** 0.5:.2g})"
                for label, curve in entry["curves"].items()
            ]
            if "pressure" not in entry["values"]:
                found.append(f"pressure {entry['pressure']:.4g}")
            self._console.print(f"  validation of {name}: {', '.join(found)}")
        for event in record.events:
            self._console.print(f"  note: {event}", style="yellow")
        done = record.iteration - self._first
        left = (time.perf_counter() - self._began) / done * (self._iterations - record.iteration)
        self._status.update(f"{record.iteration}/{self._iterations} done, about {left:.0f} s left")

    def finish(
        self,
        folder: Path,
        seconds: float,
        conclusion: Sequence[str] = (),
        outcome: Outcome | None = None,
    ) -> None:
        """Say where the results are, which targets they meet, and what is known of them.

        Parameters
        ----------
        folder
            Of the run.
        seconds
            That it took.
        conclusion
            Sentences on what it leaves open.
        outcome
            The best potential and its numbers.
        """
        for sentence in conclusion:
            self._console.print(f"note: {sentence}", style="yellow")
        numbers = outcome.numbers if outcome else {}
        if "uncertainty" in numbers:
            chi_square = numbers.get("chi_square")
            found = "" if chi_square is None else f"chi squared of the residual: {chi_square:.2f}; "
            self._console.print(
                f"{found}uncertainty of the potential: {numbers['uncertainty']:.2g} (rms where g > "
                "0.1)"
            )
            if chi_square is not None and not chi_square < NOISE:
                more = "More iterations may help; a" if still_falls(self._losses) else "A"
                self._console.print(
                    "note: There is more than noise in the residual, so that the potential is less "
                    f"certain than that. {more} form or a cutoff that cannot "
                    "follow the target shows in the same way, and so do pieces of simulation "
                    "shorter than the slowest relaxation of the fluid.",
                    style="yellow",
                )
        if self._last is not None and self._last.ranks > 1:
            total = max(self._simulating + self._leading, 1e-9)
            self._console.print(
                waited(
                    self._last.ranks,
                    self._waiting / total,
                    self._leading / total,
                    self._of_systems,
                )
            )
        model = folder / "model.pt"
        which = f"{model}, {outcome.words}" if outcome else str(model)
        if self._last is None or outcome is None:
            self._console.print(f"done in {seconds:.0f} s; the potential is {which}")
            return
        met = self._say_misfits(outcome)
        ruined = blown_up(self._losses, numbers.get("chi_square"), met)
        if ruined is None:
            self._console.print(f"done in {seconds:.0f} s; the potential is {which}")
        else:
            self._console.print(
                f"ended after {seconds:.0f} s without a result: {ruined}. The best potential found "
                f"is {which}, but it does not reproduce the targets.",
                style="yellow",
            )

    def _say_misfits(self, outcome: Outcome) -> bool:
        """A line for each system: the targets that are met, and those that are not.

        Returns
        -------
        Whether all are met within noise.
        """
        all_met = True
        for system in self._systems:
            entry = outcome.systems[system.name]
            met, missed = misfits(entry, system.targets)
            within = "met within noise and misfit" if entry["misfit"] else "met within noise"
            parts = [
                f"{words}: {'; '.join(each)}"
                for words, each in ((within, met), ("not met", missed))
                if each
            ]
            if "pressure_error" in entry and "pressure" not in entry["values"]:
                parts.append(
                    f"pressure, no target: {entry['pressure']:.4g} +- {entry['pressure_error']:.2g}"
                )
            self._console.print(f"{system.name}: {'. '.join(parts)}")
            # a misfit, which is estimated from the residuals, does not make noise of a bad loss
            all_met &= not misfits({**entry, "misfit": {}}, system.targets)[1]
        return all_met

    def _speed(self, record: Iteration) -> float:
        steps, self._steps = record.md_steps - self._steps, record.md_steps
        return steps / record.seconds_simulation


def waited(ranks: int, idle: float, alone: float, systems: Mapping[str, float]) -> str:
    """Why processes waited, in a sentence.

    Parameters
    ----------
    ranks
        Number of processes.
    idle, alone
        Parts of the time for which they waited for others that simulated, and all but the first one
        for that one.
    systems
        Seconds of each system's simulations.
    """
    text = (
        f"the {ranks} processes were idle for {100.0 * idle:.0f} % of the time as others "
        f"simulated, and all but the first for {100.0 * alone:.0f} % as it learned"
    )
    if idle <= NOTABLE or len(systems) < 2:
        return text
    slowest = max(systems, key=lambda name: systems[name])
    share = systems[slowest] / max(sum(systems.values()), 1e-9)
    return f"{text}; '{slowest}' took longest, {100.0 * share:.0f} % of the time of all systems"


def shared(layout: Layout, systems: int) -> str:
    """How the processes are shared out over the simulations of some systems, in a sentence."""
    simulations, each = layout.at_once(systems), layout.ranks_per_simulation
    what = (
        f"1 simulation at a time on {each}"
        if simulations == 1
        else f"{simulations} simulations at the same time on {each} each"
    )
    text = f"processes: {layout.ranks}, for {what}; replicas of each system: {layout.replicas}"
    unused = layout.unused(systems)
    if not unused:
        return text
    idle = "1 process has" if unused == 1 else f"{unused} processes have"
    enough = layout.needed(systems)
    return f"{text}; {idle} nothing to do, {enough} would be enough"
