"""The C2 cubic spline in s = r^2, its transpose, its basis, and the knots file."""

from __future__ import annotations

import re

import numpy as np
import pytest

from diffsim import _core

INNER, CUTOFF = 0.8, 2.5


def grid(knots, inner=INNER, cutoff=CUTOFF):
    s = np.linspace(inner**2, cutoff**2, knots)
    return s, np.sqrt(s)


def spline(values, r, inner=INNER, cutoff=CUTOFF):
    """Value at distances r of the spline through values at the knots."""
    c = _core.spline_coefficients(values[None, :])[0]
    return _core.spline_basis(r, inner, cutoff, len(values)) @ c


@pytest.mark.parametrize("knots", [6, 7, 8, 33, 500])
def test_spline_goes_through_its_values(knots):
    u = np.random.default_rng(knots).normal(size=(3, knots))
    c = _core.spline_coefficients(u)
    assert c.shape == (3, knots + 2)
    # the three B-splines that are not zero at a knot are 1/6, 2/3, 1/6 there
    at_knots = (c[:, :-2] + 4.0 * c[:, 1:-1] + c[:, 2:]) / 6.0
    np.testing.assert_allclose(at_knots, u, rtol=0, atol=1e-14)
    # and so they are in the basis, whose place in an interval is known to 1e-16 of the whole grid
    _, r = grid(knots)
    np.testing.assert_allclose(spline(u[0], r[:-1]), u[0, :-1], rtol=0, atol=1e-13 * knots)


@pytest.mark.parametrize("knots", [6, 7, 40])
def test_cubics_in_s_are_reproduced_exactly(knots):
    s_knots, _ = grid(knots)
    r = np.linspace(INNER, CUTOFF - 1e-9, 1001)

    def cubic(s):
        return 2.0 - 3.0 * s + 0.7 * s**2 - 0.11 * s**3

    np.testing.assert_allclose(spline(cubic(s_knots), r), cubic(r**2), rtol=0, atol=2e-13)
    # and a quartic is not: the statement above is not that of an interpolation of higher order
    assert np.abs(spline(s_knots**4, r) - r**8).max() > 1e-6


@pytest.mark.parametrize("knots", [6, 7, 8, 100])
def test_transpose_is_the_adjoint(knots):
    rng = np.random.default_rng(knots)
    u, dc = rng.normal(size=(4, knots)), rng.normal(size=(4, knots + 2))
    du = _core.spline_coefficients_transpose(dc)
    assert du.shape == u.shape
    left = (_core.spline_coefficients(u) * dc).sum(1)
    np.testing.assert_allclose(left, (u * du).sum(1), rtol=1e-12, atol=1e-12)


def test_matrix_of_the_transpose_is_the_transposed_matrix():
    knots = 9
    matrix = _core.spline_coefficients(np.eye(knots))  # row k: coefficients of the k-th unit vector
    transposed = _core.spline_coefficients_transpose(np.eye(knots + 2))
    np.testing.assert_allclose(transposed, matrix.T, rtol=0, atol=1e-14)


def test_two_derivatives_are_continuous_at_the_knots():
    knots = 12
    s, _ = grid(knots)
    h = s[1] - s[0]
    u = np.random.default_rng(0).normal(size=knots)
    jumps = np.zeros((4, knots - 2))
    for k in range(1, knots - 1):
        # the cubic of each side from four of its points, as coefficients in (s - s_k)/h
        sides = []
        for t in (np.array([-0.9, -0.6, -0.3, -0.1]), np.array([0.1, 0.3, 0.6, 0.9])):
            sides.append(
                np.linalg.solve(np.vander(t, 4, increasing=True), spline(u, np.sqrt(s[k] + t * h)))
            )
        jumps[:, k - 1] = sides[1] - sides[0]
    np.testing.assert_allclose(jumps[:3], 0.0, atol=1e-11)
    # the third derivative jumps everywhere but next to the ends ("not a knot")
    assert np.abs(jumps[3, 1:-1]).min() > 1e-3
    np.testing.assert_allclose(jumps[3, [0, -1]], 0.0, atol=1e-10)


def test_order_of_convergence_is_four():
    def lj(r):
        return 4.0 * (r**-12.0 - r**-6.0)

    r = np.linspace(INNER, CUTOFF - 1e-9, 20011)
    errors = [np.abs(spline(lj(grid(k)[1]), r) - lj(r)).max() for k in (801, 1601, 3201)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 4.0, atol=0.15)


