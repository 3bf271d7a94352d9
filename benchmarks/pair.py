"""The speed of pair_style diffsim against LAMMPS's own pair styles, on one core."""

from collections.abc import Iterator
from functools import partial

from bench import Bench
from fluids import KOB_ANDERSEN, LJ, Fluid
from lammps_runs import Run, Times, execute, interleaved, same_energy
from report import Section, Target

PAIR_TARGETS = {"avx512": Target(0.40), "avx2": Target(0.65), "portable": Target(0.85)}
TABLE_TARGET = Target(0.35)
STEPS_TARGET = Target(1.5, at_least=True)


def measure(bench: Bench) -> Iterator[Section]:
    for fluid in (LJ, KOB_ANDERSEN):
        times = {}
        for atoms in bench.sizes:
            fluid.prepare(bench.folder, atoms)
            bench.progress(f"pair: {fluid.name}, {atoms:,} atoms")
            times[atoms] = _run(bench, fluid, atoms)
        yield _section(bench, fluid, times)


def _run(bench: Bench, fluid: Fluid, atoms: int) -> dict[str, list[Times]]:
    base = {"start": fluid.start(atoms), "steps": bench.steps(atoms)}
    runs = {
        "lj/cut": Run(potential=fluid.lj_cut(), **base),
        "lj/cut/opt": Run(potential=fluid.lj_cut("/opt"), **base),
        "table linear": Run(potential=fluid.table(), **base),
        **{k: Run(potential=fluid.diffsim(), kernels=k, **base) for k in bench.kernels},
    }
    variants = {name: partial(execute, bench.folder, run) for name, run in runs.items()}
    times = interleaved(bench.rounds, variants)
    same_energy(times, relative=1e-3)
    return times


def _section(bench: Bench, fluid: Fluid, times: dict[int, dict[str, list[Times]]]) -> Section:
    section = Section(fluid.title)

    def ratios(figure: str, first: str, second: str, what: str, target: Target | None) -> None:
        for atoms, found in times.items():
            pairs = zip(found[first], found[second], strict=True)
            values = [getattr(a, what) / getattr(b, what) for a, b in pairs]
            section.add(figure, f"{atoms:,} atoms", values, target)

    for kernels in bench.kernels:
        ratios(
            f"Pair: diffsim {kernels} / lj/cut", kernels, "lj/cut", "pair", PAIR_TARGETS[kernels]
        )
    default = bench.default
    ratios(f"Pair: diffsim {default} / table linear", default, "table linear", "pair", TABLE_TARGET)
    ratios(f"Pair: diffsim {default} / lj/cut/opt", default, "lj/cut/opt", "pair", None)
    for kernels in bench.kernels:
        target = STEPS_TARGET if kernels == default else None
        # steps per second are the inverse of seconds per step
        ratios(f"steps/s: diffsim {kernels} / lj/cut", "lj/cut", kernels, "step", target)
    for name in ("lj/cut", *bench.kernels):
        for atoms, found in times.items():
            values = [1e9 * t.pair / atoms for t in found[name]]
            style = f"diffsim {name}" if name in bench.kernels else name
            section.add(f"Pair of {style}, ns/atom/step", f"{atoms:,} atoms", values)
    return section
