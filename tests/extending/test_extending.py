"""A form, a target and an optimizer are a file each, outside of the package."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import diffsim
from conftest import fluid_script
from diffsim.knots import choose_grid, core_knots, knot_values
from diffsim.records.frames import Frames
from diffsim.simulation import Recording, simulate

CUTOFF, REACH = 2.0, 1.2
SCRIPT = fluid_script(density=0.5, cells=6)
PROTOCOL = diffsim.Protocol(steps=2000, every=20, equilibration=500, relaxation=100)
TRUE, FIRST = 3.0, 1.5


HERE = Path(__file__).parent


@pytest.fixture(scope="module", autouse=True)
def toys():
    """The three files are imported, as users' own would be; other tests do not see them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        for name in ("toy_form", "toy_optimizer", "toy_target"):
            import_module(name)
        yield
        diffsim.potentials.FORMS.pop("gaussian")
        diffsim.optimizers.NAMED.pop("walk")


def closeness(value: float, **options):
    return import_module("toy_target").Closeness(value, reach=REACH, **options)


def gaussian(a: float):
    options = {"species": ["A"], "cutoff": CUTOFF, "units": "lj", "a": a, "width": 0.6}
    return diffsim.potentials.create("gaussian", **options)


@pytest.fixture(scope="module")
def truth(tmp_path_factory) -> tuple[Path, Frames]:
    """A script, and frames of it with the true potential."""
    folder = tmp_path_factory.mktemp("toy")
    script = folder / "in.toy"
    script.write_text(SCRIPT)
    potential = gaussian(TRUE)
    grid, _ = choose_grid(potential, 1e-5)
    knots = core_knots(grid, knot_values(potential, grid).detach().numpy())
    system = diffsim.System(script, 1.0, [closeness(1.0)])
    frames, _ = simulate(system, knots, Recording(500, 8000, 20, 100, CUTOFF), 3, None, folder)
    return script, frames


@pytest.mark.parametrize("optimizer", ["walk", "gauss-newton"])
def test_they_learn_together(truth, optimizer):
    """One number tells one strength, within a step of the walk and the noise of both runs."""
    script, frames = truth
    value = closeness(1.0).observe(frames, ["A"]).mean()
    target = closeness(float(value), error=0.002)
    potential = gaussian(FIRST)
    system = diffsim.System(script, 1.0, [target])
    options = {"length_of_step": 0.25} if optimizer == "walk" else {}
    trainer = diffsim.Trainer(
        potential,
        [system],
        optimizer=diffsim.optimizers.create(optimizer, **options),
        protocol=PROTOCOL,
        start="potential",
    )
    records = trainer.fit(8)
    assert records[-1].systems["in"]["values"]["closeness"][0] == pytest.approx(value, rel=0.03)
    assert potential.a.item() == pytest.approx(TRUE, abs=0.35)


def test_a_configuration_knows_the_form_and_the_optimizer(tmp_path):
    (tmp_path / "in.toy").write_text(SCRIPT)
    r = np.linspace(0.05, 1.95, 39)
    np.savetxt(tmp_path / "rdf.csv", np.stack([r, 1.0 - 0.5 * np.exp(-(r**2))], axis=1))
    (tmp_path / "config.yaml").write_text(
        "units: lj\n"
        "potential: {form: gaussian, species: [A], cutoff: 2.0, a: 1.5, width: 0.6}\n"
        "optimizer: walk\nstart: potential\niterations: 1\n"
        "simulation: {steps: 100, every: 20, equilibration: 20, relaxation: 0}\n"
        "systems: [{script: in.toy, temperature: 1.0, targets: [{rdf: rdf.csv, pair: [A, A]}]}]\n"
    )
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "import toy_form, toy_optimizer, diffsim.cli.main as cli\n"
        "cli.main()\n"
    )
    arguments = ["train", "config.yaml", "--out", "run"]
    done = subprocess.run(
        [sys.executable, "-c", program, str(HERE), *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    (line,) = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["optimizer"]["steps"] == 1
