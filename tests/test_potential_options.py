"""Wrong arguments of the potentials: each message names the option and what was found."""

from __future__ import annotations

import math

import pytest

from diffsim.errors import InputError
from diffsim.potentials import Mie, create


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"species": "AB"}, "species must be a list of names"),
        ({"species": []}, "at least one species; found an empty list"),
        ({"species": ["A", "A"]}, "each species once; found 'A' twice"),
        ({"species": ["A B"]}, "without blanks.*found 'A B'"),
        ({"species": [1]}, "found 1"),
        ({"cutoff": 0.0}, "cutoff must be a positive finite number; found 0.0"),
        ({"cutoff": math.inf}, "cutoff must be a positive finite number; found inf"),
        ({"cutoff": math.nan}, "cutoff must be a positive finite number; found nan"),
        ({"cutoff": "2.5"}, "cutoff must be a positive finite number; found '2.5'"),
        ({"cutoff": True}, "cutoff must be a positive finite number; found True"),
        ({"units": "kcal"}, "units must be one of LAMMPS's units styles .*; found 'kcal'"),
        ({"epsilon": -1.0}, "epsilon must be a positive finite number; found -1.0"),
        ({"epsilon": "one"}, "epsilon must be a number, or a symmetric 2 x 2 array.*'one'"),
        ({"epsilon": [[1.0, 2.0]]}, "epsilon must be a number, or a symmetric 2 x 2 array"),
        ({"epsilon": [[1.0], [2.0, 3.0]]}, "epsilon must be a number, or a symmetric 2 x 2"),
        ({"epsilon": [[1, 2], [3, 4]]}, r"epsilon must be symmetric.*2 at \[0\]\[1\] and 3"),
        ({"sigma": [[1.0, -2.0], [-2.0, 1.0]]}, r"sigma\[0\]\[1\] must be a positive"),
        ({"n": 6, "m": 6}, "n must be greater than m.*n = 6, m = 6"),
    ],
)
def test_wrong_arguments_of_mie(options, message):
    with pytest.raises(InputError, match=message):
        Mie(**{"species": ["A", "B"], "cutoff": 2.5, **options})


@pytest.mark.parametrize(
    ("form", "options", "message"),
    [
        ("neural", {"hidden": []}, r"hidden must be a list of layer widths.*found \[\]"),
        ("neural", {"hidden": 32}, "hidden must be a list of layer widths.*found 32"),
        ("neural", {"hidden": [32, 0]}, "Each width in hidden must be an integer.*found 0"),
        ("neural", {"n_basis": 1}, "n_basis must be an integer not below 2; found 1"),
        ("neural", {"seed": 0.5}, "seed must be an integer not below 0; found 0.5"),
        ("neural", {"sigma": -1.0}, "sigma must be a positive"),
        ("neural", {"energy_scale": 0}, "energy_scale must be a positive"),
        ("neural", {"hiden": [8]}, r"no option 'hiden' .*\[8\].* Did you mean 'hidden'\?"),
        ("embedding", {"hidden": 32}, "hidden must be a list of layer widths.*found 32"),
        ("embedding", {"n_basis": 1}, "n_basis must be an integer not below 2; found 1"),
        ("embedding", {"size": 0}, "size must be an integer not below 1; found 0"),
        ("bspline", {"n_knots": 3}, "n_knots must be an integer not below 4; found 3"),
        ("bspline", {"inner": 2.5}, "inner must be at least 0 and below the cutoff"),
        ("bspline", {"inner": "x"}, "inner must be a finite number; found 'x'"),
        ("morse", {"d0": 1.0, "alpha": 5.0}, "needs the option 'r0'; found species, cutoff, d0"),
        ("yukawa", {"a": math.nan, "kappa": 1.0}, "a must be a finite number; found nan"),
        ("nueral", {}, r"must be one of neural, .*found 'nueral'\. Did you mean 'neural'\?"),
        (None, {}, "found None"),
        ("sum", {}, "needs the option 'terms'"),
        ("sum", {"terms": "neural"}, "terms of a sum must be a list of mappings.*'neural'"),
        ("sum", {"terms": [{"seed": 1}]}, "terms of a sum must be a list of mappings"),
        ("sum", {"terms": [{"form": "mie", "nn": 3}]}, "form mie has no option 'nn'"),
    ],
)
def test_wrong_configurations(form, options, message):
    with pytest.raises(InputError, match=message):
        create(form, species=["A"], cutoff=2.5, **options)
