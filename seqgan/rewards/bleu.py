"""BLEU as a reward: PG-BLEU, a baseline of Yu et al. 2017."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.evaluation.bleu import References
from seqgan.evaluation.ngrams import count_ngrams
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class BleuRewardSettings(KindSettings):
    """Settings of BLEU as a reward."""

    kind: str = "bleu"
    order: Annotated[int, Range(minimum=1, maximum=5)] = 4
    """Longest n-grams that count; 1 to 5."""
    references: Literal["train", "validation"] = "train"
    """Part of the corpus that sequences are compared with."""


class BleuReward:
    """BLEU of each sequence against all of a part of the corpus, with smoothing method 1; see `evaluation`.

    It is highest for copies of that text, and says nothing of diversity.
    """

    def __init__(self, settings: BleuRewardSettings, *, corpus: PreparedCorpus, eos_id: int | None) -> None:
        self.settings = settings
        self.eos_id = eos_id
        real = corpus.sequences(settings.references).without(eos_id)
        self.references = References(real, settings.order)

    def __call__(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return a number from 0 to 1 for each sequence; counted on the CPU."""
        words = batch.mask if self.eos_id is None else batch.mask & (batch.tokens != self.eos_id)
        sequences = Sequences.from_padded(batch.tokens.cpu().numpy(), words.cpu().numpy())
        order = self.settings.order
        scores = self.references.sentence_bleu(count_ngrams(sequences, order), (order,))[:, 0]
        return torch.from_numpy(scores).to(batch.device, torch.get_default_dtype())
