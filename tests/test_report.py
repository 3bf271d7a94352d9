"""The report of a run: its numbers are those of the run, and its page needs nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import diffsim
from conftest import fluid_script
from diffsim import targets
from diffsim.cli import main as main_module
from diffsim.config.schema import load_config
from diffsim.errors import InputError
from diffsim.folder import run_lock
from diffsim.potentials import TemperatureDependent, load
from diffsim.report.history_figures import MOST_POINTS, thinned
from diffsim.report.page import render, state, write_report
from diffsim.report.run_record import read_run
from diffsim.report.system_record import system_record
from diffsim.report.words import duration, number, plain
from diffsim.run.training import run_training
from diffsim.simulation import System
from diffsim.training.windows import separate

PACKAGE = Path(diffsim.__file__).parent
RDF = {"rdf": "rdf.csv", "pair": ["A", "A"]}
CONFIG = {
    "units": "lj",
    "potential": {"form": "lennard-jones", "species": ["A"], "cutoff": 1.8},
    "start": "potential",
    "systems": [
        {
            "name": "fluid",
            "script": "in.fluid",
            "temperature": 1.0,
            "targets": [RDF, {"pressure": 0.6, "error": 0.2}],
        },
        {
            "name": "hot",
            "script": "in.fluid",
            "temperature": 1.5,
            "targets": [RDF],
            "validation": True,
        },
    ],
    "simulation": {"steps": 400, "every": 20, "equilibration": 200, "relaxation": 40},
    "iterations": 2,
    "seed": 7,
}
AT_TWO_TEMPERATURES = CONFIG | {
    "potential": CONFIG["potential"] | {"reference_temperature": 1.2},
    "systems": [
        {"name": name, "script": "in.fluid", "temperature": temperature, "targets": [RDF]}
        for name, temperature in (("cool", 1.0), ("warm", 1.5))
    ],
    "iterations": 1,
}
OF_MOTION = CONFIG | {
    "systems": [
        {
            "name": "fluid",
            "script": "in.fluid",
            "temperature": 1.0,
            "targets": [RDF, {"vacf": "vacf.csv", "species": "A"}],
        }
    ],
    "simulation": CONFIG["simulation"] | {"windows": 4, "spacing": 20},
    "optimizer": {"name": "adam", "lr": 0.001, "max_steps": 1},
    "iterations": 1,
}
VOID = {"meta", "br", "path", "use", "rect", "link", "img"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Folder with a script and targets."""
    folder = tmp_path_factory.mktemp("inputs")
    nve = "fix integrate all nvt temp ${temperature} ${temperature} 0.5"
    script = re.sub(r"fix integrate.*\nfix thermostat.*", nve, fluid_script())
    (folder / "in.fluid").write_text(script)
    r = 0.05 * (0.5 + np.arange(52))
    x = np.minimum((1 / r) ** 6, 30.0)
    g = np.exp(-np.minimum(4 * (x * x - x), 700.0)) * (1 - 0.35 * np.exp(-8 * (r - 1.6) ** 2))
    np.savetxt(folder / "rdf.csv", np.stack([r, g, 0.01 * (g > 0)], axis=1), delimiter=",")
    t = 0.05 * np.arange(1, 5)
    np.savetxt(folder / "vacf.csv", np.stack([t, np.exp(-4 * t)], axis=1), delimiter=",")
    return folder


@pytest.fixture(scope="module")
def train(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")

    def run(name, config):
        path = inputs / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config))
        run_training(load_config(path), folder / name, resume=False)
        return folder / name

    return run


@pytest.fixture(scope="module")
def run(train):
    """The folder of a run of two iterations with a validation."""
    return train("two", CONFIG)


@pytest.fixture(scope="module")
def other(train):
    """One of another seed and a single iteration."""
    return train("one", CONFIG | {"iterations": 1, "seed": 8})


@pytest.fixture
def copy(run, tmp_path):
    """A copy of a run, to be changed."""
    return Path(shutil.copytree(run, tmp_path / "copy"))


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


