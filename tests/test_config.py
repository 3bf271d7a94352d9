"""The configuration: what it holds, and a sentence for everything that is wrong with it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from diffsim.config.schema import dump_config, load_config
from diffsim.errors import InputError
from diffsim.targets.rdf import FITTED_OFFSET, FITTED_SCALE

MINIMAL = """\
units: lj
potential: {form: neural, species: [A, B], cutoff: 2.5}
systems:
  - script: in.lj
    temperature: 1.0
    targets:
      - {rdf: rdf.csv, pair: [A, B]}
"""

FULL = """\
units: real
potential: {form: mie, species: [NO, "1"], cutoff: 9, sigma: 3.4, prior: null}
systems:
  - name: liquid
    script: sub/in.lj
    temperature: 298.15
    types: [NO, "NULL", "1"]
    variables: {rho: 0.7, n: 5, file: a.data, exponent: "1e-5"}
    weight: 2
    targets:
      - {rdf: rdf.csv, pair: [NO, "1"], weight: 3, range: [0, 4.0], bin_weights: [[0, 1.0, 2.0]]}
simulation: {steps: 500, every: 5, equilibration: 0, relaxation: 0}
optimizer: {name: adam, lr: 1e-2, min_ess: 0.3}
start: potential
iterations: 3
tolerance: 1e-6
seed: 0
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("in.lj", "melt.in", "sub/in.lj", "model.pt"):
        (tmp_path / name).touch()
    (tmp_path / "rdf.csv").write_text("0.5 0\n1.5 2\n2.5 1\n")
    return tmp_path


def load(folder, text):
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def problems(folder, text):
    with pytest.raises(InputError) as caught:
        load(folder, text)
    lines = str(caught.value).splitlines()
    assert all(str(folder / "config.yaml") in line and line[-1] in ".?" for line in lines), lines
    return lines


def test_defaults(folder):
    config = load(folder, MINIMAL)
    system = config.systems[0]
    assert config.potential.options == {}
    assert (system.name, system.script) == ("lj", folder / "in.lj")
    assert (system.types, system.variables, system.weight) == (None, {}, 1.0)
    assert system.intermolecular is False
    assert system.targets[0].rdf == folder / "rdf.csv"
    assert config.simulation.model_dump() == {
        "steps": 2500,
        "every": 20,
        "equilibration": 2000,
        "relaxation": 250,
        "windows": 20,
        "spacing": 100,
        "window": 100,
        "replicas": None,
        "ranks_per_simulation": None,
        "device": "cpu",
    }
    assert (config.optimizer.name, config.optimizer.options) == ("gauss-newton", {})
    assert (config.start, config.iterations, config.tolerance, config.seed) == ("mie", 10, 1e-4, 1)


def test_everything_given(folder):
    config = load(folder, FULL)
    system = config.systems[0]
    assert config.potential.species == ["NO", "1"]
    assert config.potential.options == {"sigma": 3.4, "prior": None}
    assert system.script == folder / "sub" / "in.lj"
    assert system.variables == {"rho": 0.7, "n": 5, "file": "a.data", "exponent": "1e-5"}
    assert isinstance(system.variables["n"], int)
    assert (config.optimizer.name, config.optimizer.options) == (
        "Adam",
        {"lr": 0.01, "min_ess": 0.3},
    )
    assert (config.start, config.tolerance) == ("potential", 1e-6)
    target = system.targets[0].load()
    assert (target.pair, target.weight) == (("NO", "1"), 3.0)
    assert target.r.tolist() == [0.5, 1.5, 2.5]
    assert target.bin_weights.tolist() == [2.0, 1.0, 1.0]


@pytest.mark.parametrize("text", [MINIMAL, FULL])
def test_dumped_configurations_are_read_again(folder, tmp_path, text):
    config = load(folder, text)
    other = tmp_path / "elsewhere"
    other.mkdir()
    assert load(other, dump_config(config)) == config


@pytest.mark.parametrize(
    ("keys", "atoms", "norm"),
    [
        ("", 500, "N"),  # as the file says
        ("atoms: 1000", 1000, "N"),
        ("atoms: infinite, norm: N-1", math.inf, "N-1"),
        ("atoms: {A: 800, B: 200}", {"A": 800, "B": 200}, "N"),
    ],
)
def test_the_box_of_a_target_in_the_configuration_overrides_that_in_the_file(
    folder, tmp_path, keys, atoms, norm
):
    (folder / "rdf.csv").write_text("# atoms: 500\n# norm: N\n0.5 0\n1.5 2\n2.5 1\n")
    config = load(folder, MINIMAL.replace("[A, B]}\n", f"[A, B], {keys}}}\n"))
    (tmp_path / "dumped.yaml").write_text(dump_config(config))
    for found in (config, load_config(tmp_path / "dumped.yaml")):
        target = found.systems[0].targets[0].load()
        assert target.atoms == atoms and target.norm == norm


