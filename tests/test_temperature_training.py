"""Training of potentials that depend on temperature, from systems at several temperatures."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml

from conftest import fluid_script, without_seconds
from diffsim import Protocol, System, Trainer
from diffsim.config.schema import load_config
from diffsim.errors import InputError, SimulationError
from diffsim.knots import Grid, choose_grid, knot_values, knot_values_at, spline_coefficients
from diffsim.optimizers import FirstOrder, GaussNewton
from diffsim.optimizers.start import fit_hypernetted_chain, fit_mean_force
from diffsim.pool.tasks import SerialPool
from diffsim.potentials import BSpline, LennardJones, Neural, TemperatureDependent, load
from diffsim.response.ensemble import Ensemble
from diffsim.response.loss import loss
from diffsim.run.training import build, run_training
from diffsim.simulation import Frames
from diffsim.simulation.layout import Layout
from diffsim.statistics.reweighting import energies
from diffsim.targets import RDF
from diffsim.training.iterations import Iteration
from diffsim.training.validation import Validation

# ---- frames of a gas without a potential, weighted to any ----

CUTOFF, T0, TEMPERATURES = 2.0, 1.0, (0.8, 1.0, 1.3)
GRID = Grid(("A",), "lj", CUTOFF, (0.3,), 150)
ATOMS, LENGTH, BINS, WIDTH = 20, 5.6, 56, 0.05
R = WIDTH * (0.5 + np.arange(BINS))


def gas(seed, n_frames=1500) -> Frames:
    """Frames of atoms anywhere in a periodic box."""
    rng = np.random.default_rng(seed)
    i, j = np.triu_indices(ATOMS, 1)
    counts = np.zeros((n_frames, 1, GRID.basis_size))
    distances = np.zeros((n_frames, 1, BINS))
    for frame in range(n_frames):
        x = rng.uniform(0.0, LENGTH, (ATOMS, 3))
        d = x[i] - x[j]
        r = np.sqrt(((d - LENGTH * np.round(d / LENGTH)) ** 2).sum(axis=1))
        counts[frame, 0] = GRID.basis(0, r[r < CUTOFF]).sum(axis=0)
        distances[frame, 0] = np.histogram(r, BINS, (0.0, BINS * WIDTH))[0]
    zeros = np.zeros(n_frames)
    return Frames(
        counts=counts,
        virial=np.zeros_like(counts),
        distances=distances,
        bin_width=WIDTH,
        atoms=np.array([ATOMS]),
        pairs=np.array([len(i)]),
        volume=np.full(n_frames, LENGTH**3),
        energy=zeros,
        pressure=zeros,
        temperature=zeros + 1.0,
        pressure_unit=1.0,
    )


@pytest.fixture(scope="module")
def ensembles_of(tmp_path_factory):
    """Makes ensembles at temperatures whose targets are the averages in known parts (u_0, s)."""
    script = tmp_path_factory.mktemp("gas") / "in.gas"
    script.write_text("# its frames are drawn, not simulated\n")
    frames = {seed: gas(seed) for seed in range(len(TEMPERATURES))}

    def make(parts, temperatures=TEMPERATURES, weights=(1.0, 1.0, 1.0)):
        result = []
        for seed, (temperature, weight) in enumerate(zip(temperatures, weights, strict=True)):
            target = np.ones(BINS)
            values = parts[0] - (temperature - T0) / T0 * parts[1]
            for _ in range(2):  # first to know the averages
                known = RDF(R, target, ("A", "A"), atoms=ATOMS, norm="N-1")
                ensemble = Ensemble(
                    System(script, temperature, [known], f"{seed}", weight=weight),
                    1.0,
                    ("A",),
                    CUTOFF,
                )
                ensemble.add(frames[seed], np.zeros((1, GRID.basis_size)))
                target = ensemble.weighted(spline_coefficients(values)).observables
            result.append(ensemble)
        return result

    return make


def bump(amplitude, centre, width):
    r = GRID.distances(0)
    smooth = amplitude * np.exp(-0.5 * ((r - centre) / width) ** 2) * (1.0 - (r / CUTOFF) ** 2)
    return smooth[None, :]


TRUTH = bump(0.5, 0.9, 0.25) + bump(-0.3, 1.5, 0.2), bump(0.9, 1.2, 0.3)


def spline() -> BSpline:
    return BSpline(["A"], CUTOFF, n_knots=40, inner=0.3)


def two_parts(make=spline) -> TemperatureDependent:
    return TemperatureDependent(make(), make(), T0)


def part_values(potential):
    return [
        knot_values(p, GRID).detach().numpy() for p in (potential.reference, potential.entropic)
    ]


# ---- what is learned ----


def test_gauss_newton_learns_both_parts(ensembles_of):
    """The targets are averages over the same frames, so that the truth has no residual."""
    ensembles = ensembles_of(TRUTH)
    potential = two_parts()
    optimizer = GaussNewton()
    for _ in range(4):
        update = optimizer.update(potential, GRID, ensembles)
    seen = GRID.distances(0) > 0.5

    def rms(values):
        return float(np.sqrt(np.mean(values[0, seen] ** 2)))

    found = part_values(potential)
    sizes = [rms(true) for true in TRUTH]
    errors = [rms(part - true) for part, true in zip(found, TRUTH, strict=True)]
    assert sizes == pytest.approx([0.179, 0.325], abs=1e-3)
    # what the prior takes away; measured with three sets of frames: 0.0045 to 0.0047, and 0.050 to
    # 0.053, as the temperatures' (T - T0)/T0 is 0.3 at most
    assert errors[0] < 0.007
    assert errors[1] < 0.08
    # of u_0 it also says how large it may be: 0.019
    assert update.uncertainty.shape == (1, GRID.knots)
    assert errors[0] < rms(update.uncertainty) < 0.03
    # at all temperatures, and at one beyond them
    for t in (*TEMPERATURES, 1.5):
        u = knot_values(potential.at(t), GRID).detach().numpy()
        assert rms(u - (TRUTH[0] - (t - T0) / T0 * TRUTH[1])) < 0.04


def total_loss(potential, ensembles):
    values = knot_values_at(potential, GRID, [e.system.temperature for e in ensembles])
    return sum(
        e.system.weight * loss(e, e.weighted(spline_coefficients(v.detach().numpy())))[0]
        for e, v in zip(ensembles, values, strict=True)
    )


def test_first_order_gradient_is_the_finite_difference(ensembles_of):
    """Of the sum of the systems' losses, through both parts; one step of SGD is the gradient."""
    ensembles = ensembles_of(TRUTH, weights=(1.0, 2.0, 0.5))
    potential = two_parts()
    with torch.no_grad():
        for number, part in enumerate((potential.reference, potential.entropic)):
            part.coefficients += 0.2 * torch.cos(torch.arange(38.0) * (0.2 + 0.1 * number))
    before = [p.detach().clone() for p in potential.parameters()]
    FirstOrder("sgd", lr=1.0, max_steps=1).update(potential, GRID, ensembles)
    gradients = [b - p.detach() for b, p in zip(before, potential.parameters(), strict=True)]
    with torch.no_grad():
        for p, b in zip(potential.parameters(), before, strict=True):
            p.copy_(b)
        for p, gradient in zip(potential.parameters(), gradients, strict=True):
            assert gradient.abs().max() > 1e-4
            for k in (8, 15, 25):
                differences = []
                for step in (1e-5, -2e-5):
                    p[0, k] += step
                    differences.append(total_loss(potential, ensembles))
                p[0, k] += 1e-5
                found = (differences[0] - differences[1]) / 2e-5
                # second order in the step of 1e-5, rounding 1e-16 / 1e-5
                assert gradient[0, k].item() == pytest.approx(found, rel=1e-5, abs=1e-10)


