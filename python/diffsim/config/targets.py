"""The targets of a system in a configuration: one observable each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from diffsim.config.types import (
    Atoms,
    ExistingFile,
    Name,
    Number,
    Positive,
    Range,
    Section,
    WeightedRange,
)
from diffsim.errors import InputError
from diffsim.targets import (
    MSD,
    RDF,
    VACF,
    Compressibility,
    Coordination,
    Density,
    Diffusion,
    Energy,
    Pressure,
    Scalar,
    Target,
    WindowTarget,
    range_weights,
)
from diffsim.targets.rdf import FITTED_OFFSET, FITTED_SCALE
from diffsim.targets.rdf_file import Norm

NUMBERS: dict[str, Callable[[float, float | None, float], Scalar]] = {
    "pressure": Pressure,
    "energy": Energy,
    "density": Density,
    "compressibility": Compressibility,
}
"""Observables that a number, its error and its weight say all of."""

CURVES: dict[str, type[VACF] | type[MSD]] = {"vacf": VACF, "msd": MSD}
"""Functions of time that a file, a species and a weight say all of."""

BESIDE = {
    "rdf": {
        *("pair", "weight", "range", "bin_weights", "atoms", "norm", "columns"),
        *("error", "smearing", "scale", "offset"),
    },
    "coordination": {"pair", "distance", "error", "weight"},
    **{name: {"species", "weight", "range"} for name in CURVES},
    "diffusion": {"species", "between", "error", "weight"},
    **{name: {"error", "weight"} for name in NUMBERS},
}
"""The keys that may stand beside each observable."""


class TargetConfig(Section):
    """A target of a system: the RDF of one pair of species, a function of time, or a number."""

    rdf: ExistingFile | None = Field(
        default=None, description="a file with the columns r, g and, optionally, the error of g"
    )
    coordination: Positive | None = Field(
        default=None,
        description="the number of neighbours of the second species of `pair` within `distance` "
        "of an atom of the first",
    )
    pressure: Number | None = Field(
        default=None, description="the pressure in LAMMPS's unit, of everything in the script"
    )
    energy: Number | None = Field(
        default=None, description="the potential energy per atom, of everything in the script"
    )
    density: Positive | None = Field(
        default=None, description="the number of atoms per volume, where a barostat lets it vary"
    )
    compressibility: Positive | None = Field(
        default=None,
        description="the isothermal compressibility in the inverse of LAMMPS's unit of pressure, "
        "where a barostat lets the volume vary",
    )
    vacf: ExistingFile | None = Field(
        default=None,
        description="a file with the columns time, velocity autocorrelation (one at time zero) "
        "and, optionally, its error",
    )
    msd: ExistingFile | None = Field(
        default=None,
        description="a file with the columns time, mean square displacement and, optionally, its "
        "error",
    )
    diffusion: Positive | None = Field(
        default=None,
        description="the diffusion coefficient, from the mean square displacements at the two "
        "times `between`",
    )
    pair: tuple[Name, Name] | None = Field(
        default=None, description="a list of the names of two species"
    )
    species: Name | None = Field(default=None, description="the name of the species that moves")
    between: Range | None = Field(
        default=None, description="a list of two times, the smaller one first"
    )
    distance: Positive | None = Field(
        default=None, description="the distance within which neighbours are counted"
    )
    error: Positive | None = Field(
        default=None,
        description="the standard error of the number (by default it is exact), or of every value "
        "of a g(r) whose file has none",
    )
    smearing: Positive | None = Field(
        default=None,
        description="the standard deviation in r of the resolution that g(r) was measured with",
    )
    scale: Literal["fit"] | None = Field(
        default=None, description="`fit`, where g(r) may be wrong by a factor"
    )
    offset: Literal["fit"] | None = Field(
        default=None, description="`fit`, where g(r) may be wrong by a constant"
    )
    weight: Positive = Field(default=1.0, description="the weight among all targets")
    range: Range | None = Field(
        default=None,
        description="a list of the smallest and the largest r, or time, that are kept (by default "
        "all)",
    )
    bin_weights: list[WeightedRange] | None = Field(
        default=None,
        description="lists of smallest r, largest r and weight of the bins (elsewhere 1)",
    )
    atoms: Atoms | None = Field(
        default=None,
        description="the number of atoms of the box that the file is of, `infinite` for an "
        "experiment, or the numbers of its species (by default what the file's line "
        "`# atoms: ...` says)",
    )
    norm: Norm | None = Field(
        default=None,
        description="whether the pairs of one species are counted as N (N - 1), `N-1`, or as N^2, "
        "`N`, in the file (by default what its line `# norm: ...` says)",
    )

    columns: list[int] | None = Field(
        default=None,
        description="a list of the columns of the file, counted from 1, that hold r, g and, "
        "optionally, the error of g (by default it has no others)",
    )

    @property
    def observable(self) -> str:
        """Name of the observable."""
        return next(name for name in BESIDE if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _check(self) -> TargetConfig:
        given = [name for name in BESIDE if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError(
                "target",
                "should have one of the keys {known}, but {found} was found",
                {"known": ", ".join(BESIDE), "found": " and ".join(given) or "none of them"},
            )
        known = {given[0], *BESIDE[given[0]]}
        for key in sorted(self.model_fields_set - known):
            raise PydanticCustomError(
                "target",
                "should not have the key '{key}' beside '{observable}'; what can stand there is "
                "{known}",
                {
                    "key": key,
                    "observable": given[0],
                    "known": ", ".join(sorted(BESIDE[given[0]])),
                },
            )
        for key in ("pair", "distance", "species", "between"):
            if key in known and getattr(self, key) is None:
                raise PydanticCustomError(
                    "target",
                    "should have the key '{key}' beside '{observable}'",
                    {"key": key, "observable": given[0]},
                )
        return self

    def load(self) -> Target | WindowTarget:
        """The target; raises InputError where a file or its weights do not fit."""
        if self.rdf is not None and self.pair is not None:
            target = RDF.from_file(
                self.rdf,
                self.pair,
                weight=self.weight,
                range=self.range,
                atoms=math.inf if isinstance(self.atoms, str) else self.atoms,
                norm=self.norm,
                columns=self.columns,
            )
            if self.error is not None:
                target = _with_error(target, self.error, str(self.rdf))
            if self.smearing is not None:
                target = replace(target, smearing=self.smearing)
            target = replace(
                target,
                scale_error=FITTED_SCALE if self.scale else 0.0,
                offset_error=FITTED_OFFSET if self.offset else 0.0,
            )
            if self.bin_weights is None:
                return target
            return replace(target, bin_weights=range_weights(target.r, self.bin_weights))
        for name, curve in CURVES.items():
            file = getattr(self, name)
            if file is not None and self.species is not None:
                return curve.from_file(file, self.species, self.weight, self.range)
        if self.diffusion is not None and self.species is not None and self.between is not None:
            return Diffusion(self.diffusion, self.species, self.between, self.error, self.weight)
        if self.coordination is not None and self.pair is not None and self.distance is not None:
            return Coordination(
                self.coordination, self.error, self.weight, self.pair, self.distance
            )
        return NUMBERS[self.observable](getattr(self, self.observable), self.error, self.weight)


def _with_error(target: RDF, error: float, path: str) -> RDF:
    """The target with one error for all of its values."""
    if target.error is not None:
        raise InputError(
            f"The RDF in '{path}' has a column of errors, and 'error: {error:g}' is given beside "
            "it. Leave one of them out; 'columns: [1, 2]' leaves out the column."
        )
    return replace(target, error=np.full(len(target.g), error))
