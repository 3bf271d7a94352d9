"""Optimizers of potentials. A new one is one file and one line in `create`."""

from __future__ import annotations

from typing import Any

from diffsim.errors import InputError
from diffsim.optimizers.base import Optimizer, Update
from diffsim.optimizers.first_order import FirstOrder
from diffsim.optimizers.gauss_newton import GaussNewton

__all__ = ["FirstOrder", "GaussNewton", "Optimizer", "Update", "create"]


def create(name: str, **options: Any) -> Optimizer:
    """An optimizer by its name: ``gauss-newton``, or a class of torch.optim.

    Raises
    ------
    InputError
        If the name or an option is not known.
    """
    if name == "gauss-newton":
        try:
            return GaussNewton(**options)
        except TypeError as error:
            raise InputError(
                f"The optimizer gauss-newton has the options trust, length, min_ess and "
                f"max_steps ({error})."
            ) from None
    return FirstOrder(name, **options)
