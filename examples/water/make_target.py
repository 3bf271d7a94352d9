"""Make target.csv: g(r) of the oxygens of SPC/E water from a run with all atoms, and its pressure.

    python make_target.py [--steps 50000]

The run takes about six minutes; its result is kept in the repository.
"""

import argparse
from pathlib import Path

from diffsim import _core
from diffsim.records.frames import by_species
from diffsim.simulation import lammps_instance
from diffsim.statistics.time_series import standard_error
from diffsim.targets import write_rdf

HERE = Path(__file__).resolve().parent
TEMPERATURE = 300.0
BINS, RANGE, EVERY = 240, 12.0, 50
EQUILIBRATION = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=20261122)
    arguments = parser.parse_args()
    steps, seed = arguments.steps, arguments.seed

    variables = {"temperature": TEMPERATURE, "seed": seed, "folder": HERE}
    with lammps_instance(None, variables) as lammps:
        lammps.file(str(HERE / "in.spce"))
        lammps.commands_list(
            [
                f"run {EQUILIBRATION}",
                f"fix counts all diffsim/counts {EVERY} rdf {BINS} {RANGE}",
                f"run {steps}",
            ]
        )
        # of the types O and H, the bead stands for O
        frames = by_species(_core.take_frames(lammps.lmp.value, "counts"), [0, -1], 1)

    g = frames.rdf(pair=0)
    edges = frames.edges
    pressure = frames.pressure.mean(), standard_error(frames.pressure)
    write_rdf(
        HERE / "target.csv",
        0.5 * (edges[:-1] + edges[1:]),
        g.mean(axis=0),
        standard_error(g),
        comments=[
            "Radial distribution function of the oxygens of SPC/E water, real units: columns "
            "r (A), g(r), standard error",
            f"{frames.atoms[0]} molecules, 0.998 g/cc, {TEMPERATURE:g} K, {steps} steps of 2 fs "
            f"(seed {seed}); made by make_target.py",
            f"pressure of that run: {pressure[0]:.0f} +- {pressure[1]:.0f} atm, "
            f"temperature {frames.temperature.mean():.1f} K",
        ],
        atoms=int(frames.atoms[0]),  # beads, of which the simulated system has as many
        norm="N-1",
    )


if __name__ == "__main__":
    main()
