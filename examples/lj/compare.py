"""Compare a learned potential with the Lennard-Jones potential that its target came from.

    python compare.py RUN_DIRECTORY

The true potential is used here only. Prints the errors of the potential on r in [0.95, 2.5] and the
pressure of a fresh simulation with it, and plots both potentials.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import diffsim
from diffsim.gradients.statistics import standard_error
from diffsim.knots import choose_grid, core_knots, knot_values
from diffsim.report.plots import plot_potential
from diffsim.simulation import Recording, System, simulate
from diffsim.targets import RDF

HERE = Path(__file__).parent
TRUE_PRESSURE = 0.530  # +- 0.001, of the run that made target.csv
RANGE = (0.95, 2.5)
STEPS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run")
    run = parser.parse_args().run
    potential = diffsim.potentials.load(run / "model.pt")
    true = diffsim.potentials.LennardJones(species=["A"], cutoff=potential.cutoff)

    r = torch.linspace(*RANGE, 1000, dtype=torch.float64)
    types = torch.zeros(len(r), dtype=torch.int64)
    with torch.no_grad():
        error = (potential(r, types, types) - true(r, types, types)).numpy()

    grid, _ = choose_grid(potential, 1e-4)
    target = RDF.from_file(HERE / "target.csv", pair=("A", "A"))
    system = System(HERE / "in.lj", temperature=1.0, targets=[target])
    with tempfile.TemporaryDirectory() as scratch:
        frames, _ = simulate(
            system,
            core_knots(grid, knot_values(potential, grid).detach().numpy()),
            Recording(relaxation=3000, steps=STEPS, every=20, rdf_bins=1, rdf_range=1.0),
            seed=987,
            start=None,
            scratch=Path(scratch),
        )
    pressure, uncertainty = frames.pressure.mean(), float(standard_error(frames.pressure))
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    simulated = sum(record["seconds_simulation"] for record in records)
    gradient = sum(record["seconds_gradient"] for record in records)

    plot_potential(run / "comparison.png", potential, grid, reference=true)
    rms, largest = float(np.sqrt(np.mean(error**2))), float(np.abs(error).max())
    checks = [
        (f"rms error of the potential    {rms:.4f} eps (at most 0.04)", rms <= 0.04),
        (f"largest error                 {largest:.4f} eps (at most 0.12)", largest <= 0.12),
        (
            f"pressure of a fresh run       {pressure:.3f} +- {uncertainty:.3f} "
            f"(true {TRUE_PRESSURE:.3f}, within 0.4)",
            abs(pressure - TRUE_PRESSURE) <= 0.4,
        ),
        (
            f"MD steps of the training      {records[-1]['md_steps']} (at most 30000)",
            records[-1]["md_steps"] <= 30_000,
        ),
        (
            f"gradient / simulation time    {100 * gradient / simulated:.1f} % (at most 5 %)",
            gradient <= 0.05 * simulated,
        ),
    ]
    for line, passed in checks:
        print(line, "" if passed else "  <-- missed")
    sys.exit(0 if all(passed for _, passed in checks) else 1)


if __name__ == "__main__":
    main()
