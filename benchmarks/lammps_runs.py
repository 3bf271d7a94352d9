"""One timed run of LAMMPS: its script, its process, and what it says of its own speed.

Nothing here knows what is compared with what: the parts (`pair.py`, `threads.py`, ...) do.
"""

import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

BIN = Path(sys.executable).parent
LMP = str(BIN / "lmp")
MPIEXEC = str(BIN / "mpiexec")
KERNELS = ("avx512", "avx2", "portable")
"""Words of DIFFSIM_INSTRUCTIONS, the fastest first."""

EVERY = 10
"""Steps between two lines of thermodynamic output, and between two recorded frames."""

T = TypeVar("T")


class RunError(Exception):
    """A LAMMPS run failed, or was not the run that should be timed."""


@dataclass(frozen=True)
class Run:
    """What is timed.

    Attributes
    ----------
    start
        Commands that make the atoms.
    potential
        The pair style and what belongs to it.
    steps
        Steps that are timed.
    warm_up
        Steps before them, for what is slow only the first time.
    thermo
        Steps between two lines of thermodynamic output; 0 for none but the first and the last.
    package
        The `package` command, which comes before all others; empty for none.
    kernels
        Word of DIFFSIM_INSTRUCTIONS; None leaves the choice to the pair style.
    threads, ranks
        OpenMP threads of each process, and processes.
    """

    start: Sequence[str]
    potential: Sequence[str]
    steps: int
    warm_up: int = 0
    thermo: int = EVERY
    package: str = ""
    kernels: str | None = None
    threads: int = 1
    ranks: int = 1

    @property
    def script(self) -> list[str]:
        output = [f"thermo {self.thermo}", "thermo_style custom step pe press temp"]
        warm_up = [f"run {self.warm_up}"] if self.warm_up else []
        integrate = ["fix integrate all nve", "timestep 0.005", *warm_up, f"run {self.steps}"]
        return [self.package, "units lj", *self.start, *self.potential, *output, *integrate]


@dataclass(frozen=True)
class Times:
    """What LAMMPS says of a run.

    Attributes
    ----------
    pair
        Seconds of the `Pair` section per step, of the slowest process.
    step
        Seconds per step in all.
    energy
        Potential energy per atom at the start.
    kernels
        What pair_style diffsim computed with; None in a run of another style.
    """

    pair: float
    step: float
    energy: float
    kernels: str | None


def lammps(
    folder: Path,
    script: Sequence[str],
    ranks: int = 1,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Output of LAMMPS for an input script, run in a folder; raises RunError if it stops.

    Of one thread, and with the kernels of its own choice, unless the environment says otherwise.
    """
    path = folder / "in.benchmark"
    path.write_text("\n".join([*script, ""]))
    command = [LMP, "-in", path.name, "-log", "none"]
    if ranks > 1:
        command = [MPIEXEC, "-n", str(ranks), *command]
    inherited = {**os.environ, "OMP_NUM_THREADS": "1"}
    inherited.pop("DIFFSIM_INSTRUCTIONS", None)
    done = subprocess.run(
        command,
        cwd=folder,
        env={**inherited, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stdout + done.stderr).strip().splitlines()[-8:]
        raise RunError("LAMMPS stopped:\n  " + "\n  ".join(last))
    return done.stdout


def execute(folder: Path, run: Run) -> Times:
    """Run it, and read the times off LAMMPS's output."""
    environment = {"OMP_NUM_THREADS": str(run.threads)}
    if run.kernels:
        environment["DIFFSIM_INSTRUCTIONS"] = run.kernels
    output = lammps(folder, run.script, run.ranks, environment)
    pair = re.findall(r"^Pair +\|[^|]+\|[^|]+\| +(\S+)", output, re.MULTILINE)
    loop = re.findall(r"^Loop time of (\S+)", output, re.MULTILINE)
    energy = re.search(r"^ +Step +PotEng .*\n +0 +(\S+)", output, re.MULTILINE)
    if not pair or not loop or not energy:
        raise RunError(f"LAMMPS printed no energies or no times:\n{output}")
    return Times(
        float(pair[-1]) / run.steps,
        float(loop[-1]) / run.steps,
        float(energy.group(1)),
        _kernels(output, run),
    )


def _kernels(output: str, run: Run) -> str | None:
    """Kernels that pair_style diffsim says it used; raises RunError if they are not those asked."""
    if not any(line.startswith("pair_style diffsim") for line in run.potential):
        return None
    if "Pair style diffsim: the model itself is evaluated" in output:  # eval exact
        return None
    gpu = re.search(r"Pair style diffsim: (.+), GPUs? .*, (\w+) precision", output)
    if gpu is not None:
        return gpu.group(1)
    used = re.search(r"Pair style diffsim: (\w+) kernels, (\d+) thread", output)
    if used is None:
        raise RunError("Pair style diffsim does not say which kernels it uses.")
    if run.kernels not in (None, used.group(1)) or run.threads != int(used.group(2)):
        raise RunError(
            f"{run.kernels or 'any'} kernels and {run.threads} threads were asked for, but pair "
            f"style diffsim says: {used.group(0)}"
        )
    return used.group(1)


def interleaved(rounds: int, variants: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Results of every variant in every round; each round runs all of them, in a new order."""
    results: dict[str, list[T]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name in random.sample(list(variants), len(variants)):
            results[name].append(variants[name]())
    return results


def same_energy(times: Mapping[str, Sequence[Times]], relative: float) -> None:
    """Check that the variants simulate the same thing; raises RunError if they do not."""
    energies = {name: values[0].energy for name, values in times.items()}
    low, high = min(energies.values()), max(energies.values())
    if not high - low <= relative * max(1.0, abs(low), abs(high)):
        raise RunError(f"The variants start with different energies per atom: {energies}")
