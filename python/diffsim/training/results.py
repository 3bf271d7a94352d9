"""What the iterations measured that the end of a training speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diffsim.knots import spline_coefficients
from diffsim.optimizers import Update
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble
from diffsim.simulation import Frames
from diffsim.training.accepted import Accepted
from diffsim.training.conclusion import concluding_events
from diffsim.training.outcome import Distance, Outcome, pressure_of

OF_RESIDUALS = ("chi_square", "correction")
"""Numbers of the optimizer that are those of the residuals of one potential."""


class Results:
    """Numbers of the accepted iteration, and of the one whose potential is the best.

    Parameters
    ----------
    potential
        That is learned.
    reached
        What of it is accepted, and what is best.

    Attributes
    ----------
    apart
        Distance of the best potential from the one that the last update made.
    """

    def __init__(self, potential: Model, reached: Accepted) -> None:
        self._potential, self._reached = potential, reached
        # what was measured, and the optimizer's numbers after it, by iteration
        self._measured: dict[int, tuple[Mapping[str, Any], Mapping[str, float]]] = {}
        self.apart = Distance()

    def note(
        self, entries: Mapping[str, Any] | None, update: Update, latest: Sequence[Frames]
    ) -> None:
        """Take what an iteration says.

        Parameters
        ----------
        entries
            What its piece measured, by system; None if it was not accepted.
        update
            That followed.
        latest
            Frames of the accepted piece.
        """
        last = self._reached.iteration
        assert last is not None
        if entries is not None:
            self._measured[last] = entries, {}
        if update.steps:
            self._measured[last] = self._measured[last][0], dict(update.info)
        self._measured = {n: self._measured[n] for n in self._reached.candidates}
        self.apart = self._reached.distance(latest)

    def outcome(self, ensembles: Sequence[Ensemble], latest: Sequence[Frames]) -> Outcome | None:
        """The best potential and its numbers; None before the first iteration.

        Parameters
        ----------
        ensembles, latest
            Of each system, with the frames of the accepted piece.
        """
        best = self._reached.best
        if best is None or not self._measured:
            return None
        entries, of_best = self._measured[best.iteration]
        # what is true of the data and of the fluid the last update knows best
        numbers = dict(self._measured[max(self._measured)][1])
        for name in OF_RESIDUALS:
            numbers.pop(name, None)
            if name in of_best:
                numbers[name] = of_best[name]
        if "uncertainty" in numbers:
            numbers["uncertainty"] = float(np.hypot(numbers["uncertainty"], self.apart.seen))
        if best.corrected:
            entries = self._corrected(entries, ensembles, latest)
        return Outcome(best.iteration, best.corrected, entries, numbers)

    def _corrected(
        self, entries: Mapping[str, Any], ensembles: Sequence[Ensemble], latest: Sequence[Frames]
    ) -> Mapping[str, Any]:
        """What the accepted piece measured, with the pressures of the best potential."""
        with self._reached.at_best():
            present = [spline_coefficients(energies) for energies in self._reached.values()]
        found = {}
        for ensemble, frames, c in zip(ensembles, latest, present, strict=True):
            entry = dict(entries[ensemble.system.name])
            if "density" not in entry:
                before = ensemble.latest_coefficients
                entry["pressure"] = pressure_of(frames, before, c, ensemble.beta)
                if "pressure" in entry["values"]:
                    error = entry["values"]["pressure"][1]
                    entry["values"] = {**entry["values"], "pressure": [entry["pressure"], error]}
            found[ensemble.system.name] = entry
        return found

    def conclusion(
        self,
        ensembles: Sequence[Ensemble],
        latest: Sequence[Frames],
        densities: Mapping[str, float],
    ) -> list[str]:
        """What is to be said of the end of a training.

        Parameters
        ----------
        ensembles, latest
            As of `outcome`.
        densities
            Number density of each system as its script makes it.
        """
        outcome = self.outcome(ensembles, latest)
        assert outcome is not None
        systems = [ensemble.system for ensemble in ensembles]
        with self._reached.at_best():
            return concluding_events(
                self._potential, self._reached.grid, systems, latest, outcome, densities
            )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {"measured": self._measured, "apart": dict(vars(self.apart))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` returned."""
        self._measured, self.apart = dict(state["measured"]), Distance(**state["apart"])
