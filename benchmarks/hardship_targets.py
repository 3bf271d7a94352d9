"""Make the targets of hardship.py: g(r) of each liquid with its error, and the pressure.

    python benchmarks/hardship_targets.py [FLUID ...] [--steps N]

A liquid takes a minute to a quarter of an hour; the results are kept in the repository.
"""

import argparse
import time

from hardship_cases.fluids import FLUIDS, Fluid

from diffsim import _core
from diffsim.records.frames import by_species
from diffsim.simulation import Frames, lammps_instance
from diffsim.statistics.time_series import standard_error
from diffsim.targets import write_rdf

SEED, EVERY = 20261130, 50
MADE = [name for name, fluid in FLUIDS.items() if fluid.file is None]


def simulate(fluid: Fluid, steps: int) -> tuple[Frames, float]:
    """Frames of a run with the true interactions, and its steps per second."""
    script = fluid.made_in or fluid.script
    variables = {
        "temperature": fluid.temperature,
        "seed": SEED,
        "folder": script.parent,
        "timestep": fluid.timestep,
        **fluid.variables,
    }
    commands = fluid.commands or (fluid.truth.commands if fluid.truth else ())
    bins = round(fluid.reach / fluid.width)
    molecule = "molecule inter" if fluid.intermolecular else ""
    with lammps_instance(None, variables) as lammps:
        lammps.file(str(script))
        lammps.commands_list([*commands, f"run {fluid.equilibration}"])
        lammps.command(f"fix counts all diffsim/counts {EVERY} rdf {bins} {fluid.reach} {molecule}")
        began = time.perf_counter()
        lammps.command(f"run {steps}")
        speed = steps / (time.perf_counter() - began)
        types = fluid.types or tuple(range(len(fluid.species)))
        recorded = _core.take_frames(lammps.lmp.value, "counts")
    return by_species(recorded, types, len(fluid.species)), speed


def write(fluid: Fluid, frames: Frames, steps: int) -> None:
    """Write the files of all pairs."""
    centres = 0.5 * (frames.edges[:-1] + frames.edges[1:])
    pressure, error = frames.pressure.mean(), float(standard_error(frames.pressure))
    atoms = int(frames.atoms.sum())
    for index, pair in enumerate(fluid.pairs):
        g = frames.rdf(index)
        write_rdf(
            fluid.target(pair),
            centres,
            g.mean(axis=0).round(6),
            standard_error(g).round(7),
            comments=[
                f"Radial distribution function of the pair {'-'.join(pair)}, {fluid.units} units: "
                "columns r, g(r), standard error",
                fluid.state,
                f"{atoms} atoms, {steps} steps of {fluid.timestep} (seed {SEED}); made by "
                "hardship_targets.py",
                f"pressure of that run: {pressure:.4f} +- {error:.4f}",
                f"atoms: {atoms}",
                "norm: N-1",
            ],
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fluids", nargs="*", metavar="fluid", help=f"of {', '.join(MADE)}")
    parser.add_argument("--steps", type=int, help="MD steps, instead of those of each liquid")
    arguments = parser.parse_args()
    unknown = set(arguments.fluids) - set(MADE)
    if unknown:
        parser.error(f"the liquids are {', '.join(MADE)}, but '{min(unknown)}' was given")
    for name in arguments.fluids or MADE:
        fluid = FLUIDS[name]
        steps = arguments.steps or fluid.steps
        frames, speed = simulate(fluid, steps)
        write(fluid, frames, steps)
        pressure = frames.pressure.mean()
        kinetic = frames.temperature.mean()
        print(f"{name}: {speed:.0f} steps/s, T {kinetic:.4g}, P {pressure:.4g}", flush=True)


if __name__ == "__main__":
    main()
