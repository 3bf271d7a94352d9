"""A potential that another one is held to where the targets say nothing."""

from __future__ import annotations

import numpy as np
import pytest

import diffsim
from diffsim.config.schema import load_config
from diffsim.errors import InputError
from diffsim.knots import knot_values
from diffsim.optimizers import GaussNewton
from diffsim.potentials import BSpline, LennardJones
from diffsim.run.training import build
from test_config import MINIMAL, folder, load  # noqa: F401
from test_robust_training import PROTOCOL, inputs, target  # noqa: F401


def trained(inputs, **options):  # noqa: F811
    system = diffsim.System(inputs / "in.fluid", 1.0, [target()], name="fluid")
    potential = BSpline(["A"], 2.0, n_knots=20)
    return diffsim.Trainer(potential, [system], protocol=PROTOCOL, start="hnc", **options)


def test_it_is_the_only_reference_and_the_data_correct_it(inputs):  # noqa: F811
    reference = LennardJones(["A"], 2.0, epsilon=0.9)
    trainer = trained(inputs, reference=reference, optimizer=GaussNewton())
    (record,) = trainer.fit(1)
    assert set(trainer.optimizer.state_dict()["anchors"]) == {"reference"}
    assert [name for name in record.optimizer if name.startswith("evidence_")] == [
        "evidence_reference"
    ]
    anchor = trainer.optimizer.state_dict()["anchors"]["reference"]
    assert np.array_equal(anchor, knot_values(reference, trainer.grid).detach().numpy())


@pytest.mark.parametrize(
    ("reference", "optimizer", "words"),
    [
        (LennardJones(["B"], 2.0), "gauss-newton", "has the species B, and the potential A"),
        (LennardJones(["A"], 2.0, units="real"), "gauss-newton", "units real, and the potential"),
        (LennardJones(["A"], 2.5), "gauss-newton", "reaches to r = 2.5, and the potential to 2:"),
        (LennardJones(["A"], 2.0), "ibi", "only the optimizer gauss-newton holds"),
    ],
)
def test_references_that_cannot_be(inputs, reference, optimizer, words):  # noqa: F811
    with pytest.raises(InputError, match=words):
        trained(inputs, reference=reference, optimizer=optimizer)


def test_a_reference_of_a_configuration(folder):  # noqa: F811
    text = MINIMAL + "reference: {form: lennard-jones, epsilon: 0.9, fixed: [sigma]}\n"
    config = load(folder, text)
    assert config.reference.form == "lennard-jones"
    assert config.reference.options == {"epsilon": 0.9, "fixed": ["sigma"]}
    for wrong, words in (
        ("{epsilon: 1}", "either the key 'form' or the key 'file'"),
        ("{file: in.lj, epsilon: 1}", "should not have the key 'epsilon' beside 'file'"),
        ("{form: gravity}", "reference.form"),
    ):
        with pytest.raises(InputError, match=words):
            load(folder, MINIMAL + f"reference: {wrong}\n")


def test_a_saved_potential_is_a_reference(inputs, tmp_path):  # noqa: F811
    LennardJones(["A"], 2.0, epsilon=0.9).save(tmp_path / "known.pt")
    (tmp_path / "config.yaml").write_text(
        "units: lj\n"
        "potential: {form: bspline, species: [A], cutoff: 2.0, n_knots: 20}\n"
        "reference: {file: known.pt}\n"
        f"systems: [{{script: {inputs / 'in.fluid'}, temperature: 1.0,\n"
        f"  targets: [{{rdf: {inputs / 'rdf.csv'}, pair: [A, A]}}]}}]\n"
    )
    (tmp_path / "scratch").mkdir()
    trainer = build(load_config(tmp_path / "config.yaml"), tmp_path / "scratch")
    r = trainer.grid.distances(0)
    expected = 3.6 * (r**-12 - r**-6 - (2.0**-12 - 2.0**-6))
    anchor = trainer.optimizer.state_dict()["anchors"]["reference"][0]
    assert anchor == pytest.approx(expected, rel=1e-9, abs=1e-9)
