"""What a training ended with: its best potential, and the numbers that are those of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffsim.arrays import Array
from diffsim.knots import Grid
from diffsim.simulation import Frames
from diffsim.statistics import reweighting
from diffsim.targets import Pressure

SEEN = 0.1  # of g: bins that count


@dataclass(frozen=True)
class Distance:
    """Between two potentials.

    Attributes
    ----------
    at_knots
        Their difference, (P, K), of those that depend on temperature at the reference temperature.
    seen
        Root mean square of it over all systems where g > 0.1.
    """

    at_knots: Array | float = 0.0
    seen: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """The best potential of a training.

    Attributes
    ----------
    iteration
        In which it was simulated, or after which it was corrected.
    corrected
        Whether it is the correction of what was simulated then, and was not simulated itself.
    systems
        Of every system what `diffsim.training.measurement.measured` says of that iteration; the
        pressure of a correction is that of the weighted frames (`pressure_of`).
    numbers
        Of the optimizer's last update, but `chi_square` and `correction` of that iteration;
        `uncertainty` contains the distance of the best potential from the one that the update made.
    """

    iteration: int
    corrected: bool
    systems: Mapping[str, Mapping[str, Any]]
    numbers: Mapping[str, float]

    @property
    def words(self) -> str:
        """Which potential it is, as a clause."""
        if self.corrected:
            return f"as it was corrected after iteration {self.iteration}"
        return f"as it was simulated in iteration {self.iteration}"


def pressure_of(frames: Frames, before: Array, now: Array, beta: float) -> float:
    """The pressure of a potential, from frames of another one.

        P = sum_f w_f (P_f + dP/dc (c - c_0)),    w ~ exp(-beta n (c - c_0))

    Parameters
    ----------
    frames
        Of the potential with the coefficients c_0, at constant volume.
    before, now
        c_0 and c, shape (P, K + 2) each.
    beta
        Inverse thermal energy.
    """
    change = (now - before).ravel()
    counts = frames.counts.reshape(len(frames), -1)
    weights = np.exp(reweighting.log_weights(beta * (counts @ change)))
    derivative = Pressure(0.0).explicit(frames)
    return float(weights @ (frames.pressure + derivative @ change))


def seen_distance(grid: Grid, difference: Sequence[Array], latest: Sequence[Frames]) -> float:
    """Root mean square of a difference of potentials where g > 0.1, below the cutoff.

    Parameters
    ----------
    grid
        The knots.
    difference
        Of the energies at the knots, for each system, shape (P, K) each.
    latest
        Frames of each system.
    """
    seen = np.concatenate(
        [seen_energies(grid, *each) for each in zip(difference, latest, strict=True)]
    )
    return float(np.sqrt(np.mean(seen**2))) if len(seen) else 0.0


def seen_energies(grid: Grid, energies: Array, frames: Frames) -> Array:
    """Energies (P, K) at the knots, in the recorded bins where g > 0.1 below the cutoff, (n,)."""
    centres = 0.5 * (frames.edges[:-1] + frames.edges[1:])
    found = [np.empty(0)]
    for pair, values in enumerate(energies):
        if frames.has_pairs(pair):
            there = (frames.rdf(pair).mean(axis=0) > SEEN) & (centres < grid.cutoff)
            found.append(np.interp(centres[there], grid.distances(pair), values))
    return np.concatenate(found)
