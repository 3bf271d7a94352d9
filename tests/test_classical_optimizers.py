"""Inversions of structure of the literature: what each formula says, and a fluid.

The formulas are held against an ensemble that is a list of states: three particles on a periodic
line, each state equally probable without interactions.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conftest import fluid_script
from diffsim import Protocol, System, Trainer, optimizers
from diffsim.errors import InputError
from diffsim.knots import Grid, choose_grid, core_knots, knot_values, spline_coefficients
from diffsim.optimizers.ibi import boltzmann_inversion
from diffsim.optimizers.imc import bin_response, regularized_solution
from diffsim.optimizers.relative_entropy import damped_step, derivatives, weight_basis
from diffsim.optimizers.structure import measured_curves, tent_basis
from diffsim.potentials import BSpline, LennardJones, Neural
from diffsim.response.ensemble import Ensemble
from diffsim.simulation import Frames, Recording, simulate
from diffsim.targets import RDF, Pressure

NAMES = ("ibi", "imc", "relative-entropy")

# ---- a list of states ----

LENGTH, STATES, BIN, BINS = 4.0, 20_000, 0.05, 40
CUTOFF = 1.875  # the centre of a bin
GRID = Grid(("A",), "lj", CUTOFF, (0.3,), 80)
POSITIONS = np.random.default_rng(1).uniform(0, LENGTH, (STATES, 3))
APART = POSITIONS - np.roll(POSITIONS, 1, axis=1)
DISTANCES = np.abs(APART - LENGTH * np.round(APART / LENGTH))
R = BIN * (0.5 + np.arange(BINS))


def frames_of_states():
    counts = sum(
        np.where((column < CUTOFF)[:, None], GRID.basis(0, np.minimum(column, 0.999 * CUTOFF)), 0.0)
        for column in DISTANCES.T
    )
    histogram = np.zeros((STATES, 1, BINS), dtype=np.int64)
    for column in DISTANCES.T:
        near = np.flatnonzero(column < BIN * BINS)
        histogram[near, 0, (column[near] / BIN).astype(int)] += 1
    zero = np.zeros(STATES)
    return Frames(
        counts=counts[:, None],
        virial=np.zeros_like(counts[:, None]),
        distances=histogram,
        bin_width=BIN,
        atoms=np.array([3]),
        pairs=np.array([3.0]),
        pressure_unit=1.0,
        volume=np.full(STATES, LENGTH**3),
        energy=zero,
        pressure=zero,
        temperature=zero,
    )


@pytest.fixture(scope="module")
def ensemble_of(tmp_path_factory):
    """Makes the ensemble of all states with a target g(r) at a temperature."""
    script = tmp_path_factory.mktemp("states") / "in.line"
    script.write_text("# its states are listed, not simulated\n")
    frames = frames_of_states()

    def make(g=None, temperature=1.3, **options):
        target = RDF(R, frames.rdf(0).mean(axis=0) if g is None else g, ("A", "A"), **options)
        system = System(script, temperature, [target], name=f"line{temperature}")
        ensemble = Ensemble(system, 1.0, ("A",), CUTOFF)
        ensemble.add(frames, np.zeros((1, GRID.basis_size)))
        return ensemble

    return make


def wave(r):
    """A potential of some kT, zero at the cutoff."""
    return 1.2 * np.cos(2.5 * r) * (1 - r / CUTOFF)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "make", [lambda: BSpline(["A"], CUTOFF), lambda: Neural(["A"], CUTOFF, hidden=[16, 16])]
)
def test_nothing_changes_where_simulation_and_target_agree(ensemble_of, name, make):
    """To the accuracy of the fit, which starts at its minimum."""
    potential = make()
    before = knot_values(potential, GRID).detach().numpy()
    update = optimizers.create(name).update(potential, GRID, [ensemble_of()])
    after = knot_values(potential, GRID).detach().numpy()
    assert update.steps == 1
    assert np.abs(after - before).max() < 1e-8 * max(1.0, np.abs(before).max())


def test_boltzmann_inversion_of_a_dilute_gas_is_the_potential(ensemble_of):
    """g = exp(-u/kT) at low density: from no interaction one step finds u, at any temperature."""
    ideal = ensemble_of().target
    gases = [ensemble_of(ideal * np.exp(-wave(R) / t), t) for t in (0.8, 1.7)]
    at_bins = slice(0, int(CUTOFF / BIN))
    for chosen in ([gases[0]], [gases[1]], gases):
        change = boltzmann_inversion(GRID, chosen)
        found = np.interp(R[at_bins], GRID.distances(0), change[0])
        inside = R[at_bins] > GRID.inner[0]
        # knots and bins interpolate each other linearly: |u''| h^2 / 8 each, u'' < 8, h = 0.05
        assert np.abs(found - wave(R[at_bins]))[inside].max() < 2 * 8 * BIN**2 / 8
        assert abs(change[0, -1]) < 1e-12
    potential = BSpline(["A"], CUTOFF, n_knots=60, inner=0.3)
    optimizers.create("ibi").update(potential, GRID, gases)
    fitted = knot_values(potential, GRID).detach().numpy()[0]
    # the spline also has slope and curvature zero at the cutoff
    inner = GRID.distances(0) < CUTOFF - 0.1
    assert np.abs(fitted - wave(GRID.distances(0)))[inner].max() < 0.01


def test_boltzmann_inversion_weighs_its_states(ensemble_of):
    ideal = ensemble_of().target
    one = ensemble_of(ideal * np.exp(-wave(R)), 1.0)
    other = ensemble_of(ideal * np.exp(wave(R)), 1.0, weight=3.0)
    first, second, both = (boltzmann_inversion(GRID, s) for s in ([one], [other], [one, other]))
    assert np.abs(first).max() > 0.5
    assert both == pytest.approx((first + 3 * second) / 4, abs=1e-12)


def test_boltzmann_inversion_keeps_walls(ensemble_of):
    """Where the target has no pairs, the change is that of the first bin that has."""
    g = ensemble_of().target * np.exp(-wave(R) / 1.3)
    g[R < 0.6] = 0.0
    change = boltzmann_inversion(GRID, [ensemble_of(g)])[0]
    inside = GRID.distances(0) < 0.6
    assert np.ptp(change[inside]) == 0
    assert change[0] == pytest.approx(wave(R[R > 0.6][0]), abs=1e-9)


def test_imc_matrix_is_the_finite_difference(ensemble_of):
    """Of the averages over the states, weighted to the changed potential."""
    ensemble = ensemble_of()
    curves = measured_curves("imc", ensemble, CUTOFF)
    basis = tent_basis(GRID, curves)
    found = bin_response(ensemble, curves, basis, CUTOFF)
    rows = curves[0].columns[curves[0].below(CUTOFF)]
    assert found.matrix.shape == (len(rows), basis.shape[2]) == (37, 37)
    largest = np.abs(found.matrix).max()
    step = 1e-4
    for column in (3, 15, 36):
        g = [
            ensemble.weighted(spline_coefficients(x * basis[:, :, column])).observables[rows]
            for x in (-step, step)
        ]
        # of second order
        assert found.matrix[:, column] == pytest.approx(
            (g[1] - g[0]) / (2 * step), abs=1e-7 * largest
        )


def test_imc_solves_what_the_response_says(ensemble_of):
    """For a small difference of the potentials one whole step finds it."""
    small = 0.01 * wave(GRID.distances(0))[None, :]
    g = ensemble_of().weighted(spline_coefficients(small)).observables
    ensemble = ensemble_of(g)
    curves = measured_curves("imc", ensemble, CUTOFF)
    basis = tent_basis(GRID, curves)
    part = bin_response(ensemble, curves, basis, CUTOFF)
    scaled = part.matrix / part.scale[:, None]
    x = regularized_solution(scaled, part.residual / part.scale, 1e-8)
    inside = GRID.distances(0) < CUTOFF - BIN
    # the response is linear to beta dU < 0.03 relative; tents are off by h^2 u''/8
    assert np.abs(basis @ x - small)[0, inside].max() < 0.05 * np.abs(small).max()
    # regularisation shortens
    sizes = [np.linalg.norm(regularized_solution(scaled, part.residual, t)) for t in (1e-6, 0.1)]
    assert sizes[1] < sizes[0]


def test_relative_entropy_has_these_derivatives(ensemble_of):
    """S = beta <U>* + ln Z but for a constant, summed over the states."""
    potential = BSpline(["A"], CUTOFF, n_knots=12, inner=0.2)
    truth = spline_coefficients(wave(GRID.distances(0))[None, :])
    state = ensemble_of().weighted(truth)
    ensemble = ensemble_of(state.observables)
    basis = weight_basis(potential, GRID, dict(potential.named_parameters()))
    gradient, hessian = derivatives(ensemble, GRID, basis)

    flat = basis.reshape(-1, basis.shape[2])
    counts = ensemble.counts @ np.stack(
        [spline_coefficients(column[None, :].copy()).ravel() for column in flat.T], axis=1
    )

    def entropy(x):
        energy = ensemble.beta * counts @ x
        return state.weights @ energy + np.log(np.mean(np.exp(-energy)))

    units, h = np.eye(len(gradient)), 1e-3
    first = [(entropy(h * e) - entropy(-h * e)) / (2 * h) for e in units]
    # the target knows the pairs by bins, so that functions that vary within one are averaged
    assert np.abs(gradient).max() > 0.1
    assert gradient == pytest.approx(first, abs=0.01 * np.abs(gradient).max())
    for i, j in ((0, 0), (3, 4), (2, 8), (9, 9)):
        second = sum(
            s * q * entropy(h * (s * units[i] + q * units[j])) for s in (-1, 1) for q in (-1, 1)
        ) / (4 * h**2)
        assert hessian[i, j] == pytest.approx(second, abs=1e-4 * np.abs(hessian).max())

    # a whole step without damping goes most of the way, and lowers S
    x = damped_step(gradient, hessian, np.eye(len(gradient)), 1e-6)
    assert entropy(0 * x) - entropy(x) > 0.8 * -0.5 * gradient @ x > 0


def test_relative_entropy_moves_the_weights_of_a_form_at_most_by_its_bound(ensemble_of):
    """Lennard-Jones far from the target: no change of more than kT, or a third of a wall."""
    potential = LennardJones(["A"], CUTOFF, epsilon=0.3, sigma=0.4)
    before = knot_values(potential, GRID).detach().numpy()
    optimizers.create("relative-entropy", rate=1.0, damping=1e-9).update(
        potential, GRID, [ensemble_of(ensemble_of().target * np.exp(-3 * wave(R)))]
    )
    after = knot_values(potential, GRID).detach().numpy()
    size = np.abs(after - before) / (1.3 + np.maximum(before, 0.0) / 3)
    # to first order of the change: an exponential goes further
    assert 0.1 < size.max() < 2.0


# ---- what is refused ----


@pytest.mark.parametrize("name", NAMES)
def test_targets_that_are_no_rdf(ensemble_of, name):
    ensemble = ensemble_of()
    object.__setattr__(ensemble.system, "targets", (Pressure(1.0),))
    with pytest.raises(InputError) as error:
        optimizers.create(name).update(Neural(["A"], CUTOFF, hidden=[16, 16]), GRID, [ensemble])
    for word in (name, "RDFs only", "'line1.3'", "pressure"):
        assert word in str(error.value)


def test_a_target_without_pairs_where_the_simulation_has_them(ensemble_of):
    g = np.where(R > CUTOFF, 1.0, 0.0)
    with pytest.raises(InputError, match=r"A-A of system 'line1\.3'.*at 0 common distances.*unit"):
        optimizers.create("ibi").update(BSpline(["A"], CUTOFF), GRID, [ensemble_of(g)])


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("ibi", {"rate": 0}, ["'rate'", "ibi", "not above 1", "0"]),
        ("imc", {"rate": 1.5}, ["'rate'", "imc", "1.5"]),
        ("imc", {"regularization": "small"}, ["'regularization'", "positive", "'small'"]),
        ("relative-entropy", {"damping": -1.0}, ["'damping'", "relative-entropy", "-1.0"]),
        ("imc", {"trust": 0.1}, ["imc", "rate, regularization", "'trust'"]),
    ],
)
def test_options_out_of_range(name, options, words):
    with pytest.raises(InputError) as error:
        optimizers.create(name, **options)
    assert all(word in str(error.value) for word in words)


# ---- a fluid ----

FLUID = fluid_script(cells=6, damping=0.5)
FLUID_CUTOFF, FLUID_BINS, FLUID_RANGE = 2.0, 66, 3.3


@pytest.fixture(scope="module")
def fluid(tmp_path_factory):
    """216 atoms with the g(r) of Lennard-Jones truncated at 2.0, from a run of 15,000 steps."""
    folder = tmp_path_factory.mktemp("fluid")
    (folder / "in.fluid").write_text(FLUID)
    r = FLUID_RANGE / FLUID_BINS * (0.5 + np.arange(FLUID_BINS))
    system = System(folder / "in.fluid", 1.0, [RDF(r, np.ones(FLUID_BINS), ("A", "A"))])
    truth = LennardJones(["A"], FLUID_CUTOFF)
    grid, _ = choose_grid(truth, 1e-5)
    knots = core_knots(grid, knot_values(truth, grid).detach().numpy())
    recording = Recording(1000, 15_000, 20, FLUID_BINS, FLUID_RANGE)
    frames, _ = simulate(system, knots, recording, 5, None, folder)
    return System(system.script, 1.0, [RDF(r, frames.rdf(0).mean(axis=0), ("A", "A"))])


def rms_error(potential):
    r = torch.linspace(0.95, FLUID_CUTOFF, 300, dtype=torch.float64)
    zeros = torch.zeros(300, dtype=torch.int64)
    deviation = potential(r, zeros, zeros) - LennardJones(["A"], FLUID_CUTOFF)(r, zeros, zeros)
    return deviation.square().mean().sqrt().item()


# measured, four seeds each: the loss from 0.005 to 1e-4 - 4e-4, the potential's error from 0.40 to
# 0.03 - 0.16
@pytest.mark.parametrize("name", NAMES)
def test_the_structure_of_a_fluid_is_found(fluid, name):
    trainer = Trainer(
        Neural(["A"], FLUID_CUTOFF, hidden=[16, 16], seed=1),
        [fluid],
        optimizer=name,
        protocol=Protocol(steps=1500, every=10, equilibration=500, relaxation=100),
        start="pmf",
        seed=1,
    )
    start = rms_error(trainer.potential)
    records = trainer.fit(4)
    assert records[-1].loss < 0.25 * records[0].loss
    assert rms_error(trainer.potential) < 0.5 * start
