import math

import pytest
import torch

from seqgan.evaluation import evaluator as evaluator_module
from seqgan.evaluation.evaluator import EvaluationSettings, Evaluator
from seqgan.evaluation.likelihood import nll
from seqgan.evaluation.metric import as_metric
from seqgan.evaluation.metrics import EVALUATION
from seqgan.evaluation.signature import Signature
from seqgan.runtime.seeding import make_rng
from seqgan.sampling.decoding import Decoding
from seqgan.sampling.sample import sample
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import rng, tiny_generator, whole

UNK, EOS, SIZE = 3, 2, 6


def make_evaluator(tokens, mask, **changes):
    options = {
        "split": "test",
        "settings": EvaluationSettings(),
        "num_samples": 50,
        "decode": lambda ids: " ".join(map(str, ids)),
        "signature": Signature(tokenizer="whitespace", case="kept"),
        "eos_id": EOS,
        "unk_id": UNK,
        "oracle": None,
        "seed": 0,
    }
    return Evaluator(TokenBatch(tokens, mask), **options | changes)


def constant_generator(token):
    """Always ``token`` and then EOS."""
    generator = tiny_generator("lstm", SIZE, forbidden=(0,))
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.zero_()
        generator.head.bias[[token, EOS]] = torch.tensor([50.0, 49.0])
    return generator


def test_an_unknown_word_matches_no_reference_but_itself_among_samples():
    tokens = torch.tensor([[UNK, EOS], [5, EOS]])
    evaluator = make_evaluator(tokens, torch.ones_like(tokens).bool())
    unknown, known = (evaluator(constant_generator(token)).score.values for token in (UNK, 5))
    assert unknown["bleu_2"] == 0
    assert known["bleu_2"] > 0.1
    assert unknown["self_bleu_2"] == pytest.approx(known["self_bleu_2"], abs=0.02)
    assert unknown["self_bleu_2"] > 0.1


def test_an_unknown_word_is_one_word_on_both_sides_of_the_perplexities():
    """Text beside itself: both models are of the same words, so both perplexities are one number."""
    tokens = torch.tensor([[4, UNK, 5, EOS], [UNK, UNK, 4, EOS], [5, 5, UNK, EOS]])
    evaluator = make_evaluator(tokens, torch.ones_like(tokens).bool())
    values = evaluator.score_text(Sequences.from_lists(tokens.tolist())).score.values
    assert values["forward_perplexity"] == values["reverse_perplexity"]
    as_any_word = make_evaluator(tokens, torch.ones_like(tokens).bool(), unk_id=None)
    expected = as_any_word.score_text(Sequences.from_lists(tokens.tolist())).score.values
    assert values["forward_perplexity"] == expected["forward_perplexity"]


def test_the_share_of_unknown_words_among_all_words():
    tokens = torch.tensor([[4, UNK, EOS], [UNK, UNK, EOS]])
    evaluator = make_evaluator(tokens, torch.ones_like(tokens).bool())
    score = evaluator.score_text(Sequences.from_lists([[UNK, 4, 5, EOS], [4, EOS], [EOS]])).score
    assert score.values["unknown"] == pytest.approx(1 / 4)
    assert score.sentence_values["unknown"].mean() == pytest.approx(1 / 4)
    assert evaluator.score_text(Sequences.from_lists([[EOS], [EOS]])).score.values["unknown"] == 0
    of_integers = make_evaluator(tokens, torch.ones_like(tokens).bool(), unk_id=None)
    assert "unknown" not in of_integers(constant_generator(5)).score.values


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("by_setting", [True, False])
def test_the_temperature_is_that_of_samples_and_of_both_likelihoods(temperature, by_setting):
    """A word has the logit 1 more than EOS: p = 1 / (1 + exp(-1/T)), and two tokens hold p + p² words."""
    p = 1 / (1 + math.exp(-1 / temperature))
    tokens = torch.tensor([[5, EOS]])
    settings = EvaluationSettings(temperature=temperature if by_setting else 0.9)
    evaluator = make_evaluator(
        tokens, torch.ones_like(tokens).bool(), settings=settings, num_samples=4000, unk_id=None
    )
    values = evaluator(
        constant_generator(5), None if by_setting else Decoding(temperature=temperature)
    ).score.values
    assert values["mean_length"] == pytest.approx(p + p * p, abs=0.05)
    assert values["nll_test"] == pytest.approx(-(math.log(p) + math.log(1 - p)) / 2, abs=1e-4)
    entropy = -(p * math.log(p) + (1 - p) * math.log(1 - p))
    assert values["entropy"] == pytest.approx(entropy, abs=0.04)


