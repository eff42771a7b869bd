"""Sentences for people, and the token ids that models read and write."""

from collections.abc import Sequence
from typing import Any

import torch

from seqgan.evaluation.likelihood import sequence_nll
from seqgan.models.generator import Generator
from seqgan.models.kernels.fast_linear import Precision
from seqgan.runtime.seeding import make_rng
from seqgan.sampling.decoding import Temperature, temperature_value
from seqgan.sampling.sample import sample
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.batching import pad
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.sequences import Sequences


class Language:
    """The words of a corpus: sentences to ids and back, sampled from generators and scored by them."""

    def __init__(self, corpus: PreparedCorpus, *, precision: Precision) -> None:
        self.vocabulary = corpus.vocabulary
        self.tokenizer = corpus.build_tokenizer()
        self.max_length = corpus.max_length
        self.precision: Precision = precision

    def encode(self, sentence: str) -> list[int]:
        """Token ids of a sentence, with EOS where the vocabulary has one."""
        return self.vocabulary.encode(self.tokenizer.tokenize(sentence))

    def decode(self, ids: Sequence[int]) -> str:
        """A sentence for people."""
        return self.tokenizer.detokenize(self.vocabulary.decode(ids))

    def sample_ids(
        self,
        generator: Generator,
        num_sequences: int,
        *,
        rng: torch.Generator,
        max_length: int | None = None,
        **options: Any,
    ) -> Trajectories:
        """Sequences of ids, as long as those of the corpus at most."""
        return sample(
            generator,
            num_sequences,
            self.max_length if max_length is None else max_length,
            eos_id=self.vocabulary.eos_id,
            pad_id=self.vocabulary.pad_id,
            precision=self.precision,
            rng=rng,
            **options,
        )

    def sample(
        self,
        generator: Generator,
        num_sentences: int,
        *,
        seed: int,
        prefix: str = "",
        temperature: Temperature = 1.0,
        **options: Any,
    ) -> list[list[str]]:
        """Sentences as lists of tokens, each of which begins with the words of ``prefix``.

        Raises:
            ValueError: The prefix is longer than a sequence may be.
        """
        start = self.encode(prefix)[:-1] if self.vocabulary.eos_id is not None else self.encode(prefix)
        if len(start) > self.max_length:
            raise ValueError(
                f"prefix: {len(start)} tokens are too many; there may be at most {self.max_length}"
            )
        trajectories = self.sample_ids(
            generator,
            num_sentences,
            rng=make_rng(generator.device, seed, "generate"),
            max_length=self.max_length - len(start),
            prompt=pad(Sequences.from_lists([start] * num_sentences), self.vocabulary.pad_id),
            temperature=temperature_value(temperature),
            **options,
        )
        rows = zip(trajectories.tokens.cpu(), trajectories.mask.cpu(), strict=True)
        return [self.vocabulary.decode([*start, *tokens[mask].tolist()]) for tokens, mask in rows]

    def score(self, generator: Generator, sentences: Sequence[str]) -> list[float]:
        """Log-likelihood of each sentence in nats per token, EOS included."""
        batch = pad(Sequences.from_lists(map(self.encode, sentences)), self.vocabulary.pad_id)
        sums = sequence_nll(generator, batch)
        return [float(total) for total in -sums / batch.lengths]
