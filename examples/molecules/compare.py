"""Compare a learned potential with the Lennard-Jones potential that its target came from.

    python compare.py RUN_DIRECTORY

The true potential is used here only. Prints the errors of the potential where the intermolecular
g(r) exceeds 0.1 and the pressure of a fresh simulation with it, and plots both potentials.
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

HERE = Path(__file__).resolve().parent
TRUE_PRESSURE = 0.032  # +- 0.003, of the run that made target.csv
SEEN = 0.1  # of g
STEPS = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run")
    run = parser.parse_args().run
    potential = diffsim.potentials.load(run / "model.pt")
    true = diffsim.potentials.LennardJones(species=["A"], cutoff=potential.cutoff)
    target = RDF.from_file(HERE / "target.csv", pair=("A", "A"))

    contact = float(target.r[np.argmax(target.g > SEEN)])
    r = torch.linspace(contact, potential.cutoff, 1000, dtype=torch.float64)
    types = torch.zeros(len(r), dtype=torch.int64)
    with torch.no_grad():
        error = (potential(r, types, types) - true(r, types, types)).numpy()

    grid, _ = choose_grid(potential, 1e-4)
    system = System(HERE / "in.molecules", temperature=1.0, targets=[target])
    with tempfile.TemporaryDirectory() as scratch:
        frames, _ = simulate(
            system,
            core_knots(grid, knot_values(potential, grid).detach().numpy()),
            Recording(relaxation=5000, steps=STEPS, every=20, rdf_bins=1, rdf_range=1.0),
            seed=987,
            start=None,
            scratch=Path(scratch),
        )
    pressure, uncertainty = frames.pressure.mean(), float(standard_error(frames.pressure))
    steps = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["md_steps"]

    plot_potential(run / "comparison.png", potential, grid, reference=true)
    rms, largest = float(np.sqrt(np.mean(error**2))), float(np.abs(error).max())
    checks = [
        (
            f"rms error on [{contact:.2f}, {potential.cutoff:g}]     {rms:.4f} eps (at most 0.03)",
            rms <= 0.03,
        ),
        (f"largest error                 {largest:.4f} eps", True),
        (
            f"pressure of a fresh run       {pressure:.3f} +- {uncertainty:.3f} "
            f"(true {TRUE_PRESSURE:.3f}, within 0.2)",
            abs(pressure - TRUE_PRESSURE) <= 0.2,
        ),
        (f"MD steps of the training      {steps}", True),
    ]
    for line, passed in checks:
        print(line, "" if passed else "  <-- missed")
    sys.exit(0 if all(passed for _, passed in checks) else 1)


if __name__ == "__main__":
    main()
