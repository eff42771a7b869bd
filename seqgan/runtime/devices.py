"""Devices, and what may be done on them without waiting."""

import torch
from torch import Tensor


def find_device(name: str) -> torch.device:
    """Return the device of that name; ``auto`` is CUDA where there is one, else the CPU.

    Raises:
        ValueError: There is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"--device: no {name!r}; choose cpu, cuda, cuda:N or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"--device: {name} is not there ({torch.cuda.device_count()} CUDA devices); choose cpu"
        )
    return device


def static_shapes(tensor: Tensor) -> bool:
    """Return whether shapes must not depend on values.

    On a CPU finished rows leave the batch. Elsewhere the program would have to wait for the device to
    read a value, so all rows go on to the end.
    """
    return not tensor.is_cpu
