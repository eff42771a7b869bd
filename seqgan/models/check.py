"""A check of generators that are written elsewhere."""

import torch
from jaxtyping import Int
from torch import Tensor

from seqgan.models.generator import Generator, State
from seqgan.models.inference import inference
from seqgan.runtime.files import first_line

ROWS, STEPS = 3, 3  # that are read token by token
RELATIVE, ABSOLUTE = 1e-2, 1e-3  # what two ways of computing the same in float32 may differ by


def check_generator(generator: Generator, name: str, max_length: int) -> None:
    """Read a few sequences of the greatest length by a generator, at once and token by token.

    Raises:
        ValueError: It raises, or its results have a wrong type or shape, are not finite, carry no gradient or
            are not equal in both ways; one line that names it.
    """
    try:
        size = generator.vocabulary_size
        tokens = torch.arange(ROWS * max_length, device=generator.device).view(ROWS, max_length) % size
        with inference(generator), torch.enable_grad():
            problem = _problem(generator, generator.inputs(tokens))
    except Exception as error:  # somebody else's code may fail in any way
        raise ValueError(f"generator {name}: raised {type(error).__name__}: {first_line(error)}") from error
    if problem:
        raise ValueError(f"generator {name}: {problem}")


def _problem(generator: Generator, inputs: Int[Tensor, "B T"]) -> str | None:
    """Return what is wrong with what a generator makes of the inputs, or None."""
    shape = tuple(inputs.shape)
    hidden = generator.encode(inputs)  # (B, T, H)
    if problem := _wrong(hidden, "encode", (*shape, "H")):
        return problem
    logits = generator.head.logits(hidden)
    if problem := _wrong(logits, "the head", (*shape, generator.vocabulary_size)):
        return problem
    if not logits.requires_grad:
        return "no gradient reaches the logits"
    state = generator.initial_state(ROWS)
    for step in range(min(STEPS, shape[1])):
        result = generator.advance(inputs[:, step], state)
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], State)):
            return f"advance returned {type(result).__name__}; it must return hidden vectors and a State"
        vectors, state = result[0], result[1].repeat(2).select(slice(None, None, 2))
        if problem := _wrong(vectors, "advance", (ROWS, hidden.shape[2])):
            return problem
        if not torch.allclose(vectors, hidden[:, step], RELATIVE, ABSOLUTE):
            difference = (vectors - hidden[:, step]).abs().max().item()
            return f"advance and encode differ by {difference:.2g} at step {step + 1}; they must be equal"
    return None


def _wrong(found: object, name: str, shape: tuple[int | str, ...]) -> str | None:
    """Return what is wrong with a result that must have this shape; a letter stands for any number."""
    if not isinstance(found, Tensor):
        return f"{name} returned {type(found).__name__}; it must return a tensor"
    fits = all(
        isinstance(wanted, str) or wanted == own for wanted, own in zip(shape, found.shape, strict=False)
    )
    if found.dim() != len(shape) or not fits:
        wanted = ", ".join(map(str, shape))
        return f"{name} returned a tensor of shape {tuple(found.shape)}; it must be ({wanted})"
    if not torch.isfinite(found).all():
        return f"{name} returned a number that is not finite (NaN or infinity)"
    return None