def test_at_the_reference_temperature_a_step_is_that_of_a_plain_potential(ensembles_of):
    ensembles = ensembles_of(TRUTH, temperatures=(T0,) * 3)
    plain, potential = spline(), two_parts()
    updates = [GaussNewton(max_steps=1).update(p, GRID, ensembles) for p in (plain, potential)]
    found, entropic = part_values(potential)
    expected = knot_values(plain, GRID).detach().numpy()
    assert np.abs(expected).max() > 0.05
    # the singular value decomposition has another order of sums
    assert found == pytest.approx(expected, abs=1e-9)
    assert not entropic.any()
    assert updates[1].info == pytest.approx(updates[0].info, rel=1e-9)
    assert updates[1].uncertainty == pytest.approx(updates[0].uncertainty, rel=1e-7)


def test_a_plain_potential_is_evaluated_once_for_all_temperatures():
    values = knot_values_at(spline(), GRID, TEMPERATURES)
    assert len(values) == 3 and all(v is values[0] for v in values)


# ---- where it starts, and its grid ----


@pytest.mark.parametrize("start", [fit_mean_force, fit_hypernetted_chain])
def test_the_start_is_the_reference_without_entropy(ensembles_of, start):
    ensembles = ensembles_of(TRUTH)
    options = [[{"A": ATOMS / LENGTH**3}] * 3] if start is fit_hypernetted_chain else []
    plain, *parts = (Neural(["A"], CUTOFF, hidden=[8], seed=seed) for seed in (1, 1, 2))
    potential = TemperatureDependent(*parts, T0)
    start(plain, ensembles, *options)
    start(potential, ensembles, *options)
    reference, entropic = part_values(potential)
    assert np.array_equal(reference, knot_values(plain, GRID).detach().numpy())
    assert np.abs(entropic)[0, GRID.distances(0) > 0.5].max() < 1e-4


