"""What a piece of simulation says of the step that led to it, and what follows.

The loss of the piece is compared with that of the accepted one, from which the step was taken, and
what it fell by with what the optimizer predicted: the ratio of the two decides how long the next
step may be, and a loss that rose beyond its noise that the step is undone.

Source: Nocedal and Wright, Numerical Optimization (2006), chapter 4 (trust regions). What is ours
is the noise: a ratio counts as low only where that is no accident.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

SIGNIFICANT = 2.0  # standard errors of a loss
LOW, HIGH = 0.25, 0.75  # of the predicted decrease: below, a step was too long; above, it was not
MOST_REJECTED = 2  # in a row, before the accepted potential is simulated again


class Verdict(Enum):
    """What follows from a step.

    UNDO: back to the accepted piece, and a shorter step. SHORTEN: the step stays, the next one is
    shorter. HOLD: the next one is as long. EXTEND: it may be longer.
    """

    UNDO = "undo"
    SHORTEN = "shorten"
    HOLD = "hold"
    EXTEND = "extend"


@dataclass(frozen=True)
class LossChange:
    """Losses of two pieces of simulation.

    Attributes
    ----------
    before, now
        The losses.
    rise
        Their difference without what noise adds to each of them on average.
    error
        Its standard error.
    noise
        What noise adds to the later one on average.
    """

    before: float
    now: float
    rise: float
    error: float
    noise: float

    @property
    def is_rise(self) -> bool:
        """Whether the loss rose by more than its noise explains."""
        return self.rise > SIGNIFICANT * self.error

    def predicted(self, decrease: float) -> float:
        """The loss now, if it had fallen by what was predicted: no lower than its noise."""
        return self.noise + max(0.0, self.now - self.noise - self.rise - decrease)


def verdict(rise: float, error: float, predicted: float | None) -> Verdict:
    """What follows from a step.

    Parameters
    ----------
    rise
        Of the loss from the accepted piece to this one, without what noise adds to them.
    error
        Its standard error.
    predicted
        Decrease that the optimizer foresaw; None where it foresaw none.

    Returns
    -------
    UNDO where the rise exceeds two standard errors. Of a predicted decrease that exceeds them too,
    SHORTEN where less than a quarter came, by more than two standard errors; HOLD where, by as
    much, less than three quarters did. Else, and where the noise hides what was predicted, EXTEND.
    """
    noise = SIGNIFICANT * error
    if not rise <= noise:  # so that NaN is a rise
        return Verdict.UNDO
    if predicted is None or predicted <= noise:
        return Verdict.EXTEND
    if -rise < LOW * predicted - noise:
        return Verdict.SHORTEN
    if -rise < HIGH * predicted - noise:
        return Verdict.HOLD
    return Verdict.EXTEND


def said_of_rejected(change: LossChange, expected: float | None, accepted: int, again: bool) -> str:
    """A sentence on a step that was undone.

    Parameters
    ----------
    change
        From the accepted piece to the rejected one.
    expected
        The loss that was predicted; None where none was.
    accepted
        Iteration of the accepted piece.
    again
        Whether the accepted potential is simulated again, before another step is tried.
    """
    foreseen = "" if expected is None else f"; {expected:.4g} was predicted"
    return (
        f"The loss rose from {change.before:.4g} to {change.now:.4g} (standard error of the "
        f"difference {change.error:.2g}{foreseen}), so that the step was undone: potential, "
        f"optimizer and atoms are again those that iteration {accepted} left. {_next_one(again)}"
    )


def said_of_worsening(system: str, change: LossChange, accepted: int, again: bool) -> str:
    """A sentence on a step that was undone as the loss rose while a system was simulated.

    Parameters
    ----------
    system
        Its name.
    change
        From the first quarter of the piece to the last one.
    accepted, again
        As in `said_of_rejected`.
    """
    return (
        f"The loss of system '{system}' rose from {change.before:.4g} to {change.now:.4g} while it "
        "was simulated, and where it settles it is higher still, so that the step was undone: "
        "potential, optimizer and atoms are again those that iteration "
        f"{accepted} left. {_next_one(again)}"
    )


def _next_one(again: bool) -> str:
    if not again:
        return "The next step is shorter."
    return (
        f"{MOST_REJECTED} steps in a row were undone: the next piece is one of that potential "
        "again, to see whether its own loss has risen."
    )


def said_of_shortened(change: LossChange, decrease: float) -> str:
    """A sentence on a step that kept too little of what it promised."""
    return (
        f"The loss went from {change.before:.4g} to {change.now:.4g} (standard error of the "
        f"difference {change.error:.2g}), where {change.predicted(decrease):.4g} was predicted: "
        "the step stays, and the next one is shorter."
    )


def said_of_repeated(change: LossChange, accepted: int) -> str:
    """A sentence on an accepted potential whose loss rose when it was simulated again."""
    return (
        f"The potential of iteration {accepted} had a loss of {change.before:.4g}, and has one of "
        f"{change.now:.4g} now that it is simulated again (standard error of the difference "
        f"{change.error:.2g}): its atoms had not settled, or it does not keep the structure that "
        "the script sets up. The later loss is what steps are compared with from now on; they "
        f"still begin with the atoms that iteration {accepted} left. If a structure forms or "
        "dissolves that slowly, as in a mixture near demixing, simulate longer pieces "
        "('simulation: steps', 'relaxation' and 'equilibration')."
    )
