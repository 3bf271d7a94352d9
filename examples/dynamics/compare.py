"""Compare what learned potentials say of the motion of B with the target, in fresh simulations.

    python compare.py RUN [RUN ...] [--figure comparison.png]

Prints a table and draws a figure.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

import diffsim
from diffsim.knots import choose_grid, core_knots, knot_values
from diffsim.response.adjoint import motion, window_of
from diffsim.simulation import Recording, System, simulate_windows
from diffsim.statistics.time_series import standard_error
from diffsim.targets import RDF, VACF, window_averages

TEMPERATURES = {"cool": 1.0, "warm": 1.4}
SPECIES = ["A", "B"]
WINDOWS, SPACING, TIMESTEP = 1000, 40, 0.005


@dataclass
class Found:
    """A run at one temperature: root mean square errors, and what noise makes of them."""

    rdf: tuple[float, float]
    vacf: tuple[float, float]
    z: np.ndarray
    target: VACF


def measure(folder: Path, name: str) -> Found:
    potential = diffsim.potentials.load(folder / "model.pt")
    temperature = TEMPERATURES[name]
    rdf = RDF.from_file(HERE / f"rdf_{name}.csv", ("A", "A"))
    vacf = VACF.from_file(HERE / f"vacf_B_{name}.csv", "B")
    system = System(HERE / "in.mixture", temperature, window_averages([vacf]))
    grid, _ = choose_grid(potential, 1e-4)
    knots = core_knots(grid, knot_values(potential, grid).detach().numpy())

    def analyse(trajectory, species):
        window = window_of(trajectory, species, len(SPECIES), temperature)
        return motion(window, [vacf], SPECIES), np.empty((0, 0))

    recording = Recording(6000, WINDOWS * SPACING, SPACING, len(rdf.r), float(rdf.edges[-1]))
    length = round(max(vacf.times) / TIMESTEP)
    with tempfile.TemporaryDirectory() as scratch:
        frames, _ = simulate_windows(
            system, knots, recording, length, 987, None, Path(scratch), analyse
        )
    g, z = frames.rdf(0), frames.motion
    return Found(
        deviation(g, rdf.g, rdf.error), deviation(z, vacf.value, vacf.error), z.mean(axis=0), vacf
    )


def deviation(
    series: np.ndarray, target: np.ndarray, error: np.ndarray | None
) -> tuple[float, float]:
    """Root mean square deviation from a target, and what it would be by the noise of both."""
    assert error is not None
    noise = standard_error(series) ** 2 + error**2
    found = (series.mean(axis=0) - target) ** 2
    return float(np.sqrt(found.mean())), float(np.sqrt(noise.mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--figure", type=Path, default=Path("comparison.png"))
    arguments = parser.parse_args()
    results = {}
    print(f"{'rms error (noise)':28}{'g(r) of A-A':>18}{'VACF of B':>18}")
    for folder in arguments.runs:
        of_run = {name: measure(folder, name) for name in TEMPERATURES}
        for name, found in of_run.items():
            cells = "".join(f"{e:>10.4f} ({n:.4f})" for e, n in (found.rdf, found.vacf))
            print(f"{folder.resolve().name + ', ' + name:28}{cells}", flush=True)
            results[folder.resolve().name, name] = found
        numbers = {name: {"rdf": f.rdf, "vacf": f.vacf} for name, f in of_run.items()}
        (folder / "comparison.json").write_text(json.dumps(numbers, indent=1))
    draw(arguments.figure, results)


def draw(path: Path, results: dict[tuple[str, str], Found]) -> None:
    """The velocity autocorrelation of B at both temperatures."""
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.6), dpi=150, layout="constrained")
    for axis, name in zip(axes, TEMPERATURES, strict=True):
        drawn = False
        for (run, temperature), found in results.items():
            if temperature != name:
                continue
            target = found.target
            if not drawn:
                axis.errorbar(
                    target.time,
                    target.value,
                    2 * target.error,
                    fmt="o",
                    ms=4,
                    color="#444444",
                    label="target, 2 standard errors",
                )
                drawn = True
            axis.plot(target.time, found.z, lw=1.3, label=run)
        held_out = " (held out)" if name == "warm" else ""
        axis.set(xlabel="t", title=f"T = {TEMPERATURES[name]}{held_out}")
        axis.axhline(0.0, color="#444444", lw=0.5)
    axes[0].set_ylabel("velocity autocorrelation of B")
    axes[0].legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
