"""Gradients and statistics of ensemble averages, on plain arrays."""

from diffsim.gradients import reweighting, statistics

__all__ = ["reweighting", "statistics"]
