"""One training of a case, by the command line in a process of its own.

The folder of a run holds

    config.yaml, *.csv   the input
    train.log            what the command printed
    run/                 its run directory
    judge.log            what the judging printed
    result.json          written last
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from common import recorded_pressure

from diffsim.targets import RDF, write_rdf
from hardship_cases.cases import SIMULATION, Case
from hardship_cases.damages import Curve

RESULT, LOG = "result.json", "train.log"
STATUS = "status: "  # of the command, in the last line of train.log


def write_input(case: Case, seed: int, folder: Path) -> Path:
    """Write targets and configuration of a case; the configuration's path."""
    targets = [
        {"rdf": str(write_target(case, pair, seed, folder)), "pair": list(pair), **case.target}
        for pair in case.fluid.pairs
    ]
    if case.pressure:
        value, error = recorded_pressure(case.fluid.target(case.fluid.pairs[0]))
        targets.append({"pressure": value, "error": error})
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(configuration(case, seed, targets), sort_keys=False))
    return path


def configuration(case: Case, seed: int, targets: list[dict[str, Any]]) -> dict[str, Any]:
    """The configuration of a case with default settings."""
    fluid = case.fluid
    system: dict[str, Any] = {
        "name": case.name,
        "script": str(fluid.script),
        "temperature": case.temperature or fluid.temperature,
        "variables": {**fluid.variables, **case.variables},
        "intermolecular": fluid.intermolecular,
        "targets": targets,
    }
    return {
        "units": fluid.units,
        "potential": {
            "form": "neural",
            "species": list(fluid.species),
            "cutoff": fluid.cutoff,
        },
        "systems": [system],
        "simulation": dict(SIMULATION),
        "optimizer": "gauss-newton",
        "iterations": case.iterations,
        "seed": seed,
    }


def write_target(case: Case, pair: tuple[str, str], seed: int, folder: Path) -> Path:
    """The file of a pair's g(r), damaged if the case says so: the noise is another one in each
    seed. A damaged file says nothing but its numbers."""
    source = case.fluid.target(pair)
    if case.damage is None:
        return source
    exact = RDF.from_file(source, pair)
    random = np.random.default_rng([seed, zlib.crc32(f"{case.name} {pair}".encode())])
    curve = case.damage(Curve(exact.r, exact.g, exact.error), random)
    path = folder / f"{'-'.join(pair)}.csv"
    write_rdf(path, curve.r, curve.g, curve.error, comments=[])
    return path


def train(case: Case, seed: int, folder: Path) -> None:
    """Train and judge in a folder, as far as that is not done already.

    A training that was stopped on its way begins again; one that ended is only judged.
    """
    if (folder / RESULT).exists():
        return
    if not has_ended(folder):
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        config = write_input(case, seed, folder)
        command = [sys.executable, "-m", "diffsim.cli.main", "train", str(config)]
        status = logged([*command, "--out", str(folder / "run")], folder / LOG)
        with (folder / LOG).open("a") as log:
            log.write(f"{STATUS}{status}\n")
    judge = [sys.executable, "-m", "hardship_cases.judging", case.name, str(seed), str(folder)]
    failed = logged(judge, folder / "judge.log")
    words = f"not judged; see {folder / 'judge.log'}" if failed else "done"
    print(f"{case.name}, seed {seed}: {words}", file=sys.stderr, flush=True)


def has_ended(folder: Path) -> bool:
    """Whether the training in a folder ended, well or not."""
    log = folder / LOG
    if not log.exists():
        return False
    return log.read_text(errors="replace").rstrip().rpartition("\n")[2].startswith(STATUS)


def logged(command: list[str], log: Path) -> int:
    """Run a command with its output in a file; its exit status."""
    here = Path(__file__).resolve().parents[1]
    path = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")]))
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": path, "COLUMNS": "1000"}
    with log.open("w") as output:
        return subprocess.run(
            command, stdout=output, stderr=output, check=False, env=environment
        ).returncode
