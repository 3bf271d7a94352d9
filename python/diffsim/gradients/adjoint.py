"""What a window of a trajectory says of targets of the motion, and its exact derivative.

The derivative is that of the window as it was simulated, from its initial state on: the discrete
adjoint of LAMMPS's own steps (`src_cpp/kernels/adjoint.h`). Each observable takes one backward sweep
over the steps that it depends on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from diffsim import _core
from diffsim.knots import Array
from diffsim.simulation.frames import sum_over_types
from diffsim.targets import Window, WindowTarget


def window_of(trajectory: Any, species_of_type: Sequence[int], kt: float) -> Window:
    """A recorded trajectory as targets see it.

    Parameters
    ----------
    trajectory
        `diffsim._core.Trajectory`.
    species_of_type
        Species index of the LAMMPS types 1, 2, ...; -1 for types that the potential leaves out.
    kt
        Thermal energy of the system.
    """
    return Window(
        x=trajectory.x,
        v=trajectory.v,
        species=np.asarray(species_of_type)[trajectory.type - 1],
        mass=trajectory.mass,
        dt=trajectory.dt,
        kt=kt,
        mvv_to_energy=trajectory.mvv_to_energy,
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
) -> Array:
    """Derivatives of the same by the coefficients of the simulated splines, (M, P (K + 2)).

    The initial state of the window is held fixed.
    """
    rows = []
    for target in targets:
        for index in range(len(target.values)):
            by_states = target.derivatives(window, species, index)
            found = _core.adjoint(trajectory, by_states.x, by_states.v, threads=threads)
            of_pairs = sum_over_types(found["coefficients"], species_of_type, len(species), 0)
            rows.append(of_pairs.ravel())
    return np.array(rows)
