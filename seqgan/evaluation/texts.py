"""Generated text beside real text, and what several metrics of text share, prepared once when asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int

from seqgan.evaluation.bleu import References, sentence_self_bleu
from seqgan.evaluation.diversity import distinct
from seqgan.evaluation.kneser_ney import KneserNey, fit_kneser_ney, with_end
from seqgan.evaluation.ngrams import NgramCounts, count_ngrams
from seqgan.evaluation.overlap import Similarity, common_ngrams, jaccard_similarity, ngram_jensen_shannon
from seqgan.text.sequences import Sequences

ORDERS = (2, 3, 4, 5)  # of the n-grams that are measured
LANGUAGE_MODEL_ORDER = 5
UNMATCHED = np.int32(2**31 - 1)  # in the place of a generated unknown word; no vocabulary has this id

Strings = Callable[[], Sequence[str]]


@dataclass(frozen=True, eq=False)
class RealText:
    """Held-out references, and the training text where copies of it are looked for; words without EOS.

    What is prepared of them is prepared once, for any number of generated texts.
    """

    references: Sequences
    training: Sequences | None = None
    unknown: int | None = None
    """The id that stands for every word outside the vocabulary, where there is one."""
    strings: Strings | None = None
    """Return the references as text, for metrics that read strings; by default their ids in decimal."""

    @cached_property
    def sentences(self) -> list[str]:
        """The references as text."""
        return _sentences(self.references, self.strings)

    @cached_property
    def bleu(self) -> References:
        """The references' n-grams.

        Raises:
            ValueError: There are no references.
        """
        return References(self.references, max(ORDERS))

    @cached_property
    def words(self) -> Int[np.ndarray, "W"]:
        """The ids of the references' words, ascending; the unknown word is one of them if it occurs."""
        return np.unique(self.references.ids)

    @cached_property
    def language_model(self) -> KneserNey:
        """Kneser-Ney 5-grams of the references."""
        return self.fit(self.references)

    def fit(self, sequences: Sequences) -> KneserNey:
        """Fit a language model over the references' words, one class of words that they lack, and EOS."""
        size = len(self.words) + 2
        return fit_kneser_ney(self.closed(sequences), order=LANGUAGE_MODEL_ORDER, vocabulary_size=size)

    def closed(self, sequences: Sequences) -> Sequences:
        """Return each sequence in the language model's ids, with EOS behind it.

        All words that the references lack are one. The unknown word is a word like any other, of generated
        and of real text alike: it is what both have in the place of rare words.
        """
        lacking = len(self.words)
        places = np.searchsorted(self.words, sequences.ids)
        known = np.append(self.words, -1)[places] == sequences.ids
        ids = np.where(known & (places < lacking), places, lacking).astype(np.int32)
        return with_end(Sequences(ids, sequences.offsets), lacking + 1)


class TextPair:
    """Generated sentences (words without EOS) beside real text."""

    def __init__(self, words: Sequences, real: RealText, strings: Strings | None = None) -> None:
        self.words = words
        self.real = real
        self.strings = strings

    @cached_property
    def sentences(self) -> list[str]:
        """The generated sentences as text."""
        return _sentences(self.words, self.strings)

    @cached_property
    def hypotheses(self) -> Sequences:
        """The words as they are matched: an unknown one equals no word of the real text.

        Among the samples themselves (self-BLEU) it is a word like any other.
        """
        if self.real.unknown is None:
            return self.words
        ids = np.where(self.words.ids == self.real.unknown, UNMATCHED, self.words.ids)
        return Sequences(ids, self.words.offsets)

    @cached_property
    def ngrams(self) -> "NgramComparison":
        """Their n-grams beside the references'; which sentence holds which is forgotten again."""
        return compare_ngrams(count_ngrams(self.hypotheses, max(ORDERS)), self.real.bleu)


@dataclass(frozen=True, eq=False)
class NgramComparison:
    """Everything that is measured on the n-grams of S hypotheses and R references, for K orders."""

    bleu: Float64[np.ndarray, "S K"]
    """Of each hypothesis, for each of ``ORDERS``."""
    self_bleu: Float64[np.ndarray, "S K"]
    """Of each hypothesis against all the others."""
    backward_bleu: Float64[np.ndarray, "R K"]
    """Of each reference against all hypotheses."""
    distinct: Sequence[float]
    """Distinct-n for each order from 1 up."""
    similarities: Sequence[Similarity]
    """The Jaccard similarity of both sides for each order from 1 up."""
    divergences: Sequence[float]
    """The Jensen-Shannon divergence of both sides for each order from 1 up."""


def compare_ngrams(hypotheses: NgramCounts, real: References) -> NgramComparison:
    """Compare the n-grams of the generated text with those of the references.

    Raises:
        ValueError: There are fewer than two hypotheses.
    """
    common = common_ngrams(hypotheses, real.counts)
    return NgramComparison(
        bleu=real.sentence_bleu(hypotheses, ORDERS),
        self_bleu=sentence_self_bleu(hypotheses, ORDERS),
        backward_bleu=References(hypotheses).sentence_bleu(real.counts, ORDERS),
        distinct=[distinct(hypotheses, n) for n in range(1, hypotheses.max_order + 1)],
        similarities=[jaccard_similarity(hypotheses, real.counts, c, n) for n, c in enumerate(common, 1)],
        divergences=[ngram_jensen_shannon(one) for one in common],
    )


def _sentences(sequences: Sequences, strings: Strings | None) -> list[str]:
    if strings is not None:
        return list(strings())
    return [" ".join(map(str, sequences[i])) for i in range(len(sequences))]
