"""The model contract, and what every pair potential of DiffSim shares."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch

from diffsim.errors import InputError, StorageError
from diffsim.potentials.options import check_number, check_species, check_units

OPERATIONS: dict[str, Callable[..., PairPotential]] = {}
"""What the sum of potentials, itself one, is made by: `diffsim.potentials.sum` enters it."""

CORE = 1e-6
"""Distances below this fraction of the cutoff are evaluated there.

It keeps inverse powers (up to the 50th) and their derivatives finite at r = 0, where an infinity
times the zero slope of an envelope would be NaN; no simulation ever reaches such a distance.
"""


def pair_index(type_i: torch.Tensor, type_j: torch.Tensor, n_species: int) -> torch.Tensor:
    """Index of the unordered pair of species (scriptable).

    Pairs are numbered (0,0), (0,1), ..., (0,n-1), (1,1), ..., (n-1,n-1): with lo <= hi,
    ``lo (2 n - lo - 1) / 2 + hi``; itertools.combinations_with_replacement has the same order.

    Parameters
    ----------
    type_i, type_j
        0-based species, shape (n,), int64.
    n_species
        Number of species.

    Returns
    -------
    torch.Tensor
        Index from 0 to n_species (n_species + 1) / 2 - 1, shape (n,), int64.
    """
    low = torch.minimum(type_i, type_j)
    high = torch.maximum(type_i, type_j)
    return torch.div(low * (2 * n_species - low - 1), 2, rounding_mode="floor") + high


@contextmanager
def torchscript_without_warnings() -> Iterator[None]:
    """Silence torch's notice that TorchScript is deprecated: the model file depends on it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*torch.jit.*")
        yield


class PairPotential(torch.nn.Module):
    """A learnable pair potential that keeps the contract of the model file.

    Subclasses write ``pair_energy``; cutting off and numbering the pairs happen here.

    Parameters
    ----------
    species
        Names of the species; their order is the order of the 0-based indices in ``forward``.
    cutoff
        Distance at and beyond which the energy is zero, in distance units.
    units
        LAMMPS units style of distances and energies.

    Attributes
    ----------
    cutoff : float
    species : list of str
    units : str
        The arguments; TorchScript keeps them, so C++ reads them from the file.

    Raises
    ------
    InputError
        If an argument is not as described.
    """

    def __init__(self, species: Sequence[str], cutoff: float, units: str) -> None:
        super().__init__()
        self.species = check_species(species)
        self.cutoff = check_number("cutoff", cutoff, positive=True)
        self.units = check_units(units)
        self.n_species = len(self.species)
        self.core = CORE * self.cutoff
        self.n_pairs = self.n_species * (self.n_species + 1) // 2

    def pair_energy(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """Energy of a pair inside the cutoff (scriptable; to be written by each form).

        Parameters
        ----------
        r
            Distances in [CORE cutoff, cutoff], shape (n,), float64.
        pair
            Unordered pair of species as ``pair_index`` numbers it, shape (n,), int64.

        Returns
        -------
        torch.Tensor
            Energies, shape (n,), float64; they go to zero at the cutoff and are finite.
        """
        raise NotImplementedError

    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        """Pair energies, symmetric in the two types, zero at and beyond the cutoff.

        Parameters
        ----------
        r
            Distances in distance units, shape (n,), float64.
        type_i, type_j
            0-based species of the two atoms, shape (n,), int64.

        Returns
        -------
        torch.Tensor
            Energies in energy units, shape (n,), float64.
        """
        # Clamped first, selected second: torch.where passes the gradient of both branches, and
        # an infinite derivative in the branch not taken would come back as NaN.
        inside = r.clamp(min=self.core, max=self.cutoff)
        energy = self.pair_energy(inside, pair_index(type_i, type_j, self.n_species))
        return torch.where(r < self.cutoff, energy, torch.zeros_like(energy))

    def script(self) -> torch.jit.ScriptModule:
        """Compile to TorchScript; parameters are shared with this module."""
        with torchscript_without_warnings():
            return cast(torch.jit.ScriptModule, torch.jit.script(self))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file: a TorchScript archive that needs no DiffSim to be read.

        Parameters
        ----------
        path
            File to write. It appears complete or not at all, so that a killed run never leaves
            half a model behind.

        Raises
        ------
        InputError
            If the folder of ``path`` does not exist.
        StorageError
            If the file cannot be written.
        """
        target = Path(path)
        if not target.parent.is_dir():
            raise InputError(
                f"The model cannot be saved as {target}: the folder {target.parent} does not "
                "exist. Create it first."
            )
        partial = target.with_name(target.name + ".part")
        with torchscript_without_warnings():
            # torch ends the process where it cannot write to a file
            torch.jit.save(self.script(), content := io.BytesIO())
        try:
            partial.write_bytes(content.getbuffer())
            partial.replace(target)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StorageError(
                f"The model cannot be written to {target} ({error}). Make room, or name another "
                "file."
            ) from None

    def __add__(self, other: PairPotential) -> PairPotential:
        """`diffsim.potentials.Sum` of two potentials with the same species and units."""
        if not isinstance(other, PairPotential):
            return NotImplemented
        return OPERATIONS["+"](self, other)
