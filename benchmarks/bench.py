"""What every part of the benchmark is told."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from fluids import LJ
from lammps_runs import KERNELS, Run, RunError, execute, lammps

import diffsim

STEPS = {1_000: 1000, 32_000: 100, 256_000: 20}
"""Steps timed at each number of atoms."""

QUICK_STEPS = 10


@dataclass(frozen=True)
class Bench:
    """How to measure.

    Attributes
    ----------
    folder
        Where LAMMPS runs.
    rounds
        How often everything is run.
    sizes
        Numbers of atoms.
    kernels
        Those of pair_style diffsim that this processor has, the fastest first.
    default
        The one that the pair style chooses itself.
    quick
        Whether only to see that everything runs.
    """

    folder: Path
    rounds: int
    sizes: Sequence[int]
    kernels: Sequence[str]
    default: str
    quick: bool

    def steps(self, atoms: int) -> int:
        return QUICK_STEPS if self.quick else STEPS[atoms]

    def some_sizes(self, sizes: Sequence[int]) -> list[int]:
        """Those of a part's sizes that were asked for."""
        return [atoms for atoms in self.sizes if atoms in sizes]

    def progress(self, words: str) -> None:
        print(f"... {words}", file=sys.stderr, flush=True)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def find_kernels(folder: Path) -> tuple[list[str], str]:
    """Kernels of pair_style diffsim that this processor has, and the one it chooses itself."""
    LJ.prepare(folder)
    run = Run(LJ.start(1_000), LJ.diffsim(), steps=1)
    found = []
    for word in KERNELS:
        try:
            execute(folder, Run(LJ.start(1_000), LJ.diffsim(), steps=1, kernels=word))
        except RunError as error:
            if "DIFFSIM_INSTRUCTIONS" not in str(error):
                raise
        else:
            found.append(word)
    default = execute(folder, run).kernels
    assert default is not None
    return found, default


def machine(folder: Path, kernels: Sequence[str], default: str) -> str:
    """The machine and the programs, in a line."""
    model = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    version = re.search(r"^LAMMPS \((.*?)\)", lammps(folder, []), re.MULTILINE)
    return (
        f"{model.group(1) if model else 'unknown processor'}, {cores()} cores; "
        f"LAMMPS {version.group(1) if version else '?'}; DiffSim {diffsim.__version__} with the "
        f"kernels {', '.join(kernels)} (chosen: {default}); PyTorch {torch.__version__}"
    )
