"""Compare learned potentials with those that the targets came from, the optimizers side by side.

    python compare.py RUN [RUN ...] [--figure comparison.png]

The true potentials and pressures are used here only. Prints a table and draws a figure; the exit
status is 1 if a run with Gauss-Newton misses a goal.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

import torch
from common import Array, Case, Curve, Run, Truth, compare, print_cases
from fluids import CUTOFF, FLUIDS

GOALS = {"rms": 0.03}
COLORS = {"gauss-newton": "#d1495b", "ibi": "#2e86ab"}


def fluid(run: Run) -> str:
    """Name of the fluid that a run learned: that of its target."""
    return run.config.systems[0].targets[0].rdf.stem


def truth(name: str) -> Truth:
    def energies(r: Array, a: int, b: int) -> Array:
        types = torch.zeros(len(r), dtype=torch.int64)
        with torch.no_grad():
            return np.asarray(FLUIDS[name](torch.tensor(r), types, types))

    return energies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--figure", type=Path, default=Path("comparison.png"))
    arguments = parser.parse_args()
    runs = [Run(folder) for folder in arguments.runs if (folder / "model.pt").is_file()]
    compared = [
        compare(run, truth(fluid(run)), {} if run.config.optimizer.name == "ibi" else GOALS)
        for run in runs
    ]
    cases = [case for of_run, _ in compared for case in of_run]
    draw(arguments.figure, runs, cases, [curves for _, curves in compared])
    sys.exit(0 if print_cases(cases) else 1)


def draw(path: Path, runs: list[Run], cases: list[Case], curves: list[list[Curve]]) -> None:
    """A column for each fluid: potential, g(r), and a table of errors."""
    names = [name for name in FLUIDS if any(fluid(run) == name for run in runs)]
    figure, grid = plt.subplots(
        2, len(names), figsize=(3.2 * len(names), 6.0), dpi=150, squeeze=False, layout="constrained"
    )
    for (upper, lower), name in zip(grid.T, names, strict=True):
        shown = [i for i, run in enumerate(runs) if fluid(run) == name]
        target = curves[shown[0]][0].target
        r = np.linspace(min(cases[i].interval[0] for i in shown) - 0.05, CUTOFF, 500)
        true = truth(name)(r, 0, 0)
        upper.plot(r, true, color="#444444", lw=3, alpha=0.5, label="true")
        lower.plot(target.r, target.g, color="#444444", lw=3, alpha=0.5, label="target")
        notes = [f"{'':13}   rms  pressure  steps"]
        for i in shown:
            optimizer, case = runs[i].config.optimizer.name, cases[i]
            color = COLORS.get(optimizer)
            upper.plot(r, runs[i].energies(r, 0, 0), color=color, lw=1.2, label=optimizer)
            lower.plot(target.r, curves[i][0].g, color=color, lw=1.2, label=optimizer)
            notes.append(
                f"{optimizer:13}{case.rms:6.3f}{case.pressure:+10.3f}{case.md_steps / 1000:6.0f}k"
            )
        upper.set(title=name, ylim=(min(true.min(), 0.0) - 0.5, 4.0))
        upper.text(
            0.98, 0.98, "\n".join(notes), transform=upper.transAxes, ha="right", va="top",
            family="monospace", fontsize=6.5,
        )  # fmt: skip
        lower.set(xlabel="r", xlim=(0.7, 3.5))
    grid[0, 0].set_ylabel("u(r) / kT")
    grid[1, 0].set_ylabel("g(r)")
    grid[1, 0].legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
