"""Features of LAMMPS that pair_style diffsim must have: each held against lj/cut, which has it."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest
import torch

from conftest import (
    CUTOFF,
    EPSILON,
    EVALUATIONS,
    KERNELS,
    NO_BOND_FORCES,
    PER_ATOM,
    SIGMA,
    TOLERANCE,
    Configuration,
    LennardJones,
    assert_agrees,
    assert_close,
    assert_same_to_rounding,
    assert_same_to_tolerance,
    core,
    diffsim,
    environment,
    error_line,
    fluid,
    kernel_environment,
    lj_cut,
    lj_force,
    mixture,
    pair_tables,
    run_script,
    save_model,
    single_point,
)
from diffsim.simulation import lammps_instance

each_newton = pytest.mark.parametrize("newton", ["on", "off"])
each_ranks = pytest.mark.parametrize("ranks", [1, 2])
newton_and_ranks = pytest.mark.parametrize(("newton", "ranks"), [("on", 1), ("on", 2), ("off", 2)])

START_AGAIN = "delete_atoms group all\nread_data start.data add append\nreset_timestep 0\n"
CHAINS = "special_bonds lj 0.0 0.5 1.0\ncomm_modify cutoff 4.2\n"  # the chains span the box


def chains(cells=5, n_types=2, **options) -> Configuration:
    """A fluid, half of whose atoms are in chains of four: the sites of one cell of the lattice."""
    configuration = fluid(cells=cells, n_types=n_types, **options)
    configuration.bonds = [(k, k + 1) for k in range(len(configuration.x) // 2) if k % 4 != 3]
    return configuration


def same_trajectory(ours, theirs, columns, relative=1e-6):
    """Thermo tables of two runs from the same state, equal over their few steps."""
    assert len(ours["Step"]) == len(theirs["Step"]) > 5
    for column in columns:
        assert np.ptp(theirs[column]) > 1e-3 * np.abs(theirs[column]).max(), column
        assert_close(ours[column], theirs[column], relative, column)


# ---- domains ----


@each_newton
def test_uneven_domains(newton, models, run_lammps, tmp_path):
    # a slab of fluid that is a third of the box, most of it in the domain of one process
    configuration = fluid()
    configuration.box = configuration.box @ np.diag([3.0, 1.0, 1.0])
    configuration.x[:, 0] += 5.0
    configuration.write(tmp_path / "start.data")
    drift = """
