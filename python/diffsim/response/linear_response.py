"""Linear response of the observables of an ensemble to the potentials, and the errors of both.

The fluctuating quantities are the numbers of pairs in the bins of distance and, where it
fluctuates, the volume; observables are linear functions of them, to first order
(`diffsim.targets.base.Fluctuation`). For their covariance see `diffsim.response.fluctuations`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from diffsim.arrays import Array
from diffsim.errors import InputError
from diffsim.knots import Grid
from diffsim.response.ensemble import Ensemble, Weighted
from diffsim.response.interacting_pairs import interacting_pairs
from diffsim.response.pair_fluctuations import (
    fluctuating,
    fluid_of,
    independent_frames,
    pair_covariance,
    usable_bins,
)
from diffsim.statistics import reweighting
from diffsim.statistics.shrinkage import share_along, share_told, shrunk
from diffsim.targets import Fluid, Pressure


@dataclass(frozen=True)
class Response:
    """Residuals of one system's observables as a linear function of the potentials.

    Attributes
    ----------
    observables
        Which of the ensemble's observables have a response, as indices, shape (O,).
    residual
        Target minus average, shape (O,), for these observables.
    weights
        Of the observables in the loss, shape (O,).
    matrix
        Change of the observables with the mean potentials in bins, by the change of the ensemble,
        shape (O, n).
    explicit
        Their change with the spline's coefficients in the given ensemble, shape (O, P (K + 2)); of
        most observables there is none.
    curve, place, slope
        Of the observables: which target they are values of, if that is a curve, else -1; where
        on its axis they are; and the slope of the target there, shape (O,). Targets are counted
        from zero within the system.
    bins
        Which bins, as indices into the (P, B) recorded ones, shape (n,).
    g
        Distribution function in these bins, shape (n,).
    covariance
        Of the observables in a frame, shape (O, O).
    errors
        Standard errors of the targets, shape (O,); zero where they are exact.
    from_frames
        Whether the targets are known to be averages over frames of a simulation, shape (O,).
    common_errors
        Errors that all values of a curve have together, of a factor, as of an unknown norm, and of
        a constant, shape (O, 2).
    noise
        Covariance of the errors of averages with the autocorrelation of every mode, shape (O, O);
        see `error_of_averages`.
    slowest
        By how much the means of pieces of the slowest of these modes scatter more than a piece
        tells, in variance.
    pressure, pressure_explicit
        Change of the pressure with the potentials in bins by the change of the ensemble, shape
        (n,), and with the spline's coefficients in the given ensemble, shape (P (K + 2),).
    energy
        Matrix E with Var(beta dU) = du E du per frame, shape (n, n).
    independent_frames
        Effective number of independent frames of the averages, as the observables see it on
        average.
    worth
        Number of samples that the estimate of the covariance is worth.
    of_experiment
        Whether one of the targets was measured.
    """

    observables: NDArray[np.intp]
    residual: Array
    weights: Array
    matrix: Array
    explicit: csr_array
    curve: NDArray[np.intp]
    place: Array
    slope: Array
    bins: NDArray[np.intp]
    g: Array
    covariance: Array
    errors: Array
    from_frames: NDArray[np.bool_]
    common_errors: Array
    noise: Array
    slowest: float
    pressure: Array
    pressure_explicit: Array
    energy: Array
    independent_frames: float
    worth: float
    of_experiment: bool

    @property
    def errors_are_known(self) -> bool:
        """Whether all curves come from simulations, with their errors."""
        on_curves = self.curve >= 0
        return bool(np.all(self.from_frames[on_curves]) and np.any(self.errors[on_curves] > 0))


@dataclass(frozen=True)
class _Rows:
    """Observables that can be used, as functions of what fluctuates, their explicit parts, their
    series of frames, and of which the frames tell what the numbers of pairs do not."""

    chosen: NDArray[np.intp]
    linear: csr_array
    explicit: csr_array
    series: Array
    by_frames: NDArray[np.bool_]
    without_theory: NDArray[np.bool_]


def linear_response(ensemble: Ensemble, at: Weighted, grid: Grid) -> Response:
    """Response of the targets' observables to the potentials, and the errors of both.

    The fluctuating quantities are the numbers of pairs in the bins of distance and, where it
    fluctuates, the volume; observables are linear functions of them, to first order
    (`diffsim.targets.base.Fluctuation`). See `diffsim.response.fluctuations` for their
    covariance. Only bins below the cutoff count: the energy is a function of them, so that
    given them the others tell nothing more of the potential. Bins in which fewer than
    `FEWEST_PAIRS` pairs were seen in all frames have no usable fluctuations and are left out.
    So are distribution functions in bins that are left out.

    Raises
    ------
    InputError
        If no observable is left.
    """
    interacting = interacting_pairs(ensemble, grid)
    numbers = ensemble.pairs if interacting is None else interacting
    fluid = fluid_of(ensemble, at, grid, numbers)
    bins = usable_bins(ensemble, fluid, at.sample_size)
    counts_per_g = ensemble.counts_per_g.ravel()[bins]
    n_independent = independent_frames(ensemble, at)
    z = fluctuating(ensemble, numbers, bins)
    covariance, share, worth = pair_covariance(ensemble, at, fluid, bins, grid, z, n_independent)

    rows = _rows(ensemble, at, fluid, bins, z.shape[1], interacting is not None)
    # What numbers of pairs and volume do not tell (other interactions, a third moment, motion)
    # the frames do, with the weight that they have beside the theory; where there is none, with
    # the weight that they give themselves.
    by_frames = np.flatnonzero(rows.by_frames)
    without_theory = rows.without_theory[by_frames]
    linear = rows.linear
    rest = rows.series[:, by_frames] - (linear[by_frames] @ z.T).T
    rest_with_z = reweighting.covariance(at.weights, rest, z)
    rest_with_rest = reweighting.covariance(at.weights, rest, rest)
    if len(by_frames):
        told = share_told(rest_with_z, np.diag(rest_with_rest), covariance, n_independent)
        rest_with_z *= np.where(without_theory, told, share)[:, None]
    cross = linear @ covariance
    cross[by_frames] += rest_with_z
    observed = np.asarray((linear @ cross.T).T)
    observed[:, by_frames] += linear @ rest_with_z.T
    observed[np.ix_(by_frames, by_frames)] += shrunk(rest_with_rest, without_theory, n_independent)

    varies = np.flatnonzero(np.diag(observed) > 0.0)
    chosen = rows.chosen[varies]
    if len(chosen) == 0:
        raise InputError(
            f"No bin of the targets of system '{ensemble.system.name}' lies below the cutoff "
            "where pairs are seen; nothing can be learned from them. Check the range and the "
            "unit of length of the targets."
        )
    n = len(bins)
    pressure = Pressure(0.0)
    told = pressure.fluctuation(fluid, ensemble.species).bins[0, bins]
    explicit = pressure.explicit(ensemble.latest_frames)
    cross, observed = cross[varies], observed[np.ix_(varies, varies)]
    error, slowest = error_of_averages(ensemble, at, rows.series[:, varies], observed)
    given = np.concatenate(
        [
            np.zeros(len(target.values)) if target.errors is None else target.errors
            for target in ensemble.targets
        ]
    )[chosen]
    curve, place, slope = _places(ensemble)
    return Response(
        curve=curve[chosen],
        place=place[chosen],
        slope=slope[chosen],
        observables=chosen,
        residual=(ensemble.target - at.observables)[chosen],
        weights=ensemble.weights[chosen],
        matrix=(
            np.zeros_like(cross[:, :n])
            if ensemble.along_trajectories
            else -ensemble.beta * cross[:, :n] * counts_per_g
        ),
        explicit=rows.explicit[varies],
        bins=bins,
        g=fluid.g.ravel()[bins],
        covariance=observed,
        errors=given,
        from_frames=np.concatenate(
            [np.full(len(target.values), target.from_frames) for target in ensemble.targets]
        )[chosen],
        common_errors=np.concatenate(
            [target.common_errors(int(fluid.atoms.sum())) for target in ensemble.targets]
        )[chosen],
        noise=error,
        slowest=slowest,
        pressure=-ensemble.beta * (told @ covariance[:n, :n]) * counts_per_g,
        pressure_explicit=explicit.reshape(len(explicit), -1).mean(axis=0),
        energy=ensemble.beta**2 * covariance[:n, :n] * np.outer(counts_per_g, counts_per_g),
        independent_frames=n_independent,
        worth=worth,
        of_experiment=any(target.is_experiment for target in ensemble.targets),
    )


def _places(ensemble: Ensemble) -> tuple[NDArray[np.intp], Array, Array]:
    """Which curve every observable is a value of, -1 for numbers, its place and the target's slope
    there, (O,) each."""
    curves, places, slopes = [], [], []
    for index, target in enumerate(ensemble.targets):
        axis, values = target.axis, target.values
        nothing = np.zeros(len(values))
        curves.append(np.full(len(values), -1 if axis is None else index))
        places.append(nothing if axis is None else axis)
        slopes.append(nothing if axis is None else np.gradient(values, axis))
    return np.concatenate(curves), np.concatenate(places), np.concatenate(slopes)


def error_of_averages(
    ensemble: Ensemble, at: Weighted, series: Array, covariance: Array
) -> tuple[Array, float]:
    """Covariance of the errors of averages over frames that are correlated.

        E = D V diag(s_k l_k) V^T D / n,    D^-1 C D^-1 = V diag(l_k) V^T,   D^2 = diag(C)

    with the effective number n of frames and the statistical inefficiency s_k of every mode, a
    combination of the observables that fluctuates independently of the others. It has to be one of
    each mode: bins of a distribution function are uncorrelated after a few steps, as long as most
    of their fluctuations are those of the number of pairs in them; but what tells the potential
    are weak collective modes, in which hundreds of steps are correlated. A mode that relaxes more
    slowly than a piece shows it by what the means of pieces differ by.

    Parameters
    ----------
    ensemble, at
        The frames and their weights.
    series
        Observables of all frames, shape (F, O).
    covariance
        C of the observables in a frame, shape (O, O).

    Returns
    -------
    E, shape (O, O), and the largest factor of a mode that pieces are too short for; see
    `diffsim.statistics.time_series.slowness`.
    """
    spread = np.sqrt(np.diag(covariance))
    variances, modes = np.linalg.eigh(covariance / np.outer(spread, spread))
    in_modes = (series / spread) @ modes
    inefficiency = ensemble.inefficiency(in_modes, at.weights)
    slow = ensemble.slowness(in_modes, at, inefficiency)
    scaled = spread[:, None] * modes
    errors = (scaled * (np.maximum(variances, 0.0) * inefficiency * slow)) @ scaled.T
    return np.asarray(errors / at.sample_size), float(slow.max())


def _rows(
    ensemble: Ensemble,
    at: Weighted,
    fluid: Fluid,
    bins: NDArray[np.intp],
    n_z: int,
    others: bool,
) -> _Rows:
    """Every observable as a linear function of what fluctuates, which are n_z numbers; where they
    are of others than the counted pairs the frames tell the rest."""
    size = ensemble.observables.shape[1]
    columns_of, derivatives = [], []
    for column, derivative in ensemble.explicit_derivatives.items():
        # along chaotic windows it may be noise, and a large one: it would promise a response, and
        # knowledge, that are not there. Where it is all the response that there is, a smaller one
        # would only make the steps longer
        weighed = ensemble.of_windows and not ensemble.along_trajectories
        share = share_along(at.weights, derivative, len(fluid.g)) if weighed else 1.0
        columns_of.append(column)
        derivatives.append(share * (at.weights @ derivative))
    linear = []
    usable = np.ones(size, dtype=bool)
    by_frames = np.zeros(size, dtype=bool)
    without_theory = np.zeros(size, dtype=bool)
    for target, columns in zip(ensemble.targets, ensemble.columns, strict=True):
        known = target.fluctuation(fluid, ensemble.species)
        # of molecules it may count others than those that interact
        by_frames[columns] = others or not target.is_sum_of_pairs
        if known is None:
            without_theory[columns] = True
            linear.append(csr_array((columns.stop - columns.start, n_z)))
            continue
        # a target's bin holds few of those in which pairs are counted
        of_target = known.bins[:, bins]
        if n_z > len(bins):
            of_target = np.column_stack([of_target, known.volume])
        linear.append(csr_array(of_target))
        usable[columns] = target.usable(known, fluid, bins, ensemble.species)
    jacobian = csr_array(at.jacobian)  # of most observables a single number
    kind = (jacobian != 0.0).astype(np.intp)
    chosen = np.flatnonzero((ensemble.weights > 0.0) & (kind @ ~usable == 0))
    jacobian, kind = jacobian[chosen], kind[chosen]
    explicit = csr_array((len(chosen), at.coefficients.size))
    if derivatives:
        explicit = jacobian[:, columns_of] @ csr_array(np.array(derivatives))
    return _Rows(
        chosen=chosen,
        linear=csr_array(jacobian @ vstack(linear)),
        explicit=csr_array(explicit),
        series=np.asarray((jacobian @ ensemble.observed(at.coefficients).T).T),
        by_frames=kind @ by_frames > 0,
        without_theory=kind @ without_theory > 0,
    )
