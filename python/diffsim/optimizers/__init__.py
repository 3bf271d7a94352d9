"""Optimizers of potentials. A new one is one file and one line in `create`."""

from __future__ import annotations

import inspect
from typing import Any

from diffsim.errors import InputError
from diffsim.optimizers.base import Optimizer, Update
from diffsim.optimizers.first_order import FirstOrder
from diffsim.optimizers.gauss_newton import GaussNewton
from diffsim.optimizers.ibi import IBI
from diffsim.optimizers.imc import IMC
from diffsim.optimizers.relative_entropy import RelativeEntropy

__all__ = [
    "IBI",
    "IMC",
    "NAMED",
    "FirstOrder",
    "GaussNewton",
    "Optimizer",
    "RelativeEntropy",
    "Update",
    "create",
]

NAMED: dict[str, type[Optimizer]] = {
    "gauss-newton": GaussNewton,
    "ibi": IBI,
    "imc": IMC,
    "relative-entropy": RelativeEntropy,
}


def create(name: str, **options: Any) -> Optimizer:
    """An optimizer by its name: one of `NAMED`, or a class of torch.optim.

    Raises
    ------
    InputError
        If the name or an option is not known.
    """
    if name not in NAMED:
        return FirstOrder(name, **options)
    known = list(inspect.signature(NAMED[name]).parameters)
    unknown = [option for option in options if option not in known]
    if unknown:
        raise InputError(
            f"The optimizer {name} has the options {', '.join(known)}, but '{unknown[0]}' was "
            "given; correct the name of the option or leave it out."
        )
    return NAMED[name](**options)
