"""What goes wrong on the LAMMPS side is said in one clear sentence, with a non-zero exit."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import (
    CUTOFF,
    LennardJones,
    bare_environment,
    error_line,
    fluid,
    lj_energy,
    package_folder,
    save_model,
)
from diffsim import _core
from diffsim.plugin import plugin_directory
from diffsim.simulation import lammps_instance

# ---- models that break the contract, each in one way ----


class Scripted(torch.nn.Module):
    """Attributes of the contract, for models that break another part of it."""

    def __init__(self):
        super().__init__()
        self.cutoff = 2.5
        self.species = ["A"]
        self.units = "lj"


class TwoArguments(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor) -> torch.Tensor:
        return r + type_i


class NoForward(Scripted):
    @torch.jit.export
    def energy(self, r: torch.Tensor) -> torch.Tensor:
        return r


class Contract(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (1.0 / r) ** 12 * (1.0 - r / self.cutoff) ** 2


class NotANumber(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return torch.log(r - 1.2) * (r - self.cutoff)


class Infinite(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return 1.0 / (r - self.cutoff)


class NoSlope(Scripted):
    # the derivative of sqrt at 0 is infinite, times zero
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (self.cutoff - r) ** 2 + torch.sqrt(0.0 * r)


class Collapse(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (self.cutoff - r) * -1e4


class Float32(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (self.cutoff - r).to(torch.float32)


class WrongShape(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (self.cutoff - r).sum()


class Column(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (self.cutoff - r).unsqueeze(1)


class NotATensor(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> float:
        return 1.0


class Failing(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return r @ torch.ones(3, 3, dtype=torch.float64)


class Raising(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        if r.shape[0] > 0:
            raise ValueError("the moon is in the wrong house")
        return r


class Detached(Scripted):
    # the energy depends on r by numbers that autograd cannot follow
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (self.cutoff - r.detach()) ** 3


class DetachedWithWeights(Scripted):
    # the energy has a graph, which leads to a weight and not to r
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))

    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return self.weight * (self.cutoff - r.detach()) ** 3


class Asymmetric(Scripted):
    def __init__(self):
        super().__init__()
        self.species = ["A", "B"]

    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (self.cutoff - r) ** 2 * (1.0 + type_i)


class Kinked(Scripted):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return torch.abs(r - 1.5) - 1.0


class Steep(Scripted):
    # 1000 kT are exceeded as soon as the cutoff is passed
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return 1e9 * (self.cutoff - r)


class WithoutCutoff(Scripted):
    # its forward method compiles without that attribute
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (1.0 / r) ** 12


def with_attribute(name, value):
    """A good model but for one attribute, which is left out if the value is None."""
    model = WithoutCutoff() if (name, value) == ("cutoff", None) else Contract()
    if value is None:
        delattr(model, name)
    else:
        setattr(model, name, value)
    return model


def truncated(path: Path) -> None:
    save_model(Contract(), path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def a_plain_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("hello.txt", "hello")


def a_state_dict(path: Path) -> None:
    torch.save(LennardJones(["A"], [[1.0]], [[1.0]]).state_dict(), path)


def a_knots_file(change=lambda text: text):
    def write(path: Path) -> None:
        values = lj_energy(np.sqrt(np.linspace(0.81, 6.25, 30)))
        _core.Knots("lj", ["A"], 2.5, [0.9], values[None, :]).write(str(path))
        path.write_text(change(path.read_text()))

    return write


# name: (what is at the path of the model, words that the sentence must have)
FILES = {
    "missing": (lambda path: None, ["cannot be opened", "No such file", "Give the path"]),
    "a folder": (lambda path: path.mkdir(), ["model.pt"]),
    "empty": (lambda path: path.write_bytes(b""), ["not a TorchScript archive", "torch.jit.save"]),
    "text": (
        lambda path: path.write_text("a picture of a potential\n"),
        ["not a TorchScript archive", "line 1", "'a picture of a potential'"],
    ),
    "truncated archive": (truncated, ["not a TorchScript archive that PyTorch", "torch.jit.save"]),
    "zip of something else": (a_plain_zip, ["not a TorchScript archive that PyTorch"]),
    "state dict": (a_state_dict, ["not a TorchScript archive that PyTorch"]),
    "knots file with a word": (
        a_knots_file(lambda text: text.replace("\n1.", "\none.", 1)),
        ["line ", "a distance on the grid and a finite energy", "'one."],
    ),
    "truncated knots file": (
        a_knots_file(lambda text: text[: len(text) // 2].rpartition("\n")[0]),
        ["the end of the file"],
    ),
}

MODELS = {
    "two arguments": (TwoArguments(), ["takes 2 arguments", "forward(r, type_i, type_j)"]),
    "no forward": (NoForward(), ["no method 'forward'", "forward(r, type_i, type_j)"]),
    "no cutoff": (with_attribute("cutoff", None), ["no attribute 'cutoff'", "cutoff: float"]),
    "no species": (with_attribute("species", None), ["no attribute 'species'", "List[str]"]),
    "no units": (with_attribute("units", None), ["no attribute 'units'", "units: str"]),
    "cutoff is an int": (with_attribute("cutoff", 3), ["'cutoff' of another type (Int)"]),
    "species is a str": (with_attribute("species", "A"), ["'species' of another type (String)"]),
    "species are ints": (with_attribute("species", [1, 2]), ["'species' of another type"]),
    "units is a list": (with_attribute("units", ["lj"]), ["'units' of another type"]),
    "negative cutoff": (with_attribute("cutoff", -2.5), ["has cutoff -2.5", "from 1e-20 to 1e20"]),
    "cutoff is nan": (with_attribute("cutoff", float("nan")), ["has cutoff nan", "to 1e20"]),
    "a species twice": (with_attribute("species", ["A", "A"]), ["names a species twice"]),
    "unknown units": (with_attribute("units", "imperial"), ["'imperial'", "lj, real, metal"]),
    "other units": (with_attribute("units", "real"), ["'real' units", "uses 'units lj'"]),
    "nan": (NotANumber(), ["energy for the pair A-A is nan at distance 1.19", "must be finite"]),
    "infinity": (Infinite(), ["energy for the pair A-A is inf at distance 2.5"]),
    "slope is nan": (NoSlope(), ["force for the pair A-A is", "nan at distance"]),
    "collapse": (Collapse(), ["no repulsive wall", "collapse"]),
    "float32": (Float32(), ["returns a tensor of Float of shape [", "float64"]),
    "a number of all": (WrongShape(), ["returns a tensor of Double of shape []"]),
    "a column": (Column(), ["of shape [32, 1] for 32 distances|of shape [2000, 1] for 2000"]),
    "not a tensor": (NotATensor(), ["returns a Double", "(n,) float64"]),
    "fails inside": (Failing(), ["failed when it was called", "mat1"]),
    "raises": (Raising(), ["failed when it was called", "the moon is in the wrong house"]),
    "energy without a graph": (Detached(), ["detaches its energies from r", "has no forces"]),
    "graph without r": (DetachedWithWeights(), ["detaches its energies from r", "has no forces"]),
    "steep": (Steep(), ["A-A", "next to the cutoff"]),
    "kinked": (Kinked(), ["deviates from the model", "the tolerance is 1e-05", "smooth"]),
}

# the knots of these cannot be read back on the way from one process to the others
UNREADABLE = {
    "species with a space": (with_attribute("species", ["Na +"]), ["species"]),
    "species without a name": (with_attribute("species", [""]), ["species"]),
}

SCRIPT = """
units lj
read_data start.data
pair_style diffsim
pair_coeff * * "model.pt" {names}
run 1
"""


def assert_one_sentence(result, words):
    """LAMMPS stopped with one error of ours that says all the words, and did not crash."""
    said = result.log + result.stderr
    assert result.returncode != 0
    assert result.returncode > 0, "killed by a signal"
    for crash in (
        "Segmentation",
        "terminate called",
        "Traceback",
        "Aborted",
        "exception_ptr",
        "frame #",
    ):
        assert crash not in said
    line = error_line(result)
    assert line.startswith("ERROR: Pair style diffsim: ")
    for word in words:
        assert any(w in line for w in word.split("|")), (word, line)
    sentence = re.sub(r" \(\S+:\d+\)$", "", line)  # LAMMPS adds the place in the sources
    assert sentence.endswith("."), sentence
    assert "\t" not in sentence
    assert len(sentence) < 700
    # LAMMPS names the command
    assert re.search("Last (input line|command): pair_", said)
    assert "Loop time" not in said


def run_with(run_lammps, tmp_path, ranks=1, names="A", script=SCRIPT):
    fluid(cells=3).write(tmp_path / "start.data")
    return run_lammps(script.format(names=names), ranks=ranks, check=False)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("case", FILES)
def test_bad_files(case, ranks, run_lammps, tmp_path):
    write, words = FILES[case]
    write(tmp_path / "model.pt")
    assert_one_sentence(run_with(run_lammps, tmp_path, ranks), ["model.pt", *words])


@pytest.mark.parametrize("case", MODELS)
def test_bad_models(case, run_lammps, tmp_path):
    model, words = MODELS[case]
    save_model(model, tmp_path / "model.pt")
    assert_one_sentence(run_with(run_lammps, tmp_path), words)


def test_an_asymmetric_model(run_lammps, tmp_path):
    save_model(Asymmetric(), tmp_path / "model.pt")
    fluid(cells=3, n_types=2).write(tmp_path / "start.data")
    result = run_lammps(SCRIPT.format(names="A B"), check=False)
    assert_one_sentence(result, ["different energies for A-B and B-A", "symmetric"])


def test_a_binary_file(run_lammps, tmp_path):
    (tmp_path / "model.pt").write_bytes(bytes(range(256)) * 100)
    assert_one_sentence(run_with(run_lammps, tmp_path), ["not a TorchScript archive"])


@pytest.mark.parametrize("case", ["two arguments", "no cutoff", "other units", "nan", "float32"])
def test_bad_models_on_two_ranks(case, run_lammps, tmp_path):
    model, words = MODELS[case]
    save_model(model, tmp_path / "model.pt")
    assert_one_sentence(run_with(run_lammps, tmp_path, ranks=2), words)


@pytest.mark.parametrize("case", UNREADABLE)
def test_models_whose_knots_are_no_knots_file(case, run_lammps, tmp_path):
    model, words = UNREADABLE[case]
    save_model(model, tmp_path / "model.pt")
    assert_one_sentence(run_with(run_lammps, tmp_path, names='"Na +"'), words)


def test_the_contract_itself_is_accepted(run_lammps, tmp_path):
    save_model(Contract(), tmp_path / "model.pt")
    result = run_with(run_lammps, tmp_path)
    assert result.returncode == 0
    assert "Loop time" in result.log


# ---- commands ----


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("style", "coeff", "words"),
    [
        ("", "* * model.pt C", ["Species C of atom type 1", "the species A", "NULL"]),
        ("", "* * model.pt A B", ["one species name", "each of the 1 atom types"]),
        ("", "* * model.pt", ["one species name", "each of the 1 atom types"]),
        ("", "* *", ["'pair_coeff * * FILE'"]),
        ("", "* * model.pt NULL", ["Every atom type is NULL"]),
        (
            "tolerence 1e-5",
            "",
            ["unknown keyword 'tolerence'", "tolerance, close, device and precision"],
        ),
        ("tolerance", "", ["tolerance has no value", "The syntax is"]),
        ("tolerance 0", "", ["must be a positive number, but is 0"]),
        ("tolerance -1e-5", "", ["must be a positive number, but is -1e-5"]),
        ("tolerance 1e-15", "* * model.pt A", ["A spline with", "the tolerance is 1e-15", "Raise"]),
        ("eval sometimes", "", ["eval must be", "'sometimes'"]),
        ("device tpu", "", ["device must be", "'tpu'"]),
    ],
)
def test_bad_commands(style, coeff, words, ranks, models, run_lammps, tmp_path):
    shutil.copy(models / "lj.pt", tmp_path / "model.pt")
    script = f"units lj\nread_data start.data\npair_style diffsim {style}\npair_coeff {coeff}\n"
    assert_one_sentence(run_with(run_lammps, tmp_path, ranks, script=script), words)


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        ("pair_style diffsim tolerance x", "instead of 'x'"),
        ("pair_style diffsim tolerance nan", "instead of 'nan'"),
        ("pair_style diffsim\npair_coeff 1 1 model.pt A", "must start with * *"),
        ("pair_style diffsim\nrun 1", "pair coeffs are not set"),
    ],
)
def test_what_lammps_itself_refuses(commands, words, models, run_lammps, tmp_path):
    shutil.copy(models / "lj.pt", tmp_path / "model.pt")
    script = f"units lj\nread_data start.data\n{commands}\n"
    result = run_with(run_lammps, tmp_path, script=script)
    assert result.returncode == 1
    assert words in error_line(result)


def test_a_type_without_a_potential(models, run_lammps, tmp_path):
    fluid(cells=3, n_types=2).write(tmp_path / "start.data")
    result = run_lammps(
        "units lj\nread_data start.data\npair_style diffsim\n"
        f'pair_coeff * * "{models / "lj.pt"}" A NULL\nrun 0\n',
        check=False,
    )
    assert result.returncode == 1
    assert "pair coeffs are not set" in error_line(result)


def test_other_units_in_the_script(models, run_lammps, tmp_path):
    script = SCRIPT.replace("units lj", "units metal")
    shutil.copy(models / "lj.pt", tmp_path / "model.pt")
    result = run_with(run_lammps, tmp_path, script=script)
    assert_one_sentence(result, ["'lj' units", "'units metal'", "convert the model"])


def test_lammps_goes_on_after_an_error_caught_in_python(models, tmp_path):
    data = fluid(cells=3).write(tmp_path / "start.data")
    with lammps_instance(None, {}) as lammps:
        lammps.commands_string(f"units lj\nread_data {data}\npair_style diffsim")
        for bad in ("nowhere.pt A", f'"{models / "lj.pt"}" C'):
            with pytest.raises(Exception, match="Pair style diffsim"):
                lammps.command(f"pair_coeff * * {bad}")
        lammps.commands_string(f'pair_coeff * * "{models / "lj.pt"}" A\nrun 0 post no')
        expected = lj_energy(fluid(cells=3).pairs(CUTOFF)[0]).sum()
        assert lammps.get_thermo("pe") * 108 == pytest.approx(expected, rel=1e-4)  # per atom


# ---- a plugin that does not fit ----

OWN_LMP = [str(package_folder("lammps") / "lmp")]
WITHOUT = "units lj\nread_data start.data\npair_style lj/cut 2.5\npair_coeff * * 1 1\nrun 1\n"


@pytest.fixture
def plugin_copy(tmp_path):
    """A copy of the folder with the installed plugin."""
    folder = tmp_path / "plugins"
    shutil.copytree(plugin_directory(), folder)
    return folder


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("command", ["pair_style diffsim", "fix c all diffsim/counts 5"])
def test_plugin_built_for_another_lammps(command, ranks, plugin_copy, run_lammps, tmp_path):
    plugin = plugin_copy / "diffsimplugin.so"
    here, other = str(_core.built_for_lammps), "20230802"
    data = plugin.read_bytes()
    text = "diffsim-built-for-lammps="
    assert f"{text}{here}".encode() in data
    plugin.write_bytes(data.replace(f"{text}{here}".encode(), f"{text}{other}".encode()))
    fluid(cells=3).write(tmp_path / "start.data")
    environ = bare_environment(plugin_copy)

    # a script that does not use it is not disturbed
    result = run_lammps(WITHOUT, ranks=ranks, command=OWN_LMP, environ=environ)
    assert f"Loaded 1 plugins from {plugin_copy}" in result.log

    script = f"units lj\nread_data start.data\n{command}\n"
    result = run_lammps(script, ranks=ranks, check=False, command=OWN_LMP, environ=environ)
    assert result.returncode > 0
    said = result.log + result.stderr
    assert "terminate called" not in said
    assert (
        f"The diffsim plugin was built for LAMMPS version {other}, but this is LAMMPS version "
        f"{here}. Install diffsim again beside this LAMMPS"
    ) in said
    assert len(re.findall(r"^ERROR: The diffsim plugin", result.stderr, re.MULTILINE)) == 1


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("how", ["deleted", "not a library", "without torch"])
def test_library_for_torchscript_does_not_load(
    how, ranks, plugin_copy, models, run_lammps, tmp_path
):
    library = plugin_copy / "libdiffsim_torchscript.so"
    if how == "deleted":
        library.unlink()
    elif how == "not a library":
        library.write_bytes(b"something else")
    # else: torch is looked for beside the copy, where there is none
    fluid(cells=3).write(tmp_path / "start.data")
    shutil.copy(models / "lj.pt", tmp_path / "model.pt")
    environ = bare_environment(plugin_copy)
    result = run_lammps(
        SCRIPT.format(names="A"), ranks=ranks, check=False, command=OWN_LMP, environ=environ
    )
    missing = "libtorch" if how == "without torch" else "libdiffsim_torchscript.so"
    torch_version = torch.__version__.split("+")[0]
    assert_one_sentence(
        result, ["could not be loaded", missing, f"PyTorch {torch_version}", "'diffsim doctor'"]
    )

    # a knots file needs no torch
    a_knots_file()(tmp_path / "model.pt")
    result = run_lammps(SCRIPT.format(names="A"), ranks=ranks, command=OWN_LMP, environ=environ)
    assert "Loop time" in result.log


def test_plugin_built_for_another_torch(plugin_copy, models, run_lammps, tmp_path):
    library = plugin_copy / "libdiffsim_torchscript.so"
    version = torch.__version__.split("+")[0]
    other = "0" + version[1:]
    data = library.read_bytes()
    assert data.count(version.encode()) >= 1
    library.write_bytes(data.replace(version.encode(), other.encode()))
    fluid(cells=3).write(tmp_path / "start.data")
    shutil.copy(models / "lj.pt", tmp_path / "model.pt")
    environ = bare_environment(plugin_copy)
    environ["LD_LIBRARY_PATH"] += f":{package_folder('torch') / 'lib'}"
    result = run_lammps(SCRIPT.format(names="A"), check=False, command=OWN_LMP, environ=environ)
    assert_one_sentence(
        result, [f"was built for PyTorch {other}", f"but PyTorch {version} is installed"]
    )
