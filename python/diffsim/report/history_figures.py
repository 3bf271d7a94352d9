"""Histories of runs, from iteration to iteration, as pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffsim.arrays import Array
from diffsim.report.drawing import MODEL, TARGET
from diffsim.report.pictures import Entry, Picture, styles
from diffsim.report.run_record import RunRecord
from diffsim.report.structure_figures import systems_named
from diffsim.report.svg import logarithmic, new_figure, of_iterations, to_svg
from diffsim.report.unit_names import UNIT_NAMES

PARTS = {"simulation": "#1f78b4", "idle": "#c9d6df", "gradient": "#e9a23b", "update": "#2a9d5c"}
MOST_POINTS = 800  # of a history: more do not show
FAR = 4.0  # times the later variation: a beginning that is so far off would hide it
MOST_BARS = 60
MOST_MARKS = 60  # points of a history that are marked


def thinned(y: Array, most: int = MOST_POINTS) -> NDArray[np.intp]:
    """Indices of the points of a history that show, in order: all, if they are at most `most`.

    Else the first and the last, and the smallest and the largest of each of most / 2 - 1 stretches.
    """
    if len(y) <= most:
        return np.arange(len(y))
    kept = {0, len(y) - 1}
    for stretch in np.array_split(np.arange(len(y)), most // 2 - 1):
        finite = stretch[np.isfinite(y[stretch])]
        if len(finite):
            kept |= {int(finite[np.argmin(y[finite])]), int(finite[np.argmax(y[finite])])}
    return np.array(sorted(kept))


@dataclass(frozen=True)
class Series:
    """A history: iterations and values (n,), style of the line, and its label in the legend."""

    label: str
    x: Array
    y: Array
    style: dict[str, Any]
    marked: bool = True

    @property
    def kind(self) -> str:
        """Of its entry in a legend."""
        return "solid" if self.style.get("linestyle", "-") == "-" else "dashed"


def _history(
    title: str,
    ordinate: str,
    series: Sequence[Series],
    log: bool = False,
    target: tuple[float, float] | None = None,
    note: str = "",
) -> Picture | None:
    """Histories against the iteration, and a target with its error; None if no number is known."""
    series = [each for each in series if np.isfinite(each.y).any()]
    if not series:
        return None
    figure, (axes,) = new_figure()
    legend = []
    for each in series:
        kept = thinned(each.y)
        few = each.marked and len(each.y) <= MOST_MARKS
        style = {"lw": 1.2, "ms": 3, "marker": "o" if few else "", **each.style}
        axes.plot(each.x[kept], each.y[kept], **style)
        if each.label:
            legend.append(Entry(each.label, each.style["color"], each.kind))
    if target is not None:
        value, error = target
        axes.axhline(value, color=TARGET, lw=3, alpha=0.5)
        if error:
            axes.axhspan(value - error, value + error, color=TARGET, alpha=0.15, lw=0)
        legend.append(Entry("target", TARGET, "target"))
    settled = None if log else _settled(series, target)
    if log and all(np.nanmin(each.y) > 0.0 for each in series):
        logarithmic(axes)
    elif log:
        axes.set_ylim(bottom=0.0)
    elif settled is not None:
        axes.set_ylim(*settled)
        note = "The first iterations are off the scale."
    ends = [float(each.x[end]) for each in series for end in (0, -1)]
    of_iterations(axes, min(ends), max(ends))
    axes.set_ylabel(ordinate)
    labels = ", ".join(entry.label for entry in legend)
    svg = to_svg(figure, f"{title} against the iteration: {labels}.")
    return Picture(title, svg, legend, note)


def _settled(
    series: Sequence[Series], target: tuple[float, float] | None
) -> tuple[float, float] | None:
    """Limits for the last three quarters of histories where the first is far off; else None."""
    values = np.concatenate([each.y for each in series])
    late = np.concatenate([each.y[len(each.y) // 4 :] for each in series])
    if target is not None:
        late = np.append(late, [target[0] - target[1], target[0] + target[1]])
    low, high = float(np.nanmin(late)), float(np.nanmax(late))
    if not 0.0 < FAR * (high - low) < float(np.nanmax(values) - np.nanmin(values)):
        return None
    margin = 0.3 * (high - low)
    return low - margin, high + margin


def _per_run(runs: Sequence[RunRecord], values: Callable[[RunRecord], Array]) -> list[Series]:
    return [
        Series(run.name, run.iterations, values(run), style)
        for run, style in zip(runs, styles(len(runs)), strict=True)
    ]


def histories(runs: Sequence[RunRecord]) -> list[Picture]:
    """Loss, deviations of g(r), effective samples, uncertainty and cost against the iteration."""
    alone = len(runs) == 1
    pictures = [
        _loss(runs),
        _rdf_errors(runs[0]) if alone else None,
        _samples(runs),
        _accuracy(runs),
        _cost(runs[0]) if alone else _seconds(runs),
    ]
    return [picture for picture in pictures if picture is not None]


def _loss(runs: Sequence[RunRecord]) -> Picture | None:
    alone = len(runs) == 1
    loss = _per_run(runs, lambda run: run.loss)
    predicted = [
        Series(
            "",
            run.iterations,
            run.predicted_loss,
            {**style, "linestyle": ":"},
            marked=False,
        )
        for run, style in zip(runs, styles(len(runs)), strict=True)
    ]
    if alone:
        (run,) = runs
        trained = [system for system in run.systems if not system.validation]
        several = len(trained) > 1
        label, colour = ("all systems", TARGET) if several else ("measured", MODEL)
        loss = [Series(label, run.iterations, run.loss, {"color": colour})]
        dashed = {"color": TARGET, "linestyle": "--"}
        predicted = [Series("predicted", run.iterations, run.predicted_loss, dashed, marked=False)]
        if several:
            loss += [
                Series(system.name, system.iterations, system.loss, {**style, "lw": 0.8}, False)
                for system, style in zip(trained, styles(len(trained)), strict=True)
            ]
    note = "" if alone else "Dotted: predicted."
    return _history("Loss", "loss", [*loss, *predicted], log=True, note=note)


def _rdf_errors(run: RunRecord) -> Picture | None:
    series = []
    for system, style in zip(run.systems, styles(len(run.systems)), strict=True):
        dashed = {**style, "linestyle": "--"}
        name = system.name + (" (validation)" if system.validation else "")
        series += [
            Series(name, system.iterations, system.rdf_mse, style),
            Series("", system.iterations, system.rdf_noise, dashed, marked=system.validation),
        ]
    note = "Means over the distribution functions of a system; dashed what noise alone would make."
    return _history("Deviation of g(r)", "mean square deviation", series, log=True, note=note)


def _samples(runs: Sequence[RunRecord]) -> Picture | None:
    series = _per_run(runs, lambda run: run.ess)
    if len(runs) == 1:
        trained = [system for system in runs[0].systems if not system.validation]
        series = [
            Series(system.name, system.iterations, system.ess, style)
            for system, style in zip(trained, styles(len(trained)), strict=True)
        ]
    return _history("Effective sample size (ESS)", "frames", series, log=True)


def _accuracy(runs: Sequence[RunRecord]) -> Picture | None:
    """What Gauss-Newton says of the potential; None for other optimizers."""
    energy = UNIT_NAMES[runs[0].config.units].energy

    def numbers(run: RunRecord, key: str) -> Array:
        return run.optimizer.get(key, np.full(len(run.iterations), np.nan))

    if len(runs) > 1:
        series = _per_run(runs, lambda run: numbers(run, "uncertainty"))
    else:
        series = [
            Series(key, runs[0].iterations, numbers(runs[0], key), style)
            for key, style in zip(("uncertainty", "correction"), styles(2), strict=True)
        ]
    note = "Root mean squares where g > 0.1."
    name = "Uncertainty of the potential"
    return _history(name, f"energy ({energy})", series, log=True, note=note)


def pressure(runs: Sequence[RunRecord], system: str) -> Picture | None:
    """Pressure of a system against the iteration, with its target if it has one."""
    series: list[Series] = []
    target: tuple[float, float] | None = None
    for run, style in zip(runs, styles(len(runs)), strict=True):
        for record in systems_named(run, system):
            if record.validation and len(record.iterations) < 2:
                continue  # its number is in the table
            label = "simulated" if len(runs) == 1 else run.name
            series.append(Series(label, record.iterations, record.pressure, style))
            given = record.target_pressure
            if target is None and given is not None:
                target = given.target, given.target_error
    unit = UNIT_NAMES[runs[0].config.units].pressure
    return _history(f"{system}: pressure", f"pressure ({unit})", series, target=target)


def _cost(run: RunRecord) -> Picture:
    """Bars of the wall time of every iteration, or of its mean over several, part on part."""
    figure, (axes,) = new_figure()
    groups = np.array_split(np.arange(len(run.iterations)), min(len(run.iterations), MOST_BARS))
    x = np.array([run.iterations[group].mean() for group in groups])
    width = 0.8 * max(len(run.iterations) / len(groups), 1.0)
    below = np.zeros(len(groups))
    legend = []
    for part, colour in PARTS.items():
        heights = np.array([run.seconds[part][group].mean() for group in groups])
        if not heights.any():
            continue
        axes.bar(x, heights, width, bottom=below, color=colour)
        below += heights
        legend.append(Entry(part, colour, "bar"))
    of_iterations(axes, float(run.iterations[0]), float(run.iterations[-1]))
    axes.set_ylabel("wall time (s)")
    longest = max(len(group) for group in groups)
    note = f"Means over {longest} iterations." if longest > 1 else ""
    svg = to_svg(figure, "Wall time of each iteration, and what it is made of.")
    return Picture("Cost of an iteration", svg, legend, note)


def _seconds(runs: Sequence[RunRecord]) -> Picture | None:
    series = _per_run(runs, lambda run: np.sum(list(run.seconds.values()), axis=0))
    return _history("Cost of an iteration", "wall time (s)", series, log=True)
