"""Targets beside g(r): what they measure, how they follow from the pairs, and their gradients.

Small Lennard-Jones fluids, one at constant volume and one at constant pressure.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from diffsim import System, Trainer
from diffsim.config.targets import TargetConfig
from diffsim.errors import InputError
from diffsim.knots import choose_grid, core_knots, knot_values, spline_coefficients
from diffsim.potentials import LennardJones
from diffsim.report.plots import plot_loss
from diffsim.response.ensemble import Ensemble
from diffsim.response.linear_response import linear_response
from diffsim.response.loss import loss, loss_gradient
from diffsim.response.pair_fluctuations import fluid_of
from diffsim.run.progress import Progress
from diffsim.simulation import Recording, simulate
from diffsim.simulation.protocol import Protocol
from diffsim.statistics.time_series import standard_error
from diffsim.targets import RDF, Compressibility, Coordination, Density, Energy, Pressure

FLUID = """units lj
lattice fcc 0.7
region box block 0 4 0 4 0 4
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create ${temperature} ${seed}
timestep 0.005
"""
CONSTANT_VOLUME = "fix 1 all nve\nfix 2 all langevin ${temperature} ${temperature} 0.5 ${seed}\n"
CONSTANT_PRESSURE = "fix 1 all npt temp ${temperature} ${temperature} 0.5 iso 0.5 0.5 2.0\n"
R = 0.025 + 0.05 * np.arange(50)
NEIGHBORS = Coordination(10.0, pair=("A", "A"), distance=1.5)
NVT = (RDF(R, np.ones(50), ("A", "A")), Energy(-3.0), Pressure(0.5, error=0.1), NEIGHBORS)
NPT = (
    RDF(R, np.ones(50), ("A", "A")),
    Energy(-3.0),
    Density(0.7),
    NEIGHBORS,
    Compressibility(0.2, weight=0.5),
)


@pytest.fixture(scope="module", params=["volume", "pressure"])
def fluid(request, tmp_path_factory):
    """The ensemble of one run, and the knots it was simulated with."""
    folder = tmp_path_factory.mktemp(request.param)
    constant_volume = request.param == "volume"
    (folder / "in.fluid").write_text(
        FLUID + (CONSTANT_VOLUME if constant_volume else CONSTANT_PRESSURE)
    )
    potential = LennardJones(species=["A"], cutoff=2.5)
    grid, _ = choose_grid(potential, 1e-4)
    values = knot_values(potential, grid).detach().numpy()
    system = System(folder / "in.fluid", 1.0, NVT if constant_volume else NPT)
    ensemble = Ensemble(system, 1.0, ("A",), 2.5)
    recording = Recording(1000, 12000, 20, 140, 3.5)
    frames, _ = simulate(system, core_knots(grid, values), recording, 7, None, folder)
    coefficients = spline_coefficients(values)
    ensemble.add(frames, coefficients)
    return SimpleNamespace(
        ensemble=ensemble,
        grid=grid,
        values=values,
        coefficients=coefficients,
        frames=frames,
        at=ensemble.weighted(coefficients),
    )


def named(fluid, values):
    """Those of the numbers among all observables."""
    numbers = fluid.ensemble.system.targets[1:]
    return {
        target.label: value for target, value in zip(numbers, values[-len(numbers) :], strict=True)
    }


def test_values_are_those_of_lammps(fluid):
    frames, found = fluid.frames, named(fluid, fluid.at.observables)
    assert found["energy"] == pytest.approx(frames.energy.mean() / 256, rel=1e-12)
    if "pressure" in found:
        assert found["pressure"] == pytest.approx(frames.pressure.mean(), rel=1e-12)
    else:
        assert found["density"] == pytest.approx((256 / frames.volume).mean(), rel=1e-12)
        # of these frames; Var(V) / (kT <V>)
        expected = frames.volume.var() / frames.volume.mean()
        assert found["compressibility"] == pytest.approx(expected, rel=1e-9)


def test_coordination_is_the_integral_of_g(fluid):
    frames = fluid.frames
    if np.ptp(frames.volume) > 0:
        pytest.skip("the density fluctuates with g")
    shells = 4 / 3 * np.pi * np.diff(frames.edges**3)[:60]
    # an atom is no neighbour of itself: N - 1 others in the volume
    integral = 255 / frames.volume[0] * np.sum(frames.rdf(0).mean(axis=0)[:60] * shells)
    assert named(fluid, fluid.at.observables)["coordination A-A 1.5"] == pytest.approx(
        integral, rel=1e-10
    )


def test_values_follow_from_the_numbers_of_pairs(fluid):
    """To the width of the bins; the kinetic part of the pressure is not in them."""
    ensemble = fluid.ensemble
    state = fluid_of(ensemble, fluid.at, fluid.grid, ensemble.pairs)
    pairs = ensemble.pairs.reshape(len(ensemble), -1) / ensemble.counts_per_g.ravel()
    change = ensemble.volume - ensemble.volume.mean()
    for target, column in zip(ensemble.system.targets[1:], ensemble.columns[1:], strict=True):
        known = target.fluctuation(state, ("A",))
        if known is None:
            assert isinstance(target, Compressibility)
            continue
        predicted = pairs @ known.bins[0] + known.volume[0] * change
        simulated = ensemble.observables[:, column.start]
        assert np.corrcoef(predicted, simulated)[0, 1] > 0.95, target.label
        assert np.polyfit(predicted, simulated, 1)[0] == pytest.approx(1.0, abs=0.1), target.label


def test_gradient_is_the_finite_difference(fluid):
    """With the explicit dependence of energy and pressure on the potential."""
    ensemble, c = fluid.ensemble, fluid.coefficients
    direction = 1e-3 * np.random.default_rng(1).normal(size=c.shape)

    def at(x):
        return loss(ensemble, ensemble.weighted(c + x * direction))[0]

    h = 1e-2
    expected = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    gradient = loss_gradient(ensemble, fluid.at)[1].reshape(c.shape)
    assert np.sum(gradient * direction) == pytest.approx(expected, rel=1e-6)


def test_a_smeared_curve_has_noise_along_all_directions(fluid):
    """Further inside than pairs are, a smeared g(r) repeats what the first bins with pairs say: its
    values there have no noise of their own, and any deviation would be infinitely improbable."""
    g = np.where(R > 0.85, 1.0, 0.0)
    smeared = System(
        fluid.ensemble.system.script, 1.0, [RDF(R, g, ("A", "A"), smearing=0.04)], name="smeared"
    )
    ensemble = Ensemble(smeared, 1.0, ("A",), 2.5)
    ensemble.add(fluid.frames, fluid.coefficients)
    at = ensemble.weighted(fluid.coefficients)
    response = linear_response(ensemble, at, fluid.grid)
    spread = np.sqrt(np.diag(response.covariance))
    variances = np.linalg.eigvalsh(response.covariance / np.outer(spread, spread))
    assert variances.min() > 1e-6
    # and reaches as far inside as there are pairs
    seen = fluid.frames.distances[:, 0].sum(axis=0) > 0
    first = fluid.frames.edges[:-1][seen][0]
    assert R[response.observables].min() < first + 0.1


@pytest.mark.parametrize(("centre", "width"), [(1.1, 0.1), (1.5, 0.15), (2.0, 0.2)])
def test_linear_response_is_the_change_of_the_averages(fluid, centre, width):
    """Of a bump of the potential, within the errors of both and those of the bins."""
    ensemble, c = fluid.ensemble, fluid.coefficients
    response = linear_response(ensemble, fluid.at, fluid.grid)
    r = fluid.grid.distances(0)
    bump = np.exp(-0.5 * ((r - centre) / width) ** 2) * (1 - (r / 2.5) ** 4)
    at_bins = ensemble.centres[response.bins]
    predicted = named(
        fluid,
        response.matrix @ np.interp(at_bins, r, bump)
        + response.explicit @ spline_coefficients(bump[None]).ravel(),
    )
    step = 0.02
    up, down = (
        ensemble.weighted(c + spline_coefficients(sign * step * bump[None])).observables
        for sign in (1, -1)
    )
    found = named(fluid, (up - down) / (2 * step))
    # the covariance with the energy of the bump is an average, with its standard error
    energy = ensemble.counts @ spline_coefficients(bump[None]).ravel()
    x = ensemble.observables - ensemble.observables.mean(axis=0)
    products = standard_error(x * (energy - energy.mean())[:, None])
    errors = {
        target.label: products[column.start]
        for target, column in zip(ensemble.system.targets, ensemble.columns, strict=True)
    }
    for name in ("energy", "pressure", "density"):
        if name in found:
            # a twentieth for the width of the bins
            bound = 4 * errors[name] + 0.05 * abs(found[name])
            # a wrong sign would be seen
            assert bound < abs(found[name]) + abs(predicted[name]), name
            assert predicted[name] == pytest.approx(found[name], abs=bound), name


def test_density_of_a_constant_volume(tmp_path):
    (tmp_path / "in.fluid").write_text(FLUID + CONSTANT_VOLUME)
    system = System(tmp_path / "in.fluid", 1.0, [Density(0.7)])
    trainer = Trainer(
        LennardJones(species=["A"], cutoff=2.5),
        [system],
        protocol=Protocol(40, 20, 0, 0),
        start="potential",
        scratch=tmp_path,
    )
    with pytest.raises(InputError, match="the volume of the system does not change"):
        trainer.fit(1)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, ["one of the keys rdf, coordination", "none of them"]),
        ({"pressure": 1.0, "energy": 2.0}, ["pressure and energy"]),
        ({"pressure": 1.0, "pair": ["A", "A"]}, ["'pair' beside 'pressure'"]),
        ({"coordination": 4.0, "distance": 1.5}, ["the key 'pair' beside 'coordination'"]),
    ],
)
def test_keys_of_a_target(keys, words):
    with pytest.raises(ValueError, match="should") as error:
        TargetConfig(**keys)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("keys", "target"),
    [
        ({"pressure": 0.0, "error": 0.1}, Pressure(0.0, 0.1)),
        ({"energy": -3.0, "weight": 2.0}, Energy(-3.0, weight=2.0)),
        ({"density": 0.7}, Density(0.7)),
        ({"compressibility": 0.1}, Compressibility(0.1)),
        ({"coordination": 10.0, "pair": ["A", "A"], "distance": 1.5}, NEIGHBORS),
    ],
)
def test_targets_of_a_configuration(keys, target):
    assert TargetConfig(**keys).load() == target


@pytest.mark.parametrize("value", [0.0, -1.0])
@pytest.mark.parametrize("kind", [Density, Compressibility])
def test_values_that_cannot_be(kind, value):
    with pytest.raises(InputError, match="must be a positive number"):
        kind(value)


@pytest.mark.parametrize("target", [Energy(-3.0), Pressure(0.5), NEIGHBORS])
def test_a_training_with_one_number_only(target, tmp_path):
    """Gauss-Newton moves towards it; progress, metrics and plots do without a g(r)."""
    (tmp_path / "in.fluid").write_text(FLUID + CONSTANT_VOLUME)
    system = System(tmp_path / "in.fluid", 1.0, [target])
    potential = LennardJones(species=["A"], cutoff=2.5, epsilon=0.8)
    trainer = Trainer(
        potential,
        [system],
        protocol=Protocol(1000, 20, 500, 0),
        start="potential",
        scratch=tmp_path,
    )
    first, *_, last = trainer.fit(4)
    name = target.label
    before, after = (
        abs(record.systems["in"]["values"][name][0] - target.value) for record in (first, last)
    )
    noise = last.systems["in"]["values"][name][1]
    assert after < max(0.75 * before, 4 * noise)
    progress = Progress(4, 0)
    progress.start(trainer)
    progress.show(first)
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text(json.dumps({"md_steps": 1, "systems": first.systems, "validation": {}}))
    plot_loss(tmp_path / "loss.png", metrics)
    assert (tmp_path / "loss.png").stat().st_size > 1000
