"""How long Gauss-Newton has its systems simulated, and where a training to an accuracy ends."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import yaml

import diffsim
from conftest import fluid_script, without_seconds
from diffsim.config.schema import load_config
from diffsim.errors import InputError
from diffsim.knots import choose_grid, core_knots, knot_values
from diffsim.optimizers import GaussNewton, Update
from diffsim.optimizers.gauss_newton import FIRST_FRAMES, GROWTH, SHARE
from diffsim.potentials import LennardJones, Neural
from diffsim.run.training import run_training
from diffsim.simulation import Recording, simulate
from diffsim.targets import RDF
from diffsim.training.measurement import noise_event

# 125 atoms
FLUID = fluid_script()
EVERY = 10
PROTOCOL = diffsim.Protocol(steps=600, every=EVERY, equilibration=100, relaxation=20)
BINS, REACH = 52, 2.6
R = REACH / BINS * (0.5 + np.arange(BINS))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Folder with the script, and the g(r) of Lennard-Jones truncated at 1.8 from 20,000 steps."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "in.fluid").write_text(FLUID)
    system = diffsim.System(folder / "in.fluid", 1.0, [RDF(R, np.ones(BINS), ("A", "A"))])
    truth = LennardJones(["A"], 1.8)
    grid, _ = choose_grid(truth, 1e-5)
    knots = core_knots(grid, knot_values(truth, grid).detach().numpy())
    recording = Recording(1000, 20_000, 20, BINS, REACH)
    frames, _ = simulate(system, knots, recording, 5, None, folder)
    g = frames.rdf(0).mean(axis=0)
    np.savetxt(folder / "rdf.csv", np.stack([R, g], axis=1), delimiter=",")
    return folder


def target(inputs):
    return RDF.from_file(inputs / "rdf.csv", pair=("A", "A"))


def trainer(inputs, optimizer="gauss-newton", potential=None, **options):
    system = diffsim.System(inputs / "in.fluid", 1.0, [target(inputs)], name="fluid")
    options = {"protocol": PROTOCOL, "start": "pmf"} | options
    potential = potential or Neural(["A"], 1.8, hidden=[12], n_basis=12, seed=1)
    return diffsim.Trainer(potential, [system], optimizer=optimizer, **options)


# ---- as many frames as the noise asks for ----


@pytest.mark.parametrize(
    ("frames", "steps"), [(None, 600), (25, 250), (60, 600), (61, 600), (10**9, 600), (1, 20)]
)
def test_length_of_a_piece(frames, steps):
    """As many frames as are asked for, but two at least and no more than the protocol allows."""
    assert PROTOCOL.sampled(frames) == steps


def test_frames_follow_the_correction_and_its_uncertainty(inputs, monkeypatch):
    """The noise of the next piece alone is SHARE of the last correction, as noise^2 ~ 1/frames."""
    training = trainer(inputs)
    optimizer = training.optimizer
    assert optimizer.frames == FIRST_FRAMES == 25
    simulated, sizes, before = [], [], []
    real = optimizer.update

    def update(potential, grid, ensembles):
        # with one step the frames are weighted to the potential that was simulated last
        simulated.append(ensembles[0].latest_length)
        before.append(optimizer.frames)  # twice as many as were asked for, after a retreat
        sizes.append(training.ensembles[0].weighted(ensembles[0].latest_coefficients).sample_size)
        return real(potential, grid, ensembles)

    monkeypatch.setattr(optimizer, "update", update)
    optimizer.max_steps = 1
    asked, md_steps = [FIRST_FRAMES], 0
    for iteration in range(4):
        (record,) = training.fit(1)
        # the frames that were asked for, if the protocol has so many
        assert simulated[-1] == min(asked[-1], 60)
        md_steps += (20 if iteration else 100) + EVERY * simulated[-1]
        assert record.md_steps == md_steps
        assert len(training.ensembles[0]) == sum(simulated)
        numbers = record.optimizer
        expected = sizes[-1] * (numbers["uncertainty"] / (SHARE * numbers["correction"])) ** 2
        least = np.ceil(GROWTH * before[-1])  # never fewer than before
        assert optimizer.frames == pytest.approx(max(expected, least), abs=1)
        asked.append(optimizer.frames)
    assert len(set(asked)) > 2


def test_frames_are_part_of_the_state(inputs):
    training = trainer(inputs)
    training.fit(2)
    state = training.optimizer.state_dict()
    other = GaussNewton()
    assert other.frames == FIRST_FRAMES != training.optimizer.frames
    other.load_state_dict(state)
    assert other.frames == training.optimizer.frames


def test_a_system_that_needs_no_correction_asks_for_all_frames(inputs):
    """The target is what the frames say: there is no correction, and no division by it."""
    training = trainer(inputs, Announcing([(1.0, 1.0)]), LennardJones(["A"], 1.8))
    training.fit(1)
    ensemble = training.ensembles[0]
    ensemble.target = ensemble.latest().observables.copy()
    potential, optimizer = training.potential, GaussNewton(max_steps=1)
    before = copy.deepcopy(potential.state_dict())
    update = optimizer.update(potential, training.grid, [ensemble])
    # chi squared is what could have been followed of a noise that is not there
    assert update.info["correction"] < 1e-6 and update.info["chi_square"] < 0.01
    assert np.isfinite(update.info["uncertainty"])
    assert optimizer.frames > 10**6
    for name, value in potential.state_dict().items():
        assert value.numpy() == pytest.approx(before[name].numpy(), abs=1e-6)


CONFIG = {
    "units": "lj",
    "potential": {"form": "neural", "species": ["A"], "cutoff": 1.8, "hidden": [8], "n_basis": 12},
    "systems": [
        {
            "name": "fluid",
            "script": "in.fluid",
            "temperature": 1.0,
            "targets": [{"rdf": "rdf.csv", "pair": ["A", "A"]}],
        }
    ],
    "simulation": {"steps": 600, "every": EVERY, "equilibration": 100, "relaxation": 20},
    "seed": 7,
}


def train(inputs, out, resume=False, **changes):
    path = inputs / f"{out.name}.yaml"
    path.write_text(yaml.safe_dump(CONFIG | changes))
    run_training(load_config(path), out, resume)
    return out


def metrics(out):
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return without_seconds(records)


def test_a_resumed_run_has_pieces_of_the_same_lengths(inputs, tmp_path):
    """Small steps, against which the noise of the shortest piece is large."""
    optimizer = {"name": "gauss-newton", "trust": 0.1}
    whole = train(inputs, tmp_path / "whole", optimizer=optimizer, iterations=5)
    halves = train(inputs, tmp_path / "halves", optimizer=optimizer, iterations=1)
    train(inputs, halves, resume=True, optimizer=optimizer, iterations=3)
    train(inputs, halves, resume=True, optimizer=optimizer, iterations=5)
    records = metrics(whole)
    assert metrics(halves) == records
    # 100 of equilibration and 25 frames; later pieces, after 20 of relaxation, are longer
    steps = np.diff([0] + [record["md_steps"] for record in records])
    assert steps[0] == 350 and steps[1:].min() > 20 + 25 * EVERY and steps.max() <= 620
    for folder in (whole, halves):
        lengths = [len(np.load(folder / "frames" / f"{k:05}.npz")["0_energy"]) for k in range(1, 6)]
        assert lengths == [25, *((steps[1:] - 20) // EVERY)]


# ---- the end of a training to an accuracy ----


@pytest.mark.parametrize(
    ("correction", "uncertainty", "accuracy", "ends"),
    [
        (0.01, 0.02, 0.03, True),
        (0.02, 0.02, 0.02, True),
        (0.01, 0.02, None, False),
        (0.021, 0.02, 0.03, False),  # there is more than noise in the residual
        (0.01, 0.02, 0.019, False),  # the noise is more than may be
        (float("nan"), 0.02, 0.03, False),
        (0.01, float("nan"), 0.03, False),
    ],
)
def test_where_the_rest_is_noise(correction, uncertainty, accuracy, ends):
    numbers = {"correction": correction, "uncertainty": uncertainty, "chi_square": 1.1}
    event = noise_event(numbers, accuracy)
    assert (event is not None) == ends
    if event:
        for number in (correction, uncertainty, accuracy):
            assert f"{number:.2g}" in event
        assert event.startswith("The rest is noise: ") and event.endswith(".")
    # a form that cannot follow, or steps that are cut short, leave more than noise
    assert noise_event(numbers | {"chi_square": 2.0}, accuracy) is None
    assert noise_event(numbers | {"chi_square": float("nan")}, accuracy) is None


def test_an_optimizer_that_knows_no_uncertainty_never_ends():
    assert noise_event({"steps": 1.0}, 1.0) is None


class Announcing(GaussNewton):
    """Changes nothing, and says of each step the given correction and uncertainty."""

    def __init__(self, numbers):
        super().__init__()
        self.numbers = list(numbers)

    def update(self, potential, grid, ensembles):
        correction, uncertainty = self.numbers.pop(0)
        numbers = {"correction": correction, "uncertainty": uncertainty, "chi_square": 1.0}
        return Update(1, 0.0, numbers)


# the second is precise, but not at its minimum; the third has no more to correct, but is noisy
NUMBERS = [(0.5, 0.4), (0.2, 0.04), (0.1, 0.2), (0.03, 0.04), (0.01, 0.02)]


def test_a_training_ends_at_its_accuracy(inputs):
    training = trainer(inputs, Announcing(NUMBERS), LennardJones(["A"], 1.8), accuracy=0.05)
    seen = []
    records = training.fit(5, seen.append)
    assert [record.iteration for record in records] == [1, 2, 3, 4]
    assert seen == records and training.converged
    assert not any("noise" in event for record in records[:3] for event in record.events)
    (event,) = [event for event in records[3].events if "rest is noise" in event]
    assert "0.03" in event and "0.04" in event and "0.05" in event
    # there is nothing to go on with
    before = training.md_steps
    assert training.fit(3) == [] and training.md_steps == before
    # without an accuracy all iterations are made
    training = trainer(inputs, Announcing(NUMBERS), LennardJones(["A"], 1.8))
    assert len(training.fit(5)) == 5 and not training.converged


def test_validation_systems_are_simulated_where_the_training_ends(inputs):
    systems = [
        diffsim.System(
            inputs / "in.fluid", t, [target(inputs)], name=name, validation=name == "hot"
        )
        for t, name in ((1.0, "fluid"), (1.5, "hot"))
    ]
    training = diffsim.Trainer(
        LennardJones(["A"], 1.8),
        systems,
        optimizer=Announcing([(0.5, 0.4), (0.01, 0.02)]),
        protocol=PROTOCOL,
        start="potential",
        accuracy=0.05,
    )
    records = training.fit(7)
    assert [list(record.validation) for record in records] == [[], ["hot"]]
    # the validation has the protocol's length, whatever the optimizer asks for
    assert records[-1].validation_md_steps == 700
    assert records[-1].md_steps == 100 + 250 + 20 + 250


def test_a_run_that_ended_is_not_continued(inputs, tmp_path):
    """An accuracy of kT is reached soon; resumed with more iterations the run does nothing more,
    but for a better accuracy."""
    out = train(inputs, tmp_path / "soon", iterations=8, accuracy=1.0)
    records = metrics(out)
    assert 1 <= len(records) < 8
    for record in records:
        numbers = record["optimizer"]
        ends = any("The rest is noise" in event for event in record["events"])
        noise = numbers["chi_square"] < 1.5
        assert ends == (noise and numbers["correction"] <= numbers["uncertainty"] <= 1.0)
        assert ends == (record is records[-1])
    names = ("metrics.jsonl", "potential.table", "model.pt")
    before = [(out / name).read_bytes() for name in names[:2]]
    train(inputs, out, resume=True, iterations=20, accuracy=1.0)
    assert [(out / name).read_bytes() for name in names[:2]] == before
    assert (out / "model.pt").is_file()
    # to a better accuracy it goes on
    train(inputs, out, resume=True, iterations=len(records) + 1, accuracy=1e-6)
    assert len(metrics(out)) == len(records) + 1


@pytest.mark.parametrize("accuracy", [0.0, -0.1, float("nan"), float("inf")])
def test_accuracies_that_cannot_be(inputs, accuracy):
    with pytest.raises(InputError, match="must be a positive energy"):
        trainer(inputs, accuracy=accuracy)


@pytest.mark.parametrize("optimizer", ["adam", "ibi"])
def test_an_accuracy_needs_an_optimizer_that_knows_it(inputs, optimizer):
    with pytest.raises(InputError, match=r"accuracy of 0\.1 .*only the optimizer gauss-newton"):
        trainer(inputs, optimizer, accuracy=0.1)


@pytest.mark.parametrize("accuracy", [0, -1, ".inf", "small"])
def test_accuracies_of_a_configuration(inputs, accuracy):
    path = inputs / "wrong.yaml"
    path.write_text(yaml.safe_dump(CONFIG | {"accuracy": accuracy}))
    with pytest.raises(InputError, match="accuracy should be"):
        load_config(path)
    path.write_text(yaml.safe_dump(CONFIG | {"accuracy": 0.02}))
    assert load_config(path).accuracy == 0.02
    path.write_text(yaml.safe_dump(CONFIG))
    assert load_config(path).accuracy is None
