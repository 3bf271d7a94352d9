"""Targets at the number of atoms that is simulated, whatever the box was that they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from diffsim.arrays import Array
from diffsim.errors import InputError
from diffsim.potentials.model import Model
from diffsim.simulation import Box, System, inspect
from diffsim.species import species_pairs
from diffsim.targets import RDF, distributions
from diffsim.theory.finite_size import INCOMPRESSIBLE, correction, of_all_pairs, ratio

SEEN = 0.05  # of g in the innermost bin: such a target does not begin where there are no pairs
BINS_PER_CUTOFF = 50  # of the integral equation: what it says here is a small correction
RANGE = 2.0  # of the integral equation, in the range of the targets
SIZE = "how many atoms its box held"
SAME_NUMBER = 0.5  # of atoms
SAME_MIXTURE = 0.02  # relative difference of two compositions: numbers of atoms are whole


def at_simulated_size(
    systems: Sequence[System], potential: Model, scratch: Path
) -> tuple[list[System], list[str]]:
    """Systems whose distribution functions are those of boxes of the system's own size.

    A target that says the number of atoms of its box, and how its pairs were counted, is brought to
    the number that the script makes and to N (N - 1) pairs, with S(0) and the change with the
    density as the targets say them by the integral equation (`diffsim.theory.finite_size`).
    Where that has no solution, or where the targets are those between molecules, whose bonds it
    does not know, the fluid is taken as incompressible, S(0) = 0; the molecules count in place of
    atoms. Targets that do not say it stay as they are.

    Parameters
    ----------
    systems
        Those of a training.
    potential
        Its species, units and cutoff.
    scratch
        Folder for LAMMPS's log files.

    Returns
    -------
    systems, events
        The same systems with other targets, and sentences about what was assumed.

    Raises
    ------
    InputError, SimulationError
        As `diffsim.simulation.inspect`; or if a target is of another mixture.
    """
    result, events = [], []
    for system in systems:
        rdfs = distributions(system.targets)
        if any(target.norm_is_known for target in rdfs):
            types = system.types or tuple(potential.species)
            box = inspect(system, potential.units, types, scratch / f"{system.name}.log")
            system, said = _at_size_of(box, system, potential)
            events += said
        events += [
            f"The target g(r) of {_names([target])} of system '{system.name}' says "
            f"{SIZE if target.norm is None else 'its norm'} but not "
            f"{'its norm' if target.norm is None else SIZE}, and is taken as it is. Give both, "
            "'atoms' and 'norm', if they are known."
            for target in rdfs
            if not target.norm_is_known and (target.atoms, target.norm) != (None, None)
        ]
        unknown = [target for target in rdfs if (target.atoms, target.norm) == (None, None)]
        if unknown:
            events.append(
                f"The targets g(r) of system '{system.name}' ({_names(unknown)}) do not say "
                f"{SIZE}, nor how pairs were counted, and are taken as they are. A factor of "
                "1 + 1/N is left open, and with it the pressure and the soft parts of the "
                "potential. Give 'atoms' and 'norm' of the target, or lines '# atoms: 1000' and "
                "'# norm: N-1' in its file; 'atoms: infinite' of an experiment."
            )
        result.append(system)
    return result, events


@dataclass(frozen=True)
class _Curve:
    """A target and the box that it is of.

    Attributes
    ----------
    target
        As given.
    factor
        To what its values would be if N (N - 1) pairs had been counted.
    units
        Atoms of its box, or molecules where pairs within them are left out; infinitely many where
        that is not known.
    """

    target: RDF
    factor: float
    units: float

    @property
    def g(self) -> Array:
        """Values with N (N - 1) pairs, shape (n,)."""
        return self.factor * self.target.g


def _at_size_of(box: Box, system: System, potential: Model) -> tuple[System, list[str]]:
    """A system with targets at the size of its box, and sentences about them."""
    volume = box.atoms / sum(box.density.values())
    numbers = {name: box.density.get(name, 0.0) * volume for name in potential.species}
    # what fluctuates in numbers are molecules, whose pairs with themselves are left out
    units = float(box.molecules) if system.intermolecular else sum(numbers.values())
    curves = [_curve(each, system, numbers, units) for each in distributions(system.targets)]
    moved = [
        curve.target.norm_is_known
        and not (curve.factor == 1.0 and abs(curve.units - units) < SAME_NUMBER)
        for curve in curves
    ]
    if not any(moved):
        return system, []
    theory = _coefficients(curves, system, potential, box.density)
    at_size: dict[int, RDF] = {}
    changes = []
    for index, (curve, wanted) in enumerate(zip(curves, moved, strict=True)):
        if not wanted:
            continue
        target = curve.target
        coefficient = (
            np.full(len(target.r), INCOMPRESSIBLE) if isinstance(theory, str) else theory[index]
        )
        factor = curve.factor * ratio(coefficient, curve.units, units)
        at_size[id(target)] = replace(
            target, g=factor * target.g, atoms=sum(numbers.values()), norm="N-1"
        )
        changes.append((curve, float(factor[-1] - 1.0)))
    targets = [at_size.get(id(target), target) for target in system.targets]
    return replace(system, targets=targets), [_event(changes, system, units, theory)]


def _curve(target: RDF, system: System, numbers: Mapping[str, float], units: float) -> _Curve:
    """A target with what it says of its box, in a system of these numbers of atoms."""
    if not target.norm_is_known or any(numbers.get(name, 0.0) <= 0.0 for name in target.pair):
        return _Curve(target, 1.0, np.inf)
    share = _share(target, system, numbers)  # of the target's box in the system's
    same = target.pair[0] == target.pair[1]
    if target.norm != "N" or np.isinf(share) or not (same or system.intermolecular):
        return _Curve(target, 1.0, units * share)
    counted = units if system.intermolecular else numbers[target.pair[0]]
    return _Curve(target, of_all_pairs(counted * share), units * share)


def _share(target: RDF, system: System, numbers: Mapping[str, float]) -> float:
    """Atoms of the target's box over those of the system's."""
    if not isinstance(target.atoms, Mapping):
        assert target.atoms is not None
        return float(target.atoms) / sum(numbers.values())
    atoms, pair = target.atoms, list(dict.fromkeys(target.pair))
    first, *others = (atoms[name] / numbers[name] for name in pair)
    for other in others:
        if np.isfinite(first) and abs(other / first - 1.0) > SAME_MIXTURE:
            raise InputError(
                f"The target g(r) of {_names([target])} of system '{system.name}' is of a box with "
                f"{' and '.join(f'{atoms[name]:g} {name}' for name in pair)}, but the script "
                f"makes {' and '.join(f'{numbers[name]:.0f} {name}' for name in pair)}, "
                "which is another mixture. Correct the order of the pair, or give 'atoms' of the "
                "target."
            )
    return float(first)


def _coefficients(
    curves: Sequence[_Curve], system: System, potential: Model, density: Mapping[str, float]
) -> list[Array] | str:
    """D of `correction` at the distances of each curve; or why it cannot be had."""
    if system.intermolecular:
        return "as the integral equation knows no bonds"
    held = [name for name in potential.species if density.get(name, 0.0) > 0.0]
    pairs = [(held[a], held[b]) for a, b in species_pairs(len(held))]
    chosen: list[_Curve] = []
    for pair in pairs:
        given = [curve for curve in curves if sorted(curve.target.pair) == sorted(pair)]
        if not given:
            return f"as the pair {'-'.join(pair)} has no target"
        chosen.append(max(given, key=lambda curve: float(curve.target.edges[-1])))
    spacing = min(float(np.diff(curve.target.r).min()) for curve in chosen)
    width = max(spacing, potential.cutoff / BINS_PER_CUTOFF)
    for curve in chosen:
        if curve.g[0] > SEEN and curve.target.edges[0] > width:
            return f"as the target of {'-'.join(curve.target.pair)} does not begin where g is zero"
    reach = max(float(curve.target.edges[-1]) for curve in chosen)
    r: Array = np.asarray((np.arange(int(np.ceil(RANGE * reach / width))) + 0.5) * width)

    def interpolated(at: Array, values: Array, known_at: Array = r) -> Array:
        return np.asarray(np.interp(at, known_at, values))

    found = correction(
        width,
        np.array([interpolated(r, curve.g, curve.target.r) for curve in chosen]),
        np.array([density[name] for name in held]),
        np.array([r <= curve.target.edges[-1] for curve in chosen]),
        np.array([[curve.units] for curve in chosen]),
    )
    if found is None:
        return "as the integral equation has no solution with the targets"
    of_pair = {frozenset(pair): values for pair, values in zip(pairs, found, strict=True)}
    return [interpolated(curve.target.r, of_pair[frozenset(curve.target.pair)]) for curve in curves]


def _event(
    changes: Sequence[tuple[_Curve, float]],
    system: System,
    units: float,
    theory: list[Array] | str,
) -> str:
    """What was done to targets, each with the relative change at its end, and what was assumed."""
    kind = "molecules" if system.intermolecular else "atoms"
    described = []
    for curve, change in changes:
        many = "infinitely many" if np.isinf(curve.units) else f"{curve.units:g}"
        counted = " with N^2 pairs" if curve.target.norm == "N" else ""
        described.append(f"{_names([curve.target])} (of {many}{counted}) {change:+.2g}")
    assumed = (
        f"The fluid is taken as incompressible, {theory}"
        if isinstance(theory, str)
        else "Compressibility and change with the density are those of the integral equation"
    )
    return (
        f"The targets g(r) of system '{system.name}' are brought to the {units:g} {kind} that are "
        f"simulated, with N (N - 1) pairs, which changes their ends by a factor of 1 plus: "
        f"{', '.join(described)}. {assumed}."
    )


def _names(targets: Sequence[RDF]) -> str:
    return ", ".join("-".join(target.pair) for target in targets)
