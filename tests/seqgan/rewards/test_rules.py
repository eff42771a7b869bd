"""Built-in rewards of rules and of text: known values, nltk, naive counting."""

import dataclasses

import pytest
import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from seqgan.rewards.bleu import BleuReward, BleuRewardSettings
from seqgan.rewards.distinct import DistinctReward, DistinctRewardSettings
from seqgan.rewards.length import LengthReward, LengthRewardSettings
from seqgan.rewards.pattern import PatternReward, PatternRewardSettings
from seqgan.text.masking import mask_from_tokens
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import rng
from tests.tiny_trainers import corpus_of

EOS = 1


def batch_of(*sequences, width=6):
    """Sequences with EOS where they are short, and 7 behind it, which nobody may look at."""
    rows = [[*sequence, EOS, *[7] * width][:width] for sequence in sequences]
    tokens = torch.tensor(rows)
    return TokenBatch(tokens, mask_from_tokens(tokens, EOS))


class Words:
    def decode(self, ids):
        return " ".join("ab  xyz"[token] for token in ids if token != EOS)


def test_length_is_best_at_its_target():
    reward = LengthReward(LengthRewardSettings(target=4), eos_id=EOS)
    found = reward(batch_of([2] * 4, [2] * 3, [2] * 5, [], [2] * 6))
    assert found.tolist() == [1.0, 0.75, 0.75, 0.0, 0.5]
    whole = LengthReward(LengthRewardSettings(target=2), eos_id=None)
    tokens = torch.ones(2, 5, dtype=torch.long)
    assert whole(TokenBatch(tokens, tokens == 1)).tolist() == [0.0, 0.0]  # 5 tokens; never below 0


@pytest.mark.parametrize("order", [1, 2, 3])
def test_distinct_is_the_share_that_a_set_holds(order):
    tokens = torch.randint(1, 4, (40, 9), generator=rng())
    batch = TokenBatch(tokens, mask_from_tokens(tokens, EOS))
    found = DistinctReward(DistinctRewardSettings(order=order))(batch)
    for row, value in enumerate(found.tolist()):
        ids = tokens[row, batch.mask[row]].tolist()
        grams = [tuple(ids[i : i + order]) for i in range(len(ids) - order + 1)]
        assert value == pytest.approx(len(set(grams)) / len(grams) if grams else 1.0)
    assert DistinctReward(DistinctRewardSettings(order=10))(batch).tolist() == [1.0] * 40


def test_patterns_are_looked_for_in_the_text():
    settings = PatternRewardSettings(required=("^a", "y"), forbidden=("x", "z$"))
    reward = PatternReward(settings, language=Words())
    texts = {(0, 5): 1.0, (5, 0): 0.75, (0, 4, 6): 0.25, (6,): 0.25, (): 0.5}
    assert reward(batch_of(*texts)).tolist() == list(texts.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [({}, "there is no rule"), ({"required": ("(",)}, r"required '\(' is no regular expression: missing \)")],
)
def test_patterns_that_cannot_be_used_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        PatternReward(PatternRewardSettings(**settings), language=Words())


PARTS = {"train": [[2, 3, 4, 0, EOS], [3, 3, 2, EOS]], "validation": [[0, 0, 0, EOS]]}


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_bleu_is_nltk_s_against_the_whole_part(order, part):
    parts = {name: Sequences.from_lists(sequences) for name, sequences in PARTS.items()}
    corpus = dataclasses.replace(corpus_of(parts["train"]), **parts)
    reward = BleuReward(BleuRewardSettings(order=order, references=part), corpus=corpus, eos_id=EOS)
    sequences = [[2, 3, 4, 0], [3, 3], [4, 4, 4, 4, 0], [0, 0, 0, 0, 0, 0]]
    references = [sequence[:-1] for sequence in PARTS[part]]
    for found, sequence in zip(reward(batch_of(*sequences)), sequences, strict=True):
        weights = (1 / order,) * order
        smoothing = SmoothingFunction().method1
        expected = sentence_bleu(references, sequence, weights, smoothing_function=smoothing)
        assert found.item() == pytest.approx(expected, abs=1e-6)
