"""A potential that depends on temperature: what coarse graining leaves is a free energy."""

# Without "from __future__ import annotations": torch.jit reads the classes' annotations below and
# cannot resolve them from strings.

import os
from collections.abc import Sequence
from typing import Any, cast

import torch

from diffsim.errors import InputError
from diffsim.potentials.base import PairPotential
from diffsim.potentials.formats import load
from diffsim.potentials.model import Model
from diffsim.potentials.model_file import ScriptedPotential
from diffsim.potentials.options import check_number


class AtTemperature(PairPotential):
    """A `TemperatureDependent` potential at one temperature; its weights are that potential's.

    Parameters
    ----------
    reference, entropic
        The two parts.
    temperature, reference_temperature
        T and T0.
    temperatures
        What the parts were learned from.

    Attributes
    ----------
    temperature, reference_temperature : float
    temperatures : list of float
        The arguments, which TorchScript keeps in the model file.
    """

    temperatures: list[float]

    def __init__(
        self,
        reference: PairPotential,
        entropic: PairPotential,
        temperature: float,
        reference_temperature: float,
        temperatures: list[float],
    ) -> None:
        super().__init__(reference.species, max(reference.cutoff, entropic.cutoff), reference.units)
        self.temperature = temperature
        self.reference_temperature = reference_temperature
        self.temperatures = temperatures
        self.reference = reference
        self.entropic = entropic

    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        """Pair energies at the temperature; see ``PairPotential.forward``."""
        rise = (self.temperature - self.reference_temperature) / self.reference_temperature
        energy: torch.Tensor = self.reference(r, type_i, type_j)
        entropic: torch.Tensor = self.entropic(r, type_i, type_j)
        return energy - rise * entropic


class TemperatureDependent(torch.nn.Module):
    """Pair potential that is linear in temperature.

    ``u(r; T) = u_0(r) - (T - T0)/T0 s(r)``

    with u_0 the potential at the reference temperature T0 and s the entropic part, both energies:
    the pair's entropy is ``S = -du/dT = s/T0``, its energy ``u + T S = u_0 + s`` at any T. Linear
    is the first order of an effective potential that coarse graining leaves, whose true S varies
    with T too. With a T0 amid the temperatures that one learns from, u_0 is determined as well as
    a potential at one temperature is, and the error of s hardly reaches it.

    Not a ``PairPotential`` itself, as it has no energy without a temperature: ``at`` returns one.

    Parameters
    ----------
    reference
        u_0, of any form.
    entropic
        s, of any form, with the same species and units. The larger cutoff of the two holds; a form
        that ends with a step of the force can be simulated only if it is not the shorter one.
    reference_temperature
        T0, in the unit of temperature that belongs to the potentials' units.
    temperatures
        The temperatures that it was or will be learned from; a record, which model files keep.

    Attributes
    ----------
    cutoff : float
    species : list of str
    units : str
        As those of a ``PairPotential``.
    reference_temperature : float
    temperatures : list of float

    Raises
    ------
    InputError
        If a part is no potential, species or units differ, a part is given twice, or a temperature
        is not positive.

    Source: V. Krishna, W. G. Noid, G. A. Voth, J. Chem. Phys. 131, 024103 (2009); K. M. Lebold,
    W. G. Noid, J. Chem. Phys. 150, 014104 (2019) find effective pair potentials of molecular
    liquids linear in temperature. They depend on the density too: learned at constant pressure, s
    holds what the change of density does.
    """

    def __init__(
        self,
        reference: PairPotential,
        entropic: PairPotential,
        reference_temperature: float,
        temperatures: Sequence[float] = (),
    ) -> None:
        super().__init__()
        for name, part in (("reference", reference), ("entropic", entropic)):
            if not isinstance(part, PairPotential):
                raise InputError(
                    f"The {name} part must be a PairPotential; found {type(part).__name__}. Read a "
                    "model file with diffsim.potentials.load first."
                )
        if reference is entropic:
            raise InputError(
                "The reference and the entropic part are the same object, and could not be learned "
                "apart; make two potentials."
            )
        for what in ("species", "units"):
            first, second = getattr(reference, what), getattr(entropic, what)
            if first != second:
                raise InputError(
                    f"The reference and the entropic part must have the same {what}; found "
                    f"{first!r} and {second!r}."
                )
        self.reference = reference
        self.entropic = entropic
        self.reference_temperature = check_number(
            "reference_temperature", reference_temperature, positive=True
        )
        self.temperatures = [
            check_number(f"temperatures[{i}]", value, positive=True)
            for i, value in enumerate(temperatures)
        ]
        self.cutoff = max(reference.cutoff, entropic.cutoff)
        self.species = list(reference.species)
        self.units = reference.units

    def at(self, temperature: float) -> AtTemperature:
        """Potential at a temperature, which keeps the contract of the model file.

        It shares the weights of this potential: gradients of its energies, at any number of
        temperatures, add up in the two parts.

        Parameters
        ----------
        temperature
            T, positive; in the unit of temperature that belongs to the potentials' units.

        Raises
        ------
        InputError
            If the temperature is not a positive number.
        """
        return AtTemperature(
            self.reference,
            self.entropic,
            check_number("temperature", temperature, positive=True),
            self.reference_temperature,
            list(self.temperatures),
        )

    def save(self, path: str | os.PathLike[str], temperature: float | None = None) -> None:
        """Write the model file of one temperature, by default T0.

        The file holds both parts: `load` restores the whole potential from that of any temperature.

        Parameters
        ----------
        path, temperature
            See ``PairPotential.save`` and ``at``.
        """
        self.at(self.reference_temperature if temperature is None else temperature).save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "TemperatureDependent":
        """Read the whole potential from the model file of one temperature.

        Parameters
        ----------
        path
            File that ``save``, or the ``save`` of what ``at`` returns, has written.

        Raises
        ------
        ModelError
            If the file is no model file.
        InputError
            If its potential does not depend on temperature.
        """
        potential = load(path)
        module = cast(Any, potential.module if isinstance(potential, ScriptedPotential) else None)
        if not hasattr(module, "entropic"):
            raise InputError(
                f"The potential in the model file {path} does not depend on temperature; read it "
                "with diffsim.potentials.load."
            )
        return cls(
            ScriptedPotential(module.reference),
            ScriptedPotential(module.entropic),
            module.reference_temperature,
            module.temperatures,
        )


def at_temperatures(potential: Model, temperatures: Sequence[float]) -> list[Model]:
    """The potential of each temperature: the same one, unless it is a `TemperatureDependent`."""
    if isinstance(potential, TemperatureDependent):
        return [potential.at(temperature) for temperature in temperatures]
    return [potential] * len(temperatures)


def linear_parts(
    potential: Model, temperatures: Sequence[float]
) -> list[tuple[Model, list[float]]]:
    """Parts that a potential is linear in, each with its factors at the temperatures.

    ``u(r; T) = sum_p f_p(T) u_p(r)``

    Returns
    -------
    list of (part, factors)
        Of a `TemperatureDependent` u_0 with 1 and s with -(T - T0)/T0; any other potential is its
        only part, with 1.
    """
    one = (potential, [1.0] * len(temperatures))
    if not isinstance(potential, TemperatureDependent):
        return [one]
    t0 = potential.reference_temperature
    return [
        (potential.reference, one[1]),
        (potential.entropic, [-(temperature - t0) / t0 for temperature in temperatures]),
    ]
