"""N-grams counted by hand: their numbers, likeness of two sets, the longest copied stretch."""

import math
from collections import Counter


def naive_counts(corpus, n):
    """The count of every (n-gram, sentence) pair."""
    return Counter((tuple(s[i : i + n]), k) for k, s in enumerate(corpus) for i in range(len(s) - n + 1))


def ngrams(corpus, n):
    return Counter(tuple(s[i : i + n]) for s in corpus for i in range(len(s) - n + 1))


def naive_jaccard(first, second, n):
    similarities = []
    for k in range(1, n + 1):
        mine, theirs = ngrams(first, k), ngrams(second, k)
        pairs = [(mine[g] / max(len(first), 1), theirs[g] / max(len(second), 1)) for g in {*mine, *theirs}]
        similarities.append(sum(map(min, pairs)) / sum(map(max, pairs)) if pairs else 1)
    return math.prod(similarities) ** (1 / n)


def entropy(frequencies):
    return -sum(f * math.log(f) for f in frequencies if f)


def naive_jensen_shannon(first, second, n):
    """Entropy of the mixture less the mean entropy."""
    mine, theirs = ngrams(first, n), ngrams(second, n)
    if not mine or not theirs:
        return math.log(2) if mine or theirs else 0
    totals = mine.total(), theirs.total()
    p, q = ({g: c / t for g, c in n.items()} for n, t in zip((mine, theirs), totals, strict=True))
    mixture = [(p.get(g, 0) + q.get(g, 0)) / 2 for g in {*p, *q}]
    return entropy(mixture) - (entropy(p.values()) + entropy(q.values())) / 2


def occurs_in(ngram, sentence):
    return any(sentence[i : i + len(ngram)] == ngram for i in range(len(sentence) - len(ngram) + 1))


def naive_longest(sentence, training):
    pieces = [sentence[i:j] for i in range(len(sentence)) for j in range(i + 1, len(sentence) + 1)]
    return max((len(p) for p in pieces if any(occurs_in(p, s) for s in training)), default=0)
