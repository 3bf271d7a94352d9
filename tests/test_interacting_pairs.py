"""Chains of beads: pairs that a distribution function counts, and pairs that interact."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from diffsim import System
from diffsim.knots import Grid, choose_grid, core_knots, knot_values, spline_coefficients
from diffsim.potentials import LennardJones
from diffsim.response.ensemble import Ensemble
from diffsim.response.interacting_pairs import counts_others, interacting_pairs
from diffsim.response.linear_response import linear_response
from diffsim.simulation import Recording, simulate
from diffsim.statistics.time_series import standard_error
from diffsim.targets import RDF

SYSTEMS = Path(__file__).resolve().parents[1] / "benchmarks" / "hardship_cases" / "systems"
CUTOFF, WIDTH = 1.5, 0.01
R = 0.01 + 0.02 * np.arange(80)


def well(r):
    """A change of the potential along the mode of the number of all contacts."""
    return (1.0 - (r / CUTOFF) ** 2) ** 2 * (r < CUTOFF)


@pytest.fixture(scope="module", params=[True, False], ids=["between", "all"])
def chains(request, tmp_path_factory):
    """The ensemble of a short run of a melt of 20 chains of 50 beads; bonded ones do not interact.

    Its distribution function is that between molecules, or that of all pairs.
    """
    potential = LennardJones(species=["A"], cutoff=CUTOFF)
    grid, _ = choose_grid(potential, 1e-5)
    values = knot_values(potential, grid).detach().numpy()
    target = RDF(R, np.ones(len(R)), ("A", "A"))
    system = System(SYSTEMS / "in.melt", 1.0, [target], intermolecular=request.param)
    ensemble = Ensemble(system, 1.0, ("A",), CUTOFF)
    recording = Recording(1000, 16_000, 20, 160, 160 * WIDTH, request.param)
    folder = tmp_path_factory.mktemp("chains")
    frames, _ = simulate(system, core_knots(grid, values), recording, 7, None, folder)
    c = spline_coefficients(values)
    ensemble.add(frames, c)
    return SimpleNamespace(
        ensemble=ensemble, grid=grid, at=ensemble.weighted(c), between=request.param
    )


def test_pairs_that_interact_are_those_of_the_energy(chains):
    ensemble, grid = chains.ensemble, chains.grid
    found = interacting_pairs(ensemble, grid)[:, 0]
    inside = ensemble.edges[1:] <= CUTOFF
    smooth = well(ensemble.centres[inside])
    exact = ensemble.counts @ spline_coefficients(well(grid.distances(0))[None]).ravel()
    assert found[:, inside] @ smooth == pytest.approx(exact, rel=0.01)
    counted = ensemble.pairs[:, 0, inside] @ smooth
    difference = counted.mean() / exact.mean() - 1.0
    # pairs within chains are left out, or bonds are counted
    assert difference < -0.1 if chains.between else difference > 0.1


def test_response_is_the_change_of_the_averages(chains):
    """Of g(r) to a well of the potential: next to the derivative of the reweighted averages."""
    ensemble = chains.ensemble
    u = well(chains.grid.distances(0))
    response = linear_response(ensemble, chains.at, chains.grid)
    at_bins = well(ensemble.centres[response.bins])
    there = well(R) * R**2
    predicted = float((response.matrix @ at_bins) @ there[response.observables])

    energy = ensemble.counts @ spline_coefficients(u[None]).ravel()
    energy = energy - energy.mean()
    series = ensemble.observables @ there
    products = -ensemble.beta * (series - series.mean()) * energy
    found, error = float(products.mean()), float(standard_error(products))
    assert abs(found) > 3 * error
    assert predicted == pytest.approx(found, abs=4 * error + 0.1 * abs(found))
    if chains.between:
        # the numbers of pairs between molecules alone promise several times as much
        counted = ensemble.pairs[:, 0] @ well(ensemble.centres)
        alone = -ensemble.beta * np.mean((series - series.mean()) * (counted - counted.mean()))
        assert alone < 3.0 * found


@pytest.mark.parametrize("knots", [300, 1000])
def test_few_bonds_are_seen_at_any_cutoff(knots):
    """A fluid of 8,000 atoms of g = 1 beyond 0.95: none is bonded, or three in ten."""
    for cutoff, width in ((1.5, 0.01), (4.0, 0.02), (3.99, 0.02)):
        grid = Grid(("A",), "lj", cutoff, (0.8,), knots)
        r = np.arange(0.9500005, cutoff + 0.5, 1e-4)
        number = 8000 * 0.5 * 0.7 * 4.0 * np.pi * r**2 * 1e-4
        edges = width * np.arange(int((cutoff + 0.5) / width) + 1)
        pairs = np.histogram(r, edges, weights=number)[0]
        inside = r < cutoff
        counts = number[inside] @ grid.basis(0, r[inside])
        assert not counts_others(pairs, counts, width, grid, 0)
        bonds = 1200.0 * grid.basis(0, np.array([0.905])).ravel()
        assert counts_others(pairs, counts + bonds, width, grid, 0)
        assert counts_others(pairs + np.histogram([0.905] * 1200, edges)[0], counts, width, grid, 0)
