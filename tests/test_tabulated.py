"""The potential of a knots file, as a model that does not learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from diffsim import _core, potentials
from diffsim.cli.main import app
from diffsim.config.schema import load_config
from diffsim.errors import InputError, ModelError
from diffsim.knots import numpy_model, tabulate
from diffsim.potentials import HasSlopes, LennardJones, load
from diffsim.run.training import build


@pytest.fixture
def knots_file(tmp_path):
    """Knots of two species, the pair B-B of which ends before the cutoff."""
    potential = LennardJones(["A", "B"], 2.5, epsilon=[[1.0, 1.5], [1.5, 0.5]])
    knots, _ = tabulate(potential, [(0.8, 2.5), (0.75, 2.5), (0.7, 2.5)], 1e-6)
    path = tmp_path / "lj.knots"
    knots.write(str(path))
    path.write_text("# a comment, and an empty line\n\n" + path.read_text())
    return path


def test_energies_and_slopes_are_those_of_the_model_that_was_tabulated(knots_file):
    potential = LennardJones(["A", "B"], 2.5, epsilon=[[1.0, 1.5], [1.5, 0.5]])
    tabulated = load(knots_file)
    assert isinstance(tabulated, HasSlopes)
    assert (tabulated.species, tabulated.cutoff, tabulated.units) == (["A", "B"], 2.5, "lj")
    r = np.linspace(0.85, 2.6, 400)
    for a, b in ((0, 0), (1, 0), (1, 1)):
        kinds = np.full(400, a), np.full(400, b)
        u, slope = numpy_model(tabulated)(r, *kinds)
        expected, expected_slope = numpy_model(potential)(r, *kinds)
        assert np.all(np.abs(u - expected) < 1e-6 * np.maximum(np.abs(expected), 1.0))
        scale = np.maximum(np.abs(expected_slope), 1.0)
        inside = r < 2.49  # the force of a shifted potential ends with a step
        assert np.all(np.abs(slope - expected_slope)[inside] < 1e-5 * scale[inside])


def test_slopes_are_derivatives_also_below_the_innermost_knot(knots_file):
    tabulated = load(knots_file)
    r, one = np.linspace(0.3, 2.4, 200), np.ones(200, dtype=np.int64)
    step = 1e-6
    ahead, _ = tabulated.energies_and_slopes(r + step, one, one)
    behind, _ = tabulated.energies_and_slopes(r - step, one, one)
    _, slope = tabulated.energies_and_slopes(r, one, one)
    np.testing.assert_allclose((ahead - behind) / (2 * step), slope, rtol=1e-5, atol=1e-7)


def test_it_is_the_spline_of_the_pair_style(knots_file):
    """The B-splines of the compiled core, with their linear continuation."""
    knots = _core.Knots.read(str(knots_file))
    r, zero = np.linspace(0.5, 2.6, 300), np.zeros(300, dtype=np.int64)
    u, _ = load(knots_file).energies_and_slopes(r, zero, zero)
    basis = _core.spline_basis(r, knots.inner[0], 2.5, knots.values.shape[1])
    expected = basis @ _core.spline_coefficients(knots.values)[0]
    np.testing.assert_allclose(u, expected, rtol=1e-9, atol=1e-9)


def test_a_table_is_written_of_a_knots_file(knots_file, tmp_path):
    output = tmp_path / "lj.table"
    done = CliRunner().invoke(app, ["export", str(knots_file), "--output", str(output)])
    assert done.exit_code == 0, done.output
    assert output.read_text().count("N 2000 RSQ") == 3


def test_it_is_no_potential_that_learns(knots_file, tmp_path):
    (tmp_path / "in.fluid").write_text("units lj\n")
    (tmp_path / "rdf.csv").write_text("".join(f"{0.1 * k},1.0\n" for k in range(1, 30)))
    config = {
        "units": "lj",
        "potential": {"file": "lj.knots"},
        "systems": [
            {
                "name": "fluid",
                "script": "in.fluid",
                "temperature": 1.0,
                "targets": [{"rdf": "rdf.csv", "pair": ["A", "A"]}],
            }
        ],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="no weights to learn, as that of a knots file"):
        build(load_config(tmp_path / "config.yaml"), None)
    with pytest.raises(ModelError, match="no TorchScript model"):
        load(knots_file).save(tmp_path / "model.pt")


def test_a_format_is_added_by_a_line(tmp_path, monkeypatch):
    """One that knows its slopes by itself, and that autograd could not follow."""

    class Soft(potentials.PairPotential):
        def energies_and_slopes(self, r, a, b):
            inside = r < self.cutoff
            return np.where(inside, (1.0 - r) ** 2, 0.0), np.where(inside, 2.0 * (r - 1.0), 0.0)

        def forward(self, r, type_i, type_j):
            return torch.from_numpy(self.energies_and_slopes(r.numpy(), None, None)[0])

    def read(path, ends_at_zero):
        return Soft(path.read_text().split()[1:], 1.0, "lj")

    monkeypatch.setattr(
        potentials.formats,
        "FORMATS",
        [(lambda head: head.startswith(b"soft"), read), *potentials.FORMATS],
    )
    (tmp_path / "a.soft").write_text("soft A")
    r, zero = np.array([0.5, 0.8]), np.zeros(2, dtype=np.int64)
    u, slope = numpy_model(load(tmp_path / "a.soft"))(r, zero, zero)
    assert u.tolist() == pytest.approx([0.25, 0.04]) and slope.tolist() == pytest.approx([-1, -0.4])


def test_a_damaged_knots_file_is_said_to_be_one(knots_file):
    lines = knots_file.read_text().splitlines()
    knots_file.write_text("\n".join(lines[:-3]))
    with pytest.raises(ModelError, match=r"The knots file .*expected a distance on the grid"):
        load(knots_file)