@pytest.mark.parametrize("atoms", ["many", "1", ".inf", "{}", "{A: 0}", "[1000]"])
def test_numbers_of_atoms_that_cannot_be(folder, atoms):
    (line,) = problems(folder, MINIMAL.replace("[A, B]}\n", f"[A, B], atoms: {atoms}}}\n"))
    assert "atoms should be a number of atoms from 2 up, 'infinite', or a mapping" in line


def test_potential_from_a_file_is_where_the_training_starts(folder):
    text = MINIMAL.replace("{form: neural, species: [A, B], cutoff: 2.5}", "{file: model.pt}")
    config = load(folder, text)
    assert config.potential.file == folder / "model.pt"
    assert config.start == "potential"
    assert load(folder, text + "start: pmf\n").start == "pmf"


def test_all_forms_of_the_library_are_known(folder):
    from diffsim.potentials import FORMS

    for form in FORMS:
        assert load(folder, MINIMAL.replace("neural", form)).potential.form == form
    (line,) = problems(folder, MINIMAL.replace("neural", "none"))
    assert all(f"'{form}'" in line for form in FORMS)


def test_names_of_systems(folder):
    def system(script, name=""):
        return MINIMAL[MINIMAL.index("  - script") :].replace("in.lj", script + name)

    head = MINIMAL[: MINIMAL.index("  - script")]
    systems = [
        system("in.lj"),
        system("melt.in"),
        system("sub/in.lj"),
        system("in.lj", "\n    name: a"),
    ]
    config = load(folder, head + "".join(systems))
    assert [s.name for s in config.systems] == ["lj-1", "melt", "lj-2", "a"]
    lines = problems(folder, head + 2 * system("in.lj", "\n    name: a"))
    assert len(lines) == 2
    assert "systems[0].name should be unique, but 'a' names 2 systems" in lines[0]
    assert "systems[1].name" in lines[1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("units: lj", "units: ljj", ["units should be 'lj', 'real',", "'ljj' was found"]),
        ("units: lj\n", "", ["units is missing", "units style"]),
        ("form: neural, ", "", ["potential should have either", "'form'", "'file'"]),
        ("form: neural", "form: neural, file: model.pt", ["potential should have either"]),
        ("form: neural", "file: model.pt", ["potential should not have the key 'species' beside"]),
        ("cutoff", "cutof", ["potential should have the key 'cutoff'", "form, species, cutof"]),
        ("[A, B], c", "A, c", ["potential.species should be a valid list", "'A' was found"]),
        ("[A, B], c", "[], c", ["potential.species should have at least one item"]),
        ("[A, B], c", "[A, B, 1], c", ["potential.species[2] should be a valid string", "1 was"]),
        ("[A, B], c", "[A, B, A], c", ["potential should name every species once"]),
        ("2.5", "-2.5", ["potential.cutoff should be greater than 0", "-2.5 was found"]),
        ("2.5", "'2.5'", ["potential.cutoff should be a valid number", "'2.5' was found"]),
        ("2.5", "true", ["potential.cutoff should be a valid number", "True was found"]),
        ("2.5", ".inf", ["potential.cutoff should be a finite number", "inf was found"]),
        ("in.lj", "in.no", ["systems[0].script should be a file", "in.no'"]),
        ("in.lj", "sub", ["systems[0].script should be a file", "sub'"]),
        ("in.lj", "[1]", ["systems[0].script should be a LAMMPS script", "[1] was found"]),
        ("rdf.csv", "no.csv", ["systems[0].targets[0].rdf should be a file", "no.csv'"]),
        ("1.0", "0", ["systems[0].temperature should be greater than 0", "0 was found"]),
        ("1.0", "1.0\n    types: [A, C]", ["systems[0].types[1]", "A, B", "NULL", "'C'"]),
        ("1.0", "1.0\n    types: [A, A]", ["systems[0].targets[0].pair", "(A, A)", "'B' was"]),
        ("1.0", "1.0\n    name: a/b", ["systems[0].name should be a unique name", "'a/b' was"]),
        ("1.0", "1.0\n    weight: 0", ["systems[0].weight should be greater than 0"]),
        ("1.0", "1.0\n    variables: 3", ["systems[0].variables should be a mapping", "3 was"]),
        ("1.0", "1.0\n    variables: {a-b: 3}", ["systems[0].variables.a-b", "letters, digits"]),
        ("1.0", "1.0\n    variables: {a: [3]}", ["systems[0].variables.a should be a", "[3] was"]),
        ("1.0", "1.0\n    variables: {a: true}", ["systems[0].variables.a", "True was found"]),
        ("[A, B]}", "[A, C]}", ["systems[0].targets[0].pair", "(A, B)", "'C' was found"]),
        ("[A, B]}", "[A]}", ["systems[0].targets[0].pair should be a list", "['A'] was found"]),
        ("[A, B]}", "AB}", ["systems[0].targets[0].pair should be a list", "'AB' was found"]),
        ("[A, B]}", "[A, B], range: [2, 1]}", ["targets[0].range", "smaller one", "[2.0, 1.0]"]),
        ("[A, B]}", "[A, B], range: 3}", ["targets[0].range should be a list", "3 was found"]),
        ("[A, B]}", "[A, B], bin_weights: [[1, 2]]}", ["targets[0].bin_weights[0]", "[1, 2] was"]),
        ("[A, B]}", "[A, B], bin_weights: [[1, 2, -1]]}", ["bin_weights[0][2]", "-1 was found"]),
        ("[A, B]}", "[A, B], wieght: 1}", ["targets[0].wieght is not a known key", "'weight'?"]),
        ("    targets:", "    target:", ["systems[0].targets is missing"]),
        ("units", "unit", ["units is missing"]),
    ],
)  # fmt: skip
def test_one_sentence_for_each_problem(folder, old, new, words):
    assert old in MINIMAL
    line = problems(folder, MINIMAL.replace(old, new, 1))[0]
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("iterations: 0", ["iterations should be greater than 0", "0 was found"]),
        ("iterations: 1.5", ["iterations should be a valid integer", "1.5 was found"]),
        ("seed: -1", ["seed should be greater than or equal to 0", "-1 was found"]),
        ("tolerance: 2", ["tolerance should be less than 1", "2 was found"]),
        ("start: here", ["start should be 'mie', 'hnc', 'pmf' or 'potential'", "'here' was found"]),
        ("optimizer: adm", ["optimizer.name should be gauss-newton, ibi", "AdamW", "'adm' was"]),
        ("optimizer: optimizer", ["optimizer.name should be gauss-newton, ibi"]),
        ("optimizer: {lr: 1}", ["optimizer.name is missing"]),
        ("optimizer: [adam]", ["optimizer should be a name or a mapping", "['adam'] was found"]),
        ("simulation: 5", ["simulation should be a mapping", "5 was found"]),
        ("simulation: {steps: 25}", ["simulation should have", "steps = 25 and every = 20"]),
        ("simulation: {evry: 25}", ["simulation.evry is not a known key", "'every'?"]),
        ("iteration: 3", ["iteration is not a known key", "did you mean 'iterations'?"]),
        ("zzz: 3", ["zzz is not a known key", "the known keys are units, potential, systems"]),
        ("seed: 1\nseed: 2", ["Line 9", "'seed' is given twice"]),
        ("simulation: {every: 1, every: 2}", ["Line 8", "'every' is given twice"]),
        ("seed: [1", ["is not YAML", "Line 9"]),
        ("seed: 1: 2", ["is not YAML", "Line 8", "mapping values are not allowed"]),
    ],
)  # fmt: skip
def test_one_sentence_for_each_problem_at_the_end(folder, text, words):
    (line,) = problems(folder, f"{MINIMAL}{text}\n")
    assert all(word in line for word in words), line


