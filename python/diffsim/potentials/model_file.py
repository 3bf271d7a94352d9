"""Reading model files, and the checks that hold any model against the contract."""

from __future__ import annotations

import inspect
import os
import zipfile
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any, cast

import torch

from diffsim.errors import InputError, ModelError, first_line
from diffsim.potentials.base import PairPotential, torchscript_without_warnings
from diffsim.potentials.options import check_number, check_species, check_units

SIGNATURE = "forward(r: Tensor, type_i: Tensor, type_j: Tensor) -> Tensor"

CUTOFF_TOLERANCE = 1e-3
"""Energy left at the cutoff that passes for zero, relative to the largest in the outer half."""


class ScriptedPotential(PairPotential):
    """A TorchScript model with the face of a ``PairPotential``.

    Parameters
    ----------
    module
        Compiled module that keeps the contract of the model file; see ``read_model_file``.
    """

    def __init__(self, module: torch.jit.ScriptModule) -> None:
        attributes = cast(Any, module)
        super().__init__(attributes.species, attributes.cutoff, attributes.units)
        self.module = module

    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        """Energies of the model; zero at and beyond the cutoff, where the contract ends."""
        energy = self.module(r.clamp(max=self.cutoff), type_i, type_j)
        return torch.where(r < self.cutoff, energy, torch.zeros_like(energy))

    def script(self) -> torch.jit.ScriptModule:
        """The module itself: saving what was loaded does not wrap it once more."""
        return self.module


def read_model_file(path: str | os.PathLike[str], ends_at_zero: bool = True) -> ScriptedPotential:
    """Read a TorchScript archive, whoever wrote it.

    Parameters
    ----------
    path
        TorchScript archive that keeps the contract of the model file.
    ends_at_zero
        Whether the energy must go to zero at the cutoff; see `check_model`.

    Returns
    -------
    ScriptedPotential
        The model, with its parameters ready to be trained further.

    Raises
    ------
    ModelError
        If the file is not a TorchScript archive, or the model breaks the contract.
    """
    where = f"The model file {path}"
    try:
        with torchscript_without_warnings():
            module = torch.jit.load(  # type: ignore[no-untyped-call]
                str(path), map_location="cpu"
            )
    except (RuntimeError, ValueError, OSError) as error:
        if _holds_data_only(path):
            raise ModelError(
                f"{where} was written by torch.save and holds no TorchScript module, as the "
                "checkpoint of a run does. Name the run's model.pt, or write the module with "
                "torch.jit.save."
            ) from error
        raise ModelError(
            f"{where} is not a TorchScript archive or is damaged; write it with "
            "torch.jit.save or the potential's save method (torch says: "
            f"{first_line(error).rstrip('.')})."
        ) from error
    module.eval()  # as LAMMPS uses it
    check_model(module, where, ends_at_zero)
    return ScriptedPotential(module)


