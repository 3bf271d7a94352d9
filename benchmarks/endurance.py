"""Do memory and open files stay as they are over many iterations?

    python benchmarks/endurance.py [--iterations 10000]

Trains a potential for a tiny liquid with Adam, and prints resident memory, open files and the
seconds of an iteration as they go. Ends with status 1 if memory or files grew after the first
tenth.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from diffsim.config.schema import load_config
from diffsim.folder.run_directory import RunDirectory
from diffsim.run.training import run_training
from diffsim.targets import write_rdf

SCRIPT = """
units lj
lattice sc 0.7
region box block 0 3 0 3 0 3
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create ${temperature} ${seed}
fix 1 all nve
fix 2 all langevin ${temperature} ${temperature} 0.2 ${seed}
"""
CONFIG = """
units: lj
potential: {{form: lennard-jones, species: [A], cutoff: 1.5}}
systems:
  - {{name: drop, script: in.drop, temperature: 1.0, targets: [{{rdf: rdf.csv, pair: [A, A]}}]}}
simulation: {{steps: 20, every: 5, equilibration: 20, relaxation: 10}}
optimizer: {{name: Adam, lr: 0.0001}}
start: potential
iterations: {iterations}
"""
GROWTH = 20e6  # bytes: no more than that, from the first tenth to the end
ROWS = 20


def state() -> tuple[float, int]:
    """Resident memory in bytes, and the number of open files."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path("/proc/self/fd").iterdir()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=10_000)
    iterations = parser.parse_args().iterations
    seen: list[tuple[float, int]] = []
    began = time.perf_counter()
    real = RunDirectory.write_checkpoint

    def write(self: RunDirectory, trainer: object) -> None:
        real(self, trainer)
        seen.append(state())
        if len(seen) % max(iterations // ROWS, 1) == 0:
            memory, files = seen[-1]
            each = (time.perf_counter() - began) / len(seen)
            kept = len(list((self.path / "frames").iterdir()))
            print(
                f"{len(seen):6d} iterations: {memory / 1e6:7.1f} MB, {files} open files, "
                f"{kept} files of frames, {each:.3f} s each",
                file=sys.stderr,
                flush=True,
            )

    RunDirectory.write_checkpoint = write
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.drop").write_text(SCRIPT)
        (folder / "config.yaml").write_text(CONFIG.format(iterations=iterations))
        r = 0.05 + 0.1 * np.arange(16)
        g = np.where(r > 0.95, 1.0, 0.0)
        write_rdf(folder / "rdf.csv", r, g, np.full(len(r), 0.1), ["No fluid's"])
        run_training(load_config(folder / "config.yaml"), folder / "run", resume=False)
    memory, files = np.array(seen[iterations // 10 :]).T
    part = max(len(memory) // 10, 1)
    growth = float(memory[-part:].mean() - memory[:part].mean())
    print(f"memory grew by {growth / 1e6:.1f} MB, open files {files.min():g} to {files.max():g}")
    sys.exit(0 if growth < GROWTH and files.max() == files.min() else 1)


if __name__ == "__main__":
    main()
