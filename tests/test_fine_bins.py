"""Bins of a g(r) that are finer than what can be learned are merged, and nothing else changes."""

from pathlib import Path

import numpy as np
import pytest

from diffsim.optimizers import GaussNewton, create
from diffsim.simulation import Box, System, rdf_bins
from diffsim.targets import RDF
from diffsim.targets.rdf_merging import merge_bins, width_that_tells
from diffsim.training.fine_bins import with_merged_bins


def lennard_jones_gas(r):
    """g(r) of a dilute gas at T = 1, a wall and a well."""
    x = r**-6.0
    return np.exp(-4.0 * (x * x - x))


def averages_of_bins(edges):
    """g of a bin is the mean over its volume, here by a fine sum; shape (n,)."""
    share = (np.arange(400) + 0.5) / 400
    r = edges[:-1, None] + np.diff(edges)[:, None] * share
    return (lennard_jones_gas(r) * r**2).sum(axis=1) / (r**2).sum(axis=1)


def target(spacing, end=3.0, centred=True, error=None):
    """In bins from zero, or around points that begin at r = 0, as those of GROMACS."""
    n = round(end / spacing)
    edges = (np.arange(n + 1) if centred else np.maximum(np.arange(n + 1) - 0.5, 0.0)) * spacing
    r = 0.5 * (edges[:-1] + edges[1:]) if centred else np.arange(n) * spacing
    g = averages_of_bins(edges)
    g[g < 1e-12] = 0.0
    return RDF(r, g, ("A", "A"), error=None if error is None else np.where(g > 0, error, 0.0))


def pairs_within(rdf, edge):
    """Volume integral of g up to an edge of a bin."""
    inside = rdf.edges[1:] < edge * (1 + 1e-9)
    return float((rdf.g * np.diff(rdf.edges**3))[inside].sum())


@pytest.mark.parametrize("merged", [2, 3, 5, 10])
def test_numbers_of_pairs_are_conserved(merged):
    fine = target(0.002)
    wide = merge_bins(fine, 0.002 * merged * 1.01, 2.5)
    assert np.diff(wide.edges) == pytest.approx(0.002 * merged)
    for edge in wide.edges[1:]:
        assert pairs_within(wide, edge) == pytest.approx(pairs_within(fine, edge), rel=1e-12)
    assert wide.g == pytest.approx(averages_of_bins(wide.edges), abs=1e-4)


@pytest.mark.parametrize("merged", [3, 4, 10])
def test_bins_around_points_from_zero_on_are_cut_where_the_pairs_are(merged):
    """Edges at odd multiples of half the spacing: new edges are none of the old ones."""
    wide = merge_bins(target(0.002, centred=False), 0.002 * merged * 1.01, 2.5)
    assert wide.edges[0] == 0.0
    assert np.diff(wide.edges) == pytest.approx(0.002 * merged)
    # sharing a bin by its volume would be wrong by up to 2e-3 on the wall
    assert wide.g == pytest.approx(averages_of_bins(wide.edges), abs=1e-4)


def test_errors_of_fine_bins_are_independent():
    wide = merge_bins(target(0.002, error=0.05), 0.0201, 2.5)
    assert wide.error[-1] == pytest.approx(0.05 / np.sqrt(10), rel=1e-3)
    assert np.all((wide.error > 0.0) == (wide.g > 0.0))


def test_what_reaches_to_the_cutoff_still_does():
    """300 bins to the cutoff are no multiple of 7, 9 or 8, but of 6."""
    fine = target(0.01, end=3.0)
    assert merge_bins(fine, 0.0901, 3.0).edges[-1] == pytest.approx(3.0)
    assert np.diff(merge_bins(fine, 0.0901, 3.0).edges) == pytest.approx(0.06)
    assert np.diff(merge_bins(fine, 0.0901, 2.5).edges) == pytest.approx(0.09)


@pytest.mark.parametrize("kind", ["wide", "not uniform", "cut"])
def test_other_targets_stay_what_they_are(kind):
    rdf = target(0.02)
    if kind == "not uniform":
        rdf = RDF(np.cumsum(np.linspace(0.002, 0.003, 1000)), np.ones(1000), ("A", "A"))
    elif kind == "cut":  # where it begins g is not zero, and bins could not be whole
        rdf = RDF(*(part[533:] for part in (target(0.002).r, target(0.002).g)), ("A", "A"))
    assert merge_bins(rdf, 0.03, 2.5) is rdf


def test_the_width_is_a_sixth_of_the_correlation_length_of_the_smallest_atoms():
    small = target(0.002)
    large = RDF(1.5 * small.r, small.g, ("B", "B"))
    contact = ((1 + np.sqrt(2)) / 2) ** (-1 / 6)  # where the energy is kT
    assert width_that_tells([large, small], 0.12, 2.5) == pytest.approx(0.02 * contact, rel=0.01)
    # 21 pairs have more than a thousand such bins together
    of_many = width_that_tells([small] * 21, 0.12, 2.5)
    assert of_many == pytest.approx(0.05 * contact, rel=0.01)


def test_a_training_by_gauss_newton_merges_them_and_says_so(tmp_path: Path):
    (tmp_path / "in.x").write_text("units lj\n")
    system = System(tmp_path / "in.x", 1.0, [target(0.002), target(0.02)], name="gas")
    (merged,), sentences = with_merged_bins([system], GaussNewton(), 2.5)
    fine, wide = merged.targets
    assert np.diff(fine.edges) == pytest.approx(0.018)
    assert wide is system.targets[1]
    assert len(sentences) == 1
    assert "of A-A of system 'gas', 0.002 wide, were merged into bins of 0.018" in sentences[0]
    again, silent = with_merged_bins([merged], GaussNewton(), 2.5)
    assert again[0].targets == merged.targets and not silent
    # the cost is that of Gauss-Newton; a longer correlation length allows wider bins
    assert with_merged_bins([system], create("ibi"), 2.5) == ([system], [])
    (wider,), _ = with_merged_bins([system], GaussNewton(length=0.24), 2.5)
    assert np.diff(wider.targets[0].edges) == pytest.approx(0.038)


def test_where_pairs_of_species_are_many_fewer_bins_are_counted(tmp_path: Path):
    """A hundred to the cutoff of ten pairs, fifty to that of each of 21; types that are left out do
    not count."""
    (tmp_path / "in.x").write_text("units lj\n")
    system = System(tmp_path / "in.x", 1.0, [target(0.05)], name="gas")
    four = ["A", "B", "C", "D"]
    for species, width in (([*four, "NULL"], 0.025), ([*four, "E", "F"], 0.05)):
        density = dict.fromkeys(species, 0.1)
        bins, reach = rdf_bins(system, 2.5, Box(1000, 1000, 6.0, density, 0.005, 0))
        assert reach / bins == pytest.approx(width)
        assert reach == pytest.approx(5.0)
