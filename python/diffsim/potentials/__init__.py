"""Pair potentials that learn, and the files LAMMPS reads them from.

A potential maps distances and species to pair energies; `PairPotential` says how. To add one,
write a subclass in a file of its own and add a line to `FORMS`.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from diffsim.errors import InputError
from diffsim.potentials.base import PairPotential, pair_index
from diffsim.potentials.bspline import BSpline
from diffsim.potentials.buckingham import Buckingham
from diffsim.potentials.closed_form import ClosedForm
from diffsim.potentials.embedding import Embedding
from diffsim.potentials.formats import FORMATS, load
from diffsim.potentials.mie import LennardJones, Mie
from diffsim.potentials.model import HasSlopes, Model
from diffsim.potentials.model_file import ScriptedPotential, check_model
from diffsim.potentials.morse import Morse
from diffsim.potentials.neural import Neural
from diffsim.potentials.options import UNITS
from diffsim.potentials.sum import Sum
from diffsim.potentials.temperature_dependent import (
    TemperatureDependent,
    at_temperatures,
    linear_parts,
)
from diffsim.potentials.yukawa import Yukawa

__all__ = [
    "FORMATS",
    "FORMS",
    "UNITS",
    "BSpline",
    "Buckingham",
    "ClosedForm",
    "Embedding",
    "HasSlopes",
    "LennardJones",
    "Mie",
    "Model",
    "Morse",
    "Neural",
    "PairPotential",
    "ScriptedPotential",
    "Sum",
    "TemperatureDependent",
    "Yukawa",
    "at_temperatures",
    "check_model",
    "create",
    "linear_parts",
    "load",
    "pair_index",
]


WALLS = ("mie", "lennard-jones")
"""Forms that keep atoms apart whatever a bounded network adds."""

NETWORKS = ("neural", "embedding")


def _create_sum(*, terms: Any, **shared: Any) -> Sum:
    """Sum of the potentials that ``terms`` describe; see ``create``.

    A network beside a form of `WALLS` has no wall of its own, and is zero at first, unless it is
    given a ``sigma`` or ``wall``.
    """
    if not isinstance(terms, list) or not all(
        isinstance(term, Mapping) and "form" in term for term in terms
    ):
        raise InputError(
            "terms of a sum must be a list of mappings, each with the key 'form' and the options "
            f"of that form; found {terms!r}."
        )
    walled = any(term["form"] in WALLS for term in terms)
    defaults = [
        {"wall": False} if walled and term["form"] in NETWORKS and "sigma" not in term else {}
        for term in terms
    ]
    return Sum(*(create(**{**shared, **d, **t}) for d, t in zip(defaults, terms, strict=True)))


FORMS: dict[str, Callable[..., PairPotential]] = {
    "neural": Neural,
    "embedding": Embedding,
    "bspline": BSpline,
    "mie": Mie,
    "lennard-jones": LennardJones,
    "morse": Morse,
    "yukawa": Yukawa,
    "buckingham": Buckingham,
    "sum": _create_sum,
}
"""What each form of the YAML configuration is made by."""


def create(form: str, **options: Any) -> PairPotential:
    """Make a potential from the names and values of a configuration.

    Parameters
    ----------
    form
        Key of `FORMS`.
    **options
        Arguments of that form's class. A sum takes ``terms``, a list of mappings with ``form`` and
        the options of each term; its other options (species, cutoff, units) hold for all terms
        that do not say otherwise.

    Returns
    -------
    PairPotential

    Raises
    ------
    InputError
        If the form or an option is unknown, missing or wrong.
    """
    if not isinstance(form, str) or form not in FORMS:
        raise InputError(
            f"The form of a potential must be one of {', '.join(FORMS)}; found {form!r}."
            + _nearest(form, FORMS)
        )
    parameters = inspect.signature(FORMS[form]).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        for name, value in options.items():
            if name not in parameters:
                raise InputError(
                    f"A potential of the form {form} has no option {name!r} (found with the value "
                    f"{value!r}); it has {', '.join(parameters)}." + _nearest(name, parameters)
                )
    for name, parameter in parameters.items():
        required = (
            parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        )
        if required and name not in options:
            raise InputError(
                f"A potential of the form {form} needs the option {name!r}; found "
                f"{', '.join(options) or 'no options'}."
            )
    return FORMS[form](**options)


def _nearest(name: Any, known: Iterable[str]) -> str:
    """A question with the nearest known name, or nothing if none is near."""
    matches = difflib.get_close_matches(str(name), known, n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""
