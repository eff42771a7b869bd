"""The oracle LSTM from the arrays of its file, by its equations in float64."""

import numpy as np


def reference_logits(arrays, tokens):
    """The oracle's equations, one number array at a time, in float64."""
    a = {name: array.astype(np.float64) for name, array in arrays.items()}
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    h, c, logits = np.zeros(len(a["W_out"])), np.zeros(len(a["W_out"])), []
    for token in [0, *tokens[:-1]]:
        x = a["embedding"][token]
        i, f, o, candidate = (x @ a[f"W_{g}"] + h @ a[f"U_{g}"] + a[f"b_{g}"] for g in "ifoc")
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(c)
        logits.append(h @ a["W_out"] + a["b_out"])
    return np.stack(logits)
