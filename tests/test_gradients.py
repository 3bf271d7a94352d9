"""Gradients through reweighting, held against finite differences.

First for a system small enough that its averages are sums over all of its states, to many digits;
then for LAMMPS runs, within their statistical error.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import fluid_script
from diffsim import System
from diffsim.knots import (
    Grid,
    choose_grid,
    core_knots,
    knot_values,
    spline_coefficients,
    values_gradient,
)
from diffsim.optimizers import FirstOrder
from diffsim.potentials import LennardJones, Neural
from diffsim.response.ensemble import Ensemble
from diffsim.response.loss import error_scale, loss, loss_gradient
from diffsim.simulation import Frames, Recording, simulate
from diffsim.species import species_pairs
from diffsim.statistics import reweighting
from diffsim.statistics.time_series import standard_error
from diffsim.targets import RDF

# ---- a system whose averages are sums ----

SPECIES = ("A", "B")
OF_PARTICLE = (0, 0, 1)  # two A and one B on a periodic line; there is no pair B-B
LENGTH, SITES = 4.0, 48
CUTOFF, BIN, BINS = 1.9, 0.1, 20
GRID = Grid(SPECIES, "lj", CUTOFF, (0.7, 0.6, 0.65), 40)
TEMPERATURES = (0.8, 1.7)
SYSTEM_WEIGHTS = (1.0, 2.5)


def states():
    """Distances (F, 3) of the pairs (0,1), (0,2), (1,2) in every state of the particles.

    The first one stays; the others take all sites of a grid, each grid displaced so that no two
    particles ever coincide.
    """
    sites = LENGTH / SITES * np.arange(SITES)
    second, third = (
        a.ravel() for a in np.meshgrid(sites + 0.031, sites + 0.057 + 0.02, indexing="ij")
    )
    x = np.stack([np.zeros_like(second), second, third], axis=1)
    apart = np.stack([x[:, i] - x[:, j] for i, j in itertools.combinations(range(3), 2)], axis=1)
    return np.abs(apart - LENGTH * np.round(apart / LENGTH))


DISTANCES = states()
PAIR_OF = [
    species_pairs(2).index(tuple(sorted((OF_PARTICLE[i], OF_PARTICLE[j]))))
    for i, j in itertools.combinations(range(3), 2)
]


def frames_of_states() -> Frames:
    """All states as the frames of one run without interactions: each is equally probable."""
    n = len(DISTANCES)
    counts = np.zeros((n, 3, GRID.basis_size))
    histogram = np.zeros((n, 3, BINS), dtype=np.int64)
    for column, pair in enumerate(PAIR_OF):
        r = DISTANCES[:, column]
        inside = r < CUTOFF
        counts[inside, pair] += GRID.basis(pair, r[inside])
        near = np.flatnonzero(r < BIN * BINS)
        histogram[near, pair, (r[near] / BIN).astype(int)] += 1
    return Frames(
        counts=counts,
        virial=np.zeros_like(counts),
        distances=histogram,
        bin_width=BIN,
        atoms=np.array([2, 1]),
        pairs=np.array([1, 2, 0]),
        volume=np.full(n, LENGTH**3),
        energy=np.zeros(n),
        pressure=np.zeros(n),
        temperature=np.ones(n),
        pressure_unit=1.0,
    )


def targets():
    """Of A-A in the recorded bins, with weights; of A-B in wider ones; with error bars."""
    rng = np.random.default_rng(3)
    r = 0.05 + 0.1 * np.arange(3, 19)
    wide = 0.5 + 0.2 * np.arange(6)
    return [
        RDF(
            r,
            rng.uniform(0, 2, 16),
            ("A", "A"),
            error=np.ones(16),
            weight=0.7,
            bin_weights=rng.uniform(0, 2, 16),
        ),
        RDF(wide, rng.uniform(0, 2, 6), ("B", "A"), error=rng.uniform(0.1, 0.4, 6), weight=1.3),
    ]


@pytest.fixture(scope="module")
def quadrature(tmp_path_factory):
    """The two systems and their ensembles of all states."""
    script = tmp_path_factory.mktemp("quadrature") / "in.line"
    script.write_text("# its states are enumerated, not simulated\n")
    ensembles = []
    for number, (temperature, weight) in enumerate(zip(TEMPERATURES, SYSTEM_WEIGHTS, strict=True)):
        system = System(script, temperature, targets(), name=str(number), weight=weight)
        ensemble = Ensemble(system, 1.0, SPECIES, CUTOFF)
        ensemble.add(frames_of_states(), np.zeros((3, GRID.basis_size)))
        ensembles.append(ensemble)
    return ensembles


def exact_probabilities(coefficients, temperature):
    """Boltzmann weights of the states, from the splines at the distances."""
    u = np.zeros(len(DISTANCES))
    for column, pair in enumerate(PAIR_OF):
        r = DISTANCES[:, column]
        inside = r < CUTOFF
        u[inside] += GRID.basis(pair, r[inside]) @ coefficients[pair]
    p = np.exp(-(u - u.min()) / temperature)
    return p / p.sum()


def exact_averages(coefficients, temperature):
    """<g> in the bins of the targets: A-A, then A-B."""
    p = exact_probabilities(coefficients, temperature)
    shells = 4 / 3 * np.pi * np.diff((BIN * np.arange(BINS + 1)) ** 3)
    edges = BIN * np.arange(BINS + 1)
    n = {
        pair: sum(
            np.histogram(DISTANCES[:, column], edges, weights=p)[0]
            for column in range(3)
            if PAIR_OF[column] == pair
        )
        for pair in (0, 1)
    }
    like = n[0] * LENGTH**3 / shells / 1  # one pair A-A, two pairs A-B
    unlike = n[1].reshape(-1, 2).sum(1) * LENGTH**3 / shells.reshape(-1, 2).sum(1) / 2
    return np.concatenate([like[3:19], unlike[2:8]])


def test_scale_of_the_loss(quadrature):
    """The noise where a target of the system has error bars, else what counts as large."""
    ensemble = quadrature[0]
    first, second = targets()
    for given, expected in (
        (
            [first, second],
            np.hypot(np.concatenate([first.error, second.error]), errors_of_averages()),
        ),
        (
            [replace(first, error=None), second],
            np.hypot(np.append(np.zeros(16), second.error), errors_of_averages()),
        ),
        ([replace(first, error=None), replace(second, error=None)], np.ones(22)),
    ):
        system = replace(ensemble.system, targets=given)
        other = Ensemble(system, 1.0, SPECIES, CUTOFF)
        other.add(frames_of_states(), np.zeros((3, GRID.basis_size)))
        assert error_scale(other) == pytest.approx(expected, rel=1e-12)


@functools.cache
def errors_of_averages():
    """Errors of the averages over the frames, of both targets one after the other."""
    frames = frames_of_states()
    return np.concatenate(
        [
            np.hypot(
                standard_error(target.observe(frames, SPECIES)),
                target.resolution(frames, SPECIES) / len(frames),
            )
            for target in targets()
        ]
    )


def exact_loss(coefficients, temperature, own=None):
    first, second = targets()
    g = exact_averages(coefficients, temperature)
    weights = np.concatenate([0.7 * first.bin_weights, 1.3 * np.ones(6)])
    # the loss combines the errors of targets and averages
    given = np.concatenate([first.error, second.error])
    scale = np.hypot(given, errors_of_averages() if own is None else own)
    deviation = (g - np.concatenate([first.g, second.g])) / scale
    return np.sum(weights * deviation**2) / weights.sum()


def derivative(function, step):
    """f'(0) by central differences of fourth order."""
    f = [function(m * step) for m in (-2, -1, 1, 2)]
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)


