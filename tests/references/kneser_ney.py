"""Interpolated Kneser–Ney as the textbook has it: a recursion over dictionaries, one n-gram at a time."""

import math
from collections import Counter, defaultdict

START = "start"


class Plain:
    """The textbook's recursion, one n-gram at a time."""

    def __init__(self, corpus, order, size, discount):
        self.size, self.order = size, order
        padded = [[START, *s] for s in corpus]
        occurrences, before = Counter(), defaultdict(set)
        for s in padded:
            for n in range(1, order + 1):
                for i in range(len(s) - n + 1):
                    ngram = tuple(s[i : i + n])
                    occurrences[ngram] += 1
                    if i:
                        before[ngram].add(s[i - 1])
        self.counts = defaultdict(dict)  # by history
        for ngram, number in occurrences.items():
            raw = len(ngram) == order or ngram[0] == START
            if ngram != (START,):
                self.counts[ngram[:-1]][ngram[-1]] = number if raw else len(before[ngram])
        self.discounts = {}
        for n in range(1, order + 1):
            of_counts = Counter(c for h, d in self.counts.items() if len(h) == n - 1 for c in d.values())
            self.discounts[n] = self.discount(of_counts, discount)

    @staticmethod
    def discount(n, given):
        if given is not None:
            return (given, given, given)
        y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0
        return [
            max(0.01, 1 - 2 * y * n[2] / n[1]) if n[1] else 0.5,
            max(0.01, 2 - 3 * y * n[3] / n[2]) if n[2] else 1.0,
            max(0.01, 3 - 4 * y * n[4] / n[3]) if n[3] else 1.5,
        ]

    def probability(self, word, history):
        followers = self.counts.get(history, {})
        lower = self.probability(word, history[1:]) if history else 1 / self.size
        if not followers:
            return lower
        d = self.discounts[len(history) + 1]
        total = sum(followers.values())
        left_over = sum(d[min(c, 3) - 1] for c in followers.values())
        count = followers.get(word, 0)
        return ((count - d[min(count, 3) - 1] if count else 0) + left_over * lower) / total

    def log_prob(self, sentence):
        padded = (START, *sentence)
        return sum(
            math.log(self.probability(padded[i], padded[max(0, i - self.order + 1) : i]))
            for i in range(1, len(padded))
        )
