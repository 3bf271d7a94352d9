"""Types of the compiled core; see src_cpp/python."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

Model = Callable[[Array, Integers, Integers], tuple[Array, Array]]

built_for_lammps: int
built_for_torch: str
MIN_KNOTS: int

class PotentialError(Exception): ...

class Frames:
    n_types: int
    pressure_unit: float
    rdf_width: float
    atoms: Integers
    pairs: Integers
    step: Integers
    volume: Array
    energy: Array
    pressure: Array
    temperature: Array
    counts: Array
    virial: Array
    rdf: Array
    def __len__(self) -> int: ...

class Knots:
    units: str
    species: list[str]
    cutoff: float
    inner: list[float]
    outer: list[float]
    values: Array
    def __init__(
        self,
        units: str,
        species: list[str],
        cutoff: float,
        inner: list[float],
        values: Array,
        outer: list[float] | None = None,
    ) -> None: ...
    def write(self, path: str) -> None: ...
    @staticmethod
    def read(path: str) -> Knots: ...

class SplineError:
    energy: float
    force: float
    energy_at: float
    force_at: float

class Trajectory:
    integrator: str
    steps: int
    stride: int
    dt: float
    kt: float
    mvv_to_energy: float
    box: Array
    periodic: list[bool]
    tag: Integers
    type: Integers
    mass: Array
    drag: Array
    chain_mass: Array
    chain_velocity: Array
    x: Array
    v: Array
    knots: Array
    nbytes: int

def take_trajectories(lammps: int, fix_id: str) -> list[Trajectory]: ...
def pair_sum(
    trajectory: Trajectory, state: int, coefficients: Array, threads: int = 1
) -> tuple[float, Array]: ...
def gpu_count() -> int: ...
def adjoint(
    trajectory: Trajectory,
    dx: Array | None = None,
    dv: Array | None = None,
    threads: int = 1,
    instructions: str | None = None,
    gpu: int | None = None,
) -> dict[str, Array]: ...
def take_frames(lammps: int, fix_id: str) -> Frames: ...
def pair_style(lammps: int) -> str: ...
def spline_coefficients(values: Array) -> Array: ...
def spline_coefficients_transpose(gradient: Array) -> Array: ...
def spline_basis(r: Array, inner: float, cutoff: float, knots: int) -> Array: ...
def reference_energy(units: str) -> float: ...
def pair_ranges(
    model: Model, species: list[str], cutoff: float, units: str
) -> list[tuple[float, float]]: ...
def tabulate(
    model: Model,
    species: list[str],
    cutoff: float,
    units: str,
    ranges: list[tuple[float, float]],
    tolerance: float,
) -> tuple[Knots, SplineError]: ...
