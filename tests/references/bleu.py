"""BLEU and self-BLEU by nltk, one sentence at a time, with uniform weights and smoothing 1."""

import numpy as np
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

ORDERS = (2, 3, 4, 5)


def nltk_bleu(references, hypothesis, orders=ORDERS):
    weights = [(1 / n,) * n for n in orders]
    return np.broadcast_to(
        sentence_bleu(references, hypothesis, weights, SmoothingFunction().method1), len(orders)
    )


def nltk_self_bleu(corpus, orders=ORDERS):
    return [nltk_bleu(corpus[:i] + corpus[i + 1 :], s, orders) for i, s in enumerate(corpus)]
