"""The table of all runs, and what is to be said of all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from hardship_cases.cases import CASES, Case
from hardship_cases.judging import Result

TOO_FAR = 3.0  # of error over claim, or of a pressure over its error
NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?")
RATIO = (0.7, 1.4)  # where the root mean square of error over claim should be

Column = tuple[str, str, Callable[[Result], float | None]]
COLUMNS: list[Column] = [
    ("rms error", "{:.4f}", lambda run: run.rms),
    ("uncertainty", "{:.4f}", lambda run: run.uncertainty),
    ("error / uncertainty", "{:.1f}", lambda run: run.ratio),
    ("pressure off by", "{:+.3g}", lambda run: run.pressure),
    ("g(r) off by", "{:.1e}", lambda run: run.g),
    ("chi squared", "{:.2g}", lambda run: run.chi_square),
    ("first loss", "{:.2g}", lambda run: run.first_loss),
    ("last loss", "{:.2g}", lambda run: run.last_loss),
    ("MD steps", "{:.0f}", lambda run: run.md_steps),
]


def table(runs: Sequence[Result]) -> list[str]:
    """Markdown, a row for each case: mean over the seeds, and the worst one in brackets."""
    lines = [
        "| | " + " | ".join(name for name, _, _ in COLUMNS) + " | said |",
        "| --- |" + " ---: |" * (len(COLUMNS) + 1),
    ]
    for case, some in by_case(runs):
        cells = [cell([value(run) for run in some], text) for _, text, value in COLUMNS]
        said = f"{sum(bool(run.said) for run in some)} of {len(some)}"
        failed = sum(run.status != 0 for run in some)
        if failed:
            said += f", {failed} failed"
        lines.append(f"| {case.title} | " + " | ".join(cells) + f" | {said} |")
    return lines


def cell(values: Sequence[float | None], text: str) -> str:
    """Mean, and the largest in brackets where there are several."""
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return ""
    worst = known[np.abs(known).argmax()]
    return text.format(known.mean()) + (f" ({text.format(worst)})" if len(known) > 1 else "")


def by_case(runs: Sequence[Result]) -> list[tuple[Case, list[Result]]]:
    """Runs of each case, in the order of the registry."""
    found = [(case, [run for run in runs if run.case == name]) for name, case in CASES.items()]
    return [(case, some) for case, some in found if some]


def summary(runs: Sequence[Result]) -> list[str]:
    """What all runs together have to keep, and who does not."""
    ratios = np.array([run.ratio for run in runs if run.ratio is not None])
    lines = []
    if len(ratios):
        square = float(np.sqrt(np.mean(ratios**2)))
        met = "met" if RATIO[0] <= square <= RATIO[1] else "not met"
        lines.append(
            f"Root mean square of error over uncertainty, {len(ratios)} runs: {square:.2f} "
            f"({RATIO[0]} to {RATIO[1]}: {met}; median {np.median(ratios):.2f})"
        )
    lists = {
        f"Beyond {TOO_FAR:g} times the claim without a word": [
            f"{name(run)} ({run.ratio:.1f})" for run in runs if is_silent(run)
        ],
        f"Pressure, a target, missed by more than {TOO_FAR:g} errors": [
            f"{name(run)} ({run.pressure:+.3g})" for run in runs if misses_pressure(run)
        ],
        "Worse at the end than at the beginning": [
            f"{name(run)} ({run.first_mse:.2g} -> {run.last_mse:.2g})"
            for run in runs
            if is_worse(run)
        ],
        "Well deeper or shallower than the goal": [
            f"{name(run)} ({well_error(run):+.1%}, goal {CASES[run.case].well:.0%})"
            for run in runs
            if misses_well(run)
        ],
        "Failed": [f"{name(run)}: {run.message}" for run in runs if run.status],
    }
    lines += [f"{what}: {'; '.join(some) or 'none'}" for what, some in lists.items()]
    return lines


def words(runs: Sequence[Result]) -> list[str]:
    """What was said in the last lines: of sentences of a case that differ in numbers, the first."""
    lines = []
    for case, some in by_case(runs):
        kinds: dict[str, list[str]] = {}
        for text in (text for run in some for text in run.said):
            kinds.setdefault(NUMBER.sub("#", text), []).append(text)
        for same in kinds.values():
            times = f" ({len(same)} times)" if len(same) > 1 else ""
            lines.append(f"- {case.title}: {same[0]}{times}")
    return lines


def name(run: Result) -> str:
    return f"{run.case} seed {run.seed}"


def is_silent(run: Result) -> bool:
    """Whether the true error is beyond three times the claim, and nothing was said."""
    return run.ratio is not None and run.ratio > TOO_FAR and not run.said


def misses_pressure(run: Result) -> bool:
    """Whether a pressure that was a target is missed."""
    if not CASES[run.case].pressure or run.pressure is None or not run.pressure_error:
        return False
    return abs(run.pressure) > TOO_FAR * run.pressure_error


def is_worse(run: Result) -> bool:
    """Whether a run ended with g(r) further off than it began with, beyond noise.

    The losses are in units of errors, which become smaller with longer pieces: they do not compare.
    """
    if run.first_mse is None or run.noise is None:
        return False
    return run.last_mse is None or run.last_mse > max(run.first_mse, 2.0 * run.noise)


def well_error(run: Result) -> float:
    """Relative error of the depth of the well."""
    assert run.well is not None and run.true_well is not None
    return run.well[0] / run.true_well[0] - 1.0


def misses_well(run: Result) -> bool:
    """Whether the depth of the well is beyond the goal of the case."""
    goal = CASES[run.case].well
    return goal is not None and run.well is not None and not abs(well_error(run)) <= goal
