"""Matplotlib's figures as SVG that stands within an HTML page."""

from __future__ import annotations

import io
import math
import re
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from diffsim.report.words import plain

SIZE = (4.2, 3.0)  # inches
# the same for all figures, so that those beside each other are in line
MARGINS = {"left": 0.2, "right": 0.965, "bottom": 0.16, "top": 0.95}
LABEL = -0.195  # of an ordinate, in widths of the axes
SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text: it can be searched, and is smaller than outlines
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "path.simplify_threshold": 0.05,
}


def new_figure(rows: int = 1, ratios: tuple[float, ...] = (1,)) -> tuple[Figure, list[Any]]:
    """A figure, and its axes from top to bottom, which share the abscissa."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=SIZE)
        figure.patch.set_visible(False)
        grid = {**MARGINS, "hspace": 0.12, "height_ratios": ratios}
        columns = figure.subplots(rows, 1, sharex=True, squeeze=False, gridspec_kw=grid)
    axes = [row[0] for row in columns]
    for each in axes:
        each.patch.set_visible(False)
        each.yaxis.set_label_coords(LABEL, 0.5)
    return figure, axes


def to_svg(figure: Figure, description: str) -> Markup:
    """The element <svg> of a figure, without references to anything outside of it.

    Parameters
    ----------
    figure
        From `new_figure`.
    description
        Of what it shows, for those who do not see it.
    """
    buffer = io.StringIO()
    # identifiers follow from the salt: figures of one page must not share them
    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": description}):
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata={"Date": None})  # savefig would draw it twice
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = text.replace("xlink:href=", "href=")
    # the family of the page's text
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    text = re.sub(r' (?:d|x|y|transform)="[^"]*"', _rounded, text)
    text = re.sub(r"\n\s*", "\n", text)
    (box,) = re.findall(r'viewBox="[^"]*"', text)
    head = f'<svg {box} role="img" aria-label="{escape(description)}">'
    return Markup(re.sub(r"<svg[^>]*>", lambda _: head, text, count=1).strip())


def _rounded(attribute: re.Match[str]) -> str:
    """An attribute with coordinates to a hundredth of a point."""
    return re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.2f}", attribute[0])


def of_iterations(axes: Any, first: float, last: float) -> None:
    """Make the abscissa that of iterations, from the first to the last."""
    margin = max(0.04 * (last - first), 0.6)
    axes.set_xlim(first - margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("iteration")


def logarithmic(axes: Any) -> None:
    """A logarithmic ordinate with numbers at 1, 2 and 5, or at powers of ten over many decades."""
    values = np.concatenate([np.empty(0), *(np.ravel(line.get_ydata()) for line in axes.lines)])
    known = values[np.isfinite(values) & (values > 0.0)]
    if len(known) and known.min() == known.max():
        axes.set_ylim(0.5 * known[0], 2.0 * known[0])  # no interval of its own
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    decades = math.log10(high / low)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
