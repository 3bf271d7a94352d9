"""Scripts as users bring them: what works, and what is refused with which words."""

from __future__ import annotations

import re

import numpy as np
import pytest

from conftest import fluid_script
from diffsim import Protocol, System, Trainer
from diffsim.errors import DiffSimError, InputError
from diffsim.lammps.commands import commands
from diffsim.potentials import LennardJones
from diffsim.targets import RDF

FLUID = fluid_script()
SHORT = Protocol(steps=40, every=10, equilibration=40, relaxation=15)


def target(pair=("A", "A")) -> RDF:
    r = 0.05 * (0.5 + np.arange(50))
    return RDF(r, np.exp(-4 * (r**-12 - r**-6) * (r < 1.8)), pair)


def trainer(folder, text, species=("A",), **options) -> Trainer:
    script = folder / "in.fluid"
    script.write_text(text)
    system = System(script, 1.0, [target(("A", species[-1]))], name="fluid", **options)
    potential = LennardJones(list(species), 1.8)
    return Trainer(potential, [system], protocol=SHORT, start="potential", scratch=folder)


QUIT = [
    "quit",
    "quit 0  # the end",
    'if "1 > 2" then "quit 1"',
    "include ${folder}/in.more",
    "include &\n  ${more}",
]


@pytest.mark.parametrize("line", QUIT)
def test_quit_is_found_before_it_ends_the_process(line, tmp_path):
    (tmp_path / "in.more").write_text("# a file that is included\nquit\n")
    variables = {"more": tmp_path / "in.more"}
    with pytest.raises(InputError, match="'quit' in line") as error:
        trainer(tmp_path, FLUID + line + "\n", variables=variables)
    assert ("in.more" in str(error.value)) == ("more" in line)


def test_commands_of_a_script(tmp_path):
    script = tmp_path / "in.a"
    script.write_text(
        'print "quit"  # no command\n\nfix 1 all &\n  nve # quit\n'
        "jump SELF here\ninclude in.a\ninclude ${unknown}\n"
    )
    found = [(command.line, command.words) for command in commands(script, {})]
    assert found == [
        (1, ("print", '"quit"')),
        (3, ("fix", "1", "all", "nve")),
        (5, ("jump", "SELF", "here")),
        (6, ("include", "in.a")),
        (7, ("include", "${unknown}")),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FLUID + "fix flow all deform 1 x erate 0.1 remap v\n", ["fix deform", "equilibrium"]),
        (FLUID.replace("units lj", "units lj\ndimension 2"), ["two dimensions"]),
        (FLUID + "variable temperature equal 2\n", ["Cannot redefine", "index"]),
        ("units lj\nread_data no.data\n", ["no.data", "${folder}/"]),
        (
            FLUID.replace("units lj", "units lj\natom_style charge")
            + "kspace_style ewald 1e-2\nset atom 1 charge 1\nset atom 2 charge -1\n",
            ["only pair style", "kspace_style"],
        ),
    ],
)
def test_what_is_refused_says_what_to_do(text, words, tmp_path):
    if "dimension 2" in text:
        text = text.replace("lattice sc", "lattice sq").replace("0 5 0 5 0 5", "0 5 0 5 -0.5 0.5")
    with pytest.raises(DiffSimError) as error:
        trainer(tmp_path, text).fit(1)
    assert all(word in str(error.value) for word in words)
    assert not re.search(r"\.(cpp|h):\d", str(error.value))  # no place in the sources


def test_coefficients_in_a_data_file(tmp_path):
    (tmp_path / "a.data").write_text(
        "title\n\n1 atoms\n1 atom types\n0 6 xlo xhi\n0 6 ylo yhi\n0 6 zlo zhi\n\nMasses\n\n1 1.0\n"
        "\nPair Coeffs # lj/cut\n\n1 1.0 1.0\n\nAtoms # atomic\n\n1 1 1.0 1.0 1.0\n"
    )
    with pytest.raises(DiffSimError, match="'nocoeff'"):
        trainer(tmp_path, "units lj\nread_data ${folder}/a.data\n")
    trainer(tmp_path, "units lj\nread_data ${folder}/a.data nocoeff\n")


def test_dumps_and_averages_in_a_script_change_nothing(tmp_path):
    records = []
    for name, more in (
        ("plain", ""),
        (
            "dumping",
            "dump d all custom 10 ${folder}/d.dump id type x y z\n"
            "compute g all rdf 20 cutoff 1.5\n"
            "fix f all ave/time 10 1 10 c_thermo_temp file ${folder}/f.txt\n",
        ),
    ):
        folder = tmp_path / name
        folder.mkdir()
        text = (FLUID + more).replace("compute g all rdf 20 cutoff 1.5\n", "")
        records.append(trainer(folder, text).fit(3))
    for one, other in zip(*records, strict=True):
        assert one.loss == other.loss
    assert (tmp_path / "dumping" / "d.dump").stat().st_size > 0


def test_types_drawn_anew_in_every_piece(tmp_path):
    text = FLUID.replace("create_box 1", "create_box 2").replace("mass 1", "mass *")
    drawn = text + "set type 1 type/ratio 2 0.5 "
    with pytest.raises(InputError, match=r"another type .* fixed number"):
        trainer(tmp_path, drawn + "${seed}\n", species="AB").fit(2)
    trainer(tmp_path, drawn + "7\n", species="AB").fit(2)


def test_motion_without_velocities_has_no_kinetic_temperature(tmp_path):
    # a dilute gas: B2(T = 1) is about -4; its "velocities" have a temperature of 2 / dt = 10000
    text = fluid_script(density=0.05, cells=8).replace(
        "fix integrate all nve", "fix integrate all brownian ${temperature} ${seed} gamma_t 1.0"
    )
    text = re.sub("fix thermostat.*\n", "", text).replace("timestep 0.005", "timestep 0.0002")
    of = trainer(tmp_path, text)
    (values,) = of._reached.values()
    (frames,) = of._simulations.run(of.grid, [values], (1, 1, 0), None)
    np.testing.assert_array_equal(frames.temperature, 1.0)
    assert frames.pressure.mean() == pytest.approx(0.05 - 4 * 0.05**2, rel=0.3)
