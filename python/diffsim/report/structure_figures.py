"""The potentials of runs, and functions against their targets, as pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffsim.arrays import Array
from diffsim.report.drawing import (
    MODEL,
    TARGET,
    Measured,
    draw_against_target,
    draw_potential,
)
from diffsim.report.pictures import Entry, Picture, line_entries, styles
from diffsim.report.run_record import PairCurve, RunRecord
from diffsim.report.svg import new_figure, to_svg
from diffsim.report.system_record import Curve, SystemRecord
from diffsim.report.unit_names import UNIT_NAMES
from diffsim.report.words import plain

WELL = 0.05  # of the energies where there are pairs: a shallower well is a ripple


def potentials(runs: Sequence[RunRecord]) -> list[Picture]:
    """The potential of every pair of species that any of the runs has learned."""
    pairs = dict.fromkeys(tuple(sorted(c.pair)) for run in runs for c in run.potential)
    return [_potential(runs, pair) for pair in pairs]


def _potential(runs: Sequence[RunRecord], pair: tuple[str, ...]) -> Picture:
    """Potentials; below the band of the only run, or what others are above the first one."""
    units = UNIT_NAMES[runs[0].config.units]
    found = [
        (curve, style, entry)
        for run, style, entry in zip(
            runs, styles(len(runs)), line_entries([run.name for run in runs]), strict=True
        )
        for curve in run.potential
        if tuple(sorted(curve.pair)) == pair
    ]
    first = found[0][0]
    alone, has_band = len(runs) == 1, first.error is not None and first.seen.any()
    low, high = _energy_range([curve for curve, _, _ in found])
    left = min(float(curve.r[curve.u < high][0]) for curve, _, _ in found)
    figure, (upper, lower) = new_figure(2, (3, 1.2))
    for curve, style, _ in found:
        shown = curve.seen & (curve.r >= left)
        band = None if curve.error is None else np.where(shown, curve.error, np.nan)
        draw_potential(upper, curve.r, curve.u, band, **style)
        above = _above(curve, first)
        draw_potential(lower, curve.r, np.where(shown, above, np.nan), band, **style)
    legend = _temperatures(upper, runs[0], first) if alone else [entry for _, _, entry in found]
    if has_band:
        legend.append(Entry("one standard deviation, where g > 0.1", MODEL, "band"))
    upper.set_ylim(low, high)
    upper.set_xlim(left, max(float(curve.r[-1]) for curve, _, _ in found))
    upper.axhline(0.0, color=TARGET, lw=0.5)
    upper.set_ylabel(f"u(r) ({units.energy})")
    lower.set_ylabel("error" if alone else "difference")
    lower.set_xlabel(f"r ({units.length})")
    name = "-".join(first.pair)
    of = "" if alone else f" of {', '.join(run.name for run in runs)}, and below the differences"
    svg = to_svg(figure, f"Potential u(r) of the pair {name}{of} against the distance r.")
    note = "" if alone else f"Below: what the potentials are above that of {found[0][2].label}."
    return Picture(f"u(r) of {name}", svg, legend, note)


def _above(curve: PairCurve, first: PairCurve) -> Array:
    """What a potential is above another one, where that is known, shape (n,)."""
    return np.asarray(curve.u - np.interp(curve.r, first.r, first.u, left=np.nan, right=np.nan))


def _temperatures(axes: Any, run: RunRecord, curve: PairCurve) -> list[Entry]:
    """The potential at further temperatures, and the legend of all."""
    reference = run.config.potential.reference_temperature
    legend = [] if reference is None else [Entry(f"T = {reference:g}", MODEL)]
    others = [t for t in curve.at_temperatures if t != reference]
    for temperature, style in zip(others, styles(len(others) + 1)[1:], strict=True):
        axes.plot(curve.r, curve.at_temperatures[temperature], lw=0.9, **style)
        legend.append(Entry(f"T = {temperature:g}", style["color"]))
    return legend


def _energy_range(curves: Sequence[PairCurve]) -> tuple[float, float]:
    """Limits that show the wells and hills of all potentials, and the foot of their walls."""
    limits = [_limits_of(curve.u, curve.seen) for curve in curves]
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    margin = 0.12 * (high - low)
    return low - margin, high


def _limits_of(u: Array, seen: NDArray[np.bool_]) -> tuple[float, float]:
    """Lowest and highest energy of a potential (n,) to be shown.

    With a well, the highest is above its rim by a few depths; else that where there are pairs.
    """
    highest = float(u[seen].max()) if seen.any() else float(np.median(u))
    rise = np.maximum.accumulate(u[::-1])[::-1] - u  # to the highest energy further out
    depth = float(rise.max())
    if depth <= WELL * (highest - float(u.min())):
        return float(u.min()), max(highest, float(u.min()) + 1e-12)
    beyond = u[int(np.argmax(rise > 0.5 * depth)) :]
    low, rim = float(beyond.min()), float(beyond.max())
    return low, max(low + 3.5 * depth, rim + 0.5 * (rim - low))


# ---- functions against their targets ----


def curves(runs: Sequence[RunRecord], system: str) -> list[Picture]:
    """Every function that is a target of a system, in the runs that have it."""
    found: dict[str, list[tuple[int, Curve, SystemRecord]]] = {}
    for index, run in enumerate(runs):
        for record in systems_named(run, system):
            for curve in record.curves:
                found.setdefault(curve.label, []).append((index, curve, record))
    return [_against_target(runs, system, of) for of in found.values()]


def systems_named(run: RunRecord, system: str) -> Iterator[SystemRecord]:
    """The system of a name in a run, if there is one."""
    return (record for record in run.systems if record.name == system)


def _against_target(
    runs: Sequence[RunRecord], system: str, found: Sequence[tuple[int, Curve, SystemRecord]]
) -> Picture:
    _, first, _ = found[0]
    units = UNIT_NAMES[runs[0].config.units]
    figure, (upper, lower) = new_figure(2, (3, 1.2))
    all_styles, all_entries = styles(len(runs)), line_entries([run.name for run in runs])
    alone = len(runs) == 1
    measured = [
        Measured(
            curve.x,
            curve.measured,
            curve.residual,
            _residual_error(curve) if alone else None,
            all_styles[index],
        )
        for index, curve, _ in found
    ]
    draw_against_target(upper, lower, first.x, first.target, first.target_error, measured)
    upper.set_ylabel(_ordinate(first, units.length))
    lower.set_ylabel("difference")
    unit = units.length if first.variable == "r" else units.time
    lower.set_xlabel(f"{first.variable} ({unit})")
    legend = [Entry("target", TARGET, "target")]
    legend += [Entry("simulated", MODEL)] if alone else [all_entries[i] for i, _, _ in found]
    if first.target_error is not None:
        legend.append(Entry("error of the target", TARGET, "band"))
    if measured[0].error is not None:
        legend.append(Entry("error of the difference", MODEL, "band"))
    note = _note_on_curve(found[0]) if alone else _note_on_targets(found)
    of = "" if alone else f" in {', '.join(runs[i].name for i, _, _ in found)}"
    svg = to_svg(
        figure,
        f"{first.label} of the system {system}{of} against its target; below the difference.",
    )
    return Picture(f"{system}: {first.label}", svg, legend, note)


def _residual_error(curve: Curve) -> Array | None:
    if curve.error is None:
        return None
    given = 0.0 if curve.target_error is None else curve.target_error
    return np.asarray(np.hypot(curve.error, given))


def _ordinate(curve: Curve, length: str) -> str:
    names = {"rdf": "g(r)", "vacf": "Z(t)", "msd": f"MSD ({length}²)"}
    kind = curve.label.split()[0]
    return names.get(kind, kind)


def _note_on_curve(found: tuple[int, Curve, SystemRecord]) -> str:
    _, curve, record = found
    when = "in the last validation" if record.validation else f"in iteration {record.curves_of}"
    noise = [each.noise for each in record.deviations if each.label == curve.label]
    alone = f" (noise alone: {plain(noise[0])})" if noise else ""
    return f"Mean square deviation {when}: {plain(curve.mse)}{alone}."


def _note_on_targets(found: Sequence[tuple[int, Curve, SystemRecord]]) -> str:
    _, first, _ = found[0]
    same = all(
        np.array_equal(curve.x, first.x) and np.array_equal(curve.target, first.target)
        for _, curve, _ in found
    )
    return "" if same else "The targets of the runs differ; the first one is shown."
