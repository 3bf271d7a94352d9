"""Plots of a run: distribution functions, potential, loss."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib
import numpy as np
import torch

from diffsim.arrays import Array
from diffsim.knots import Grid
from diffsim.potentials.model import Model
from diffsim.report.drawing import MODEL, TARGET, Measured, draw_against_target, draw_potential
from diffsim.species import species_pairs
from diffsim.targets import RDF

matplotlib.use("Agg")  # no display on a cluster
from matplotlib import pyplot as plt

SIZE = (6.0, 4.0)  # inches
DPI = 150


def plot_rdf(path: Path, target: RDF, measured: Array, system: str) -> None:
    """g(r) of a simulation against its target, and their difference.

    Parameters
    ----------
    path
        The PNG file.
    target
        Known g(r).
    measured
        g(r) of the simulation in the target's bins, shape (n,).
    system
        Name for the title.
    """
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=SIZE, dpi=DPI, sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    learned = Measured(target.r, measured, measured - target.g, label="learned potential")
    draw_against_target(upper, lower, target.r, target.g, target.error, [learned])
    upper.set_ylabel("g(r)")
    upper.set_title(f"{system}: {'-'.join(target.pair)}")
    upper.legend(frameon=False)
    lower.set_xlabel("r")
    lower.set_ylabel("difference")
    figure.savefig(path)
    plt.close(figure)


def plot_potential(
    path: Path,
    potential: Model,
    grid: Grid,
    reference: Model | None = None,
    uncertainty: Array | None = None,
) -> None:
    """The pair potentials, and those of a reference where one is known.

    Parameters
    ----------
    path
        The PNG file.
    potential, reference
        Callables (r, type_i, type_j) -> u.
    grid
        Species, cutoff and where the potentials begin.
    uncertainty
        Standard deviation of the potential at the knots, shape (P, K), drawn as a band.
    """
    figure, axes = plt.subplots(figsize=SIZE, dpi=DPI, layout="constrained")
    lowest, highest = 0.0, 0.0
    for pair, (a, b) in enumerate(species_pairs(len(grid.species))):
        r = np.linspace(grid.inner[pair], grid.cutoff, 1000)
        u = _energies(potential, r, a, b)
        lowest, highest = min(lowest, float(u.min())), max(highest, float(abs(u.min())))
        label = f"{grid.species[a]}-{grid.species[b]}"
        if reference is not None:
            axes.plot(
                r,
                _energies(reference, r, a, b),
                color=TARGET,
                lw=3,
                alpha=0.5,
                label=f"{label} true",
            )
        known = None if uncertainty is None else uncertainty[pair]
        band = None if known is None else np.interp(r, grid.distances(pair), known)
        draw_potential(axes, r, u, band, color=MODEL if pair == 0 else None, label=label)
    highest = highest or 1.0
    axes.set_ylim(lowest - 0.2 * highest, 2.5 * highest)
    axes.axhline(0.0, color=TARGET, lw=0.5)
    axes.set_xlabel("r")
    axes.set_ylabel("u(r)")
    axes.legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)


def plot_loss(path: Path, metrics: Path) -> None:
    """Mean square error of the distribution functions against MD steps.

    Parameters
    ----------
    path
        The PNG file.
    metrics
        The run's ``metrics.jsonl``.
    """
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    figure, axes = plt.subplots(figsize=SIZE, dpi=DPI, layout="constrained")
    steps = [record["md_steps"] for record in records]
    for name, entry in records[0]["systems"].items():
        if not entry["rdf_mse"]:
            continue
        errors = [float(np.mean(record["systems"][name]["rdf_mse"])) for record in records]
        axes.semilogy(steps, errors, "o-", label=name)
    held_out = {name for record in records for name in record.get("validation", {})}
    for name in sorted(held_out):
        tested = [record for record in records if name in record.get("validation", {})]
        if not tested[0]["validation"][name]["rdf_mse"]:
            continue
        axes.semilogy(
            [record["md_steps"] for record in tested],
            [float(np.mean(record["validation"][name]["rdf_mse"])) for record in tested],
            "s--",
            label=f"{name} (validation)",
        )
    axes.set_xlabel("MD steps")
    axes.set_ylabel("mean square error of g(r)")
    if axes.lines:
        axes.legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)


def _energies(potential: Model, r: Array, a: int, b: int) -> Array:
    types = torch.zeros(len(r), dtype=torch.int64)
    with torch.no_grad():
        return np.asarray(potential(torch.tensor(r), types + a, types + b))
