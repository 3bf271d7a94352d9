"""Compare the learned potentials of a mixture with the true ones, and at a composition held out.

    python compare.py RUN [--figure comparison.png]

The true potentials and the truth's pressures are used here only. Prints a table with a row for each
pair of species and draws a figure; the exit status is 1 if a goal is missed.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from common import Case, Curve, Run, compare, print_cases
from mixtures import MIXTURES, PAIRS, Mixture

GOALS = {"rms": 0.03, "held_out": 2.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--figure", type=Path, default=Path("comparison.png"))
    arguments = parser.parse_args()
    run = Run(arguments.run)
    mixture = MIXTURES[run.config.systems[0].name]
    cases, curves = compare(run, mixture.energies, GOALS)
    draw(arguments.figure, run, mixture, cases, curves)
    sys.exit(0 if print_cases(cases) else 1)


def draw(path: Path, run: Run, mixture: Mixture, cases: list[Case], curves: list[Curve]) -> None:
    """A column for each pair: potentials, and g(r) of the systems held out, or else of all."""
    known = [curve for curve in curves if curve.validation] or curves
    figure, grid = plt.subplots(2, 3, figsize=(9.6, 6.0), dpi=150, layout="constrained")
    for (upper, lower), ((a, b), pair), case in zip(grid.T, PAIRS.items(), cases, strict=True):
        r = np.linspace(case.interval[0] - 0.02, case.interval[1], 500)
        true = mixture.energies(r, a, b)
        upper.plot(r, true, color="#444444", lw=3, alpha=0.5, label="true")
        upper.plot(r, run.energies(r, a, b), color="#d1495b", lw=1.2, label="learned")
        upper.set(title=f"{pair}: rms {case.rms:.3f}", ylim=(1.4 * true.min(), -2.5 * true.min()))
        for curve in known:
            if "-".join(curve.target.pair) == pair:
                target = curve.target
                lower.plot(target.r, target.g, color="#444444", lw=3, alpha=0.5)
                lower.plot(target.r, curve.g, color="#d1495b", lw=1.2)
                kind = "held out" if curve.validation else "trained on"
                lower.set_title(f"{curve.system}, {kind}: ratio {curve.ratio:.1f}", fontsize=9)
        lower.set(xlabel="r", xlim=(0.6, 4.0))
    grid[0, 0].set_ylabel("u(r)")
    grid[1, 0].set_ylabel("g(r)")
    grid[0, 0].legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
