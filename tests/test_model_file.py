"""The model file: writing it, reading it, and models that break the contract."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from diffsim.errors import InputError, ModelError
from diffsim.potentials import (
    FORMS,
    LennardJones,
    PairPotential,
    ScriptedPotential,
    Yukawa,
    check_model,
    load,
)
from test_potentials import CUTOFF, energies, energy, make


@pytest.mark.parametrize("form", FORMS)
def test_save_and_load_round_trip(form, tmp_path):
    potential = make(form)
    path = tmp_path / "model.pt"
    potential.save(path)
    loaded = load(path)
    assert (loaded.cutoff, loaded.species, loaded.units) == (CUTOFF, ["A", "B"], "lj")
    r = torch.linspace(0.1, 3.0, 101)
    torch.testing.assert_close(energies(loaded, r, 1, 1), energies(potential, r, 1, 1))
    shapes = [p.shape for p in potential.parameters()]
    assert [p.shape for p in loaded.parameters()] == shapes
    assert all(p.requires_grad for p in loaded.parameters())
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt"]
    check_model(potential, "The potential")


def test_model_files_load_without_diffsim(tmp_path):
    paths = []
    for form in FORMS:
        paths.append(tmp_path / f"{form}.pt")
        make(form).save(paths[-1])
    script = (
        "import sys, torch\n"
        "sys.modules['diffsim'] = None  # an import of it would fail\n"
        "for path in sys.argv[1:]:\n"
        "    m = torch.jit.load(path)\n"
        "    z = torch.zeros(2, dtype=torch.int64)\n"
        "    u = m(torch.tensor([1.0, 2.0], dtype=torch.float64), z, z + 1)\n"
        "    print(m.cutoff, m.species, m.units, *u.tolist())\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    for form, line in zip(FORMS, result.stdout.splitlines(), strict=True):
        words = line.split()
        assert words[:4] == ["2.5", "['A',", "'B']", "lj"]
        expected = energies(make(form), [1.0, 2.0], 0, 1).tolist()
        assert [float(w) for w in words[4:]] == pytest.approx(expected, rel=1e-12)


def test_sum_with_a_loaded_model_saves(tmp_path):
    lj = LennardJones(["A"], 2.5)
    lj.save(tmp_path / "lj.pt")
    total = load(tmp_path / "lj.pt") + Yukawa(["A"], 4.0, a=1.0, kappa=1.0)
    total.save(tmp_path / "sum.pt")
    assert energy(load(tmp_path / "sum.pt"), 1.1) == pytest.approx(energy(total, 1.1), rel=1e-14)


def test_saving_into_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match=r"does not exist\. Create it first"):
        LennardJones(["A"], 2.5).save(tmp_path / "missing" / "lj.pt")


# ---- foreign models ----


class Foreign(torch.nn.Module):
    """A model from outside the package that keeps the contract; the tests below break it."""

    def __init__(self):
        super().__init__()
        self.cutoff = 2.5
        self.species = ["A", "B"]
        self.units = "lj"

    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (2.5 - r).clamp(min=0.0) ** 2 * (1.0 + (type_i + type_j).to(torch.float64))


class TakesTwo(Foreign):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor) -> torch.Tensor:
        return r


class TakesFloat(Foreign):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: float) -> torch.Tensor:
        return r * type_j


class NotANumber(Foreign):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return torch.log(r - 1.0)


class WrongShape(Foreign):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return r.unsqueeze(1)


class Squeezed(Foreign):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (2.5 - r).squeeze()


class SinglePrecision(Foreign):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (2.5 - r).to(torch.float32)


class Asymmetric(Foreign):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return (2.5 - r) * (1.0 + type_i.to(torch.float64))


class NotZeroAtCutoff(Foreign):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return 4.0 * (r**-12.0 - r**-6.0)


class Fails(Foreign):
    def forward(self, r: torch.Tensor, type_i: torch.Tensor, type_j: torch.Tensor) -> torch.Tensor:
        return r.reshape(7, 3)


BROKEN = [
    (TakesTwo, {}, "must have forward.*found forward.*type_i"),
    (NotANumber, {}, "must give finite energies; found nan for species 0 and 0 at r = 0.25"),
    (WrongShape, {}, r"one energy per distance.*found \(1, 1\)"),
    (Squeezed, {}, r"one energy per distance, of shape \(1,\) for 1 distances; found \(\)"),
    (SinglePrecision, {}, "must return float64 energies; found torch.float32"),
    (Asymmetric, {}, "not symmetric in the two types: for species 0 and 1 at r = 0.25"),
    (NotZeroAtCutoff, {}, "must go to zero at the cutoff; found 0.0163169"),
    (Fails, {}, "fails when evaluated for species 0 and 0.*shape '\\[7, 3\\]' is invalid"),
    (Foreign, {"cutoff": None}, "has no attribute 'cutoff'; set self.cutoff"),
    (Foreign, {"species": None}, r"has no attribute 'species'.*List\[str\]"),
    (Foreign, {"cutoff": 3}, "'cutoff' of type int; it must be of type float"),
    (Foreign, {"cutoff": -1.0}, "wrong attribute 'cutoff': .*positive finite number"),
    (Foreign, {"species": "A"}, r"'species' of type str; it must be of type List\[str\]"),
    (Foreign, {"species": [1, 2]}, "wrong attribute 'species': .*found 1"),
    (Foreign, {"units": "kcal"}, "wrong attribute 'units': .*found 'kcal'"),
]


def foreign(kind, attributes):
    module = kind()
    for name, value in attributes.items():
        delattr(module, name)
        if value is not None:
            setattr(module, name, value)
    return module


@pytest.mark.parametrize(("kind", "attributes", "message"), BROKEN)
@pytest.mark.parametrize("scripted", [False, True])
def test_models_that_break_the_contract(kind, attributes, message, scripted, tmp_path):
    module = foreign(kind, attributes)
    with pytest.raises(ModelError, match=message):
        if scripted:
            path = tmp_path / "model.pt"
            torch.jit.save(torch.jit.script(module), str(path))
            load(path)
        else:
            check_model(module, "The module")


def test_scripted_models_with_wrong_argument_types(tmp_path):
    with pytest.raises(ModelError, match=r"found forward.*type_j: float.*-> Tensor"):
        check_model(torch.jit.script(TakesFloat()), "The module")


def test_models_without_forward():
    class Empty(Foreign):
        forward = torch.nn.Module.forward

    with pytest.raises(ModelError, match='missing the required "forward" function'):
        check_model(Empty(), "The module")
    with pytest.raises(ModelError, match=r"must have forward.*found no forward method"):
        check_model(torch.jit.script(Empty()), "The module")


def test_foreign_model_loads_and_is_cut_off(tmp_path):
    path = tmp_path / "foreign.pt"
    torch.jit.save(torch.jit.script(Foreign()), str(path))
    model = load(path)
    assert isinstance(model, ScriptedPotential)
    assert isinstance(model, PairPotential)
    assert energies(model, [1.5, 2.5, 3.0], 1, 1).tolist() == [3.0, 0.0, 0.0]


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.pt does not exist; check the path"):
        load(tmp_path / "nowhere.pt")
    text = tmp_path / "text.pt"
    text.write_text("not a model")
    state = tmp_path / "state.pt"
    torch.save(LennardJones(["A"], 2.5).state_dict(), state)
    cut = tmp_path / "cut.pt"
    LennardJones(["A"], 2.5).save(cut)
    cut.write_bytes(cut.read_bytes()[:1000])
    for path, message in (
        (text, "not a TorchScript archive or is damaged"),
        (cut, "not a TorchScript archive or is damaged"),
        (state, r"written by torch\.save .* Name the run's model\.pt"),
    ):
        with pytest.raises(ModelError, match=message) as caught:
            load(path)
        assert "\n" not in str(caught.value)
