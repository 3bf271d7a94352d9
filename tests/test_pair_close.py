"""pair_style diffsim and pairs closer than the innermost knot of their potential."""

from __future__ import annotations

import re

import numpy as np
import pytest

from conftest import (
    CUTOFF,
    EPSILON,
    NO_BOND_FORCES,
    SIGMA,
    Configuration,
    core,
    diffsim,
    error_line,
    fluid,
    lj_energy,
    pair_tables,
    run_script,
    single_point,
)
from diffsim import _core

WALL = 0.9  # innermost knot of the potential of one species
WALLS = (0.9, 0.8, 0.7)  # of the pairs A-A, A-B, B-B of two species


def write_knots(path, species, inner):
    """Lennard-Jones (eps = sigma = 1 for all pairs) of 40 knots from the given distances on."""
    values = []
    for r in inner:
        values.append(lj_energy(np.sqrt(np.linspace(r**2, CUTOFF**2, 40))))
        values[-1][-1] = 0.0
    _core.Knots("lj", species, CUTOFF, list(inner), np.array(values)).write(str(path))


@pytest.fixture
def soft_knots(tmp_path):
    """A potential of 40 knots from r = 0.9 on, as a file."""
    write_knots(tmp_path / "soft.knots", ["A"], [WALL])
    return "pair_style diffsim\npair_coeff * * soft.knots A\n"


def stopping(close="stop", names="A B"):
    return f"pair_style diffsim close {close}\npair_coeff * * soft2.knots {names}\n"


@pytest.fixture
def soft2(tmp_path):
    write_knots(tmp_path / "soft2.knots", ["A", "B"], WALLS)


def at_rest(x, types=None):
    types = np.ones(len(x), int) if types is None else np.array(types)
    return Configuration(10.0 * np.eye(3), np.array(x, dtype=float), types)


each_ranks = pytest.mark.parametrize("ranks", [1, 2])
each_newton = pytest.mark.parametrize("newton", ["on", "off"])

# ---- close wall: the energy goes on, the pairs are counted ----


@each_ranks
@each_newton
@pytest.mark.parametrize("style", ["diffsim", "diffsim close wall"])
def test_too_close_pairs_are_counted(style, newton, ranks, soft_knots, run_lammps, tmp_path):
    # three close pairs, one inside the left half of the box, one inside the right half, and one
    # across its periodic border; a fourth pair is just not too close
    x = [[2, 2, 2], [2, 2.5, 2], [7, 7, 7], [7, 7, 7.8], [0.1, 5, 8], [9.5, 5, 8]]
    x += [[2, 8, 5], [2, 8, 5 + 1.0001 * WALL]]
    at_rest(x).write(tmp_path / "start.data")
    result = run_lammps(
        core(newton=newton, processors="* 1 1")
        + soft_knots.replace("diffsim", style)
        + "run 0\nrun 0\n",
        ranks=ranks,
    )
    warnings = re.findall(
        r"WARNING: Pair style diffsim: (\d+) times .* closer than the innermost", result.log
    )
    # each run counts its own
    assert warnings == ["3", "3"]


def test_too_close_pairs_are_counted_in_each_step(soft_knots, run_lammps, tmp_path):
    # without an integrator the atoms stay; steps 0 to 20, with and without energies
    at_rest([[2, 2, 2], [2, 2.5, 2], [7, 7, 7]]).write(tmp_path / "start.data")
    result = run_lammps(core() + soft_knots + "thermo 10\nrun 20\n")
    assert re.search(r"diffsim: 21 times .* closer than the innermost", result.log)


def test_each_pair_of_types_has_its_own_wall(soft2, run_lammps, tmp_path):
    # 0.85 is too close for A-A only, 0.75 also for A-B, 0.65 for all
    pairs = [(0.85, 1, 1), (0.85, 1, 2), (0.75, 2, 1), (0.75, 2, 2), (0.65, 2, 2)]
    x, types = [], []
    for k, (r, *kinds) in enumerate(pairs):
        x += [[1, 1, 1 + 1.8 * k], [1 + r, 1, 1 + 1.8 * k]]
        types += kinds
    at_rest(x, types).write(tmp_path / "start.data")
    # the rows interact, but none of them with another row at less than 1.8
    result = run_lammps(core() + stopping("wall") + "run 0\n")
    assert re.search(r"diffsim: 3 times .* closer than the innermost", result.log)


