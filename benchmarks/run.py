"""Speed of pair_style diffsim, as ratios from interleaved runs.

    python benchmarks/run.py [pair] [threads] [exact] [frames] [startup] [gpu]

Without names all parts are measured, which takes about ten minutes on two cores; nothing else
should run on the machine meanwhile. Every round runs all variants one after the other, in a new
order, from the same melted configuration; a ratio is taken within a round, so that a slow spell
of the machine meets both of its sides. Printed are the median and the range over the rounds, and
whether the median meets its target. docs/benchmarks.md explains each figure.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import exact
import frames
import gpu
import pair
import startup
import threads
from bench import STEPS, Bench, find_kernels, machine
from lammps_runs import EVERY, RunError
from report import check_page, write_page

PARTS = {
    "pair": pair.measure,
    "threads": threads.measure,
    "exact": exact.measure,
    "frames": frames.measure,
    "startup": startup.measure,
    "gpu": gpu.measure,
}


def main() -> None:
    arguments = _arguments()
    begin = time.monotonic()
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            kernels, default = find_kernels(folder)
        except RunError as error:
            sys.exit(str(error))
        facts = f"{machine(folder, kernels, default)}; {arguments.rounds} rounds"
        print(f"{facts}\nload average {os.getloadavg()[0]:.2f}; ", end="")
        print(f"energies and virial every {EVERY} steps, but for frames\n", flush=True)
        bench = Bench(folder, arguments.rounds, arguments.sizes, kernels, default, arguments.quick)
        for part in arguments.parts:
            sections = []
            try:
                for section in PARTS[part](bench):
                    sections.append(section)
                    print(f"{section.text()}\n", flush=True)
            except RunError as error:  # the other parts are worth having
                failed = True
                print(f"{part} failed. {error}\n", flush=True)
            else:
                if arguments.markdown:
                    write_page(arguments.markdown, part, facts, sections)
    print(f"{(time.monotonic() - begin) / 60.0:.1f} minutes")
    sys.exit(int(failed))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--rounds", type=int, default=7, help="at least 5; default: 7")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        choices=list(STEPS),
        default=list(STEPS),
        help="numbers of atoms; exact always has 1,000, threads and frames at most 32,000",
    )
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="PAGE",
        help="also replace the results of the measured parts in this page (docs/benchmarks.md)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round of a few steps: shows that everything runs, its figures mean nothing",
    )
    arguments = parser.parse_args()
    arguments.parts = arguments.parts or list(PARTS)
    for part in arguments.parts:
        if part not in PARTS:
            parser.error(f"there is no part '{part}'; the parts are {', '.join(PARTS)}")
    if arguments.quick:
        arguments.rounds = 1
    elif arguments.rounds < 5:
        parser.error(f"a median and a range need at least 5 rounds, not {arguments.rounds}")
    if arguments.markdown:
        problem = check_page(arguments.markdown, arguments.parts)
        if arguments.quick:
            problem = "the figures of --quick mean nothing"
        if problem:
            parser.error(f"the results cannot go into {arguments.markdown}: {problem}")
    return arguments


if __name__ == "__main__":
    main()