def test_basis_is_a_partition_of_unity_with_four_members():
    r = np.linspace(INNER, CUTOFF - 1e-9, 777)
    basis = _core.spline_basis(r, INNER, CUTOFF, 20)
    assert basis.shape == (777, 22)
    np.testing.assert_allclose(basis.sum(1), 1.0, rtol=0, atol=1e-15)
    assert (basis >= 0.0).all()
    assert ((basis > 0.0).sum(1) <= 4).all()
    # at a knot in the middle the three B-splines around it are 1/6, 2/3, 1/6
    _, knots = grid(20)
    np.testing.assert_allclose(
        _core.spline_basis(knots[7:8], INNER, CUTOFF, 20)[0, 7:10],
        [1 / 6, 2 / 3, 1 / 6],
        atol=1e-12,
    )


def test_basis_is_zero_from_the_cutoff_on():
    basis = _core.spline_basis(np.array([CUTOFF, CUTOFF + 1e-12, 3.0, 1e6]), INNER, CUTOFF, 20)
    np.testing.assert_array_equal(basis, 0.0)


def test_below_the_innermost_knot_the_spline_is_linear_in_s():
    knots = 50
    s, r_knots = grid(knots)
    u = r_knots**-12.0
    below = np.array([0.0, 0.1, 0.3, 0.5, 0.7, INNER])
    values = spline(u, below)
    slope = (values[-1] - values[0]) / s[0]
    np.testing.assert_allclose(values, values[0] + slope * below**2, rtol=1e-13)
    # with the value and the slope that the spline has at the knot
    assert values[-1] == pytest.approx(u[0], rel=1e-13)
    step = 1e-6
    inside = (spline(u, np.sqrt(s[:1] + step)) - u[0]) / step
    assert slope == pytest.approx(float(inside[0]), rel=1e-4)
    assert slope < 0.0


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (_core.spline_coefficients, np.zeros((1, 5))),
        (_core.spline_coefficients_transpose, np.zeros((1, 7))),
        (_core.spline_coefficients, np.zeros(20)),
        (lambda r: _core.spline_basis(r, INNER, CUTOFF, 5), np.ones(1)),
    ],
)
def test_too_few_knots_are_refused(call, argument):
    with pytest.raises(ValueError, match=r"needs at least 6 knots, found -?\d"):
        call(argument)


# ---- the knots file ----


def some_knots():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(3, 7)) * 10.0 ** rng.integers(-300, 300, size=(3, 7))
    return _core.Knots("metal", ["Cu", "Zn"], 2.5 / 3.0, [0.1, 1.0 / 7.0, 0.2], values)


def test_knots_file_round_trip_to_the_last_bit(tmp_path):
    knots, path = some_knots(), str(tmp_path / "a.knots")
    knots.write(path)
    read = _core.Knots.read(path)
    assert (read.units, read.species, read.cutoff) == ("metal", ["Cu", "Zn"], 2.5 / 3.0)
    assert read.inner == [0.1, 1.0 / 7.0, 0.2]
    np.testing.assert_array_equal(read.values, knots.values)
    read.write(str(tmp_path / "b.knots"))
    assert (tmp_path / "a.knots").read_text() == (tmp_path / "b.knots").read_text()


def test_knots_file_takes_comments_and_empty_lines(tmp_path):
    knots, path = some_knots(), tmp_path / "a.knots"
    knots.write(str(path))
    lines = path.read_text().splitlines()
    path.write_text("# made by a test\r\n\n" + "\n  # more\n".join(lines) + "\r\n")
    np.testing.assert_array_equal(_core.Knots.read(str(path)).values, knots.values)


def numbered(path):
    return path.read_text().splitlines()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("diffsim-knots 1", "diffsim-knots 2", "diffsim-knots"),
        ("diffsim-knots 1", "something else", "diffsim-knots"),
        ("units metal", "unit metal", "'units'"),
        ("cutoff 0.8", "cutoff -0.8", "'cutoff'"),
        ("cutoff 0.8", "cutoff nan", "'cutoff'"),
        ("knots 7", "knots 5", "'knots'"),
        ("knots 7", "knots many", "'knots'"),
        ("knots 7", "knots 99999999", "'knots'"),
        ("species Cu Zn", "species", "'species'"),
        ("pair Cu Zn", "pair Zn Cu", "pair Cu Zn"),
        ("pair Cu Zn inner 0.1", "pair Cu Zn inner 3", "pair Cu Zn"),
    ],
)
def test_knots_file_errors_name_the_line(tmp_path, old, new, expected):
    path = tmp_path / "a.knots"
    some_knots().write(str(path))
    lines = numbered(path)
    number = next(i for i, line in enumerate(lines) if line.startswith(old))
    lines[number] = new
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(_core.PotentialError) as error:
        _core.Knots.read(str(path))
    assert f"{path}, line {number + 1}: expected" in str(error.value)
    assert expected in str(error.value)
    assert f"found '{new}'" in str(error.value)


