"""Targets of the motion: what they measure, and the gradient of their averages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffsim import _core, potentials
from diffsim.config.schema import load_config
from diffsim.config.targets import TargetConfig
from diffsim.errors import InputError
from diffsim.lammps.engine import started
from diffsim.optimizers.structure import target_columns
from diffsim.response.adjoint import motion, motion_response, window_of
from diffsim.response.ensemble import Ensemble
from diffsim.run.training import run_training
from diffsim.simulation import Recording, System, simulate_windows
from diffsim.statistics.shrinkage import share_along, share_told, shrunk
from diffsim.statistics.time_series import standard_error
from diffsim.targets import (
    MSD,
    RDF,
    VACF,
    Diffusion,
    Window,
    WindowRDF,
    window_averages,
)
from diffsim.training.trainer import Trainer

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


def test_a_curve_of_the_time_zero_only_is_refused(tmp_path):
    (tmp_path / "zero.csv").write_text("time,Z\n0,1\n")
    with pytest.raises(InputError, match=r"zero\.csv' has no line for a time other than zero"):
        VACF.from_file(tmp_path / "zero.csv", "A")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (VACF([0.1], [0.0], "C"), "vacf C is a target of system 'cool', whose species are A"),
        (VACF([0.1], [0.0], "B"), "vacf B is a target of system 'cool', whose species are A"),
        # the longest time is whole, another is not
        (VACF([0.0521, 0.1], [0.5, 0.0], "A"), "0.0521 of the vacf A of system 'cool'"),
        (Diffusion(1.0, "A", (0.013, 0.1)), "0.013 of the diffusion A of system 'cool'"),
    ],
)
def test_what_a_system_cannot_say_is_refused_before_it_is_simulated(tmp_path, target, message):
    (tmp_path / "in.fluid").write_text(SCRIPT)
    system = System(tmp_path / "in.fluid", 1.0, [target], name="cool", types=["A"])
    potential = potentials.create("lennard-jones", species=["A", "B"], cutoff=1.5, units="lj")
    with pytest.raises(InputError, match=message):
        Trainer(potential, [system])


def test_classical_optimizers_name_the_target_that_they_do_not_know(tmp_path):
    (tmp_path / "in.fluid").write_text(SCRIPT)
    system = System(tmp_path / "in.fluid", 1.0, window_averages([VACF([0.1], [0.0], "A")]))
    ensemble = Ensemble(system, 1.0, ("A",), 1.5)
    with pytest.raises(InputError, match=r"ibi learns from RDFs only, but .* the target vacf A"):
        target_columns("ibi", ensemble)


# ---- distribution functions in windows ----

WIDTH = 0.05
CENTRES = WIDTH * (0.5 + np.arange(40))
MIXTURE = """
units lj
lattice sc 0.7
region box block 0 5 0 5 0 5
create_box 3 box
create_atoms 1 box
set group all type/fraction 2 0.3 99
set group all type/fraction 3 0.4 98
mass 1 1.0
mass 2 1.7
mass 3 1.3
velocity all create ${temperature} 5
timestep 0.005
fix integrate all nvt temp ${temperature} ${temperature} 0.5
"""


def test_a_target_that_begins_with_pairs_says_nothing_of_nearer_ones():
    """Smooth bins that reach below it would miss what the simulation has there."""
    ideal = RDF(CENTRES[20:], np.ones(20), ("A", "A"))
    assert WindowRDF(ideal, CUTOFF, 0.1).values == pytest.approx(np.ones(7), abs=1e-3)
    wall = RDF(CENTRES[10:], np.where(CENTRES < 1, 0.0, 1.0)[10:], ("A", "A"))
    assert len(WindowRDF(wall, CUTOFF, 0.1).values) == 8  # the first at the wall


def test_weights_of_bins_are_those_of_smooth_bins():
    plain = RDF(CENTRES, np.ones(40), ("A", "A"), weight=2.0)
    halves = replace(plain, bin_weights=np.where(CENTRES < 1, 3.0, 0.0))
    assert WindowRDF(plain, CUTOFF, 0.1).value_weights == pytest.approx(2.0, abs=1e-3)
    found = WindowRDF(halves, CUTOFF, 0.1).value_weights
    assert found[:7] == pytest.approx(6.0, abs=1e-2) and np.all(found[-7:] == 0.0)


def test_a_pair_that_a_system_does_not_hold_is_refused():
    base = replace(rotating(), pairs=object())
    for pair in (("A", "A"), ("A", "C")):
        target = WindowRDF(RDF(CENTRES, np.ones(40), pair), CUTOFF, 0.1)
        with pytest.raises(InputError, match="holds no such pair of atoms"):
            target.observe_window(base, ["A", "B", "C"])


def test_smooth_bins_inside_the_wall_hold_no_pairs():
    """Below the innermost knot of the potential, where the target may say that there are some."""

    class Pairs:
        distances = np.sqrt(np.linspace(1.2**2, CUTOFF**2, KNOTS))[None].repeat(3, axis=0)

        def sum(self, state, values):
            return float(np.abs(values).sum()), np.ones((2, 3))

    system = replace(rotating(), pairs=Pairs(), volume=10.0)
    target = WindowRDF(RDF(CENTRES, np.ones(40), ("A", "B")), CUTOFF, 0.1)
    found = target.observe_window(system, ["A", "B"])
    assert np.all(found[target.r < 1.0] == 0.0)
    assert np.all(found[target.r > 1.3] > 0.0)
    assert np.all(np.isfinite(found))
    assert np.all(target.derivatives(system, ["A", "B"], 0).x == 0.0)


def test_gradient_along_a_window_of_a_mixture(tmp_path):
    """Of all targets, with two types of one species, against central differences of LAMMPS runs."""
    inner, species = [0.8, 0.75, 0.7], ["A", "B"]
    r = np.array([np.sqrt(np.linspace(a**2, CUTOFF**2, KNOTS)) for a in inner])
    x = (np.array([[1.0], [0.95], [0.9]]) / r) ** 6
    u = np.array([[1.0], [1.2], [0.7]]) * 8 * (x**2 - x) * (1 - (r / CUTOFF) ** 2) ** 3
    change = np.sin(5 * r + 1) * np.exp(-u.clip(0, 50) / 20) * (CUTOFF - r) ** 3
    g = np.where(CENTRES < 0.8, 0.0, 1.0)
    targets = [
        WindowRDF(RDF(CENTRES, g, pair), CUTOFF, 0.2)
        for pair in (("A", "A"), ("B", "A"), ("B", "B"))
    ]
    targets += [VACF([0.05], [0.0], "B"), MSD([0.1], [1.0], "A"), Diffusion(1.0, "A", (0.05, 0.1))]
    (tmp_path / "in.mixture").write_text(MIXTURE)
    system = System(tmp_path / "in.mixture", 1.0, window_averages(targets), types=["A", "B", "A"])

    def run(energies, state, differentiate):
        knots = _core.Knots("lj", species, CUTOFF, inner, energies)
        with started(system, knots, 1, state, Path(tmp_path)) as instance:
            if state is None:
                instance.commands("run 300")
                return instance.state()
            instance.commands("fix record all diffsim/trajectory", "run 30")
            (t,) = _core.take_trajectories(instance.lammps.lmp.value, "record")
            w = window_of(t, instance.species_of_type, 2, 1.0)
            if differentiate:
                return motion_response(t, w, targets, species, instance.species_of_type)
            return motion(w, targets, species)

    state, step = run(u, None, False), 1e-6
    found = run(u, state, True) @ _core.spline_coefficients(change).ravel()
    up, down = (run(u + s * step * change, state, False) for s in (1, -1))
    assert found == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-7)


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


# ---- what a few windows tell gauss-newton ----


def test_share_of_a_covariance_that_is_signal():
    """x = 0.3 z_0 + noise: all of the covariance with many frames, little of it with few; an x that
    has nothing to do with z tells nothing."""
    rng = np.random.default_rng(1)
    shares = []
    for n in (40, 400, 40000):
        z = rng.normal(size=(n, 20))
        x = np.stack([0.3 * z[:, 0], np.zeros(n)], axis=1) + rng.normal(size=(n, 2))
        cross = (x - x.mean(0)).T @ (z - z.mean(0)) / n
        shares.append(share_told(cross, x.var(axis=0), np.eye(20), n))
    related, unrelated = np.array(shares).T
    assert related[0] < 0.6 and related[2] > 0.98 and np.all(np.diff(related) > 0)
    assert np.all(unrelated < 0.5) and np.all(np.array(shares) >= 0)


def test_a_covariance_of_fewer_windows_than_observables_can_be_inverted():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(6, 10))
    sample = np.cov(x.T)
    rows = np.ones(10, dtype=bool)
    assert np.linalg.eigvalsh(sample)[0] < 1e-12
    found = shrunk(sample, rows, 6)
    assert np.linalg.eigvalsh(found)[0] > 0.1 * sample.diagonal().min()
    assert np.array_equal(found.diagonal(), sample.diagonal())
    assert np.array_equal(shrunk(sample, ~rows, 6), sample)
    assert shrunk(sample, rows, 1e9) == pytest.approx(sample, rel=1e-7)


# ---- chaos ----


def test_the_share_of_a_derivative_that_is_signal():
    """A mean far above its scatter counts; noise does not, nor a single window that is all."""
    rng = np.random.default_rng(8)
    smooth = np.repeat(np.linspace(1.0, 2.0, 50), 4)
    noise = rng.normal(size=(400, 200))
    weights = np.full(400, 1.0 / 400)
    assert share_along(weights, smooth + noise, 1) > 0.99
    # eight coefficients to a block: the variance of its mean is 8 / 400
    signal = smooth * 0.1
    blocks = signal.reshape(25, 8).sum(axis=1)
    expected = 1.0 - (25 * 8 / 400) / (blocks @ blocks + 25 * 8 / 400)
    assert abs(share_along(weights, signal + noise, 1) - expected) < 0.05
    pure = [share_along(weights, rng.normal(size=(400, 200)), 2) for _ in range(50)]
    assert np.mean(pure) < 0.2
    lone = np.zeros((400, 200))
    lone[7] = 1e6
    assert share_along(weights, lone, 1) == pytest.approx(1.0 / 400, abs=1e-2)
    # what does not depend on the potential is known; there are fewer coefficients than blocks
    assert share_along(weights, np.zeros((400, 6)), 1) == 1.0


def test_long_windows_claim_no_accuracy(tmp_path):
    """Their derivatives are all scatter: an event says so, and the training does not end for it."""
    (tmp_path / "in.fluid").write_text(SCRIPT)
    (tmp_path / "z.csv").write_text("4.0,0.01\n5.0,0.005\n")
    system = {
        "name": "fluid",
        "script": "in.fluid",
        "temperature": 1.0,
        "targets": [{"vacf": "z.csv", "species": "A"}],
    }
    config = {
        "units": "lj",
        "potential": {"form": "lennard-jones", "species": ["A"], "cutoff": 1.8},
        "systems": [system],
        "simulation": {"windows": 6, "spacing": 20, "equilibration": 100, "relaxation": 0},
        "iterations": 2,
        "accuracy": 10.0,
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    out = tmp_path / "run"
    run_training(load_config(tmp_path / "config.yaml"), out, resume=False)
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(records) == 2
    for record in records:
        assert any("Windows so long are chaotic" in event for event in record["events"])


# ---- files and lengths ----


@pytest.mark.parametrize(
    ("kind", "first", "words"),
    [
        (VACF, "0,0.993", ["value 0.993 at the time zero", "Divide"]),
        (VACF, "0,3.0", ["value 3 at the time zero", "vacf is 1", "Divide", "compute vacf"]),
        (MSD, "0,1.0", ["value 1 at the time zero", "msd is 0"]),
    ],
)
def test_a_file_that_is_wrong_at_the_time_zero(tmp_path, kind, first, words):
    (tmp_path / "curve.csv").write_text(f"{first}\n0.1,0.5\n")
    with pytest.raises(InputError) as error:
        kind.from_file(tmp_path / "curve.csv", "A")
    for word in words:
        assert word in str(error.value)


def test_a_range_of_times(tmp_path):
    (tmp_path / "curve.csv").write_text("0,0.9999\n" + "".join(f"{t},0.5\n" for t in range(1, 9)))
    np.testing.assert_array_equal(VACF.from_file(tmp_path / "curve.csv", "A").time, range(1, 9))
    kept = VACF.from_file(tmp_path / "curve.csv", "A", range=(2.0, 5.0))
    np.testing.assert_array_equal(kept.time, [2, 3, 4, 5])
    with pytest.raises(InputError, match="times from 1 to 8, but none in the range from 20 to 50"):
        VACF.from_file(tmp_path / "curve.csv", "A", range=(20.0, 50.0))
    keys = {"vacf": tmp_path / "curve.csv", "species": "A", "range": [0.0, 3.0]}
    np.testing.assert_array_equal(TargetConfig.model_validate(keys).load().time, [1, 2, 3])


def test_a_window_that_does_not_fit_into_memory(tmp_path):
    (tmp_path / "in.fluid").write_text(SCRIPT)
    system = System(tmp_path / "in.fluid", 1.0, [VACF([5e7], [0.5], "A")], name="slow")
    potential = potentials.LennardJones(["A"], 1.8)
    with pytest.raises(InputError, match=r"'slow'.*windows of \d+ steps.*GB.*unit of time"):
        Trainer(potential, [system], start="potential")
