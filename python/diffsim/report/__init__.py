"""Plots of runs."""

from diffsim.report import plots

__all__ = ["plots"]
