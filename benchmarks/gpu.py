"""A GPU against all cores of the processor."""

from collections.abc import Iterator
from functools import partial

from bench import QUICK_STEPS, Bench, cores
from fluids import LJ
from lammps_runs import Run, RunError, execute, interleaved, lammps, same_energy
from report import Section

STEPS = {32_000: 500, 256_000: 100, 2_048_000: 20}
"""Steps timed at each number of atoms."""

PRECISIONS = ("double", "mixed", "single")


def measure(bench: Bench) -> Iterator[Section]:
    section = Section(LJ.title)
    LJ.prepare(bench.folder, 1_000)
    reason = _no_gpu(bench)
    if reason:
        section.add_fact("not measured", "", reason)
        yield section
        return
    for atoms, steps in STEPS.items():
        LJ.prepare(bench.folder, atoms)
        bench.progress(f"gpu: {atoms:,} atoms")
        _add(bench, section, atoms, QUICK_STEPS if bench.quick else steps)
    yield section


def _no_gpu(bench: Bench) -> str:
    """Why there is none; empty if there is one."""
    script = ["units lj", *LJ.start(1_000), *LJ.diffsim("device cuda"), "run 0"]
    try:
        lammps(bench.folder, script)
    except RunError as error:
        lines = [line for line in str(error).splitlines() if "Pair style diffsim" in line]
        if not lines:
            raise
        return lines[0].split("Pair style diffsim: ")[1].split(". ")[0]
    return ""


def _add(bench: Bench, section: Section, atoms: int, steps: int) -> None:
    start = LJ.start(atoms)
    runs = {"processor": Run(start=start, potential=LJ.diffsim(), steps=steps, ranks=cores())}
    for precision in PRECISIONS:
        potential = LJ.diffsim(f"device cuda precision {precision}")
        # the first step takes the context and the list to the GPU
        runs[precision] = Run(start=start, potential=potential, steps=steps, warm_up=10)
    variants = {name: partial(execute, bench.folder, run) for name, run in runs.items()}
    times = interleaved(bench.rounds, variants)
    same_energy(times, relative=1e-3)
    case = f"{atoms:,} atoms"
    for precision in PRECISIONS:
        pairs = list(zip(times[precision], times["processor"], strict=True))
        section.add(f"Pair: {precision} / processor", case, [a.pair / b.pair for a, b in pairs])
        section.add(
            f"Pair of {precision}, ns/atom/step", case, [a.pair / atoms * 1e9 for a, _ in pairs]
        )
