"""What a second core brings, as an OpenMP thread and as an MPI rank."""

from collections.abc import Iterator
from functools import partial

from bench import Bench, cores
from fluids import LJ
from lammps_runs import Run, Times, execute, interleaved, same_energy
from report import Section

SIZES = (1_000, 32_000)


def measure(bench: Bench) -> Iterator[Section]:
    section = Section(f"{LJ.title}, two cores")
    if cores() < 2:
        section.add_fact("not measured", "", "one core")
        yield section
        return
    for atoms in bench.some_sizes(SIZES):
        LJ.prepare(bench.folder, atoms)
        bench.progress(f"threads: {atoms:,} atoms")
        _add(section, atoms, _run(bench, atoms))
    yield section


def _run(bench: Bench, atoms: int) -> dict[str, list[Times]]:
    base = {"start": LJ.start(atoms), "steps": bench.steps(atoms)}
    runs = {}
    for n in (1, 2):
        omp = {"package": f"package omp {n}", "threads": n, **base}
        runs[f"diffsim, {n} threads"] = Run(potential=LJ.diffsim(), **omp)
        runs[f"lj/cut/omp, {n} threads"] = Run(potential=LJ.lj_cut("/omp"), **omp)
        runs[f"diffsim, {n} ranks"] = Run(potential=LJ.diffsim(), ranks=n, **base)
        runs[f"lj/cut, {n} ranks"] = Run(potential=LJ.lj_cut(), ranks=n, **base)
    variants = {name: partial(execute, bench.folder, run) for name, run in runs.items()}
    times = interleaved(bench.rounds, variants)
    same_energy(times, relative=1e-3)
    return times


def _add(section: Section, atoms: int, times: dict[str, list[Times]]) -> None:
    case = f"{atoms:,} atoms"

    def add(figure: str, first: str, second: str) -> None:
        pairs = zip(times[first], times[second], strict=True)
        section.add(figure, case, [a.pair / b.pair for a, b in pairs])

    for style, what in (
        ("diffsim", "threads"),
        ("lj/cut/omp", "threads"),
        ("diffsim", "ranks"),
        ("lj/cut", "ranks"),
    ):
        figure = f"Pair of {style}: speed-up by 2 {what}"
        add(figure, f"{style}, 1 {what}", f"{style}, 2 {what}")
    add("Pair: diffsim / lj/cut/omp, 2 threads", "diffsim, 2 threads", "lj/cut/omp, 2 threads")
    add("Pair: diffsim / lj/cut, 2 ranks", "diffsim, 2 ranks", "lj/cut, 2 ranks")
