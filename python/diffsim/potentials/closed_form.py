"""What the closed-form potentials share: parameters per pair of species, and the shift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol, cast, runtime_checkable

import torch

from diffsim.errors import InputError
from diffsim.potentials.base import PairPotential
from diffsim.potentials.options import PairValues, pair_values
from diffsim.potentials.pair_parameters import (
    Mixed,
    OwnValues,
    Variable,
    check_bounds,
    check_fixed,
    check_mixed,
    like_pairs,
)

Bounds = Mapping[str, Sequence[float]]
"""Smallest and largest value of each parameter that is bounded."""


class Well(Protocol):
    """A Mie potential that a first guess is made of; see ``Mie`` for the meaning."""

    @property
    def epsilon(self) -> float:
        """Depth."""

    @property
    def sigma(self) -> float:
        """Where the energy is zero."""

    @property
    def n(self) -> float:
        """Exponent of the repulsion."""

    @property
    def m(self) -> float:
        """Exponent of the attraction."""

    @property
    def minimum(self) -> float:
        """Distance of the minimum."""


@runtime_checkable
class BeginsAtWells(Protocol):
    """A potential that may begin at the Mie potentials that targets suggest."""

    def first_guess(self, pair: int, find: Callable[[float | None, float], Well]) -> None:
        """See ``ClosedForm``."""


class ClosedForm(PairPotential):
    """A formula u(r) with a few parameters per pair of species, shifted to zero at the cutoff.

    The energy is ``u(r) - u(cutoff)``; the force keeps its step at the cutoff, as that of LAMMPS's
    ``pair_modify shift yes`` does. Subclasses write ``formula``, name their parameters in ``NAMES``
    and make each by ``parameter``. Those with a well may have a method ``first_guess(pair, find)``:
    it sets the parameters of a pair to those of ``find(n, m)``, the Mie potential that a target
    suggests, with a given or (None) a free exponent n.

    Parameters
    ----------
    species, cutoff, units
        See ``PairPotential``.
    fixed
        Names of the parameters that keep their values.
    bounds
        Smallest and largest values of parameters, by name, for all pairs: a smooth map holds them
        for any weights (see ``pair_parameters.Variable``).

    Raises
    ------
    InputError
        If an argument is not as described.
    """

    NAMES: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        species: Sequence[str],
        cutoff: float,
        units: str,
        fixed: Sequence[str] = (),
        bounds: Bounds | None = None,
    ) -> None:
        super().__init__(species, cutoff, units)
        self.fixed_names = check_fixed(fixed, self.NAMES) if fixed else []
        self.bounds_of_names = check_bounds(bounds, self.NAMES)

    def formula(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy before the shift (scriptable), with the shapes of ``pair_energy``."""
        raise NotImplementedError

    def pair_energy(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy of a pair inside the cutoff; see ``PairPotential.pair_energy``."""
        every_pair = torch.arange(self.n_pairs, device=r.device)
        at_cutoff = self.formula(
            torch.full_like(every_pair, self.cutoff, dtype=r.dtype), every_pair
        )
        return self.formula(r, pair) - at_cutoff[pair]

    def parameter(
        self, name: str, values: PairValues, positive: bool = True, mixing: Mixed | None = None
    ) -> tuple[torch.nn.Parameter, torch.nn.Sequential]:
        """The variable of a parameter, and the chain of modules that makes its values of it.

        Parameters
        ----------
        name
            Of the option, one of ``NAMES``.
        values
            One for all pairs, or a symmetric array-like of shape (n_species, n_species).
        positive
            Whether they have to be: then the variable is the logarithm, and no step can turn the
            sign.
        mixing
            What makes the values of pairs from those of like pairs, which alone are variables then.

        Returns
        -------
        variable, values
            The variable, shape (n_pairs,), or (n_species,) with mixing; without ``requires_grad``
            if it is fixed. ``values(variable)`` has the shape (n_pairs,).

        Raises
        ------
        InputError
            If values are not as described, not within their bounds, or not those of the mixing.
        """
        given = pair_values(name, values, self.n_species, positive)
        bounds = self.bounds_of_names.get(name)
        if bounds is not None:
            low, high = bounds
            if positive and low <= 0.0:
                raise InputError(
                    f"The smallest value in bounds of {name} must be positive; found {low}."
                )
            if not bool(((given > low) & (given < high)).all()):
                raise InputError(
                    f"{name} must begin within its bounds, {low} to {high}; found {given.tolist()}."
                )
        variable = Variable(positive, bounds)
        own = given
        if mixing is not None:
            own = given[like_pairs(self.n_species)]
            if not isinstance(values, (int, float)):
                check_mixed(name, given, mixing(own))
        return (
            torch.nn.Parameter(variable.inverse(own), requires_grad=name not in self.fixed_names),
            torch.nn.Sequential(variable, mixing or OwnValues()),
        )

    @torch.jit.unused
    def set_values(
        self,
        variable: torch.nn.Parameter,
        values: torch.nn.Sequential,
        wanted: Mapping[int, float],
    ) -> None:
        """Give a parameter the values of a first guess; nothing happens to a fixed one.

        Parameters
        ----------
        variable, values
            What ``parameter`` returned.
        wanted
            Values of some of the pairs, by their ``pair_index``. With mixing those of like pairs
            are set, and values beyond the bounds become the nearest within.
        """
        if not variable.requires_grad:
            return
        mixed = isinstance(values[1], Mixed)
        pairs = like_pairs(self.n_species) if mixed else list(range(self.n_pairs))
        inverse = cast(Variable, values[0]).inverse
        with torch.no_grad():
            for k, pair in enumerate(pairs):
                if pair in wanted:
                    variable[k] = inverse(torch.tensor(wanted[pair], dtype=variable.dtype))
