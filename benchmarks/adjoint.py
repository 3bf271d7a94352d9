"""What gradients along trajectories cost, and what they are worth beside reweighting.

    python benchmarks/adjoint.py [--windows 2000] [--figure docs/images/adjoint.png]

Prints Markdown tables: the time of a step of the backward sweep over that of a step of LAMMPS, and
the derivative of a value of g(r) and of the velocity autocorrelation by the strength of the
potential, by reweighting, by the adjoint, by both, and from simulations. Takes about a quarter of
an hour on one core; docs/dynamics.md explains the results.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import adjoint_cost
import adjoint_gradients
import matplotlib
import numpy as np
from adjoint_cost import Times, Variant
from adjoint_gradients import Comparison, Estimate, Result
from bench import find_kernels, machine
from lammps_runs import RunError

matplotlib.use("Agg")  # no display on a cluster
from matplotlib import pyplot as plt

GOAL = 2.5  # steps of LAMMPS in the time of a step back
ACCURACY = (0.02, 0.02)
"""Errors of the derivatives of g and Z for which the number of steps is given."""

SIZE, DPI = (8.4, 3.7), 150  # inches, per inch
RUNS, INITIAL, ALONG, TOTAL = "#444444", "#2e86ab", "#e09f3e", "#d1495b"


def main() -> None:
    arguments = _arguments()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            kernels, default = find_kernels(folder)
            print(f"{machine(folder, kernels, default)}\n", flush=True)
            times = {
                atoms: adjoint_cost.measure(
                    folder, atoms, kernels, arguments.rounds, arguments.quick
                )
                for atoms in adjoint_cost.STEPS
            }
        except RunError as error:
            sys.exit(str(error))
        print("\n".join(cost_table(times)) + "\n", flush=True)
        smallest = times[min(times)]["nvt", default]
        ratio = float(np.mean([t.backward / t.plain for t in smallest]))
        found = adjoint_gradients.compare(folder, arguments.windows, arguments.frames, seed=1)
    for lines in (
        value_table("g", found.rdf),
        value_table("Z", found.vacf),
        spread_table(found),
        steps_table(found, ratio),
    ):
        print("\n".join(lines) + "\n", flush=True)
    frames = found.frames
    print(
        f"dg by reweighting single frames: {_with_error(frames)}, standard deviation "
        f"{frames.spread:.3f}, independent every {found.correlation:.0f} steps"
    )
    if arguments.figure:
        draw(arguments.figure, found)
    print(f"{(time.monotonic() - begin) / 60.0:.1f} minutes")


def cost_table(times: Mapping[int, Mapping[Variant, Sequence[Times]]]) -> list[str]:
    """Ratios of processor times within a round, mean +- standard deviation over the rounds."""
    lines = [
        "| atoms | integrator | instructions | LAMMPS, ns per atom and step | backward / LAMMPS | "
        "goal | recording / LAMMPS | bytes per atom and step |",
        "| ---: | --- | --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for atoms, variants in times.items():
        for (integrator, kernel), rounds in variants.items():
            backward = [t.backward / t.plain for t in rounds]
            met = "met" if np.mean(backward) <= GOAL else "NOT MET"
            cells = [
                f"{atoms:,}",
                integrator,
                kernel,
                _mean_and_spread([1e9 * t.plain / atoms for t in rounds], ".0f"),
                _mean_and_spread(backward, ".2f"),
                f"<= {GOAL} {met}",
                _mean_and_spread([t.recording / t.plain for t in rounds], ".2f"),
                f"{rounds[0].bytes:.0f}",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def value_table(name: str, results: Sequence[Result]) -> list[str]:
    """The derivatives with their standard errors."""
    lines = [
        f"| d{name}, windows of | reweighting | adjoint | sum | sum, shortened | simulations |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in results:
        estimates = (r.initial, r.along, r.total, r.short_total)
        cells = [_with_error(e) for e in estimates]
        cells.append(_number_and_error(r.expected, r.expected_error))
        lines.append(f"| {r.steps} | " + " | ".join(cells) + " |")
    return lines


def spread_table(found: Comparison) -> list[str]:
    """Standard deviations of single windows, and how many of them are shortened."""
    head = "reweighting | adjoint | shortened | of them"
    lines = [
        f"| standard deviation, windows of | dg: {head} | dZ: {head} |",
        "| ---: |" + " ---: |" * 8,
    ]
    for pair in zip(found.rdf, found.vacf, strict=True):
        cells = [str(pair[0].steps)]
        for r in pair:
            cells += [f"{e.spread:#.3g}".rstrip(".") for e in (r.initial, r.along, r.short_along)]
            cells.append(f"{100.0 * r.shortened:.0f}%")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def steps_table(found: Comparison, ratio: float) -> list[str]:
    """Steps of LAMMPS that a standard error takes, a step back counted as `ratio` of them."""
    names = [f"d{name} to {error:g}" for name, error in zip("gZ", ACCURACY, strict=True)]
    head = " | ".join(f"{name}: sum | adjoint alone" for name in names)
    lines = [f"| thousand steps, windows of | {head} |", "| ---: |" + " ---: |" * 4]
    for pair in zip(found.rdf, found.vacf, strict=True):
        steps = pair[0].steps
        # windows that begin closer to each other than frames are independent tell no more
        window = max(steps + adjoint_gradients.EVERY, found.correlation) + ratio * steps
        cells = [str(steps)]
        for r, error in zip(pair, ACCURACY, strict=True):
            cells += [_thousands(window * (e.spread / error) ** 2) for e in (r.total, r.along)]
        lines.append("| " + " | ".join(cells) + " |")
    frames = found.frame_steps * (found.frames.error / ACCURACY[0]) ** 2
    lines.append(f"| single frames, reweighted | {_thousands(frames)} | | | |")
    g, z = (
        _thousands(steps * (results[0].expected_error / error) ** 2)
        for steps, results, error in zip(
            found.long_steps, (found.rdf, found.vacf), ACCURACY, strict=True
        )
    )
    lines.append(f"| central differences | {g} | | {z} | |")
    return lines


def draw(path: Path, found: Comparison) -> None:
    """The figure of the page: derivatives of g(r) and their scatter, by the windows' length."""
    figure, (left, right) = plt.subplots(1, 2, figsize=SIZE, dpi=DPI, layout="constrained")
    steps = [r.steps for r in found.rdf]
    expected, error = found.rdf[0].expected, found.rdf[0].expected_error
    left.axhspan(
        expected - error, expected + error, color=RUNS, alpha=0.3, lw=0, label="simulations"
    )
    for offset, (key, colour, marker, label) in enumerate(
        (
            ("initial", INITIAL, "s", "reweighting alone"),
            ("along", ALONG, "^", "adjoint alone"),
            ("total", TOTAL, "o", "both"),
            ("short_total", TOTAL, "x", "both, shortened"),
        )
    ):
        of_key: dict[int, Estimate] = {r.steps: getattr(r, key) for r in found.rdf}
        # where chaos has drowned the derivative there is nothing to see
        known = [n for n, e in of_key.items() if e.error < expected]
        left.errorbar(
            np.array(known) * 1.04 ** (offset - 1.5),  # bars beside each other
            [of_key[n].mean for n in known],
            [of_key[n].error for n in known],
            color=colour,
            marker=marker,
            ms=5,
            lw=1.2,
            ls=":" if key == "short_total" else "-",
            capsize=2,
            label=label,
        )
    left.set_xlim(0.85 * steps[0], 1.2 * steps[-1])
    left.set_ylim(-0.2 * expected, 2.1 * expected)
    left.set_ylabel(f"d g({adjoint_gradients.RDF_AT}) / d strength")
    left.set_title("the derivative", fontsize=10)
    for key, colour, marker, label in (
        ("initial", INITIAL, "s", "reweighting"),
        ("along", ALONG, "^", "adjoint"),
        ("short_along", TOTAL, "x", "adjoint, shortened"),
    ):
        spreads = [getattr(r, key).spread for r in found.rdf]
        style = ":" if key == "short_along" else "-"
        right.plot(steps, spreads, style, color=colour, marker=marker, ms=6, label=label)
    right.set_yscale("log")
    right.set_ylabel("standard deviation of one window")
    right.set_title("its scatter", fontsize=10)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(steps, [str(n) for n in steps])
        axes.minorticks_off()
        axes.set_xlabel("steps of a window")
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)
    plt.close(figure)


def _mean_and_spread(values: Sequence[float], form: str) -> str:
    spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
    return f"{np.mean(values):{form}} +- {spread:{form}}"


def _with_error(estimate: Estimate) -> str:
    return _number_and_error(estimate.mean, estimate.error)


def _number_and_error(value: float, error: float) -> str:
    digits = int(np.clip(1 - np.floor(np.log10(max(error, 1e-12))), 0, 4))
    return f"{value:.{digits}f} +- {error:.{digits}f}"


def _thousands(steps: float) -> str:
    """Two significant digits, and no power of ten."""
    thousands = float(f"{steps / 1000.0:.1e}")
    return f"{thousands:,.0f}" if thousands >= 10.0 else f"{thousands:#.2g}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9, help="of the times; default: 9")
    parser.add_argument("--windows", type=int, default=2000, help="default: 2000")
    parser.add_argument(
        "--frames", type=int, default=40_000, help="of each of the long runs; default: 40000"
    )
    parser.add_argument("--figure", type=Path, metavar="PNG", help="also draw the figure")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a little of everything: shows that it runs, its figures mean nothing",
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.windows, arguments.frames = 2, 20, 500
    return arguments


if __name__ == "__main__":
    main()