def lennard_jones():
    return LennardJones(
        ["A", "B"], CUTOFF, epsilon=[[1.0, 1.4], [1.4, 0.5]], sigma=[[0.9, 0.8], [0.8, 1.0]]
    )


def neural():
    return Neural(["A", "B"], CUTOFF, hidden=[5, 4], n_basis=7, sigma=0.8, seed=3)


def coefficients_of(potential):
    return spline_coefficients(knot_values(potential, GRID).detach().numpy())


def test_the_states_are_not_trivial():
    """The gradients below are those of averages that the potential changes a lot."""
    c = coefficients_of(lennard_jones())
    for temperature in TEMPERATURES:
        p = exact_probabilities(c, temperature)
        assert 20 < 1 / np.sum(p**2) < 0.7 * len(p)
        free = exact_averages(np.zeros_like(c), temperature)
        assert np.abs(exact_averages(c, temperature) - free).max() > 0.5 * free.max()


def test_averages_are_the_quadrature(quadrature):
    c = coefficients_of(lennard_jones())
    for ensemble, temperature in zip(quadrature, TEMPERATURES, strict=True):
        state = ensemble.weighted(c)
        p = exact_probabilities(c, temperature)
        assert state.weights == pytest.approx(p, rel=1e-9, abs=1e-14)
        assert state.sample_size == pytest.approx(1 / np.sum(p**2), rel=1e-9)
        expected = exact_averages(c, temperature)
        assert state.observables == pytest.approx(expected, rel=1e-10, abs=1e-12)
        value, slope = loss(ensemble, state)
        assert value == pytest.approx(exact_loss(c, temperature), rel=1e-10)
        assert slope.shape == expected.shape


