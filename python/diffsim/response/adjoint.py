"""What a window of a trajectory says of targets of the motion, and its exact derivative.

The derivative is that of the window as it was simulated, from its initial state on: the discrete
adjoint of LAMMPS's own steps (`src_cpp/kernels/adjoint.h`). Each observable takes one backward
sweep over the steps that it depends on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffsim import _core
from diffsim.arrays import Array
from diffsim.errors import SimulationError
from diffsim.records.frames import sum_over_types
from diffsim.species import species_pairs
from diffsim.targets import Window, WindowTarget


@dataclass(frozen=True)
class _Pairs:
    """Sums over the pairs of a trajectory, of functions of pairs of species."""

    trajectory: Any
    pair_of_types: Sequence[int]  # of species; -1 where there is none
    n_pairs: int

    @property
    def distances(self) -> Array:
        """See `diffsim.targets.window.PairSums`; NaN of pairs that the system does not hold."""
        of_types = self.trajectory.knots
        result = np.full((self.n_pairs, of_types.shape[1]), np.nan)
        for row, pair in zip(of_types, self.pair_of_types, strict=True):
            if pair >= 0:
                result[pair] = row
        return result

    def sum(self, state: int, values: Array) -> tuple[float, Array]:
        """See `diffsim.targets.window.PairSums`."""
        coefficients = _core.spline_coefficients(values)
        of_types = np.array(
            [
                coefficients[p] if p >= 0 else np.zeros(coefficients.shape[1])
                for p in self.pair_of_types
            ]
        )
        return _core.pair_sum(self.trajectory, state, of_types)


def window_of(trajectory: Any, species_of_type: Sequence[int], n_species: int, kt: float) -> Window:
    """A recorded trajectory as targets see it.

    Parameters
    ----------
    trajectory
        `diffsim._core.Trajectory`.
    species_of_type
        Species index of the LAMMPS types 1, 2, ...; -1 for types that the potential leaves out.
    n_species
        Of the potential.
    kt
        Thermal energy of the system.
    """
    index = {pair: p for p, pair in enumerate(species_pairs(n_species))}
    ordered = []
    for i, j in species_pairs(len(species_of_type)):
        a, b = sorted((species_of_type[i], species_of_type[j]))
        ordered.append((a, b))
    return Window(
        x=trajectory.x,
        v=trajectory.v,
        species=np.asarray(species_of_type)[trajectory.type - 1],
        mass=trajectory.mass,
        dt=trajectory.dt * trajectory.stride,
        kt=kt,
        mvv_to_energy=trajectory.mvv_to_energy,
        volume=float(np.linalg.det(trajectory.box)),
        pairs=_Pairs(trajectory, [index.get(p, -1) for p in ordered], len(index)),
    )


def motion(window: Window, targets: Sequence[WindowTarget], species: Sequence[str]) -> Array:
    """Observables of all targets in a window, one after the other, shape (M,)."""
    return np.concatenate([target.observe_window(window, species) for target in targets])


def motion_response(
    trajectory: Any,
    window: Window,
    targets: Sequence[WindowTarget],
    species: Sequence[str],
    species_of_type: Sequence[int],
    threads: int = 1,
    gpu: int | None = None,
) -> Array:
    """Derivatives of the same by the coefficients of the simulated splines, (M, P (K + 2)).

    The initial state of the window is held fixed. On the GPU of a number, if there is one.

    Raises
    ------
    SimulationError
        If a derivative is not finite.
    """
    rows = []
    for target in targets:
        for index in range(len(target.values)):
            by_states = target.derivatives(window, species, index)
            found = _core.adjoint(trajectory, by_states.x, by_states.v, threads=threads, gpu=gpu)
            if not np.all(np.isfinite(found["coefficients"])):
                raise SimulationError(
                    f"The derivative of the {target.label} along a window of "
                    f"{(len(window.x) - 1) * window.dt:g} in time exceeds all numbers, as motion "
                    "so long is chaotic. Check the unit of time of the target, and leave out its "
                    "longest times."
                )
            of_pairs = sum_over_types(found["coefficients"], species_of_type, len(species), 0)
            rows.append(of_pairs.ravel())
    return np.array(rows)
