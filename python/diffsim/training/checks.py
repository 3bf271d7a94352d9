"""Checks of what a training is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffsim.errors import InputError
from diffsim.optimizers import Optimizer
from diffsim.potentials import TemperatureDependent
from diffsim.potentials.model import Model
from diffsim.simulation import System
from diffsim.simulation.protocol import Protocol
from diffsim.targets import WindowTarget, distributions, motions

NEAREST_END = 0.5  # of a distribution function, in cutoffs

GRADIENTS = ("auto", "reweighting", "adjoint")
"""``reweighting``: by the fluctuations of the frames, which see no motion; ``adjoint``: along
windows of the trajectory, from initial states that are held fixed; ``auto``: what does not move by
reweighting, what does by both, which is exact."""


def check_protocol(protocol: Any) -> None:
    """Raise InputError unless lengths of simulations are a `Protocol`, or None."""
    if protocol is not None and not isinstance(protocol, Protocol):
        raise InputError(
            f"The protocol should be a diffsim.Protocol, but is a {type(protocol).__name__}: write "
            "protocol=diffsim.Protocol(steps=..., every=...), or Protocol(**numbers) for a dict."
        )


def check_systems(systems: Sequence[System], validate_every: int | None) -> None:
    """Raise InputError unless systems can make up a training.

    Their names must differ, at least one must be trained on, and a number of iterations between
    validations needs a system to validate with.
    """
    if isinstance(systems, System):
        raise InputError("The systems should be a list: put brackets round a single one.")
    if not systems:
        raise InputError("A training needs at least one system.")
    names = [system.name for system in systems]
    if len(set(names)) != len(names):
        raise InputError(
            f"The names of the systems ({', '.join(names)}) are not unique; name them apart."
        )
    if all(system.validation for system in systems):
        raise InputError(
            f"A training needs at least one system to learn from, but all ({', '.join(names)}) are "
            "for validation. Leave out 'validation' for one of them."
        )
    if validate_every is None:
        return
    if validate_every < 1:
        raise InputError(
            f"The number of iterations between validations, validate_every, is {validate_every}; "
            "it must be at least 1."
        )
    if not any(system.validation for system in systems):
        raise InputError(
            f"The systems are to be validated every {validate_every} iterations, but none of them "
            f"({', '.join(names)}) is for validation. Leave out 'validate_every', or give a system "
            "'validation'."
        )


def check_ranges(systems: Sequence[System], cutoff: float) -> list[str]:
    """Sentences about distribution functions: what their files are, and ends before the cutoff.

    Raises
    ------
    InputError
        If one ends before half of it: that is another unit of length more often than a wish.
    """
    events: list[str] = []
    for system in systems:
        for target in distributions(system.targets):
            events += target.notes
            end = float(target.edges[-1])
            which = f"The target g(r) of {'-'.join(target.pair)} of system '{system.name}'"
            if end < NEAREST_END * cutoff:
                raise InputError(
                    f"{which} ends at r = {end:g}, before half of the cutoff {cutoff:g}. Check its "
                    "unit of length, which must be that of the LAMMPS script; or give the "
                    "potential a shorter cutoff."
                )
            if end < cutoff * (1.0 - 1e-9):
                events.append(
                    f"{which} ends at r = {end:g}, before the cutoff {cutoff:g}: of the potential "
                    "in between it says little."
                )
    return events


def check_accuracy(accuracy: float | None, optimizer: Optimizer) -> None:
    """Raise InputError unless an accuracy is positive and the optimizer knows how good it is."""
    if accuracy is None:
        return
    if not 0.0 < accuracy < float("inf"):
        raise InputError(f"The accuracy is {accuracy!r}; it must be a positive energy.")
    if not optimizer.knows_uncertainty:
        raise InputError(
            f"An accuracy of {accuracy:g} is asked for, but only the optimizer gauss-newton knows "
            "the uncertainty of the potential. Leave out 'accuracy', or use that optimizer."
        )


def check_reference(reference: Model | None, potential: Model, optimizer: Optimizer) -> None:
    """Raise InputError unless a reference is one for the potential, and the optimizer uses it."""
    if reference is None:
        return
    if not optimizer.uses_references:
        raise InputError(
            "A 'reference' is given, but only the optimizer gauss-newton holds a potential to one. "
            "Leave it out, or use that optimizer."
        )
    for name in ("species", "units"):
        own, wanted = (getattr(each, name) for each in (reference, potential))
        if list(own) != list(wanted):
            found, expected = (
                value if isinstance(value, str) else ", ".join(value) for value in (own, wanted)
            )
            raise InputError(
                f"The reference has the {name} {found}, and the potential {expected}. They must be "
                "the same."
            )
    if reference.cutoff > potential.cutoff:
        raise InputError(
            f"The reference reaches to r = {reference.cutoff:g}, and the potential to "
            f"{potential.cutoff:g}: it would end with a step. Give both the same cutoff."
        )


def check_weights(potential: Model) -> None:
    """Raise InputError where there is nothing to learn."""
    if not any(p.requires_grad for p in potential.parameters()):
        raise InputError(
            "The potential has no weights to learn, as that of a knots file or one of fixed "
            "parameters. Give a 'form', or a model file with weights."
        )


def check_gradient(gradient: str, optimizer: Optimizer) -> None:
    """Raise InputError unless the gradient is known, and used by the optimizer."""
    if gradient not in GRADIENTS:
        raise InputError(
            f"The gradient is '{gradient}'; it must be 'auto', 'reweighting' or 'adjoint'."
        )
    if gradient == "adjoint" and not optimizer.uses_windows:
        raise InputError(
            "The gradient along trajectories ('gradient: adjoint') is used by gauss-newton and the "
            "classes of torch.optim only; the classical methods take none. Leave it out."
        )


def check_temperatures(potential: Model, systems: Sequence[System], optimizer: Optimizer) -> None:
    """Raise InputError unless the parts of a potential that depends on temperature can be learned.

    They need systems at two temperatures, and an optimizer that knows the two parts.
    """
    if not isinstance(potential, TemperatureDependent):
        return
    temperatures = sorted({system.temperature for system in systems})
    if len(temperatures) < 2:
        raise InputError(
            "A potential that depends on temperature needs systems to learn from at two or more "
            f"temperatures, but all are at {temperatures[0]:g}."
        )
    if not optimizer.knows_parts:
        raise InputError(
            "A potential that depends on temperature can be learned by gauss-newton and the "
            f"classes of torch.optim, but not by {type(optimizer).__name__}, whose changes belong "
            "to one potential of all systems."
        )


def check_species(system: System, known: Sequence[str]) -> None:
    """Raise InputError unless a system's types and targets fit the potential's species `known`."""
    for name in system.types or []:
        if name == "NULL":
            raise InputError(
                f"System '{system.name}' leaves a type out of the potential (NULL), but "
                "this version "
                "cannot give its pairs another potential. Name a species for every type."
            )
        if name not in known:
            raise InputError(
                f"System '{system.name}' has the species {name} among its types, but the "
                f"potential has {', '.join(known)}."
            )
    for moving in motions(system.targets):
        _check_moving(system, moving, known)
    for target in system.targets:
        for name in target.names:
            if name not in known:
                raise InputError(
                    f"A target of system '{system.name}' is for the pair "
                    f"{'-'.join(target.names)}, but the potential has the species "
                    f"{', '.join(known)}."
                )


def _check_moving(system: System, target: WindowTarget, known: Sequence[str]) -> None:
    """Raise InputError unless the system can hold the species of a target in windows."""
    held = list(system.types or known)
    for name in target.names:
        if name not in held:
            raise InputError(
                f"The {target.label} is a target of system '{system.name}', whose species are "
                f"{', '.join(held)}. Correct the species of its types or that of the target."
            )
