"""Compare a learned potential with the Lennard-Jones potential that its target came from.

    python compare.py RUN [--figure comparison.png]

The true potential and the truth's pressure are used here only. Prints a table and draws a figure;
the exit status is 1 if a goal is missed.
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
GOALS = {"rms": 0.03, "pressure": 0.2}


def lennard_jones(r: Array, a: int = 0, b: int = 0) -> Array:
    x6, end = r**-6.0, CUTOFF**-6.0
    return np.asarray(np.where(r < CUTOFF, 4.0 * (x6**2 - x6 - end**2 + end), 0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--figure", type=Path, default=Path("comparison.png"))
    arguments = parser.parse_args()
    run = Run(arguments.run)
    cases, (curve,) = compare(run, lennard_jones, GOALS)
    draw(arguments.figure, run, cases[0], curve)
    sys.exit(0 if print_cases(cases) else 1)


def draw(path: Path, run: Run, case: Case, curve: Curve) -> None:
    """The potentials, and g(r) between molecules."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), dpi=150, layout="constrained")
    r = np.linspace(case.interval[0] - 0.02, CUTOFF, 500)
    left.plot(r, lennard_jones(r), color="#444444", lw=3, alpha=0.5, label="true")
    left.plot(r, run.energies(r, 0, 0), color="#d1495b", lw=1.2, label="learned")
    left.set(xlabel="r", ylabel="u(r)", ylim=(-1.4, 2.5))
    right.plot(curve.target.r, curve.target.g, color="#444444", lw=3, alpha=0.5, label="target")
    right.plot(curve.target.r, curve.g, color="#d1495b", lw=1.2, label="learned")
    right.set(xlabel="r", ylabel="g(r) between molecules", xlim=(0.7, 4.0))
    for axes in (left, right):
        axes.legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
