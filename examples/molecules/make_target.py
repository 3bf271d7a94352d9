"""Make target.csv: the intermolecular g(r) from a run with the true pair potential, lj/cut.

    python make_target.py [--steps 300000]

The run takes minutes; its result is kept in the repository.
"""

import argparse
from pathlib import Path

from diffsim import _core
from diffsim.gradients.statistics import standard_error
from diffsim.simulation import lammps_instance
from diffsim.simulation.frames import by_species
from diffsim.targets import write_rdf

HERE = Path(__file__).resolve().parent
TEMPERATURE = 1.0
BINS, RANGE, EVERY = 200, 4.0, 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=20261122)
    arguments = parser.parse_args()
    steps, seed = arguments.steps, arguments.seed

    variables = {"temperature": TEMPERATURE, "seed": seed, "folder": HERE}
    with lammps_instance(None, variables) as lammps:
        lammps.file(str(HERE / "in.molecules"))
        lammps.commands_list(
            [
                "pair_style lj/cut 2.5",
                "pair_coeff 1 1 1.0 1.0",
                "timestep 0.005",  # shorter than that of the training's script
                "run 20000",
                f"fix counts all diffsim/counts {EVERY} rdf {BINS} {RANGE} molecule inter",
                f"run {steps}",
            ]
        )
        frames = by_species(_core.take_frames(lammps.lmp.value, "counts"), [0], 1)

    g = frames.rdf(pair=0)
    edges = frames.edges
    pressure = frames.pressure.mean(), standard_error(frames.pressure)
    write_rdf(
        HERE / "target.csv",
        0.5 * (edges[:-1] + edges[1:]),
        g.mean(axis=0),
        standard_error(g),
        comments=[
            "Radial distribution function of beads of different molecules, lj units: columns r, "
            "g(r), standard error",
            f"324 molecules of three beads, bead density 0.8, T = {TEMPERATURE}, cutoff 2.5, "
            f"{steps} steps of 0.005 (seed {seed}); made by make_target.py",
            f"pressure of that run: {pressure[0]:.4f} +- {pressure[1]:.4f}",
        ],
    )


if __name__ == "__main__":
    main()
