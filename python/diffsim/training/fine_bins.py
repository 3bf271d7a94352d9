"""Fine bins of the systems' distribution functions, merged before a training begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from diffsim.optimizers import Optimizer
from diffsim.simulation import System
from diffsim.targets import distributions
from diffsim.targets.rdf_merging import merge_bins, width_that_tells


def with_merged_bins(
    systems: Sequence[System], optimizer: Optimizer, cutoff: float
) -> tuple[list[System], list[str]]:
    """Systems whose distribution functions have bins as wide as what is learned allows.

    An optimizer whose cost they are knows the correlation length of what it learns; for others the
    bins stay what they are.

    Returns
    -------
    systems, sentences
        A sentence about each target that was changed.
    """
    if optimizer.length is None:
        return list(systems), []
    merged, sentences = [], []
    for system in systems:
        rdfs = distributions(system.targets)
        if not rdfs:
            merged.append(system)
            continue
        width = width_that_tells(rdfs, optimizer.length, cutoff)
        targets = []
        for target in system.targets:
            for rdf in distributions([target]):
                target = merge_bins(rdf, width, cutoff)
                if target is not rdf:
                    before, now = (float(np.diff(each.edges)[-1]) for each in (rdf, target))
                    sentences.append(
                        f"The bins of the target g(r) of {'-'.join(rdf.pair)} of system "
                        f"'{system.name}', {before:g} wide, were merged into bins of {now:g}: "
                        "nothing finer is learned of the potential."
                    )
            targets.append(target)
        merged.append(replace(system, targets=targets))
    return merged, sentences
