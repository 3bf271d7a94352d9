"""Sentences for the errors of a configuration."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

FOUND_LENGTH = 60
"""Longest text of a value that an error shows, in characters."""


def describe(problem: ErrorDetails, model: type[BaseModel], path: Path) -> str:
    """One sentence that says which key of the file is wrong, what was expected and what found.

    Parameters
    ----------
    problem : ErrorDetails
        An element of ``ValidationError.errors()``.
    model : type of BaseModel
        The model that was validated.
    path : Path
        The file, for the text.

    Returns
    -------
    str
    """
    loc = tuple(part for part in problem["loc"] if part != "[key]")
    kind, message = problem["type"], problem["msg"]
    if kind == "missing" and isinstance(loc[-1], int):  # a list that is too short
        loc = loc[:-1]
        kind = "list_length"
    where = f"{path}: {_key_path(loc)}" if loc else f"{path}"
    section, field = _section_and_field(model, loc)
    text = repr(problem["input"])
    found = text if len(text) <= FOUND_LENGTH else f"{text[:FOUND_LENGTH]}..."
    if kind == "missing":
        return f"{where} is missing; it should be {_description(section, field)}."
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(str(loc[-1]), section.model_fields, n=1)
        known = ", ".join(section.model_fields)
        hint = f"did you mean '{close[0]}'?" if close else f"the known keys are {known}."
        return f"{where} is not a known key; {hint}"
    if message.startswith("should "):
        return f"{where} {message}."
    if kind in ("string_pattern_mismatch", "list_length", "tuple_type", "too_long", "path_type"):
        return f"{where} should be {_description(section, field)}, but {found} was found."
    if kind in ("model_type", "dict_type"):
        return f"{where} should be a mapping of keys to values, but {found} was found."
    if kind == "too_short":
        return f"{where} should have at least one item, but {found} was found."
    return f"{where} {message.removeprefix('Input ')}, but {found} was found."


def _key_path(loc: tuple[int | str, ...]) -> str:
    """Path of a key as in ``systems[0].targets[1].pair``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".")


def _section_and_field(
    model: type[BaseModel], loc: tuple[int | str, ...]
) -> tuple[type[BaseModel], str]:
    """The model that the last key in ``loc`` belongs to, and the last field on the way to it."""
    section, field = model, ""
    for part in loc:
        inner = _model_in(section.model_fields[field].annotation) if field else None
        if isinstance(part, str) and inner is not None:
            section, field = inner, ""
        if isinstance(part, str) and part in section.model_fields:
            field = part
    return section, field


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation like ``list[Model]`` or ``Model | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _description(section: type[BaseModel], field: str) -> str:
    return section.model_fields[field].description or field
