"""Checks of generators and discriminators that are written elsewhere."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from seqgan.models.discriminator import Discriminator
from seqgan.models.generator import Generator, State
from seqgan.models.inference import inference
from seqgan.runtime.files import first_line
from seqgan.text.token_batch import TokenBatch

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


def check_discriminator(discriminator: Discriminator, name: str, batch: TokenBatch) -> None:
    """Have a discriminator judge a batch, of which some rows should be shorter than others.

    Raises:
        ValueError: It raises, its results have a wrong type or shape, are not finite or carry no gradient, it
            changes what it reads, or its logits depend on what is behind the mask; one line that names it.
    """
    try:
        with inference(discriminator), torch.enable_grad():
            problem = _discriminator_problem(discriminator, batch)
    except Exception as error:  # somebody else's code may fail in any way
        raise ValueError(
            f"discriminator {name}: raised {type(error).__name__}: {first_line(error)}"
        ) from error
    if problem:
        raise ValueError(f"discriminator {name}: {problem}")


def _discriminator_problem(discriminator: Discriminator, batch: TokenBatch) -> str | None:
    """Return what is wrong with what a discriminator makes of a batch, or None."""
    rows, steps = batch.tokens.shape
    given = TokenBatch(batch.tokens.clone(), batch.mask.clone())
    logits: object = discriminator.logits(given)
    if problem := _wrong(logits, "logits", (rows,)) or _not_float(logits, "logits"):
        return problem
    assert isinstance(logits, Tensor)
    if not logits.requires_grad:
        return "no gradient reaches the logits"
    with torch.no_grad():
        scores: object = discriminator.scoring_logits(given)
    if problem := _wrong(scores, "scoring_logits", (rows,)) or _not_float(scores, "scoring_logits"):
        return problem
    prefixes: object = discriminator.prefix_logits(given)
    if problem := _wrong(prefixes, "prefix_logits", (rows, steps), batch.mask):
        return problem
    if problem := _not_float(prefixes, "prefix_logits"):
        return problem
    penalty: object = discriminator.penalty()
    if problem := _wrong(penalty, "penalty", ()) or _not_float(penalty, "penalty"):
        return problem
    if not (torch.equal(given.tokens, batch.tokens) and torch.equal(given.mask, batch.mask)):
        return "changes the batch that it reads"
    other = TokenBatch(torch.where(batch.mask, batch.tokens, batch.tokens.flip(0)), batch.mask.clone())
    if not torch.allclose(discriminator.logits(other), logits, RELATIVE, ABSOLUTE):
        return "the logits depend on tokens behind the mask"
    return None


def _not_float(found: object, name: str) -> str | None:
    """Return what is wrong with the type of a result's numbers, or None."""
    assert isinstance(found, Tensor)
    if found.dtype != (wanted := torch.get_default_dtype()):
        return f"{name} returned numbers of type {found.dtype}; they must be {wanted}"
    return None


def _wrong(
    found: object, name: str, shape: tuple[int | str, ...], real: Bool[Tensor, "B T"] | None = None
) -> str | None:
    """Return what is wrong with a result that must have this shape; a letter stands for any number.

    With ``real`` only the numbers where it is True must be finite.
    """
    if not isinstance(found, Tensor):
        return f"{name} returned {type(found).__name__}; it must return a tensor"
    fits = all(
        isinstance(wanted, str) or wanted == own for wanted, own in zip(shape, found.shape, strict=False)
    )
    if found.dim() != len(shape) or not fits:
        wanted = ", ".join(map(str, shape))
        return f"{name} returned a tensor of shape {tuple(found.shape)}; it must be ({wanted})"
    if not torch.isfinite(found if real is None else found[real]).all():
        return f"{name} returned a number that is not finite (NaN or infinity)"
    return None
