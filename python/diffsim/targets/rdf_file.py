"""The file of a radial distribution function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diffsim.targets.base import FloatArray


def write_rdf(
    path: str | Path,
    r: FloatArray,
    g: FloatArray,
    error: FloatArray | None,
    comments: Sequence[str],
) -> None:
    """Write an RDF as CSV that :meth:`RDF.from_file` reads.

    Parameters
    ----------
    path : str or Path
        The file; it is replaced if it exists.
    r, g : (n,) array
        Distances (unit of length) and values.
    error : (n,) array or None
        Standard errors of ``g``; None leaves the column out.
    comments : sequence of str
        Lines that are written above the numbers, each behind ``#``.
    """
    columns = [r, g] if error is None else [r, g, error]
    header = "r,g" if error is None else "r,g,error"
    lines = [f"# {comment}" for comment in comments] + [header]
    lines += [",".join(f"{value:.10g}" for value in row) for row in zip(*columns, strict=True)]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
