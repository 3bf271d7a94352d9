"""Target observables: what a simulation with the learned potential has to reproduce."""

from __future__ import annotations

from diffsim.targets.base import Fitted, Fluctuation, Fluid, Goal, Scalar, Target
from diffsim.targets.coordination import Coordination
from diffsim.targets.motion import MSD, VACF, Diffusion
from diffsim.targets.rdf import RDF, distributions
from diffsim.targets.rdf_bins import range_weights, rebin_matrix
from diffsim.targets.rdf_file import write_rdf
from diffsim.targets.thermodynamic import Compressibility, Density, Energy, Pressure
from diffsim.targets.window import (
    StateDerivatives,
    Window,
    WindowAverage,
    WindowTarget,
    motions,
    shortened,
    window_averages,
)
from diffsim.targets.window_rdf import WindowRDF

__all__ = [
    "MSD",
    "RDF",
    "VACF",
    "Compressibility",
    "Coordination",
    "Density",
    "Diffusion",
    "Energy",
    "Fitted",
    "Fluctuation",
    "Fluid",
    "Goal",
    "Pressure",
    "Scalar",
    "StateDerivatives",
    "Target",
    "Window",
    "WindowAverage",
    "WindowRDF",
    "WindowTarget",
    "distributions",
    "motions",
    "range_weights",
    "rebin_matrix",
    "shortened",
    "window_averages",
    "write_rdf",
]
