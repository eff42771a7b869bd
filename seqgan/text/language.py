"""Sentences for people, and the token ids that models read and write."""

from collections.abc import Sequence

from seqgan.text.prepared import PreparedCorpus


class Language:
    """The words of a corpus: sentences to ids and back."""

    def __init__(self, corpus: PreparedCorpus) -> None:
        self.vocabulary = corpus.vocabulary
        self.tokenizer = corpus.build_tokenizer()
        self.max_length = corpus.max_length

    def encode(self, sentence: str) -> list[int]:
        """Return the token ids of a sentence, with EOS where the vocabulary has one."""
        return self.vocabulary.encode(self.tokenizer.tokenize(sentence))

    def encode_prefix(self, text: str) -> list[int]:
        """Return the token ids of the beginning of a sentence, without EOS."""
        return [token for token in self.encode(text) if token != self.vocabulary.eos_id]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the sentence as running text; EOS and padding are left out."""
        return self.tokenizer.detokenize(self.vocabulary.decode(ids))
