"""Trains on difficult inputs of every kind, and says what is true of the results.

    python benchmarks/hardship.py [CASE ...] [--seeds 3] [--out FOLDER] [--jobs 2]
    python benchmarks/hardship.py --table FOLDER

Each run is a command `diffsim train` in a folder of its own, OUT/CASE/seedN. Finished runs in OUT
are kept, so that a benchmark that was stopped goes on; --table only prints those that are there.
The cases are entries of hardship_cases/cases.py, their targets were made by hardship_targets.py.
"""

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hardship_cases.cases import CASES
from hardship_cases.judging import Result, read_result
from hardship_cases.table import summary, table, words
from hardship_cases.training import RESULT, train


def finished(out: Path, names: list[str]) -> list[Result]:
    """Results in a folder, in the order of the cases and of the seeds."""
    paths = [path for name in names for path in sorted((out / name).glob(f"seed*/{RESULT}"))]
    return [read_result(path) for path in paths]


def show(runs: list[Result]) -> None:
    """Print the table, and what is to be said of all runs."""
    print("\n".join(table(runs)))
    print("\n" + "\n\n".join(summary(runs)))
    said = words(runs)
    if said:
        print("\nSaid at the end of the runs:\n\n" + "\n".join(said))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="case", help=f"of {', '.join(CASES)}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    parser.add_argument("--table", type=Path, metavar="FOLDER", help="print finished runs only")
    arguments = parser.parse_args()
    names = arguments.cases or list(CASES)
    unknown = set(names) - set(CASES)
    if unknown:
        parser.error(f"the cases are {', '.join(CASES)}, but '{min(unknown)}' was given")
    if arguments.table is not None:
        show(finished(arguments.table, names))
        return
    missing = {CASES[name].of for name in names if not CASES[name].fluid.is_made}
    if missing:
        print(
            "Some cases are left out, as their targets are not there. Make them first: "
            f"python benchmarks/hardship_targets.py {' '.join(sorted(missing))}",
            file=sys.stderr,
        )
        names = [name for name in names if CASES[name].of not in missing]
    with tempfile.TemporaryDirectory() as temporary:
        out = (arguments.out or Path(temporary)).absolute()
        tasks = [
            (CASES[name], seed, out / name / f"seed{seed}")
            for name in names
            for seed in range(1, min(arguments.seeds, CASES[name].most_seeds) + 1)
        ]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(lambda task: train(*task), tasks))
        show(finished(out, names))


if __name__ == "__main__":
    main()
