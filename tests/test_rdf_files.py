"""Files of g(r) as people have them: what is mended and said, what is refused with which words."""

from __future__ import annotations

import numpy as np
import pytest

from diffsim.config.targets import TargetConfig
from diffsim.errors import InputError
from diffsim.targets import MSD, RDF
from diffsim.targets.rdf_curve import settles_at, without_floor

PAIR = ("A", "A")
R = 0.05 * (0.5 + np.arange(80))


def liquid(r=R):
    """A g(r) with a steep wall, a peak of 2 at 1.1 and oscillations that decay."""
    wall = np.exp(-np.minimum((0.95 / r) ** 12, 700.0))
    outside = np.maximum(r, 1.0)
    return wall * (1.0 + 2.0 * np.exp(-2.2 * (outside - 1.0)) * np.cos(6.6 * (outside - 1.1)))


def file(path, columns, separator=" ", decimal=".", flags=None):
    table = np.array(columns).T
    rows = [[f"{value:.8g}".replace(".", decimal) for value in row] for row in table]
    if flags:
        rows = [[*row, flag] for row, flag in zip(rows, flags, strict=True)]
    path.write_text("\n".join(separator.join(row) for row in rows) + "\n")
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "g.dat"


@pytest.mark.parametrize("separator", [";", " ", "\t"])
def test_decimal_commas(path, separator):
    target = RDF.from_file(file(path, [R, liquid()], separator, ","), PAIR)
    np.testing.assert_allclose(target.r, R, rtol=1e-7)
    np.testing.assert_allclose(target.g, liquid(), rtol=1e-7)


def test_rows_in_place_of_columns(path):
    rows = np.array([R, liquid()])
    target = RDF.from_file(file(path, rows.T), PAIR)
    np.testing.assert_allclose(target.g, liquid(), rtol=1e-7)


def test_flags_of_votca(path):
    flags = ["o"] * 3 + ["i"] * 76 + ["u"]
    target = RDF.from_file(file(path, [R, liquid()], flags=flags), PAIR)
    np.testing.assert_allclose(target.r, R[3:-1], rtol=1e-7)


def test_blocks_of_fix_ave_time(path):
    """LAMMPS's own file of compute rdf: it says what to do."""
    path.write_text(
        "# Time-averaged data for fix 1\n# TimeStep Number-of-rows\n# Row c_1[1] c_1[2] c_1[3]\n"
        "1000 3\n1 0.05 0 0\n2 0.15 0.5 0.1\n3 0.25 1.0 0.4\n"
    )
    with pytest.raises(InputError, match=r"fix ave/time \.\.\. mode vector.*'columns: \[2, 3\]'"):
        RDF.from_file(path, ("A", "A"))
    path.write_text("1 0.05 0 0\n2 0.15 0.5 0.1\n3 0.25 1.0 0.4\n")
    assert RDF.from_file(path, ("A", "A"), columns=[2, 3]).g.tolist() == [0.0, 0.5, 1.0]


def test_one_of_several_columns(path):
    file(path, [R, np.zeros(80), liquid(), 0.01 * liquid()])
    with pytest.raises(InputError, match="but 4 were found"):
        RDF.from_file(path, PAIR)
    target = RDF.from_file(path, PAIR, columns=[1, 3])
    np.testing.assert_allclose(target.g, liquid(), rtol=1e-7)
    keys = {"rdf": path, "pair": PAIR, "columns": [1, 3, 4]}
    np.testing.assert_allclose(
        TargetConfig.model_validate(keys).load().errors, 0.01 * liquid(), rtol=1e-7
    )
    for wrong in ([1, 5], [0, 1], [1]):
        with pytest.raises(InputError, match=r"from 1 to the 4 that the file has"):
            RDF.from_file(path, PAIR, columns=wrong)


@pytest.mark.parametrize(
    ("third", "words"),
    [
        (1.0 - np.exp(-2.0 * R), "another g"),
        (np.cumsum(R**2 * liquid()), "coordination number"),
        (0.8 * liquid() * (1.0 + 0.1 * np.cos(9 * R)), "half of g|another g"),
    ],
)
def test_a_third_column_that_is_no_error(path, third, words):
    with pytest.raises(InputError, match=rf"third column .*({words}).*columns: \[1, 2\]"):
        RDF.from_file(file(path, [R, liquid(), third]), PAIR)
    assert RDF.from_file(path, PAIR, columns=[1, 2]).error is None


