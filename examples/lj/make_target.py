"""Make target.csv: g(r) of the Lennard-Jones fluid from a long run with LAMMPS's own lj/cut.

    python make_target.py [--steps 1000000]

The run takes minutes; its result is kept in the repository.
"""

import argparse
from pathlib import Path

from diffsim import _core
from diffsim.gradients.statistics import standard_error
from diffsim.simulation import lammps_instance
from diffsim.simulation.frames import by_species
from diffsim.targets import write_rdf

HERE = Path(__file__).parent
TEMPERATURE = 1.0
BINS, RANGE, EVERY = 200, 4.0, 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=20261122)
    steps = parser.parse_args().steps
    seed = parser.parse_args().seed

    with lammps_instance(None, {"temperature": TEMPERATURE, "seed": seed}) as lammps:
        lammps.file(str(HERE / "in.lj"))
        lammps.commands_list(
            [
                "pair_style lj/cut 2.5",
                "pair_coeff 1 1 1.0 1.0",
                "timestep 0.005",  # shorter than that of the training's script
                "run 20000",
                f"fix counts all diffsim/counts {EVERY} rdf {BINS} {RANGE}",
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
            "Radial distribution function of the Lennard-Jones fluid, lj units: columns r, g(r), "
            "standard error",
            "1000 atoms, rho = 0.7, T = 1.0, cutoff 2.5, "
            f"{steps} steps of 0.005 (seed {seed}); made by make_target.py",
            f"pressure of that run: {pressure[0]:.4f} +- {pressure[1]:.4f}",
        ],
    )


if __name__ == "__main__":
    main()
