"""Devices, and what may be done on them without waiting."""

from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def without_subnormals() -> Iterator[None]:
    """Take numbers below 1e-38 for 0 on the CPU: they mean nothing here, and cost a hundred times as much.

    Probabilities of a trained model and Adam's moments fall so low. It holds for this thread, until the end.
    """
    before = bool(torch.tensor(1e-30).mul(1e-10) == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
