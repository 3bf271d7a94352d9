"""The Mie (n-m) potential and Lennard-Jones, its 12-6 case."""

# Without "from __future__ import annotations": torch.jit reads the classes' annotations below and
# cannot resolve them from strings.

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch

from diffsim.errors import InputError
from diffsim.potentials.closed_form import Bounds, ClosedForm, Well
from diffsim.potentials.exponents import FixedExponents, LearnedExponents, read_exponent
from diffsim.potentials.options import PairValues
from diffsim.potentials.pair_parameters import Mixed, OwnValues, like_pairs

Exponent = float | str | Mapping[str, float]
"""A number, ``"learn"``, or ``{"learn": start}``."""

MIXING = {"lorentz-berthelot": False, "geometric": True}  # whether sigma's mean is geometric


class Mie(ClosedForm):
    """Mie potential with learnable epsilon and sigma, and exponents if wanted, per pair of species.

    ``u(r) = C epsilon [(sigma/r)^n - (sigma/r)^m] - (the same at the cutoff)`` with
    ``C = n/(n-m) (n/m)^(m/(n-m))``, so that the well is epsilon deep before the shift
    (G. Mie, Ann. Phys. 316, 657 (1903); LAMMPS's ``pair_style mie/cut``).

    Parameters
    ----------
    species, cutoff, units
        See ``PairPotential``.
    epsilon
        Depth of the well, in energy units: a positive number, or a symmetric array-like of
        shape (n_species, n_species). The default, like that of sigma, is meant for lj units.
    sigma
        Where the unshifted energy is zero, in distance units: likewise.
    n, m
        Exponents of repulsion and attraction, n > m > 0: numbers; or ``"learn"``, from 12 and 6 on,
        or ``{"learn": start}``. A learned m stays between 3 and 12 and n between m + 1/2 and 50,
        whatever the weights, or within their ``bounds``.
    fixed, bounds
        See ``ClosedForm``; names are epsilon, sigma, and in bounds n and m, if they are learned.
    mixing
        None: every pair has parameters of its own. ``"lorentz-berthelot"`` or ``"geometric"``: like
        pairs have, and unlike ones follow:
        ``epsilon_ij = (epsilon_i epsilon_j)^(1/2)``, ``sigma_ij = (sigma_i + sigma_j)/2`` or
        ``(sigma_i sigma_j)^(1/2)``, exponents that are learned as the mean of the two.

    Attributes
    ----------
    log_epsilon, log_sigma : torch.nn.Parameter
        Natural logarithms of the parameters, shape (n_pairs,), in the order of ``pair_index``; with
        mixing those of the species, shape (n_species,). With bounds, the variables of
        ``pair_parameters.Variable``.
    n, m : float
        The exponents, or what they are learned from.
    prefactor : float
        C, where the exponents are numbers.
    shape : torch.nn.Module
        The exponents, ``FixedExponents`` or ``LearnedExponents``.

    Raises
    ------
    InputError
        If an argument is not as described.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("epsilon", "sigma", "n", "m")

    def __init__(
        self,
        species: Sequence[str],
        cutoff: float,
        units: str = "lj",
        epsilon: PairValues = 1.0,
        sigma: PairValues = 1.0,
        n: Exponent = 12.0,
        m: Exponent = 6.0,
        fixed: Sequence[str] = (),
        bounds: Bounds | None = None,
        mixing: str | None = None,
    ) -> None:
        super().__init__(species, cutoff, units, fixed, bounds)
        if mixing is not None and mixing not in MIXING:
            raise InputError(f"mixing must be one of {', '.join(MIXING)}; found {mixing!r}.")
        of_sigma = of_epsilon = None
        if mixing is not None:
            of_sigma = Mixed(self.n_species, geometric=MIXING[mixing])
            of_epsilon = Mixed(self.n_species, geometric=True)
        self.log_epsilon, self.epsilon_of = self.parameter("epsilon", epsilon, mixing=of_epsilon)
        self.log_sigma, self.sigma_of = self.parameter("sigma", sigma, mixing=of_sigma)
        self.shape = self._exponents(n, m, mixing is not None)

    @torch.jit.unused
    def _exponents(self, n: Exponent, m: Exponent, mixed: bool) -> torch.nn.Module:
        """The module of the exponents, as the options have it."""
        (first_n, learn_n), (first_m, learn_m) = (
            read_exponent("n", n, 12.0),
            read_exponent("m", m, 6.0),
        )
        learned = [name for name, learn in (("n", learn_n), ("m", learn_m)) if learn]
        if first_n <= first_m:
            raise InputError(
                f"n must be greater than m, or there is no repulsion; found n = {n}, m = {m}."
            )
        for name in learned:
            if name in self.fixed_names:
                raise InputError(
                    f"{name} cannot be learned and fixed; leave it out of fixed, or give a number."
                )
        for name in ("n", "m"):
            if name in self.bounds_of_names and name not in learned:
                raise InputError(
                    f"bounds of {name} need an exponent that is learned; write {name}: learn."
                )
        self.n, self.m = first_n, first_m
        if not learned:
            fixed = FixedExponents(first_n, first_m)
            self.prefactor = fixed.prefactor
            return fixed
        return LearnedExponents(
            first_n,
            first_m,
            learn_n,
            learn_m,
            self.bounds_of_names.get("n"),
            self.bounds_of_names.get("m"),
            Mixed(self.n_species, geometric=False) if mixed else OwnValues(),
            self.n_species if mixed else self.n_pairs,
        )

    def formula(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy before the shift; see ``ClosedForm.formula``."""
        x = self.sigma_of(self.log_sigma)[pair] / r
        energy: torch.Tensor = self.epsilon_of(self.log_epsilon)[pair] * self.shape(x, pair)
        return energy

    @torch.jit.unused
    def first_guess(self, pair: int, find: Callable[[float | None, float], Well]) -> None:
        """Set the parameters of a pair to those of a well; see ``ClosedForm.first_guess``."""
        exponents = self.shape
        if isinstance(exponents, LearnedExponents):
            mixed = isinstance(exponents.mixing, Mixed)
            own = like_pairs(self.n_species) if mixed else list(range(self.n_pairs))
            if pair not in own:
                return
            n, m = (float(value[own.index(pair)]) for value in exponents.own())
            well = find(None if exponents.learn_n else n, m)
            exponents.set_n(well.n, own.index(pair))
        else:
            well = find(self.n, self.m)
        self.set_values(self.log_epsilon, self.epsilon_of, {pair: well.epsilon})
        self.set_values(self.log_sigma, self.sigma_of, {pair: well.sigma})


class LennardJones(Mie):
    """Lennard-Jones potential, the 12-6 case of ``Mie``: same arguments without n and m.

    ``u(r) = 4 epsilon [(sigma/r)^12 - (sigma/r)^6] - (the same at the cutoff)``
    (LAMMPS's ``pair_style lj/cut`` with ``pair_modify shift yes``).
    """

    NAMES: ClassVar[tuple[str, ...]] = ("epsilon", "sigma")

    def __init__(
        self,
        species: Sequence[str],
        cutoff: float,
        units: str = "lj",
        epsilon: PairValues = 1.0,
        sigma: PairValues = 1.0,
        fixed: Sequence[str] = (),
        bounds: Bounds | None = None,
        mixing: str | None = None,
    ) -> None:
        super().__init__(
            species, cutoff, units, epsilon, sigma, fixed=fixed, bounds=bounds, mixing=mixing
        )
