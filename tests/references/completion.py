"""A prompt completed without a state: every token by reading all before it again."""

import torch


def naive_completion(generator, prompt, uniforms, eos_id):
    """One sequence, read anew for every token, drawn by the cumulative sum of its softmax."""
    read, tokens, log_probs = [generator.bos_id, *prompt], [], []
    for uniform in uniforms.tolist():
        logits = generator.head.logits(generator.encode(torch.tensor([read]))[:, -1])
        log_softmax = logits[0].double().log_softmax(-1)
        token = int(torch.searchsorted(log_softmax.exp().cumsum(0), uniform, right=True))
        read.append(token)
        tokens.append(token)
        log_probs.append(float(log_softmax[token]))
        if token == eos_id:
            break
    return tokens, log_probs
