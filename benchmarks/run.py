"""Speed against LAMMPS's own lj/cut, one process, on the fluid of examples/lj.

    python benchmarks/run.py [--rounds 15]

Two measurements, at 1,000 and at 32,000 atoms:

- the time of LAMMPS's `Pair` section with pair_style diffsim, relative to lj/cut;
- the cost of recording a frame with fix diffsim/counts, in units of an MD step without it.

Every round runs all variants one after the other, in a new order, from the same melted
configuration; a ratio is taken within a round, so that a slow spell of the machine meets both of
its sides. Printed are the median and the range over the rounds. A recorded frame's cost includes
its energy, virial and pressure. Nothing else should run on the machine meanwhile.
"""

import argparse
import random
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from diffsim.potentials import LennardJones

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "lj"
LMP = Path(sys.executable).with_name("lmp")
EVERY = 10  # steps between recorded frames
RDF = "rdf 200 4.0"
SIZES = {  # atoms: (how often the example's 1,000 are repeated, steps timed)
    1_000: ("1 1 1", 1000),
    32_000: ("4 4 2", 60),
}

LJ_CUT = ["pair_style lj/cut 2.5", "pair_coeff 1 1 1.0 1.0", "pair_modify shift yes"]
DIFFSIM = ["pair_style diffsim", "pair_coeff * * lj.pt A"]
# ghost atoms up to the range of the RDF in all of these, so that only the recording differs
GHOSTS = ["comm_modify cutoff 4.3"]
COUNTS = f"fix counts all diffsim/counts {EVERY}"
VARIANTS = {
    "lj/cut": LJ_CUT,
    "diffsim": DIFFSIM,
    "no frames": [*DIFFSIM, *GHOSTS],
    "counts": [*DIFFSIM, *GHOSTS, COUNTS],
    "counts and rdf": [*DIFFSIM, *GHOSTS, f"{COUNTS} {RDF}"],
}


def lammps(folder: Path, commands: list[str]) -> str:
    """Output of LAMMPS for an input script."""
    script = folder / "in.benchmark"
    script.write_text("\n".join([*commands, ""]))
    command = [str(LMP), "-in", script.name, "-log", "none"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"LAMMPS stopped:\n{done.stdout}{done.stderr}")
    return done.stdout


def melt(folder: Path, repeat: str) -> None:
    """Write the configuration that every timed run starts from."""
    variables = ["variable temperature index 1.0", "variable seed index 12345"]
    start = [f"include {EXAMPLE}/in.lj", *LJ_CUT, "run 3000", "unfix thermostat"]
    lammps(folder, [*variables, *start, f"replicate {repeat}", "write_data melt.data nocoeff"])


def measure(folder: Path, variant: str, steps: int) -> tuple[float, float]:
    """Seconds of the `Pair` section, and seconds in all, of a run in NVE."""
    set_up = ["units lj", "atom_style atomic", "read_data melt.data"]
    integrate = ["fix integrate all nve", "timestep 0.005", f"run {steps}"]
    output = lammps(folder, [*set_up, *VARIANTS[variant], *integrate])
    pair = re.search(r"^Pair +\| +\S+ +\| +(\S+)", output, re.MULTILINE)
    total = re.search(r"^Loop time of (\S+)", output, re.MULTILINE)
    if not pair or not total:
        sys.exit(f"LAMMPS printed no timing breakdown:\n{output}")
    return float(pair.group(1)), float(total.group(1))


def summary(values: list[float]) -> str:
    return f"{statistics.median(values):7.3f}   [{min(values):.3f}, {max(values):.3f}]"


def benchmark(folder: Path, atoms: int, rounds: int) -> None:
    repeat, steps = SIZES[atoms]
    melt(folder, repeat)
    pair_ratio: list[float] = []
    nanoseconds: dict[str, list[float]] = {"lj/cut": [], "diffsim": []}
    frame_cost: dict[str, list[float]] = {"counts": [], "counts and rdf": []}
    for _ in range(rounds):
        order = random.sample(list(VARIANTS), len(VARIANTS))
        times = {variant: measure(folder, variant, steps) for variant in order}
        pair_ratio.append(times["diffsim"][0] / times["lj/cut"][0])
        for variant, values in nanoseconds.items():
            values.append(1e9 * times[variant][0] / steps / atoms)
        step = times["no frames"][1] / steps
        for variant, values in frame_cost.items():
            extra = times[variant][1] - times["no frames"][1]
            values.append(extra / (steps // EVERY) / step)

    print(f"{atoms:,} atoms, {steps:,} steps        median   [range]")
    for variant, values in nanoseconds.items():
        print(f"  Pair of {variant:8s} / (ns/atom/step)", summary(values))
    print("  Pair of diffsim / Pair of lj/cut ", summary(pair_ratio))
    print("  a frame of counts / an MD step   ", summary(frame_cost["counts"]))
    print("  a frame of counts and rdf / step ", summary(frame_cost["counts and rdf"]))
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="at least 5")
    rounds = parser.parse_args().rounds
    if rounds < 5:
        parser.error(f"a median and a range need at least 5 rounds, not {rounds}")
    print(f"{rounds} rounds; a frame every {EVERY} steps; RDF: 200 bins up to 4.0\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        LennardJones(species=["A"], cutoff=2.5, units="lj").save(folder / "lj.pt")
        for atoms in SIZES:
            benchmark(folder, atoms, rounds)


if __name__ == "__main__":
    main()
