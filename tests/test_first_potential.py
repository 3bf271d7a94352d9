"""Where a training begins: the Mie fluid of the targets, the theory, or what is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffsim.knots import Grid, knot_values
from diffsim.optimizers.first_potential import begin
from diffsim.potentials import BSpline, LennardJones
from diffsim.response.ensemble import Ensemble
from diffsim.simulation import System
from diffsim.targets import RDF

EXAMPLES = Path(__file__).parents[1] / "examples"
GRID = Grid(("A",), "lj", 2.5, (0.9,), 200)


def ensemble(folder, target, temperature=1.0):
    (folder / "in.fluid").write_text("# not simulated\n")
    system = System(folder / "in.fluid", temperature, [target], name="fluid")
    return Ensemble(system, 1.0, ("A",), 2.5)


def started(folder, file, start="mie"):
    potential = BSpline(["A"], 2.5)
    target = RDF.from_file(EXAMPLES / file, ("A", "A"))
    first = begin(potential, [ensemble(folder, target)], [{"A": 0.7}], start)
    return potential, first


def test_a_lennard_jones_liquid_starts_from_a_mie_potential(tmp_path):
    """Near the truth, with the hypernetted chain as the other anchor, and said."""
    potential, first = started(tmp_path, "lj/target.csv")
    (event,) = first.events
    assert "starts from a Mie potential" in event and "epsilon = 0.94" in event
    truth = knot_values(LennardJones(["A"], 2.5), GRID).detach().numpy()
    found = knot_values(potential, GRID).detach().numpy()
    seen = truth < 2.0
    assert np.sqrt(np.mean((found - truth)[seen] ** 2)) < 0.08
    (name,) = first.anchors
    assert name == "hnc"
    theory = first.anchors["hnc"](GRID)
    assert 0.05 < np.sqrt(np.mean((theory - truth)[seen] ** 2)) < 0.4


@pytest.mark.parametrize("fluid", ["yukawa", "soft-sphere", "core-softened"])
def test_fluids_that_are_none_of_mie_start_from_the_theory(fluid, tmp_path):
    _, first = started(tmp_path, f"families/{fluid}.csv")
    assert list(first.anchors) == ["hnc"] and first.events == []


def test_what_is_asked_for_is_what_it_starts_from(tmp_path):
    _, first = started(tmp_path, "lj/target.csv", "potential")
    assert list(first.anchors) == ["given"] and first.events == []
    as_it_is = knot_values(BSpline(["A"], 2.5), GRID).detach().numpy()
    assert np.array_equal(first.anchors["given"](GRID), as_it_is)
    _, first = started(tmp_path, "lj/target.csv", "hnc")
    assert list(first.anchors) == ["hnc"] and first.events == []
    _, first = started(tmp_path, "lj/target.csv", "pmf")
    assert list(first.anchors) == ["pmf"]
