"""Models, configurations and a way to run LAMMPS, shared by the tests of the LAMMPS side.

The models are plain torch modules written here, not those of the package: what LAMMPS is tested
with is the contract of the model file, as anyone may keep it.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from diffsim import _core

CUTOFF = 2.5
EPSILON = ((1.0, 1.3), (1.3, 0.6))  # of the types 1 and 2
SIGMA = ((1.0, 0.95), (0.95, 0.9))
TOLERANCE = 1e-7  # of the spline, in the comparisons with lj/cut
TIMEOUT = 120  # seconds until a LAMMPS that hangs fails its test

# a test of what LAMMPS can do since 2025; to be called with the reason
since_2025 = partial(pytest.mark.skipif, _core.built_for_lammps < 20250722)


def fluid_script(density: float = 0.7, cells: int = 5, damping: float = 0.2) -> str:
    """LAMMPS script of `cells`^3 atoms on a simple cubic lattice, with a Langevin thermostat."""
    return f"""
units lj
lattice sc {density}
region box block 0 {cells} 0 {cells} 0 {cells}
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create ${{temperature}} ${{seed}}
fix integrate all nve
fix thermostat all langevin ${{temperature}} ${{temperature}} {damping} ${{seed}}
timestep 0.005
"""


class LennardJones(torch.nn.Module):
    """4 eps ((sigma/r)^12 - (sigma/r)^6), shifted to zero at the cutoff if `shift`.

    A number of sigmas as `reduced` is where each species pair ends, instead of the cutoff.
    """

    def __init__(
        self,
        species: list[str],
        epsilon,
        sigma,
        cutoff: float = CUTOFF,
        units="lj",
        shift: bool = True,
        reduced: float | None = None,
    ):
        super().__init__()
        self.cutoff = float(cutoff)
        self.species = species
        self.units = units
        self.epsilon = torch.nn.Parameter(torch.tensor(epsilon, dtype=torch.float64))
        self.sigma = torch.nn.Parameter(torch.tensor(sigma, dtype=torch.float64))
        ends = torch.full_like(self.sigma.detach(), cutoff)
        self.register_buffer("ends", ends if reduced is None else reduced * self.sigma.detach())
        self.shift = float(shift)

    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        epsilon = self.epsilon[type_i, type_j]
        sigma = self.sigma[type_i, type_j]
        end = self.ends[type_i, type_j]
        x = (sigma / r) ** 6
        x_cut = (sigma / end) ** 6
        u = 4.0 * epsilon * ((x * x - x) - self.shift * (x_cut * x_cut - x_cut))
        return torch.where(r <= end, u, torch.zeros_like(u))


def lj_energy(r, epsilon=1.0, sigma=1.0, cutoff=CUTOFF):
    """Truncated and shifted Lennard-Jones energy in numpy."""
    x, x_cut = (sigma / np.asarray(r)) ** 6, (sigma / cutoff) ** 6
    return np.where(np.asarray(r) < cutoff, 4 * epsilon * (x * x - x - x_cut * x_cut + x_cut), 0.0)


def lj_force(r, epsilon=1.0, sigma=1.0, cutoff=CUTOFF):
    """-dU/dr of the same."""
    x = (sigma / np.asarray(r)) ** 6
    return np.where(np.asarray(r) < cutoff, 24 * epsilon * (2 * x * x - x) / np.asarray(r), 0.0)


def save_model(model: torch.nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(model), path)
    return path


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """Folder (with a space in its name) with the model files of Lennard-Jones.

    ``lj.pt`` has the species A; ``lj2.pt`` has the species [B, A], where A is LAMMPS type 1 in the
    tests: the order in the model is not that of the types.
    """
    folder = tmp_path_factory.mktemp("model files")
    save_model(LennardJones(["A"], [[1.0]], [[1.0]]), folder / "lj.pt")
    save_model(mixture(), folder / "lj2.pt")
    return folder


def mixture(**options) -> LennardJones:
    """Model with the species [B, A], of which A is LAMMPS type 1 and B type 2 in the tests."""
    swapped = [np.asarray(m)[::-1, ::-1].tolist() for m in (EPSILON, SIGMA)]
    return LennardJones(["B", "A"], *swapped, **options)


# ---- configurations ----


@dataclass
class Configuration:
    """Atoms in a periodic box, whose rows are the LAMMPS box vectors a, b, c (lower triangular)."""

    box: np.ndarray
    x: np.ndarray
    types: np.ndarray
    bonds: Sequence[tuple[int, int]] = ()  # 0-based
    charges: Sequence[float] = ()

    @property
    def volume(self) -> float:
        return float(np.linalg.det(self.box))

    def write(self, path: Path, n_types: int | None = None) -> Path:
        """Write a LAMMPS data file.

        It is of atom_style atomic, of bond if there are bonds, and of full if there are charges.
        """
        (lx, _, _), (xy, ly, _), (xz, yz, lz) = self.box.tolist()
        n_types = int(self.types.max()) if n_types is None else n_types
        lines = ["configuration of a test", "", f"{len(self.x)} atoms", f"{n_types} atom types"]
        if self.bonds:
            lines += [f"{len(self.bonds)} bonds", "1 bond types"]
            lines += ["2 extra bond per atom", "8 extra special per atom"]
        lines += [f"0 {size!r} {d}lo {d}hi" for d, size in zip("xyz", (lx, ly, lz), strict=True)]
        if xy or xz or yz:
            lines += [f"{xy!r} {xz!r} {yz!r} xy xz yz"]
        lines += ["", "Masses", "", *(f"{t + 1} 1.0" for t in range(n_types)), "", "Atoms", ""]
        molecule = "1 " if len(self.bonds) or len(self.charges) else ""
        for i, (t, r) in enumerate(zip(self.types.tolist(), self.x.tolist(), strict=True)):
            charge = f" {self.charges[i]!r}" if len(self.charges) else ""
            lines.append(f"{i + 1} {molecule}{t}{charge} {r[0]!r} {r[1]!r} {r[2]!r}")
        if self.bonds:
            lines += ["", "Bonds", ""]
            lines += [f"{n + 1} 1 {i + 1} {j + 1}" for n, (i, j) in enumerate(self.bonds)]
        path.write_text("\n".join(lines) + "\n")
        return path

    def pairs(self, reach: float):
        """All pairs i < j of images closer than `reach` (at most half of the box): (r, d, i, j)."""
        i, j = np.triu_indices(len(self.x), 1)
        d = self.x[i] - self.x[j]
        d -= np.round(d @ np.linalg.inv(self.box)) @ self.box
        best = d.copy()
        if np.any(self.box - np.diag(np.diag(self.box))):
            # skewed: the nearest image may be a neighbour of the rounded one
            for shift in np.ndindex(3, 3, 3):
                other = d + (np.array(shift) - 1) @ self.box
                nearer = (other**2).sum(1) < (best**2).sum(1)
                best[nearer] = other[nearer]
        r = np.sqrt((best**2).sum(1))
        within = r < reach
        return r[within], best[within], i[within], j[within]


def fluid(
    cells: int = 4, density: float = 0.75, tilt: bool = False, n_types: int = 1, seed: int = 1
) -> Configuration:
    """A disordered configuration: a face-centred cubic lattice with displaced atoms."""
    rng = np.random.default_rng(seed)
    a = (4.0 / density) ** (1.0 / 3.0)
    corners = np.array(
        [[x, y, z] for x in range(cells) for y in range(cells) for z in range(cells)]
    )
    sites = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    fraction = (corners[:, None, :] + sites[None, :, :]).reshape(-1, 3) / cells
    length = cells * a
    box = np.diag([length, length, length])
    if tilt:
        # one that leaves neighbours of the sheared lattice well apart
        box[1, 0], box[2, 0], box[2, 1] = 0.2 * length, -0.15 * length, 0.1 * length
    x = fraction @ box + rng.uniform(-0.12, 0.12, (len(fraction), 3)) + 0.3
    x = (x @ np.linalg.inv(box) % 1.0) @ box
    types = np.ones(len(x), dtype=int) if n_types == 1 else 1 + (rng.random(len(x)) < 0.3)
    return Configuration(box, x, types)


# ---- running LAMMPS ----


@dataclass
class LammpsResult:
    """What a LAMMPS run left behind."""

    returncode: int
    log: str  # standard output, which holds what the log file holds
    stderr: str
    folder: Path

    @property
    def values(self) -> dict[str, list[float]]:
        """Numbers of the lines ``RESULT name number ...`` that the script printed."""
        found = {}
        for line in self.log.splitlines():
            if line.startswith("RESULT "):
                _, name, *numbers = line.split()
                found[name] = [float(n) for n in numbers]
        return found

    @property
    def thermo(self) -> list[dict[str, np.ndarray]]:
        """The thermo tables of all runs, by column."""
        tables, columns, rows = [], None, []
        for line in self.log.splitlines():
            if re.match(r"\s*Step\s", line):
                columns, rows = line.split(), []
            elif line.startswith("Loop time"):
                if columns and rows:
                    tables.append(dict(zip(columns, np.array(rows).T, strict=True)))
                columns = None
            elif columns:
                words = line.split()
                if len(words) == len(columns) and re.match(r"[-+\d]", words[0]):
                    rows.append([float(w) for w in words])
        return tables

    def dump(self, name: str) -> list[dict[str, np.ndarray]]:
        """Frames of a custom dump, atoms sorted by id: one array per column."""
        return read_dump(self.folder / name)


def read_dump(path: Path) -> list[dict[str, np.ndarray]]:
    frames = []
    for text in path.read_text().split("ITEM: TIMESTEP\n")[1:]:
        head, body = text.split("ITEM: ATOMS ", 1)
        columns, *rows = body.splitlines()
        n = int(head.split("ITEM: NUMBER OF ATOMS\n")[1].split()[0])
        table = np.array([[float(w) for w in row.split()] for row in rows]).reshape(n, -1)
        names = columns.split()
        table = table[np.argsort(table[:, names.index("id")])]
        frames.append({name: table[:, k] for k, name in enumerate(names)})
    return frames


def pair_tables(path: Path) -> dict[str, np.ndarray]:
    """Keyword -> columns r, u, f of the tables that pair_write wrote to a file."""
    tables = {}
    for part in path.read_text().split("# Pair potential")[1:]:
        lines = part.splitlines()
        rows = [line.split() for line in lines if len(line.split()) == 4]
        tables[lines[2].strip()] = np.array(rows, dtype=float)[:, 1:].T
    return tables


def package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def environment() -> dict[str, str]:
    path = str(Path(sys.executable).parent) + os.pathsep + os.environ.get("PATH", "")
    return {**os.environ, "OMP_NUM_THREADS": "1", "PATH": path}


def bare_environment(plugin_path: Path | None) -> dict[str, str]:
    """Environment for LAMMPS's own executable, which nothing tells where MPI and plugins are."""
    variables = environment()
    variables["LD_LIBRARY_PATH"] = str(Path(sys.prefix) / "lib")
    variables.pop("LAMMPS_PLUGIN_PATH", None)
    if plugin_path is not None:
        variables["LAMMPS_PLUGIN_PATH"] = str(plugin_path)
    return variables


