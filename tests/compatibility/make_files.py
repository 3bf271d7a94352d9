"""Makes the files of this folder, with the version that is installed.

    python make_files.py

They were made once by version 0.1.0 and stay: what that version wrote, later ones must read.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
import yaml

import diffsim
from diffsim import potentials

FILES = Path(__file__).parent / "files"
PLACE = "/place/of/the/files"  # in the configuration of the run
DISTANCES = np.linspace(0.95, 2.45, 31)
PAIRS = ((0, 0), (0, 1), (1, 1))

SCRIPT = """\
# 125 atoms, a fifth of them B
units lj
lattice sc 0.7
region box block 0 5 0 5 0 5
create_box 2 box
create_atoms 1 box
set type 1 type/subset 2 25 4711
mass * 1.0
velocity all create ${temperature} ${seed}
fix integrate all nve
fix thermostat all langevin ${temperature} ${temperature} 0.2 ${seed}
timestep 0.005
"""


def models() -> dict[str, torch.nn.Module]:
    """A potential of each kind that a model file can hold."""
    both = {"species": ["A", "B"], "cutoff": 2.5}
    return {
        "neural": potentials.create("neural", **both, seed=3),
        "embedding": potentials.create("embedding", **both, seed=3),
        "bspline": potentials.create("bspline", **both),
        "lennard-jones": potentials.create("lennard-jones", **both, epsilon=[[1, 1.5], [1.5, 0.5]]),
        "mie": potentials.create("mie", **both, n={"learn": 13.0}),
        "morse": potentials.create("morse", **both, d0=1.0, alpha=5.0, r0=1.12),
        "yukawa": potentials.create("yukawa", **both, a=60.0, kappa=3.0),
        "buckingham": potentials.create("buckingham", **both, a=2e5, rho=0.09, c=4.0),
        "sum": potentials.create(
            "sum", **both, terms=[{"form": "lennard-jones"}, {"form": "neural", "wall": False}]
        ),
    }


def main() -> None:
    FILES.mkdir(exist_ok=True)
    expected = {}
    for name, model in models().items():
        model.save(FILES / f"{name}.pt")
        expected[name] = energies(model)
    np.savez(FILES / "energies.npz", r=DISTANCES, **expected)
    command([*["export", "neural.pt", "--output", "neural.knots", "--tolerance", "1e-3"]])
    (FILES / "in.fluid").write_text(SCRIPT)
    run()


def energies(model: torch.nn.Module) -> np.ndarray:
    """At `DISTANCES`, of all pairs, (3, n)."""
    r = torch.tensor(DISTANCES)
    with torch.no_grad():
        return np.array(
            [
                model(r, torch.full_like(r, a).long(), torch.full_like(r, b).long()).numpy()
                for a, b in PAIRS
            ]
        )


def run() -> None:
    """A finished run of two iterations."""
    target = 1.0 - np.exp(-np.maximum(DISTANCES - 0.95, 0.0) / 0.1)
    for pair in ("A-A", "A-B", "B-B"):
        rows = np.stack([DISTANCES, target, np.full_like(target, 0.2)], axis=1)
        np.savetxt(FILES / f"{pair}.csv", rows, "%.6g", ",", header="atoms: 125\nnorm: N-1")
    config = {
        "units": "lj",
        "potential": {"form": "neural", "hidden": [8], "species": ["A", "B"], "cutoff": 2.5},
        "systems": [
            {
                "name": "fluid",
                "script": "in.fluid",
                "temperature": 1.0,
                "targets": [
                    *({"rdf": f"{a}-{b}.csv", "pair": [a, b]} for a, b in ("AA", "AB", "BB")),
                    {"pressure": 1.0, "error": 0.5},
                ],
            }
        ],
        "simulation": {"steps": 100, "every": 20, "equilibration": 100, "relaxation": 20},
        "start": "potential",
        "tolerance": 1e-2,
        "iterations": 2,
    }
    (FILES / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    shutil.rmtree(FILES / "run", ignore_errors=True)
    command(["train", "config.yaml", "--out", "run"])
    out = FILES / "run"
    for unneeded in [
        *out.glob("*.png"),
        *out.glob("checkpoint_p*"),
        *out.glob("*.html"),
        out / "potential.table",
    ]:
        unneeded.unlink()
    shutil.rmtree(out / "lammps")
    (out / ".lock").unlink(missing_ok=True)
    # whoever reads the run says where it is
    resolved = (out / "config.yaml").read_text().replace(str(FILES.resolve()), PLACE)
    (out / "config.yaml").write_text(resolved)


def command(arguments: list[str]) -> None:
    """Run diffsim in the folder of the files."""
    subprocess.run([sys.executable, "-m", "diffsim.cli.main", *arguments], check=True, cwd=FILES)


if __name__ == "__main__":
    assert diffsim.__version__ == "0.1.0", "these files are those of version 0.1.0"
    main()
