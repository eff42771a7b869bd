"""A generator read one token at a time, as it is sampled from."""

import torch


def step(generator, tokens, state):
    """The logits behind one more token, and the state."""
    hidden, state = generator.advance(tokens, state)
    return generator.head.logits(hidden), state


def read_step_by_step(generator, tokens):
    state = generator.initial_state(len(tokens))
    last, logits = torch.full((len(tokens),), generator.bos_id), []
    for token in tokens.unbind(1):
        next_logits, state = step(generator, last, state)
        logits.append(next_logits)
        last = token
    return torch.stack(logits, 1)
