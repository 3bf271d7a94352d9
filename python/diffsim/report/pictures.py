"""A figure of the page: a drawing with its legend, and the styles of lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from diffsim.report.drawing import MODEL

COLOURS = (MODEL, "#1f78b4", "#2a9d5c", "#b8860b", "#7b4ab8", "#12a0a0", "#8c564b", "#d264b0")
DASHES = ("-", "--", ":", "-.")  # once all colours are taken


@dataclass(frozen=True)
class Entry:
    """A line of a legend.

    `kind` is how it is drawn: ``solid``, ``dashed``, ``target``, ``band`` or ``bar``.
    """

    label: str
    colour: str
    kind: str = "solid"


@dataclass(frozen=True)
class Picture:
    """A figure of the page: title, drawing, legend, and a sentence below it."""

    title: str
    svg: Markup
    legend: Sequence[Entry] = field(default_factory=list)
    note: str = ""


def styles(number: int) -> list[dict[str, Any]]:
    """As many styles of lines, all different as long as there are no more than 32."""
    return [
        {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": DASHES[i // len(COLOURS) % len(DASHES)],
        }
        for i in range(number)
    ]


def line_entries(labels: Sequence[str]) -> list[Entry]:
    """Legend of lines in `styles`."""
    return [
        Entry(label, style["color"], "solid" if style["linestyle"] == "-" else "dashed")
        for label, style in zip(labels, styles(len(labels)), strict=True)
    ]
