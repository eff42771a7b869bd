"""LeakGAN's generator in the paper's own form: matrices O_t, and goals summed up by a loop."""

import torch


def paper_logits(generator, tokens):
    """O_t · W_psi (g_t + ... + g_{t-C+1}) for one sequence, the manager's LSTM one step at a time."""
    manager, size = generator.manager, generator.settings.goal_size
    worker = generator.worker.encode(generator.inputs(tokens[None]))[0]
    matrix_weights = generator.head.weight.unflatten(1, (-1, size))  # W_o and b_o: V matrices (H + 1, K)
    features = generator.features.of_prefixes(tokens[None])[0]
    state, past = None, [generator.initial_goal] * generator.settings.horizon
    logits = []
    for hidden, feature in zip(worker, features[:-1], strict=True):
        output, state = manager.lstm(feature[None], state)
        raw = manager.goal.weight @ output[0] + manager.goal.bias
        past = [*past, raw / raw.norm()]
        goal_embedding = generator.goal_embedding @ sum(past[-generator.settings.horizon :])
        matrix = torch.stack(
            [hidden @ weight[:-1] + weight[-1] for weight in matrix_weights]  # O_t, row by row: (V, K)
        )
        logits.append(matrix @ goal_embedding + generator.head.bias + generator.head.forbidden_logits)
    return torch.stack(logits)
