"""Compare learned one-bead water with the SPC/E water that its targets came from.

    python compare.py RUN_DIRECTORY

Simulates the learned potential anew, prints the errors of its g(r) and of its pressure, and plots
g(r) and the potential. The pressure has to agree only where it was a target.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import torch
import yaml

import diffsim
from diffsim.gradients.statistics import standard_error
from diffsim.knots import choose_grid, core_knots, knot_values
from diffsim.simulation import Recording, System, simulate
from diffsim.targets import RDF

matplotlib.use("Agg")
from matplotlib import pyplot as plt

HERE = Path(__file__).resolve().parent
TEMPERATURE = 300.0
PRESSURE = 0.0  # atm, +- 0, of the run that made target.csv
RELAXATION, STEPS, EVERY = 5000, 50_000, 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run")
    run = parser.parse_args().run
    potential = diffsim.potentials.load(run / "model.pt")
    target = RDF.from_file(HERE / "target.csv", pair=("W", "W"))

    grid, _ = choose_grid(potential, 1e-4)
    width = float(target.edges[1])
    bins = len(target.r)
    system = System(HERE / "in.water", temperature=TEMPERATURE, targets=[target])
    with tempfile.TemporaryDirectory() as scratch:
        frames, _ = simulate(
            system,
            core_knots(grid, knot_values(potential, grid).detach().numpy()),
            Recording(RELAXATION, STEPS, EVERY, bins, bins * width),
            seed=987,
            start=None,
            scratch=Path(scratch),
        )
    g = target.observe(frames, ["W"])
    measured = g.mean(axis=0)
    noise = np.hypot(standard_error(g), target.error)
    error = float(np.mean((measured - target.g) ** 2))
    expected = float(np.mean(noise**2))
    pressure, uncertainty = frames.pressure.mean(), float(standard_error(frames.pressure))
    plot(run / "comparison.png", potential, grid, target, measured)

    targets = yaml.safe_load((run / "config.yaml").read_text())["systems"][0]["targets"]
    pressed = any("pressure" in entry for entry in targets)
    steps = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["md_steps"]
    checks = [
        (
            f"mean square error of g(r)     {error:.1e} (at most 1e-4; {expected:.1e} of noise)",
            error <= 1e-4,
        ),
        (
            f"pressure of a fresh run       {pressure:.0f} +- {uncertainty:.0f} atm (SPC/E "
            f"{PRESSURE:.0f}, {'within 100' if pressed else 'not a target'})",
            abs(pressure - PRESSURE) <= 100.0 or not pressed,
        ),
        (f"MD steps of the training      {steps}", True),
    ]
    for line, passed in checks:
        print(line, "" if passed else "  <-- missed")
    sys.exit(0 if all(passed for _, passed in checks) else 1)


def plot(path, potential, grid, target, measured) -> None:
    """The target and the measured g(r), their difference, and the potential."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), dpi=100, layout="constrained")
    left.plot(target.r, target.g, color="#444444", lw=3, alpha=0.5, label="SPC/E, oxygens")
    left.plot(target.r, measured, color="#d1495b", lw=1.2, label="one bead")
    left.plot(
        target.r, 10.0 * (measured - target.g), color="#00798c", lw=0.8, label="10 x difference"
    )
    left.set(xlabel="r (Å)", ylabel="g(r)", xlim=(2.0, target.edges[-1]))
    left.legend(frameon=False)
    r = np.linspace(grid.inner[0], grid.cutoff, 1000)
    types = torch.zeros(len(r), dtype=torch.int64)
    with torch.no_grad():
        u = potential(torch.tensor(r), types, types).numpy()
    right.plot(r, u, color="#d1495b", lw=1.2)
    right.axhline(0.0, color="#444444", lw=0.5)
    right.set(xlabel="r (Å)", ylabel="u(r) (kcal/mol)", xlim=(2.0, grid.cutoff))
    right.set_ylim(u.min() - 0.3, 2.5)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