velocity all create 1.0 5 loop all
velocity all set 6.0 0.0 0.0 sum yes
fix balance all balance 5 1.0 shift x 20 1.01
fix move all nve
run 40
unfix balance
unfix move
"""

    def both(suffix):
        return (
            lj_cut()
            + single_point(f"reference-{suffix}")
            + diffsim(models)
            + single_point(f"diffsim-{suffix}")
        )

    result = run_lammps(
        core(newton=newton, processors="* 1 1")
        + "timestep 0.005\nthermo 4\nprint =====\n"
        + both("uneven")
        + "balance 1.0 shift x 20 1.01\nprint =====\n"
        + both("balanced")
        + "print =====\n"
        + diffsim(models)
        + drift
        + "print =====\n"
        + both("moved")
        + "print =====\n"
        + START_AGAIN
        + lj_cut()
        + drift,
        ranks=2,
    )
    for suffix in ("uneven", "balanced", "moved"):
        assert_same_to_tolerance(result, configuration, f"diffsim-{suffix}", f"reference-{suffix}")
    parts = result.log.split("=====")
    uneven, balanced, moved = (
        int(re.search(r"Nlocal: +\d+ ave +(\d+) max", parts[k])[1]) for k in (1, 2, 4)
    )
    assert uneven > 190
    assert max(balanced, moved) < 140
    ours, theirs = result.thermo[4], result.thermo[7]
    same_trajectory(ours, theirs, ("PotEng", "KinEng", "Press"))


@pytest.mark.parametrize("kernel", KERNELS)
def test_few_atoms_and_atoms_alone(kernel, models, run_lammps, tmp_path):
    """1 to 20 atoms in a cluster, two that see no other, and numbers of neighbours up to 19."""
    rng = np.random.default_rng(5)
    cluster = np.zeros((0, 3))
    while len(cluster) < 20:
        new = rng.uniform(-1.3, 1.3, 3)
        if np.linalg.norm(new) < 1.3 and (np.linalg.norm(cluster - new, axis=1) > 0.72).all():
            cluster = np.vstack([cluster, new])
    # across a corner of the box, where the neighbours are ghosts
    cluster = (cluster + 0.4) % 12.0
    alone = np.array([[6.0, 6, 6], [6, 9, 9]])
    sizes = range(1, 21)
    for n in sizes:
        x, types = np.vstack([cluster[:n], alone]), 1 + np.arange(n + 2) % 2
        Configuration(12.0 * np.eye(3), x, types).write(tmp_path / f"{n}.data", n_types=2)
    script = ""
    for newton in ("on", "off"):
        script += core("1.data", newton)
        for name, style in (("reference", lj_cut(2)), ("diffsim", diffsim(models, 2))):
            script += style
            for n in sizes:
                script += f"delete_atoms group all\nread_data {n}.data add append\n"
                script += single_point(f"{name}-{newton}-{n}")
        script += "clear\n"
    result = run_lammps(script, environ=kernel_environment(kernel))
    largest = 0.0
    for newton in ("on", "off"):
        for n in sizes:
            names = (f"{name}-{newton}-{n}" for name in ("diffsim", "reference"))
            (ours, (mine,)), (theirs, (other,)) = (
                (result.values[name], result.dump(f"{name}.dump")) for name in names
            )
            # what each of the n pairs of an atom may deviate by
            force = TOLERANCE * max(np.abs(other[f"f{d}"]).max() for d in "xyz")
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=n * (force + TOLERANCE))
            for column in PER_ATOM:
                np.testing.assert_allclose(
                    mine[column], other[column], rtol=0, atol=n * (force + TOLERANCE)
                )
                np.testing.assert_array_equal(mine[column][-2:], 0.0)
            assert len(mine["id"]) == n + 2
            assert (theirs[0] == 0.0) == (n == 1)
            largest = max(largest, np.abs(other["fx"]).max())
    assert largest > 100.0


# ---- together with other styles ----


def overlays(models, evaluation):
    """Commands for diffsim and charges, and for diffsim, lj/cut (type 2) and charges."""
    style, coeff = diffsim(models, 2, evaluation=evaluation).splitlines()
    style = style.removeprefix("pair_style ")
    coeff = coeff.replace("* * ", "* * diffsim ")
    charges = f"coul/long {CUTOFF}\n"
    return (
        f"pair_style hybrid/overlay {style} {charges}{coeff}\npair_coeff * * coul/long\n",
        f"pair_style hybrid/overlay {style} lj/cut {CUTOFF} {charges}"
        f"{coeff.removesuffix('B')}NULL\npair_coeff * * coul/long\n"
        f"pair_coeff 1 2 lj/cut {EPSILON[0][1]} {SIGMA[0][1]}\n"
        f"pair_coeff 2 2 lj/cut {EPSILON[1][1]} {SIGMA[1][1]}\n"
        "pair_modify pair lj/cut shift yes\n",
    )


@newton_and_ranks
def test_overlay_with_charges_in_k_space(newton, ranks, models, run_lammps, tmp_path):
    """With k space, bonded pairs of weight 0 are in the neighbour list, and must have no force."""
    configuration = chains()
    configuration.charges = [0.5 * (-1.0) ** k for k in range(len(configuration.x))]
    configuration.write(tmp_path / "start.data")
    script = core(newton=newton, bonds=NO_BOND_FORCES, charges=True)
    script += "special_bonds lj 0.0 0.5 1.0 coul 0.0 0.25 1.0\ncomm_modify cutoff 4.2\n"
    script += lj_cut(2, style="lj/cut/coul/long")
    script += "kspace_style pppm 1e-4\nkspace_modify mesh 12 12 12 gewald 1.1\n"
    script += single_point("reference")
    for evaluation in EVALUATIONS:
        for name, commands in zip(("all", "one"), overlays(models, evaluation), strict=True):
            script += commands + single_point(f"{evaluation}-{name}")
    # the charges are a part of what is compared
    script += "set group all charge 0.0\nkspace_style none\n" + lj_cut(2)
    result = run_lammps(script + single_point("uncharged"), ranks=ranks)
    for evaluation in EVALUATIONS:
        for name in ("all", "one"):
            assert_agrees(result, configuration, evaluation, f"{evaluation}-{name}")
    assert abs(result.values["uncharged"][0] - result.values["reference"][0]) > 10.0


def test_two_of_the_same_style(models, run_lammps, tmp_path):
    fluid(n_types=2).write(tmp_path / "start.data")
    (table, coeff), (exact, _) = (
        diffsim(models, 2, evaluation=evaluation).splitlines() for evaluation in EVALUATIONS
    )
    styles = " ".join(style.removeprefix("pair_style ") for style in (table, exact))
    twice = f"pair_style hybrid/overlay {styles}\n"
    for k in (1, 2):
        twice += coeff.replace("* * ", f"* * diffsim {k} ") + "\n"
    result = run_lammps(
        core() + lj_cut(2) + single_point("reference") + twice + single_point("twice")
    )
    np.testing.assert_allclose(
        result.values["twice"], 2.0 * np.array(result.values["reference"]), rtol=1e-6, atol=1e-6
    )
    (twice,), (once,) = result.dump("twice.dump"), result.dump("reference.dump")
    for column in PER_ATOM:
        assert_close(twice[column], 2.0 * once[column], 1e-6, column)


# ---- shares of atoms and groups ----


@each_newton
def test_centroid_stress(newton, models, run_lammps, tmp_path):
    chains().write(tmp_path / "start.data")
    show = """