# What a processor must have for each of the force kernels, in the words of /proc/cpuinfo.
KERNELS = {
    "avx512": {"avx512f", "avx512dq", "avx512vl", "fma"},
    "avx2": {"avx2", "fma"},
    "portable": set(),
}


def kernel_environment(kernel: str) -> dict[str, str]:
    """Environment in which pair style diffsim uses this kernel; skips where there is none."""
    known = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    missing = KERNELS[kernel] - set(known[1].split() if known else ())
    if missing:
        pytest.skip(f"this processor lacks {', '.join(sorted(missing))}")
    return {**environment(), "DIFFSIM_INSTRUCTIONS": kernel}


# The kernels of GPUs: as ordinary C++, their threads one after the other, and on a GPU.
GPUS = ("emulated-gpu", "gpu")
CUDA_SOURCES = Path(__file__).parents[1] / "src_cpp" / "kernels" / "cuda"


@functools.cache
def emulated_cuda() -> Path:
    """The library of the kernels of GPUs, compiled for the processor."""
    library = Path(tempfile.mkdtemp(prefix="diffsim-emulated-")) / "libdiffsim_cuda.so"
    atexit.register(shutil.rmtree, library.parent)
    options = ["-std=c++17", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra"]
    sources = [str(path) for path in sorted(CUDA_SOURCES.glob("*.cu"))]
    command = [*os.environ.get("CXX", "g++").split(), *options, "-DDIFFSIM_EMULATE_CUDA"]
    subprocess.run([*command, "-x", "c++", *sources, "-o", str(library)], check=True)
    return library


def gpu_environment(device: str) -> dict[str, str]:
    """Environment in which 'device cuda' is one of `GPUS`; skips where there is no GPU."""
    if device == "emulated-gpu":
        return {**environment(), "DIFFSIM_CUDA_LIBRARY": str(emulated_cuda())}
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("this machine has no GPU of NVIDIA")
    return environment()


def without_seconds(records):
    """Lines of the metrics without what depends on how long something took."""

    def kept(entry):
        return {key: value for key, value in entry.items() if not key.startswith("seconds")}

    systems = [{name: kept(entry) for name, entry in r["systems"].items()} for r in records]
    return [kept(r) | {"systems": s} for r, s in zip(records, systems, strict=True)]


LMP = [str(Path(sys.executable).parent / "lmp")]
MPIEXEC = str(Path(sys.executable).parent / "mpiexec")


def execute(
    command: Sequence[str],
    folder: Path,
    ranks: int = 1,
    environ: dict[str, str] | None = None,
) -> LammpsResult:
    """Run a command on one process, or on several with mpiexec, and fail if it hangs."""
    if ranks > 1:
        command = [MPIEXEC, "-n", str(ranks), *command]
    process = subprocess.run(
        command,
        cwd=folder,
        env=environ or environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return LammpsResult(process.returncode, process.stdout, process.stderr, folder)


Run = Callable[..., LammpsResult]


def run_script(
    folder: Path, script: str, ranks=1, check=True, command=LMP, environ=None
) -> LammpsResult:
    """Run a LAMMPS script with `lmp` in a folder; it must succeed, unless not to be checked."""
    (folder / "in.test").write_text(script)
    result = execute(
        [*command, "-in", "in.test", "-log", "none"], folder, ranks=ranks, environ=environ
    )
    if check:
        assert result.returncode == 0, result.log[-3000:] + result.stderr[-3000:]
    return result


@pytest.fixture
def run_lammps(tmp_path) -> Run:
    """Run a LAMMPS script with `lmp`: run_lammps(script, ranks=1, check=True)."""

    def run(script, **options) -> LammpsResult:
        return run_script(tmp_path, script, **options)

    return run


def error_line(result: LammpsResult) -> str:
    """The one line with which LAMMPS stopped."""
    lines = [line for line in result.log.splitlines() if line.startswith("ERROR")]
    lines += [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
    # with several processes each of them may say it
    different = {re.sub(r" on proc \d+", "", line) for line in lines}
    assert len(different) == 1, f"{different}\n{result.log[-2000:]}\n{result.stderr[-2000:]}"
    return different.pop()


# ---- diffsim held against lj/cut ----

CORE = """
units lj
atom_style {atom_style}
newton {newton}
processors {processors}
boundary {boundary}
{before}read_data {data}
{after}neigh_modify delay 0 every 1 check yes
thermo_style custom step pe ke etotal press pxx pyy pzz pxy pxz pyz
thermo_modify norm no format float %.17g
"""

SINGLE_POINT = """
compute e all pe/atom pair
compute s all stress/atom NULL pair
run 0
print "RESULT {name} $(pe:%.17g) $(press:%.17g) $(pxx:%.17g) $(pyy:%.17g) $(pzz:%.17g) &
$(pxy:%.17g) $(pxz:%.17g) $(pyz:%.17g)"
write_dump all custom {name}.dump id x y z fx fy fz c_e c_s[*] modify format float %.17g
uncompute e
uncompute s
"""

EVALUATIONS = ("table", "exact")
SCALARS = ("pe", "press", "pxx", "pyy", "pzz", "pxy", "pxz", "pyz")
PER_ATOM = ("fx", "fy", "fz", "c_e", *(f"c_s[{k}]" for k in range(1, 7)))


NO_BOND_FORCES = ("zero nocoeff", "")  # bonds that say only who is a neighbour of whom


def core(
    data="start.data", newton="on", processors="* * *", boundary="p p p", bonds=(), charges=False
):
    """Commands before the pair style; `bonds` are a bond style and its coefficients."""
    style = "full" if charges else "bond" if bonds else "atomic"
    before = f"bond_style {bonds[0]}\n" if bonds else ""
    after = f"bond_coeff * {bonds[1]}\n" if bonds else ""
    return CORE.format(
        data=data,
        newton=newton,
        processors=processors,
        boundary=boundary,
        atom_style=style,
        before=before,
        after=after,
    )


def single_point(name):
    """Energy, pressure, and forces, energies and stresses of the atoms, as they stand."""
    return SINGLE_POINT.format(name=name)


def lj_cut(n_types=1, shift="yes", style="lj/cut"):
    pairs = [(i, j) for i in range(n_types) for j in range(i, n_types)]
    return "\n".join(
        [
            f"pair_style {style} {CUTOFF}",
            f"pair_modify shift {shift}",
            *(f"pair_coeff {i + 1} {j + 1} {EPSILON[i][j]} {SIGMA[i][j]}" for i, j in pairs),
            "",
        ]
    )


def diffsim(
    models,
    n_types=1,
    tolerance: float | None = TOLERANCE,
    evaluation="table",
    file="",
    device="",
):
    """The potential of `lj_cut`, or another file with the same species."""
    style = "pair_style diffsim" + (f" device {device}" if device else "")
    if evaluation != "table":
        style += f" eval {evaluation}"
    elif tolerance:
        style += f" tolerance {tolerance:g}"
    own, names = ("lj.pt", "A") if n_types == 1 else ("lj2.pt", "A B")
    return f'{style}\npair_coeff * * "{models / (file or own)}" {names}\n'


def allowed_by_tolerance(configuration: Configuration):
    """Largest deviations that the tolerance allows: of the energy and the force of each atom.

    Per pair they are max(|u|, 1) and max(|f|, 1/cutoff) times the tolerance.
    """
    r, _, i, j = configuration.pairs(CUTOFF)
    pair = (configuration.types[i] - 1, configuration.types[j] - 1)
    epsilon, sigma = np.array(EPSILON)[pair], np.array(SIGMA)[pair]
    u = np.maximum(np.abs(lj_energy(r, epsilon, sigma)), 1.0)
    f = np.maximum(np.abs(lj_force(r, epsilon, sigma)), 1.0 / CUTOFF)
    energy, force, virial = (np.zeros(len(configuration.x)) for _ in range(3))
    for end in (i, j):
        np.add.at(energy, end, 0.5 * u * TOLERANCE)
        np.add.at(force, end, f * TOLERANCE)
        np.add.at(virial, end, 0.5 * r * f * TOLERANCE)
    return energy, force, virial


def assert_same_to_tolerance(result, configuration, name="diffsim", reference="reference"):
    energy, force, virial = allowed_by_tolerance(configuration)
    ours, theirs = (
        dict(zip(SCALARS, result.values[key], strict=True)) for key in (name, reference)
    )
    assert abs(theirs["pe"]) > 100.0  # there is something to compare
    assert ours["pe"] == pytest.approx(theirs["pe"], rel=0, abs=energy.sum())
    for key in SCALARS[1:]:
        # isotropic pressure: W/(3V), with W the sum of three components
        assert abs(ours[key] - theirs[key]) <= virial.sum() / configuration.volume, key

    (ours,), (theirs,) = result.dump(f"{name}.dump"), result.dump(f"{reference}.dump")
    assert len(ours["id"]) == len(configuration.x)
    for column in ("x", "y", "z"):
        np.testing.assert_allclose(ours[column], theirs[column], rtol=0, atol=1e-13)
    for column in ("fx", "fy", "fz"):
        assert np.abs(theirs[column]).max() > 1.0
        assert (np.abs(ours[column] - theirs[column]) <= force).all(), column
    assert (np.abs(ours["c_e"] - theirs["c_e"]) <= energy).all()
    for k in range(1, 7):
        assert np.abs(theirs[f"c_s[{k}]"]).max() > 1.0
        assert (np.abs(ours[f"c_s[{k}]"] - theirs[f"c_s[{k}]"]) <= virial).all()


def assert_close(ours, theirs, relative: float, what=""):
    """Arrays equal but for a part of the largest value among them."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, what
    scale = np.abs(theirs).max(initial=0.0)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=relative * scale, err_msg=str(what))


def assert_same_to_rounding(
    result, other=None, name="diffsim", reference="reference", relative=1e-12
):
    """Single points equal but for a part of the largest energy, pressure, force and so on.

    They may be of two results; a `relative` of 0 asks for equal numbers.
    """
    other = other or result
    ours, theirs = result.values[name], other.values[reference]
    assert abs(theirs[0]) > 100.0  # there is something to compare
    assert_close(ours[:1], theirs[:1], relative, "pe")
    assert_close(ours[1:], theirs[1:], relative, "pressure")
    (ours,), (theirs,) = result.dump(f"{name}.dump"), other.dump(f"{reference}.dump")
    for column in ("x", "y", "z", *PER_ATOM):
        assert np.abs(theirs[column]).max() > 0.1
        assert_close(ours[column], theirs[column], relative, column)


def assert_agrees(result, configuration, evaluation, name="", reference="reference"):
    """With lj/cut: a table to its tolerance, the model itself to rounding.

    The name of the single point is that of the evaluation, if no other is given.
    """
    name = name or evaluation
    if evaluation == "exact":
        assert_same_to_rounding(result, name=name, reference=reference, relative=1e-10)
    else:
        assert_same_to_tolerance(result, configuration, name, reference)


def beside_the_norm(events: Sequence[str], systems: int = 1) -> list[str]:
    """All but that targets, as those of most tests, do not say of how many atoms they are."""
    said = [event for event in events if "how many atoms its box held" in event]
    assert len(said) == systems
    return [event for event in events if event not in said]
