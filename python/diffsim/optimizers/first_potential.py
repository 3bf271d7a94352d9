"""Where a training begins, and which potentials its corrections may be anchored to.

Three first guesses are known: a Mie potential whose fluid has the measured structure, the inversion
of the hypernetted chain, and the potential of mean force. The first one is chosen where it predicts
the targets, as a few parameters amplify no error of a curve; the second where it exists; the
potential of mean force elsewhere. What is not chosen may still be what the evidence prefers later
(`diffsim.optimizers.reference`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from diffsim.arrays import Array
from diffsim.knots import Grid, knot_values
from diffsim.optimizers.family import REPULSIONS, MieParameters, mean_parameters, mie_from_rdf
from diffsim.optimizers.projection import fit_values
from diffsim.optimizers.start import (
    FIT_ITERATIONS,
    KNOTS,
    WALL,
    cover,
    fit_hypernetted_chain,
    fit_mean_force,
    hypernetted_chain,
)
from diffsim.potentials import linear_parts
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble
from diffsim.targets import distributions

WITHIN = 0.05  # of the range of exponents: nearer to its ends a fluid is no Mie fluid


@dataclass(frozen=True)
class Begin:
    """How a training begins.

    Attributes
    ----------
    events
        Sentences on what was chosen.
    anchors
        Potentials, as functions of the grid with values (P, K), that corrections may be anchored to
        next to the Mie potentials, by name.
    """

    events: list[str] = field(default_factory=list)
    anchors: Mapping[str, Callable[[Grid], Array]] = field(default_factory=dict)


def begin(
    potential: Model,
    ensembles: Sequence[Ensemble],
    densities: Sequence[Mapping[str, float]],
    start: str,
) -> Begin:
    """Fit a potential to a first guess.

    Parameters
    ----------
    potential
        Changed in place.
    ensembles
        Those with distribution functions as targets.
    densities
        Number density of each species, of every one of them.
    start
        ``"mie"``, ``"hnc"``, ``"pmf"``, each followed by the next where it does not exist, or
        ``"potential"``: as it is.

    Raises
    ------
    InputError
        If no g(r) is known below the cutoff.
    """

    def as_it_is(grid: Grid) -> Array:
        (first, _), *_ = linear_parts(potential, [])
        return np.asarray(knot_values(first, grid).detach().numpy())

    if start == "potential" or not ensembles:
        return Begin(anchors={"given": as_it_is})
    if start == "pmf":
        fit_mean_force(potential, ensembles)
        return Begin(anchors={"pmf": as_it_is})
    if start == "mie":
        found = _mie(potential, ensembles, densities)
        if found is not None:
            _fit_mie(potential, found, min(1.0 / each.beta for each in ensembles))
            event = (
                "The training starts from a Mie potential, whose fluid has the g(r) of the targets "
                f"to {found.misfit:.2g} by the theory of liquids: epsilon = {found.epsilon:.4g}, "
                f"sigma = {found.sigma:.4g}, exponents {found.n:.3g} and {found.m:g}."
            )
            curve = hypernetted_chain(potential, ensembles, densities)
            return Begin([event], {} if curve is None else {"hnc": curve})
    events = fit_hypernetted_chain(potential, ensembles, densities)
    return Begin(events, {"hnc": as_it_is})


def _mie(
    potential: Model, ensembles: Sequence[Ensemble], densities: Sequence[Mapping[str, float]]
) -> MieParameters | None:
    """The Mie potential whose fluid has the structure of all systems, if there is one."""
    if len(potential.species) != 1 or len(linear_parts(potential, [])) > 1:
        return None
    found = []
    for ensemble, density in zip(ensembles, densities, strict=True):
        if ensemble.system.intermolecular:
            return None
        for target in distributions(ensemble.system.targets):
            each = mie_from_rdf(
                target.r,
                target.g,
                1.0 / ensemble.beta,
                float(potential.cutoff),
                density=sum(density.values()),
            )
            margin = WITHIN * (REPULSIONS[1] - REPULSIONS[0])
            if each.source != "structure" or not (
                REPULSIONS[0] + margin < each.n < REPULSIONS[1] - margin
            ):
                return None
            found.append(each)
    return mean_parameters(found) if found else None


def _fit_mie(potential: Model, parameters: MieParameters, kt: float) -> None:
    """Fit a potential of one part to a Mie potential."""
    inner = WALL * parameters.sigma
    cover(potential, [inner])
    grid = Grid(tuple(potential.species), potential.units, potential.cutoff, (inner,), KNOTS)
    values = parameters.energy(grid.distances(0), grid.cutoff)[None, :]
    fit_values(potential, grid, values, kt, FIT_ITERATIONS)