compute s all stress/atom NULL pair
compute c all centroid/stress/atom NULL pair
run 0
write_dump all custom {name}.dump id c_c[*] c_s[*] modify format float %.17g
uncompute c
uncompute s
"""
    script = core(newton=newton, bonds=NO_BOND_FORCES) + CHAINS
    script += lj_cut(2) + show.format(name="reference")
    for evaluation in EVALUATIONS:
        script += diffsim(models, 2, evaluation=evaluation) + show.format(name=evaluation)
    result = run_lammps(script)
    (theirs,) = result.dump("reference.dump")
    for evaluation, relative in zip(EVALUATIONS, (1e-6, 1e-10), strict=True):
        (ours,) = result.dump(f"{evaluation}.dump")
        for k in range(1, 10):
            assert np.abs(theirs[f"c_c[{k}]"]).max() > 1.0
            assert_close(ours[f"c_c[{k}]"], theirs[f"c_c[{k}]"], relative, (evaluation, k))
        # of pairs both definitions are the same; xx yy zz xy xz yz
        for k in range(1, 7):
            assert_close(ours[f"c_c[{k}]"], ours[f"c_s[{k}]"], 1e-12, (evaluation, k))


@newton_and_ranks
def test_tally_computes(ranks, newton, models, run_lammps, tmp_path):
    chains().write(tmp_path / "start.data")
    tallies = """
compute p a pe/tally b
compute f a force/tally b
compute s all stress/tally all
compute h all heat/flux/tally all
compute v a heat/flux/virial/tally b
thermo_style custom step pe press c_p c_f c_s c_h[*] c_v
thermo_modify norm no format float %.17g
dump d all custom 1 {name}.dump id c_p[1] c_f[*] c_s[*] c_v[*]
dump_modify d format float %.17g
run 0
undump d
uncompute p
uncompute f
uncompute s
uncompute h
uncompute v
thermo_style one
"""
    script = core(newton=newton, bonds=NO_BOND_FORCES) + CHAINS
    script += "group a type 1\ngroup b type 2\nvelocity all create 1.0 5 loop all\n"
    script += lj_cut(2) + tallies.format(name="reference")
    for evaluation in EVALUATIONS:
        script += diffsim(models, 2, evaluation=evaluation) + tallies.format(name=evaluation)
    result = run_lammps(script, ranks=ranks)
    sums, *our_sums = result.thermo
    (theirs,) = result.dump("reference.dump")
    for evaluation, ours, relative in zip(EVALUATIONS, our_sums, (1e-6, 1e-10), strict=True):
        for column in set(sums) - {"Step"}:
            assert abs(sums[column][0]) > 1e-3, column
            # sums of terms of either sign
            np.testing.assert_allclose(
                ours[column], sums[column], rtol=1000 * relative, err_msg=f"{evaluation} {column}"
            )
        (ours,) = result.dump(f"{evaluation}.dump")
        assert len(ours) == 1 + 1 + 3 + 6 + 3
        for column in theirs:
            assert np.abs(theirs[column]).max() > 0.1
            assert_close(ours[column], theirs[column], relative, (evaluation, column))


@pytest.mark.parametrize("kernel", [*KERNELS, "exact"])
def test_sums_do_not_depend_on_what_else_is_wanted(kernel, models, run_lammps, tmp_path):
    """Energy alone, virial alone, per atom or not: the same numbers as when all are wanted."""
    chains().write(tmp_path / "start.data")
    evaluation = "exact" if kernel == "exact" else "table"
    environ = None if kernel == "exact" else kernel_environment(kernel)
    wanted = {
        "energy": ("pe", "", ""),
        "virial": ("pxx pyy pzz pxy pxz pyz", "", ""),
        "energies": ("temp", "compute e all pe/atom pair\n", "c_e"),
        "virials": ("temp", "compute s all stress/atom NULL pair\n", "c_s[*]"),
        "energy and virials": ("pe", "compute s all stress/atom NULL pair\n", "c_s[*]"),
        "virial and energies": ("press", "compute e all pe/atom pair\n", "c_e"),
    }
    script = ""
    for newton in ("on", "off"):
        script += core(newton=newton, bonds=NO_BOND_FORCES) + CHAINS
        script += diffsim(models, 2, evaluation=evaluation) + single_point(f"all-{newton}")
        for k, (thermo, compute, columns) in enumerate(wanted.values()):
            # in step 1, since the first step of a run computes more than what is wanted
            script += compute
            script += f"""
