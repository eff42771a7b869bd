"""The oracle: an LSTM whose known weights stand for the true distribution (Yu et al. 2017, section 4)."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seqgan.models.generator import Generator
from seqgan.models.heads import LinearHead
from seqgan.models.lstm import LSTMGenerator, LSTMSettings
from seqgan.runtime.checkpoint import load_weights
from seqgan.runtime.files import read_arrays

GATES = ("i", "f", "c", "o")  # the file's names of input, forget, candidate and output, in torch's order

OFFICIAL_OUTPUT_WEIGHT = "ffba65d059dd2e3a51a4efd96fb482084c7fb8c5d5f4aa445ffc92ea60f6eb4d"


def load_oracle(path: Path | str) -> LSTMGenerator:
    """Return the oracle whose parameters lie in an ``.npz`` file: start token 0, nothing forbidden.

    Arrays: ``embedding`` (V, E); for each gate g in i, f, o (output) and c (candidate) ``W_g`` (E, H),
    ``U_g`` (H, H) and ``b_g`` (H,), used as x·W + h·U + b; ``W_out`` (H, V) and ``b_out`` (V,).

    Raises:
        ValueError: The file cannot be read, or an array is missing or of the wrong shape.
    """
    arrays = _read(Path(path))
    vocabulary_size, embedding_size = arrays["embedding"].shape
    settings = LSTMSettings(
        embedding_size=embedding_size, hidden_size=len(arrays["W_out"]), initial_scale=0.0
    )
    oracle = LSTMGenerator(settings, vocabulary_size=vocabulary_size, bos_id=0)
    oracle.load_state_dict(
        {
            "embedding.weight": arrays["embedding"],
            "lstm.weight_ih_l0": torch.cat([arrays[f"W_{gate}"].t() for gate in GATES]),
            "lstm.weight_hh_l0": torch.cat([arrays[f"U_{gate}"].t() for gate in GATES]),
            "lstm.bias_ih_l0": torch.cat([arrays[f"b_{gate}"] for gate in GATES]),
            "lstm.bias_hh_l0": oracle.lstm.bias_hh_l0,
            "head.weight": arrays["W_out"].t(),
            "head.bias": arrays["b_out"],
        }
    )
    return _frozen(oracle)


def random_oracle(
    rng: torch.Generator, *, vocabulary_size: int = 5000, embedding_size: int = 32, hidden_size: int = 32
) -> LSTMGenerator:
    """Build an oracle with every parameter drawn from N(0, 1), start token 0, nothing forbidden."""
    settings = LSTMSettings(embedding_size=embedding_size, hidden_size=hidden_size, initial_scale=1.0)
    return _frozen(LSTMGenerator(settings, vocabulary_size=vocabulary_size, bos_id=0, rng=rng))


def is_official(oracle: Generator) -> bool:
    """Return whether it is that of the official SeqGAN code, by the SHA-256 of its float32 output."""
    if not isinstance(oracle.head, LinearHead):
        return False
    weight = oracle.head.weight.detach().float().cpu().contiguous()
    return hashlib.sha256(weight.numpy().tobytes()).hexdigest() == OFFICIAL_OUTPUT_WEIGHT


def restore_oracle(state: Mapping[str, Tensor]) -> LSTMGenerator:
    """Return an oracle of any size, restored from its ``state_dict``.

    Raises:
        ValueError: A tensor is missing, or of another shape or type than an oracle's; names it.
    """
    (vocabulary_size, embedding_size), hidden_size = (
        state["embedding.weight"].shape,
        state["head.weight"].shape[1],
    )
    settings = LSTMSettings(embedding_size=embedding_size, hidden_size=hidden_size, initial_scale=0.0)
    oracle = LSTMGenerator(settings, vocabulary_size=vocabulary_size, bos_id=0)
    load_weights(oracle, state)
    return _frozen(oracle)


def _frozen(oracle: LSTMGenerator) -> LSTMGenerator:
    return oracle.eval().requires_grad_(False)


def _read(path: Path) -> dict[str, Tensor]:
    """Return the arrays of an oracle file as float32 tensors, their names and shapes checked."""
    arrays = read_arrays(path)
    embedding, output = arrays.get("embedding"), arrays.get("W_out")
    if embedding is None or output is None or embedding.ndim != 2 or output.ndim != 2:
        raise ValueError(f"{path}: an oracle needs the matrices embedding (V, E) and W_out (H, V)")
    if min(embedding.shape) < 1 or min(output.shape) < 1 or len(embedding) < 2:
        raise ValueError(
            f"{path}: embedding is {embedding.shape} and W_out {output.shape}; an oracle needs V of 2 or more"
        )
    vocabulary_size, embedding_size = embedding.shape
    hidden_size = output.shape[0]
    shapes: dict[str, tuple[int, ...]] = {
        "embedding": (vocabulary_size, embedding_size),
        "W_out": (hidden_size, vocabulary_size),
        "b_out": (vocabulary_size,),
    }
    for gate in GATES:
        shapes[f"W_{gate}"] = (embedding_size, hidden_size)
        shapes[f"U_{gate}"] = (hidden_size, hidden_size)
        shapes[f"b_{gate}"] = (hidden_size,)
    for name, shape in shapes.items():
        if name not in arrays or arrays[name].shape != shape:
            found = arrays[name].shape if name in arrays else "nothing"
            raise ValueError(f"{path}: {name} is {found}; it must be an array of shape {shape}")
        if not np.issubdtype(arrays[name].dtype, np.floating) or not np.isfinite(arrays[name]).all():
            raise ValueError(f"{path}: {name} holds something other than finite floating-point numbers")
    return {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in shapes}