def test_the_grid_holds_the_tolerance_at_all_temperatures():
    """The innermost range and the most knots of all; at every temperature the spline is within."""
    tolerance = 1e-4
    rough = spline()
    with torch.no_grad():
        rough.coefficients += torch.cos(torch.arange(38.0))
    entropic = rough + LennardJones(["A"], CUTOFF, sigma=0.8)
    potential = TemperatureDependent(LennardJones(["A"], CUTOFF), entropic, T0)
    grid, _ = choose_grid(potential, tolerance, TEMPERATURES)
    alone = [choose_grid(potential.at(t), tolerance)[0] for t in TEMPERATURES]
    assert grid.inner[0] == min(g.inner[0] for g in alone)
    assert len({g.inner for g in alone}) == 3
    # the reference, without the rough part, needs fewer than the others
    assert grid.knots == max(g.knots for g in alone) > alone[1].knots
    s = np.linspace(grid.inner[0] ** 2, CUTOFF**2, 20 * grid.knots)[:-1]
    r = torch.tensor(np.sqrt(s))
    types = torch.zeros(len(r), dtype=torch.int64)
    for t in TEMPERATURES:
        c = spline_coefficients(knot_values(potential.at(t), grid).detach().numpy())
        exact = potential.at(t)(r, types, types).detach().numpy()
        deviation = np.abs(grid.basis(0, r.numpy()) @ c[0] - exact)
        assert (deviation / np.maximum(np.abs(exact), 1.0)).max() < tolerance


# ---- runs ----

GAS, DILUTE = fluid_script(density=0.1), 125


def state(name, temperature, **options):
    targets = [{"rdf": f"{temperature}.csv", "pair": ["A", "A"]}]
    return {
        "name": name,
        "script": "in.dilute",
        "temperature": temperature,
        "targets": targets,
        **options,
    }


POTENTIAL = {
    "form": "neural",
    "species": ["A"],
    "cutoff": 1.8,
    "hidden": [8],
    "n_basis": 12,
    "reference_temperature": 1.25,
}
CONFIG = {
    "units": "lj",
    "potential": POTENTIAL,
    "systems": [state("cold", 1.0), state("hot", 1.5), state("test", 2.25, validation=True)],
    "simulation": {"steps": 300, "every": 20, "equilibration": 100, "relaxation": 20},
    "validate_every": 1,
    "seed": 7,
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "in.dilute").write_text(GAS)
    r = 0.05 * (0.5 + np.arange(52))
    entropic = 1.5 * np.exp(-20.0 * (r - 1.3) ** 2)
    for temperature in (1.0, 1.5, 2.25):
        u = 4 * (r**-12.0 - r**-6.0) * (r < 1.8) - (temperature - 1.25) / 1.25 * entropic
        g = np.exp(-np.minimum(u / temperature, 700.0))
        box = f"atoms: {DILUTE}\nnorm: N-1"
        np.savetxt(
            folder / f"{temperature}.csv", np.stack([r, g], axis=1), delimiter=",", header=box
        )
    return folder


def configuration(inputs, **changes):
    path = inputs / "config.yaml"
    path.write_text(yaml.safe_dump(CONFIG | changes))
    return load_config(path)


def records(out):
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return without_seconds(lines)


@pytest.fixture(scope="module")
def runs(inputs, tmp_path_factory):
    """A run of two iterations, and one of one that goes on to two."""
    folder = tmp_path_factory.mktemp("runs")
    run_training(configuration(inputs, iterations=2), folder / "whole", resume=False)
    run_training(configuration(inputs, iterations=1), folder / "halves", resume=False)
    run_training(configuration(inputs, iterations=2), folder / "halves", resume=True)
    return folder / "whole", folder / "halves"


def test_a_resumed_run_repeats_the_numbers(runs):
    whole, halves = runs
    assert records(whole) == records(halves) and len(records(whole)) == 2
    assert (whole / "potential.table").read_bytes() == (halves / "potential.table").read_bytes()


