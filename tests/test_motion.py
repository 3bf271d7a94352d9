"""Targets of the motion: what they measure, and the gradient of their averages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffsim import _core
from diffsim.errors import InputError
from diffsim.gradients.adjoint import motion, motion_response, window_of
from diffsim.gradients.statistics import standard_error
from diffsim.simulation import Recording, System, simulate_windows
from diffsim.targets import MSD, VACF, Diffusion, Window, window_averages

CUTOFF, INNER, KNOTS = 2.0, 0.8, 200
R = np.sqrt(np.linspace(INNER**2, CUTOFF**2, KNOTS))
ENERGY = 8 * (R**-12 - R**-6) * (1 - (R / CUTOFF) ** 2) ** 3  # no step of the force at the end
SCRIPT = """
units lj
lattice sc 0.8
region box block 0 4 0 4 0 4
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create ${temperature} ${seed}
timestep 0.005
fix integrate all nvt temp ${temperature} ${temperature} 0.5
"""


# ---- what they measure: motion that is known ----


def window(x, v, species=(0, 1), mass=(2.0, 1.0), dt=0.1, kt=1.5):
    return Window(
        np.asarray(x, dtype=float),
        np.asarray(v, dtype=float),
        np.array(species),
        np.array(mass),
        dt,
        kt,
        mvv_to_energy=1.0,
    )


def rotating(steps=20):
    """Two atoms: A moves on a circle of radius one, B straight on."""
    t = 0.1 * np.arange(steps + 1)
    zero = np.zeros_like(t)
    circle = np.stack([np.cos(t), np.sin(t), zero], axis=1)
    tangent = np.stack([-np.sin(t), np.cos(t), zero], axis=1)
    straight = np.stack([zero, zero, 3 * t], axis=1)
    constant = np.stack([zero, zero, 3 + zero], axis=1)
    return window(np.stack([circle, straight], 1), np.stack([tangent, constant], 1))


TIMES = np.array([0.1, 0.5, 2.0])


def test_velocity_autocorrelation_of_known_motion():
    # m v^2 = 2, 3 kT = 4.5; the velocity turns by the angle t
    found = VACF(TIMES, np.zeros(3), "A").observe_window(rotating(), ["A", "B"])
    assert found == pytest.approx(2 / 4.5 * np.cos(TIMES))
    found = VACF(TIMES, np.zeros(3), "B").observe_window(rotating(), ["A", "B"])
    assert found == pytest.approx([2.0, 2.0, 2.0])


def test_displacement_of_known_motion():
    found = MSD(TIMES, np.zeros(3), "A").observe_window(rotating(), ["A", "B"])
    assert found == pytest.approx(2 - 2 * np.cos(TIMES))
    found = MSD(TIMES, np.zeros(3), "B").observe_window(rotating(), ["A", "B"])
    assert found == pytest.approx(9 * TIMES**2)


def test_diffusion_is_a_sixth_of_the_slope():
    target = Diffusion(1.0, "B", (0.5, 2.0))
    assert target.observe_window(rotating(), ["A", "B"]) == pytest.approx(
        [9 * (2.0**2 - 0.5**2) / (6 * 1.5)]
    )


@pytest.mark.parametrize(
    "target",
    [
        VACF(TIMES, np.zeros(3), "A"),
        MSD(TIMES, np.zeros(3), "A"),
        Diffusion(1.0, "A", (0.3, 1.2)),
        Diffusion(1.0, "B", (0.0, 1.2)),
    ],
    ids=lambda target: target.label,
)
def test_derivatives_by_the_states(target):
    """They are quadratic in the states: central differences are exact."""
    rng = np.random.default_rng(4)
    base = window(*rng.normal(size=(2, 21, 5, 3)), species=[0, 1, 0, 1, 1], mass=np.ones(5))
    change = rng.normal(size=(2, 21, 5, 3))

    def at(step):
        moved = replace(base, x=base.x + step * change[0], v=base.v + step * change[1])
        return target.observe_window(moved, ["A", "B"])

    expected = 0.5 * (at(1.0) - at(-1.0))
    for index in range(len(target.values)):
        found = target.derivatives(base, ["A", "B"], index)
        total = sum(
            np.sum(part * change[k, : len(part)])
            for k, part in enumerate((found.x, found.v))
            if part is not None
        )
        assert total == pytest.approx(expected[index], rel=1e-10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VACF(TIMES, np.zeros(2), "A"), "one number 'value' for each of its times"),
        (lambda: MSD(-TIMES, np.zeros(3), "A"), "must be positive and increase"),
        (lambda: MSD(TIMES, np.zeros(3), "A", np.zeros(3)), "errors .* must be positive"),
        (lambda: VACF(TIMES, np.full(3, np.nan), "A"), "not finite"),
        (lambda: VACF(TIMES, np.zeros(3), "A", weight=0.0), "weight .* positive"),
        (lambda: Diffusion(-1.0, "A", (0, 1)), "value .* positive"),
        (lambda: Diffusion(1.0, "A", (2, 1)), "second must be after the first"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (VACF([0.15], [0.0], "A"), "no multiple of the time step"),
        (VACF([5.0], [0.0], "A"), "longer than the window"),
        (VACF([0.1], [0.0], "C"), "has the species A, B"),
    ],
)
def test_what_a_window_cannot_say(target, message):
    with pytest.raises(InputError, match=message):
        target.observe_window(rotating(), ["A", "B"])


# ---- the gradient of averages ----


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """Function (energies, number, seed, differentiated?) -> frames with windows of 64 atoms."""
    folder = tmp_path_factory.mktemp("windows")
    (folder / "in.fluid").write_text(SCRIPT)
    targets = [VACF([0.05, 0.1], [0.0, 0.0], "A")]
    system = System(folder / "in.fluid", 1.0, window_averages(targets))

    def run(energies, number, seed, differentiate):
        knots = _core.Knots("lj", ["A"], CUTOFF, [INNER], energies[None])

        def analyse(trajectory, species):
            w = window_of(trajectory, species, 1, 1.0)
            response = np.empty((0, 0))
            if differentiate:
                response = motion_response(trajectory, w, targets, ["A"], species)
            return motion(w, targets, ["A"]), response

        recording = Recording(2000, number * 20, 20, 10, 1.5)
        return simulate_windows(system, knots, recording, 20, seed, None, folder, analyse)[0]

    return run


def test_only_both_halves_are_the_gradient_of_an_average(windows):
    """Of a VACF with the strength of the potential, against two long runs of other strength.

    The adjoint holds the initial states of the windows fixed; the reweighting of these holds the
    motion fixed.
    """
    step = 0.15
    frames = windows(ENERGY, 3000, 1, True)
    change = _core.spline_coefficients(ENERGY[None]).ravel()
    along = (frames.motion_response @ change).sum(axis=1)
    energy = frames.counts.reshape(len(frames), -1) @ change
    observed = frames.motion.sum(axis=1)
    initial = -(energy - energy.mean()) * (observed - observed.mean())

    weaker, stronger = (windows(ENERGY * (1 + s * step), 5000, 2, False) for s in (-1, 1))
    sums = [part.motion.sum(axis=1) for part in (stronger, weaker)]
    expected = (sums[0].mean() - sums[1].mean()) / (2 * step)
    error = np.hypot(*(standard_error(part) for part in sums)) / (2 * step)

    def deviation(series):
        return abs(series.mean() - expected) / np.hypot(standard_error(series), error)

    assert deviation(along + initial) < 3
    assert deviation(along) > 5 and deviation(initial) > 5
    assert np.hypot(error, standard_error(along + initial)) < 0.1 * abs(expected)


def test_windows_begin_with_their_frames(windows):
    """Counts of the frame are those of the window's initial state, in equilibrium."""
    frames = windows(ENERGY, 50, 3, True)
    assert len(frames) == 50 and frames.motion.shape == (50, 2)
    assert frames.motion_response.shape == (50, 2, KNOTS + 2)
    energy = frames.counts.reshape(50, -1) @ _core.spline_coefficients(ENERGY[None]).ravel()
    assert energy == pytest.approx(frames.energy, rel=1e-10)
    # Z(0.05) is large and Z falls
    assert 0.4 < frames.motion[:, 0].mean() < 0.9
    assert frames.motion[:, 1].mean() < frames.motion[:, 0].mean()