thermo_style custom step {thermo}
thermo_modify norm no format float %.17g
thermo 1
dump d all custom 1 {newton}{k}.dump id fx fy fz {columns}
dump_modify d format float %.17g
run 2
undump d
"""
            script += f"uncompute {compute.split()[1]}\n" if compute else ""
        script += "clear\n"
    result = run_lammps(script, environ=environ)
    names = ("PotEng", "Press", "Pxx", "Pyy", "Pzz", "Pxy", "Pxz", "Pyz")
    tables = iter(table for table in result.thermo if len(table["Step"]) == 3)
    for newton in ("on", "off"):
        scalars = result.values[f"all-{newton}"]
        (atoms,) = result.dump(f"all-{newton}.dump")
        for k, what in enumerate(wanted):
            table = next(tables)
            for column in set(table) & set(names):
                np.testing.assert_allclose(
                    table[column], scalars[names.index(column)], rtol=1e-10, err_msg=what
                )
            for frame in result.dump(f"{newton}{k}.dump"):
                for column in set(frame) - {"id"}:
                    assert_close(frame[column], atoms[column], 1e-12, f"{what}: {column}")


# ---- pair_modify ----


@each_ranks
def test_shift(ranks, run_lammps, tmp_path):
    """A model that does not end at zero: its energy at the cutoff is taken off, or is not."""
    configuration = chains()
    configuration.write(tmp_path / "start.data")
    save_model(mixture(shift=False), tmp_path / "unshifted.pt")

    def show(style, name):
        return (
            f"compute p all pair {style}\n"
            "thermo_style custom step pe press c_p\nthermo_modify norm no\nrun 0\n"
            f'print "RESULT pair-{name} $(c_p:%.17g)"\nuncompute p\n'
            "thermo_style custom step pe press\nthermo_modify norm no\n"
            + single_point(name)
            + "".join(
                f"pair_write {i} {j} 300 r 0.8 2.6 {name}.table {i}{j}\n"
                for i, j in ((1, 1), (1, 2), (2, 2))
            )
        )

    script = core(bonds=NO_BOND_FORCES) + CHAINS
    for shift in ("no", "yes"):
        script += lj_cut(2, shift=shift) + show("lj/cut", f"reference-{shift}")
    for evaluation in EVALUATIONS:
        ours = diffsim(tmp_path, 2, evaluation=evaluation, file="unshifted.pt")
        # a new pair style, not a new setting of the old one, which would keep what was modified
        script += "pair_style none\n" + ours + single_point(f"{evaluation}-default")
        # between two runs, and before the coefficients, as in most scripts
        script += "pair_modify shift yes\n" + show("diffsim", f"{evaluation}-yes")
        script += "pair_modify shift no\n" + show("diffsim", f"{evaluation}-no")
        script += ours.replace("\n", "\npair_modify shift yes\n", 1)
        script += single_point(f"{evaluation}-first")
    result = run_lammps(script, ranks=ranks)

    for shift in ("no", "yes"):
        reference = f"reference-{shift}"
        tables = pair_tables(tmp_path / f"{reference}.table")
        for evaluation in EVALUATIONS:
            name = f"{evaluation}-{shift}"
            assert_agrees(result, configuration, evaluation, name, reference)
            # nothing but the pairs has energy here
            assert result.values[f"pair-{name}"][0] == pytest.approx(
                result.values[name][0], rel=1e-13
            )
            ours = pair_tables(tmp_path / f"{name}.table")
            assert set(ours) == set(tables) == {"11", "12", "22"}
            tolerance = 1e-10 if evaluation == "exact" else 2 * TOLERANCE
            for keyword, (r, u, f) in tables.items():
                for mine, other in zip(ours[keyword], (r, u, f), strict=True):
                    np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)
                end = u[r < CUTOFF][-1]
                assert (abs(end) > 0.005) == (shift == "no")
    for evaluation in EVALUATIONS:
        assert_agrees(result, configuration, evaluation, f"{evaluation}-default", "reference-no")
        assert_agrees(result, configuration, evaluation, f"{evaluation}-first", "reference-yes")
    assert abs(result.values["reference-yes"][0] - result.values["reference-no"][0]) > 10.0


def test_group_group_and_single_of_a_shifted_energy(run_lammps, tmp_path):
    fluid(cells=3, n_types=2).write(tmp_path / "start.data")
    save_model(mixture(shift=False), tmp_path / "unshifted.pt")
    show = """
