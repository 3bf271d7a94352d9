"""What it costs to record a frame with fix diffsim/counts, in units of an MD step without it."""

from collections.abc import Iterator
from functools import partial

from bench import Bench
from fluids import LJ
from lammps_runs import EVERY, Run, execute, interleaved
from report import Section

SIZES = (1_000, 32_000)
COUNTS = f"fix counts all diffsim/counts {EVERY}"
RDF = "rdf 200 4.0"
# ghost atoms up to the range of the RDF in all of them, so that only the recording differs
GHOSTS = "comm_modify cutoff 4.3"
VARIANTS = {
    "no frames": [GHOSTS],
    "counts": [GHOSTS, COUNTS],
    "counts and rdf": [GHOSTS, f"{COUNTS} {RDF}"],
}


def measure(bench: Bench) -> Iterator[Section]:
    section = Section(f"{LJ.title}, a frame every {EVERY} steps ({RDF})")
    for atoms in bench.some_sizes(SIZES):
        LJ.prepare(bench.folder, atoms)
        bench.progress(f"frames: {atoms:,} atoms")
        variants = {}
        for name, commands in VARIANTS.items():
            # no thermodynamic output: a frame's energy, virial and pressure are part of its cost
            run = Run(
                LJ.start(atoms), [*LJ.diffsim(), *commands], steps=bench.steps(atoms), thermo=0
            )
            variants[name] = partial(execute, bench.folder, run)
        times = interleaved(bench.rounds, variants)
        for name in ("counts", "counts and rdf"):
            pairs = zip(times[name], times["no frames"], strict=True)
            cost = [EVERY * (a.step - b.step) / b.step for a, b in pairs]
            section.add(f"a frame of {name} / an MD step", f"{atoms:,} atoms", cost)
    yield section
