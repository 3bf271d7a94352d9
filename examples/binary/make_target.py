"""Make the targets: g(r) of the three pairs of each mixture, with LAMMPS's own lj/cut.

    python make_target.py [--steps 200000]

It takes minutes for each state; the results are kept in the repository.
"""

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from common import simulate_truth, write_target
from mixtures import ATOMS, MIXTURES, PAIRS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--states", nargs="+", choices=MIXTURES, default=list(MIXTURES))
    arguments = parser.parse_args()
    for name in arguments.states:
        mixture = MIXTURES[name]
        b_atoms, density, temperature = mixture.states[name]
        variables = {
            "temperature": temperature,
            "density": density,
            "b_atoms": b_atoms,
            "seed": arguments.seed,
        }
        frames = simulate_truth(
            HERE / "in.mixture", variables, mixture.commands, 2, arguments.steps, mixture.reach
        )
        for index, pair in enumerate(PAIRS.values()):
            write_target(
                HERE / f"{name}_{pair}.csv",
                frames,
                pair=index,
                comments=[
                    f"Radial distribution function of the pair {pair} of the mixture {name}, lj "
                    "units: columns r, g(r), standard error",
                    f"{ATOMS} atoms, {b_atoms} of them B, rho = {density}, T = {temperature}, "
                    f"{arguments.steps} steps of 0.005 (seed {arguments.seed}); made by "
                    "make_target.py",
                ],
            )


if __name__ == "__main__":
    main()
