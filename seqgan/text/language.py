"""Sentences for people, and the token ids that models read and write."""

from collections.abc import Sequence

from seqgan.text.batching import pad
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch
from seqgan.text.vocabulary import SPECIALS, UNK


class Language:
    """The words of a corpus: sentences to ids and back."""

    def __init__(self, corpus: PreparedCorpus) -> None:
        self.vocabulary = corpus.vocabulary
        self.tokenizer = corpus.build_tokenizer()
        self.max_length = corpus.max_length
        self.max_prompt_length = corpus.max_prompt_length

    def encode(self, sentence: str) -> list[int]:
        """Return the token ids of a sentence, with EOS where the vocabulary has one."""
        return self.vocabulary.encode(self.tokenizer.tokenize(sentence))

    def encode_prefix(self, text: str) -> list[int]:
        """Return the token ids of the beginning of a sentence, without EOS.

        The marker ``<unk>``, which a tokenizer may cut, stays one token.
        """
        unknown, found = self.vocabulary.unk_id, []
        parts = [text] if unknown is None else text.split(SPECIALS[UNK])
        for number, part in enumerate(parts):
            found += [unknown] if number and unknown is not None else []
            found += [token for token in self.encode(part) if token != self.vocabulary.eos_id]
        return found

    def decode(self, ids: Sequence[int]) -> str:
        """Return the sentence as running text; EOS and padding are left out."""
        return self.tokenizer.detokenize(self.vocabulary.decode(ids))

    def decode_batch(self, batch: TokenBatch) -> list[str]:
        """Return each sequence as running text; EOS and padding are left out."""
        rows = zip(batch.tokens.cpu(), batch.mask.cpu(), strict=True)
        return [self.decode(ids[real].tolist()) for ids, real in rows]

    def encode_prompts(self, prompts: Sequence[str], flag: str = "prompts") -> TokenBatch:
        """Return prompts as a batch without BOS and EOS.

        Raises:
            ValueError: One is too long, or holds a word that the vocabulary does not stand for; names the
                ``flag``.
        """
        rows = []
        for prompt in prompts:
            try:
                rows.append(self.encode_prefix(prompt))
            except ValueError as error:
                raise ValueError(f"{flag}: {error}") from error
            if len(rows[-1]) > self.max_prompt_length:
                raise ValueError(
                    f"{flag}: {len(rows[-1])} tokens are too many for a prompt of the run, which has at most "
                    f"{self.max_prompt_length}: {prompt[:40]!r}"
                )
        return pad(Sequences.from_lists(rows), self.vocabulary.pad_id)


def with_prompts(sentences: Sequence[str], prompts: Sequence[str]) -> list[str]:
    """Return each sentence behind the prompt that it completes, for people; as they are without prompts."""
    if not prompts:
        return list(sentences)
    return [f"{prompt} → {sentence}" for prompt, sentence in zip(prompts, sentences, strict=True)]
