"""Evaluation mode for scoring and sampling."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def inference(*modules: nn.Module) -> Iterator[None]:
    """Enter evaluation mode without gradient; every submodule's own mode is restored afterwards."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    for module in modules:
        module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode
