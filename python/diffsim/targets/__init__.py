"""Target observables: what a simulation with the learned potential has to reproduce."""

from __future__ import annotations

from diffsim.targets.base import Fluctuation, Fluid, Scalar, Target
from diffsim.targets.coordination import Coordination
from diffsim.targets.rdf import RDF, range_weights, rebin_matrix, write_rdf
from diffsim.targets.thermodynamic import Compressibility, Density, Energy, Pressure

__all__ = [
    "RDF",
    "Compressibility",
    "Coordination",
    "Density",
    "Energy",
    "Fluctuation",
    "Fluid",
    "Pressure",
    "Scalar",
    "Target",
    "range_weights",
    "rebin_matrix",
    "write_rdf",
]
