"""Make the targets: g(r) of the Lennard-Jones fluid at three states, with LAMMPS's own lj/cut.

    python make_target.py [--steps 400000]

It takes minutes for each state; the results are kept in the repository.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from common import simulate_truth, write_target

STATES = {
    "liquid": (1.0, 0.7),
    "supercritical": (1.5, 0.5),
    "dense": (1.2, 0.85),
}  # temperature, density


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400_000)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--states", nargs="+", choices=STATES, default=list(STATES))
    arguments = parser.parse_args()
    for name in arguments.states:
        temperature, density = STATES[name]
        variables = {"temperature": temperature, "density": density, "seed": arguments.seed}
        commands = ["pair_style lj/cut/opt 2.5", "pair_coeff 1 1 1.0 1.0"]
        frames = simulate_truth(HERE / "in.lj", variables, commands, 1, arguments.steps)
        write_target(
            HERE / f"{name}.csv",
            frames,
            pair=0,
            comments=[
                "Radial distribution function of the Lennard-Jones fluid, lj units: columns r, "
                "g(r), standard error",
                f"1000 atoms, rho = {density}, T = {temperature}, cutoff 2.5, {arguments.steps} "
                f"steps of 0.005 (seed {arguments.seed}); made by make_target.py",
            ],
        )


if __name__ == "__main__":
    main()