run 0
print "RESULT {name} $(c_g:%.17g) $(c_g[1]:%.17g) $(c_g[2]:%.17g) $(c_g[3]:%.17g) &
$(c_sum[1]:%.17g) $(c_sum[2]:%.17g) $(c_largest[1]:%.17g) $(c_largest[2]:%.17g)"
"""
    script = """
group a type 1
group b type 2
compute g a group/group b
compute l all pair/local eng force
compute sum all reduce sum c_l[1] c_l[2] inputs local
compute largest all reduce max c_l[1] c_l[2] inputs local
thermo_style custom step c_g c_g[*] c_sum[*] c_largest[*]
thermo_modify norm no
"""
    script = core() + script + lj_cut(2) + show.format(name="reference")
    for evaluation in EVALUATIONS:
        script += diffsim(tmp_path, 2, evaluation=evaluation, file="unshifted.pt")
        script += "pair_modify shift yes\n" + show.format(name=evaluation)
    result = run_lammps(script)
    theirs = result.values["reference"]
    assert np.abs(theirs).min() > 0.1
    for evaluation, relative in zip(EVALUATIONS, (1e-5, 1e-8), strict=True):
        np.testing.assert_allclose(result.values[evaluation], theirs, rtol=relative)


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_compute_no(evaluation, models, run_lammps, tmp_path):
    configuration = fluid(n_types=2)
    configuration.write(tmp_path / "start.data")
    ours = diffsim(models, 2, evaluation=evaluation)
    # without forces the atoms fly straight on
    script = core() + "velocity all create 1.0 5 loop all\nfix move all nve\nthermo 1\n"
    script += ours + "pair_modify compute no\nrun 10\nunfix move\n"
    script += "pair_modify compute yes\n" + single_point(evaluation)
    script += lj_cut(2) + single_point("reference")
    result = run_lammps(script)
    flight = result.thermo[0]
    np.testing.assert_array_equal(flight["PotEng"], 0.0)
    np.testing.assert_allclose(flight["KinEng"], flight["KinEng"][0], rtol=1e-13)
    assert flight["KinEng"][0] > 100.0
    assert_agrees(result, configuration, evaluation)


# ---- ways to run ----


@each_ranks
def test_respa(ranks, models, run_lammps, tmp_path):
    """Bonds at the inner level, pairs at the outer."""
    chains().write(tmp_path / "start.data")
    run = "velocity all create 1.0 5 loop all\nfix move all nve\nrun 20\nunfix move\n"
    run += START_AGAIN
    script = core(bonds=("harmonic", "20.0 1.2")) + CHAINS + "timestep 0.004\nthermo 1\n"
    script += lj_cut(2) + run + "run_style respa 2 4 bond 1 pair 2\n" + run
    for evaluation in EVALUATIONS:
        script += diffsim(models, 2, evaluation=evaluation) + run
    verlet, respa, *ours = run_lammps(script, ranks=ranks).thermo
    for table in ours:
        same_trajectory(table, respa, ("PotEng", "KinEng", "Press"))
    # it is another integrator
    assert np.abs(verlet["PotEng"] - respa["PotEng"]).max() > 1e-3


def test_respa_by_distance_is_refused(models, run_lammps, tmp_path):
    fluid(cells=3).write(tmp_path / "start.data")
    levels = "run_style respa 2 2 inner 1 1.5 2.0 outer 2\n"
    run = "fix move all nve\nrun 1\n"
    # lj/cut can; without that, LAMMPS itself refuses
    run_lammps(core() + lj_cut() + levels + run)
    result = run_lammps(core() + diffsim(models) + levels + run, check=False)
    assert result.returncode > 0
    assert "does not support rRESPA inner/middle/outer" in error_line(result)


@each_ranks
def test_minimize(ranks, models, run_lammps, tmp_path):
    # the displaced atoms of a dense crystal go back to their sites
    fluid(density=1.05).write(tmp_path / "start.data")
    minimize = "min_style cg\nminimize 0.0 1e-7 1000 10000\n"
    script = core() + lj_cut() + single_point("start") + minimize + single_point("reference")
    for evaluation in EVALUATIONS:
        script += START_AGAIN + diffsim(models, evaluation=evaluation) + minimize
        script += single_point(evaluation)
    result = run_lammps(script, ranks=ranks)
    theirs = result.values["reference"][0]
    assert result.values["start"][0] - theirs > 100.0
    for evaluation, relative in zip(EVALUATIONS, (1e-6, 1e-10), strict=True):
        assert result.values[evaluation][0] == pytest.approx(theirs, rel=relative)
        (atoms,) = result.dump(f"{evaluation}.dump")
        for column in ("fx", "fy", "fz"):
            assert np.abs(atoms[column]).max() < 1e-6


@each_ranks
def test_rerun(ranks, models, run_lammps, tmp_path):
    fluid(n_types=2).write(tmp_path / "start.data")
    dump = "dump d all custom 5 {}.dump id type x y z fx fy fz\ndump_modify d format float %.17g\n"
    script = core() + lj_cut(2) + "thermo 5\ntimestep 0.004\n" + dump.format("run")
    script += "velocity all create 1.0 5 loop all\nfix move all nve\nrun 40\n"
    script += "undump d\nunfix move\n"
    for evaluation in EVALUATIONS:
        script += diffsim(models, 2, evaluation=evaluation) + dump.format(evaluation)
        script += "rerun run.dump first 5 dump x y z\nundump d\n"
    result = run_lammps(script, ranks=ranks)
    theirs, *ours = result.thermo
    assert len(theirs["Step"]) == 9
    assert np.ptp(theirs["PotEng"]) > 10.0
    for evaluation, table, relative in zip(EVALUATIONS, ours, (1e-6, 1e-10), strict=True):
        np.testing.assert_array_equal(table["Step"], theirs["Step"][1:])
        np.testing.assert_allclose(table["PotEng"], theirs["PotEng"][1:], rtol=relative)
        frames = zip(result.dump(f"{evaluation}.dump"), result.dump("run.dump")[1:], strict=True)
        for mine, other in frames:
            for column in ("fx", "fy", "fz"):
                assert_close(mine[column], other[column], relative, evaluation)


# ---- neighbour lists of others ----

LONGER = {
    "compute rdf": "compute g all rdf 50 cutoff 3.5\n"
    "fix g all ave/time 5 2 10 c_g[*] mode vector file rdf.txt\n",
    "compute adf": "compute g all adf 30 * * * 0.0 3.4 0.0 3.4\n"
    "fix g all ave/time 5 2 10 c_g[*] mode vector file adf.txt\n",
    "fix diffsim/counts": "fix g all diffsim/counts 1 rdf 50 3.3\n",
}


@pytest.mark.parametrize(
    ("newton", "evaluation"), [("on", "table"), ("off", "table"), ("on", "exact")]
)
def test_longer_neighbour_lists_of_others(newton, evaluation, models, run_lammps, tmp_path):
    """What asks for a longer list than the pair style's must not change its (lammps#4487)."""
    fluid(n_types=2).write(tmp_path / "start.data")
    start = core(newton=newton) + "comm_modify cutoff 4.2\ntimestep 0.004\nthermo 1\n"
    start += diffsim(models, 2, evaluation=evaluation)
    run = """
velocity all create 1.0 5 loop all
fix move all nve
run 10
write_dump all custom {name}.dump id x y z fx fy fz modify format float %.17g
clear
"""
    # counts are of a table
    asked = [key for key in LONGER if evaluation == "table" or key != "fix diffsim/counts"]
    script = start + run.format(name="without")
    for k, key in enumerate(asked):
        script += start + LONGER[key] + run.format(name=k)
    result = run_lammps(script)
    without, *others = result.thermo
    assert np.ptp(without["PotEng"]) > 1.0
    (alone,) = result.dump("without.dump")
    for k, (key, table) in enumerate(zip(asked, others, strict=True)):
        for column in ("PotEng", "Press"):
            np.testing.assert_allclose(table[column], without[column], rtol=1e-10, err_msg=key)
        (atoms,) = result.dump(f"{k}.dump")
        for column in ("x", "fx", "fy", "fz"):
            assert_close(atoms[column], alone[column], 1e-10, key)
    # the others had their longer lists: g(r) and coordination number beyond the cutoff
    rows = (tmp_path / "rdf.txt").read_text().splitlines()[-5:]
    for _, r, g, neighbours in (map(float, row.split()) for row in rows):
        assert r > 3.0
        assert 0.5 < g < 2.0
        assert neighbours > 80.0