@pytest.mark.parametrize("energy", ["nan", "inf", "many", ""])
def test_knots_file_with_a_bad_energy(tmp_path, energy):
    path = tmp_path / "a.knots"
    some_knots().write(str(path))
    lines = numbered(path)
    number = next(i for i, line in enumerate(lines) if line.startswith("pair Cu Zn")) + 3
    lines[number] = lines[number].split()[0] + " " + energy
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(_core.PotentialError, match=rf"line {number + 1}: .*a finite energy"):
        _core.Knots.read(str(path))


def test_knots_file_with_a_distance_off_the_grid(tmp_path):
    path = tmp_path / "a.knots"
    some_knots().write(str(path))
    lines = numbered(path)
    number = next(i for i, line in enumerate(lines) if line.startswith("pair Zn Zn")) + 2
    r, u = lines[number].split()
    lines[number] = f"{float(r) * 1.0001!r} {u}"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(_core.PotentialError, match=rf"line {number + 1}: .*on the grid"):
        _core.Knots.read(str(path))


def test_truncated_knots_file(tmp_path):
    path = tmp_path / "a.knots"
    some_knots().write(str(path))
    lines = numbered(path)
    path.write_text("\n".join(lines[:-2]) + "\n")
    with pytest.raises(_core.PotentialError, match="found 'the end of the file'") as error:
        _core.Knots.read(str(path))
    assert re.search(rf"line {len(lines) - 2}: expected a distance", str(error.value))


def test_missing_knots_file(tmp_path):
    with pytest.raises(_core.PotentialError, match=r"nowhere\.knots cannot be opened"):
        _core.Knots.read(str(tmp_path / "nowhere.knots"))


def test_knots_with_wrong_shapes_are_refused():
    for inner, shape in (([0.5], (1, 8)), ([0.5] * 3, (2, 8)), ([0.5] * 2, (3, 8))):
        with pytest.raises(ValueError, match="one distance per species pair"):
            _core.Knots("lj", ["A", "B"], 2.5, inner, np.zeros(shape))


# ---- the range of a pair ----


def lennard_jones_to(end, shifted):
    """Lennard-Jones that is exactly zero from a distance on, with or without a step there."""

    def model(r, a, b):
        def formula(r):
            return 4.0 * (r**-12.0 - r**-6.0)

        u = formula(r) - (formula(end) if shifted else 0.0)
        return np.where(r < end, u, 0.0), np.where(r < end, -48 * r**-13.0 + 24 * r**-7.0, 0.0)

    return model


def smooth(r, a, b):
    """A wall times (1 - r/cutoff)^12, which is zero by underflow of its factor near the cutoff."""
    x = np.maximum(1.0 - r / CUTOFF, 0.0) ** 12
    x = np.where(x < 1e-60, 0.0, x)
    return x * r**-12.0, np.zeros_like(r)


@pytest.mark.parametrize(
    ("model", "outer"),
    [
        (lennard_jones_to(CUTOFF, shifted=True), CUTOFF),
        (lennard_jones_to(CUTOFF, shifted=False), np.nextafter(CUTOFF, 0.0)),
        (lennard_jones_to(2.0, shifted=False), np.nextafter(2.0, 0.0)),
        (smooth, CUTOFF),
        (lambda r, a, b: (0.0 * r, 0.0 * r), CUTOFF),
    ],
    ids=["to zero", "a step", "a step before the cutoff", "smooth", "nothing"],
)
def test_a_pair_ends_where_its_energy_does(model, outer):
    """A step is left out by at most one bit of the distance: its last value is at the last knot."""
    ((inner, found),) = _core.pair_ranges(model, ["A"], CUTOFF, "lj")
    assert found == outer
    assert 0.0 < inner < 1.0


def test_a_force_that_ends_with_a_step_before_the_cutoff():
    model = lennard_jones_to(2.0, shifted=True)
    ranges = _core.pair_ranges(model, ["A"], CUTOFF, "lj")
    assert ranges[0][1] == pytest.approx(2.0, abs=1e-12)
    _, error = _core.tabulate(model, ["A"], CUTOFF, "lj", ranges, 1e-5)
    assert max(error.energy, error.force) <= 1e-5
    # with knots up to the cutoff, the step lies between two of them
    with pytest.raises(_core.PotentialError, match="deviates from the model"):
        _core.tabulate(model, ["A"], CUTOFF, "lj", [(ranges[0][0], CUTOFF)], 1e-5)


def test_a_wall_that_falls_to_zero_at_once_is_no_potential():
    def step(r, a, b):
        return np.where(r < 1.0, 1e6, 0.0), np.zeros_like(r)

    with pytest.raises(_core.PotentialError, match="falls from a wall to zero at distance 1"):
        _core.pair_ranges(step, ["A"], CUTOFF, "lj")