def test_a_metric_of_the_users_own_is_measured_on_strings_and_may_be_the_criterion():
    tokens = torch.tensor([[4, 5, EOS], [5, UNK, EOS]])
    seen = []

    def fours(hypotheses, references):
        """Share of sentences with a 4 (higher)."""
        seen.append((hypotheses, references))
        return ["4" in sentence for sentence in hypotheses]

    metrics = {**EVALUATION, "fours": as_metric(fours)}
    settings = EvaluationSettings(criterion="fours")
    evaluator = make_evaluator(
        tokens, torch.ones_like(tokens).bool(), settings=settings, metrics=metrics, num_samples=3
    )
    result = evaluator(constant_generator(4))
    hypotheses, references = seen[0]
    assert references == ["4 5", "5 3"] and len(hypotheses) == 3
    assert set(" ".join(hypotheses)) <= {"4", " "}
    share = sum("4" in sentence for sentence in hypotheses) / 3
    assert result.metrics["evaluation/fours"] == share and result.loss == -share
    assert result.score.labels == {"fours": "Share of sentences with a 4 (higher)"}
    assert len(result.score.sentence_values["fours"]) == 3


def test_samples_are_drawn_in_the_precision_asked_for(monkeypatch):
    tokens = torch.tensor([[4, 5, EOS], [5, 4, EOS]])
    seen = []

    def record(*arguments, **options):
        seen.append(options["precision"])
        return draw(*arguments, **options)

    draw = evaluator_module.sample
    monkeypatch.setattr(evaluator_module, "sample", record)
    for precision in ("float32", "bfloat16"):
        make_evaluator(tokens, torch.ones_like(tokens).bool(), precision=precision)(constant_generator(4))
    assert seen == ["float32", "bfloat16"]


def test_eos_is_scored_but_is_no_word():
    tokens = torch.tensor([[4, EOS, 0], [4, 5, EOS]])
    mask = torch.tensor([[True, True, False], [True] * 3])
    evaluator = make_evaluator(tokens, mask)
    assert len(evaluator.real_text.references) == 2
    assert evaluator.real_text.references.lengths.tolist() == [1, 2]
    generator = tiny_generator("lstm", SIZE)
    values = evaluator(generator).score.values
    expected = -generator.log_probs(whole(tokens))[mask].mean()
    assert values["nll_test"] == pytest.approx(float(expected.detach()), abs=1e-5)


def test_copies_of_the_training_text_are_found_without_eos_and_unknown_words_are_new():
    tokens = torch.tensor([[4, EOS], [5, EOS]])
    options = {"training": Sequences.from_lists([[5, EOS], [UNK, EOS], [4, 4, EOS]])}
    evaluator = make_evaluator(tokens, torch.ones_like(tokens).bool(), **options)
    assert evaluator.real_text.training.lengths.tolist() == [1, 1, 2]
    known, unknown = (evaluator(constant_generator(token)).score.values for token in (5, UNK))
    assert known["novelty"] < 1
    assert known["longest_copied"] == pytest.approx(0.73, abs=0.2)  # the others are empty
    assert unknown["novelty"] == 1
    assert unknown["longest_copied"] == 0