def test_no_warning_without_too_close_pairs(soft_knots, run_lammps, tmp_path):
    configuration = fluid(cells=3, density=0.5)
    assert configuration.pairs(CUTOFF)[0].min() > WALL
    configuration.write(tmp_path / "start.data")
    result = run_lammps(core() + soft_knots + "run 0\n")
    assert "innermost" not in result.log


def test_force_is_continuous_at_the_innermost_knot(soft_knots, run_lammps, tmp_path):
    at_rest([[1.0, 1, 1], [1, 1, 4]]).write(tmp_path / "start.data")
    d = 1e-7
    script = core() + soft_knots
    for inner, outer in ((WALL - 2 * d, WALL + 2 * d), (0.01, WALL)):
        script += f"pair_write 1 1 5 r {inner!r} {outer!r} table.txt N{inner:.2f}\n"
    run_lammps(script)
    near, far = pair_tables(tmp_path / "table.txt").values()
    r, u, f = near
    assert r[2] == pytest.approx(WALL, abs=1e-12)
    # over 4e-7 of distance, energy and force change by no more than their slopes allow
    assert f[0] > 30.0
    np.testing.assert_allclose(f, f[2], rtol=1e-5)
    np.testing.assert_allclose(u, u[2] - (r - WALL) * f[2], atol=1e-10)
    # below: linear in r^2, so the force is proportional to r
    r, u, f = far
    np.testing.assert_allclose(f / r, f[-1] / WALL, rtol=1e-6)
    np.testing.assert_allclose(u, u[-1] + f[-1] / (2 * WALL) * (WALL**2 - r**2), rtol=1e-6)


