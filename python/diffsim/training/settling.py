"""Pieces of simulation in which the structure of a system changes throughout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffsim.knots import Array
from diffsim.simulation import Frames, last_frames

DRIFTS = 9.0  # of the variance that noise alone has
KEPT = 4  # the last part, as one over it
FEWEST_FRAMES = 16
SEEN = 1.0  # pairs in a bin, on average of the frames: bins that count


def drift(replicas: Sequence[Array]) -> float:
    r"""By how much the halves of a piece of simulation differ, over what noise explains.

    .. math:: \left\langle \frac{F}{4} \frac{(m_2 - m_1)^2}{\sigma^2} \right\rangle

    with the means and the variance of every number of pairs over F frames, averaged over bins and
    replicas. It is one where frames are independent, and about the statistical inefficiency of the
    bins where they are correlated over a time shorter than the piece.

    Parameters
    ----------
    replicas
        Numbers of pairs of each frame, shape (F, bins), of simulations from the same start.
    """
    found = []
    for numbers in replicas:
        half = len(numbers) // 2
        first, second = numbers[:half], numbers[half:]
        # within the halves, so that what drifts is not its own noise
        variance = 0.5 * (first.var(axis=0) + second.var(axis=0))
        seen = (numbers.mean(axis=0) > SEEN) & (variance > 0.0)
        apart = (second.mean(axis=0) - first.mean(axis=0))[seen]
        if seen.any():
            found.append(0.25 * len(numbers) * float(np.mean(apart**2 / variance[seen])))
    return float(np.mean(found)) if found else 0.0


def settled(replicas: Sequence[Frames]) -> tuple[list[Frames], float | None]:
    """The frames of a system that are of one structure: all, or the last quarter of each replica.

    A potential is judged by the structure that it makes. Where that forms or dissolves as slowly as
    the piece is long, the first frames are those of the structure before.

    Returns
    -------
    frames, found
        And the `drift`, if it is one.
    """
    n = min(len(frames) for frames in replicas)
    if n < FEWEST_FRAMES:
        return list(replicas), None
    found = drift([frames.distances.reshape(len(frames), -1) for frames in replicas])
    if not found > DRIFTS:
        return list(replicas), None
    return [last_frames(frames, len(frames) // KEPT) for frames in replicas], found


def said_of_drift(name: str, found: float) -> str:
    """A sentence on a system whose structure changed, with its `drift`."""
    return (
        f"The structure of system '{name}' changed throughout the piece: g(r) of its two halves "
        f"differs by {np.sqrt(found):.1f} times the noise. Only the last quarter of its frames "
        "counts."
    )
