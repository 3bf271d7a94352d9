"""The fluids that are simulated, and the same potential for each of LAMMPS's pair styles.

Every run starts from one melted configuration of 1,000 atoms, repeated to the size asked for.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lammps_runs import BIN, lammps

from diffsim.potentials import LennardJones, Neural, PairPotential

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "lj"
TABLE_ROWS = 2000
REPEATS = {1_000: "1 1 1", 32_000: "4 4 2", 256_000: "8 8 4", 2_048_000: "16 16 8"}
"""How the configuration is repeated to each number of atoms."""

FORGETTING = 300
"""Steps with random forces in which an atom moves by about half of its diameter."""

CUTOFF = 2.5
"""Range of Lennard-Jones, in sigma of the pair."""


class KobAndersen(LennardJones):
    """Lennard-Jones with a cutoff of 2.5 sigma of each pair; exactly zero beyond."""

    def pair_energy(self, r: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        reach = 2.5 * self.log_sigma.exp()[pair]
        energy = self.formula(r, pair) - self.formula(reach, pair)
        return torch.where(r < reach, energy, torch.zeros_like(energy))


@dataclass(frozen=True)
class Fluid:
    """A liquid of Lennard-Jones particles.

    Attributes
    ----------
    name, title
        Name of its files, and in the report.
    species
        Names of the species of LAMMPS types 1, 2, ...
    temperature
        In epsilon / k_B.
    coefficients
        epsilon and sigma of each pair of types (i <= j).
    melting
        Commands before and after those of the potential that bring 1,000 atoms of it to
        equilibrium.
    """

    name: str
    title: str
    species: Sequence[str]
    temperature: float
    coefficients: dict[tuple[int, int], tuple[float, float]]
    melting: tuple[Sequence[str], Sequence[str]]

    def lj_cut(self, suffix: str = "") -> list[str]:
        """Commands of pair_style lj/cut, or lj/cut/opt, lj/cut/omp."""
        return [
            f"pair_style lj/cut{suffix} {CUTOFF}",
            "pair_modify shift yes",
            *(
                f"pair_coeff {i} {j} {epsilon} {sigma} {CUTOFF * sigma:.6g}"
                for (i, j), (epsilon, sigma) in self.coefficients.items()
            ),
        ]

    def diffsim(self, words: str = "") -> list[str]:
        """Commands of pair_style diffsim."""
        return [
            f"pair_style diffsim {words}",
            f"pair_coeff * * {self.name}.pt {' '.join(self.species)}",
        ]

    def table(self) -> list[str]:
        """Commands of pair_style table linear, which looks its rows up in r^2."""
        return [
            f"pair_style table linear {TABLE_ROWS}",
            *(
                f"pair_coeff {i} {j} {self.name}.table {self.species[i - 1]}_{self.species[j - 1]} "
                f"{CUTOFF * sigma:.6g}"
                for (i, j), (_, sigma) in self.coefficients.items()
            ),
        ]

    def model(self) -> PairPotential:
        """The potential as a model."""
        n = len(self.species)
        matrices = [
            [
                [self.coefficients[min(i, j), max(i, j)][k] for j in range(1, n + 1)]
                for i in range(1, n + 1)
            ]
            for k in (0, 1)
        ]
        form = LennardJones if n == 1 else KobAndersen
        return form(list(self.species), CUTOFF, "lj", *matrices)

    def prepare(self, folder: Path, atoms: int = 1_000) -> None:
        """Write the melted configuration of a size, the model and its table, if not there.

        A larger configuration is the smallest one repeated, and then run until its copies have
        forgotten each other: the branches of a loop over pairs must not repeat themselves, since
        the processor would learn them, and a style that has branches would look faster than it is.
        """
        if (folder / self.data(atoms)).exists():
            return
        if atoms == 1_000:
            model = folder / f"{self.name}.pt"
            self.model().save(model)
            table = ["--output", str(model.with_suffix(".table")), "--points", str(TABLE_ROWS)]
            export = [str(BIN / "diffsim"), "export", str(model), *table]
            subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
            begin, run = self.melting
        else:
            self.prepare(folder)
            begin = ["units lj", *self.start(1_000), f"replicate {REPEATS[atoms]}"]
            temperature = self.temperature
            run = [
                "fix integrate all nve",
                f"fix thermostat all langevin {temperature} {temperature} 0.5 12345",
                "timestep 0.005",
                f"run {FORGETTING}",
            ]
        lammps(folder, [*begin, *self.lj_cut(), *run, f"write_data {self.data(atoms)} nocoeff"])

    def data(self, atoms: int) -> str:
        """Name of the file of the melted configuration of a size."""
        return f"{self.name}-{atoms}.data"

    def start(self, atoms: int) -> list[str]:
        """Commands that make the melted configuration of a size."""
        return [f"read_data {self.data(atoms)}"]


LJ = Fluid(
    name="lj",
    title="Lennard-Jones fluid of examples/lj (rho 0.7, T 1)",
    species=["A"],
    temperature=1.0,
    coefficients={(1, 1): (1.0, 1.0)},
    melting=(
        [
            "variable temperature index 1.0",
            "variable seed index 12345",
            f"include {EXAMPLE}/in.lj",
        ],
        ["run 3000"],
    ),
)

KOB_ANDERSEN = Fluid(
    name="kob_andersen",
    title="Kob-Andersen mixture, 2 types (80:20, rho 1.2, T 0.8)",
    species=["A", "B"],
    temperature=0.8,
    coefficients={(1, 1): (1.0, 1.0), (1, 2): (1.5, 0.8), (2, 2): (0.5, 0.88)},
    melting=(
        [
            "units lj",
            "lattice sc 1.2",
            "region box block 0 10 0 10 0 10",
            "create_box 2 box",
            "create_atoms 1 box",
            "set group all type/subset 2 200 12345",
            "mass * 1.0",
            "velocity all create 1.6 12345",
        ],
        [
            "fix integrate all nve",
            "fix thermostat all langevin 0.8 0.8 0.5 12345",
            "timestep 0.005",
            "run 3000",
        ],
    ),
)


def neural(path: Path) -> None:
    """Write the package's default network, untrained, as a model of the Lennard-Jones fluid."""
    Neural(["A"], CUTOFF, "lj").save(path)
