"""Files that version 0.1.0 wrote: models, knots, configurations, run folders (make_files.py)."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from compatibility.make_files import DISTANCES, FILES, PAIRS, PLACE, models
from diffsim import potentials
from diffsim.config.schema import load_config
from diffsim.errors import InputError
from diffsim.knots import numpy_model
from diffsim.lammps.instance import lammps_instance
from diffsim.report.page import write_report
from diffsim.report.run_record import read_run
from diffsim.run.training import run_training

TWO_ATOMS = f"""\
units lj
atom_modify map yes
region box block -5 5 -5 5 -5 5
create_box 2 box
create_atoms 1 single 0 0 0
create_atoms 2 single 1.5 0 0
mass * 1.0
pair_style diffsim
pair_coeff * * {FILES / "neural.knots"} A B"""
EXPECTED = np.load(FILES / "energies.npz")


@pytest.fixture
def files(tmp_path):
    """A copy of the files, in which the run knows where it is."""
    folder = tmp_path / "files"
    shutil.copytree(FILES, folder)
    config = folder / "run" / "config.yaml"
    config.write_text(config.read_text().replace(PLACE, str(folder)))
    return folder


@pytest.mark.parametrize("name", [key for key in EXPECTED.files if key != "r"])
def test_a_model_file_has_the_energies_that_it_had(name):
    model = numpy_model(potentials.load(FILES / f"{name}.pt"))
    for (a, b), expected in zip(PAIRS, EXPECTED[name], strict=True):
        n = len(DISTANCES)
        energies, _ = model(DISTANCES, np.full(n, a), np.full(n, b))
        np.testing.assert_allclose(energies, expected, rtol=1e-10, atol=1e-12)


def test_every_form_has_a_file():
    assert set(models()) == {key for key in EXPECTED.files if key != "r"}
    assert set(models()) == set(potentials.FORMS)


def test_a_knots_file_has_the_energies_that_it_had():
    """Of two atoms, in pair_style diffsim."""
    found = []
    with lammps_instance(None, {}) as instance:
        for line in TWO_ATOMS.splitlines():
            instance.command(line)
        for r in DISTANCES:
            instance.command(f"set atom 2 x {r}")
            instance.command("run 0 post no")
            found.append(2.0 * instance.get_thermo("pe"))
    # the file was written with a tolerance of 1e-3
    scale = np.maximum(np.abs(EXPECTED["neural"][1]), 1.0)
    assert np.all(np.abs(found - EXPECTED["neural"][1]) < 1e-3 * scale)


def test_a_configuration_means_what_it_meant(files):
    """All keys that a run wrote are known, and none has another default."""
    written = yaml.safe_load((files / "run" / "config.yaml").read_text())
    now = load_config(files / "config.yaml").model_dump(mode="json")

    def same(old, new, key=""):
        if isinstance(old, dict):
            for name, value in old.items():
                same(value, new[name], f"{key}.{name}")
        elif isinstance(old, list):
            for k, (a, b) in enumerate(zip(old, new, strict=True)):
                same(a, b, f"{key}.{k}")
        else:
            assert old == new, key

    same(written, now)


def test_a_finished_run_is_reported(files):
    record = read_run(files / "run")
    assert record.iterations.tolist() == [1, 2] and record.state == "finished"
    assert {curve.pair for curve in record.potential} == {("A", "A"), ("A", "B"), ("B", "B")}
    assert all(curve.error is not None for curve in record.potential)
    model = potentials.load(files / "run" / "model.pt")
    curve = record.potential[0]
    r, zero = torch.tensor(curve.r), torch.zeros(len(curve.r), dtype=torch.int64)
    with torch.no_grad():
        np.testing.assert_allclose(curve.u, model(r, zero, zero).numpy(), rtol=1e-12)
    page = write_report([files / "run"], files / "report.html")
    assert Path(page or files / "report.html").stat().st_size > 10_000


def test_a_finished_run_is_where_another_one_begins(files, tmp_path):
    config = yaml.safe_load((files / "config.yaml").read_text())
    config["potential"] = {"file": "run/model.pt"}
    config["iterations"] = 1
    (files / "next.yaml").write_text(yaml.safe_dump(config))
    run_training(load_config(files / "next.yaml"), tmp_path / "next", resume=False)
    assert (tmp_path / "next" / "model.pt").exists()


def test_a_run_goes_on_or_says_in_a_sentence_that_it_cannot(files):
    """Checkpoints are for the version that wrote them; they may be refused, but not misread."""
    config = load_config(files / "config.yaml").model_copy(update={"iterations": 3})
    try:
        run_training(config, files / "run", resume=True)
    except InputError as error:
        assert "is that of another version" in str(error)
    assert len((files / "run" / "metrics.jsonl").read_text().splitlines()) in (2, 3)