def test_a_full_list_that_is_longer(models, run_lammps, tmp_path):
    """Beside a style with a full list and a longer cutoff, LAMMPS halves its list for this one."""
    configuration = fluid(n_types=2, cells=5)
    configuration.write(tmp_path / "start.data")
    three_body = "pair_coeff * * atm * 0.0\n"
    style, coeff = diffsim(models, 2).splitlines()
    style = style.removeprefix("pair_style ")
    coeff = coeff.replace("* * ", "* * diffsim ")
    result = run_lammps(
        core()
        + lj_cut(2)
        + single_point("reference")
        + f"pair_style hybrid/overlay {style} atm 3.5 2.0\n{coeff}\n{three_body}"
        + single_point("diffsim")
    )
    lists = result.log.split("Neighbor list info")[-1]
    assert re.search(r"pair atm, perpetual\n\s*attributes: full", lists)
    assert re.search(r"pair diffsim, perpetual, half/full", lists)
    assert_same_to_tolerance(result, configuration)


# ---- eval exact ----


@each_ranks
def test_exact_in_more_than_one_block(ranks, models, run_lammps, tmp_path):
    # 50,000 pairs, of which a block of bounded memory cannot hold all
    fluid(cells=8, n_types=2).write(tmp_path / "start.data")
    result = run_lammps(
        core()
        + lj_cut(2)
        + single_point("reference")
        + diffsim(models, 2, evaluation="exact")
        + single_point("exact")
        + diffsim(models, 2, tolerance=None)
        + single_point("table"),
        ranks=ranks,
    )
    assert_same_to_rounding(result, name="exact", relative=1e-10)
    # the table of the default tolerance does not come that close
    (table,), (theirs,) = result.dump("table.dump"), result.dump("reference.dump")
    assert np.abs(table["fx"] - theirs["fx"]).max() > 1e-9 * np.abs(theirs["fx"]).max()


