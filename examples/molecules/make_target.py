"""Make target.csv: the intermolecular g(r) from a run with the true pair potential, lj/cut.

    python make_target.py [--steps 300000]

The run takes minutes; its result is kept in the repository.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from common import simulate_truth, write_target

TEMPERATURE = 1.0
COMMANDS = ["pair_style lj/cut 2.5", "pair_coeff 1 1 1.0 1.0"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=20261122)
    arguments = parser.parse_args()
    steps, seed = arguments.steps, arguments.seed

    variables = {"temperature": TEMPERATURE, "seed": seed, "folder": HERE}
    frames = simulate_truth(
        HERE / "in.molecules", variables, COMMANDS, 1, steps, options="molecule inter"
    )
    write_target(
        HERE / "target.csv",
        frames,
        pair=0,
        comments=[
            "Radial distribution function of beads of different molecules, lj units: columns r, "
            "g(r), standard error",
            f"324 molecules of three beads, bead density 0.8, T = {TEMPERATURE}, cutoff 2.5, "
            f"{steps} steps of 0.005 (seed {seed}); made by make_target.py",
        ],
    )


if __name__ == "__main__":
    main()
