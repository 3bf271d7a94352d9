"""The same derivative by reweighting, by the adjoint, by both, and from simulations.

Of g(r) and of the velocity autocorrelation of a small fluid, by the strength of its potential.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffsim import _core
from diffsim.response.adjoint import window_of
from diffsim.simulation import Recording, System, simulate, simulate_windows
from diffsim.statistics.time_series import standard_error, statistical_inefficiency
from diffsim.targets import RDF, VACF, WindowRDF
from diffsim.targets.window import shortened

Array = NDArray[np.float64]

LENGTHS = (10, 25, 50, 100, 200, 400)
"""Steps of the windows."""

EVERY = 20  # steps between frames, and from the end of a window to the next
PIECE = 1000  # steps of a stretch of the long runs, over whose origins correlations are averaged
STRENGTH_STEP = 0.1  # relative; of the central differences
CUTOFF, INNER, KNOTS, KT, DT = 2.0, 0.8, 200, 1.0, 0.005
R = np.sqrt(np.linspace(INNER**2, CUTOFF**2, KNOTS))
ENERGY = 8.0 * (R**-12 - R**-6) * (1.0 - (R / CUTOFF) ** 2) ** 3  # smooth at the cutoff
SCRIPT = f"""
units lj
lattice sc 0.8
region box block 0 4 0 4 0 4
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create ${{temperature}} ${{seed}}
timestep {DT}
fix integrate all nvt temp ${{temperature}} ${{temperature}} 0.5
"""

RDF_AT, WIDTH = 1.1, 0.1
"""Centre of the smooth bin that is looked at, on the first peak, and distance of the bins."""

# of the target only the place of its bins matters, of which the first is the one that is looked at
_EDGES = np.arange(RDF_AT, RDF_AT + 7.5 * WIDTH, WIDTH)
BINS = WindowRDF(RDF(_EDGES, np.ones_like(_EDGES), ("A", "A")), CUTOFF, WIDTH)
VACFS = [VACF([steps * DT], [0.0], "A") for steps in LENGTHS]


@dataclass(frozen=True)
class Estimate:
    """A derivative from a series, whose mean it is.

    Attributes
    ----------
    mean, error
        Of the series.
    spread
        Standard deviation of a member.
    """

    mean: float
    error: float
    spread: float

    @classmethod
    def of(cls, series: Array) -> "Estimate":
        return cls(float(series.mean()), float(standard_error(series)), float(series.std(ddof=1)))


@dataclass(frozen=True)
class Result:
    """Derivatives of one observable in windows of one length.

    Attributes
    ----------
    steps
        Length of the windows.
    initial
        By reweighting their initial states, the motion held fixed.
    along
        By the adjoint, the initial states held fixed.
    total
        The sum.
    short_along, short_total
        The same with derivatives of windows as `diffsim.targets.shortened` leaves them.
    shortened
        Share of the windows that it changes.
    expected, expected_error
        From the long runs.
    """

    steps: int
    initial: Estimate
    along: Estimate
    total: Estimate
    short_along: Estimate
    short_total: Estimate
    shortened: float
    expected: float
    expected_error: float


@dataclass(frozen=True)
class Comparison:
    """All that is compared.

    Attributes
    ----------
    rdf, vacf
        For each length of the windows.
    frames
        Derivative of g(r) by reweighting single frames, `EVERY` steps apart.
    frame_steps
        Steps of the run with these frames.
    correlation
        Steps of that run that are worth one independent frame.
    long_steps
        Steps of the runs of the central differences, of both strengths together: of g(r), and of
        the velocity autocorrelation.
    """

    rdf: list[Result]
    vacf: list[Result]
    frames: Estimate
    frame_steps: int
    correlation: float
    long_steps: tuple[int, int]


class Runs:
    """Simulations of the fluid with potentials of different strength."""

    def __init__(self, folder: Path) -> None:
        script = folder / "in.small"
        script.write_text(SCRIPT)
        self.folder = folder
        self.system = System(script, KT, VACFS)

    def windows(self, number: int, seed: int) -> Any:
        """Frames with windows, differentiated for all lengths: first g(r), then correlations."""

        def analyse(trajectory: Any, types: Sequence[int]) -> tuple[Array, Array]:
            whole = window_of(trajectory, types, 1, KT)
            observed, response = [], []
            for targets in ([BINS] * len(LENGTHS), VACFS):
                for steps, target in zip(LENGTHS, targets, strict=True):
                    # the first states of a window are a shorter window
                    part = replace(whole, x=whole.x[: steps + 1], v=whole.v[: steps + 1])
                    observed.append(target.observe_window(part, ["A"])[0])
                    by = target.derivatives(part, ["A"], 0)
                    found = _core.adjoint(trajectory, by.x, by.v)
                    response.append(found["coefficients"].ravel())
            return np.array(observed), np.array(response)

        return self._windows(ENERGY, number, LENGTHS[-1], seed, analyse)

    def correlations(self, strength: float, number: int, seed: int) -> Array:
        """The velocity autocorrelation at all lengths, averaged over each of some stretches."""

        def analyse(trajectory: Any, _: Sequence[int]) -> tuple[Array, Array]:
            v = trajectory.v.reshape(trajectory.steps + 1, -1)
            unit = trajectory.mvv_to_energy / (KT * v.shape[1])
            z = [unit * np.sum(v[:-n] * v[n:]) / (len(v) - n) for n in LENGTHS]
            return np.array(z), np.empty((0, 0))

        return self._windows(strength * ENERGY, number, PIECE, seed, analyse).motion

    def frames(self, strength: float, number: int, seed: int) -> Array:
        """Numbers of pairs in the basis of the splines, (F, K + 2)."""
        recording = Recording(2000, number * EVERY, EVERY, 10, 1.5)
        knots = _knots(strength * ENERGY)
        frames, _ = simulate(self.system, knots, recording, seed, None, self.folder)
        return frames.counts[:, 0]

    def _windows(self, energy: Array, number: int, length: int, seed: int, analyse: Any) -> Any:
        recording = Recording(2000, number * EVERY, EVERY, 10, 1.5)
        knots = _knots(energy)
        return simulate_windows(
            self.system, knots, recording, length, seed, None, self.folder, analyse
        )[0]

    def bin_of_counts(self) -> Array:
        """What numbers of pairs have to be multiplied with for g(r) of the bin, (K + 2,)."""
        found = []

        def analyse(trajectory: Any, types: Sequence[int]) -> tuple[Array, Array]:
            functions, units = BINS._functions(window_of(trajectory, types, 1, KT), ["A"])
            found.append(units[0] * _core.spline_coefficients(functions[0]).ravel())
            return np.empty(0), np.empty((0, 0))

        self._windows(ENERGY, 1, 1, 1, analyse)
        return found[0]


def compare(folder: Path, windows: int, long_frames: int, seed: int) -> Comparison:
    """Simulate and differentiate.

    Parameters
    ----------
    folder
        For LAMMPS's files.
    windows
        Number of windows.
    long_frames
        Of the long runs of g(r), for each strength; those of the velocity autocorrelation are as
        long.
    seed
        Of all random numbers.
    """
    runs = Runs(folder)
    strength = _core.spline_coefficients(ENERGY[None]).ravel()
    of_bin = runs.bin_of_counts()

    counts = runs.frames(1.0, long_frames, seed)
    by_frames = _reweighted(counts @ strength, counts @ of_bin)
    step = STRENGTH_STEP
    scaled = [1.0 + step, 1.0 - step]
    # seeds of their own: the runs are independent, as their errors suppose
    g = [runs.frames(s, long_frames, seed + k + 1) @ of_bin for k, s in enumerate(scaled)]
    pieces = max(long_frames * EVERY // PIECE, 2)
    z = [runs.correlations(s, pieces, seed + k + 3) for k, s in enumerate(scaled)]
    expected = [*[_difference(*g, step)] * len(LENGTHS)]
    expected += [_difference(z[0][:, k], z[1][:, k], step) for k in range(len(LENGTHS))]

    recorded = runs.windows(windows, seed + 5)
    energy = recorded.counts[:, 0] @ strength
    results = [
        _result(steps, energy, recorded.motion[:, k], recorded.motion_response[:, k], strength, e)
        for k, (steps, e) in enumerate(zip(LENGTHS * 2, expected, strict=True))
    ]
    return Comparison(
        results[: len(LENGTHS)],
        results[len(LENGTHS) :],
        Estimate.of(by_frames),
        long_frames * EVERY,
        EVERY * float(statistical_inefficiency(by_frames)),
        (2 * long_frames * EVERY, 2 * pieces * PIECE),
    )


def _result(
    steps: int,
    energy: Array,
    observed: Array,
    response: Array,
    strength: Array,
    expected: tuple[float, float],
) -> Result:
    initial = _reweighted(energy, observed)
    along = response @ strength
    without_outliers, share = shortened(response[:, None])
    short = without_outliers[:, 0] @ strength
    series = (initial, along, initial + along, short, initial + short)
    return Result(steps, *(Estimate.of(s) for s in series), share, *expected)


def _knots(energy: Array) -> Any:
    return _core.Knots("lj", ["A"], CUTOFF, [INNER], energy[None])


def _reweighted(energy: Array, observed: Array) -> Array:
    """The series whose mean is -beta Cov."""
    return -(energy - energy.mean()) * (observed - observed.mean()) / KT


def _difference(stronger: Array, weaker: Array, step: float) -> tuple[float, float]:
    """Central difference and its error."""
    error = np.hypot(standard_error(stronger), standard_error(weaker)) / (2.0 * step)
    return float((stronger.mean() - weaker.mean()) / (2.0 * step)), float(error)