def test_gradient_of_an_average_with_respect_to_the_spline(quadrature):
    c = coefficients_of(lennard_jones())
    for ensemble, temperature in zip(quadrature, TEMPERATURES, strict=True):
        state = ensemble.weighted(c)
        for column in (5, 9, 18):
            gradient = reweighting.average_gradient(
                ensemble.beta, state.weights, ensemble.counts, ensemble.observables[:, column]
            ).reshape(c.shape)
            largest = np.abs(gradient).max()
            assert largest > 1e-3
            assert not gradient[2].any()  # there are no pairs B-B
            for pair, b in itertools.product((0, 1), (4, 11, 20, 33)):
                unit = np.zeros_like(c)
                unit[pair, b] = 1.0
                expected = derivative(
                    lambda x, unit=unit, t=temperature, column=column: exact_averages(
                        c + x * unit, t
                    )[column],
                    2e-3,
                )
                assert gradient[pair, b] == pytest.approx(expected, abs=1e-9 * largest, rel=1e-8)


def test_gradient_of_the_loss_with_respect_to_the_spline(quadrature):
    c = coefficients_of(neural())
    for ensemble, temperature in zip(quadrature, TEMPERATURES, strict=True):
        value, gradient = loss_gradient(ensemble, ensemble.weighted(c))
        gradient = gradient.reshape(c.shape)
        assert value == pytest.approx(exact_loss(c, temperature), rel=1e-10)
        largest = np.abs(gradient).max()
        assert largest > 1e-2
        for pair, b in itertools.product((0, 1), range(0, GRID.basis_size, 5)):
            unit = np.zeros_like(c)
            unit[pair, b] = 1.0
            expected = derivative(
                lambda x, unit=unit, t=temperature: exact_loss(c + x * unit, t), 2e-3
            )
            assert gradient[pair, b] == pytest.approx(expected, abs=1e-9 * largest, rel=1e-8)


@pytest.mark.parametrize("make", [lennard_jones, neural])
def test_gradient_of_the_loss_with_respect_to_the_weights(quadrature, make):
    """Through the spline's coefficients, the knots and the model, for every weight."""
    potential = make()
    values = knot_values(potential, GRID)
    c = spline_coefficients(values.detach().numpy())
    ensemble, temperature = quadrature[0], TEMPERATURES[0]
    _, gradient = loss_gradient(ensemble, ensemble.weighted(c))
    values.backward(torch.tensor(values_gradient(gradient.reshape(c.shape))))

    parameters = list(potential.parameters())
    largest = max(float(p.grad.abs().max()) for p in parameters if p.grad is not None)
    assert largest > 1e-2
    rng = np.random.default_rng(1)
    for parameter in parameters:
        flat, found = parameter.data.view(-1), parameter.grad.view(-1)
        for index in rng.permutation(len(flat))[:4]:

            def changed(x, flat=flat, index=index):
                before = float(flat[index])
                flat[index] = before + x
                value = exact_loss(coefficients_of(potential), temperature)
                flat[index] = before
                return value

            expected = derivative(changed, 2e-4)
            assert float(found[index]) == pytest.approx(expected, abs=2e-9 * largest, rel=1e-8)


def test_a_step_of_an_optimizer_is_the_gradient_of_all_systems(quadrature):
    """Plain gradient descent moves every weight by the rate times the sum of w_s dL_s."""
    potential, rate = lennard_jones(), 1e-4
    before = torch.cat([p.detach().clone() for p in potential.parameters()])

    def total(x, index):
        weights = before.clone()
        weights[index] += x
        torch.nn.utils.vector_to_parameters(weights, potential.parameters())
        c = coefficients_of(potential)
        return sum(w * exact_loss(c, t) for w, t in zip(SYSTEM_WEIGHTS, TEMPERATURES, strict=True))

    expected = np.array([derivative(lambda x, i=i: total(x, i), 2e-4) for i in range(len(before))])
    assert np.sum(np.abs(expected) > 0.05) >= 3
    torch.nn.utils.vector_to_parameters(before.clone(), potential.parameters())
    FirstOrder("SGD", lr=rate, max_steps=1).update(potential, GRID, quadrature)
    after = torch.cat([p.detach() for p in potential.parameters()])
    largest = np.abs(expected).max()
    assert ((before - after) / rate).numpy() == pytest.approx(expected, abs=1e-7 * largest)


