"""The benchmark of difficult inputs: damages, true potentials, judging, the table. No training."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from diffsim.config.schema import load_config
from diffsim.simulation import lammps_instance
from diffsim.targets import RDF
from diffsim.training import plausibility

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from hardship_cases import damages, judging, table, training
from hardship_cases.cases import CASES
from hardship_cases.fluids import FLUIDS
from hardship_cases.judging import Result
from hardship_cases.truths import LENNARD_JONES, Mie, mixed, pairs_of

R = 0.02 * (np.arange(200) + 0.5)
CURVE = damages.Curve(R, np.where(R > 0.9, 1.0 + np.exp(-R) * np.cos(7.0 * R), 0.0), 0.01 * R)


def random():
    return np.random.default_rng(5)


# ---- damages -------------------------------------------------------------------------------------


def test_a_damaged_curve_has_no_errors_unless_they_are_known():
    for damage in (
        damages.scaled(0.998),
        damages.shifted(0.01),
        damages.smeared(0.02),
        damages.noisy(0.01),
        damages.rebinned(5),
        damages.digitised(50),
    ):
        assert damage(CURVE, random()).error is None


def test_scaled_and_shifted():
    np.testing.assert_allclose(damages.scaled(0.998)(CURVE, random()).g, 0.998 * CURVE.g)
    moved = damages.shifted(0.01)(CURVE, random())
    np.testing.assert_allclose(moved.r, R + 0.01)
    np.testing.assert_array_equal(moved.g, CURVE.g)


def test_smearing_keeps_constants_and_widens_a_peak_by_its_width():
    flat = damages.Curve(R, np.full(len(R), 1.3))
    np.testing.assert_allclose(damages.smeared(0.02)(flat, random()).g, 1.3)
    peak = damages.Curve(R, np.exp(-0.5 * ((R - 2.0) / 0.1) ** 2))
    g = damages.smeared(0.05)(peak, random()).g
    assert np.sum(g) == pytest.approx(np.sum(peak.g))
    deviation = np.sqrt(np.sum(g * (R - 2.0) ** 2) / np.sum(g))
    assert deviation == pytest.approx(np.hypot(0.1, 0.05), rel=1e-4)  # variances add


def test_noise_has_its_deviation_where_there_are_pairs_and_none_in_the_core():
    many = [damages.noisy(0.03, known=True)(CURVE, np.random.default_rng(s)) for s in range(400)]
    noise = np.array([curve.g for curve in many]) - CURVE.g
    assert np.all(noise[:, CURVE.g == 0.0] == 0.0)
    outside = noise[:, CURVE.g > 0.5]
    assert outside.std() == pytest.approx(0.03, abs=4 * 0.03 / np.sqrt(2 * outside.size))
    np.testing.assert_array_equal(many[0].error, np.where(CURVE.g > 0.0, 0.03, 0.0))


def test_coarse_bins_hold_the_same_pairs():
    coarse = damages.rebinned(5)(CURVE, random())
    np.testing.assert_allclose(coarse.r, 0.1 * (np.arange(40) + 0.5))

    def pairs(curve, width):
        edges = np.append(curve.r - 0.5 * width, curve.r[-1] + 0.5 * width)
        return curve.g * np.diff(edges**3)

    np.testing.assert_allclose(
        pairs(coarse, 0.1), pairs(CURVE, 0.02).reshape(40, 5).sum(axis=1), rtol=1e-10
    )


def test_digitised_points_are_uneven_rounded_and_still_a_target():
    read = damages.in_turn(damages.cut(0.5, 3.6), damages.digitised(120))(CURVE, random())
    assert len(read.r) == 120
    assert (read.r[0], read.r[-1]) == (0.51, 3.59)
    assert np.diff(read.r).max() > 2.0 * np.diff(read.r).min()
    np.testing.assert_array_equal(read.g, read.g.round(3))
    RDF(read.r, read.g, ("A", "A"))
    away = read.r > 0.95  # the step at contact is between two points
    smooth = 1.0 + np.exp(-read.r) * np.cos(7.0 * read.r)
    np.testing.assert_allclose(read.g[away], smooth[away], atol=2e-3)


# ---- truths and cases ----------------------------------------------------------------------------


def test_lennard_jones_has_its_well_and_ends_at_the_cutoff():
    shift = 4.0 * (2.5**-12 - 2.5**-6)
    assert LENNARD_JONES(np.array([2 ** (1 / 6)]))[0] == pytest.approx(-1.0 - shift)
    np.testing.assert_array_equal(LENNARD_JONES(np.array([2.5, 3.0])), 0.0)
    soft = Mie((0.8,), n=9.0, m=6.0)
    assert soft(np.array([1.5 ** (1 / 3)])).item() == pytest.approx(
        -0.8 - (soft.cutoff[0] > 0) * 0.8 * 6.75 * (2.5**-9 - 2.5**-6)
    )


def test_mixtures_follow_lorentz_and_berthelot():
    two = mixed((1.0, 0.81), (1.0, 0.9), 2.5)
    assert (two.epsilon, two.sigma) == ((1.0, 0.9, 0.81), (1.0, 0.95, 0.9))
    assert two.species == 2
    np.testing.assert_array_equal(two(R[60:], 1, 0), two(R[60:], 0, 1))


@pytest.mark.parametrize("name", [name for name, fluid in FLUIDS.items() if fluid.truth])
def test_the_truth_is_what_lammps_simulates(name, tmp_path):
    """LAMMPS's own pair style, by its commands, has the energies of the formula."""
    truth = FLUIDS[name].truth
    a, b = pairs_of(truth.species)[-1]
    a = max(a - 1, 0)  # an unlike pair where there is one
    end = truth.cutoff[-1]
    with lammps_instance(None, {}) as lammps:
        lammps.commands_list(
            [
                "units lj",
                "region box block 0 10 0 10 0 10",
                f"create_box {truth.species} box",
                "mass * 1.0",
                *truth.commands,
                "pair_modify shift yes",
                f"pair_write {a + 1} {b + 1} 50 r 0.9 {0.999 * end} {tmp_path / 'pair'} AB",
            ]
        )
    rows = [line.split() for line in (tmp_path / "pair").read_text().splitlines()]
    values = np.array([row for row in rows if len(row) == 4 and row[0].isdigit()], dtype=float)
    np.testing.assert_allclose(values[:, 2], truth(values[:, 1], a, b), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_every_case_is_an_input(name, tmp_path):
    """Its configuration is read, its targets reach to the cutoff, and g(r) goes to one."""
    if not CASES[name].fluid.is_made:
        pytest.skip(f"make its targets with benchmarks/hardship_targets.py {CASES[name].of}")
    config = load_config(training.write_input(CASES[name], 2, tmp_path))
    (system,) = config.systems
    loaded = [target.load() for target in system.targets]
    rdfs = [target for target in loaded if isinstance(target, RDF)]
    fluid = CASES[name].fluid
    assert [target.pair for target in rdfs] == fluid.pairs
    assert len(loaded) == len(rdfs) + CASES[name].pressure
    for target in rdfs:
        assert target.edges[-1] >= fluid.cutoff
        assert target.g[-20:].mean() == pytest.approx(1.0, abs=0.15)
        assert target.g.max() > 1.1


def test_the_noise_of_a_case_is_that_of_its_seed(tmp_path):
    targets = []
    for number, seed in enumerate((1, 1, 2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = training.write_target(CASES["lj_noise"], ("A", "A"), seed, folder)
        targets.append(path.read_text())
    assert targets[0] == targets[1] != targets[2]


# ---- judging -------------------------------------------------------------------------------------

LOG = """systems: lj (T = 1)
note: the file does not say its number of atoms
iteration        loss     rdf mse     ess  MD steps  steps/s  pressure
        1       13.08     0.00401      25      2000      221  1.671
  note: The step was taken back.
        2       3.925    0.000503      61      3470      225  1.446, 2.1
  note: The loss rose from 1 to 3, so that the step was undone.
  note: The pieces are short.
chi squared of the residual: 9.07; uncertainty of the potential: 0.025 (rms where g > 0.1)
note: There is more than noise in the residual.
lj: met within noise: rdf A-A; not met: pressure
done in 22 s; the potential is model.pt
status: 0
"""


def test_what_is_said_at_the_end_is_told_from_what_was_said_before():
    said, notes = judging.notes(LOG)
    assert said == (
        "The pieces are short.",
        "There is more than noise in the residual.",
        "lj: met within noise: rdf A-A; not met: pressure",
    )
    assert len(notes) == 6
    assert judging.status_of(LOG) == {"status": 0, "message": ""}


def test_a_failed_command_leaves_its_last_words():
    log = "systems: lj (T = 1)\nError: The box is too small.\nstatus: 1\n"
    assert judging.status_of(log) == {"status": 1, "message": "Error: The box is too small."}


def test_a_training_that_was_stopped_on_its_way_has_not_ended(tmp_path):
    assert not training.has_ended(tmp_path)
    (tmp_path / training.LOG).write_text(LOG.removesuffix("status: 0\n"))
    assert not training.has_ended(tmp_path)
    (tmp_path / training.LOG).write_text(LOG)
    assert training.has_ended(tmp_path)


def learned(*added):
    """A run that learned Lennard-Jones, and for each pair a constant beside it."""
    fluid = replace(FLUIDS["trimers" if len(added) == 3 else "lj"], file=FLUIDS["lj"].file)
    constants = dict(zip(pairs_of(len(fluid.species)), added, strict=True))

    def energies(r, a, b):
        return fluid.truth(r, a, b) + constants[a, b]

    return SimpleNamespace(energies=energies), case_of(fluid)


def case_of(fluid, **keys):
    """A case of a fluid that is not in the list."""
    return SimpleNamespace(fluid=fluid, **{"shift": 0.0, **keys})


def test_errors_are_those_of_all_pairs():
    run, case = learned(0.1, 0.2, -0.3)
    errors, well, true_well = judging.compared(run, case)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(np.sqrt((0.01 + 0.04 + 0.09) / 3))
    assert well[0] == pytest.approx(true_well[0] - 0.1)
    assert well[1] == true_well[1] == pytest.approx(2 ** (1 / 6), abs=2e-3)


def test_a_shifted_curve_is_judged_as_larger_atoms():
    run, case = learned(0.0)
    larger = SimpleNamespace(energies=lambda r, a, b: run.energies(r - 0.01, a, b))
    errors, _, _ = judging.compared(larger, case_of(case.fluid, shift=0.01))
    np.testing.assert_allclose(errors, 0.0, atol=1e-12)
    errors, _, _ = judging.compared(larger, case)
    assert np.abs(errors).max() > 0.2


def test_a_wrong_state_is_judged_by_what_was_said_of_it():
    said = plausibility.of_this_state("lj", 0.033, 0.0054, 0.004)
    other = "The targets do not determine the pressure of system 'lj' to better than 0.1."
    assert judging.said_of_the_state(CASES["lj_dense"], [other, said]) == pytest.approx(0.066)
    assert judging.said_of_the_state(CASES["lj_warm"], [said]) == pytest.approx(0.027)
    assert judging.said_of_the_state(CASES["lj"], [said]) == 0.0
    assert judging.said_of_the_state(CASES["lj_dense"], [other]) == 0.0
    # it is no word on the result otherwise
    row = "  1  0.5  1e-4  25  2000  1000  0.5"
    assert judging.notes("\n".join([row, "note: " + said, "note: " + other, "status: 0"]))[0] == (
        other,
    )


def test_potentials_are_compared_where_there_are_pairs():
    target = RDF(R, CURVE.g, ("A", "A"))
    r = judging.seen(target, 2.5)
    assert (r[0], r[-1]) == (pytest.approx(0.91), 2.5)


def test_a_result_is_read_as_it_was_written(tmp_path):
    path = tmp_path / training.RESULT
    result = Result("lj", 2, 0, rms=0.02, uncertainty=0.01, well=(0.9, 1.1), said=("A word.",))
    path.write_text(judging.json.dumps(asdict(result)))
    assert judging.read_result(path) == result
    assert result.ratio == pytest.approx(2.0)
    assert replace(result, uncertainty=None).ratio is None


# ---- the table -----------------------------------------------------------------------------------

GOOD = Result(
    "lj",
    1,
    0,
    rms=0.004,
    uncertainty=0.005,
    first_loss=10.0,
    last_loss=1.0,
    first_mse=1e-3,
    last_mse=3e-5,
    noise=3e-5,
    md_steps=20_000,
)


def test_a_row_has_the_mean_and_the_worst():
    runs = [GOOD, replace(GOOD, seed=2, rms=0.006, said=("A word.",))]
    head, _, row = table.table(runs)
    cells = dict(zip(head.split("|"), row.split("|"), strict=True))
    assert cells[" rms error "] == " 0.0050 (0.0060) "
    assert cells[" said "] == " 1 of 2 "
    assert cells[" pressure off by "] == "  "  # unknown
    assert table.cell([-3.0, 1.0], "{:+.1f}") == "-1.0 (-3.0)"


def test_cases_are_in_the_order_of_the_registry():
    runs = [replace(GOOD, case="melt"), GOOD]
    assert [case.name for case, _ in table.by_case(runs)] == ["lj", "melt"]


def test_the_summary_names_who_does_not_keep_the_promises():
    silent = replace(GOOD, case="lj_noise", rms=0.02)
    worse = replace(GOOD, case="dimers", last_mse=1.1e-3, said=("A word.",), rms=0.02)
    broken = Result("six", 1, 1, message="Error: no memory")
    flat = replace(GOOD, case="triple", well=(0.80, 1.1), true_well=(1.0, 1.1))
    missed = replace(GOOD, case="mw", rms=None, pressure=500.0, pressure_error=30.0)
    lines = table.summary([GOOD, silent, worse, broken, flat, missed])
    square = np.sqrt(np.mean(np.array([0.8, 4.0, 4.0, 0.8]) ** 2))
    assert f"4 runs: {square:.2f}" in lines[0]
    assert "not met" in lines[0]
    rest = dict(line.split(": ", 1) for line in lines[1:])
    assert rest["Beyond 3 times the claim without a word"] == "lj_noise seed 1 (4.0)"
    assert rest["Worse at the end than at the beginning"] == "dimers seed 1 (0.001 -> 0.0011)"
    assert rest["Failed"] == "six seed 1: Error: no memory"
    assert rest["Well deeper or shallower than the goal"] == "triple seed 1 (-20.0%, goal 10%)"
    assert "mw seed 1 (+500)" in rest["Pressure, a target, missed by more than 3 errors"]


def test_what_is_worse_at_the_end():
    assert table.is_worse(replace(GOOD, last_mse=None))
    assert not table.is_worse(GOOD)
    # a start that is as good as the noise cannot be beaten
    assert not table.is_worse(replace(GOOD, first_mse=2e-5))
    assert table.is_worse(replace(GOOD, first_mse=2e-5, last_mse=7e-5))
    assert not table.is_worse(Result("lj", 1, 1))


def test_sentences_that_differ_in_numbers_are_listed_once():
    said = replace(GOOD, said=("P is 0.2 at -1e-3.", "A word."))
    again = replace(GOOD, seed=2, said=("P is 3 at 2.5.",))
    title = CASES["lj"].title
    assert table.words([said, again]) == [
        f"- {title}: P is 0.2 at -1e-3. (2 times)",
        f"- {title}: A word.",
    ]
