"""What a training refuses instead of learning something wrong, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import fluid_script
from diffsim import Protocol, System, Trainer, optimizers
from diffsim.errors import InputError, SimulationError
from diffsim.knots import knot_values
from diffsim.optimizers.start import potential_of_mean_force
from diffsim.potentials import LennardJones, Neural
from diffsim.targets import RDF

# 125 atoms; the box is 5.64 wide
FLUID = fluid_script().replace("mass 1", "mass *")
MIXTURE = FLUID.replace("create_box 1", "create_box 2") + "set type 1 type/fraction 2 0.4 91\n"
SHORT = Protocol(steps=200, every=10, equilibration=200, relaxation=20)


def target(pair=("A", "A"), reach=2.5, **options) -> RDF:
    r = 0.05 * (0.5 + np.arange(round(reach / 0.05)))
    g = np.exp(-4 * (r**-12 - r**-6) * (r < 1.8))
    return RDF(r, g, pair, **options)


def system(folder, text=FLUID, name="fluid", targets=None, **options) -> System:
    script = folder / f"in.{name}"
    script.write_text(text)
    return System(script, 1.0, targets or [target()], name=name, **options)


def lennard_jones() -> LennardJones:
    return LennardJones(["A"], 1.8)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("pair_style lj/cut 1.8\npair_coeff * * 1 1", ["pair_style lj/cut", "Remove"]),
        ("pair_style zero 1.8\npair_coeff * *\nrun 5", ["simulates by itself", "run"]),
    ],
)
def test_scripts_that_bring_their_own_potential_or_run(line, words, tmp_path):
    text = FLUID + line + "\n"
    if "run" in words:  # the run is what is found first once the pair style is gone again
        text += "pair_style none\n"
    with pytest.raises(InputError) as error:
        Trainer(lennard_jones(), [system(tmp_path, text)])
    assert all(word in str(error.value) for word in words)


def test_a_target_that_says_nothing_below_the_cutoff(tmp_path):
    r = np.linspace(1.925, 2.475, 12)
    far = RDF(r, np.ones(12), ("A", "A"))
    trainer = Trainer(
        lennard_jones(), [system(tmp_path, targets=[far])], protocol=SHORT, start="potential"
    )
    with pytest.raises(InputError, match="nothing can be learned"):
        trainer.fit(1)


def test_atoms_that_leave_without_a_word(tmp_path):
    text = FLUID.replace("lattice sc", "boundary p p f\nlattice sc")
    text += "thermo_modify lost ignore\nvelocity all set NULL NULL 20.0\n"
    trainer = Trainer(lennard_jones(), [system(tmp_path, text)], protocol=SHORT, start="potential")
    with pytest.raises(SimulationError, match="number of atoms changed"):
        trainer.fit(1)


def test_a_box_that_shrinks_below_the_range(tmp_path):
    text = FLUID + "fix press all press/berendsen iso 500 500 0.1 modulus 100\n"
    trainer = Trainer(
        lennard_jones(),
        [system(tmp_path, text, targets=[target(reach=2.75)])],
        protocol=SHORT,
        start="potential",
    )
    with pytest.raises(SimulationError, match="exceeds half of the box"):
        trainer.fit(1)


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("gauss-newton", {"trust": "large"}, "'trust'"),
        ("gauss-newton", {"length": 0}, "'length'"),
        ("gauss-newton", {"min_ess": 2.0}, "not above 1"),
        ("adam", {"max_steps": 0}, "'max_steps'"),
        ("lbfgs", {}, "not known"),
        ("SparseAdam", {}, "not known"),
    ],
)
def test_options_of_optimizers(name, options, word):
    with pytest.raises(InputError, match=word):
        optimizers.create(name, **options)


def test_an_optimizer_belongs_to_its_potential(tmp_path):
    adam = optimizers.create("adam", lr=0.01)
    fluid = system(tmp_path)
    Trainer(lennard_jones(), [fluid], optimizer=adam, protocol=SHORT).fit(1)
    with pytest.raises(InputError, match="belongs to another potential"):
        Trainer(lennard_jones(), [fluid], optimizer=adam, protocol=SHORT).fit(1)


def learned(folder, *systems) -> np.ndarray:
    potential = Neural(["A"], 1.8, hidden=[8], n_basis=12)
    trainer = Trainer(potential, list(systems), protocol=SHORT, scratch=folder)
    trainer.fit(2)
    return knot_values(potential, trainer.grid).detach().numpy()


def test_weights_are_relative(tmp_path):
    """A hundred times the weight of the only target of the only system changes nothing."""
    once = learned(tmp_path, system(tmp_path))
    heavy = learned(tmp_path, system(tmp_path, targets=[target(weight=20.0)], weight=5.0))
    assert heavy == pytest.approx(once, rel=1e-6, abs=1e-8)


def test_a_system_without_one_of_the_species(tmp_path):
    """A pure fluid and a mixture share a potential: compositions differ, down to zero."""
    pairs = [target(), target(("A", "B")), target(("B", "B"))]
    potential = LennardJones(["A", "B"], 1.8)
    pure = system(tmp_path, name="pure", types=["A"])
    mixture = system(tmp_path, MIXTURE, name="mixture", targets=pairs)
    records = Trainer(potential, [pure, mixture], protocol=SHORT).fit(2)
    assert all(np.isfinite(record.loss) for record in records)


def test_noise_in_the_core_is_no_wall():
    """Of a g(r) with single pairs at r = 0.3, the wall stays where the first peak rises."""
    clean = target()
    g = clean.g.copy()
    g[6] = 0.08
    r = np.linspace(0.7, 1.7, 50)
    noisy = RDF(clean.r, g, ("A", "A"))
    expected = potential_of_mean_force(clean, 1.0, r, 1.8)
    assert np.array_equal(potential_of_mean_force(noisy, 1.0, r, 1.8), expected)
    assert np.all(potential_of_mean_force(noisy, 1.0, np.array([0.3, 0.5]), 1.8) > 50)


def test_a_target_that_begins_inside_of_the_liquid_knows_no_wall():
    whole = target()
    kept = whole.r > 1.2
    part = RDF(whole.r[kept], whole.g[kept], ("A", "A"))
    w = potential_of_mean_force(part, 1.0, np.array([1.0, 1.5]), 1.8)
    assert np.isnan(w[0]) and np.isfinite(w[1])
