"""The package as a Python library: what it exports, and what it says of slips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import diffsim
from conftest import fluid_script
from diffsim import Protocol, System, Trainer
from diffsim.errors import InputError
from diffsim.potentials import LennardJones
from diffsim.targets import RDF, Pressure


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "in.fluid"
    path.write_text(fluid_script())
    return path


def target() -> RDF:
    r = 0.05 * (0.5 + np.arange(50))
    return RDF(r, np.ones(50), ("A", "A"))


def test_type_hints_and_the_error_are_exported():
    assert (Path(diffsim.__file__).parent / "py.typed").is_file()
    assert issubclass(InputError, diffsim.DiffSimError)
    assert "DiffSimError" in dir(diffsim) and "DiffSimError" in diffsim.__all__


def test_the_repr_of_a_system_is_short(script):
    system = System(script, 1.5, [target(), Pressure(0.5, 0.1)], name="fluid")
    assert repr(system) == (
        f"System('{script}', temperature=1.5, name='fluid', targets: rdf A-A, pressure)"
    )


@pytest.mark.parametrize(
    ("temperature", "targets", "words"),
    [
        (1.0, target(), "should be a list.*brackets"),
        (1.0, "rdf.csv", "should be a list"),
        (1.0, [target(), 0.53], "is a float; it must be one of diffsim.targets"),
        ("1.0", [target()], "temperature .* is '1.0'; it must be a positive number"),
        (None, [target()], "temperature .* is None"),
    ],
)
def test_slips_in_a_system(script, temperature, targets, words):
    with pytest.raises(InputError, match=words):
        System(script, temperature, targets)


def test_slips_in_a_trainer(script):
    potential, system = LennardJones(["A"], 2.0), System(script, 1.0, [target()])
    with pytest.raises(InputError, match=r"should be a diffsim.Protocol, but is a dict"):
        Trainer(potential, [system], protocol={"steps": 100})
    with pytest.raises(InputError, match="brackets"):
        Trainer(potential, system)
    Trainer(potential, [system], protocol=Protocol(steps=20, every=10), start="potential")


def test_numbers_of_numpy_are_numbers(script):
    assert System(script, np.float32(1.5), [target()]).temperature == 1.5