class Page(HTMLParser):
    """The elements of a page, each with its attributes and text; checks that they are nested."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), (tag, attributes)
        self.elements.append((tag, dict(attributes), []))
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))

    def handle_endtag(self, tag):
        if tag in VOID and self.open[-1][0] != tag:
            return
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, text in self.open:
            text.append(data)

    def all(self, tag):
        return [(a, " ".join("".join(t).split())) for name, a, t in self.elements if name == tag]

    def texts(self, tag):
        return [text for _, text in self.all(tag)]

    def numbers(self):
        return [float(attributes["value"]) for attributes, _ in self.all("data")]


def page_of(*runs):
    return Page(render([read_run(run) for run in runs]))


# ---- the numbers ----


def accepted(run):
    """The line of the last iteration whose step was not undone."""
    return [line for line in metrics(run) if line["accepted"]][-1]


def test_the_page_shows_the_numbers_of_the_metrics(run):
    last, kept = metrics(run)[-1], accepted(run)
    shown = page_of(run).numbers()
    fluid, hot = kept["systems"]["fluid"], last["validation"]["hot"]
    expected = [kept["loss"], kept["ess"], last["md_steps"], last["validation_md_steps"]]
    best = json.loads((run / "outcome.json").read_text())["numbers"]
    expected += [best["uncertainty"], best["chi_square"]]
    expected += [fluid["loss"], fluid["ess"], *fluid["values"]["pressure"]]
    for system in (fluid, hot):
        expected += [*system["rdf_mse"], *system["noise"]]
        expected += [system["pressure"], system["temperature"]]
    assert set(expected) <= set(shown)
    value, error = fluid["values"]["pressure"]
    deviation = (value - 0.6) / np.hypot(error, 0.2)
    assert any(each == pytest.approx(deviation, rel=1e-12) for each in shown)


def test_the_curves_are_those_of_the_metrics(run):
    """Frames and checkpoint say the same as what was measured when they were written."""
    record = read_run(run)
    fluid, hot = record.systems
    last, kept = metrics(run)[-1], accepted(run)
    assert [curve.label for curve in fluid.curves] == ["rdf A-A"]
    assert fluid.curves[0].mse == pytest.approx(kept["systems"]["fluid"]["rdf_mse"][0], rel=1e-9)
    assert hot.curves[0].mse == pytest.approx(last["validation"]["hot"]["rdf_mse"][0], rel=1e-9)
    noise = np.mean(fluid.curves[0].error ** 2 + fluid.curves[0].target_error ** 2)
    assert noise == pytest.approx(kept["systems"]["fluid"]["noise"][0], rel=1e-9)
    assert (fluid.validation, hot.validation) == (False, True)
    assert fluid.curves_of == kept["iteration"] and fluid.iterations.tolist() == [1, 2]
    assert hot.iterations.tolist() == [2]


def test_the_potential_is_the_model_and_its_band_the_uncertainty(run):
    (curve,) = read_run(run).potential
    r, zero = torch.tensor(curve.r), torch.zeros(len(curve.r), dtype=torch.int64)
    with torch.no_grad():
        expected = load(run / "model.pt")(r, zero, zero).numpy()
    np.testing.assert_array_equal(curve.u, expected)
    checkpoint = torch.load(run / "checkpoint.pt", weights_only=False)
    knots = checkpoint["grid"].distances(0)
    known = np.hypot(checkpoint["uncertainty"], checkpoint["apart"]["at_knots"])
    between = np.interp(curve.r, knots, known[0])
    assert curve.error == pytest.approx(between, rel=1e-9)
    # there are no pairs at 0.8, and many at 1.1
    assert not curve.seen[curve.r < 0.8].any() and curve.seen[curve.r > 1.1].all()


def test_idle_time_is_part_of_the_simulation(copy):
    lines = [line | {"seconds_idle": 0.25 * line["seconds_simulation"]} for line in metrics(copy)]
    (copy / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    record = read_run(copy)
    total = sum(line[f"seconds_{part}"] for line in lines for part in ("simulation", "gradient"))
    total += sum(line["seconds_update"] for line in lines)
    assert record.wall_time == pytest.approx(total)
    assert record.seconds["idle"] / record.seconds["simulation"] == pytest.approx(1 / 3)
    assert "idle" in page_of(copy).texts("li")


def test_a_potential_that_depends_on_temperature(train):
    run = train("temperatures", AT_TWO_TEMPERATURES)
    (curve,) = read_run(run).potential
    whole = TemperatureDependent.load(run / "model.pt")
    r, zero = torch.tensor(curve.r), torch.zeros(len(curve.r), dtype=torch.int64)
    with torch.no_grad():
        for temperature, u in ((1.2, curve.u), *curve.at_temperatures.items()):
            np.testing.assert_array_equal(u, whole.at(temperature)(r, zero, zero).numpy())
    assert list(curve.at_temperatures) == [1.0, 1.5]
    legend = page_of(run).texts("li")
    assert {"T = 1.2", "T = 1", "T = 1.5"} <= set(legend)


def test_a_target_of_the_motion_is_a_curve_of_a_system_of_its_own(train):
    """And an optimizer that knows no uncertainty has no band."""
    run = train("motion", OF_MOTION)
    record = read_run(run)
    moving = record.systems[1]
    assert moving.name == "fluid-motion" and [c.label for c in moving.curves] == ["vacf A"]
    (curve,) = moving.curves
    found = metrics(run)[-1]["systems"]["fluid-motion"]["curves"]["vacf A"]
    assert curve.variable == "t" and curve.x == pytest.approx(0.05 * np.arange(1, 5))
    assert curve.mse == pytest.approx(found["mse"], rel=1e-9)
    page = page_of(run)
    assert "fluid-motion: vacf A" in page.texts("figcaption")
    assert found["mse"] in page.numbers() and found["noise"] in page.numbers()
    assert record.potential[0].error is None
    assert "one standard deviation, where g > 0.1" not in page.texts("li")
    assert "Uncertainty of the potential" not in page.texts("figcaption")


def test_a_g_of_windows_is_drawn_over_its_smooth_bins(inputs):
    target = targets.RDF.from_file(inputs / "rdf.csv", ("A", "A"))
    (system,) = separate([System(inputs / "in.fluid", 1.0, [target])], "adjoint", 1.8)
    values = system.targets[0].values
    (curve,) = system_record(system, [], [(values + 0.1, None)], 1).curves
    assert curve.variable == "r" and curve.mse == pytest.approx(0.01)
    assert np.diff(curve.x) == pytest.approx(np.full(len(values) - 1, 1.8 / 30))
    assert curve.x[0] > 0.0 and curve.x[-1] < 1.8


@pytest.mark.parametrize("chi_square", [1.4, 1.6])
def test_a_band_that_does_not_hold_is_doubted(run, chi_square):
    record = read_run(run)
    numbers = {**record.optimizer, "chi_square": np.array([9.0, chi_square])}
    best = replace(record.outcome, numbers={**record.outcome.numbers, "chi_square": chi_square})
    sentence = "Chi squared of the residual is 1.6: there is more in it than noise"
    # of earlier versions the last one is known
    for said in (replace(record, outcome=best), replace(record, optimizer=numbers, outcome=None)):
        doubts = Page(render([said])).texts("p")
        assert any(text.startswith(sentence) for text in doubts) == (chi_square > 1.5)


@pytest.mark.parametrize("first", [0.9, 50.0])
def test_a_beginning_that_would_hide_the_rest_is_off_the_scale(run, first):
    record = read_run(run)
    pressures = np.array([first, 0.7, 0.5, 0.6, 0.8, 0.7])
    numbers = np.arange(1, 7)
    system = replace(record.systems[0], pressure=pressures, iterations=numbers)
    page = Page(render([replace(record, systems=[system])]))
    assert ("The first iterations are off the scale." in page.texts("p")) == (first > 10.0)


# ---- runs under way ----


def test_a_finished_run_leaves_its_report(run):
    text = (run / "report.html").read_text()
    assert "finished: 2 of 2 iterations" in text
    assert read_run(run).state == "finished"


def test_a_line_that_is_being_written_is_left_out(copy):
    """The frames of its iteration do not count either: the metrics say nothing of them yet."""
    first, second = (copy / "metrics.jsonl").read_text().splitlines()
    (copy / "metrics.jsonl").write_text(f"{first}\n{second[: len(second) // 2]}")
    record = read_run(copy)
    assert record.state == "under way" and record.iterations.tolist() == [1]
    assert record.systems[0].curves_of == 1
    mse = json.loads(first)["systems"]["fluid"]["rdf_mse"][0]
    assert record.systems[0].curves[0].mse == pytest.approx(mse, rel=1e-9)
    assert "under way: 1 of 2 iterations, or stopped" in page_of(copy).texts("dd")


def test_a_last_line_without_its_end_of_line_counts_if_it_is_complete(copy):
    file = copy / "metrics.jsonl"
    file.write_text(file.read_text().rstrip("\n"))
    assert read_run(copy).iterations.tolist() == [1, 2]


def test_while_the_checkpoint_is_replaced_the_one_before_is_read(copy):
    """It is of the iteration before the validation, which it does not hold."""
    (copy / "checkpoint.pt").unlink()
    drawn = page_of(copy).texts("figcaption")
    assert "u(r) of A-A" in drawn and "hot: rdf A-A" not in drawn


def test_a_checkpoint_that_cannot_be_read_gives_way_to_the_one_before(copy):
    for content in (b"half", b""):
        (copy / "checkpoint.pt").write_bytes(content)
        drawn = page_of(copy).texts("figcaption")
        assert "u(r) of A-A" in drawn and "hot: rdf A-A" not in drawn


@pytest.mark.parametrize("missing", ["checkpoint.pt", "model.pt", "frames"])
def test_what_is_not_written_yet_is_left_out(copy, missing):
    (copy / "checkpoint_previous.pt").unlink()
    if missing == "frames":
        shutil.rmtree(copy / "frames")
    else:
        (copy / missing).unlink()
    page = page_of(copy)
    assert metrics(copy)[-1]["loss"] in page.numbers()
    drawn = page.texts("figcaption")
    assert ("fluid: rdf A-A" in drawn) == (missing != "frames")
    assert ("u(r) of A-A" in drawn) == (missing == "frames")
    assert ("hot: rdf A-A" in drawn) == (missing != "checkpoint.pt")


def test_the_page_says_how_the_processes_were_shared_out(copy):
    assert "1, each simulation on 1; replicas of each system: 1" in page_of(copy).texts("dd")
    records = metrics(copy)
    for record in records:  # as an earlier version wrote them
        del record["replicas"]
    (copy / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    assert not [text for text in page_of(copy).texts("dd") if "each simulation on" in text]


def test_a_run_may_have_had_more_iterations_than_are_asked_for(run):
    """As one that was resumed with fewer."""
    record = read_run(run)
    fewer = record.config.model_copy(update={"iterations": 1})
    assert state(replace(record, config=fewer)) == "finished: 2 iterations"


def test_a_run_that_reached_its_accuracy_has_converged(copy):
    state = torch.load(copy / "checkpoint.pt", weights_only=False)
    torch.save(state | {"converged": True}, copy / "checkpoint.pt")
    (title,) = page_of(copy).texts("h1")
    assert title == "copy converged"


# ---- several runs ----


def test_two_runs_share_plots_and_tables(run, other):
    page = page_of(run, other)
    assert page.texts("h1") == ["2 runs compared"]
    assert {"two", "one"} <= set(page.texts("th"))
    for each in (run, other):
        kept = accepted(each)
        numbers = {kept["loss"], *kept["systems"]["fluid"]["rdf_mse"]}
        numbers.add(metrics(each)[-1]["md_steps"])
        assert numbers <= set(page.numbers())
    rows = page.texts("tr")
    assert "iterations 2 1" in rows and "seed 7 8" in rows
    assert not any(row.startswith(("units", "tolerance", "potential.cutoff")) for row in rows)
    drawn = page.texts("figcaption")
    assert {"u(r) of A-A", "Loss", "fluid: rdf A-A", "fluid: pressure"} <= set(drawn)
    legends = page.texts("ul")
    assert "two one" in legends and "target two one error of the target" in legends


def test_runs_of_one_configuration_differ_in_nothing(run, copy):
    page = page_of(run, copy)
    assert "Keys of the configuration that differ" not in page.texts("caption")


def test_folders_of_the_same_name_are_told_apart_by_their_paths(run, tmp_path):
    shutil.copytree(run, tmp_path / "two")
    heads = page_of(run, tmp_path / "two").texts("th")
    assert str(run) in heads and str(tmp_path / "two") in heads


def test_runs_of_different_units_are_not_compared(run, copy):
    config = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(config.replace("units: lj", "units: real"))
    record = read_run(run)
    message = "cannot be drawn on the same axes: their units are lj and real. Compare runs of the"
    with pytest.raises(InputError, match=message):
        render([record, read_run(copy)])


# ---- the page ----


def test_the_page_is_well_formed_and_needs_nothing_else(run, other):
    for runs in ([run], [run, other]):
        text = render([read_run(path) for path in runs])
        assert text.startswith("<!DOCTYPE html>")
        for sign in ("http:", "https:", "url(//", "@import", "<script", "<link"):
            assert sign not in text, sign
        page = Page(text)
        attributes = [a for _, a, _ in page.elements]
        known = [a["id"] for a in attributes if "id" in a]
        assert len(set(known)) == len(known)
        places = [value for a in attributes for key, value in a.items() if key.endswith("href")]
        assert places and {place[1:] for place in places} <= set(known)
        assert all(place.startswith("#") for place in places)
        inside = re.findall(r"url\(([^)]*)\)", text)
        assert inside and {place[1:] for place in inside} <= set(known)
        assert not any("src" in a for a in attributes)
        figures = page.all("svg")
        assert len(figures) == len(page.texts("figure")) > 5
        assert all(a["role"] == "img" and len(a["aria-label"]) > 20 for a, _ in figures)
        assert len(text) < 300_000


def test_hostile_names_are_text(run):
    """Those that a configuration allows and those that it does not, in all kinds of places."""
    name = "<b onclick='x'>&amp; $\\frac{1}{$ _"
    record = read_run(run)
    fluid = record.systems[0]
    hostile = replace(
        record,
        name=name,
        events=[(1, name)],
        systems=[
            replace(
                fluid,
                name=name,
                curves=[replace(fluid.curves[0], label=name)],
                deviations=[replace(fluid.deviations[0], label=name)],
                numbers=[replace(fluid.numbers[0], label=name)],
            )
        ],
        potential=[replace(record.potential[0], pair=(name, name))],
    )
    for runs in ([hostile], [hostile, replace(hostile, name="other")]):
        page = Page(render(runs))
        assert name in page.texts("h3")
        events = page.texts("ol")
        assert f"1{name}" in events
        allowed = [a for tag, a, _ in page.elements if tag == "b" and a != {"title": "iteration"}]
        assert not allowed
        assert not any("onclick" in a for _, a, _ in page.elements)


def test_the_page_of_a_long_run_is_small(run):
    """10,000 iterations, each with an event; what stands out in a history is drawn."""
    n = 10_000
    rng = np.random.default_rng(3)
    record = read_run(run)
    history = {
        name: np.exp(rng.normal(size=n))
        for name in ("loss", "predicted_loss", "ess", "pressure", "rdf_mse", "rdf_noise")
    }
    iterations = np.arange(1, n + 1)
    of_system = {key: history[key] for key in ("loss", "ess", "pressure", "rdf_mse", "rdf_noise")}
    systems = [
        replace(record.systems[0], name=f"fluid{i}", iterations=iterations, **of_system)
        for i in range(3)
    ]
    long = replace(
        record,
        iterations=iterations,
        loss=history["loss"],
        predicted_loss=history["predicted_loss"],
        ess=history["ess"],
        md_steps=iterations * 500,
        seconds=dict.fromkeys(record.seconds, history["loss"]),
        optimizer={"uncertainty": history["ess"], "correction": history["loss"]},
        events=[(i, f"The temperature was {i}.") for i in range(1, n + 1)],
        systems=systems,
    )
    text = render([long])
    assert len(text) < 1_000_000
    assert "The latest 100 of 10000;" in text and "The temperature was 10000." in text
    assert "The temperature was 9900." not in text and "Means over 167 iterations." in text
    kept = thinned(history["loss"])
    assert len(kept) <= MOST_POINTS and (np.diff(kept) > 0).all()
    extremes = {0, n - 1, int(history["loss"].argmin()), int(history["loss"].argmax())}
    assert extremes <= set(kept.tolist())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.01234567, "0.01235"),
        (-41.0, "\N{MINUS SIGN}41"),
        (4.0361e-05, "4.036\N{MULTIPLICATION SIGN}10⁻⁵"),
        (1e12, "1\N{MULTIPLICATION SIGN}10¹²"),
        (float("nan"), "\N{EN DASH}"),
        (float("-inf"), "\N{MINUS SIGN}inf"),
    ],
)
def test_numbers_in_words(value, text):
    assert plain(value) == text


def test_a_number_keeps_all_its_digits():
    assert number(1 / 3) == '<data value="0.3333333333333333">0.3333</data>'
    assert number(123456) == '<data value="123456">123\N{THIN SPACE}456</data>'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.234, "1.23 s"), (83.2, "1 min 23 s"), (3600, "1 h 0 min"), (200_000, "2 d 7 h")],
)
def test_times_in_words(seconds, text):
    assert duration(seconds) == text


# ---- what cannot be reported ----


def broken_line(run):
    first, second = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text(f"{first[:50]}\n{second}\n")


def line_of_text(run):
    with (run / "metrics.jsonl").open("a") as file:
        file.write('"iteration 3"\n')


def line_without_loss(run):
    lines = metrics(run)
    del lines[0]["loss"]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def no_whole_line(run):
    (run / "metrics.jsonl").write_text('{"iteration": 1, "lo')


def only_a_configuration(run):
    (run / ".lock").unlink()
    (run / "metrics.jsonl").unlink()
    shutil.rmtree(run / "lammps")


def moved_target(run):
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("rdf.csv", "elsewhere/rdf.csv"))


def half_frames(run):
    for file in (run / "frames").glob("*.npz"):
        file.write_bytes(file.read_bytes()[:9999])


def other_systems(run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["systems"][1]["validation"] = False
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def no_checkpoint(run):
    for name in ("checkpoint.pt", "checkpoint_previous.pt"):
        (run / name).write_bytes(b"half")


class Hostile:
    def __reduce__(self):
        return (os.system, ("echo this runs code",))


def code_in_checkpoint(run):
    for name in ("checkpoint.pt", "checkpoint_previous.pt"):
        torch.save({"iteration": Hostile()}, run / name)


def another_target(run):
    """The validation's averages have the bins of the target that there was."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["systems"][1]["targets"][0]["range"] = [0.0, 2.0]
    (run / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, r"The folder .* does not exist\. Name the folder of a run"),
        (lambda run: (run / "config.yaml").unlink(), r"is no run: no config\.yaml is in"),
        (only_a_configuration, r"is no run: none of \.lock, lammps, metrics\.jsonl is in"),
        (no_whole_line, r"ended in its first iteration.*logs are in .*lammps; train again"),
        (moved_target, r"rdf\.csv.*that was copied needs its scripts and targets where"),
        (
            broken_line,
            r"Line 1 of .*metrics.jsonl is not that of an iteration: Unterminated string",
        ),
        (line_of_text, "Line 3 of .* a mapping was expected, but '\"iteration 3\"' was found"),
        (line_without_loss, "Line 1 of .* the key 'loss' is missing. Put back the line"),
        (lambda run: (run / "metrics.jsonl").write_bytes(b"\xff\n"), "metrics .* cannot be read"),
        (
            no_checkpoint,
            r"checkpoint\.pt cannot be read \(.*checkpoint_previous\.pt cannot be read",
        ),
        (code_in_checkpoint, r"checkpoint\.pt cannot be read \(Weights only load failed\);"),
        (
            half_frames,
            r"The frames .*0000[12].npz cannot be read, or are not those of the 1 s",
        ),
        (other_systems, r"The frames .* are not those of the 2 systems in config.yaml"),
        (another_target, "rdf A-A of system 'hot' has 40 values, but in the run it had 52"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(copy, capfd, change, message):
    change(copy)
    with pytest.raises(InputError, match=message) as error:
        read_run(copy)
    assert str(error.value).endswith(".")
    assert "this runs code" not in capfd.readouterr().out


def test_a_run_that_has_no_metrics_yet(copy):
    (copy / "metrics.jsonl").unlink()
    with run_lock.only_user_of(copy):
        with pytest.raises(InputError, match=r"has not finished.*Ask again when it has\."):
            read_run(copy)
        (copy / "metrics.jsonl").write_text('{"iteration": 1')
        with pytest.raises(InputError, match=r"has not finished.*Ask again when it has\."):
            read_run(copy)
    with pytest.raises(InputError, match="ended in its first iteration"):
        read_run(copy)
    (copy / ".lock").unlink()  # a copy without it: nobody knows
    with pytest.raises(InputError, match="has not finished"):
        read_run(copy)


def test_a_file_is_no_run(run):
    with pytest.raises(InputError, match=r"config.yaml is a file\. Name the folder of a run"):
        read_run(run / "config.yaml")


def test_a_page_that_cannot_be_written(run, tmp_path):
    with pytest.raises(InputError, match=r"cannot be written to .*: No such file.*Name another"):
        write_report([run], tmp_path / "nowhere" / "page.html")


# ---- the command, and what it needs ----


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["diffsim", "report", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main_module.main()
    captured = capsys.readouterr()
    return stop.value.code or 0, captured.out.replace("\n", ""), captured.err


def test_where_the_page_is_written(copy, other, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (copy / "report.html").unlink()
    assert command(monkeypatch, capsys, copy)[:2] == (0, f"The report is {copy / 'report.html'}")
    assert (copy / "report.html").is_file()
    assert command(monkeypatch, capsys, copy, other)[:2] == (0, "The report is comparison.html")
    assert "2 runs compared" in Path("comparison.html").read_text()
    assert not Path("report.html").exists()  # it would be that of a run, within its folder
    assert command(monkeypatch, capsys, other, "--output", "page.html")[0] == 0
    assert Path("page.html").is_file() and not list(tmp_path.rglob("*.part"))


def test_the_command_says_what_is_wrong_in_one_line(tmp_path, monkeypatch, capsys):
    code, _, err = command(monkeypatch, capsys, tmp_path)
    assert code == 2 and err.startswith("diffsim: error: The folder ") and err.count("\n") == 1


def test_a_report_needs_neither_lammps_nor_the_trainer():
    program = (
        "import sys, diffsim.report.page\n"
        "never = {'lammps', 'mpi4py', 'diffsim.run.training', 'diffsim.training.trainer'}\n"
        "print(sorted(never & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
