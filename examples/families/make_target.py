"""Make the targets: g(r) of five fluids, with LAMMPS's own pair styles where it has them.

    python make_target.py [--steps 200000]

It takes minutes for each fluid; the results are kept in the repository.
"""

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from common import simulate_truth, write_target
from fluids import CUTOFF, FLUIDS, LAMMPS_STYLES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--fluids", nargs="+", choices=FLUIDS, default=list(FLUIDS))
    arguments = parser.parse_args()
    for name in arguments.fluids:
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / f"{name}.pt"
            FLUIDS[name].save(model)
            commands = LAMMPS_STYLES.get(
                name, ["pair_style diffsim tolerance 1e-6", f"pair_coeff * * {model} A"]
            )
            variables = {"temperature": 1.0, "seed": arguments.seed}
            frames = simulate_truth(HERE / "in.fluid", variables, commands, 1, arguments.steps)
        write_target(
            HERE / f"{name}.csv",
            frames,
            pair=0,
            comments=[
                f"Radial distribution function of the fluid {name}, lj units: columns r, g(r), "
                "standard error",
                f"1000 atoms, rho = 0.7, T = 1.0, cutoff {CUTOFF}, {arguments.steps} steps of "
                f"0.005 (seed {arguments.seed}); made by make_target.py",
            ],
        )


if __name__ == "__main__":
    main()
