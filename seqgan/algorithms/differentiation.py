"""Gradients of objectives of next-token distributions, without a (B, T, V) tensor."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqgan.models.generator import Generator
from seqgan.models.inference import inference
from seqgan.models.kernels.cross_entropy import ROWS_PER_CHUNK
from seqgan.runtime import devices
from seqgan.text.token_batch import TokenBatch

Terms = tuple[Float[Tensor, ""], Mapping[str, Float[Tensor, ""]]]
"""An objective with its gradient, and metrics without one; both add up over chunks."""
Objective = Callable[[Float[Tensor, "R V"], Int[Tensor, "R"]], Terms]
"""Takes the log-probabilities of all next tokens at R places, and the places among the B·T of the batch."""


def differentiate(
    policy: Generator, batch: TokenBatch, objective: Objective, *, temperature: float = 1.0
) -> dict[str, Tensor]:
    """Add the gradient of the objective, summed over the real tokens, to the policy's parameters.

    The chain rule is cut at the hidden vectors. Above them a few places at a time are differentiated down
    to a leaf that holds the hidden vectors, so that R of the B·T rows of V logits exist at once; below them
    the gradient that has gathered in the leaf goes back through the whole batch in one pass. The sum of the
    chunks' gradients is the gradient of the sum, whatever the policy is made of.

    Returns:
        The sums of the objective's metrics.
    """
    places = torch.arange(batch.mask.numel(), device=batch.device)
    if not devices.static_shapes(batch.mask):  # elsewhere the weights of padding are 0
        places = places[batch.mask.flatten()]
    hidden = policy.hidden(batch).flatten(0, 1)[places]  # (N, H), with the graph below
    leaf = hidden.detach().requires_grad_()  # (N, H), where the graph above ends
    totals: dict[str, Tensor] = {}
    for chunk in _slices(len(places), ROWS_PER_CHUNK.get(batch.device.type, 8192)):
        log_probs = torch.log_softmax(policy.head.logits(leaf[chunk]) / temperature, -1)  # (R, V)
        value, metrics = objective(log_probs, places[chunk])
        value.backward()  # type: ignore[no-untyped-call]
        for name, part in metrics.items():
            totals[name] = totals[name] + part if name in totals else part
    hidden.backward(leaf.grad)  # type: ignore[no-untyped-call]
    return totals


def frozen_log_probs(
    generator: Generator, batch: TokenBatch, *, temperature: float = 1.0
) -> Callable[[Int[Tensor, "R"]], Float[Tensor, "R V"]]:
    """Read the batch once; return a function from places to log-probabilities of all next tokens.

    For a reference policy beside :func:`differentiate`, in as little memory and without gradient.
    """
    with inference(generator):
        hidden = generator.hidden(batch).flatten(0, 1)  # (B·T, H)

    def log_probs(places: Int[Tensor, "R"]) -> Float[Tensor, "R V"]:
        with torch.no_grad():
            return torch.log_softmax(generator.head.logits(hidden[places]) / temperature, -1)

    return log_probs


def log_probs_of(
    generator: Generator, batch: TokenBatch, actions: Int[Tensor, "B T K"], *, temperature: float = 1.0
) -> Float[Tensor, "B T K"]:
    """Return the log-probabilities of actions at every step, without gradient; no meaning behind the mask."""
    lookup = frozen_log_probs(generator, batch, temperature=temperature)
    actions = actions.flatten(0, 1)  # (B·T, K)
    found = torch.zeros(actions.shape, device=batch.device)
    for chunk in _slices(len(actions), ROWS_PER_CHUNK.get(batch.device.type, 8192)):
        places = torch.arange(len(actions), device=batch.device)[chunk]
        found[chunk] = lookup(places).gather(-1, actions[chunk])
    return found.view(*batch.mask.shape, -1)


def _slices(total: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, total, size)]
