"""Compare a learned potential with the Lennard-Jones potential that its target came from.

    python compare.py RUN_DIRECTORY

The true potential is used here only. Prints the errors of the potential on r in [0.95, 2.5] and the
pressure of a fresh simulation with it, and plots both potentials.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from common import Array, Run, compare

import diffsim
from diffsim.knots import choose_grid
from diffsim.report.plots import plot_potential

CUTOFF = 2.5
INTERVAL = (0.95, 2.5)
GOALS = {"rms": 0.01, "largest": 0.03, "pressure": 0.1, "md_steps": 25_000}
PRESSURE_GOAL = 0.02  # where the pressure is a target
GRADIENT = 0.05  # of the simulations' time


def lennard_jones(r: Array, a: int = 0, b: int = 0) -> Array:
    x6, end = r**-6.0, CUTOFF**-6.0
    return np.asarray(np.where(r < CUTOFF, 4.0 * (x6**2 - x6 - end**2 + end), 0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run")
    run = Run(parser.parse_args().run)
    given = any(target.pressure is not None for target in run.config.systems[0].targets)
    goals = GOALS | ({"pressure": PRESSURE_GOAL} if given else {})
    (case,), _ = compare(run, lennard_jones, goals, INTERVAL)
    grid, _ = choose_grid(run.potential, 1e-4)
    true = diffsim.potentials.LennardJones(species=["A"], cutoff=CUTOFF)
    plot_potential(run.folder / "comparison.png", run.potential, grid, reference=true)

    simulated = sum(record["seconds_simulation"] for record in run.metrics)
    gradient = sum(record["seconds_gradient"] for record in run.metrics)
    lines = {
        "rms": f"rms error of the potential    {case.rms:.4f} eps (at most {goals['rms']})",
        "largest": f"largest error                 {case.largest:.4f} eps "
        f"(at most {goals['largest']})",
        "pressure": f"pressure of a fresh run       {case.pressure:+.3f} off the true one "
        f"(within {goals['pressure']})",
        "md_steps": f"MD steps of the training      {case.md_steps} (at most {goals['md_steps']})",
    }
    for key, line in lines.items():
        print(line, "  <-- missed" if case.missed(key) else "")
    slow = gradient > GRADIENT * simulated
    share = f"gradient / simulation time    {100 * gradient / simulated:.1f} % "
    print(f"{share}(at most {100 * GRADIENT:.0f} %)", "  <-- missed" if slow else "")
    sys.exit(1 if slow or any(case.missed(key) for key in goals) else 0)


if __name__ == "__main__":
    main()
