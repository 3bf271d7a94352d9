"""The sum of several potentials."""

# Without "from __future__ import annotations": torch.jit reads the classes' annotations below and
# cannot resolve them from strings.

from collections.abc import Callable
from typing import cast

import torch

from diffsim.errors import InputError
from diffsim.potentials.base import OPERATIONS, PairPotential
from diffsim.potentials.closed_form import Well
from diffsim.potentials.model import Model
from diffsim.potentials.tangent_kernel import (
    kernels_by_autograd,
    sum_of_kernels,
    tangent_kernels,
)


class Sum(PairPotential):
    """Sum of potentials that share species and units; ``a + b`` is short for ``Sum(a, b)``.

    ``u(r) = sum_t u_t(r)``. The cutoff is the largest of the terms'; each term is zero beyond
    its own. All terms are learned: freeze one with ``term.requires_grad_(False)``. A network that
    corrects another term is made with ``wall=False``: it is zero at first.

    Parameters
    ----------
    *terms
        One or more potentials.

    Raises
    ------
    InputError
        If there is no term, a term is not a potential, or species or units differ.
    """

    def __init__(self, *terms: PairPotential) -> None:
        if not terms:
            raise InputError("Sum must be given at least one potential; found none.")
        for term in terms:
            if not isinstance(term, PairPotential):
                raise InputError(
                    f"Each term of a Sum must be a PairPotential; found {type(term).__name__}. "
                    "Read a model file with diffsim.potentials.load first."
                )
            for what in ("species", "units"):
                first, found = getattr(terms[0], what), getattr(term, what)
                if found != first:
                    raise InputError(
                        f"All terms of a Sum must have the same {what}; found {first!r} and "
                        f"{found!r}."
                    )
        super().__init__(terms[0].species, max(term.cutoff for term in terms), terms[0].units)
        self.terms = torch.nn.ModuleList(terms)

    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        """Sum of the terms' energies; see ``PairPotential.forward``."""
        energy = torch.zeros_like(r)
        for term in self.terms:
            energy = energy + term(r, type_i, type_j)
        return energy

    def tangent_kernels(self, r: torch.Tensor) -> torch.Tensor:
        """Sum of the terms' kernels; see ``diffsim.potentials.tangent_kernel``."""
        weights = [p for term in self.terms for p in term.parameters()]
        if len({id(p) for p in weights}) < len(weights):  # terms share some
            return kernels_by_autograd(self, r)
        total = torch.zeros(len(r), r.shape[1], r.shape[1], dtype=r.dtype)
        for term in self.terms:
            total = sum_of_kernels(total, tangent_kernels(cast(Model, term), r))
        return total

    @torch.jit.unused
    def first_guess(self, pair: int, find: Callable[[float | None, float], Well]) -> None:
        """Give the first term that has a well that of a first guess; see ``ClosedForm``."""
        for term in self.terms:
            guess = getattr(term, "first_guess", None)
            if guess is not None:
                guess(pair, find)
                return


OPERATIONS["+"] = Sum