# ---- threads ----

THREADS = {
    "1 thread": (1, ""),
    "2 threads": (2, ""),
    "3 threads": (3, ""),
    "package omp 3": (1, "package omp 3\n"),
}


def threads_script(newton, models, evaluation, package):
    name = f"{evaluation}-{newton}"
    return (
        package
        + core(newton=newton, bonds=NO_BOND_FORCES)
        + CHAINS
        + diffsim(models, 2, evaluation=evaluation)
        + single_point(name)
        # a step in which neither energy nor virial is wanted
        + f"dump d all custom 1 {name}.plain id fx fy fz\ndump_modify d format float %.17g\n"
        + "run 2\nundump d\nclear\n"
    )


@pytest.fixture(scope="module")
def threaded(models, tmp_path_factory):
    """Function (how, ranks) -> result of single points with newton on and off, table and exact."""

    @functools.cache
    def run(how, ranks):
        threads, package = THREADS[how]
        folder = tmp_path_factory.mktemp("threads")
        chains().write(folder / "start.data")
        script = "".join(
            threads_script(newton, models, evaluation, package)
            for newton in ("on", "off")
            for evaluation in EVALUATIONS
        )
        # the threads may be more than there are processors
        waiting = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
        environ = {**environment(), **waiting}
        return run_script(folder, script, ranks=ranks, environ=environ)

    return run


