"""The types of the values in a configuration, each with its own check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from diffsim.targets.rdf_file import FEWEST, INFINITE


def _existing_file(path: Path, info: ValidationInfo) -> Path:
    """Resolve ``path`` against the folder of the configuration and check that it is a file."""
    resolved = Path((info.context or {}).get("folder", "."), path).absolute()
    if not resolved.is_file():
        raise PydanticCustomError(
            "file", "should be a file, but there is no file '{path}'", {"path": str(resolved)}
        )
    return resolved


def _increasing(bounds: tuple[float, ...]) -> tuple[float, ...]:
    if not bounds[0] < bounds[1]:
        raise PydanticCustomError(
            "range",
            "should start with two numbers, the smaller one first, but {found} was found",
            {"found": repr(list(bounds))},
        )
    return bounds


def _variable(value: Any) -> str | int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise PydanticCustomError(
            "variable", "should be a number or text, but {found} was found", {"found": repr(value)}
        )
    return value


def _atoms(value: Any) -> int | float | str | dict[str, int | float]:
    numbers = list(value.values()) if isinstance(value, dict) else [value]
    possible = bool(numbers) and all(
        isinstance(number, int | float) and FEWEST <= number < float("inf") for number in numbers
    )
    if value == INFINITE or possible:
        return value  # type: ignore[no-any-return]
    raise PydanticCustomError(
        "atoms",
        "should be a number of atoms from {fewest} up, '{infinite}', or a mapping of species to "
        "numbers of atoms, but {found} was found",
        {"fewest": f"{FEWEST:g}", "infinite": INFINITE, "found": repr(value)},
    )


Flag: TypeAlias = Annotated[bool, Field(strict=True)]
Integer: TypeAlias = Annotated[int, Field(strict=True)]
Number: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive: TypeAlias = Annotated[Number, Field(gt=0)]
NonNegative: TypeAlias = Annotated[Number, Field(ge=0)]
Name: TypeAlias = Annotated[str, Field(min_length=1)]
ExistingFile: TypeAlias = Annotated[Path, AfterValidator(_existing_file)]
Range: TypeAlias = Annotated[tuple[NonNegative, NonNegative], AfterValidator(_increasing)]
WeightedRange: TypeAlias = Annotated[
    tuple[NonNegative, NonNegative, NonNegative], AfterValidator(_increasing)
]
Atoms: TypeAlias = Annotated[int | float | str | dict[str, int | float], PlainValidator(_atoms)]
VariableName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
VariableValue: TypeAlias = Annotated[str | int | float, PlainValidator(_variable)]


class Section(BaseModel):
    """A mapping of the configuration: immutable, without keys that are not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)
