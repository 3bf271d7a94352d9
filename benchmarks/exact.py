"""What it costs to evaluate the model at every step instead of its spline."""

from collections.abc import Iterator
from functools import partial

from bench import Bench
from fluids import LJ, neural
from lammps_runs import Run, execute, interleaved, same_energy
from report import Section

ATOMS = 1_000
STEPS = {"table": 200, "exact": 20}
WARM_UP = 10  # TorchScript compiles a model during its first evaluations


def measure(bench: Bench) -> Iterator[Section]:
    LJ.prepare(bench.folder)
    neural(bench.folder / "neural.pt")
    section = Section(f"{LJ.title}, eval exact")
    for model, title in (("lj", "Lennard-Jones"), ("neural", "Neural, untrained")):
        bench.progress(f"exact: {title}")
        variants = {}
        for word in ("table", "exact"):
            steps = bench.steps(ATOMS) if bench.quick else STEPS[word]
            potential = [f"pair_style diffsim eval {word}", f"pair_coeff * * {model}.pt A"]
            run = Run(LJ.start(ATOMS), potential, steps=steps, warm_up=WARM_UP)
            variants[word] = partial(execute, bench.folder, run)
        times = interleaved(bench.rounds, variants)
        same_energy(times, relative=1e-4)
        pairs = list(zip(times["exact"], times["table"], strict=True))
        case = f"{ATOMS:,} atoms"
        section.add(f"{title}: Pair, exact / table", case, [a.pair / b.pair for a, b in pairs])
        exact = [1e9 * t.pair / ATOMS for t in times["exact"]]
        section.add(f"{title}: Pair of exact, ns/atom/step", case, exact)
    yield section