@each_newton
def test_forces_below_the_innermost_knot_are_those_of_single(newton, soft2, run_lammps, tmp_path):
    # pair_write asks for single pairs, the run for the sums over the neighbour list
    at_rest([[2.0, 2, 2], [2.5, 2, 2], [2, 7, 2], [2, 7, 2.6]], [1, 1, 1, 2]).write(
        tmp_path / "start.data"
    )
    result = run_lammps(
        core(newton=newton)
        + stopping("wall")
        + single_point("here")
        + "pair_write 1 1 2 r 0.5 1.0 table.txt AA\npair_write 1 2 2 r 0.6 1.0 table.txt AB\n"
    )
    tables = pair_tables(tmp_path / "table.txt")
    (r_aa, u_aa, f_aa), (r_ab, u_ab, f_ab) = tables["AA"][:, 0], tables["AB"][:, 0]
    assert (r_aa, r_ab) == pytest.approx((0.5, 0.6))
    (atoms,) = result.dump("here.dump")
    np.testing.assert_allclose(atoms["fx"], [-f_aa, f_aa, 0, 0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(atoms["fz"], [0, 0, -f_ab, f_ab], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(atoms["c_e"], [u_aa / 2, u_aa / 2, u_ab / 2, u_ab / 2], rtol=1e-9)


def test_coinciding_atoms_do_no_harm(soft_knots, run_lammps, tmp_path):
    at_rest([[2.0, 2, 2], [2, 2, 2], [5, 5, 5]]).write(tmp_path / "start.data")
    result = run_lammps(core() + soft_knots + single_point("here"))
    assert np.isfinite(result.values["here"]).all()
    assert result.values["here"][0] > 1.0
    (atoms,) = result.dump("here.dump")
    for column in ("fx", "fy", "fz"):
        np.testing.assert_array_equal(atoms[column], 0.0)


# ---- close stop ----


def stopped(result):
    """What the error says: (step, two IDs with their types, distance, innermost distance)."""
    assert result.returncode > 0, result.log[-1000:]
    assert "Loop time" not in result.log.rpartition("=====")[2]
    line = re.sub(r" \(\S+:\d+\)$", "", error_line(result))  # LAMMPS adds the place in the sources
    assert re.match(r"ERROR( on proc \d+)?: Pair style diffsim: ", line), line
    step = re.search(r"\bstep (\d+)", line)
    atoms = re.search(r"\batoms (\d+) and (\d+)", line)
    types = re.search(r"\btypes (\d+) and (\d+)", line)
    distances = [float(d) for d in re.findall(r"\b\d+\.\d+(?:e[-+]\d+)?\b", line)]
    assert step, line
    assert atoms, line
    assert types, line
    assert len(distances) == 2, line
    kinds = dict(zip(map(int, atoms.groups()), map(int, types.groups()), strict=True))
    return int(step[1]), kinds, *distances


@each_ranks
@each_newton
def test_stop_names_the_pair(newton, ranks, soft2, run_lammps, tmp_path):
    # 5 and 2 are too close for A-B, across the periodic border; 1 and 3 are not for B-B
    x = [[7.0, 7, 7], [0.25, 5, 8], [7, 7, 7.78], [3, 3, 3], [9.5, 5, 8]]
    at_rest(x, [2, 1, 2, 1, 2]).write(tmp_path / "start.data")
    result = run_lammps(
        core(newton=newton, processors="* 1 1") + "reset_timestep 137\n" + stopping() + "run 5\n",
        ranks=ranks,
        check=False,
    )
    step, atoms, distance, innermost = stopped(result)
    assert step == 137
    assert atoms == {5: 2, 2: 1}
    assert distance == pytest.approx(0.75, rel=1e-5)
    assert innermost == pytest.approx(0.8, rel=1e-5)


@each_ranks
def test_stop_at_the_first_step_that_is_too_close(ranks, soft2, run_lammps, tmp_path):
    at_rest([[4.0, 5, 5], [6, 5, 5], [1, 1, 1]], [1, 1, 2]).write(tmp_path / "start.data")
    collision = """
reset_timestep 1000
timestep 0.001
set atom 1 vx 6.0
set atom 2 vx -6.0
fix move all nve
variable d equal abs(x[1]-x[2])
thermo_style custom step v_d
thermo_modify format float %.12g
thermo {every}
run 150
unfix move
print "====="
"""
    start = "atom_modify map yes\n" + core(processors="* 1 1")
    result = run_lammps(
        start
        + stopping("wall")
        + collision.format(every=1)
        + "clear\n"
        + start
        + stopping()
        # energies and virials are wanted in few steps, and not in that of the collision
        + collision.format(every=97),
        ranks=ranks,
        check=False,
    )
    seen = result.thermo[0]
    first = np.argmax(seen["v_d"] < WALL)
    assert first > 0
    step, atoms, distance, innermost = stopped(result)
    assert step == seen["Step"][first]
    assert (step - 1000) % 97 != 0
    assert atoms == {1: 1, 2: 1}
    assert distance == pytest.approx(seen["v_d"][first], rel=1e-5)
    assert innermost == pytest.approx(WALL, rel=1e-5)


def test_stop_leaves_a_run_without_close_pairs_alone(soft2, run_lammps, tmp_path):
    # one pair at each innermost distance, and a little more
    x, types = [], []
    for k, (r, kinds) in enumerate(zip(WALLS, ((1, 1), (1, 2), (2, 2)), strict=True)):
        x += [[1, 1, 1 + 3 * k], [1 + 1.0001 * r, 1, 1 + 3 * k]]
        types += kinds
    at_rest(x, types).write(tmp_path / "start.data")
    result = run_lammps(
        core() + stopping() + single_point("stop") + stopping("wall") + single_point("wall")
    )
    assert "innermost" not in result.log.split("Last input line")[0].split("Loop time")[-1]
    assert result.values["stop"] == result.values["wall"]


def test_stop_does_not_look_at_pairs_of_other_styles(soft2, run_lammps, tmp_path):
    # type 2 is left to lj/cut, whose pairs are as close as can be
    at_rest([[2.0, 2, 2], [2, 2.3, 2], [7, 7, 7], [7, 7.3, 7]], [1, 2, 2, 2]).write(
        tmp_path / "start.data"
    )
    result = run_lammps(
        core()
        + "pair_style hybrid diffsim close stop lj/cut 2.5\n"
        + "pair_coeff * * diffsim soft2.knots A NULL\npair_coeff * 2 lj/cut 1 1\n"
        + "run 1\n"
    )
    assert "Loop time" in result.log


@each_newton
@pytest.mark.parametrize("close", ["wall", "stop"])
@pytest.mark.parametrize("kspace", [False, True])
def test_pairs_without_weight_may_be_close(kspace, close, newton, soft2, run_lammps, tmp_path):
    """Bonded atoms may be as close as they like where bonded neighbours do not interact.

    They are in the neighbour list all the same if their charges do, or others' in k space.
    """
    configuration = at_rest([[2.0, 2, 2], [2, 2.3, 2], [7, 7, 7], [7, 9, 7]], [1, 1, 2, 2])
    configuration.bonds = [(0, 1)]
    configuration.charges = [1.0, -1.0, 1.0, -1.0] if kspace else []
    configuration.write(tmp_path / "start.data")
    script = core(newton=newton, bonds=NO_BOND_FORCES, charges=kspace)
    if kspace:
        script += (
            f"pair_style hybrid/overlay diffsim close {close} coul/long 2.5\n"
            "pair_coeff * * diffsim soft2.knots A B\npair_coeff * * coul/long\n"
            "kspace_style pppm 1e-3\nspecial_bonds lj/coul 0.0 1.0 1.0\n"
        )
    else:
        script += stopping(close) + "special_bonds lj 0.0 1.0 1.0 coul 0.5 1.0 1.0\n"
    script += "run 0\nprint =====\nspecial_bonds lj 0.5 1.0 1.0\nrun 0\n"
    result = run_lammps(script, check=False)
    without, _, _ = result.log.partition("=====")
    assert "Loop time" in without
    assert int(re.search(r"Total # of neighbors = (\d+)", without)[1]) >= 2
    assert "innermost" not in without
    if close == "stop":
        step, atoms, distance, _ = stopped(result)
        assert (step, atoms) == (0, {1: 1, 2: 1})
        assert distance == pytest.approx(0.3, rel=1e-5)
    else:
        assert re.search(r"diffsim: 1 times .* closer than the innermost", result.log)


def test_stop_where_the_model_itself_is_evaluated(models, run_lammps, tmp_path):
    start = at_rest([[2.0, 2, 2], [2, 2.4, 2], [7, 7, 7], [7, 7, 7.9]], [1, 2, 1, 1])
    start.write(tmp_path / "start.data")
    style, coeff = diffsim(models, 2, evaluation="exact").splitlines()
    script = core() + f"{style} close stop\n{coeff}\nrun 0\n"
    result = run_lammps(script, check=False)
    step, atoms, distance, innermost = stopped(result)
    assert (step, atoms) == (0, {1: 1, 2: 2})
    assert distance == pytest.approx(0.4, rel=1e-5)
    assert lj_energy(innermost, EPSILON[0][1], SIGMA[0][1]) == pytest.approx(1000.0, rel=0.05)


def test_stop_comes_back_with_a_restart_file(soft2, run_lammps, tmp_path):
    at_rest([[2.0, 2, 2], [2, 2.95, 2], [7, 7, 7]], [1, 1, 2]).write(tmp_path / "start.data")
    run_lammps(core() + stopping() + "run 0\nwrite_restart state.restart\n")
    (tmp_path / "soft2.knots").unlink()
    result = run_script(
        tmp_path,
        "read_restart state.restart\nrun 0\nprint =====\nset atom 2 y 2.5\nrun 0\n",
        check=False,
    )
    assert "Loop time" in result.log.split("=====")[0]
    _, atoms, distance, innermost = stopped(result)
    assert atoms == {1: 1, 2: 1}
    assert (distance, innermost) == pytest.approx((0.5, WALL), rel=1e-5)


def test_a_run_without_setup_counts_its_own(soft_knots, run_lammps, tmp_path):
    x = np.array([[2.0, 2, 2], [2, 2.5, 2], [7, 7, 7]])
    Configuration(10.0 * np.eye(3), x, np.ones(3, int)).write(tmp_path / "start.data")
    again = "run 2\nrun 2 pre no\nrun 2 pre no\n"
    result = run_lammps(core() + soft_knots + again)
    # nothing moves: the first run also counts the forces of its setup
    assert re.findall(r"diffsim: (\d+) times", result.log) == ["3", "2", "2"]
