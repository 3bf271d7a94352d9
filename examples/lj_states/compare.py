"""Compare potentials learned from several states with Lennard-Jones, and at a state held out.

    python compare.py RUN [RUN ...] [--figure comparison.png]

The true potential and the truth's pressures are used here only. Prints a table and draws a figure;
the exit status is 1 if the run of config.yaml misses a goal.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from common import Array, Case, Curve, Run, compare, print_cases

CUTOFF = 2.5
INTERVAL = (0.95, 2.5)
GOALS = {"rms": 0.005, "held_out": 2.0, "md_steps": 40_000}  # of a training on two states


def lennard_jones(r: Array, a: int = 0, b: int = 0) -> Array:
    x6, end = r**-6.0, CUTOFF**-6.0
    return np.asarray(np.where(r < CUTOFF, 4.0 * (x6**2 - x6 - end**2 + end), 0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--figure", type=Path, default=Path("comparison.png"))
    arguments = parser.parse_args()
    cases: list[Case] = []
    curves: list[list[Curve]] = []
    runs = [Run(folder) for folder in arguments.runs]
    for run in runs:
        trained = [system for system in run.config.systems if not system.validation]
        of_run, measured = compare(run, lennard_jones, GOALS if len(trained) > 1 else {}, INTERVAL)
        cases += of_run
        curves.append(measured)
    draw(arguments.figure, runs, curves)
    sys.exit(0 if print_cases(cases) else 1)


def draw(path: Path, runs: list[Run], curves: list[list[Curve]]) -> None:
    """Errors of the potentials, and of g(r) at the state held out with their noise."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), dpi=150, layout="constrained")
    r = np.linspace(*INTERVAL, 500)
    for run, measured in zip(runs, curves, strict=True):
        (line,) = left.plot(r, run.energies(r, 0, 0) - lennard_jones(r), lw=1.2, label=run.name)
        for curve in (curve for curve in measured if curve.validation):
            label = f"{run.name}: {curve.system} (ratio {curve.ratio:.1f})"
            deviation = curve.g - curve.target.g
            right.plot(curve.target.r, deviation, lw=1.2, color=line.get_color(), label=label)
            right.fill_between(
                curve.target.r, -2 * curve.noise, 2 * curve.noise, color="#444444", alpha=0.12, lw=0
            )
    left.set(xlabel="r", ylabel="error of u(r)", ylim=(-0.05, 0.05))
    right.set(
        xlabel="r", ylabel="error of g(r), held out; grey: 2 standard errors", xlim=(0.8, 4.0)
    )
    for axes in (left, right):
        axes.axhline(0.0, color="#444444", lw=0.5)
        axes.legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
