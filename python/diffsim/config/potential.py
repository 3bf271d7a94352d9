"""Potentials in a configuration: the one that is learned, and one that it is held to."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from diffsim.config.types import ExistingFile, Name, Positive, Section


def _known_form(value: str) -> str:
    from diffsim.potentials import FORMS

    if value not in FORMS:
        raise PydanticCustomError(
            "form",
            "should be one of {forms}, but '{value}' was found",
            {"forms": ", ".join(f"'{form}'" for form in FORMS), "value": value},
        )
    return value


Form = Annotated[str, AfterValidator(_known_form)]
"""A key of `diffsim.potentials.FORMS`, which is asked when a configuration is read."""


class SourceConfig(Section):
    """A potential: a new one of a ``form``, or a saved one from a ``file``.

    Keys that are not declared here are options of the form.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    form: Form | None = Field(default=None, description="the functional form")
    file: ExistingFile | None = Field(default=None, description="a model file")

    @property
    def options(self) -> dict[str, Any]:
        """The options of the form: all keys that are not declared here."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _check_source(self) -> SourceConfig:
        if (self.form is None) == (self.file is None):
            raise PydanticCustomError(
                "potential", "should have either the key 'form' or the key 'file'"
            )
        given = list(self.model_dump(exclude_unset=True, exclude={"form", "file"}))
        if self.file is not None and given:
            raise PydanticCustomError(
                "potential",
                "should not have the key '{key}' beside 'file', because the model file says it",
                {"key": given[0]},
            )
        return self


class ReferenceConfig(SourceConfig):
    """A potential that another one is held to, with its species, cutoff and units."""


class PotentialConfig(SourceConfig):
    """The potential that is learned."""

    file: ExistingFile | None = Field(default=None, description="the model file to start from")
    species: Annotated[list[Name], Field(min_length=1)] | None = Field(
        default=None,
        description="a list of the names of the species; with `file` those of the model",
    )
    cutoff: Positive | None = Field(
        default=None,
        description="the cutoff in LAMMPS's unit of length; with `file` that of the model",
    )
    reference_temperature: Positive | None = Field(
        default=None, description="the temperature about which it is linear in temperature"
    )

    @model_validator(mode="after")
    def _check(self) -> PotentialConfig:
        if self.file is not None:
            return self
        for key in ("species", "cutoff"):
            if getattr(self, key) is None:
                raise PydanticCustomError(
                    "potential",
                    "should have the key '{key}' beside 'form', but the keys {found} were found",
                    {"key": key, "found": ", ".join(self.model_dump(exclude_none=True))},
                )
        if self.species is not None and len(set(self.species)) < len(self.species):
            raise PydanticCustomError("potential", "should name every species once")
        return self
