"""How much faster is a training on two processes than on one?

    python benchmarks/parallel.py [--rounds 5] [--ranks 2]

Two systems, or two replicas of one, of 1000 Lennard-Jones atoms; the same config on one process and
on several, in turns. Prints the ratio of MD steps per second of simulation, with its standard error
over the rounds, that of the whole runs without their start, and the share of idle time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml

LJ = Path(__file__).resolve().parents[1] / "examples" / "lj"
SYSTEM = {"script": str(LJ / "in.lj"), "targets": [{"rdf": str(LJ / "target.csv")}]}
SYSTEM["targets"][0]["pair"] = ["A", "A"]
CASES = {
    "two systems": {
        "systems": [{"name": "a", "temperature": 1.0}, {"name": "b", "temperature": 1.0}]
    },
    "two replicas": {"systems": [{"name": "a", "temperature": 1.0}], "replicas": 2},
}


def configuration(case: dict) -> str:
    """Of a training of four iterations."""
    simulation = {"steps": 6000, "every": 20, "equilibration": 500, "relaxation": 250}
    simulation["replicas"] = case.get("replicas", 1)
    return yaml.safe_dump(
        {
            "units": "lj",
            "potential": {"form": "neural", "species": ["A"], "cutoff": 2.5},
            "systems": [{**SYSTEM, **system} for system in case["systems"]],
            "simulation": simulation,
            "optimizer": "ibi",  # takes all frames from the beginning
            "iterations": 4,
        }
    )


def measure(config: Path, ranks: int, out: Path) -> tuple[float, float, float]:
    """MD steps per second of simulation and of the whole run, and the share of idle time."""
    mpiexec = str(Path(sys.executable).parent / "mpiexec")
    command = [mpiexec, "-n", str(ranks), sys.executable, "-m", "diffsim.cli.main", "train"]
    subprocess.run(
        [*command, str(config), "--out", str(out)], check=True, stdout=subprocess.DEVNULL
    )
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    simulating = sum(record["seconds_simulation"] for record in records)
    learning = sum(record["seconds_gradient"] + record["seconds_update"] for record in records)
    idle = sum(record["seconds_idle"] for record in records)
    steps = records[-1]["md_steps"]
    return steps / simulating, steps / (simulating + learning), idle / simulating


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ranks", type=int, default=2)
    arguments = parser.parse_args()
    print("| | MD steps per second | of the whole run | idle |\n| --- | ---: | ---: | ---: |")
    for name, case in CASES.items():
        found = []
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "config.yaml"
            config.write_text(configuration(case))
            for number in range(arguments.rounds):
                one, several = (
                    measure(config, ranks, Path(folder) / f"{number}-{ranks}")
                    for ranks in (1, arguments.ranks)
                )
                found.append((several[0] / one[0], several[1] / one[1], several[2]))
        mean = np.mean(found, axis=0)
        error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
        cells = [f"{m:.2f} +- {e:.2f}" for m, e in zip(mean, error, strict=True)]
        print(f"| {name}, {arguments.ranks} against 1 | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
