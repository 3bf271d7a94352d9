"""How well are known potentials recovered? The examples with several seeds, in tables for the docs.

    python benchmarks/accuracy.py [lj lj_states families binary water molecules] [--seeds 3]
        [--out FOLDER]

A seed sets the initial weights of the network and all random numbers of the simulations. The runs
are kept where --out is given.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from diffsim.config.schema import dump_config, load_config

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
RUNS = {
    "lj": {"rdf": "config.yaml", "rdf_and_pressure": "with_pressure.yaml"},
    "lj_states": {"two_states": "config.yaml", "one_state": "one_state.yaml"},
    "families": {},  # by its train_all.py
    "binary": {"mixture": "config.yaml", "kob_andersen": "kob_andersen.yaml"},
    "water": {"rdf": "config.yaml", "rdf_and_pressure": "with_pressure.yaml"},
    "molecules": {"liquid": "config.yaml"},
}
"""Names and configurations of the runs of each example."""

COLUMNS = {
    "rms": ("rms error", "{:.4f}"),
    "uncertainty": ("its own estimate", "{:.4f}"),
    "largest": ("largest error", "{:.3f}"),
    "mse": ("mean square error of g(r)", "{:.1e}"),
    "pressure": ("pressure off by", "{:+.3f}"),
    "held_out": ("held-out g(r), error/noise", "{:.2f}"),
    "md_steps": ("MD steps", "{:.0f}"),
}
DONE = "comparison.json"
Case = dict[str, Any]


def train(example: str, seed: int, folder: Path) -> None:
    """Train all runs of an example, in folders named after them."""
    if example == "families":
        command = [sys.executable, str(EXAMPLES / example / "train_all.py")]
        quiet([*command, "--out", str(folder), "--seed", str(seed)], folder / "train.log")
        return
    for name, file in RUNS[example].items():
        config = load_config(EXAMPLES / example / file).model_copy(update={"seed": seed})
        written = folder / f"{name}.yaml"
        written.write_text(dump_config(config))
        command = [sys.executable, "-m", "diffsim.cli.main", "train", str(written)]
        quiet([*command, "--out", str(folder / name)], folder / f"{name}.log")


def compare(example: str, folder: Path) -> list[Case]:
    """Errors of all runs in a folder, as the example's compare.py finds them."""
    runs = sorted(path.parent for path in folder.glob("*/model.pt"))
    script = str(EXAMPLES / example / "compare.py")
    # a goal that is missed is a result, not a failure: the status is not looked at
    together = [[str(run) for run in runs]] if example == "families" else [[str(r)] for r in runs]
    for some in together:
        command = [sys.executable, script, *some]
        with (folder / "compare.log").open("a") as log:
            subprocess.run(command, stdout=log, stderr=log, check=False, cwd=folder)
    for run in runs:
        if not (run / DONE).is_file():
            sys.exit(f"{script} failed for {run}; its output is in {folder / 'compare.log'}.")
    return [case for run in runs for case in json.loads((run / DONE).read_text())]


def quiet(command: list[str], log: Path) -> None:
    """Run a command with its output in a file, and say which file if it fails."""
    with log.open("w") as output:
        status = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
    if status:
        sys.exit(f"{' '.join(command)} failed; its output is in {log}.")


def table(seeds: list[list[Case]]) -> list[str]:
    """Markdown: mean over the seeds, and in brackets the value of the worst one."""
    keys = [key for key in COLUMNS if any(case.get(key) is not None for case in seeds[0])]
    lines = [
        "| | " + " | ".join(COLUMNS[key][0] for key in keys) + " |",
        "| --- |" + " ---: |" * len(keys),
    ]
    by_name: dict[str, list[Case]] = {}
    for case in (case for cases in seeds for case in cases):
        by_name.setdefault(case["name"], []).append(case)
    for name, cases in by_name.items():
        cells = []
        for key in keys:
            text = COLUMNS[key][1]
            values = np.array([case[key] for case in cases if case.get(key) is not None])
            if not len(values):
                cells.append("")
                continue
            worst = values[np.abs(values).argmax()]
            mean = text.format(values.mean())
            if key in ("rms", "pressure", "held_out") and len(values) > 1:
                mean += " +- " + text.format(values.std(ddof=1)).lstrip("+")
            goal = cases[0]["goals"].get(key)
            missed = goal is not None and abs(worst) > goal
            bracket = "" if key in ("md_steps", "uncertainty") else f" ({text.format(worst)})"
            cells.append(mean + bracket + (f", goal {goal:g} missed" if missed else ""))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("examples", nargs="*", metavar="example", help="by default all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="new folder for the runs")
    arguments = parser.parse_args()
    unknown = set(arguments.examples) - set(RUNS)
    if unknown:
        parser.error(f"the examples are {', '.join(RUNS)}, but '{min(unknown)}' was given")
    print(f"Seeds 1 to {arguments.seeds}: mean +- spread (the worst seed).")
    with tempfile.TemporaryDirectory() as temporary:
        out = (arguments.out or Path(temporary)).absolute()
        for example in arguments.examples or RUNS:
            seeds = []
            for seed in range(1, arguments.seeds + 1):
                folder = out / example / f"seed{seed}"
                folder.mkdir(parents=True, exist_ok=True)
                train(example, seed, folder)
                seeds.append(compare(example, folder))
            print(f"\n## {example}\n")
            print("\n".join(table(seeds)), flush=True)


if __name__ == "__main__":
    main()
