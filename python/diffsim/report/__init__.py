"""What a run has found, to be looked at: plots, and a page that shows all of it."""

from diffsim.report import plots

__all__ = ["plots"]
