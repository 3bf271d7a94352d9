"""The configuration of a training run: its schema, its defaults and its errors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from diffsim.config.errors import describe
from diffsim.config.potential import PotentialConfig, ReferenceConfig
from diffsim.config.targets import TargetConfig
from diffsim.config.types import (
    ExistingFile,
    Flag,
    Integer,
    Name,
    Number,
    Positive,
    Section,
    VariableName,
    VariableValue,
)
from diffsim.config.yaml_file import read_yaml, write_yaml
from diffsim.errors import InputError
from diffsim.lammps.devices import DEVICE

UNUSED_TYPE = "NULL"
"""What stands in ``types`` for a LAMMPS type that the potential leaves out."""


class SystemConfig(Section):
    """A LAMMPS simulation at one state point and the targets it is compared with."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")] = Field(
        default="",
        description="a unique name made of letters, digits and . _ + - (by default that of the "
        "script, with a number where scripts repeat)",
    )
    script: ExistingFile = Field(description="a LAMMPS script without the pair style being learned")
    temperature: Positive = Field(description="the temperature in LAMMPS's unit")
    types: Annotated[list[Name], Field(min_length=1)] | None = Field(
        default=None,
        description="a list of the species of the LAMMPS types 1, 2, ..., NULL for a type that the "
        "potential leaves out (by default the species of the potential in their order)",
    )
    variables: dict[VariableName, VariableValue] = Field(
        default={},
        description="variables of the script, named with letters, digits and _, and their values",
    )
    weight: Positive = Field(default=1.0, description="the weight among all systems")
    intermolecular: Flag = Field(
        default=False,
        description="true if the RDFs leave out the pairs of atoms within a molecule",
    )
    validation: Flag = Field(
        default=False,
        description="true for a system that is simulated and reported, but not trained on",
    )
    targets: Annotated[list[TargetConfig], Field(min_length=1)] = Field(
        description="a list of what the simulation has to reproduce"
    )


class SimulationConfig(Section):
    """The lengths of the simulations, in MD steps."""

    steps: Annotated[Integer, Field(gt=0)] = Field(
        default=2500,
        description="MD steps of an iteration that are sampled, at most; a multiple of `every`",
    )
    every: Annotated[Integer, Field(gt=0)] = Field(
        default=20, description="MD steps between two frames"
    )
    equilibration: Annotated[Integer, Field(ge=0)] = Field(
        default=2000, description="MD steps before the first iteration, not sampled"
    )
    relaxation: Annotated[Integer, Field(ge=0)] = Field(
        default=250, description="MD steps at the start of every later iteration, not sampled"
    )
    windows: Annotated[Integer, Field(ge=2)] = Field(
        default=20,
        description="the number of windows in an iteration, for targets of the motion",
    )
    spacing: Annotated[Integer, Field(gt=0)] = Field(
        default=100, description="MD steps from the end of a window to the beginning of the next"
    )
    window: Annotated[Integer, Field(gt=0)] = Field(
        default=100,
        description="MD steps of a window, where no target of the motion says it",
    )
    replicas: Annotated[Integer, Field(gt=0)] | None = Field(
        default=None,
        description="the number of independent simulations of each system, which share the frames "
        "or windows of an iteration; by default as many as make use of all processes",
    )
    ranks_per_simulation: Annotated[Integer, Field(gt=0)] | None = Field(
        default=None,
        description="the number of MPI processes that simulate together; by default it is chosen",
    )
    device: Annotated[str, Field(pattern=f"^({DEVICE})$")] = Field(
        default="cpu",
        description="'cpu', or a GPU: 'cuda', or 'cuda:N' with its number",
    )

    @model_validator(mode="after")
    def _check(self) -> SimulationConfig:
        if self.steps % self.every != 0:
            raise PydanticCustomError(
                "simulation",
                "should have 'steps' that are a multiple of 'every', but steps = {steps} and "
                "every = {every}",
                {"steps": self.steps, "every": self.every},
            )
        return self


