"""Target observables: what a simulation with the learned potential has to reproduce."""

from __future__ import annotations

from diffsim.targets.rdf import RDF, range_weights, rebin_matrix, write_rdf

__all__ = ["RDF", "range_weights", "rebin_matrix", "write_rdf"]
