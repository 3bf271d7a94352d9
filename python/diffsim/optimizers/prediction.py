"""By how much a step should lower the loss, by the linear response that it was found with."""

from __future__ import annotations

from collections.abc import Sequence

from diffsim.arrays import Array
from diffsim.optimizers.linear_model import LinearModel
from diffsim.response.ensemble import Ensemble
from diffsim.response.loss import error_scale


def predicted_decrease(
    ensembles: Sequence[Ensemble],
    models: Sequence[LinearModel],
    best: Array,
    before: Array,
    after: Array,
) -> float:
    """Decrease of the loss with a step from one potential to another, without noise.

    Of the deviations from the targets a part is noise, which no step removes. What is not is what
    the most probable potential u* would remove, s(u) = J (u* - u). With
    W = diag(w_b / (e_b^2 sum w)) of each system, as in the loss,

        L(before) - L(after) = s(before) W s(before) - s(after) W s(after)

    averaged over the systems by their weights.

    Parameters
    ----------
    ensembles, models
        One per system.
    best, before, after
        Energies of the parts at the knots, shape (parts, P, K): u*, and the two potentials.
    """
    total = sum(ensemble.system.weight for ensemble in ensembles)
    decrease = 0.0
    for ensemble, model in zip(ensembles, models, strict=True):
        scale = error_scale(ensemble)[model.source.observables]
        weights = model.source.weights / (ensemble.weights.sum() * scale**2)
        first, last = (model.change(best - u) for u in (before, after))
        decrease += ensemble.system.weight / total * float(weights @ (first**2 - last**2))
    return decrease
