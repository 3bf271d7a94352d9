"""Pieces of simulation in which the structure of a system changes throughout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffsim.arrays import Array
from diffsim.simulation import Frames, concatenate, part
from diffsim.statistics.time_series import statistical_inefficiency

DRIFTS = 6.25  # of the variance that noise alone has
KEPT = 4  # the last part, as one over it
FEWEST_FRAMES = 32  # of all replicas: fewer are kept as they are
LEAST_KEPT = 16  # of all replicas
FEWEST_OF_ONE = 8  # frames of a replica whose halves can be compared
SEEN = 1.0  # pairs in a bin, on average of the frames: bins that count


@dataclass(frozen=True)
class Drift:
    """Of a system whose structure changed throughout a piece: by how much, and its first frames."""

    size: float
    before: Frames


def drift(replicas: Sequence[Array], numbers: Sequence[Array]) -> float:
    r"""By how much the halves of a piece of simulation differ, over what noise explains.

    .. math:: \left\langle \frac{F}{4} \frac{(m_2 - m_1)^2}{\sigma^2} \right\rangle
        \Big/ \langle s \rangle

    with the means and the variance of every bin over F frames, and the statistical inefficiency
    within the halves, averaged over bins and replicas. It is about one where nothing changes but by
    noise, however long that is correlated, as long as the piece is longer.

    Parameters
    ----------
    replicas
        Distribution functions of each frame, shape (F, bins), of simulations from the same start.
    numbers
        Numbers of pairs that they are of, shape (F, bins).
    """
    differences, inefficiencies = [], []
    for g, pairs in zip(replicas, numbers, strict=True):
        half = len(g) // 2
        first, second = g[:half], g[half:]
        # within the halves, so that what drifts is not its own noise
        variance = 0.5 * (first.var(axis=0) + second.var(axis=0))
        seen = (pairs.mean(axis=0) > SEEN) & (variance > 0.0)
        if not seen.any():
            continue
        apart = (second.mean(axis=0) - first.mean(axis=0))[seen]
        differences.append(0.25 * len(g) * float(np.mean(apart**2 / variance[seen])))
        inefficiencies += [
            float(np.mean(statistical_inefficiency(series[:, seen]))) for series in (first, second)
        ]
    return float(np.mean(differences) / np.mean(inefficiencies)) if differences else 0.0


def settled(replicas: Sequence[Frames]) -> tuple[list[Frames], Drift | None]:
    """The frames of a system that are of one structure: all, or the last quarter of each replica,
    and sixteen of all replicas at least.

    A potential is judged by the structure that it makes. Where that forms or dissolves as slowly as
    the piece is long, the first frames are those of the structure before. Windows, which are few
    and dear, are kept.

    Returns
    -------
    frames, found
        And the `drift`, if it is one, with the first quarter.
    """
    lengths = [len(frames) for frames in replicas]
    windows = any(frames.motion.size for frames in replicas)
    if windows or sum(lengths) < FEWEST_FRAMES or min(lengths) < FEWEST_OF_ONE:
        return list(replicas), None
    numbers = [frames.distances.reshape(len(frames), -1) for frames in replicas]
    # of pairs at a fluctuating volume all bins move together
    g = [n * frames.volume[:, None] for n, frames in zip(numbers, replicas, strict=True)]
    found = drift(g, numbers)
    if not found > DRIFTS:
        return list(replicas), None
    share = max(1.0 / KEPT, LEAST_KEPT / sum(lengths))
    kept = [int(np.ceil(share * length)) for length in lengths]
    first = [part(frames, slice(0, n)) for frames, n in zip(replicas, kept, strict=True)]
    last = [part(frames, slice(-n, None)) for frames, n in zip(replicas, kept, strict=True)]
    return last, Drift(found, concatenate(first))


def said_of_drift(name: str, found: Drift) -> str:
    """A sentence on a system whose structure changed."""
    return (
        f"The structure of system '{name}' changed throughout the piece: g(r) of its two halves "
        f"differs by {np.sqrt(found.size):.1f} times the noise. Only the last quarter of its "
        f"frames counts, and {LEAST_KEPT} of them at least."
    )