def test_every_call_uses_the_same_random_numbers_and_leaves_those_of_training_alone():
    tokens = torch.randint(4, SIZE, (20, 5), generator=rng())
    evaluator = make_evaluator(tokens, torch.ones_like(tokens).bool())
    generator = tiny_generator("lstm", SIZE, forbidden=(0, 1))
    state = torch.get_rng_state()
    first, second = evaluator(generator), evaluator(generator)
    assert first.metrics == second.metrics
    assert first.sentences == second.sentences
    assert torch.equal(torch.get_rng_state(), state)
    assert str(first.score.signature) == (
        "hypotheses:50|references:20|tokenizer:whitespace|case:kept|smoothing:method1|temperature:1|version:0.2.0"
    )


def test_samples_of_another_split_number_or_precision_are_others():
    tokens = torch.randint(4, SIZE, (20, 5), generator=rng())
    generator = tiny_generator("lstm", SIZE, forbidden=(0, 1))

    def measure(num_samples=2000, **changes):
        evaluator = make_evaluator(tokens, torch.ones_like(tokens).bool(), **changes)
        return evaluator(generator, num_samples=num_samples)

    plain = measure()
    assert measure(split="validation").sentences != plain.sentences  # the best is not chosen by the test's
    assert measure(seed=1).sentences != plain.sentences
    rounded = measure(precision="bfloat16").score.values
    assert rounded["self_bleu_3"] != plain.score.values["self_bleu_3"]
    assert rounded["nll_test"] == plain.score.values["nll_test"]
    assert measure(num_samples=7).score.signature.hypotheses == 7


def test_the_oracle_scores_by_its_own_probabilities_however_the_generator_was_sampled():
    tokens = torch.full((3, 4), 5)
    oracle = tiny_generator("lstm", SIZE)
    with torch.no_grad():
        for parameter in oracle.parameters():
            parameter.zero_()
        oracle.head.bias[5] = 1.0
    options = {"oracle": oracle, "eos_id": None, "unk_id": None}
    evaluator = make_evaluator(tokens, torch.ones_like(tokens).bool(), **options)
    expected = math.log((math.e + SIZE - 1) / math.e)  # of each 5
    for decoding in (Decoding(temperature=0.5, top_k=1), Decoding(temperature=0.02)):
        values = evaluator(constant_generator(5), decoding).score.values
        assert values["nll_oracle"] == pytest.approx(expected, rel=1e-5)


def test_the_oracle_task_has_both_sides_and_its_temperature():
    oracle = tiny_generator("lstm", SIZE, seed=3)
    tokens = torch.randint(0, SIZE, (40, 4), generator=rng())
    options = {"oracle": oracle, "eos_id": None, "unk_id": None, "num_samples": 400}
    evaluator = make_evaluator(tokens, torch.ones_like(tokens).bool(), split="validation", **options)
    generator = tiny_generator("lstm", SIZE, seed=4)
    warm, cool = evaluator(generator), evaluator(generator, Decoding(temperature=0.5))
    assert {
        "nll_oracle",
        "nll_validation",
        "kl_q_p",
        "kl_p_q",
        "jeffreys",
        "entropy",
    } <= warm.score.values.keys()
    assert cool.score.values["entropy"] < warm.score.values["entropy"]
    for result, temperature in ((warm, 1.0), (cool, 0.5)):
        expected = nll(generator, whole(tokens), temperature=temperature).value
        assert result.score.values["nll_validation"] == pytest.approx(expected)
    assert "temperature:0.5|version" in str(cool.score.signature)
    narrow = evaluator(generator, Decoding(top_k=2)).score
    assert "temperature:1|top_k:2|version" in str(narrow.signature)
    assert narrow.values["nll_oracle"] != warm.score.values["nll_oracle"]
    of_the_generator = {"entropy", "kl_q_p", "kl_p_q", "jeffreys", "jensen_shannon", "nll_validation"}
    assert of_the_generator <= warm.score.values.keys()
    assert not of_the_generator & narrow.values.keys()  # a token that is ruled out has likelihood 0
    assert warm.loss == warm.score.values["nll_validation"]
    assert warm.metrics["evaluation/jeffreys"] == warm.score.values["jeffreys"]


