"""Compare learned potentials of argon with what is known of argon.

    python compare.py RUN [RUN ...] [--figure comparison.png]

Prints the well of each potential with the standard deviation that the training leaves of the
potential, and pressures of fresh simulations: at 85 K, where the g(r) was measured, and at 120 K
and the density of the liquid there, where nothing was learned.  The exit status is 1 if a well is
outside of what is known of argon, or a pressure that was a target is missed by two errors.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from common import Run, rdfs

from diffsim.simulation import Frames
from diffsim.statistics.time_series import standard_error
from diffsim.units import boltzmann

DEPTH, PLACE = (110.0, 145.0), (3.72, 3.85)  # K, angstrom: of the well, with the pressure
HOT_TEMPERATURE, HOT_DENSITY = 120.0, 0.01753  # K, atoms per cubic angstrom; at 12 atm
REACH = 17.0  # angstrom: nearly half of the box
PRESSURE_ERROR = 50.0  # atm, as in with_pressure.yaml


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--figure", type=Path, default=Path("comparison.png"))
    arguments = parser.parse_args()
    runs = [Run(folder) for folder in arguments.runs]
    cases, frames = zip(*(measure(run) for run in runs), strict=True)
    draw(arguments.figure, runs, frames)
    width = max(len(run.name) for run in runs)
    print(
        f"{'':{width}}  well (K)  at (A)  +- (K)  P at 85 K (atm)  P at 120 K (vapour 12)  MD steps"
    )
    for case in cases:
        print(
            f"{case['name']:{width}} {case['depth']:9.1f} {case['place']:7.3f} {case['error']:7.1f}"
            f" {case['pressure']:10.0f} +- {case['pressure_error']:2.0f}"
            f" {case['hot_pressure']:14.0f} +- {case['hot_pressure_error']:3.0f}"
            f" {case['md_steps']:12d}" + ("  <-- missed" if case["missed"] else "")
        )
    sys.exit(1 if any(case["missed"] for case in cases) else 0)


def measure(run: Run) -> tuple[dict, Frames]:
    """Well and pressures of a run, written to its comparison.json as well; frames at 85 K."""
    (system,) = run.config.systems
    k_b = boltzmann("real")
    r = np.linspace(3.0, run.potential.cutoff, 4000)
    energy = run.energies(r, 0, 0) / k_b
    lowest = int(np.argmin(energy))
    cold = run.fresh(system, REACH)
    warmer = system.model_copy(update={"temperature": HOT_TEMPERATURE})
    hot = run.fresh(warmer, REACH, density=HOT_DENSITY)
    given = any(entry.pressure is not None for entry in system.targets)
    case = {
        "name": run.name,
        "depth": float(-energy[lowest]),
        "place": float(r[lowest]),
        "error": (run.uncertainty or 0.0) / k_b,
        "pressure": float(cold.pressure.mean()),
        "pressure_error": float(standard_error(cold.pressure)),
        "hot_pressure": float(hot.pressure.mean()),
        "hot_pressure_error": float(standard_error(hot.pressure)),
        "md_steps": run.md_steps,
    }
    sane = DEPTH[0] <= case["depth"] <= DEPTH[1] and PLACE[0] <= case["place"] <= PLACE[1]
    met = abs(case["pressure"] - 1.0) <= 2.0 * np.hypot(PRESSURE_ERROR, case["pressure_error"])
    case["missed"] = bool(given and not (sane and met))
    (run.folder / "comparison.json").write_text(json.dumps([case], indent=1) + "\n")
    return case, cold


def draw(path: Path, runs: Sequence[Run], frames: Sequence[Frames]) -> None:
    """The measured g(r), and the potentials beside a known one."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), dpi=150, layout="constrained")
    (system,) = runs[0].config.systems
    target = rdfs(system)[0]
    left.plot(target.r, target.g, color="#444444", lw=3, alpha=0.5, label="measured")
    right.plot(*lennard_jones(), color="#444444", lw=3, alpha=0.5, label="Lennard-Jones, 120 K")
    for run, found in zip(runs, frames, strict=True):
        centres = 0.5 * (found.edges[:-1] + found.edges[1:])
        (line,) = left.plot(centres, found.rdf(0).mean(axis=0), lw=1.2, label=run.name)
        r = np.linspace(3.0, run.potential.cutoff, 1000)
        energy = run.energies(r, 0, 0) / boltzmann("real")
        right.plot(r, energy, lw=1.2, color=line.get_color(), label=run.name)
    left.set(xlabel="r (Å)", ylabel="g(r)", xlim=(2.5, 14.0))
    right.set(xlabel="r (Å)", ylabel="u(r) (K)", ylim=(-160.0, 200.0), xlim=(3.0, 9.0))
    for axes in (left, right):
        axes.legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)


def lennard_jones() -> tuple[np.ndarray, np.ndarray]:
    """The Lennard-Jones potential that is usual for liquid argon: 120 K and 3.405 angstrom."""
    r = np.linspace(3.0, 12.0, 1000)
    x6 = (3.405 / r) ** 6
    return r, 4.0 * 120.0 * (x6**2 - x6)


if __name__ == "__main__":
    main()
