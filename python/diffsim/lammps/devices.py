"""Names of devices, as pair_style diffsim has them: "cpu", "cuda" and "cuda:N"."""

from __future__ import annotations

import re

from diffsim import _core
from diffsim.errors import InputError

DEVICE = r"cpu|cuda(:\d+)?"
"""What a name looks like."""


def check_device(device: str) -> None:
    """Refuse a GPU that is not there.

    Raises
    ------
    InputError
        If the device is none, or this machine has no such GPU.
    """
    kind, _, number = device.partition(":")
    if not re.fullmatch(DEVICE, device):
        raise InputError(
            f"The device is '{device}'; it must be 'cpu', 'cuda', or 'cuda:N' with the number N of "
            "a GPU."
        )
    if kind == "cpu":
        return
    try:
        count = _core.gpu_count()
    except RuntimeError as error:
        raise InputError(f"Simulations are to run on the device '{device}'. {error}") from None
    if number and int(number) >= count:
        raise InputError(
            f"Simulations are to run on the device '{device}', but this machine has {count} GPUs, "
            "numbered from 0."
        )


def gpu_number(device: str) -> int | None:
    """Number of the GPU; None for the processor."""
    kind, _, number = device.partition(":")
    return None if kind == "cpu" else int(number or 0)


def device_of_process(device: str, local_rank: int) -> str:
    """The device of the process of a number on its machine, of which "cuda" gives each a GPU in
    turn."""
    return f"cuda:{local_rank % _core.gpu_count()}" if device == "cuda" else device
