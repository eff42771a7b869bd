"""BLEU as others computed the tables of their papers: for comparison with these tables only.

BLEU depends more on the number of references than on the model, so a table is comparable with those of
its own protocol alone. Our own figures use all sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from seqgan.evaluation.bleu import References, sentence_self_bleu
from seqgan.evaluation.ngrams import count_ngrams
from seqgan.evaluation.signature import Estimate, Score, Signature
from seqgan.text.sequences import Sequences


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Which sentences count: the first so many of a file; None is all of them."""

    meaning: str
    num_scored: int | None = None
    """Hypotheses that are scored, by BLEU and by self-BLEU."""
    num_references: int | None = None
    """References that they are scored against."""
    num_generated: int | None = None
    """Hypotheses that there are for self-BLEU."""
    lower_case: bool = False
    """Whether the text is lower-cased before it is cut into tokens, which is the caller's part; else its
    case is kept."""


PROTOCOLS = {
    "all": Protocol(meaning="all hypotheses, all references: the published Texygen table (Zhu et al. 2018)"),
    "first-500": Protocol(
        meaning="500 references, self-BLEU among 500 hypotheses: what the Texygen code does by default",
        num_references=500,
        num_generated=500,
    ),
    "first-200-lower": Protocol(
        meaning="200 hypotheses, all references, lower case: RelGAN (Nie et al. 2019), TextGAN-PyTorch; but "
        "self-BLEU against all others, where RelGAN's code has the sentence among its own references",
        num_scored=200,
        lower_case=True,
    ),
}


def find_protocol(name: str) -> Protocol:
    """Return the protocol of that name.

    Raises:
        ValueError: There is none.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"--protocol: there is no {name!r}; choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def score_by_protocol(
    name: str,
    hypotheses: Sequences,
    references: Sequences,
    *,
    tokenizer: str | None = None,
    orders: Sequence[int] = (2, 3, 4, 5),
) -> Score:
    """Measure BLEU-n and self-BLEU-n by a named protocol, which the signature tells; means over sentences.

    Raises:
        ValueError: There is no such protocol, no reference, or fewer than two hypotheses.
    """
    protocol = find_protocol(name)
    scored = count_ngrams(_first(hypotheses, protocol.num_scored), max(orders))
    real = References(_first(references, protocol.num_references), max(orders))
    generated = count_ngrams(_first(hypotheses, protocol.num_generated), max(orders))
    scores = {  # (S, K) each
        "bleu": real.sentence_bleu(scored, orders),
        "self_bleu": sentence_self_bleu(generated, orders)[: protocol.num_scored],
    }
    signature = Signature(
        protocol=name,
        hypotheses=len(scored.sequences),
        references=len(real),
        tokenizer=tokenizer,
        case="lower" if protocol.lower_case else "kept",
        smoothing="method1",
    )
    estimates = {
        f"{name}_{n}": Estimate.mean(column)
        for name, columns in scores.items()
        for n, column in zip(orders, columns.T, strict=True)
    }
    return Score.from_estimates(estimates, signature)


def _first(sequences: Sequences, number: int | None) -> Sequences:
    """Return as many sequences as there are, up to ``number``."""
    offsets = sequences.offsets[: None if number is None else number + 1]
    return Sequences(sequences.ids[: offsets[-1]], offsets)
