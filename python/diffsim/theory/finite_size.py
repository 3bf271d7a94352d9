r"""Distribution functions of boxes of different numbers of atoms.

A simulation has a fixed number of atoms N, those in a part of a large fluid fluctuate, and
distribution functions differ by a term of first order in 1/N. The pair density n2 = rho^2 g of the
large fluid is an average over boxes of different N,

    n2(rho) = <n2_N> = n2_<N> + (1/2) Var(N / V) d^2 n2 / d rho^2,    Var(N) = N S(0)

with S(0) the structure factor at k = 0. Solved for that of the box, and divided by its N (N - 1)
pairs rather than by N^2,

    g_N(r) = (1 + 1/N) g(r) - S(0) / (2 N) d^2 [rho^2 g(r)] / d rho^2

whose tail is 1 + (1 - S(0)) / N. An ideal gas has g = S(0) = 1 and g_N = 1, exactly. Likewise for a
mixture of fixed composition, with V C_ab the covariance of the numbers of atoms N_a and N_b in the
large fluid, C_ab = sqrt(rho_a rho_b) S_ab(0), and N_a (N_b - delta_ab) pairs:

    g_N,ab = (1 + delta_ab / N_a) g_ab
             - 1 / (2 V rho_a rho_b) sum_ij C_ij d^2 [rho_a rho_b g_ab] / d rho_i d rho_j

with a tail of 1 - h_ab(k = 0) / V for each pair. All are written here as g_N = (1 + D / N) g, with
N the number of all atoms. Derivatives by the density are those at a fixed potential and bridge
function b, where ln g = -beta u + h - c + b and the Ornstein-Zernike equation gives h - c at each
density from h: neither u nor b need be known if g is.

Sources: Lebowitz and Percus, Phys. Rev. 122, 1675 (1961); Salacuse, Denton and Egelstaff, Phys.
Rev. E 53, 2382 (1996). Periodic images of the correlations, which are a matter of the range of h
against the box and not of 1/N, are left out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, gmres

from diffsim.arrays import Array
from diffsim.species import species_pairs
from diffsim.theory.integral_equation import (
    hnc_continuation,
    indirect_correlation,
    indirect_derivative,
)

STEP = 0.02  # of a density, relative: for second differences, whose error is of second order in it
NEWTON_STEPS = 30
RESIDUAL = 1e-9  # of h - c at another density
ITERATIONS = 20  # at most, of g at infinite N with the size of its box
INCOMPRESSIBLE = 1.0  # D of a fluid with S(0) = 0, whose composition does not fluctuate either
FARTHEST = 100.0  # in kT: there is no solution nearby
MIXED = 3  # of these, that go into the next
SETTLED = 1e-3  # of D, where these have converged


def limiting_structure(width: float, g: Array, density: Array) -> Array:
    r"""Structure factors of a mixture at k = 0, from the direct correlation functions.

        S(0) = (1 - C(0))^-1,    C_ab(0) = sqrt(rho_a rho_b) int c_ab(r) 4 pi r^2 dr

    c reaches hardly further than the potential, so that, unlike with the integral of h, an error
    of the tail of g and the end of the bins hardly matter. sqrt(rho_a rho_b) S_ab(0) V is the
    covariance of the numbers of atoms in a volume V of a large fluid; of one species S(0) is
    rho kT times the isothermal compressibility.

    Parameters
    ----------
    width
        Width of the bins of distance, which begin at zero.
    g
        Distribution functions of all species pairs, shape (P, B); one beyond the last bin, see
        `hnc_continuation`.
    density
        Number densities of the species, shape (S,), all positive.

    Returns
    -------
    S(0), shape (S, S).
    """
    r = (np.arange(g.shape[1]) + 0.5) * width
    c = g - 1.0 - indirect_correlation(width, g, density)
    of_pairs = 4.0 * np.pi * width * c @ r**2
    matrix = np.zeros((len(density), len(density)))
    for value, (a, b) in zip(of_pairs, species_pairs(len(density)), strict=True):
        matrix[a, b] = matrix[b, a] = np.sqrt(density[a] * density[b]) * value
    return np.asarray(np.linalg.inv(np.eye(len(density)) - matrix))


def at_density(width: float, g: Array, density: Array, other: Array) -> Array | None:
    """Logarithm of the change of g with the density, at fixed potential and bridge function.

    Solves ln g' - ln g = (h - c)' - (h - c) by Newton's method.

    Parameters
    ----------
    width, g, density
        As of `limiting_structure`.
    other
        The other number densities, shape (S,).

    Returns
    -------
    ln(g'/g), shape (P, B), smooth also where g is zero; or None if there is no solution nearby.
    """
    before = indirect_correlation(width, g, density)
    change = np.zeros_like(g)
    for _ in range(NEWTON_STEPS):
        present = g * np.exp(change)
        residual = change + before - indirect_correlation(width, present, other)
        largest = np.abs(residual).max()
        if largest < RESIDUAL:
            return change
        if not largest < FARTHEST:  # not a number, too
            return None
        indirect = indirect_derivative(width, present, other)

        def linear(
            step: Array,
            present: Array = present,
            indirect: Callable[[Array], Array] = indirect,
        ) -> Array:
            step = step.reshape(g.shape)
            return np.asarray((step - indirect(present * step)).ravel())

        operator = LinearOperator((g.size, g.size), matvec=linear, dtype=np.float64)
        step, _ = gmres(operator, -residual.ravel(), rtol=1e-6, atol=0.0, maxiter=5, restart=60)
        change = change + step.reshape(g.shape)
    return None


def first_order(width: float, g: Array, density: Array) -> Array | None:
    r"""What N times the relative change of g is with 1/N: D of g_N = (1 + D / N) g.

    With the pairs counted as N_a (N_b - delta_ab), and x_a = N_a / N,

        D_ab = delta_ab / x_a - rho / 2 sum_ij C_ij d^2 [rho_a rho_b g_ab] / d rho_i d rho_j
               / (rho_a rho_b g_ab)

    The sum is taken along the eigenvectors of C, as second differences between densities that
    differ by two per cent. See the text of the module; arguments as `limiting_structure`.

    Returns
    -------
    D, shape (P, B), smooth also where g is zero; or None if there is no solution at one of the
    densities, or S(0) is not that of a fluid.
    """
    structure = limiting_structure(width, g, density)
    root = np.sqrt(density)
    variances, directions = np.linalg.eigh(structure * root * root[:, None])
    if not variances.min() > 0.0:
        return None
    pairs = species_pairs(len(density))
    total = np.zeros_like(g)
    for variance, direction in zip(variances, directions.T, strict=True):
        length = STEP / np.abs(direction / density).max()
        difference = np.full_like(g, -2.0)
        for sign in (-1.0, 1.0):
            other = density + sign * length * direction
            change = at_density(width, g, density, other)
            if change is None:
                return None
            ideal = np.array([other[a] * other[b] / (density[a] * density[b]) for a, b in pairs])
            difference += ideal[:, None] * np.exp(change)
        total += variance * difference / length**2
    own = np.array([density.sum() / density[a] if a == b else 0.0 for a, b in pairs])
    return np.asarray(own[:, None] - 0.5 * density.sum() * total)


def correction(
    width: float, g: Array, density: Array, known: NDArray[np.bool_], atoms: float | Array
) -> Array | None:
    """D of `first_order` for curves that are themselves those of a finite box.

    The large fluid's g and D, g = g_N / (1 + D / N), are found by iteration.

    Parameters
    ----------
    width
        Width of the bins of distance, which begin at zero.
    g
        Distribution functions of all species pairs in a box of N atoms, counted as
        N_a (N_b - delta_ab) pairs, shape (P, B); where they are not known their values do not
        matter.
    density
        Number densities of the species, shape (S,), all positive.
    known
        Where g is known, shape (P, B).
    atoms
        N, all atoms of the box; it may be infinite. Curves of different boxes have one each,
        shape (P, 1).

    Returns
    -------
    D, shape (P, B); or None where the integral equation has no solution (see `hnc_continuation` and
    `first_order`) or the iteration does not converge, in boxes of a few atoms.
    """
    present = np.full_like(g, INCOMPRESSIBLE)
    answers: list[Array] = []
    errors: list[Array] = []
    for _ in range(ITERATIONS):
        factor = 1.0 + present / atoms
        large = hnc_continuation(width, g / factor, density, known) if factor.min() > 0.0 else None
        found = None if large is None else first_order(width, large, density)
        if found is None:
            return None
        error = found - present
        if np.all(np.abs(error) / atoms <= SETTLED / np.asarray(atoms)):
            return found
        # an error of the tail comes back smaller by about the share of the box that g covers: the
        # mixture of the answers whose errors are least (Anderson, J. ACM 12, 547 (1965)) is better
        answers, errors = [*answers[-MIXED:], found], [*errors[-MIXED:], error]
        present = found
        if len(errors) > 1:
            steps = np.array([(error - other).ravel() for other in errors[:-1]]).T
            shares = np.linalg.lstsq(steps, error.ravel(), rcond=None)[0]
            for share, other in zip(shares, answers[:-1], strict=True):
                present = present - share * (found - other)
    return None


def ratio(coefficient: Array, atoms_from: float, atoms_to: float) -> Array:
    """g of a box of one number of atoms over that of another, to first order in 1/N.

    Parameters
    ----------
    coefficient
        D of `correction`, or `INCOMPRESSIBLE` where it is not known, of any shape.
    atoms_from, atoms_to
        Numbers of atoms; they may be infinite.
    """
    return np.asarray((1.0 + coefficient / atoms_to) / (1.0 + coefficient / atoms_from))


def difference(
    width: float,
    g: Array,
    density: Array,
    known: NDArray[np.bool_],
    atoms_from: float,
    atoms_to: float,
) -> Array | None:
    """What to add to the curves of a box to compare them with those of a box of another size.

    Parameters
    ----------
    width, g, density, known
        As of `correction`.
    atoms_from, atoms_to
        Numbers of all atoms, of the box that g is of and of the other; they may be infinite.

    Returns
    -------
    Change of g, shape (P, B), or None where `correction` is.
    """
    found = correction(width, g, density, known, atoms_from)
    return None if found is None else g * (ratio(found, atoms_from, atoms_to) - 1.0)


def of_all_pairs(atoms: float) -> float:
    """Factor from g of a like pair counted with N^2 pairs to that with N (N - 1), N its atoms.

    The N^2 of GROMACS and VOTCA leave the atoms' pairs with themselves in; with pairs of unlike
    species there are none.
    """
    return 1.0 / (1.0 - 1.0 / atoms)
