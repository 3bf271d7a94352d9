"""Potential -> knots: the one interface between learning and simulation.

LAMMPS simulates the C2 cubic spline in s = r^2 through the energies u_k of the potential at K knots
per species pair, uniform in s from inner^2 to cutoff^2. The energy of a configuration is linear in
the spline's coefficients c, and c is linear in u:

    U = sum_b c_b n_b,    c = C u

so a derivative with respect to the weights of the potential is dU/dtheta = n^T C du/dtheta:
autograd through the potential at K points, whatever the number of atoms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from diffsim import _core
from diffsim.arrays import Array, Integers
from diffsim.errors import ModelError
from diffsim.potentials import at_temperatures
from diffsim.potentials.model import HasSlopes, Model
from diffsim.species import species_pairs

Range = tuple[float, float]


@dataclass(frozen=True)
class Grid:
    """Places of the knots, fixed for a training so that counts of all iterations fit together.

    Attributes
    ----------
    species, units, cutoff
        Those of the potential.
    inner
        Distance of the innermost knot of each species pair, shape (P,).
    knots
        Number K of knots of each pair.
    """

    species: tuple[str, ...]
    units: str
    cutoff: float
    inner: tuple[float, ...]
    knots: int

    @property
    def basis_size(self) -> int:
        """Number of B-splines per pair, K + 2."""
        return self.knots + 2

    def distances(self, pair: int) -> Array:
        """Distances of the knots of a pair, shape (K,)."""
        s = np.linspace(self.inner[pair] ** 2, self.cutoff**2, self.knots)
        r = np.sqrt(s)
        r[0], r[-1] = self.inner[pair], self.cutoff
        return r

    def basis(self, pair: int, r: Array) -> Array:
        """Values B_b(r^2) of the B-splines of a pair at distances r (n,); shape (n, K + 2)."""
        return np.asarray(_core.spline_basis(r, self.inner[pair], self.cutoff, self.knots))


def choose_grid(
    potential: Model, tolerance: float, temperatures: Sequence[float] = ()
) -> tuple[Grid, _core.SplineError]:
    """Grid whose spline holds a relative tolerance in energy and force against the potential.

    The same choice as ``pair_style diffsim`` makes for a model file, except that all pairs of
    species have knots up to the cutoff, and that one grid holds for several temperatures: it begins
    where the first of their potentials begins, and has the knots of the one that needs most.

    Parameters
    ----------
    potential
        Callable (r, type_i, type_j) with attributes cutoff, species, units; or a
        `diffsim.potentials.TemperatureDependent`.
    tolerance
        Largest deviation of the spline; see `tabulate`.
    temperatures
        At which the spline has to hold the tolerance; needed where the potential depends on it.

    Returns
    -------
    grid, error
        The grid, and the largest deviations found of the potential that needs the most knots
        (attributes energy, force, energy_at, force_at).

    Raises
    ------
    ModelError
        If the potential is not finite, or no grid holds the tolerance.
    """
    different = at_temperatures(potential, sorted(set(temperatures)))
    potentials = list(dict.fromkeys(different)) or [potential]
    inner = np.min([[begin for begin, _ in pair_ranges(each)] for each in potentials], axis=0)
    # up to the cutoff, also where this potential is zero before: a later one need not be
    ranges = [(float(begin), potential.cutoff) for begin in inner]
    knots, error = max(
        (tabulate(each, ranges, tolerance) for each in potentials),
        key=lambda found: found[0].values.shape[1],
    )
    grid = Grid(
        tuple(potential.species),
        potential.units,
        potential.cutoff,
        tuple(knots.inner),
        knots.values.shape[1],
    )
    return grid, error


def pair_ranges(potential: Model) -> list[Range]:
    """Distances between which each pair of species has its knots in ``pair_style diffsim``.

    Parameters
    ----------
    potential
        Callable (r, type_i, type_j) with attributes cutoff, species, units.

    Returns
    -------
    list of pairs of floats
        Of each pair of species, unit of length: where, seen from the cutoff, the energy first
        exceeds 1000 kT (300 K; 1 in lj units), and where it becomes exactly zero, at most the
        cutoff. src_cpp/potential/knots.h says what holds for potentials without such a wall.

    Raises
    ------
    ModelError
        If an energy is NaN, or the potential has no range.
    """
    with _model_errors():
        return _core.pair_ranges(*_core_arguments(potential))


def tabulate(
    potential: Model, ranges: Sequence[Range], tolerance: float
) -> tuple[_core.Knots, _core.SplineError]:
    """Knots within the ranges whose spline holds a tolerance in energy and force.

    Parameters
    ----------
    potential
        Callable (r, type_i, type_j) with attributes cutoff, species, units.
    ranges
        Distances of the first and the last knot of each pair of species.
    tolerance
        Largest deviation of energy and force, relative to the larger of the quantity itself and its
        scale: kT at 300 K (1 in lj units), and that over the cutoff.

    Returns
    -------
    knots, error
        The knots, and the largest deviations found (attributes energy, force, energy_at, force_at).

    Raises
    ------
    ModelError
        If the potential is not finite, or no number of knots holds the tolerance.
    """
    with _model_errors():
        return _core.tabulate(*_core_arguments(potential), list(ranges), tolerance)


def numpy_model(potential: Model) -> _core.Model:
    """A potential as a function of arrays: (r, type_i, type_j) -> (u, du/dr).

    By its own slopes where it has them (`diffsim.potentials.model.HasSlopes`), else by autograd. It
    raises a `ModelError` for a potential whose energies autograd cannot follow.
    """
    if isinstance(potential, HasSlopes):
        return potential.energies_and_slopes

    def model(r: Array, a: Integers, b: Integers) -> tuple[Array, Array]:
        distance = torch.tensor(r, requires_grad=True)
        energy = potential(distance, torch.tensor(a), torch.tensor(b))
        u = energy.detach().numpy()
        slope = None
        if energy.requires_grad:
            (slope,) = torch.autograd.grad(energy.sum(), distance, allow_unused=True)
        if slope is not None:
            return u, slope.numpy()
        if (u != u[:1]).any():
            raise ModelError(
                "The potential detaches its energies from r, and has no forces. Compute them with "
                "differentiable operations, without no_grad or detach."
            )
        return u, np.zeros_like(u)  # a constant, such as zero

    return model


def _core_arguments(potential: Model) -> tuple[_core.Model, list[str], float, str]:
    return numpy_model(potential), list(potential.species), potential.cutoff, potential.units


@contextmanager
def _model_errors() -> Iterator[None]:
    """Turn the errors of the compiled core into those of the package."""
    try:
        yield
    except _core.PotentialError as error:
        raise ModelError(str(error)) from None


def knot_values(potential: Model, grid: Grid) -> torch.Tensor:
    """Energies u (P, K) of the potential at the knots, with their autograd graph.

    Raises
    ------
    ModelError
        If an energy is not finite.
    """
    pairs = species_pairs(len(grid.species))
    r = torch.tensor(np.concatenate([grid.distances(p) for p in range(len(pairs))]))
    type_i, type_j = (
        torch.tensor(np.repeat([pair[side] for pair in pairs], grid.knots)) for side in (0, 1)
    )
    values: torch.Tensor = potential(r, type_i, type_j).reshape(len(pairs), grid.knots)
    finite = torch.isfinite(values)
    if not bool(finite.all()):
        pair, knot = (int(i) for i in torch.nonzero(~finite)[0])
        a, b = pairs[pair]
        raise ModelError(
            f"The potential of {grid.species[a]}-{grid.species[b]} is {values[pair, knot].item()} "
            f"at distance {grid.distances(pair)[knot]:.6g}; it must be finite. If this happened "
            "in a training, the last step was too large."
        )
    return values


def knot_values_at(
    potential: Model, grid: Grid, temperatures: Sequence[float]
) -> list[torch.Tensor]:
    """`knot_values` of the potential of each temperature, shape (P, K) each.

    One tensor for all of them, computed once, where the potential does not depend on temperature.
    """
    potentials = at_temperatures(potential, temperatures)
    values = {each: knot_values(each, grid) for each in potentials}
    return [values[each] for each in potentials]


def spline_coefficients(values: Array) -> Array:
    """B-spline coefficients c (P, K + 2) of the splines through values u (P, K)."""
    return np.asarray(_core.spline_coefficients(values))


def values_gradient(gradient: Array) -> Array:
    """Turn dL/dc (P, K + 2) into dL/du (P, K): the transpose of `spline_coefficients`."""
    return np.asarray(_core.spline_coefficients_transpose(gradient))


def core_knots(grid: Grid, values: Array) -> _core.Knots:
    """The knots as the object that is written to a file for LAMMPS."""
    return _core.Knots(grid.units, list(grid.species), grid.cutoff, list(grid.inner), values)