def test_every_system_is_simulated_with_the_potential_of_its_temperature(runs):
    """The energies that LAMMPS found are those of the system's own coefficients."""
    for path in sorted((runs[0] / "frames").iterdir())[1:]:
        with np.load(path) as arrays:
            c = arrays["coefficients"]
            assert c.shape[:2] == (2, 1)
            for system in (0, 1):
                counts, found = arrays[f"{system}_counts"], arrays[f"{system}_energy"]
                assert energies(counts, c[system]) == pytest.approx(found, rel=1e-9)
                assert energies(counts, c[1 - system]) != pytest.approx(found, rel=1e-4)


def test_a_validation_is_simulated_with_the_potential_of_its_temperature(inputs):
    simulated = []

    class Simulator:
        system = System(inputs / "in.dilute", 2.25, [RDF(R, np.ones(BINS), ("A", "A"))])

        def md_steps(self, state):
            return 0

        def piece(self, knots, *_):
            simulated.append(knots.values)
            raise SimulationError("It need not be simulated.")

    parts = (Neural(["A"], CUTOFF, hidden=[4], seed=k) for k in (1, 2))
    potential = TemperatureDependent(*parts, T0)
    simulator, pool = Simulator(), SerialPool()
    pool.arrange({3: simulator}, Layout(1, 1, 1))
    record = Iteration(1, 0.0, {}, 1.0, 0, 0.0, 0.0, 0.0)
    validation = Validation([simulator], None, pool, first=3, aborts={})
    told = validation.added_to(record, potential, GRID, seed=1)
    assert told.validation == {} and "It need not be simulated." in told.events[0]
    expected = knot_values(potential.at(2.25), GRID).detach().numpy()
    assert np.array_equal(simulated, [expected])


def test_a_run_writes_a_model_for_each_temperature(runs):
    out = runs[0]
    suffixes = ("", "_T1", "_T1.5", "_T2.25")
    written = {p.name for p in out.glob("model*.pt")} | {p.name for p in out.glob("*.table")}
    assert written == {f"model{s}.pt" for s in suffixes} | {f"potential{s}.table" for s in suffixes}
    whole = TemperatureDependent.load(out / "model.pt")
    assert (whole.reference_temperature, whole.temperatures) == (1.25, [1.0, 1.5])
    r = torch.linspace(0.9, 1.7, 30, dtype=torch.float64)
    types = torch.zeros(30, dtype=torch.int64)
    seen = []
    for suffix, temperature in zip(suffixes, (1.25, 1.0, 1.5, 2.25), strict=True):
        u = load(out / f"model{suffix}.pt")(r, types, types).detach()
        torch.testing.assert_close(u, whole.at(temperature)(r, types, types).detach())
        seen.append(u)
    # it has learned an entropic part
    assert (seen[1] - seen[3]).abs().max() > 1e-3


def test_the_parts_start_from_different_networks(inputs):
    trainer = build(configuration(inputs, start="potential"), inputs)
    first, second = (p.networks[0].layers[0].weight for p in trainer.potential.children())
    assert first.shape == second.shape and not torch.isclose(first, second).all()


# ---- what cannot be ----


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"potential": POTENTIAL | {"reference_temperature": 0}}, ["reference_temperature", "0"]),
        (
            {"potential": {"file": "in.dilute", "reference_temperature": 1.0}},
            ["reference_temperature", "beside 'file'"],
        ),
    ],
)
def test_wrong_configurations(inputs, changes, words):
    with pytest.raises(InputError) as error:
        configuration(inputs, **changes)
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("temperatures", "optimizer", "words"),
    [
        ((1.0, 1.0), "gauss-newton", "two or more temperatures, but all are at 1"),
        ((1.0, 2.0), "ibi", "but not by IBI"),
        ((1.0, 2.0), "imc", "but not by IMC"),
        ((1.0, 2.0), "relative-entropy", "but not by RelativeEntropy"),
    ],
)
def test_what_cannot_be_learned(inputs, temperatures, optimizer, words):
    """A system for validation is nothing to learn from."""
    target = RDF.from_file(inputs / "1.0.csv", ("A", "A"))
    systems = [
        System(inputs / "in.dilute", t, [target], name=f"{k}", validation=k == 2)
        for k, t in enumerate((*temperatures, 3.0))
    ]
    parts = LennardJones(["A"], 1.8), LennardJones(["A"], 1.8)
    with pytest.raises(InputError, match=words) as error:
        Trainer(TemperatureDependent(*parts, 1.0), systems, optimizer, Protocol())
    assert "\n" not in str(error.value)