def test_all_problems_are_told_at_once(folder):
    lines = problems(folder, MINIMAL.replace("script:", "scrpt:").replace("2.5", "0") + "seed: x\n")
    assert [line.split(": ", 1)[1].split(" ")[0] for line in lines] == [
        "potential.cutoff",
        "systems[0].script",
        "systems[0].scrpt",
        "seed",
    ]


@pytest.mark.parametrize(("text", "found"), [("", "nothing"), ("3", "3"), ("[1]", "[1]")])
def test_files_that_are_no_mapping(folder, text, found):
    (line,) = problems(folder, text)
    assert f"should hold keys like 'units:' and 'systems:', but {found} was found" in line


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match=r"config\.yaml' does not exist"):
        load_config(tmp_path / "config.yaml")
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path / "config.yaml")


def test_a_factor_and_a_constant_that_are_fitted(folder):
    text = MINIMAL.replace("rdf: rdf.csv", "rdf: rdf.csv, scale: fit, offset: fit")
    target = load(folder, text).systems[0].targets[0].load()
    assert (target.scale_error, target.offset_error) == (FITTED_SCALE, FITTED_OFFSET)
    plain = load(folder, MINIMAL).systems[0].targets[0].load()
    assert (plain.scale_error, plain.offset_error) == (0.0, 0.0)
    with pytest.raises(InputError, match="scale"):
        load(folder, text.replace("scale: fit", "scale: 1.1"))


def test_an_error_and_a_smearing_of_a_curve(folder):
    text = MINIMAL.replace("rdf: rdf.csv", "rdf: rdf.csv, error: 0.02, smearing: 0.1")
    target = load(folder, text).systems[0].targets[0].load()
    assert np.array_equal(target.error, np.full(len(target.g), 0.02)) and target.smearing == 0.1
    rows = zip(target.r, target.g, strict=True)
    (folder / "known.csv").write_text("\n".join(f"{a},{b},0.01" for a, b in rows))
    with pytest.raises(InputError, match="has a column of errors, and 'error: 0"):
        load(folder, text.replace("rdf.csv", "known.csv")).systems[0].targets[0].load()