@pytest.mark.parametrize(
    ("criterion", "sign"), [("bleu_4", -1), ("nll", 1), ("reverse_perplexity", 1), ("ms_jaccard_4", -1)]
)
def test_the_criterion_is_lower_for_the_better(criterion, sign):
    tokens = torch.randint(4, SIZE, (20, 5), generator=rng())
    evaluator = make_evaluator(
        tokens, torch.ones_like(tokens).bool(), settings=EvaluationSettings(criterion=criterion)
    )
    result = evaluator(tiny_generator("lstm", SIZE))
    name = "nll_test" if criterion == "nll" else criterion
    assert result.loss == sign * result.score.values[name]


def test_a_criterion_that_needs_an_oracle_is_nan_without():
    tokens = torch.randint(4, SIZE, (5, 5), generator=rng())
    config = EvaluationSettings(criterion="jeffreys")
    evaluator = make_evaluator(tokens, torch.ones_like(tokens).bool(), settings=config)
    assert math.isnan(evaluator(tiny_generator("lstm", SIZE)).loss)


def test_real_text_in_the_place_of_samples():
    """Of its own references all matches, save unknown words; EOS is no word of it."""
    tokens = torch.tensor([[4, 5, 4, EOS], [5, 5, 4, EOS], [UNK, 4, 5, EOS]])
    evaluator = make_evaluator(
        tokens, torch.ones_like(tokens).bool(), training=Sequences.from_lists([[4, EOS]])
    )
    result = evaluator.score_text(Sequences.from_lists(tokens[:2].tolist()))
    assert result.score.values["bleu_2"] == pytest.approx(1)
    assert result.score.values["mean_length"] == 3
    assert not {"nll_test", "entropy", "novelty"} & result.score.values.keys()
    assert str(result.score.signature).startswith("hypotheses:2|references:3|tokenizer:whitespace")
    assert "temperature" not in str(result.score.signature)
    assert list(result.sentences) == ["4 5 4 2", "5 5 4 2"]
    unknown = evaluator.score_text(Sequences.from_lists(tokens[2:].tolist() * 2))
    assert unknown.score.values["bleu_2"] < 1


def test_samples_complete_the_prompts_of_the_split_and_likelihoods_are_those_of_completions():
    prompts = [[4], [5, 4], [5]]
    mask = torch.tensor([[True, False], [True, True], [True, False]])
    tokens = torch.tensor([[4, EOS], [5, EOS], [1, EOS]])
    prompt = TokenBatch(torch.tensor([[4, 0], [5, 4], [5, 0]]), mask)
    evaluator = make_evaluator(tokens, torch.ones_like(tokens).bool(), num_samples=7)
    evaluator.real = TokenBatch(tokens, torch.ones_like(tokens).bool(), prompt=prompt)
    generator = tiny_generator("lstm", SIZE, forbidden=(0,))
    result = evaluator(generator)
    assert list(result.prompts) == ["4", "5 4", "5", "4", "5 4", "5", "4"] and len(result.sentences) == 7
    with torch.no_grad():
        sums = [
            -generator.log_probs(whole(torch.tensor([[*before, *row]])))[0, len(before) :].sum()
            for before, row in zip(prompts, tokens.tolist(), strict=True)
        ]
    assert result.score.values["nll_test"] == pytest.approx(float(sum(sums)) / 6, abs=1e-5)
    few = evaluator(generator, num_samples=2)
    assert list(few.prompts) == ["4", "5 4"]
    evaluator.real = evaluator.real.spread(9)
    assert list(evaluator(generator, num_samples=4).prompts) == ["4", "5", "5 4", "4"]  # rows 0, 2, 4, 6
    own = sample(
        generator,
        9,
        2,
        eos_id=EOS,
        rng=make_rng("cpu", 0, "evaluation", "test"),
        prompt=evaluator.real.prompt,
    )
    entropy = nll(generator, own).value
    assert evaluator(generator, num_samples=9).score.values["entropy"] == pytest.approx(entropy, abs=1e-5)