def test_pooled_ensembles_agree_with_the_quadrature(quadrature):
    """Frames drawn from two potentials, weighted to a third one: averages and gradient."""
    system, temperature = quadrature[0].system, TEMPERATURES[0]
    every = frames_of_states()
    c = [coefficients_of(p) for p in (lennard_jones(), neural())]
    third = 0.5 * (c[0] + c[1])
    ensemble = Ensemble(system, 1.0, SPECIES, CUTOFF)
    rng = np.random.default_rng(5)
    n = 20_000
    for coefficients in c:
        states = rng.choice(len(every), n, p=exact_probabilities(coefficients, temperature))
        names = ("counts", "virial", "distances", "volume", "energy", "pressure", "temperature")
        drawn = {name: getattr(every, name)[states] for name in names}
        ensemble.add(dataclasses.replace(every, **drawn), coefficients)
    assert len(ensemble) == 2 * n and ensemble.latest_length == n
    assert np.array_equal(ensemble.latest_coefficients, c[1])

    for coefficients in (c[0], c[1], third):
        state = ensemble.weighted(coefficients)
        assert state.sample_size > 0.3 * n
        expected = exact_averages(coefficients, temperature)
        p = exact_probabilities(coefficients, temperature)
        variance = p @ (quadrature[0].observables - expected) ** 2
        spread = np.sqrt(variance / state.sample_size)
        assert np.all(np.abs(state.observables - expected) < 4 * spread + 1e-9)
        assert np.median(spread / np.maximum(expected, 0.05 * expected.max())) < 0.05
    # with two independent samples the average over both is better than over one
    assert ensemble.weighted(c[0]).sample_size > 1.1 * n

    # the gradient is that of what the ensemble itself says, exactly
    value, gradient = loss_gradient(ensemble, ensemble.weighted(third))
    direction = rng.normal(size=third.shape)
    expected = derivative(
        lambda x: loss(ensemble, ensemble.weighted(third + x * direction))[0], 1e-3
    )
    assert np.sum(gradient * direction.ravel()) == pytest.approx(expected, rel=1e-8)
    # and agrees with the exact one as well as the frames allow
    own = ensemble.latest_error
    exact = derivative(lambda x: exact_loss(third + x * direction, temperature, own), 1e-3)
    assert np.sum(gradient * direction.ravel()) == pytest.approx(exact, rel=0.1)
    assert value == pytest.approx(exact_loss(third, temperature, own), rel=0.05)


# ---- LAMMPS runs ----

FLUID = fluid_script(density=0.55, cells=6, damping=0.5)
FLUID_TEMPERATURE, FLUID_CUTOFF = 1.3, 2.0
FLUID_BINS, FLUID_RANGE = 60, 3.0
STEPS = {"log_epsilon": 0.1, "log_sigma": 0.01}  # of the finite differences


def fluid_potential(**changes) -> LennardJones:
    """Lennard-Jones with epsilon = sigma = 1, or with changed logarithms of them."""
    potential = LennardJones(["A"], FLUID_CUTOFF)
    for name, change in changes.items():
        getattr(potential, name).data += change
    return potential


class Runs:
    """Runs of a fluid of 216 atoms in changed potentials, each with its frames' observables."""

    def __init__(self, folder):
        (folder / "in.fluid").write_text(FLUID)
        r = FLUID_RANGE / FLUID_BINS * (0.5 + np.arange(FLUID_BINS))
        target = RDF(r, np.ones(FLUID_BINS), ("A", "A"))
        self.system = System(folder / "in.fluid", FLUID_TEMPERATURE, [target])
        self.folder = folder
        self.grid, _ = choose_grid(fluid_potential(), 1e-5)
        self.frames = {}
        self._simulate("here", fluid_potential(), 40_000, 11)
        for seed, name in enumerate(STEPS):
            for sign in (1, -1):
                potential = fluid_potential(**{name: sign * STEPS[name]})
                self._simulate((name, sign), potential, 30_000, 20 + 2 * seed + sign)

    def _simulate(self, key, potential, steps, seed):
        values = knot_values(potential, self.grid).detach().numpy()
        recording = Recording(1000, steps, 20, FLUID_BINS, FLUID_RANGE)
        self.frames[key], _ = simulate(
            self.system, core_knots(self.grid, values), recording, seed, None, self.folder
        )

    def coefficients(self, **changes):
        values = knot_values(fluid_potential(**changes), self.grid)
        return spline_coefficients(values.detach().numpy())

    def observables(self, key):
        """Per frame: energy per atom in the unchanged potential, g at contact and in the gap."""
        frames = self.frames[key]
        energy = reweighting.energies(frames.counts, self.coefficients()) / 216
        g = frames.rdf(0)
        # 1.0 < r < 1.3 and 1.5 < r < 2.0
        return np.stack([energy, g[:, 20:26].mean(axis=1), g[:, 30:40].mean(axis=1)], axis=1)