@pytest.mark.parametrize(
    ("how", "ranks"), [("2 threads", 1), ("3 threads", 1), ("package omp 3", 1), ("2 threads", 2)]
)
def test_threads_change_nothing_but_rounding(how, ranks, threaded):
    one, several = threaded("1 thread", ranks), threaded(how, ranks)
    for newton in ("on", "off"):
        for evaluation in EVALUATIONS:
            name = f"{evaluation}-{newton}"
            assert_same_to_rounding(several, one, name, name)
            _, plain, _ = several.dump(f"{name}.plain")
            (reference,) = one.dump(f"{name}.dump")
            for column in ("fx", "fy", "fz"):
                assert_close(plain[column], reference[column], 1e-12, name)
    used = re.compile(r"Pair style diffsim: \w+ kernels, (\d+) threads? per process")
    assert set(used.findall(one.log)) == {"1"}
    assert set(used.findall(several.log)) == {"2" if how == "2 threads" else "3"}


# ---- cutoffs of pairs ----

KOB_ANDERSEN = {"epsilon": [[1.0, 1.5], [1.5, 0.5]], "sigma": [[1.0, 0.8], [0.8, 0.88]]}


@newton_and_ranks
def test_cutoffs_of_pairs(newton, ranks, run_lammps, tmp_path):
    """A mixture whose pairs end at 2.5 sigma of their own, as the inputs of lj/cut often say."""
    fluid(cells=5, density=1.0, n_types=2).write(tmp_path / "start.data")
    epsilon, sigma = KOB_ANDERSEN["epsilon"], KOB_ANDERSEN["sigma"]
    save_model(LennardJones(["A", "B"], epsilon, sigma, reduced=2.5), tmp_path / "ka.pt")
    script = core(newton=newton) + "pair_style lj/cut 2.5\npair_modify shift yes\n"
    for i, j in ((0, 0), (0, 1), (1, 1)):
        script += f"pair_coeff {i + 1} {j + 1} {epsilon[i][j]} {sigma[i][j]} {2.5 * sigma[i][j]}\n"
    script += single_point("reference")
    for evaluation in EVALUATIONS:
        script += diffsim(tmp_path, 2, evaluation=evaluation, file="ka.pt")
        script += single_point(evaluation)
    result = run_lammps(script, ranks=ranks)
    for evaluation, relative in zip(EVALUATIONS, (1e-6, 1e-10), strict=True):
        assert_same_to_rounding(result, name=evaluation, relative=relative)
    # the neighbour lists are as short
    theirs, *ours = map(int, re.findall(r"Total # of neighbors = (\d+)", result.log))
    assert ours == [theirs] * len(EVALUATIONS)


def test_cutoffs_of_pairs_with_pair_counts(run_lammps, tmp_path):
    """The fix that counts pairs changes nothing for them."""
    fluid(cells=5, density=1.0, n_types=2).write(tmp_path / "start.data")
    save_model(LennardJones(["A", "B"], **KOB_ANDERSEN, reduced=2.5), tmp_path / "ka.pt")
    result = run_lammps(
        core()
        + diffsim(tmp_path, 2, file="ka.pt")
        + single_point("without")
        + "fix counts all diffsim/counts 1\n"
        + single_point("with")
        + "unfix counts\n"
        + single_point("again")
    )
    assert_same_to_rounding(result, name="with", reference="without")
    assert_same_to_rounding(result, name="again", reference="without")


# ---- the Python that called LAMMPS ----


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_forces_do_not_depend_on_the_callers_gradient_mode(evaluation, mode, models, tmp_path):
    x = np.array([[2.0, 2, 2], [2, 2, 3.2]])
    data = Configuration(10.0 * np.eye(3), x, np.ones(2, int)).write(tmp_path / "start.data")
    script = core(data) + diffsim(models, evaluation=evaluation) + "run 0 post no"
    with mode(), lammps_instance(None, {}) as lammps:
        lammps.commands_string(script)
        force = lammps.numpy.extract_atom("f")[:2, 2].copy()
    assert force[0] == pytest.approx(-lj_force(1.2), rel=1e-6)
    assert force[1] == pytest.approx(lj_force(1.2), rel=1e-6)
