"""Steps of a training and the simulations that try them; a bad one is undone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from diffsim.arrays import Array
from diffsim.errors import ModelError, SimulationError
from diffsim.knots import Grid, spline_coefficients
from diffsim.optimizers import Optimizer, Update
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble
from diffsim.training.accepted import Accepted
from diffsim.training.events import Events
from diffsim.training.iterations import Piece
from diffsim.training.measurement import change_within
from diffsim.training.settling import said_of_drift
from diffsim.training.simulations import Simulations
from diffsim.training.steps import (
    MOST_REJECTED,
    LossChange,
    Verdict,
    said_of_rejected,
    said_of_repeated,
    said_of_shortened,
    said_of_worsening,
    verdict,
)

MOST_FAILURES = 5  # in a row, each after a smaller step


class Attempts:
    """What is tried, what of it is kept, and what the user should know of it.

    Parameters
    ----------
    potential
        Changed in place.
    ensembles
        One per system.
    simulations
        Of all systems.
    reached
        The accepted piece of simulation, to which an attempt may go back.
    seed
        Of the training.

    Attributes
    ----------
    events
        Sentences that wait for the next record.
    uncertainty
        Standard deviation of the potential at the knots, where the optimizer knows it, (P, K); of
        one that depends on temperature at its reference temperature.
    """

    def __init__(
        self,
        potential: Model,
        ensembles: Sequence[Ensemble],
        simulations: Simulations,
        reached: Accepted,
        seed: int,
    ) -> None:
        self._potential, self._ensembles = potential, ensembles
        self._simulations, self._reached, self._seed = simulations, reached, seed
        self.events = Events()
        self.uncertainty: Array | None = None
        self._failures = 0  # since the newest piece
        self._rejected = 0  # in a row
        self._repeats = False  # whether the next piece is one of the accepted potential again
        self._predicted_decrease: float | None = None  # of the loss, by the last step
        self._info: Mapping[str, float] = {}  # numbers of the last update

    @property
    def grid(self) -> Grid:
        """The knots."""
        return self._reached.grid

    def simulate(self, number: int, optimizer: Optimizer) -> tuple[Piece, float | None, float]:
        """Simulate all systems.

        Where that fails, take the last step back, take a smaller one and try again.

        Parameters
        ----------
        number
            Of the iteration.
        optimizer
            Takes the smaller steps.

        Returns
        -------
        newest, predicted, seconds
            What was simulated at last; its loss as reweighting foresees it; wall time of the
            smaller steps.

        Raises
        ------
        SimulationError
            If the first iteration fails, or a later one `MOST_FAILURES` times in a row.
        """
        seconds, failures = 0.0, 0
        while True:
            try:
                values = self._reached.values()
                coefficients = [spline_coefficients(energies) for energies in values]
                begun = self._reached.iteration is not None
                predicted = self._reached.pooled_loss(coefficients) if begun else None
                seed = (self._seed, number, self._failures)
                frames = self._simulations.run(self.grid, values, seed, optimizer.frames)
                break
            except (SimulationError, ModelError) as error:
                if self._reached.iteration is None:
                    raise
                failures += 1
                began = time.perf_counter()
                self._retreat(optimizer)
                self.events.tell(
                    "The last step was taken back and made smaller, as a simulation failed "
                    f"({failures} of at most {MOST_FAILURES} times in a row): {_cause(error)}"
                )
                self.step(optimizer)
                seconds += time.perf_counter() - began
                if failures == MOST_FAILURES:
                    raise SimulationError(
                        f"Iteration {number} was given up after {failures} simulations in a row "
                        f"that failed, each after a smaller step; the last one so: {error}"
                    ) from None
        self._failures = 0
        self.events.tell(*(said_of_drift(*each) for each in self._simulations.drifts.items()))
        return Piece(frames, coefficients), predicted, seconds

    def decide(
        self, number: int, optimizer: Optimizer, predicted: float | None
    ) -> tuple[bool, float | None]:
        """Accept the newest piece of simulation, or undo the step that led to it.

        Parameters
        ----------
        number
            Of the iteration.
        optimizer
            Is told how long its next step may be.
        predicted
            The loss of the piece by reweighting, if that is known.

        Returns
        -------
        Whether it was accepted, and the loss that was predicted, if any was.
        """
        change, last = self._reached.change(), self._reached.iteration
        if change is None or last is None:
            self._reached.accept(number, optimizer)
            return True, None
        decrease = self._predicted_decrease
        if decrease is not None:
            decrease = self._reached.in_units_of(change, decrease)
            predicted = change.predicted(decrease) if predicted is None else predicted
        keep_atoms = False
        if self._repeats:
            keep_atoms = change.is_rise
            if keep_atoms:
                self.events.tell(said_of_repeated(change, last))
        elif not self._keep(change, last, optimizer, decrease, predicted):
            return False, predicted
        self._rejected, self._repeats = 0, False
        self._reached.accept(number, optimizer, keep_atoms)
        return True, predicted

    def _keep(
        self,
        change: LossChange,
        last: int,
        optimizer: Optimizer,
        decrease: float | None,
        predicted: float | None,
    ) -> bool:
        """Whether the last step stays; tell the optimizer how long the next one may be."""
        found = verdict(change.rise, change.error, decrease)
        worse = self._worse()
        if found is Verdict.UNDO or worse is not None:
            self._rejected += 1
            again = self._repeats = self._rejected == MOST_REJECTED
            self.events.tell(
                said_of_rejected(change, predicted, last, again)
                if worse is None
                else said_of_worsening(*worse, last, again)
            )
            self._reached.reject(optimizer)
            return False
        if found is Verdict.SHORTEN and decrease is not None:
            self.events.tell(said_of_shortened(change, decrease))
            optimizer.retreat()
        elif found is Verdict.HOLD:
            optimizer.hold()
        return True

    def _worse(self) -> tuple[str, LossChange] | None:
        """A system whose loss rose while its structure changed throughout the newest piece."""
        for ensemble in self._ensembles:
            found = self._simulations.drifts.get(ensemble.system.name)
            if found is not None:
                change = change_within(ensemble, found.before)
                if change.is_rise:
                    return ensemble.system.name, change
        return None

    def next_step(self, optimizer: Optimizer) -> Update:
        """Update the potential, or leave it where it is to be simulated again."""
        if not self._repeats:
            return self.step(optimizer)
        # what the last update said of the accepted potential holds
        return replace(self._no_step(), info=self._info)

    def step(self, optimizer: Optimizer) -> Update:
        """Update the potential and judge it; make a step to infinite energies smaller."""
        for _ in range(MOST_FAILURES):
            try:
                update = optimizer.update(self._potential, self.grid, self._ensembles)
                self._reached.judge_unsimulated(optimizer.uses_references)
                self.uncertainty = update.uncertainty
                self._predicted_decrease, self._info = update.predicted_decrease, update.info
                return update
            except (SimulationError, ModelError) as error:
                self._retreat(optimizer)
                self.events.tell(f"A step was taken back and made smaller: {error}")
        return self._no_step()

    def _no_step(self) -> Update:
        self._predicted_decrease = None
        return Update(0, 0.0)

    def _retreat(self, optimizer: Optimizer) -> None:
        """Put weights, optimizer and atoms back to before the last step; ask for smaller ones."""
        self._failures += 1
        self._repeats = False
        self._reached.go_back(optimizer)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {
            "events": self.events.state(),
            "uncertainty": self.uncertainty,
            "failures": self._failures,
            "rejected": self._rejected,
            "repeats": self._repeats,
            "predicted_decrease": self._predicted_decrease,
            "info": dict(self._info),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` returned."""
        self.events.load_state(state["events"])
        self.uncertainty = state["uncertainty"]
        self._failures = state["failures"]
        self._rejected, self._repeats = state["rejected"], state["repeats"]
        self._predicted_decrease, self._info = state["predicted_decrease"], state["info"]


def _cause(error: Exception) -> str:
    """The text of an error without the log, which the next simulation overwrites."""
    return str(error).split(" The log is ")[0]