@pytest.mark.parametrize("error", [0.03 * np.ones(80), 0.05 * liquid() + 1e-3, R / 100])
def test_errors_that_are_some(path, error):
    np.testing.assert_allclose(
        RDF.from_file(file(path, [R, liquid(), error]), PAIR).error, error, rtol=1e-7
    )


def test_points_of_a_digitised_curve(path):
    order = np.arange(80)
    order[[30, 31, 50, 51]] = [31, 30, 51, 50]
    r, g = R[order], liquid()[order]
    r = np.append(r, R[-1])  # a point that was clicked twice
    g = np.append(g, 0.9)
    target = RDF.from_file(file(path, [r, g]), PAIR)
    np.testing.assert_allclose(target.r, R, rtol=1e-7)
    np.testing.assert_allclose(target.g[:-1], liquid()[:-1], rtol=1e-7)
    assert target.g[-1] == pytest.approx(0.5 * (0.9 + liquid()[-1]))
    assert "2 points out of order" in target.notes[0] and "1 at the distance" in target.notes[0]


def test_two_curves_in_one_file(path):
    twice = [np.concatenate([each, each]) for each in (R, liquid())]
    with pytest.raises(InputError, match="keep one curve only"):
        RDF.from_file(file(path, twice), PAIR)


@pytest.mark.parametrize(
    "floor", [0.004, -1e-7, 0.004 * np.cos(17.0 * R)], ids=["floor", "rounding", "ripples"]
)
def test_a_floor_inside_of_the_core_is_zero(path, floor):
    inside = R < 0.7
    target = RDF.from_file(file(path, [R, liquid() + floor * inside]), PAIR)
    assert np.all(target.g[inside] == 0.0)
    np.testing.assert_allclose(target.g[~inside], liquid()[~inside], rtol=1e-7)
    assert len(target.notes) == 1 and "inside of the core" in target.notes[0]


def test_what_is_no_floor():
    for g in (liquid(), np.exp(-4.0 * np.exp(-(R**2)))):  # a soft particle: g(0) = 0.02
        np.testing.assert_array_equal(without_floor(R, g)[0], g)
    smooth = np.exp(-6.0 * np.exp(-(R**2)))  # g(0) = 0.0025
    np.testing.assert_array_equal(without_floor(R, smooth)[0], smooth)


def test_a_large_negative_value_is_still_refused(path):
    with pytest.raises(InputError, match="negative"):
        RDF.from_file(file(path, [R, liquid() - 0.05 * (R < 0.7)]), PAIR)


def test_the_range_comes_before_the_checks(path):
    g = liquid()
    g[-1] = np.nan
    g[0] = -3.0
    target = RDF.from_file(file(path, [R, g]), PAIR, range=(0.05, 3.9))
    np.testing.assert_allclose(target.g, liquid()[1:-2], rtol=1e-7)


def test_a_structure_factor_is_no_distribution_function(path):
    q = 0.03 + 0.1 * np.arange(200)
    s = 0.05 + 0.95 / (1 + np.exp(-(q - 6.0) / 0.4)) + 1.5 * np.exp(-(((q - 7.0) / 0.5) ** 2))
    with pytest.raises(InputError, match=r"structure factor S\(q\)"):
        RDF.from_file(file(path, [q, s]), PAIR)


@pytest.mark.parametrize("factor", [0.97, 1.0, 1.03])
def test_what_a_tail_settles_at(path, factor):
    end = settles_at(R, factor * liquid())
    assert end is None if factor == 1.0 else end == pytest.approx(factor, abs=0.012)
    notes = RDF.from_file(file(path, [R, factor * liquid()]), PAIR).notes
    assert bool(notes) == (factor != 1.0)
    assert settles_at(R[:40], 0.97 * liquid()[:40]) is None  # too short to tell


def test_curves_of_time_are_read_alike(path):
    t = 0.1 * np.arange(1, 9)
    np.testing.assert_allclose(
        MSD.from_file(file(path, [t, t**2], ";", ","), "A").value, t**2, rtol=1e-7
    )
