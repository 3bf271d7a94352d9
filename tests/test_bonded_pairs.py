"""Targets and simulations that count different pairs of bonded atoms."""

from __future__ import annotations

import numpy as np
import pytest

from diffsim.errors import InputError
from diffsim.simulation import Frames, System
from diffsim.simulation.bonded_pairs import check_pairs, other_pairs
from diffsim.targets import RDF

ATOMS, BONDS, VOLUME, WIDTH = 1000, 800, 1200.0, 0.02
EDGES = WIDTH * np.arange(151)
CENTRES = 0.5 * (EDGES[1:] + EDGES[:-1])
PAIRS = ATOMS * (ATOMS - 1) // 2
IDEAL = PAIRS / VOLUME * 4.0 / 3.0 * np.pi * np.diff(EDGES**3)
LIQUID = np.where(CENTRES > 0.95, 1.0 + 1.5 * np.exp(-5.0 * (CENTRES - 1.1) ** 2), 0.0)
BONDED = np.exp(-(((CENTRES - 0.97) / 0.03) ** 2))
BONDED *= BONDS / BONDED.sum()  # pairs


def frames(pairs) -> Frames:
    """Three frames with these numbers of pairs."""
    one = np.ones(3)
    basis = np.zeros((3, 1, 4))
    return Frames(
        counts=basis,
        virial=basis,
        distances=np.tile(pairs, (3, 1, 1)),
        bin_width=WIDTH,
        atoms=np.array([ATOMS]),
        pairs=np.array([PAIRS]),
        volume=VOLUME * one,
        energy=one,
        pressure=one,
        temperature=one,
        pressure_unit=1.0,
    )


def system(folder, pairs) -> System:
    (folder / "in.melt").write_text("")
    return System(folder / "in.melt", 1.0, [RDF(CENTRES, pairs / IDEAL, ("A", "A"))], name="melt")


def test_bonded_pairs_that_a_target_leaves_out(tmp_path):
    # the first simulation is some per cent wrong elsewhere too
    simulated = frames(IDEAL * LIQUID * (1.0 + 0.02 * np.cos(5.0 * CENTRES)) + BONDED)
    with pytest.raises(InputError, match=r"lack about 7.. pairs|lack about 8.. pairs") as error:
        check_pairs(system(tmp_path, IDEAL * LIQUID), simulated, BONDS, ["A"])
    assert "800 bonds" in str(error.value) and "intermolecular: true" in str(error.value)
    assert "near r = 0.97" in str(error.value) and "compute rdf" in str(error.value)


def test_bonded_pairs_that_only_the_target_counts(tmp_path):
    with pytest.raises(InputError, match=r"hold bonded pairs\. Leave out 'intermolecular: true'"):
        check_pairs(system(tmp_path, IDEAL * LIQUID + BONDED), frames(IDEAL * LIQUID), BONDS, ["A"])


def test_what_is_no_other_set_of_pairs(tmp_path):
    both = IDEAL * LIQUID + BONDED
    same = frames(both * (1.0 + 0.02 * np.cos(5.0 * CENTRES)))
    assert other_pairs(system(tmp_path, both), same, BONDS, ["A"]) is None
    wrong = frames(IDEAL * np.where(CENTRES > 0.8, LIQUID + 0.5, 0.0))  # a poor start
    assert other_pairs(system(tmp_path, IDEAL * LIQUID), wrong, BONDS, ["A"]) is None
    without = frames(IDEAL * LIQUID + BONDED)
    assert other_pairs(system(tmp_path, IDEAL * LIQUID), without, 0, ["A"]) is None
