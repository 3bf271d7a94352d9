"""The pooling of potentials against pymbar, the implementation of the method's own authors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from diffsim.statistics.reweighting import log_weights, mbar

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pymbar import MBAR


@pytest.mark.parametrize("shift", [0.0, 5e4])  # energies are extensive
@pytest.mark.parametrize("lengths", [(60, 60, 60), (200, 25, 80), (40, 300, 25, 125, 60)])
def test_free_energies_and_weights_are_those_of_pymbar(lengths, shift):
    """Harmonic oscillators in 12 dimensions, of other stiffness and centre in each piece."""
    rng = np.random.default_rng(len(lengths))
    stiffness = rng.uniform(0.8, 1.3, len(lengths))
    centres = 0.15 * rng.normal(size=(len(lengths), 12))
    x = np.concatenate(
        [
            centre + rng.normal(size=(n, 12)) / np.sqrt(k)
            for n, k, centre in zip(lengths, stiffness, centres, strict=True)
        ]
    )
    squares = ((x[None] - centres[:, None]) ** 2).sum(axis=2)
    reduced = 0.5 * stiffness[:, None] * squares + shift * np.arange(1, len(lengths) + 1)[:, None]
    found, log_mixture = mbar(reduced, np.array(lengths, dtype=np.float64))
    reference = MBAR(reduced, np.array(lengths), solver_protocol="robust")
    assert found == pytest.approx(reference.f_k - reference.f_k[0], abs=1e-7)
    # weights in a potential that was not simulated
    target = 0.5 * ((x - 0.1) ** 2).sum(axis=1)
    ours = np.exp(log_weights(target + log_mixture))
    mixture = np.logaddexp.reduce(
        np.log(lengths)[:, None] + reference.f_k[:, None] - reduced, axis=0
    )
    theirs = np.exp(-target - mixture - np.max(-target - mixture))
    assert ours == pytest.approx(theirs / theirs.sum(), rel=1e-6)
