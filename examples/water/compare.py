"""Compare learned one-bead water with the SPC/E water that its targets came from.

    python compare.py RUN [RUN ...] [--figure comparison.png]

Simulates the learned potentials anew, prints the errors of their g(r) and of their pressures, and
draws g(r) and the potentials. The exit status is 1 if g(r) is off, or the pressure where it was a
target.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from common import Curve, Run, rdf_file, rdfs, recorded_pressure

from diffsim.statistics.time_series import standard_error

GOALS = {"mse": 1e-4, "pressure": 100.0}  # of g(r); in atm, where the pressure is a target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--figure", type=Path, default=Path("comparison.png"))
    arguments = parser.parse_args()
    runs = [Run(folder) for folder in arguments.runs]
    measured = [measure(run) for run in runs]
    draw(arguments.figure, runs, [curve for curve, _ in measured])
    width = max(len(run.name) for run in runs)
    print(f"{'':{width}} mean square error of g(r) (noise)   pressure off by (atm)   MD steps")
    for run, (_, case) in zip(runs, measured, strict=True):
        print(
            f"{run.name:{width}} {case['mse']:22.1e} ({case['noise']:.1e})"
            f" {case['pressure']:15.0f} +- {case['pressure_error']:3.0f} {case['md_steps']:10d}"
            + ("  <-- missed" if case["missed"] else "")
        )
    sys.exit(1 if any(case["missed"] for _, case in measured) else 0)


def measure(run: Run) -> tuple[Curve, dict]:
    """Errors of a run in a fresh simulation; written to its comparison.json as well."""
    (system,) = run.config.systems
    (target,) = rdfs(system)
    frames = run.fresh(system)
    g = target.observe(frames, run.potential.species)
    curve = Curve(system.name, False, target, g.mean(axis=0), standard_error(g))
    true_pressure, true_error = recorded_pressure(rdf_file(system))
    mse = float(np.mean((curve.g - target.g) ** 2))
    pressure = float(frames.pressure.mean()) - true_pressure
    given = any(entry.pressure is not None for entry in system.targets)
    case = {
        "name": run.name,
        "mse": mse,
        "noise": float(np.mean(curve.noise**2)),
        "pressure": pressure,
        "pressure_error": float(np.hypot(standard_error(frames.pressure), true_error)),
        "md_steps": run.md_steps,
        "goals": {key: GOALS[key] for key in GOALS if given or key != "pressure"},
    }
    case["missed"] = mse > GOALS["mse"] or (given and abs(pressure) > GOALS["pressure"])
    (run.folder / "comparison.json").write_text(json.dumps([case], indent=1) + "\n")
    return curve, case


def draw(path: Path, runs: list[Run], curves: list[Curve]) -> None:
    """The target and the measured g(r), and the potentials."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), dpi=150, layout="constrained")
    target = curves[0].target
    left.plot(target.r, target.g, color="#444444", lw=3, alpha=0.5, label="SPC/E, oxygens")
    for run, curve in zip(runs, curves, strict=True):
        (line,) = left.plot(target.r, curve.g, lw=1.2, label=run.name)
        r = np.linspace(2.4, run.potential.cutoff, 1000)
        right.plot(r, run.energies(r, 0, 0), lw=1.2, color=line.get_color(), label=run.name)
    left.set(xlabel="r (Å)", ylabel="g(r)", xlim=(2.0, 12.0))
    right.set(xlabel="r (Å)", ylabel="u(r) (kcal/mol)", ylim=(-1.0, 2.5))
    for axes in (left, right):
        axes.legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