NAMES = ("energy", "contact", "gap")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("fluid"))


def test_the_recorded_frames_are_those_of_the_potential(runs):
    frames = runs.frames["here"]
    assert len(frames) == 2000
    energy = reweighting.energies(frames.counts, runs.coefficients())
    assert energy == pytest.approx(frames.energy, rel=1e-10)
    assert frames.temperature.mean() == pytest.approx(FLUID_TEMPERATURE, rel=0.02)


# energies and distances respond to the two weights in their own ways; g at contact hardly changes
# with sigma, so that its derivative would be lost in the noise
@pytest.mark.parametrize(
    ("weight", "column"),
    [
        ("log_epsilon", "energy"),
        ("log_epsilon", "contact"),
        ("log_sigma", "energy"),
        ("log_sigma", "gap"),
    ],
)
def test_gradient_of_a_run_is_the_difference_of_two_runs(runs, weight, column):
    observable = runs.observables("here")[:, NAMES.index(column)]
    frames = runs.frames["here"]
    n, beta = len(frames), 1 / FLUID_TEMPERATURE

    potential = fluid_potential()
    values = knot_values(potential, runs.grid)
    by_spline = reweighting.average_gradient(beta, np.full(n, 1 / n), frames.counts, observable)
    values.backward(torch.tensor(values_gradient(by_spline)))
    gradient = float(getattr(potential, weight).grad)

    # its error is that of a mean over frames
    h = 1e-4
    slope = (runs.coefficients(**{weight: h}) - runs.coefficients(**{weight: -h})) / (2 * h)
    work = reweighting.energies(frames.counts, slope)
    series = -beta * (observable - observable.mean()) * (work - work.mean())
    assert gradient == pytest.approx(series.mean(), rel=1e-5)
    error = float(standard_error(series))

    up, down = (runs.observables((weight, sign))[:, NAMES.index(column)] for sign in (1, -1))
    expected = (up.mean() - down.mean()) / (2 * STEPS[weight])
    error = np.hypot(
        error, np.hypot(standard_error(up), standard_error(down)) / (2 * STEPS[weight])
    )
    assert error < 0.2 * abs(expected)
    assert abs(gradient - expected) < 4 * error


@pytest.mark.parametrize("weight", STEPS)
def test_reweighted_averages_are_those_of_a_run(runs, weight):
    """From the frames of one potential to another one, through the ensemble."""
    changed = runs.coefficients(**{weight: STEPS[weight]})
    ensemble = Ensemble(runs.system, 1.0, ("A",), FLUID_CUTOFF)
    ensemble.add(runs.frames["here"], runs.coefficients())
    state = ensemble.weighted(changed)
    n = len(ensemble)
    assert 0.04 * n < state.sample_size < 0.8 * n
    there, here = runs.observables((weight, 1)), runs.observables("here")

    reweighted = state.weights @ here
    error = np.hypot(
        standard_error(n * state.weights[:, None] * (here - reweighted)), standard_error(there)
    )
    direct = there.mean(axis=0)
    assert np.all(np.abs(reweighted - direct) < 4 * error)
    # without the weights it would be another average
    assert abs(here[:, 0].mean() - direct[0]) > 6 * error[0]

    # all of g(r), with the errors of both runs
    rdf_there, rdf_here = runs.frames[(weight, 1)].rdf(0), ensemble.observables
    error = np.hypot(
        standard_error(n * state.weights[:, None] * (rdf_here - state.observables)),
        standard_error(rdf_there),
    )
    # elsewhere hardly a pair was seen, and errors cannot be told
    seen = rdf_there.mean(axis=0) > 0.1
    difference = rdf_there.mean(axis=0)[seen] - state.observables[seen]
    before = rdf_there.mean(axis=0)[seen] - rdf_here.mean(axis=0)[seen]
    assert np.abs(difference / error[seen]).max() < 4.5
    assert np.mean((before / error[seen]) ** 2) > 3 * np.mean((difference / error[seen]) ** 2)
