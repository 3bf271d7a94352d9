"""A cubic B-spline whose coefficients are the parameters."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from diffsim.errors import InputError
from diffsim.potentials.base import PairPotential
from diffsim.potentials.options import check_count, check_number

MARGIN = 1.1  # first knots, within which pairs are not seen where knots are well placed


class BSpline(PairPotential):
    """Cubic B-spline on uniform knots, one set of coefficients per pair of species.

    ``u(r) = sum_b c_b B_b(r)`` with the uniform cubic B-splines B_b of spacing
    ``h = (cutoff - inner) / (n_knots - 1)``: twice continuously differentiable everywhere, and
    linear in the parameters (C. de Boor, A Practical Guide to Splines, Springer 1978, chapter IX).

    The last three coefficients are held at zero, so that energy, force and its derivative all
    vanish at the cutoff, and the first one at the value that makes the second derivative vanish at
    ``inner``; n_knots - 2 are learned. Below ``inner`` the energy goes on as the straight line that
    touches the spline there: repulsive where the slope at ``inner`` is negative, which the spline
    does not enforce. All coefficients start at zero (no interaction);
    fit them to a first guess, such as the potential of mean force, before simulating.

    Parameters
    ----------
    species, cutoff, units
        See ``PairPotential``.
    n_knots
        Number of knots from ``inner`` to ``cutoff``, both included; at least 4.
    inner
        First knot, in distance units, 0 <= inner < cutoff: the shortest distance with data, or
        somewhat below it. By default 0.3 of the cutoff, or less where a training has data there.

    Attributes
    ----------
    coefficients : torch.nn.Parameter
        In energy units, shape (n_pairs, n_knots - 2), pairs in the order of ``pair_index``.

    Raises
    ------
    InputError
        If an argument is not as described.
    """

    def __init__(
        self,
        species: Sequence[str],
        cutoff: float,
        units: str = "lj",
        n_knots: int = 32,
        inner: float | None = None,
    ) -> None:
        super().__init__(species, cutoff, units)
        self.n_intervals = check_count("n_knots", n_knots, minimum=4) - 1
        self.inner = 0.3 * self.cutoff if inner is None else check_number("inner", inner)
        if not 0 <= self.inner < self.cutoff:
            raise InputError(
                f"inner must be at least 0 and below the cutoff of {self.cutoff}; found {inner}."
            )
        self.is_placed = inner is not None
        self.spacing = (self.cutoff - self.inner) / self.n_intervals
        self.coefficients = torch.nn.Parameter(
            torch.zeros(self.n_pairs, self.n_intervals - 1, dtype=torch.float64)
        )

    @torch.jit.unused
    def cover(self, seen: float, wall: float) -> None:
        """Let the knots begin at a wall, if pairs are seen where they begin and nobody placed them.

        Below the first knot the energy is a straight line, which must not be where pairs are. The
        energies change: fit them anew.

        Parameters
        ----------
        seen
            The smallest distance at which there are pairs.
        wall
            Where the knots begin then.
        """
        if not self.is_placed and seen < MARGIN * self.inner:
            self.inner = wall
            self.spacing = (self.cutoff - self.inner) / self.n_intervals

    def pair_energy(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy of a pair inside the cutoff; see ``PairPotential.pair_energy``."""
        x = (r - self.inner) / self.spacing
        start = x.floor().clamp(0.0, float(self.n_intervals - 1))
        below = x.clamp(max=0.0)
        t = (x - below - start).unsqueeze(1)
        # The four B-splines that overlap the interval are cubics of t, its fraction passed.
        basis = torch.cat(
            [
                (1.0 - t) ** 3,
                (3.0 * t - 6.0) * t**2 + 4.0,
                ((3.0 - 3.0 * t) * t + 3.0) * t + 1.0,
                t**3,
            ],
            dim=1,
        )
        first = 2.0 * self.coefficients[:, :1] - self.coefficients[:, 1:2]
        padded = torch.cat([first, torch.nn.functional.pad(self.coefficients, [0, 3])], dim=1)
        index = start.to(torch.int64).unsqueeze(1) + torch.arange(4, device=r.device)
        local = padded[pair.unsqueeze(1), index]
        slope = 0.5 * (local[:, 2] - local[:, 0])  # at the knot: only used below the first one
        return (local * basis).sum(dim=1) / 6.0 + slope * below
