"""The metrics of generated text against real text, on n-grams that are counted once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seqgan.evaluation.bleu import References, bleu_f1, means_by_order, sentence_self_bleu
from seqgan.evaluation.copying import longest_copied, novelty
from seqgan.evaluation.diversity import distinct, unique_share
from seqgan.evaluation.kneser_ney import KneserNey, fit_kneser_ney, with_end
from seqgan.evaluation.ngrams import count_ngrams
from seqgan.evaluation.overlap import length_deviation, length_distance, ms_jaccard, ngram_jensen_shannon
from seqgan.evaluation.signature import Estimate
from seqgan.text.sequences import Sequences

LANGUAGE_MODEL_ORDER = 5


@dataclass(frozen=True, eq=False)
class RealText:
    """Held-out references, and the training text where copies of it are looked for; words without EOS.

    What is prepared of them is prepared once, for any number of generated texts.
    """

    references: Sequences
    training: Sequences | None = None
    max_order: int = 5

    @cached_property
    def bleu(self) -> References:
        """The references' n-grams.

        Raises:
            ValueError: There are no references.
        """
        return References(self.references, self.max_order)

    @cached_property
    def words(self) -> np.ndarray:
        """The ids of the references' words, ascending."""
        return np.unique(self.references.ids)

    @cached_property
    def language_model(self) -> KneserNey:
        """Of the references."""
        return self.fit(self.references)

    def fit(self, sequences: Sequences) -> KneserNey:
        """A language model over the references' words, the unknown word and EOS."""
        size = len(self.words) + 2
        return fit_kneser_ney(self.closed(sequences), order=LANGUAGE_MODEL_ORDER, vocabulary_size=size)

    def closed(self, sequences: Sequences) -> Sequences:
        """Each sequence in the language model's ids: words the references lack are one word; EOS ends it."""
        unknown = len(self.words)
        places = np.searchsorted(self.words, sequences.ids)
        known = np.append(self.words, -1)[places] == sequences.ids
        ids = np.where(known & (places < unknown), places, unknown).astype(np.int32)
        return with_end(Sequences(ids, sequences.offsets), unknown + 1)


def text_metrics(
    hypotheses: Sequences, real: RealText | Sequences, orders: Sequence[int] = (2, 3, 4, 5)
) -> dict[str, Estimate]:
    """Quality, diversity and what both have in common with the real text, named as in :mod:`.metrics`.

    BLEU-n, backward BLEU-n and self-BLEU-n are means over sentences. ``novelty`` and
    ``longest_copied`` (its mean) are there where the real text has a training part. The perplexities
    are of Kneser–Ney models of order 5: forward, of the hypotheses under a model of the references;
    reverse, of the references under a model of the hypotheses.

    Raises:
        ValueError: There are fewer than two hypotheses, no references, or an order below 1 or not counted.
    """
    if not isinstance(real, RealText):
        real = RealText(real, max_order=max(orders))
    counted = _counted_metrics(hypotheses, real.bleu, orders)
    copies = {} if real.training is None else _copies(hypotheses, real.training)
    reverse = real.fit(hypotheses).perplexity(real.closed(real.references))
    return {  # what needs memory for a while comes before the model that is kept
        **counted,
        "unique": Estimate(unique_share(hypotheses)),
        "mean_length": Estimate.mean(hypotheses.lengths.astype(np.float64)),
        "length_deviation": Estimate(length_deviation(hypotheses)),
        "length_distance": Estimate(length_distance(hypotheses, real.references)),
        "forward_perplexity": real.language_model.perplexity(real.closed(hypotheses)),
        "reverse_perplexity": reverse,
        **copies,
    }


def _counted_metrics(
    hypotheses: Sequences, references: References, orders: Sequence[int]
) -> dict[str, Estimate]:
    """What needs to know which sentence holds which n-gram; that of the hypotheses is not kept."""
    counts = count_ngrams(hypotheses, max(orders))
    scores = {
        "bleu": references.sentence_bleu(counts, orders),
        "self_bleu": sentence_self_bleu(counts, orders),
        "backward_bleu": References(counts).sentence_bleu(references.counts, orders),
    }
    of_sets = {
        "bleu_f1": bleu_f1(scores["bleu"].mean(0), scores["backward_bleu"].mean(0)),
        "distinct": np.array([distinct(counts, n) for n in orders]),
        "ms_jaccard": ms_jaccard(counts, references.counts, orders),
        "ngram_js": ngram_jensen_shannon(counts, references.counts, orders),
    }
    return means_by_order(scores, orders) | {
        f"{name}_{n}": Estimate(float(value))
        for name, values in of_sets.items()
        for n, value in zip(orders, values, strict=True)
    }


def _copies(hypotheses: Sequences, training: Sequences) -> dict[str, Estimate]:
    copied = longest_copied(hypotheses, training).astype(np.float64)
    return {"novelty": Estimate(novelty(hypotheses, training)), "longest_copied": Estimate.mean(copied)}
