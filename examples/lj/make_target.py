"""Make target.csv: g(r) of the Lennard-Jones fluid from a long run with LAMMPS's own lj/cut.

    python make_target.py [--steps 1000000]

The run takes minutes; its result is kept in the repository.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from common import simulate_truth, write_target

TEMPERATURE = 1.0
COMMANDS = ["pair_style lj/cut 2.5", "pair_coeff 1 1 1.0 1.0"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=20261122)
    arguments = parser.parse_args()
    steps, seed = arguments.steps, arguments.seed

    variables = {"temperature": TEMPERATURE, "seed": seed}
    frames = simulate_truth(HERE / "in.lj", variables, COMMANDS, 1, steps)
    write_target(
        HERE / "target.csv",
        frames,
        pair=0,
        comments=[
            "Radial distribution function of the Lennard-Jones fluid, lj units: columns r, g(r), "
            "standard error",
            "1000 atoms, rho = 0.7, T = 1.0, cutoff 2.5, "
            f"{steps} steps of 0.005 (seed {seed}); made by make_target.py",
        ],
    )


if __name__ == "__main__":
    main()
