"""Make the targets: g(r) of A-A and the velocity autocorrelation of B, at two temperatures.

    python make_target.py [--windows 4000]

The potential is the one that the training has to find: Lennard-Jones, with B bound to A more
strongly than A to itself. It takes a few minutes; the results are kept in the repository.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from diffsim.knots import choose_grid, core_knots, knot_values
from diffsim.potentials.mie import LennardJones
from diffsim.response.adjoint import motion, window_of
from diffsim.simulation import Recording, System, simulate_windows
from diffsim.statistics.time_series import standard_error
from diffsim.targets import VACF, window_averages, write_rdf

TEMPERATURES = {"cool": 1.0, "warm": 1.4}
SPECIES, CUTOFF = ["A", "B"], 2.5
EPSILON = [1.0, 2.5, 1.0]  # of A-A, A-B, B-B
TIMES = np.array([0.02, 0.05, 0.08, 0.11, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5])
BINS, RANGE = 200, 4.0


def truth() -> LennardJones:
    potential = LennardJones(SPECIES, CUTOFF)
    potential.load_state_dict(
        potential.state_dict() | {"log_epsilon": potential.log_epsilon.new_tensor(np.log(EPSILON))}
    )
    return potential


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=4000)
    arguments = parser.parse_args()
    grid, _ = choose_grid(truth(), 1e-5)
    knots = core_knots(grid, knot_values(truth(), grid).detach().numpy())
    targets = [VACF(TIMES, np.zeros_like(TIMES), name) for name in SPECIES]
    length = round(TIMES[-1] / 0.005)
    for name, temperature in TEMPERATURES.items():
        system = System(HERE / "in.mixture", temperature, window_averages(targets))

        def analyse(trajectory, species, kt=temperature):
            window = window_of(trajectory, species, len(SPECIES), kt)
            return motion(window, targets, SPECIES), np.empty((0, 0))

        with tempfile.TemporaryDirectory() as scratch:
            recording = Recording(10_000, arguments.windows * 40, 40, BINS, RANGE)
            frames, _ = simulate_windows(
                system, knots, recording, length, 20261123, None, Path(scratch), analyse
            )
        about = f"rho = 0.8, T = {temperature}, {arguments.windows} windows; made by make_target.py"
        g = frames.rdf(0)
        write_rdf(
            HERE / f"rdf_{name}.csv",
            0.5 * (frames.edges[1:] + frames.edges[:-1]),
            g.mean(axis=0),
            standard_error(g),
            comments=["g(r) of A-A, lj units: columns r, g(r), standard error", about],
            atoms=int(frames.atoms.sum()),
            norm="N-1",
        )
        values, errors = frames.motion.mean(axis=0), standard_error(frames.motion)
        for index, species in enumerate(SPECIES):
            part = slice(index * len(TIMES), (index + 1) * len(TIMES))
            table = np.stack([TIMES, values[part], errors[part]], axis=1)
            np.savetxt(
                HERE / f"vacf_{species}_{name}.csv",
                table,
                fmt="%.10g",
                delimiter=",",
                header=f"Velocity autocorrelation of {species}: columns time, Z, standard error\n"
                + about,
            )


if __name__ == "__main__":
    main()
