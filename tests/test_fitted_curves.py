"""Factors and constants of curves that are fitted with the potential."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import diffsim
from diffsim.potentials import BSpline
from diffsim.response.loss import unexplained
from diffsim.targets import RDF, Pressure
from test_robust_training import PROTOCOL, inputs  # noqa: F401
from test_robust_training import target as liquid

R = 0.05 * (0.5 + np.arange(60))
G = np.where(R > 0.9, 1.0 + np.exp(-R) * np.cos(6.0 * R), 0.0)
WEIGHTS = np.append(np.linspace(1.0, 2.0, 60), 3.0)


def ensemble(**errors):
    targets = [RDF(R, G, ("A", "A"), **errors), Pressure(1.5)]
    return SimpleNamespace(targets=targets, target=np.append(G, 1.5))


def test_nothing_is_fitted_unless_it_is_asked_for():
    deviation = np.linspace(-1.0, 1.0, 61)
    assert unexplained(ensemble(), deviation, WEIGHTS) is deviation


@pytest.mark.parametrize(
    ("errors", "explained"),
    [
        ({"scale_error": 0.05}, 0.02 * G),
        ({"offset_error": 0.05}, np.full(60, 0.01)),
        ({"scale_error": 0.05, "offset_error": 0.05}, 0.02 * G - 0.01),
    ],
)
def test_a_factor_and_a_constant_are_no_deviation(errors, explained):
    """And the pressure, which is no curve, keeps its own."""
    left = unexplained(ensemble(**errors), np.append(explained, 0.3), WEIGHTS)
    assert left[:60] == pytest.approx(0.0, abs=1e-14) and left[60] == 0.3


def test_derivatives_of_the_sum_are_those_at_a_fixed_factor():
    found = ensemble(scale_error=0.05, offset_error=0.05)
    deviation = np.random.default_rng(1).normal(size=61)

    def value(d):
        return WEIGHTS @ unexplained(found, d, WEIGHTS) ** 2

    expected = 2.0 * WEIGHTS * unexplained(found, deviation, WEIGHTS)
    for k in (0, 25, 60):
        step = 1e-6 * np.eye(61)[k]
        slope = (value(deviation + step) - value(deviation - step)) / 2e-6
        assert slope == pytest.approx(expected[k], rel=1e-6, abs=1e-8)
    assert value(deviation) < WEIGHTS @ deviation**2


def test_a_training_says_by_what_factor_a_curve_is_wrong(inputs):  # noqa: F811
    """Of two systems with the same curve, once as it is and once times 1.03, with both errors."""
    exact = liquid()
    scaled = RDF(exact.r, 1.03 * exact.g, ("A", "A"), scale_error=0.05, offset_error=0.05)
    systems = [
        diffsim.System(inputs / "in.fluid", 1.0, [curve], name=name)
        for name, curve in (("exact", exact), ("scaled", scaled))
    ]
    potential = BSpline(["A"], 1.8, n_knots=20)
    trainer = diffsim.Trainer(potential, systems, protocol=PROTOCOL)
    (record,) = trainer.fit(1)
    found = {key: value for key, value in record.optimizer.items() if key.startswith(("sc", "of"))}
    assert set(found) == {
        f"{name} scaled rdf A-A{error}" for name in ("scale", "offset") for error in ("", " error")
    }
    error = found["scale scaled rdf A-A error"]
    assert abs(found["scale scaled rdf A-A"] - 1.03) < 4.0 * error < 0.12
    assert any("was found to be 1.0" in sentence for sentence in trainer.conclusion)
