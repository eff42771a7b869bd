"""The metrics of generated text against real text, in one pass over its n-grams."""

from collections.abc import Sequence

from seqgan.evaluation.bleu import References, sentence_self_bleu
from seqgan.evaluation.diversity import distinct, mean_length, unique_share
from seqgan.evaluation.ngrams import count_ngrams
from seqgan.text.sequences import Sequences


def text_metrics(
    hypotheses: Sequences, references: References | Sequences, orders: Sequence[int] = (2, 3, 4, 5)
) -> dict[str, float]:
    """Quality and diversity: ``bleu_n``, ``self_bleu_n``, ``distinct_n``, ``unique`` and ``mean_length``.

    BLEU-n and self-BLEU-n are means over sentences, from 0 to 1. A set of references that is used
    again is best counted once, as :class:`References`.

    Raises:
        ValueError: There are fewer than two hypotheses, no references, or an order below 1 or not counted.
    """
    if not isinstance(references, References):
        references = References(references, max(orders))
    counts = count_ngrams(hypotheses, max(orders))
    self_bleu = sentence_self_bleu(counts, orders).mean(0)
    bleu = references.sentence_bleu(counts, orders).mean(0)
    return {
        **{f"bleu_{n}": float(value) for n, value in zip(orders, bleu, strict=True)},
        **{f"self_bleu_{n}": float(value) for n, value in zip(orders, self_bleu, strict=True)},
        **{f"distinct_{n}": distinct(counts, n) for n in orders},
        "unique": unique_share(hypotheses),
        "mean_length": mean_length(hypotheses),
    }