class OptimizerConfig(Section):
    """The optimizer, one of `diffsim.optimizers` or a class of torch.optim, with its options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(
        description="gauss-newton, ibi, imc, relative-entropy or a class of torch.optim"
    )

    @property
    def options(self) -> dict[str, Any]:
        """The options of the optimizer: all keys but the name."""
        return dict(self.model_extra or {})

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if not isinstance(value, str | dict | OptimizerConfig):
            raise PydanticCustomError(
                "optimizer",
                "should be a name or a mapping with the key 'name', but {found} was found",
                {"found": repr(value)},
            )
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        import torch

        from diffsim.optimizers import NAMED

        if value.lower() in NAMED:
            return value.lower()

        classes = {
            name.lower(): name
            for name, member in vars(torch.optim).items()
            if isinstance(member, type)
            and issubclass(member, torch.optim.Optimizer)
            and member is not torch.optim.Optimizer
        }
        if value.lower() not in classes:
            raise PydanticCustomError(
                "optimizer",
                "should be {named} or one of {names} (torch.optim), but '{value}' was found",
                {
                    "named": ", ".join(NAMED),
                    "names": ", ".join(sorted(classes.values())),
                    "value": value,
                },
            )
        return classes[value.lower()]


class Config(Section):
    """A training run."""

    units: Literal["lj", "real", "metal", "si", "cgs", "electron", "micro", "nano"] = Field(
        description="the LAMMPS units style of the scripts"
    )
    potential: PotentialConfig = Field(description="the potential that is learned")
    systems: Annotated[list[SystemConfig], Field(min_length=1)] = Field(
        description="a list of the simulations that share the potential"
    )
    simulation: SimulationConfig = Field(
        default=SimulationConfig(), description="the lengths of the simulations"
    )
    optimizer: OptimizerConfig = Field(
        default=OptimizerConfig(name="gauss-newton"), description="the optimizer of the potential"
    )
    start: Literal["mie", "hnc", "pmf", "potential"] = Field(
        default="mie",
        description="where the training starts: at the Mie potential whose fluid has the g(r) of "
        "the targets, at the potential of the hypernetted chain approximation, at that of mean "
        "force (each followed by the next where it does not exist), or at the potential as it is "
        "constructed or read, the default with `potential.file`",
    )
    reference: ReferenceConfig | None = Field(
        default=None,
        description="the potential that stays where the targets say nothing (gauss-newton only; by "
        "default the most probable one of a Mie potential and that of the theory of liquids)",
    )
    iterations: Annotated[Integer, Field(gt=0)] = Field(
        default=10, description="the number of times that the systems are simulated, at most"
    )
    gradient: Literal["auto", "reweighting", "adjoint"] = Field(
        default="auto",
        description="how averages are differentiated: all by reweighting, all along trajectories, "
        "or what does not move by reweighting and what does by both",
    )
    validate_every: Annotated[Integer, Field(gt=0)] | None = Field(
        default=None,
        description="the number of iterations between simulations of the systems for validation "
        "(by default only at the end)",
    )
    accuracy: Positive | None = Field(
        default=None,
        description="the standard deviation of the potential, in units of energy, below which the "
        "training ends before its last iteration (gauss-newton only)",
    )
    tolerance: Annotated[Number, Field(gt=0, lt=1)] = Field(
        default=1.0e-4, description="the relative tolerance of the spline, as in pair_style diffsim"
    )
    seed: Annotated[Integer, Field(ge=0)] = Field(
        default=1, description="the seed of all random numbers"
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, value: Any) -> Any:
        """Fill in the defaults that depend on other keys."""
        if not isinstance(value, dict):
            return value
        potential, systems = value.get("potential"), value.get("systems")
        if isinstance(potential, dict) and "file" in potential and "start" not in value:
            value = value | {"start": "potential"}
        if isinstance(systems, list):
            value = value | {"systems": _named(systems)}
        return value

    @model_validator(mode="after")
    def _check(self) -> Config:
        problems = [
            InitErrorDetails(
                type=PydanticCustomError("config", message, dict(context)), loc=loc, input=None
            )
            for loc, message, context in self._contradictions()
        ]
        if problems:
            raise ValidationError.from_exception_data(type(self).__name__, problems)
        return self

    def _contradictions(self) -> Iterator[tuple[tuple[str | int, ...], Any, dict[str, str]]]:
        """Yield key, message and its values of everything in the systems that cannot be."""
        species = self.potential.species
        tests = [system.validation for system in self.systems]
        if all(tests):
            yield (
                ("systems",),
                "should have at least one system to learn from, but all have 'validation: true'",
                {},
            )
        if self.validate_every is not None and not any(tests):
            yield (
                ("validate_every",),
                "should be left out, because no system has 'validation: true'",
                {},
            )
        repeated = Counter(system.name for system in self.systems)
        for i, system in enumerate(self.systems):
            if repeated[system.name] > 1:
                yield (
                    ("systems", i, "name"),
                    "should be unique, but '{name}' names {count} systems",
                    {"name": system.name, "count": str(repeated[system.name])},
                )
            for j, name in enumerate(system.types or []):
                if species is not None and name not in species and name != UNUSED_TYPE:
                    yield (
                        ("systems", i, "types", j),
                        "should be a species of the potential ({known}) or NULL, but '{name}' "
                        "was found",
                        {"known": ", ".join(species), "name": name},
                    )
            present = species if system.types is None else system.types
            for j, target in enumerate(system.targets):
                named = [("pair", name) for name in dict.fromkeys(target.pair or ())]
                named += [("species", target.species)] if target.species is not None else []
                for key, name in named:
                    if present is not None and (name not in present or name == UNUSED_TYPE):
                        yield (
                            ("systems", i, "targets", j, key),
                            "should name species of the system ({known}), but '{name}' was found",
                            {"known": ", ".join(present), "name": name},
                        )


def _named(systems: list[Any]) -> list[Any]:
    """Give every system without a name that of its script, numbered where scripts repeat."""
    stems = [
        _script_name(system["script"])
        if isinstance(system, dict)
        and "name" not in system
        and isinstance(system.get("script"), str | Path)
        else None
        for system in systems
    ]
    total = Counter(stems)
    seen = Counter[str]()
    named: list[Any] = []
    for system, stem in zip(systems, stems, strict=True):
        if stem is None:
            named.append(system)
            continue
        seen[stem] += 1
        named.append({"name": f"{stem}-{seen[stem]}" if total[stem] > 1 else stem} | system)
    return named


def _script_name(script: str | Path) -> str:
    """Name of a system from that of its script: ``in.lj`` and ``lj.in`` both give ``lj``."""
    path = Path(script)
    name = path.name.removeprefix("in.") if path.name.startswith("in.") else path.stem
    return re.sub(r"[^A-Za-z0-9._+-]", "-", name).lstrip("._+-") or "system"


def load_config(path: str | Path) -> Config:
    """Read and check the configuration of a training run.

    Relative paths in the file are resolved against its folder.

    Parameters
    ----------
    path : str or Path
        YAML file.

    Returns
    -------
    Config

    Raises
    ------
    InputError
        If the file cannot be read or breaks the schema. There is one sentence, on a line of its
        own, for each problem; it names the key, what was expected and what was found.
    """
    path = Path(path)
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise InputError(
            f"'{path}' should hold keys like 'units:' and 'systems:', but "
            f"{'nothing' if data is None else repr(data)[:60]} was found."
        )
    try:
        return Config.model_validate(data, context={"folder": path.absolute().parent})
    except ValidationError as error:
        raise InputError(
            "\n".join(describe(problem, Config, path) for problem in error.errors())
        ) from None


def dump_config(config: Config) -> str:
    """Text of a YAML file from which :func:`load_config` reads ``config`` again.

    Paths are absolute and all defaults are written out.
    """
    data = config.model_dump(mode="json", exclude_none=True)
    data["potential"] |= config.potential.options
    data["optimizer"] |= config.optimizer.options
    return write_yaml(data)