def _holds_data_only(path: str | os.PathLike[str]) -> bool:
    """Whether a file is an archive of torch.save: data without the constants of TorchScript."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = {Path(name).name for name in archive.namelist()}
    return "data.pkl" in names and "constants.pkl" not in names


def check_model(module: torch.nn.Module, where: str, ends_at_zero: bool = True) -> None:
    """Check that a module, scripted or not, keeps the contract of the model file.

    Parameters
    ----------
    module
        Module to check. It is evaluated at a few hundred distances.
    where
        Subject of the error message, such as "The model file lj.pt".
    ends_at_zero
        Whether the energy must go to zero at the cutoff: it must where the potential is to be
        learned; ``pair_style diffsim`` runs one that ends with a step, as ``lj/cut`` does.

    Raises
    ------
    ModelError
        If attributes or the signature are missing or wrong, or if energies have the wrong shape or
        dtype, are NaN, infinite beyond half the cutoff, not symmetric in the types, or not zero at
        the cutoff.
    """
    cutoff, n_species = _check_attributes(module, where)
    _check_signature(module, where)
    r = torch.linspace(0.1, 1.0, 64, dtype=torch.float64) * cutoff
    for i, j in combinations_with_replacement(range(n_species), 2):
        pair = f"species {i} and {j}"
        _evaluate(module, where, pair, r[:1], i, j)  # a single pair must not lose its dimension
        energy = _evaluate(module, where, pair, r, i, j)
        _check_energies(where, pair, r, energy)
        if ends_at_zero:
            _check_end(where, pair, r, energy)
        swapped = _evaluate(module, where, pair, r, j, i)
        differs = ~torch.isclose(
            energy, swapped, rtol=1e-9, atol=1e-12 * float(energy[-32:].abs().max())
        )
        if differs.any():
            k = int(differs.nonzero()[0])
            raise ModelError(
                f"{where} is not symmetric in the two types: for {pair} at r = {r[k]:.6g} it gives "
                f"{energy[k]:.6g} and, the types swapped, {swapped[k]:.6g}; make forward(r, i, j) "
                "equal forward(r, j, i)."
            )


def _check_attributes(module: torch.nn.Module, where: str) -> tuple[float, int]:
    """Check cutoff, species and units; return the cutoff and the number of species."""
    for name, kind, check in (
        ("cutoff", float, lambda value: check_number("cutoff", value, positive=True)),
        ("species", list, check_species),
        ("units", str, check_units),
    ):
        expected = "List[str]" if kind is list else kind.__name__
        if not hasattr(module, name):
            raise ModelError(
                f"{where} has no attribute '{name}'; set self.{name}, of type {expected}, in the "
                "module before scripting it."
            )
        value = getattr(module, name)
        if not isinstance(value, kind):
            raise ModelError(
                f"{where} has an attribute '{name}' of type {type(value).__name__}; it must be of "
                f"type {expected}."
            )
        try:
            check(value)
        except InputError as error:
            raise ModelError(f"{where} has a wrong attribute '{name}': {error}") from error
    return float(cast(Any, module).cutoff), len(cast(Any, module).species)


def _check_signature(module: torch.nn.Module, where: str) -> None:
    """Check that forward can be called with three tensors and returns one."""
    if isinstance(module, torch.jit.ScriptModule):
        schema = getattr(getattr(module, "forward", None), "schema", None)
        found = "no forward method" if schema is None else f"forward{_schema_text(schema)}"
        fits = schema is not None and _schema_fits(schema)
    else:
        signature = inspect.signature(module.forward)
        found = f"forward{signature}"
        fits = _binds_three(signature)
    if not fits:
        raise ModelError(f"{where} must have {SIGNATURE}; found {found}.")


def _schema_fits(schema: Any) -> bool:
    arguments = schema.arguments[1:]  # the first is self
    return (
        len(arguments) >= 3
        and all(str(a.type) == "Tensor" for a in arguments[:3])
        and all(a.has_default_value() for a in arguments[3:])
        and [str(a.type) for a in schema.returns] == ["Tensor"]
    )


def _schema_text(schema: Any) -> str:
    arguments = ", ".join(f"{a.name}: {a.type}" for a in schema.arguments[1:])
    return f"({arguments}) -> {', '.join(str(a.type) for a in schema.returns)}"


def _binds_three(signature: inspect.Signature) -> bool:
    try:
        signature.bind(None, None, None)
    except TypeError:
        return False
    return True


def _evaluate(
    module: torch.nn.Module, where: str, pair: str, r: torch.Tensor, i: int, j: int
) -> torch.Tensor:
    """Energies at r for one pair of species; checks that forward works, shape and dtype."""
    try:
        with torch.no_grad():
            energy = module(
                r,
                torch.full_like(r, i, dtype=torch.int64),
                torch.full_like(r, j, dtype=torch.int64),
            )
    except Exception as error:  # whatever the foreign module raises is its author's to read
        raise ModelError(
            f"{where} fails when evaluated for {pair} with float64 distances and int64 species: "
            f"{_last_line(error)}"
        ) from error
    if not isinstance(energy, torch.Tensor) or energy.shape != r.shape:
        found = tuple(energy.shape) if isinstance(energy, torch.Tensor) else type(energy).__name__
        raise ModelError(
            f"{where} must return one energy per distance, of shape ({len(r)},) for {len(r)} "
            f"distances; found {found}."
        )
    if energy.dtype != torch.float64:
        raise ModelError(
            f"{where} must return float64 energies; found {energy.dtype}. Call .double() on the "
            "module before scripting it."
        )
    return energy


def _check_energies(where: str, pair: str, r: torch.Tensor, energy: torch.Tensor) -> None:
    """Check that energies are numbers, and finite in the outer half."""
    outer = r >= 0.5 * r[-1]
    bad = energy.isnan() | (outer & energy.isinf())
    if bad.any():
        first = int(bad.nonzero()[0])
        raise ModelError(
            f"{where} must give finite energies; found {energy[first]:g} for {pair} at "
            f"r = {r[first]:.6g}. Look for a division by zero, or weights spoilt in training."
        )


def _check_end(where: str, pair: str, r: torch.Tensor, energy: torch.Tensor) -> None:
    """Check that energies go to zero at the cutoff, the last distance."""
    left, scale = float(energy[-1].abs()), float(energy[r >= 0.5 * r[-1]].abs().max())
    if left > CUTOFF_TOLERANCE * scale:
        raise ModelError(
            f"{where} must go to zero at the cutoff; found {left:.6g} for {pair} at "
            f"r = {r[-1]:.6g}. Subtract the energy at the cutoff, or multiply by a smooth envelope."
        )


def _last_line(error: BaseException) -> str:
    """TorchScript puts its traceback before the message."""
    return str(error).strip().split("\n")[-1]
