"""How well is Lennard-Jones recovered from its g(r)?  Several seeds of examples/lj, one table.

    python benchmarks/recovery.py [--seeds 5] [--optimizer gauss-newton]

A seed sets the initial weights of the network and all random numbers of the simulations.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import yaml

import diffsim

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "lj"


def train(seed: int, folder: Path) -> list[str]:
    """Run one seed; the lines that compare.py prints."""
    config = yaml.safe_load((EXAMPLE / "config.yaml").read_text())
    config["seed"] = config["potential"]["seed"] = seed
    system = config["systems"][0]
    system["script"] = str(EXAMPLE / system["script"])
    system["targets"][0]["rdf"] = str(EXAMPLE / system["targets"][0]["rdf"])
    path = folder / f"seed{seed}.yaml"
    path.write_text(yaml.safe_dump(config))
    run = folder / f"seed{seed}"
    command = [sys.executable, "-m", "diffsim.cli.main", "train", str(path), "--out", str(run)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    result = subprocess.run(
        [sys.executable, str(EXAMPLE / "compare.py"), str(run)], capture_output=True, text=True
    )
    return result.stdout.splitlines()


def errors(run: Path) -> tuple[float, float]:
    """Root mean square and largest error on [0.95, 2.5]."""
    potential = diffsim.potentials.load(run / "model.pt")
    true = diffsim.potentials.LennardJones(species=["A"], cutoff=potential.cutoff)
    r = torch.linspace(0.95, 2.5, 1000, dtype=torch.float64)
    types = torch.zeros(len(r), dtype=torch.int64)
    with torch.no_grad():
        error = (potential(r, types, types) - true(r, types, types)).numpy()
    return float(np.sqrt(np.mean(error**2))), float(np.abs(error).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    rms = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for seed in range(1, seeds + 1):
            lines = train(seed, folder)
            rms.append(errors(folder / f"seed{seed}"))
            print(f"seed {seed}")
            print("\n".join(f"    {line}" for line in lines), flush=True)
            records = (folder / f"seed{seed}" / "metrics.jsonl").read_text().splitlines()
            first, last = json.loads(records[0]), json.loads(records[-1])
            print(
                f"    mean square error of g(r)     {first['systems']['liquid']['rdf_mse'][0]:.1e}"
                f" -> {last['systems']['liquid']['rdf_mse'][0]:.1e}"
            )
    values = np.array(rms)
    print(
        f"rms error {values[:, 0].mean():.4f} +- {values[:, 0].std(ddof=1):.4f} (spread), "
        f"worst {values[:, 0].max():.4f}; largest error, worst seed {values[:, 1].max():.4f}"
    )


if __name__ == "__main__":
    main()
