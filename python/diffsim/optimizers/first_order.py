"""Any optimizer of torch.optim on the reweighted loss."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from diffsim.errors import InputError
from diffsim.knots import Grid, knot_values_at, spline_coefficients, values_gradient
from diffsim.optimizers.base import Optimizer, Update, check_option
from diffsim.potentials.model import Model
from diffsim.response.ensemble import Ensemble
from diffsim.response.loss import loss_gradient

# need a function that evaluates the loss again, sparse gradients, or are no optimizer
NOT_FIRST_ORDER = ("LBFGS", "SparseAdam", "Optimizer")
RETREAT = 0.5  # of the learning rate, for good


class FirstOrder(Optimizer):
    """Steps along the exact gradient while the stored frames support it.

    Between two pieces of simulation the frames are reweighted to the changing potential; when their
    effective number falls below a fraction of the latest piece, it is time to simulate again.

    Parameters
    ----------
    name
        Class name in `torch.optim`, in any case: ``adam``, ``SGD``, ...
    min_ess
        Fraction of the latest piece's frames below which the frames are not reused.
    max_steps
        Most steps between two pieces of simulation.
    options
        Passed to the torch optimizer (``lr``, ``betas``, ...).

    Raises
    ------
    InputError
        If torch has no such optimizer, or it does not take the options.
    """

    uses_windows = True
    knows_parts = True

    def __init__(
        self, name: str, min_ess: float = 0.5, max_steps: int = 20, **options: Any
    ) -> None:
        classes = {
            key.lower(): key
            for key in dir(torch.optim)
            if key[0].isupper() and key not in NOT_FIRST_ORDER
        }
        if name.lower() not in classes:
            raise InputError(
                f"The optimizer '{name}' is not known; use gauss-newton, ibi, imc, "
                "relative-entropy or a class of torch.optim "
                f"({', '.join(sorted(classes.values()))})."
            )
        self.name = classes[name.lower()]
        check_option(self.name, "min_ess", min_ess, 1.0)
        check_option(self.name, "max_steps", max_steps, float("inf"))
        self.min_ess = min_ess
        self.max_steps = max_steps
        self.options = options
        self._share = 1.0  # of the learning rate of the options
        self._torch: torch.optim.Optimizer | None = None
        self._state: dict[str, Any] | None = None

    def update(self, potential: Model, grid: Grid, ensembles: Sequence[Ensemble]) -> Update:
        """See `diffsim.optimizers.base.Optimizer`."""
        optimizer = self._optimizer(potential)
        if optimizer.param_groups[0]["params"][0] is not next(
            p for p in potential.parameters() if p.requires_grad
        ):
            raise InputError(
                f"This optimizer ({self.name}) belongs to another potential; make a new one for "
                "each."
            )
        for group in optimizer.param_groups:
            group["lr"] = self._share * optimizer.defaults["lr"]
        temperatures = [ensemble.system.temperature for ensemble in ensembles]
        seconds, steps = 0.0, 0
        while steps < self.max_steps:
            began = time.perf_counter()
            optimizer.zero_grad()
            values = knot_values_at(potential, grid, temperatures)
            states = [
                ensemble.weighted(spline_coefficients(u.detach().numpy()))
                for ensemble, u in zip(ensembles, values, strict=True)
            ]
            if steps and any(
                state.sample_size < self.min_ess * ensemble.latest_length
                for ensemble, state in zip(ensembles, states, strict=True)
            ):
                break
            gradients = [
                ensemble.system.weight * loss_gradient(ensemble, state)[1]
                for ensemble, state in zip(ensembles, states, strict=True)
            ]
            torch.autograd.backward(
                values,
                [
                    torch.tensor(values_gradient(gradient.reshape(len(u), grid.basis_size)))
                    for u, gradient in zip(values, gradients, strict=True)
                ],
            )
            seconds += time.perf_counter() - began
            optimizer.step()
            steps += 1
        return Update(steps, seconds)

    def _optimizer(self, potential: Model) -> torch.optim.Optimizer:
        if self._torch is None:
            parameters = [p for p in potential.parameters() if p.requires_grad]
            try:
                self._torch = getattr(torch.optim, self.name)(parameters, **self.options)
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"torch.optim.{self.name} does not accept the options "
                    f"{self.options} of the optimizer ({error})."
                ) from None
            assert self._torch is not None
            if self._state is not None:
                self._torch.load_state_dict(self._state)
        return self._torch

    def retreat(self) -> None:
        """Halve the learning rate for good."""
        self._share *= RETREAT

    def state_dict(self) -> dict[str, Any]:
        """The state of the torch optimizer, and what retreats have left of the learning rate."""
        state = self._torch.state_dict() if self._torch else self._state
        return {"torch": state, "share": self._share}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` returned."""
        self._share = state["share"]
        self._state = state["torch"]
        self._torch = None
