"""Sentences of generators beside the training sentences nearest to them."""

import dataclasses
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import groupby
from operator import itemgetter

import numpy as np
from jaxtyping import Int32

from seqgan.evaluation.nearest import nearest
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.measurements import Measurement
from seqgan.experiment.run_folder import REAL_TEXT
from seqgan.reports.blocks import Cell, Pieces, Sample
from seqgan.reports.findings import Column
from seqgan.text.language import Language, with_prompts
from seqgan.text.prepared import PreparedCorpus


def sample_columns(
    experiment: Experiment, columns: Sequence[Column], number: int
) -> list[tuple[Cell, list[Sample]]]:
    """Return the first sentences of each column that is sampled, and of the test text."""
    neighbourhood = Neighbourhood(experiment.corpus, experiment.language)
    found = [
        (Cell(c.title, c.origin), neighbourhood.samples(c.measurement, number))
        for c in columns
        if c.measurement.generator != REAL_TEXT
    ]
    return [*found, (Cell("test text", "real sentences, not trained on"), neighbourhood.test_samples(number))]


class Neighbourhood:
    """The training text of a corpus, in which the sentences nearest to others are looked for; without EOS."""

    def __init__(self, corpus: PreparedCorpus, language: Language) -> None:
        self.corpus = corpus
        self.language = language
        eos_id = corpus.vocabulary.eos_id
        self.training, self.test = (text.without(eos_id) for text in (corpus.train, corpus.test))

    def sample(self, sentence: str) -> Sample:
        """Return a sentence, cut into tokens again, and its neighbour."""
        return self._sample(sentence, self._encode(sentence))

    def samples(self, measurement: Measurement, number: int) -> list[Sample]:
        """Return the first sentences of a generator, behind their prompts where they complete any."""
        found = [self.sample(sentence) for sentence in measurement.sentences[:number]]
        return behind(found, measurement.prompts[:number])

    def test_samples(self, number: int) -> list[Sample]:
        """Return the first sentences of the test text: how far real ones are from the training text."""
        rows = range(min(number, len(self.test)))
        decode, context = self.language.decode, self.corpus.part("test").context
        found = [self._sample(decode(self.test[row].tolist()), self.test[row]) for row in rows]
        prompts = [] if context is None else [decode(context.prompts[row].tolist()) for row in rows]
        return behind(found, prompts)

    def _sample(self, sentence: str, ids: Int32[np.ndarray, "T"]) -> Sample:
        neighbour = nearest(ids, self.training)
        others = self.training[neighbour.place]
        text = self.language.decode(others.tolist())
        blocks = SequenceMatcher(None, ids.tolist(), others.tolist(), autojunk=False).get_matching_blocks()
        own = {block.a + i for block in blocks for i in range(block.size)}
        theirs = {block.b + i for block in blocks for i in range(block.size)}
        return Sample(
            pieces(sentence, self._tokens(ids), own),
            pieces(text, self._tokens(others), theirs),
            neighbour.distance,
            max(len(ids), len(others)),
        )

    def _encode(self, sentence: str) -> Int32[np.ndarray, "T"]:
        """Return ids without EOS."""
        return np.array(self.language.encode_prefix(sentence), np.int32)

    def _tokens(self, ids: Int32[np.ndarray, "T"]) -> list[str]:
        return [self.corpus.vocabulary.tokens[i] for i in ids.tolist()]


def behind(samples: list[Sample], prompts: Sequence[str]) -> list[Sample]:
    """Return samples with the prompts that they complete before them; as they are without prompts."""
    starts = with_prompts([""] * len(prompts), prompts)
    if not starts:
        return samples
    return [
        dataclasses.replace(sample, sentence=[(start, False), *sample.sentence])
        for start, sample in zip(starts, samples, strict=True)
    ]


def pieces(text: str, tokens: Sequence[str], marked: set[int]) -> Pieces:
    """Cut ``text`` where marked tokens begin and end; white space between two of them is marked too.

    A token that stands in the text in other letters, as quotation marks may, is not marked.
    """
    marks = [False] * len(text)
    end = 0
    for place, token in enumerate(tokens):
        start = text.find(token, end)
        if start < 0:
            continue
        begin = end if end and marks[end - 1] and text[end:start].isspace() else start
        end = start + len(token)
        if place in marked:
            marks[begin:end] = [True] * (end - begin)
    groups = groupby(zip(text, marks, strict=True), key=itemgetter(1))
    return [("".join(letter for letter, _ in group), mark) for mark, group in groups]
